//! Tests that do nothing, or only wait: what `cargo xtask bench engine` measures the runner with.
//!
//! `BENCH_TESTS` says how many, `BENCH_WAIT_S` for how many seconds each of them waits. Variables, because the command
//! line is the one that is measured.

use std::{process::ExitCode, time::Duration};

fn main() -> ExitCode {
    let count = variable("BENCH_TESTS").unwrap_or(10_000);
    let wait = variable("BENCH_WAIT_S").map(Duration::from_secs);
    seatrial::main((0..count).map(|number| {
        seatrial::test(format!("nothing_{number}"), move |_context| async move {
            if let Some(wait) = wait {
                tokio::time::sleep(wait).await;
            }
        })
    }))
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
