//! Who listens where, from the kernel's socket tables.
//!
//! Connecting would disturb the target (a connection that says nothing, a log line), cannot work for UDP, and does not
//! tell the target from somebody else on the same port. The tables are those of the target's own network namespace, and
//! a socket counts only when one of its processes holds it.

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

/// The kernel has no event for "began to listen", so a waiting step looks again: first after this...
const POLL_FIRST: Duration = Duration::from_millis(10);

/// ...then rising to this, which keeps forty waiting parts well under a hundredth of a core.
const POLL_MAX: Duration = Duration::from_millis(50);

/// Somewhere to listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP port, on any address.
    Tcp(u16),
    /// A UDP port, on any address.
    Udp(u16),
    /// A Unix socket, stream or datagram, by its absolute path. A leading `@` is an abstract one.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "TCP port {port}"),
            Self::Udp(port) => write!(f, "UDP port {port}"),
            Self::Unix(path) => write!(f, "Unix socket {}", path.display()),
        }
    }
}

/// Who listens at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listening {
    /// One of the processes that were asked about.
    Yes {
        /// Which.
        pid: u32,
    },
    /// Only somebody else.
    SomebodyElse(Holder),
    /// Nobody.
    No,
}

impl Listening {
    /// One of ours does.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Yes { .. })
    }
}

/// A socket that is held by a process nobody asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    inode: u64,
}

impl Holder {
    /// Looks for the process that has the socket, as far as this user may see: its PID and command. Looks through all
    /// processes; for a failure's message, not for a loop.
    #[must_use]
    pub fn find(&self) -> Option<(u32, String)> {
        let pids = fs::read_dir("/proc")
            .ok()?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let pid = pids
            .into_iter()
            .find(|pid| holds(*pid, &BTreeSet::from([self.inode])))?;
        let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Some((pid, command.trim_end().to_owned()))
    }
}

