//! Containers: Docker, and Podman by its Docker-compatible socket.
//!
//! The engine is found as the `docker` command finds it, and spoken to in the newest version of the API that both
//! sides know. Nothing is needed inside an image but the program that is tested.

mod address;
mod credentials;
mod engine;
mod image;
mod subnet;

pub use address::{Address, Flavor, Host, NotFound, Surroundings, TlsFiles};
pub use credentials::CredentialError;
pub use engine::{ConnectError, Engine, check};
pub use image::{ImageError, Platform, ensure_image};
pub use subnet::{Subnet, SubnetError, Subnets};
