//! What a machine may have or lack, each with a probe that tries the thing itself.
//!
//! A file that exists proves little: a Docker socket may have no daemon behind it, a kernel may know user
//! namespaces and forbid them. So every probe does the smallest real thing, and what it cannot do becomes a
//! reason and an advice. Any name that is not in the table is a program on the `PATH`.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use rustix::thread::{UnshareFlags, unshare_unsafe};
use seatrial_engine::{Requirement, Unmet};

/// The requirement of this name: one of [`known`], or else a program on the `PATH`.
pub fn named(name: &str) -> Arc<dyn Requirement> {
    match TABLE.iter().find(|row| row.name == name) {
        Some(row) => Arc::new(row.clone()),
        None => program(name),
    }
}

/// A program on the `PATH`.
pub fn program(name: &str) -> Arc<dyn Requirement> {
    Arc::new(Program(name.to_owned()))
}

/// The requirements that have a name of their own, in the order in which `doctor` shows them.
pub fn known() -> Vec<Arc<dyn Requirement>> {
    TABLE.iter().map(|row| Arc::new(row.clone()) as _).collect()
}

/// Where a program is on the `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    find_in(&env::var_os("PATH")?, name)
}

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    let is_program = |file: &Path| {
        file.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|file| is_program(file));
    }
    env::split_paths(path)
        .map(|dir| dir.join(name))
        .find(|file| is_program(file))
}

#[derive(Clone)]
struct Row {
    name: &'static str,
    check: fn() -> Result<String, Unmet>,
}

const TABLE: &[Row] = &[
    row("root", root),
    row("user-namespaces", user_namespaces),
    row("network-namespaces", network_namespaces),
    row("cgroup-kill", cgroup_kill),
    row("docker", docker),
    row("podman", podman),
    row("kvm", kvm),
    row("fuse", fuse),
    row("kubectl", || version("kubectl", &["version", "--client"])),
    row("go", || version("go", &["version"])),
    row("python3", || version("python3", &["--version"])),
    row("git", || version("git", &["--version"])),
];

const fn row(name: &'static str, check: fn() -> Result<String, Unmet>) -> Row {
    Row { name, check }
}

impl Requirement for Row {
    fn name(&self) -> &str {
        self.name
    }

    fn check(&self) -> Result<String, Unmet> {
        (self.check)()
    }
}

struct Program(String);

impl Requirement for Program {
    fn name(&self) -> &str {
        &self.0
    }

    fn check(&self) -> Result<String, Unmet> {
        on_path(&self.0).map(|file| file.display().to_string())
    }
}

fn on_path(name: &str) -> Result<PathBuf, Unmet> {
    find_program(name).ok_or_else(|| {
        Unmet::because(format!("no {name} on the PATH")).help(format!(
            "install the package that has {name}, or put its directory on the PATH"
        ))
    })
}

fn root() -> Result<String, Unmet> {
    if rustix::process::geteuid().is_root() {
        Ok("uid 0".into())
    } else {
        let uid = rustix::process::geteuid().as_raw();
        Err(Unmet::because(format!("running as uid {uid}")).help("run seatrial as root, such as with sudo"))
    }
}

fn user_namespaces() -> Result<String, Unmet> {
    try_unshare(UnshareFlags::NEWUSER)
        .map(|()| "can be made".into())
        .map_err(|error| {
            Unmet::because(format!("a user namespace cannot be made: {error}")).help(namespace_advice())
        })
}

fn network_namespaces() -> Result<String, Unmet> {
    let as_root = rustix::process::geteuid().is_root() && try_unshare(UnshareFlags::NEWNET).is_ok();
    if as_root {
        return Ok("can be made, as root".into());
    }
    try_unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)
        .map(|()| "can be made, inside a user namespace".into())
        .map_err(|error| {
            Unmet::because(format!("a network namespace cannot be made: {error}")).help(namespace_advice())
        })
}

/// What most often forbids namespaces, looked up where the kernel says it.
fn namespace_advice() -> String {
    let sysctl = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let forbidding = [
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "10000"),
    ];
    for (name, forbids, allows) in forbidding {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        if sysctl(&path).is_ok_and(|value| value == forbids) {
            return format!("`sysctl -w {name}={allows}` as root allows it");
        }
    }
    "run as root; in a container, it needs the capability SYS_ADMIN or a seccomp profile that allows unshare"
        .into()
}

/// Makes namespaces in a child that ends at once.
fn try_unshare(flags: UnshareFlags) -> io::Result<()> {
    let mut child = Command::new("/proc/self/exe");
    child
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // The child never gets to the program: what is asked for is known before.
    const DONE: i32 = 0x5ea;
    // SAFETY: runs between fork and exec, in a process with one thread; it makes one system call and allocates
    // nothing. No file descriptors are unshared, so none of Rust's are affected.
    #[allow(unsafe_code)]
    unsafe {
        child.pre_exec(move || {
            unshare_unsafe(flags)?;
            Err(io::Error::from_raw_os_error(DONE))
        });
    }
    match child.spawn() {
        Err(error) if error.raw_os_error() == Some(DONE) => Ok(()),
        Err(error) => Err(error),
        Ok(mut child) => child.wait().map(drop),
    }
}

