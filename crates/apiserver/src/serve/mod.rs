//! The API on a loopback port: TLS, HTTP/1.1 and HTTP/2, client certificates, a kubeconfig.

mod certificates;
mod listen;

pub use listen::{ServeError, Served};
