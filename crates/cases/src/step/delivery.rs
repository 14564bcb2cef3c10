//! Bytes to a target's socket, and what comes back.
//!
//! A datagram that nobody takes is usually lost in silence. On a connected socket of this machine the kernel does know:
//! the refusal is there when the send returns, so it is asked for, and a send to a port without a listener fails here
//! and not three steps later.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use seatrial_environment::IsolationGroup;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};

/// What is kept of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Where bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A datagram each.
    Udp(SocketAddr),
    /// One connection.
    Tcp(SocketAddr),
    /// One connection to a stream socket of this path.
    Unix(PathBuf),
    /// A datagram each, to a socket of this path.
    UnixDatagram(PathBuf),
}

/// Whether somebody is expected to say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What is sent is all.
    Ignored,
    /// A datagram, or what a connection says until its other end closes it.
    Awaited,
}

/// Not all of the messages were taken, or the answer did not come.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(crate) struct Undelivered {
    /// How many messages were taken before: with none, sending again sends nothing twice.
    pub(crate) taken: usize,
    pub(crate) source: io::Error,
}

/// Where sockets are opened: a network namespace holds what was opened in it.
#[derive(Clone, Copy)]
pub(crate) struct Network<'a>(
    /// Whose network; without one, that of seatrial itself.
    pub(crate) Option<&'a IsolationGroup>,
);

impl Network<'_> {
    /// Connects.
    ///
    /// # Errors
    ///
    /// As for any connection.
    pub(crate) async fn tcp(self, to: SocketAddr) -> io::Result<TcpStream> {
        match self.0 {
            None => TcpStream::connect(to).await,
            Some(group) => group.connect_tcp(to).await,
        }
    }

    async fn udp(self, to: SocketAddr) -> io::Result<UdpSocket> {
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = match self.0 {
            None => UdpSocket::bind(any).await?,
            Some(group) => group.udp_socket(any).await?,
        };
        socket.connect(to).await?;
        Ok(socket)
    }
}

impl Destination {
    /// Sends the messages and takes the answer.
    ///
    /// # Errors
    ///
    /// When nobody takes them, or an awaited answer does not come to its end.
    pub(crate) async fn deliver(
        &self,
        network: Network<'_>,
        messages: &[Vec<u8>],
        answer: Answer,
    ) -> Result<Vec<u8>, Undelivered> {
        let mut taken = 0;
        let delivered = self.try_deliver(network, messages, answer, &mut taken).await;
        delivered.map_err(|source| Undelivered { taken, source })
    }

    async fn try_deliver(
        &self,
        network: Network<'_>,
        messages: &[Vec<u8>],
        answer: Answer,
        taken: &mut usize,
    ) -> io::Result<Vec<u8>> {
        match self {
            Self::Udp(to) => {
                let socket = network.udp(*to).await?;
                for message in messages {
                    socket.send(message).await?;
                    socket.take_error()?.map_or(Ok(()), Err)?;
                    *taken += 1;
                }
                if answer == Answer::Ignored {
                    return Ok(Vec::new());
                }
                let mut buffer = vec![0; 1 << 16];
                let length = socket.recv(&mut buffer).await?;
                buffer.truncate(length);
                Ok(buffer)
            }
            Self::UnixDatagram(to) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(to)?;
                for message in messages {
                    socket.send(message).await?;
                    *taken += 1;
                }
                Ok(Vec::new())
            }
            Self::Tcp(to) => converse(network.tcp(*to).await?, messages, answer, taken).await,
            Self::Unix(to) => converse(UnixStream::connect(to).await?, messages, answer, taken).await,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(to) => write!(f, "{to}/udp"),
            Self::Tcp(to) => write!(f, "{to}/tcp"),
            Self::Unix(path) => write!(f, "the Unix socket {}", path.display()),
            Self::UnixDatagram(path) => write!(f, "the Unix datagram socket {}", path.display()),
        }
    }
}

async fn converse(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    messages: &[Vec<u8>],
    answer: Answer,
    taken: &mut usize,
) -> io::Result<Vec<u8>> {
    for message in messages {
        stream.write_all(message).await?;
        *taken += 1;
    }
    // The end of the stream is part of what is sent: many protocols answer only then.
    stream.shutdown().await?;
    let mut taken = Vec::new();
    if answer == Answer::Awaited {
        stream
            .take(ANSWER_BYTES_MAX as u64)
            .read_to_end(&mut taken)
            .await?;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(to: &Destination, message: &str, answer: Answer) -> io::Result<String> {
        let delivered = to
            .deliver(Network(None), &[message.as_bytes().to_vec()], answer)
            .await;
        let said = delivered.map_err(|undelivered| {
            assert_eq!(undelivered.taken, 0);
            undelivered.source
        })?;
        Ok(String::from_utf8(said).unwrap())
    }

    #[tokio::test]
    async fn a_datagram_is_sent_and_answered() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = Destination::Udp(server.local_addr().unwrap());
        let echo = async {
            let mut buffer = [0; 100];
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            server.send_to(&buffer[..length], from).await.unwrap();
        };
        let ((), answer) = tokio::join!(echo, send(&to, "a.b:1|c", Answer::Awaited));
        assert_eq!(answer.unwrap(), "a.b:1|c");
    }

    #[tokio::test]
    async fn a_datagram_that_nobody_takes_is_refused() {
        let free = UdpSocket::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let error = send(&Destination::Udp(free), "lost", Answer::Ignored)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_connection_is_closed_for_writing_and_read_to_its_end() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = Destination::Tcp(server.local_addr().unwrap());
        let echo = async {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut taken = String::new();
            stream.read_to_string(&mut taken).await.unwrap();
            stream.write_all(taken.to_uppercase().as_bytes()).await.unwrap();
        };
        let ((), answer) = tokio::join!(echo, send(&to, "ping", Answer::Awaited));
        assert_eq!(answer.unwrap(), "PING");
    }

    #[tokio::test]
    async fn unix_sockets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let to = Destination::UnixDatagram(path.clone());
        assert_eq!(
            send(&to, "x", Answer::Ignored).await.unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let server = UnixDatagram::bind(&path).unwrap();
        send(&to, "x", Answer::Ignored).await.unwrap();
        let mut buffer = [0; 10];
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 1);
        drop(server);
        assert_eq!(
            send(&to, "x", Answer::Ignored).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }
}
