//! The command line: what people type, as they type it.
//!
//! A flag's definition, its documentation and its test stand together, in the file named after its purpose; help
//! is grouped the same way. Every flag is also an environment variable, `SEATRIAL_` and its long name. What flags
//! *mean* is resolved once, by [`crate::resolve`]; nothing behind that knows a flag.

mod command;
mod configuration;
mod debugging;
mod output;
mod running;
mod selection;
mod value;

pub(crate) use command::{
    CheckArgs, Cli, Command, CompletionsArgs, DoctorArgs, ListArgs, ManArgs, ReapArgs, RunArgs, SchemaArgs,
    SchemaOf, ShowArgs,
};
pub(crate) use configuration::ConfigurationArgs;
pub(crate) use debugging::DebuggingArgs;
pub(crate) use output::{ColorChoice, OutputArgs, OutputFormat, ScreenArgs};
pub(crate) use running::RunningArgs;
pub(crate) use selection::{PathArgs, SelectionArgs};
