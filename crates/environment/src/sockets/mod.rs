//! Who listens where, from the kernel's socket tables.
//!
//! Connecting would disturb the target (a connection that says nothing, a line in its log), cannot work for UDP, and
//! does not tell the target from somebody else on the same port. The tables are those of the target's own network
//! namespace, and a socket counts only when one of its processes holds it.

mod diag;
mod listening;
mod looks;
mod tables;

pub(crate) use diag::socket as diag_socket;
#[cfg(feature = "docker")]
pub(crate) use listening::anybody_listening;
pub use listening::{Endpoint, Holder, Listening};
pub(crate) use listening::{listening, wait};
pub use looks::Looks;
pub(crate) use tables::SocketTables;
