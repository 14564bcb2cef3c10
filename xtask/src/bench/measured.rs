//! What a command took: wall, CPU and memory, of it and of all that it waited for.
//!
//! The kernel tells the memory of children only as the largest of all that a process ever waited for. So each
//! measured run has a parent of its own: this program, executed again as `cargo xtask measure`.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// What one execution of a command took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) wall_ms: f64,
    /// User and system time.
    pub(super) cpu_ms: f64,
    /// Of the largest of its processes.
    pub(super) rss_mb_max: f64,
    /// `None` when a signal ended it.
    exit_code: Option<i32>,
}

/// Runs a command and returns what it took; its output goes nowhere.
pub(super) fn measure(command: &Command) -> Result<Measured> {
    let mut measuring = Command::new(std::env::current_exe().context("the path of xtask")?);
    measuring
        .arg("measure")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => measuring.env(name, value),
            None => measuring.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        measuring.current_dir(dir);
    }
    let output = measuring.output().context("cannot run xtask again")?;
    let measured: Measured = serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        format!("cannot measure {command:?}: {said}")
    })?;
    if measured.exit_code != Some(0) {
        bail!("{command:?} ended with {:?}", measured.exit_code);
    }
    Ok(measured)
}

/// Runs it so often, after one run that only warms the caches, and returns the median of each figure.
pub(super) fn median_of(runs: usize, command: &Command) -> Result<Measured> {
    measure(command)?;
    let measured = (0..runs).map(|_| measure(command)).collect::<Result<Vec<_>>>()?;
    let of = |figure: fn(&Measured) -> f64| median(measured.iter().map(figure).collect());
    Ok(Measured {
        wall_ms: of(|measured| measured.wall_ms),
        cpu_ms: of(|measured| measured.cpu_ms),
        rss_mb_max: of(|measured| measured.rss_mb_max),
        exit_code: Some(0),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// `cargo xtask measure PROGRAM ARGUMENTS…`: the parent of one measured run. Prints JSON.
pub(crate) fn measure_into(program: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let wall = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("what the children used")?;
    let cpu = usage.user_time() + usage.system_time();
    #[allow(clippy::cast_precision_loss, reason = "no process has 2^53 KiB")]
    let measured = Measured {
        wall_ms: wall.as_secs_f64() * 1e3,
        cpu_ms: cpu.tv_sec() as f64 * 1e3 + cpu.tv_usec() as f64 / 1e3,
        // Linux counts in KiB, see getrusage(2).
        rss_mb_max: usage.max_rss() as f64 * 1024.0 / 1e6,
        exit_code: status.code(),
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 100.0]) - 3.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 100.0]) - 3.0).abs() < f64::EPSILON);
    }
}
