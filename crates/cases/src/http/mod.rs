//! A small HTTP client for asking a target, over connections that somebody else opens.
//!
//! It keeps no pool and follows no redirects: a test asks one question and wants to see that answer. Because the
//! connection is given to it, the same code asks a host process, a part in a network namespace of its own, or a
//! container's mapped port. Every way of not getting an answer has its own short wording, so that "refused 43 times,
//! then 503" can be told from what was seen.

mod client;
mod expect;
mod tls;

pub(crate) use client::{FetchError, Request, Response, Url, fetch, plainly};
pub(crate) use expect::{Expected, shortened};
pub(crate) use tls::{ClientIdentity, Trust, connector};

#[cfg(test)]
mod tests;
