//! What a panic of seatrial itself looks like: the terminal is put right first, then it is said whose fault it is.
//!
//! Panics in tests do not come here: the runner keeps those for the tests' verdicts.

use std::{io::Write as _, panic, sync::Once};

/// Puts the hook in place, once.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            seatrial_report::restore_terminal();
            // `eprintln!` would panic again if standard error is closed.
            let _ = writeln!(std::io::stderr(), "seatrial itself failed; this is a bug:");
            default(info);
        }));
    });
}
