//! The Kubernetes API inside the process.
//!
//! [`ApiServer`] is one tower `Service`: requests go in as `http::Request`, answers come out, no socket between. What
//! kubectl, client-go and kube-rs see is Kubernetes 1.33; where a rule is unclear, upstream's behaviour is right.
//!
//! ```text
//! server ──► request, query, media        what is asked for
//!    │  └──► discovery, openapi           what there is
//!    ▼
//! handlers ──► strategy ──► crd, builtin  one file per verb; what differs between kinds
//!    │   └──► patching, strategic, apply, schema
//!    ▼
//! store                                   bytes under keys, all versions in one order
//! ```

mod api;
mod apply;
mod builtin;
mod clock;
mod crd;
mod discovery;
mod gzip;
mod handlers;
mod json;
mod jsonpath;
mod media;
mod meta;
mod names;
mod openapi;
mod patching;
mod query;
mod registry;
mod reply;
mod request;
mod schema;
mod selector;
mod serve;
mod server;
mod status;
mod store;
mod strategic;
mod strategy;
mod table;
mod yaml;

pub use clock::{Clock, ManualClock, SystemClock};
pub use reply::{Body, Reply};
pub use serve::{ServeError, Served};
pub use server::{ApiServer, Builder};
pub use status::{Cause, Details, Status};
