//! The socket tables of one network namespace, read at most every few milliseconds however many look.

use super::{
    Endpoint,
    diag::{self, Transport},
};
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::{self, BufRead as _, BufReader},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// Forty parts that wait in the same namespace share one reading.
const FRESH: Duration = Duration::from_millis(5);

/// A namespace's tables.
pub(crate) struct SocketTables {
    /// The `net` directory of a process in the namespace.
    directory: PathBuf,
    /// To ask over, where that is possible.
    diag: Option<OwnedFd>,
    read: Mutex<HashMap<Table, Reading>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Table {
    Tcp,
    Udp,
    Unix,
}

/// Listening and bound sockets by port, or by the path they were bound to.
#[derive(Clone)]
struct Reading {
    at: Instant,
    ports: Arc<Vec<(u16, u64)>>,
    paths: Arc<Vec<(PathBuf, u64)>>,
}

impl SocketTables {
    /// Those of this process's own namespace.
    pub(crate) fn of_machine() -> Arc<Self> {
        static MACHINE: OnceLock<Arc<SocketTables>> = OnceLock::new();
        let machine = || Arc::new(Self::new("/proc/self/net".into(), diag::socket().ok()));
        Arc::clone(MACHINE.get_or_init(machine))
    }

    /// Those of this process's own namespace, with a reading of its own: nobody else's is taken for fresh.
    #[cfg(test)]
    pub(super) fn of_machine_anew() -> Arc<Self> {
        Arc::new(Self::new("/proc/self/net".into(), diag::socket().ok()))
    }

    /// Those of another process's namespace, in which the netlink socket was made.
    pub(crate) fn in_namespace(pid: u32, diag: Option<OwnedFd>) -> Self {
        Self::new(format!("/proc/{pid}/net").into(), diag)
    }

    /// Those of another process's namespace, without help from inside.
    #[cfg(any(test, feature = "docker"))]
    pub(crate) fn of_process(pid: u32) -> Arc<Self> {
        Arc::new(Self::in_namespace(pid, None))
    }

    fn new(directory: PathBuf, diag: Option<OwnedFd>) -> Self {
        Self {
            directory,
            diag,
            read: Mutex::default(),
        }
    }

    /// The inodes of the sockets that listen there.
    pub(super) fn listening(&self, endpoint: &Endpoint, working_dir: &Path) -> io::Result<BTreeSet<u64>> {
        let by_port = |table, port: u16| -> io::Result<BTreeSet<u64>> {
            let reading = self.reading(table)?;
            Ok(reading
                .ports
                .iter()
                .filter(|(bound, _)| *bound == port)
                .map(|(_, inode)| *inode)
                .collect())
        };
        match endpoint {
            Endpoint::Tcp(port) => by_port(Table::Tcp, *port),
            Endpoint::Udp(port) => by_port(Table::Udp, *port),
            Endpoint::Unix(path) => {
                let is_there =
                    |bound: &Path| bound == path || (bound.is_relative() && working_dir.join(bound) == *path);
                let reading = self.reading(Table::Unix)?;
                Ok(reading
                    .paths
                    .iter()
                    .filter(|(bound, _)| is_there(bound))
                    .map(|(_, inode)| *inode)
                    .collect())
            }
        }
    }

    fn reading(&self, table: Table) -> io::Result<Reading> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fresh) = read.get(&table).filter(|reading| reading.at.elapsed() < FRESH) {
            return Ok(fresh.clone());
        }
        let mut reading = Reading {
            at: Instant::now(),
            ports: Arc::default(),
            paths: Arc::default(),
        };
        match table {
            Table::Tcp => reading.ports = Arc::new(self.ports(Transport::Tcp)?),
            Table::Udp => reading.ports = Arc::new(self.ports(Transport::Udp)?),
            Table::Unix => reading.paths = Arc::new(self.lines("unix", parse_unix)?),
        }
        read.insert(table, reading.clone());
        Ok(reading)
    }

    fn ports(&self, transport: Transport) -> io::Result<Vec<(u16, u64)>> {
        // A kernel without the module for it, or a sandbox, refuses.
        if let Some(found) = self
            .diag
            .as_ref()
            .and_then(|diag| diag::sockets(diag, transport).ok())
        {
            return Ok(found);
        }
        let (tables, state) = match transport {
            Transport::Tcp => (["tcp", "tcp6"], Some("0A")),
            Transport::Udp => (["udp", "udp6"], None),
        };
        let mut found = Vec::new();
        for table in tables {
            found.extend(self.lines(table, |line| parse_inet(line, state))?);
        }
        Ok(found)
    }

    fn lines<T>(&self, table: &str, parse: impl Fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
        let file = match fs::File::open(self.directory.join(table)) {
            Ok(file) => file,
            // A kernel without IPv6, or a namespace whose last process has ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL)) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let mut file = BufReader::new(file);
        let (mut line, mut found) = (Vec::new(), Vec::new());
        while file.read_until(b'\n', &mut line)? > 0 {
            found.extend(parse(&String::from_utf8_lossy(&line)));
            line.clear();
        }
        Ok(found)
    }
}

/// Port and inode of a line of `tcp`, `udp` and their IPv6 tables, if it is in that state.
/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode`.
fn parse_inet(line: &str, state: Option<&str>) -> Option<(u16, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let is = fields.nth(1)?;
    if state.is_some_and(|state| state != is) {
        return None;
    }
    Some((u16::from_str_radix(port, 16).ok()?, fields.nth(5)?.parse().ok()?))
}

/// Path and inode of a line of `unix`, if it listens or is a bound datagram socket.
/// `Num RefCount Protocol Flags Type St Inode Path`.
fn parse_unix(line: &str) -> Option<(PathBuf, u64)> {
    /// `__SO_ACCEPTCON`.
    const LISTENS: u32 = 1 << 16;
    const DATAGRAM: &str = "0002";
    let line = line.trim_end_matches('\n');
    let mut fields = line.split_ascii_whitespace();
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    let kind = fields.next()?;
    if flags & LISTENS == 0 && kind != DATAGRAM {
        return None;
    }
    let inode = fields.nth(1)?;
    // The path is all that follows: it may have spaces.
    let (_, path) = line.split_once(&format!(" {inode} "))?;
    Some((path.into(), inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        let unix = "0000000000000000: 00000002 00000000 00010000 0001 01 4711 run/my sock\n";
        assert_eq!(parse_unix(unix), Some(("run/my sock".into(), 4711)));
        let connected = "0000000000000000: 00000003 00000000 00000000 0001 03 4712\n";
        assert_eq!(parse_unix(connected), None);
        let tcp = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n";
        assert_eq!(parse_inet(tcp, Some("0A")), Some((8080, 4713)));
        assert_eq!(parse_inet(tcp, Some("01")), None);
    }
}
