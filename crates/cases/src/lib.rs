//! Case files of seatrial: parsed, planned, and run as tests.

mod http;
pub mod json_path;
pub mod log_lines;
