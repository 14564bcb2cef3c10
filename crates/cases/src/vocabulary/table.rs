//! The table of all steps: their names, their parameters, their timeouts, what can be saved of them.

use super::steps::{
    Exec, Exits, FileContains, HttpCheck, LogContains, LogNotContains, PortListening, ProcessStableFor,
    Restart, Send, SendSignal, Sleep, WriteFile,
};
use crate::{
    decode::{Decode, Decoder, StructInfo},
    node::Node,
    plan::{DefinedStep, StepPlan, UnservedStep},
};

/// A step of the vocabulary, as the schema and the reference know it.
pub struct StepInfo {
    /// Its name in a procedure.
    pub name: &'static str,
    /// Names that other tools' files have for it.
    pub aliases: &'static [&'static str],
    /// Its parameters.
    pub info: fn() -> &'static StructInfo,
    /// Its timeout where none is given; `None` for a step that says itself how long it takes.
    pub timeout: Option<&'static str>,
    /// What `save:` can name besides JSON paths: each output, and what it is.
    pub outputs: &'static [(&'static str, &'static str)],
}

macro_rules! vocabulary {
    ($( $variant:ident = $name:literal $(also $($alias:literal)|+)?, timeout $timeout:expr, outputs [$($output:literal: $meaning:literal),*]; )*) => {
        /// What a step does.
        #[derive(Clone, Debug)]
        pub enum StepKind {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant(Box<$variant>),
            )*
            /// A block of steps that run side by side.
            Parallel(Vec<StepPlan>),
            /// A step that the suite defines.
            Defined(DefinedStep),
            /// A step that is known by name, and which nothing here can do: its test is skipped.
            Unserved(UnservedStep),
        }

        /// All steps of the vocabulary, in the order of the reference.
        pub static VOCABULARY: &[StepInfo] = &[
            $( StepInfo {
                name: $name,
                aliases: &[$($($alias),+)?],
                info: $variant::info,
                timeout: $timeout,
                outputs: &[$(($output, $meaning)),*],
            } ),*
        ];

        impl StepKind {
            /// The step's name in a procedure.
            pub fn name(&self) -> &str {
                match self {
                    $( Self::$variant(_) => $name, )*
                    Self::Parallel(_) => "parallel",
                    Self::Defined(step) => &step.name,
                    Self::Unserved(step) => &step.name,
                }
            }

            /// Decodes a step's parameters by its name; the outer `None` is a name that the vocabulary has not.
            pub(crate) fn decode(name: &str, parameters: &Node, decoder: &mut Decoder) -> Option<Self> {
                match name {
                    $( $name $($(| $alias)+)? => <$variant as Decode>::decode(parameters, decoder).map(|step| Self::$variant(Box::new(step))), )*
                    _ => None,
                }
            }
        }
    };
}

vocabulary! {
    ProcessStableFor = "process_stable_for", timeout None, outputs [];
    Exits = "exits" also "exit" | "process_exits" | "adp_exits_with", timeout Some("30s"), outputs ["code": "the exit code", "signal": "the signal's name"];
    PortListening = "port_listening", timeout Some("30s"), outputs [];
    LogContains = "log_contains", timeout Some("30s"), outputs ["line": "the first line that matched", "match": "what the pattern matched", "match.NAME": "a group of the regular expression, by name or number"];
    LogNotContains = "log_not_contains", timeout None, outputs [];
    HttpCheck = "http_check" also "health_check", timeout Some("30s"), outputs ["body": "the body", "status": "the status", "header.NAME": "a header"];
    FileContains = "file_contains", timeout Some("30s"), outputs ["content": "the file's text", "match": "what the pattern matched", "match.NAME": "a group of the regular expression, by name or number"];
    Exec = "exec" also "target_exec" | "container_exec", timeout Some("30s"), outputs ["stdout": "its standard output", "stderr": "its standard error", "code": "its exit code"];
    Send = "send", timeout Some("10s"), outputs ["reply": "what was answered"];
    SendSignal = "signal", timeout Some("10s"), outputs [];
    Restart = "restart", timeout Some("60s"), outputs [];
    WriteFile = "write_file", timeout Some("10s"), outputs [];
    Sleep = "sleep", timeout None, outputs [];
}
