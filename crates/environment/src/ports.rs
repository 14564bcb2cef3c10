//! Ports that are free, and stay the group's until it is torn down.
//!
//! A port is found by probing, never fixed. Between the probe and the target's bind another test could find the same
//! one, so each is claimed by binding an abstract Unix socket named after it: atomic, seen by every seatrial of every
//! user of this network namespace (which is the scope of ports, too), and gone with the process that claimed it, however
//! that ends. Ports come from outside the ephemeral range, so that no outgoing connection takes one meanwhile.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::BuildHasher as _,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    ops::RangeInclusive,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddr, UnixDatagram},
    },
};

/// Below it are too many services that people know by number.
const LOWEST: u16 = 10_000;

/// Linux's default, where `/proc` does not say.
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// A port that is free for TCP and UDP, on IPv4 and IPv6, and claimed for as long as this lives.
#[derive(Debug)]
pub struct PortClaim {
    port: u16,
    _claim: UnixDatagram,
}

impl PortClaim {
    /// Finds and claims a free port.
    ///
    /// # Errors
    ///
    /// When there is none, or sockets cannot be made.
    pub fn any() -> io::Result<Self> {
        let candidates = candidates(&ephemeral_range());
        // From a random place on, or many seatrials would step through the same claimed ports.
        let start = usize::try_from(RandomState::new().hash_one(std::process::id()) % (1 << 31)).unwrap_or(0);
        for step in 0..candidates.len() {
            let port = candidates[(start + step) % candidates.len()];
            if let Some(claim) = Self::claim(port)? {
                return Ok(claim);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no port is free"))
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn claim(port: u16) -> io::Result<Option<Self>> {
        let name = UnixAddr::from_abstract_name(format!("seatrial/port/{port}"))?;
        let claim = match UnixDatagram::bind_addr(&name) {
            Ok(claim) => claim,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(None),
            Err(error) => return Err(error),
        };
        let free = is_free(port)?;
        Ok(free.then_some(Self { port, _claim: claim }))
    }
}

/// Whether every way to bind it is open now.
fn is_free(port: u16) -> io::Result<bool> {
    for address in [
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    ] {
        for bound in [
            TcpListener::bind(address).map(drop),
            UdpSocket::bind(address).map(drop),
        ] {
            match bound {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(false),
                // EAFNOSUPPORT (97): a kernel without IPv6 has nothing there to clash with.
                Err(error)
                    if address.is_ipv6() && matches!(error.kind(), io::ErrorKind::AddrNotAvailable) => {}
                Err(error) if address.is_ipv6() && error.raw_os_error() == Some(97) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(true)
}

fn ephemeral_range() -> RangeInclusive<u16> {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| {
            let (low, high) = text.trim().split_once(char::is_whitespace)?;
            Some(low.trim().parse().ok()?..=high.trim().parse().ok()?)
        })
        .unwrap_or(EPHEMERAL)
}

/// Where the ephemeral range leaves less than this, its ports are candidates too.
const CANDIDATES_MIN: usize = 1_000;

fn candidates(ephemeral: &RangeInclusive<u16>) -> Vec<u16> {
    let all = LOWEST..=u16::MAX;
    let outside: Vec<_> = all.clone().filter(|port| !ephemeral.contains(port)).collect();
    if outside.len() < CANDIDATES_MIN {
        all.collect()
    } else {
        outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn claims_are_distinct_and_bindable() {
        let claims: Vec<_> = (0..50).map(|_| PortClaim::any().unwrap()).collect();
        let ports: BTreeSet<_> = claims.iter().map(PortClaim::port).collect();
        assert_eq!(ports.len(), claims.len());
        let port = claims[0].port();
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!ephemeral_range().contains(&port));
    }

    #[test]
    fn a_port_in_use_is_not_claimed() {
        let claim = PortClaim::any().unwrap();
        let port = claim.port();
        assert!(PortClaim::claim(port).unwrap().is_none(), "claimed twice");
        drop(claim);
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(PortClaim::claim(port).unwrap().is_none(), "claimed though in use");
        drop(taken);
        assert!(PortClaim::claim(port).unwrap().is_some());
    }

    #[test]
    fn candidates_avoid_the_ephemeral_range() {
        assert!(
            candidates(&EPHEMERAL)
                .iter()
                .all(|port| !EPHEMERAL.contains(port))
        );
        assert_eq!(candidates(&(1024..=65_535)).len(), 55_536);
    }
}
