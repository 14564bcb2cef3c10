//! A proxy between two parts that makes their network worse, without root and without their knowing.
//!
//! One part is given the proxy's address in place of the other's. What the proxy does to the traffic is a set of
//! named [`Toxic`]s, with toxiproxy's names and meanings where it has them, that can be changed while connections are
//! open. Nothing is sampled: a test that adds 100 ms gets 100 ms.

mod tcp;
mod toxic;
mod udp;

pub use tcp::TcpProxy;
pub use toxic::{Direction, Toxic, ToxicKind, Toxics};
pub use udp::UdpProxy;
