//! `cargo xtask tidy`: the invariants of DESIGN and ARCHITECTURE.md that a machine can check.
//!
//! A rule is a row of a table: a name, the reason that it exists, and a function from the repository to findings.
//! All rules run, and all their findings are told at once. Where a rule is wrong about a line, the line says so and
//! why, in a comment: `// tidy: RULE: the reason`.

mod manifests;
mod masked;
mod repository;
mod rule;
mod rust_files;
mod texts;

pub(crate) use rule::run;
