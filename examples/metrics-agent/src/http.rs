//! As much HTTP/1.1 as a small agent needs, over hyper: serve requests whole, send requests whole.
//!
//! Bodies are read into memory up to a bound. That is all the API, the forwarder and the sink need,
//! and it leaves them plain functions from a request to a response.

mod client;
mod server;
mod tls;

pub use client::{Client, RequestError, UrlError};
pub use server::{Request, Response, serve};
pub use tls::{ClientFiles, TlsError, server_config};

/// No body may be longer than this, in either direction.
const BODY_BYTES_MAX: usize = 16 << 20;
