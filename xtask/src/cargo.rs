//! cargo inside of cargo.

use std::{env, process::Command};

/// The cargo that started this program, without what it says in the environment about *this* package: build scripts that
/// look at it (ring's does) would run again, and all that stands on them be compiled again.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let is_of_package = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_CRATE_",
            "CARGO_BIN_",
            "CARGO_PRIMARY_",
        ]
        .iter()
        .any(|prefix| name.to_string_lossy().starts_with(prefix));
        if is_of_package {
            command.env_remove(name);
        }
    }
    command
}
