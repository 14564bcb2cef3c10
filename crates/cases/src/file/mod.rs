//! The files as they are written: one declared structure for each thing that a file can say.
//!
//! These mirror the text, with its sugar and its older spellings; [`plan`](crate::plan) is what they come to.

pub(crate) mod case;
pub(crate) mod part;
pub(crate) mod suite;
