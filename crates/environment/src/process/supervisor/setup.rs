//! Becoming a supervisor: away from seatrial's terminal, signals and descriptors, and into the namespaces that hold the
//! part.

use super::{
    super::{
        hold::Hold,
        protocol::{NetworkSetup, Setup},
    },
    spawn::Cgroup,
};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask},
};
use std::{
    fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
};

/// Leaves session, terminal, inherited descriptors and signal handling behind. Descriptors 0 to 2 stay.
pub(crate) fn detach(name: &str) {
    // SAFETY: nothing in this process, which has not reached its main, has opened a descriptor that it still uses.
    #[allow(unsafe_code)]
    unsafe {
        libc::close_range(3, libc::c_uint::MAX, 0);
    }
    for number in 1..=64 {
        // SAFETY: sets the default action, runs no code. Refused for SIGKILL, SIGSTOP and those of the C library.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(number, libc::SIG_DFL);
        }
    }
    // Blocked, not ignored: what is ignored stays ignored in the programs that are started from here.
    let mut blocked = SigSet::empty();
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGPIPE,
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGTSTP,
        Signal::SIGCHLD,
    ] {
        blocked.add(signal);
    }
    // None of these has a reason to fail, and no remedy if it does.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None);
    let _ = rustix::process::setsid();
    drop(std::ffi::CString::new(name).map(|name| rustix::thread::set_name(&name)));
}

/// What could not be set up.
#[derive(Debug)]
pub(super) struct SetupError {
    pub(super) doing: &'static str,
    pub(super) errno: i32,
}

fn failed<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> SetupError {
    move |error| SetupError {
        doing,
        errno: error.into().raw_os_error().unwrap_or(libc::EIO),
    }
}

/// Enters what holds the part. With a PID namespace the process that returns is another one, the first in there.
/// Returns the cgroup, if there is one.
pub(super) fn enter(setup: &Setup, namespaces: &[OwnedFd]) -> Result<Option<Cgroup>, SetupError> {
    let is_root = rustix::process::geteuid().is_root();
    let mut joined_user_namespace = false;
    if let NetworkSetup::Join { user_namespace } = setup.network {
        let mut namespaces = namespaces.iter();
        let mut join = |flag, doing| match namespaces.next() {
            Some(namespace) => setns(namespace, flag).map_err(failed(doing)),
            None => Err(failed(doing)(io::Error::from_raw_os_error(libc::EBADF))),
        };
        if user_namespace {
            // First: it is what gives the right to the other.
            join(CloneFlags::CLONE_NEWUSER, "join the network's user namespace")?;
            joined_user_namespace = true;
        }
        join(CloneFlags::CLONE_NEWNET, "join the network namespace")?;
    }
    let new_network = setup.network == NetworkSetup::New;
    let pid_namespace = matches!(setup.hold, Hold::PidNamespace { .. });
    if (new_network || pid_namespace) && !is_root && !joined_user_namespace {
        enter_user_namespace()?;
    }
    if new_network {
        unshare(CloneFlags::CLONE_NEWNET).map_err(failed("make a network namespace"))?;
        raise_loopback().map_err(failed("raise the loopback interface"))?;
        allow_low_ports();
    }
    match &setup.hold {
        Hold::Cgroup(leaf) => {
            let cgroup = Cgroup::open(leaf).map_err(failed("start a process in the cgroup"))?;
            become_subreaper()?;
            Ok(Some(cgroup))
        }
        Hold::PidNamespace { .. } => {
            become_first_of_pid_namespace()?;
            unshare(CloneFlags::CLONE_NEWNS).map_err(failed("make a mount namespace"))?;
            // What the machine mounts from now on is still seen in there, and nothing comes back.
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)
                .map_err(failed("detach the mounts"))?;
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            mount(Some("proc"), "/proc", Some("proc"), flags, none).map_err(failed("mount /proc"))?;
            Ok(None)
        }
        Hold::Subreaper => {
            become_subreaper()?;
            Ok(None)
        }
    }
}

fn become_subreaper() -> Result<(), SetupError> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(failed("become a subreaper"))
}

/// A user namespace in which the user is who they are outside.
fn enter_user_namespace() -> Result<(), SetupError> {
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    unshare(CloneFlags::CLONE_NEWUSER).map_err(failed("make a user namespace"))?;
    fs::write("/proc/self/setgroups", "deny").map_err(failed("give up changing groups"))?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).map_err(failed("map the user"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).map_err(failed("map the group"))
}

/// Forks into a new PID namespace; only the child returns. It is a child of seatrial, not of this process, which ends.
fn become_first_of_pid_namespace() -> Result<(), SetupError> {
    let flags = libc::CLONE_NEWPID | libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without a stack and CLONE_VM this is fork. This process has one thread, so that the child may do anything.
    #[allow(unsafe_code)]
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match pid {
        0 => Ok(()),
        -1 => Err(failed("make a PID namespace")(io::Error::last_os_error())),
        #[allow(
            clippy::exit,
            reason = "this is a process of its own, and its child goes on in its place"
        )]
        _ => std::process::exit(0),
    }
}

/// A target whose port is fixed has it below 1024 more often than not, and no rights in here to bind it. The setting
/// is this network's alone. Where `/proc` cannot be written such a port stays root's, and the target says so.
fn allow_low_ports() {
    let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

/// A new network namespace has a loopback interface that is down.
fn raise_loopback() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, socket};
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: an all-zero ifreq is a valid one, it lives for both calls, and both only read and write it.
    #[allow(unsafe_code)]
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) != 0 {
            return Err(io::Error::last_os_error());
        }
        request.ifr_ifru.ifru_flags |= libc::c_short::try_from(libc::IFF_UP).unwrap_or_default();
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
