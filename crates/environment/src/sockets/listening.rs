//! Who listens at an endpoint: the part, somebody else, or nobody.

use super::{Looks, SocketTables};
use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
};

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

/// Who listens at `endpoint`: one of ours, which are only looked for when somebody does. `working_dir` is what relative
/// socket paths are relative to.
pub(crate) fn listening(
    tables: &SocketTables,
    endpoint: &Endpoint,
    working_dir: &Path,
    ours: impl FnOnce() -> Vec<u32>,
) -> io::Result<Listening> {
    let inodes = tables.listening(endpoint, working_dir)?;
    let Some(first) = inodes.first() else {
        return Ok(Listening::No);
    };
    let holder = Holder { inode: *first };
    let ours = ours().into_iter().find(|pid| holds(*pid, &inodes));
    Ok(ours.map_or(Listening::SomebodyElse(holder), |pid| Listening::Yes { pid }))
}

/// Who listens at `endpoint` in the network namespace of a process, where all that is in it counts as its own.
///
/// # Errors
///
/// When the tables cannot be read.
#[cfg(feature = "docker")]
pub(crate) fn anybody_listening(pid: u32, endpoint: &Endpoint, working_dir: &Path) -> io::Result<Listening> {
    let found = SocketTables::of_process(pid).listening(endpoint, working_dir)?;
    Ok(if found.is_empty() {
        Listening::No
    } else {
        Listening::Yes { pid }
    })
}

/// Waits until one of ours listens.
pub(crate) async fn wait(look: impl Fn() -> io::Result<Listening>) -> io::Result<()> {
    let mut looks = Looks::new();
    while !look()?.is_ours() {
        looks.next().await;
    }
    Ok(())
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

    /// By both ways to read the tables, which have to agree.
    #[track_caller]
    fn own(endpoint: &Endpoint) -> Listening {
        look(endpoint, std::process::id())
    }

    #[track_caller]
    fn look(endpoint: &Endpoint, pid: u32) -> Listening {
        let [by_netlink, by_proc] = [
            SocketTables::of_machine_anew(),
            SocketTables::of_process(std::process::id()),
        ]
        .map(|tables| listening(&tables, endpoint, Path::new("/"), || vec![pid]).unwrap());
        assert_eq!(by_netlink, by_proc);
        by_netlink
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
            // Somebody else on this machine may be there, which is not us.
            assert!(!own(&Endpoint::Udp(port)).is_ours());
            let connection = TcpStream::connect((address, port)).unwrap();
            assert!(!own(&Endpoint::Tcp(connection.local_addr().unwrap().port())).is_ours());
            drop(listener);
            assert!(!own(&Endpoint::Tcp(port)).is_ours());
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
        let Listening::SomebodyElse(holder) = look(&endpoint, std::os::unix::process::parent_id()) else {
            panic!("not told apart");
        };
        assert_eq!(holder.find().unwrap().0, std::process::id());
    }
}
