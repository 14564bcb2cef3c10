//! Case files of seatrial: parsed, planned, and run as tests.

mod declare;
pub mod decode;
mod http;
pub mod json_path;
pub mod log_lines;
pub mod node;
pub mod plan;
pub mod run;
pub mod scalar;
pub mod source;
mod step;
pub mod template;
pub mod vocabulary;
