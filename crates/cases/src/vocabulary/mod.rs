//! The steps that a procedure can have, and their parameters.
//!
//! Only the declarations: what each does is in `step/`. One table gives the decoder, the schema, the reference and the
//! enum that the executor matches on, so a step that is declared but not executed does not compile.

mod command;
mod expectation;
mod steps;
mod table;
mod word;

pub use command::{Command, PortReference};
pub use expectation::{Count, ReplyExpectation, StatusExpectation, StatusPattern};
pub use steps::{
    Exec, Exits, FileContains, HttpCheck, LogContains, LogNotContains, PortListening, ProcessStableFor,
    Restart, Send, SendSignal, Sleep, WriteFile,
};
pub use table::{StepInfo, StepKind, VOCABULARY};
pub use word::{Protocol, Since, Stream};
