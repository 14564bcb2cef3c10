//! A procedure's steps: which step is meant, its options, its parameters, and whether every name in it leads somewhere.
//!
//! A step is a mapping with its name as a key, `log_contains: {pattern: ready}`, and options beside it. Parameters may stand
//! beneath the name or beside it. The dialects of other harnesses name it in a value: `assertion: log_contains`,
//! `action: exec`, `type: log_contains`, with the parameters beside. All of these become one list of entries, which is
//! split into options and parameters; behind that point there is one way to decode a step.
//!
//! Steps are decoded in order, because what one saves is in scope for the next. The steps of a suite's own step are
//! decoded once, where they are defined; what they need of the place of use is checked there.

mod decode;
mod define;
mod identify;
mod need;
mod options;

pub(crate) use decode::Procedures;
pub(crate) use define::{Definition, define};
pub(crate) use identify::{cut_label, is_vocabulary};
pub(crate) use need::{Surroundings, check_reference};
pub(crate) use options::{Retry, StepOptions};
