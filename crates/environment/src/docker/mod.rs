//! Containers: Docker, and Podman by its Docker-compatible socket.
//!
//! The engine is found as the `docker` command finds it, and spoken to in the newest version of the API that both
//! sides know. Nothing is needed inside an image but the program that is tested.

mod address;
mod archive;
mod credentials;
mod engine;
mod exec;
mod group;
mod image;
mod network;
mod part;
mod reaper;
mod spec;
mod subnet;
mod volume;

pub use address::{Address, Flavor, Host, NotFound, Surroundings, TlsFiles};
pub use credentials::CredentialError;
pub use engine::{ConnectError, Engine, check};
pub(crate) use group::Containers;
pub use image::{ImageError, Platform, ensure_image};
pub use network::NetworkError;
pub(crate) use part::ContainerPart;
pub(crate) use reaper::add_reapers;
pub use spec::{Bind, ContainerPort, ContainerSpec, HealthCheck, VolumeMount};
pub use subnet::{Subnet, SubnetError, Subnets};