fn cgroup_kill() -> Result<String, Unmet> {
    let advice = "without it seatrial follows a test's processes by their parents; \
                  root on a kernel from 5.14 on with cgroup v2 mounted has it, and so has `systemd-run --user --scope`";
    let own = own_cgroup().map_err(|why| Unmet::because(why).help(advice))?;
    let leaf = own.join(format!("seatrial-doctor-{}", std::process::id()));
    fs::create_dir(&leaf).map_err(|error| {
        Unmet::because(format!("no cgroup can be made in {}: {error}", own.display())).help(advice)
    })?;
    let can_kill = leaf.join("cgroup.kill").exists();
    // An empty cgroup can always be removed; one that cannot is seen by the next `mkdir` of the same name.
    let _ = fs::remove_dir(&leaf);
    if can_kill {
        Ok(format!("cgroups can be made in {}", own.display()))
    } else {
        Err(Unmet::because("this kernel has no cgroup.kill").help(advice))
    }
}

/// The directory of this process's cgroup in the unified hierarchy.
fn own_cgroup() -> Result<PathBuf, String> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
    let mount = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (dir, kind) = (fields.nth(1)?, fields.next()?);
            (kind == "cgroup2").then_some(dir)
        })
        .next()
        .ok_or("no cgroup v2 is mounted")?;
    let cgroups = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    let path = cgroups
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .ok_or("this process is in no cgroup v2")?;
    Ok(Path::new(mount).join(path))
}

#[cfg(feature = "docker")]
fn docker() -> Result<String, Unmet> {
    crate::docker::check(crate::docker::Flavor::Docker)
}

#[cfg(feature = "docker")]
fn podman() -> Result<String, Unmet> {
    crate::docker::check(crate::docker::Flavor::Podman)
}

#[cfg(not(feature = "docker"))]
fn docker() -> Result<String, Unmet> {
    Err(Unmet::because("this seatrial is built without containers")
        .help("build it with its feature `docker`"))
}

#[cfg(not(feature = "docker"))]
fn podman() -> Result<String, Unmet> {
    docker()
}

fn kvm() -> Result<String, Unmet> {
    open_device(
        "/dev/kvm",
        "enable virtualization in the firmware, or nested virtualization in the hypervisor, and load the kvm module",
    )
}

fn fuse() -> Result<String, Unmet> {
    let device = open_device(
        "/dev/fuse",
        "load the fuse module; a container needs `--device /dev/fuse`",
    )?;
    if rustix::process::geteuid().is_root() {
        return Ok(device);
    }
    match ["fusermount3", "fusermount"].into_iter().find_map(find_program) {
        Some(mounter) => Ok(format!("{device}, {}", mounter.display())),
        None => Err(
            Unmet::because("no fusermount3 on the PATH, and only root mounts without it")
                .help("install fuse3"),
        ),
    }
}

fn open_device(path: &str, advice: &str) -> Result<String, Unmet> {
    match File::options().read(true).write(true).open(path) {
        Ok(_) => Ok(path.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Unmet::because(format!("there is no {path}")).help(advice))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Unmet::because(format!("{path} may not be opened by this user"))
                .help(format!("add the user to the group of {path}, or run as root")))
        }
        Err(error) => Err(Unmet::because(format!("{path} cannot be opened: {error}")).help(advice)),
    }
}

/// A program and the first line that it says about itself.
fn version(name: &str, args: &[&str]) -> Result<String, Unmet> {
    let file = on_path(name)?;
    let output = Command::new(&file)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Unmet::because(format!("{} does not start: {error}", file.display())))?;
    let said = if output.status.success() {
        &output.stdout
    } else {
        &output.stderr
    };
    let said = String::from_utf8_lossy(said);
    let line = said.lines().next().unwrap_or_default().trim();
    if output.status.success() {
        Ok(format!("{line} ({})", file.display()))
    } else {
        Err(Unmet::because(format!(
            "{} does not work: {line}",
            file.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_a_program() {
        assert_eq!(named("docker").name(), "docker");
        assert_eq!(
            named("sh").check(),
            Ok(find_program("sh").unwrap().display().to_string())
        );
        let unmet = named("no-such-program").check().unwrap_err();
        assert_eq!(unmet.reason, "no no-such-program on the PATH");
        assert!(unmet.help.is_some());
    }

    #[test]
    fn only_what_may_be_executed_is_a_program() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tool");
        fs::write(&file, "").unwrap();
        assert_eq!(find_in(dir.path().as_os_str(), "tool"), None);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_in(dir.path().as_os_str(), "tool"), Some(file));
    }

    #[test]
    fn names_are_unique_and_every_probe_ends() {
        let known = known();
        let mut names: Vec<_> = known.iter().map(|one| one.name().to_owned()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), known.len());
        for one in known {
            match one.check() {
                Ok(found) => assert!(!found.is_empty(), "{}", one.name()),
                Err(unmet) => assert!(!unmet.reason.is_empty(), "{}", one.name()),
            }
        }
    }
}
