//! The benches by name.

use std::path::Path;

use anyhow::{Result, bail};

use super::{engine, figure::Figure};

type Bench = fn(root: &Path, options: &[&str]) -> Result<Vec<Figure>>;

/// Every bench: its name, what it measures, and what does it.
const BENCHES: &[(&str, &str, Bench)] = &[(
    "engine",
    "the runner and the command alone; --libtest adds libtest (compiles for minutes)",
    engine::figures,
)];

/// What there is, for the usage text.
pub(crate) const NAMES: &str = "engine";

pub(crate) fn run(root: &Path, name: &str, options: &[&str]) -> Result<()> {
    let Some((_, what, bench)) = BENCHES.iter().find(|(known, ..)| *known == name) else {
        bail!("there is no bench {name:?}; there is: {NAMES}");
    };
    println!("{name}: {what}\n");
    let figures = bench(root, options)?;
    println!("\n{}", super::figure::table(&figures));
    Ok(())
}
