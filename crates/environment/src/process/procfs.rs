//! Process trees as `/proc` shows them.

use std::{collections::HashSet, fs};

/// Every process below `root`, without it. A tree that changes meanwhile may be seen in part; who has to be sure looks
/// again.
pub(super) fn descendants(root: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in children(pid) {
            if seen.insert(child) {
                found.push(child);
                next.push(child);
            }
        }
    }
    found
}

/// A thread's children are listed with the thread that forked them.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut children = Vec::new();
    for thread in threads.flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(
            list.split_ascii_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    children
}

/// Of `/proc/<pid>/stat`. The processor time is in ticks, and includes the children that it waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub(super) parent: u32,
    pub(super) session: u32,
    pub(super) cpu_ticks: u64,
    pub(super) is_zombie: bool,
}

pub(super) fn stat(pid: u32) -> Option<Stat> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, so fields count from the last parenthesis.
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3);
    Some(Stat {
        parent: field(4)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        cpu_ticks: (14..=17)
            .map(|number| field(number)?.parse::<u64>().ok())
            .sum::<Option<u64>>()?,
        is_zombie: matches!(*field(3)?, "Z" | "X" | "x"),
    })
}

/// The largest resident set that a process had, in bytes.
pub(super) fn peak_rss_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// All processes there are.
pub(super) fn all() -> Vec<u32> {
    let Ok(listing) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    listing
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn sees_own_children() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(descendants(std::process::id()).contains(&child.id()));
        assert_eq!(stat(child.id()).unwrap().parent, std::process::id());
        assert!(peak_rss_bytes(std::process::id()).unwrap() > 100_000);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(stat(child.id()).is_none());
    }
}
