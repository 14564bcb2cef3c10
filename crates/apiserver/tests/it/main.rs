//! The API server through its `Service`: no socket but where the socket is what is tested.

mod client;
mod scenarios;
mod sockets;
mod watches;
mod writers;
