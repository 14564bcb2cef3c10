//! From files to plans: defaults filled in, parts put together, every name led somewhere.

pub(crate) mod case;
pub(crate) mod fixture;
pub(crate) mod matrix;
pub(crate) mod part;
pub(crate) mod suite;