/// Who listens at `endpoint`, in the network namespace of `pids`, which are asked about. `working_dir` is what relative
/// socket paths are relative to.
///
/// # Errors
///
/// When the tables cannot be read.
pub fn listening(pids: &[u32], endpoint: &Endpoint, working_dir: &Path) -> io::Result<Listening> {
    for net in pids {
        match sockets(*net, endpoint, working_dir) {
            Ok(inodes) if inodes.is_empty() => return Ok(Listening::No),
            Ok(inodes) => {
                let ours = pids.iter().find(|pid| holds(**pid, &inodes));
                return Ok(match (ours, inodes.first()) {
                    (Some(pid), _) => Listening::Yes { pid: *pid },
                    (None, Some(inode)) => Listening::SomebodyElse(Holder { inode: *inode }),
                    (None, None) => Listening::No,
                });
            }
            // This one has just ended; another one still has the namespace. EINVAL is what a zombie gives.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    || matches!(error.raw_os_error(), Some(3 | 22)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Listening::No)
}

/// Who listens at `endpoint` in the network namespace of a process, where all that is in it counts as its own.
///
/// # Errors
///
/// When the tables cannot be read.
#[cfg(feature = "docker")]
pub(crate) fn anybody_listening(pid: u32, endpoint: &Endpoint, working_dir: &Path) -> io::Result<Listening> {
    let found = sockets(pid, endpoint, working_dir)?;
    Ok(if found.is_empty() {
        Listening::No
    } else {
        Listening::Yes { pid }
    })
}

/// Waits until one of ours listens.
pub(crate) async fn wait(look: impl Fn() -> io::Result<Listening>) -> io::Result<()> {
    let mut pause = POLL_FIRST;
    while !look()?.is_ours() {
        // The kernel tells nobody, see above.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_MAX);
    }
    Ok(())
}

/// The inodes of the sockets that listen there.
fn sockets(pid: u32, endpoint: &Endpoint, working_dir: &Path) -> io::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    let mut each_line = |table: &str, parse: &dyn Fn(&str) -> Option<u64>| -> io::Result<()> {
        let file = match fs::File::open(format!("/proc/{pid}/net/{table}")) {
            Ok(file) => file,
            // A kernel without IPv6.
            Err(error) if table.ends_with('6') && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        while file.read_until(b'\n', &mut line)? > 0 {
            inodes.extend(parse(&String::from_utf8_lossy(&line)));
            line.clear();
        }
        Ok(())
    };
    match endpoint {
        Endpoint::Tcp(port) => {
            for table in ["tcp", "tcp6"] {
                each_line(table, &|line| parse_inet(line, *port, Some("0A")))?;
            }
        }
        Endpoint::Udp(port) => {
            for table in ["udp", "udp6"] {
                each_line(table, &|line| parse_inet(line, *port, None))?;
            }
        }
        Endpoint::Unix(path) => each_line("unix", &|line| parse_unix(line, path, working_dir))?,
    }
    Ok(inodes)
}

/// The inode of a line of `tcp`, `udp` and their IPv6 tables, if it is on that local port and in that state.
/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode`.
fn parse_inet(line: &str, port: u16, state: Option<&str>) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let (_, local_port) = fields.nth(1)?.rsplit_once(':')?;
    if u16::from_str_radix(local_port, 16) != Ok(port) {
        return None;
    }
    let is = fields.nth(1)?;
    if state.is_some_and(|state| state != is) {
        return None;
    }
    fields.nth(5)?.parse().ok()
}

/// The inode of a line of `unix`, if it is bound there, and listens or is a datagram socket.
/// `Num RefCount Protocol Flags Type St Inode Path`.
fn parse_unix(line: &str, path: &Path, working_dir: &Path) -> Option<u64> {
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
    let (_, bound) = line.split_once(&format!(" {inode} "))?;
    let inode = inode.parse().ok()?;
    let bound = Path::new(bound);
    let is_there = bound == path || (bound.is_relative() && working_dir.join(bound) == path);
    is_there.then_some(inode)
}

/// Whether the process has one of these sockets open.
fn holds(pid: u32, inodes: &BTreeSet<u64>) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors.flatten().any(|descriptor| {
        let target = fs::read_link(descriptor.path()).ok();
        let inode = target
            .as_deref()
            .and_then(Path::to_str)
            .and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inode.is_some_and(|inode| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket},
        os::unix::net::{UnixDatagram, UnixListener},
    };

    fn own(endpoint: &Endpoint) -> Listening {
        listening(&[std::process::id()], endpoint, Path::new("/")).unwrap()
    }

    #[test]
    fn tcp_listens_and_a_connection_does_not() {
        for address in [
            Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::from(Ipv6Addr::LOCALHOST),
        ] {
            let listener = TcpListener::bind((address, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(own(&Endpoint::Tcp(port)).is_ours());
            assert_eq!(own(&Endpoint::Udp(port)), Listening::No);
            let connection = TcpStream::connect((address, port)).unwrap();
            assert_eq!(
                own(&Endpoint::Tcp(connection.local_addr().unwrap().port())),
                Listening::No
            );
            drop(listener);
            assert_eq!(own(&Endpoint::Tcp(port)), Listening::No);
        }
    }

    #[test]
    fn udp_is_bound() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(own(&Endpoint::Udp(socket.local_addr().unwrap().port())).is_ours());
    }

    #[test]
    fn unix_sockets_by_path() {
        let dir = tempfile::tempdir().unwrap();
        let (stream, datagram) = (dir.path().join("a b.sock"), dir.path().join("d.sock"));
        let _listener = UnixListener::bind(&stream).unwrap();
        let _bound = UnixDatagram::bind(&datagram).unwrap();
        assert!(own(&Endpoint::Unix(stream)).is_ours());
        assert!(own(&Endpoint::Unix(datagram)).is_ours());
        assert_eq!(own(&Endpoint::Unix(dir.path().join("no.sock"))), Listening::No);
    }

    #[test]
    fn somebody_else_is_told_apart_and_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap().port());
        // Process 1 may have another network namespace; the parent of this one shares ours.
        let parent = std::os::unix::process::parent_id();
        let Listening::SomebodyElse(holder) = listening(&[parent], &endpoint, Path::new("/")).unwrap() else {
            panic!("not told apart");
        };
        assert_eq!(holder.find().unwrap().0, std::process::id());
    }

    #[test]
    fn relative_paths_are_relative_to_the_working_directory() {
        let line = "0000000000000000: 00000002 00000000 00010000 0001 01 4711 run/my sock";
        assert_eq!(
            parse_unix(line, Path::new("/w/run/my sock"), Path::new("/w")),
            Some(4711)
        );
        assert_eq!(parse_unix(line, Path::new("/w/run/my"), Path::new("/w")), None);
    }
}
