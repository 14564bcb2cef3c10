//! Where datagrams arrive: UDP and Unix datagram sockets behind one type.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::path::{Path, PathBuf};

use rustix::net::RecvFlags;
use serde::Serialize;
use tokio::net::{UdpSocket, UnixDatagram};

use crate::defect::Defect;
use crate::log;

/// The longest datagram there is.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;

/// One bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    kind: ListenerKind,
    address: String,
    /// Held for its `Drop`.
    _file: Option<SocketFile>,
}

/// How datagrams arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenerKind {
    /// By UDP.
    Udp,
    /// On a Unix datagram socket.
    Unix,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// Removes the file of a socket with the socket.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Listener {
    /// Listens by UDP.
    ///
    /// # Errors
    ///
    /// The address cannot be had.
    pub async fn bind_udp(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?.to_string();
        Ok(Self {
            socket: Socket::Udp(socket),
            kind: ListenerKind::Udp,
            address,
            _file: None,
        })
    }

    /// Listens on a Unix datagram socket. What a killed agent left at `path` is replaced; the socket
    /// of a living one is not.
    ///
    /// # Errors
    ///
    /// The path cannot be had.
    pub fn bind_unix(path: &Path) -> io::Result<Self> {
        let socket = match UnixDatagram::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path) => {
                log::warning!(
                    "dogstatsd",
                    "{}: replacing the socket of a dead process",
                    path.display()
                );
                std::fs::remove_file(path)?;
                UnixDatagram::bind(path)?
            }
            other => other?,
        };
        Ok(Self {
            socket: Socket::Unix(socket),
            kind: ListenerKind::Unix,
            address: path.display().to_string(),
            _file: Some(SocketFile(path.to_owned())),
        })
    }

    /// How datagrams arrive here.
    pub fn kind(&self) -> ListenerKind {
        self.kind
    }

    /// Where: an address or a path.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    ///
    /// The socket is broken.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.socket {
            Socket::Udp(socket) => socket.recv(buffer).await,
            Socket::Unix(socket) => socket.recv(buffer).await,
        }
    }

    /// A datagram that the kernel has already, if there is one.
    ///
    /// It asks the kernel and not tokio, whose idea of readiness is as old as its last look: what was
    /// sent before a flush was asked for must be in that flush.
    pub fn receive_now(&self, buffer: &mut [u8]) -> Option<usize> {
        let fd = match &self.socket {
            Socket::Udp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        };
        rustix::net::recv(fd, buffer, RecvFlags::DONTWAIT)
            .ok()
            .map(|(length, _)| length)
    }
}

/// Whether nobody listens on the socket at `path` any more.
fn is_stale(path: &Path) -> bool {
    let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
    let probe = StdUnixDatagram::unbound().and_then(|socket| socket.connect(path));
    !Defect::StaleSocketKept.is_on() && probe.is_err_and(refused)
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dsd.sock");
        drop(StdUnixDatagram::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file");

        let listener = Listener::bind_unix(&path).unwrap();
        assert_eq!(
            Listener::bind_unix(&path).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_was_sent_before_is_there_now() {
        let listener = Listener::bind_udp(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut buffer = [0; 16];
        for _ in 0..100 {
            client.send_to(b"a:1|c", listener.address()).unwrap();
            assert_eq!(listener.receive_now(&mut buffer), Some(5));
            assert_eq!(listener.receive_now(&mut buffer), None);
        }
    }
}
