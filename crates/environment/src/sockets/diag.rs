//! The kernel's socket tables over netlink.
//!
//! Reading `/proc/net/tcp` walks every bucket of a hash that is sized for the machine: 1.7 ms on one with 24 GB, idle,
//! against 25 µs for asking for the listening sockets alone. The tables are those of the namespace that the netlink
//! socket was made in.

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with, sockopt,
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

// From linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h and net/tcp_states.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const TCP_LISTEN: u32 = 10;
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: usize = 56;
/// Where the local port and the inode are in `struct inet_diag_msg`.
const SOURCE_PORT: usize = 4;
const INODE: usize = 68;
const ANSWER_BYTES: usize = 72;

/// The kernel answers while it is asked; this is for one that does not.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Which transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// Only sockets that listen.
    Tcp,
    /// All that are bound.
    Udp,
}

/// A socket to ask over, in the network namespace of this thread.
pub(crate) fn socket() -> io::Result<OwnedFd> {
    let protocol = Some(rustix::net::netlink::SOCK_DIAG);
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        protocol,
    )?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(TIMEOUT))?;
    Ok(socket)
}

/// Ports and inodes of all sockets, IPv4 and IPv6.
pub(super) fn sockets(socket: impl AsFd, transport: Transport) -> io::Result<Vec<(u16, u64)>> {
    let mut found = Vec::new();
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        let asked = send(&socket, &request(family, transport), SendFlags::empty());
        asked?;
        read(&socket, &mut found)?;
    }
    Ok(found)
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(family: AddressFamily, transport: Transport) -> Vec<u8> {
    let (protocol, states) = match transport {
        Transport::Tcp => (libc::IPPROTO_TCP, 1 << TCP_LISTEN),
        Transport::Udp => (libc::IPPROTO_UDP, u32::MAX),
    };
    let mut request = Vec::with_capacity(HEADER_BYTES + REQUEST_BYTES);
    let length = u32::try_from(HEADER_BYTES + REQUEST_BYTES).unwrap_or_default();
    request.extend(length.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    // Sequence and port number: there is only one question at a time.
    request.extend([0; 8]);
    request.extend([
        u8::try_from(family.as_raw()).unwrap_or_default(),
        u8::try_from(protocol).unwrap_or_default(),
        0,
        0,
    ]);
    request.extend(states.to_ne_bytes());
    request.resize(HEADER_BYTES + REQUEST_BYTES, 0);
    request
}

fn read(socket: impl AsFd, found: &mut Vec<(u16, u64)>) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..length];
        while let Some((kind, body, next)) = message(rest) {
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let errno = body
                        .first_chunk()
                        .map_or(libc::EIO, |bytes| -i32::from_ne_bytes(*bytes));
                    return Err(io::Error::from_raw_os_error(errno));
                }
                _ => found.extend(answer(body)),
            }
            rest = next;
        }
    }
}

/// The kind and body of the first message, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(HEADER_BYTES..length)?;
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((kind, body, &bytes[next..]))
}

fn answer(body: &[u8]) -> Option<(u16, u64)> {
    let body = body.get(..ANSWER_BYTES)?;
    let port = u16::from_be_bytes(*body[SOURCE_PORT..].first_chunk()?);
    let inode = u32::from_ne_bytes(*body[INODE..].first_chunk()?);
    Some((port, u64::from(inode)))
}
