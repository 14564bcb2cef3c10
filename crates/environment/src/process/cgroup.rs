//! Leaves of the cgroup v2 tree.
//!
//! A leaf is made below seatrial's own cgroup, wherever the v2 tree is mounted: at `/sys/fs/cgroup`, or beside a v1 tree
//! (systemd calls that hybrid) at `/sys/fs/cgroup/unified`. It needs no controllers, only `cgroup.kill` (Linux 5.14).

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// `cgroup.events` can be watched, but the tree dies in a few milliseconds, so looking again is simpler.
const POLL: Duration = Duration::from_millis(2);

/// Seatrial's own cgroup as a directory; none where there is no v2 tree, or it is not in it.
pub(super) fn own() -> Option<PathBuf> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| directory(line, own))
}

/// The directory of the cgroup `own`, if the line of `mountinfo` is a mount of a v2 tree that has it.
/// `36 35 98:0 /root /mount/point rw,noatime master:1 - cgroup2 cgroup2 rw`.
fn directory(mount: &str, own: &str) -> Option<PathBuf> {
    let (mount, kind) = mount.split_once(" - ")?;
    if !kind.starts_with("cgroup2 ") {
        return None;
    }
    let mut fields = mount.split(' ');
    let root = fields.nth(3)?;
    let point = fields.next()?;
    let below = Path::new(own).strip_prefix(root).ok()?;
    // Outside of what a cgroup namespace shows.
    let is_outside = below
        .components()
        .any(|part| part == std::path::Component::ParentDir);
    (!is_outside).then(|| Path::new(point).join(below))
}

/// Makes a leaf.
pub(super) fn create(leaf: &Path) -> io::Result<()> {
    fs::create_dir(leaf)?;
    if leaf.join("cgroup.kill").exists() {
        return Ok(());
    }
    fs::remove_dir(leaf)?;
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this kernel has no cgroup.kill",
    ))
}

/// Sends SIGKILL to every process in it, now and as they fork.
pub(super) fn kill(leaf: &Path) -> io::Result<()> {
    match fs::write(leaf.join("cgroup.kill"), "1") {
        Err(error) if is_gone(&error) => Ok(()),
        other => other,
    }
}

/// The processes in it and below it.
pub(super) fn pids(leaf: &Path) -> Vec<u32> {
    let mut pids = Vec::new();
    let mut next = vec![leaf.to_owned()];
    while let Some(dir) = next.pop() {
        let list = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        pids.extend(list.lines().filter_map(|pid| pid.parse::<u32>().ok()));
        next.extend(children(&dir));
    }
    pids
}

/// Removes it, with what the target made below it, once the last process is gone.
pub(super) fn remove(leaf: &Path, deadline: Instant) -> io::Result<()> {
    loop {
        match remove_now(leaf) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                thread::sleep(POLL);
            }
            other => return other,
        }
    }
}

fn remove_now(dir: &Path) -> io::Result<()> {
    for child in children(dir) {
        remove_now(&child)?;
    }
    match fs::remove_dir(dir) {
        Err(error) if is_gone(&error) => Ok(()),
        other => other,
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(dir) else {
        return Vec::new();
    };
    listing
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// ENODEV (19) is what a file of a cgroup gives that was removed meanwhile.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_v2_tree_wherever_it_is() {
        let hybrid = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        assert_eq!(directory(hybrid, "/"), Some("/sys/fs/cgroup/unified/".into()));
        assert_eq!(
            directory(hybrid, "/a/b"),
            Some("/sys/fs/cgroup/unified/a/b".into())
        );
        let v1 = "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd";
        assert_eq!(directory(v1, "/"), None);
        let part = "41 31 0:38 /a /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(directory(part, "/a/b"), Some("/sys/fs/cgroup/b".into()));
        assert_eq!(directory(part, "/c"), None);
        assert_eq!(directory(hybrid, "/../x"), None);
    }
}
