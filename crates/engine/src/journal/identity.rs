//! Which process it is, beyond its number: PIDs are used again, and a journal outlives reboots.

use serde::{Deserialize, Serialize};
use std::{fs, io, sync::OnceLock};

/// A process of this machine, for all time: no other ever has the same PID, start time and boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its PID.
    pub pid: u32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
    pub start_ticks: u64,
    /// The boot it ran in.
    pub boot: String,
}

impl ProcessIdentity {
    /// This process.
    ///
    /// # Errors
    ///
    /// When `/proc` cannot be read.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "/proc does not show this process"))
    }

    /// The process that has this PID now; none if there is none, or only what is left to be waited for.
    ///
    /// # Errors
    ///
    /// When `/proc` cannot be read.
    pub fn of(pid: u32) -> io::Result<Option<Self>> {
        let Some(start_ticks) = start_ticks(pid)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            pid,
            start_ticks,
            boot: boot_id()?.to_owned(),
        }))
    }

    /// Whether it runs still. One that is dead but not waited for does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot)
            && start_ticks(self.pid).is_ok_and(|start| start == Some(self.start_ticks))
    }
}

/// The id of the current boot.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn boot_id() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot);
    }
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| text.trim().to_owned()))
}

fn start_ticks(pid: u32) -> io::Result<Option<u64>> {
    let stat = match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        // ESRCH: it ended between open and read.
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(parse_stat(&stat))
}

/// The start time from a `stat` line, unless the process is dead. Its second field, the name, may hold anything, so
/// fields count from the last parenthesis.
fn parse_stat(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // The state is field 3, the start time field 22.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_is_alive_and_another_start_time_is_not() {
        let own = ProcessIdentity::own().unwrap();
        assert!(own.is_alive());
        let recycled = ProcessIdentity {
            start_ticks: own.start_ticks - 1,
            ..own.clone()
        };
        assert!(!recycled.is_alive());
        let other_boot = ProcessIdentity {
            boot: "another".to_owned(),
            ..own
        };
        assert!(!other_boot.is_alive());
    }

    #[test]
    fn names_cannot_mislead() {
        let stat = b"7 (a) Z 1 (b)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(parse_stat(stat), Some(4242));
        assert_eq!(
            parse_stat(b"7 (a) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20"),
            None
        );
    }
}
