//! Case files of seatrial: parsed, planned, and run as tests.

mod declare;
pub mod decode;
mod dialect;
mod discover;
mod file;
mod http;
pub mod json_path;
mod load;
pub mod log_lines;
pub mod node;
mod outline;
pub mod plan;
mod planner;
mod procedure;
mod reference;
pub mod run;
pub mod scalar;
pub mod schema;
pub mod source;
mod step;
pub mod template;
mod tolerant;
pub mod vocabulary;

pub use discover::SUITE_FILE;
pub use load::{LoadOptions, Loaded, load};
pub use outline::{CaseOutline, FileOutline, StepOutline, outline};
pub use reference::reference_markdown;
