//! Each kind of step: what makes it pass, and what it says when it does not.

mod exec;
mod exits;
mod file_contains;
mod http_check;
mod log_contains;
mod port_listening;
mod process_stable_for;
mod send;
