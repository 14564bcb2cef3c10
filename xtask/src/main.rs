//! What the project runs on itself, as `cargo xtask NAME`: a program in place of scripts, so that it can be tested
//! and needs no shell.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod bench;
mod cargo;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask NAME

  tidy          check the invariants that a machine can check
  docs          write anew what is generated under docs/
  bench NAME    measure, beside others, what the project promises; there is: ";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["tidy"] => tidy::run(&root()?),
        ["docs"] => docs(&root()?),
        ["bench", name, options @ ..] => bench::run(&root()?, name, options),
        // What `bench` starts itself again as.
        ["measure", program, arguments @ ..] => bench::measure_into(Path::new(program), arguments),
        _ => bail!("{USAGE}{}", bench::NAMES),
    }
}

/// Writes the generated documents. A test beside each generator says when its document is out of date, and writes it
/// when it is told to; so nothing heavy has to be linked in here.
fn docs(root: &Path) -> Result<()> {
    let status = cargo::command()
        .args([
            "test",
            "--quiet",
            "--package",
            "seatrial-cases",
            "--lib",
            "reference",
        ])
        .env("SEATRIAL_UPDATE_DOCS", "1")
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the documents could not be written: {status}");
    }
    Ok(())
}

/// The repository's root: where the workspace's manifest is.
fn root() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(own.parent().context("xtask stands in the workspace")?.to_owned())
}
