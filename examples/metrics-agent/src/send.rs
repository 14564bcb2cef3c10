//! `metrics-agent send` and `metrics-agent get`: small clients, for images that hold this binary and
//! nothing else.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{Method, StatusCode};

use crate::http::{Client, ClientFiles, RequestError, UrlError};

/// How long `get` waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where datagrams go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// `host:port`
    Udp(String),
    /// A socket's path.
    Unix(PathBuf),
}

/// What the command line says about `send`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where to.
    pub destination: Destination,
    /// How often to send them all.
    pub repeat: u64,
    /// What to send, each as a datagram of its own.
    pub datagrams: Vec<String>,
}

/// Why nothing was sent or got.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A datagram could not be sent, or the answer not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// There was no answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// There was none in time.
    #[error("no answer in {} s", PATIENCE.as_secs())]
    TimedOut,
    /// The answer was no success.
    #[error("answered with {0}")]
    Status(StatusCode),
}

/// Sends datagrams.
///
/// # Errors
///
/// The first that could not be sent.
pub fn send(options: &Options) -> Result<(), SendError> {
    match &options.destination {
        Destination::Udp(address) => {
            let address = address.to_socket_addrs()?.next();
            let address = address.ok_or(io::Error::from(io::ErrorKind::AddrNotAvailable))?;
            let local: SocketAddr = match address {
                SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
            };
            let socket = UdpSocket::bind(local)?;
            socket.connect(address)?;
            send_all(options, |datagram| socket.send(datagram))
        }
        Destination::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            send_all(options, |datagram| socket.send(datagram))
        }
    }
}

fn send_all(options: &Options, send: impl Fn(&[u8]) -> io::Result<usize>) -> Result<(), SendError> {
    for _ in 0..options.repeat {
        for datagram in &options.datagrams {
            send(datagram.as_bytes())?;
        }
    }
    Ok(())
}

/// What the command line says about `get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetOptions {
    /// What to get.
    pub url: String,
    /// For `https`.
    pub files: ClientFiles,
}

/// Prints what is at a URL.
///
/// # Errors
///
/// There was no answer, or none with a success status.
pub async fn get(options: &GetOptions) -> Result<(), SendError> {
    let client = Client::new(&options.url, &options.files)?;
    let request = client.send(Method::GET, "", &[], Bytes::new());
    let (status, body) = tokio::time::timeout(PATIENCE, request)
        .await
        .map_err(|_| SendError::TimedOut)??;
    io::stdout().lock().write_all(&body)?;
    if status.is_success() {
        Ok(())
    } else {
        Err(SendError::Status(status))
    }
}
