//! Starting a process, in a cgroup from its first instruction on.
//!
//! The standard library's way would be to fork and then to move the child into the cgroup. Moving a process makes the
//! kernel wait until every processor has passed a quiet state, 7 to 20 ms; being born there costs nothing. It also hands
//! a file that the kernel cannot execute to a shell, where this says so.
//!
//! Kernels since 6.13 take a process that is born in a cgroup for one that escaped its `cgroup.kill`, if there ever was
//! one (they compare with the count of kills of the parent's cgroup), and kill it. So after a kill processes move.

use super::super::protocol::Command;
use nix::sys::signal::SigSet;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use std::{
    ffi::CString,
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStringExt as _,
    },
    path::Path,
};

/// Where processes are started.
pub(super) struct Cgroup {
    dir: File,
    procs: File,
    /// Processes can be born in it.
    is_pristine: bool,
}

impl Cgroup {
    /// Whether processes may be started there is known by trying only, so that is what this does.
    pub(super) fn open(leaf: &Path) -> io::Result<Self> {
        let mut cgroup = Self {
            dir: File::open(leaf)?,
            procs: File::options().write(true).open(leaf.join("cgroup.procs"))?,
            is_pristine: true,
        };
        if cgroup.try_fork()? != Some(0) {
            cgroup.is_pristine = false;
            match cgroup.try_fork()? {
                Some(0) => {}
                Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
                None => return Err(io::Error::from_raw_os_error(libc::EIO)),
            }
        }
        Ok(cgroup)
    }

    /// All in it were killed.
    pub(super) fn was_killed(&mut self) {
        self.is_pristine = false;
    }

    /// Starts a process that does nothing else; returns its exit code.
    fn try_fork(&self) -> io::Result<Option<i32>> {
        match fork(Some(self))? {
            Fork::Child => {
                let error = self.enter_after_fork().err();
                let code = error.map_or(0, rustix::io::Errno::raw_os_error);
                // SAFETY: ends the child without running anything of the parent's.
                #[allow(unsafe_code)]
                unsafe {
                    libc::_exit(code)
                }
            }
            Fork::Parent(pid) => {
                let ended = waitpid(Pid::from_raw(pid), WaitOptions::empty())?;
                Ok(ended.and_then(|(_, status)| status.exit_status()))
            }
        }
    }

    /// In the child: moves there, unless it was born there.
    fn enter_after_fork(&self) -> rustix::io::Result<()> {
        if self.is_pristine {
            return Ok(());
        }
        rustix::io::write(&self.procs, b"0").map(drop)
    }
}

/// Starts the command in a session of its own, with these standard streams, and returns when its program runs.
pub(super) fn spawn(
    command: Command,
    streams: [OwnedFd; 3],
    cgroup: Option<&Cgroup>,
) -> io::Result<(i32, OwnedFd)> {
    let image = Image::new(command)?;
    // Closed by a successful exec; otherwise the child says what went wrong.
    let (mut failure, report) = io::pipe()?;
    let stdio = streams.each_ref().map(|stream| stream.as_raw_fd());
    let pid = match fork(cgroup)? {
        Fork::Child => image.become_it(stdio, cgroup, report.as_raw_fd()),
        Fork::Parent(pid) => pid,
    };
    // Nobody but this process waits for it, and not before this returns, so the PID is its own.
    let pinned = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    drop(report);
    let mut errno = [0; 4];
    match failure.read_exact(&mut errno) {
        Ok(()) => {
            // It is about to exit.
            let _ = waitpid(Some(pinned), WaitOptions::empty());
            Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
        }
        Err(_) => Ok((pid, pidfd_open(pinned, PidfdFlags::empty())?)),
    }
}

enum Fork {
    Child,
    Parent(i32),
}

/// Forks, into the cgroup if processes can be born in it.
fn fork(cgroup: Option<&Cgroup>) -> io::Result<Fork> {
    // SAFETY: all its fields are numbers, for which zero means "nothing".
    #[allow(unsafe_code)]
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    if let Some(cgroup) = cgroup.filter(|cgroup| cgroup.is_pristine) {
        arguments.flags = CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.dir.as_raw_fd().unsigned_abs());
    }
    // SAFETY: without a stack and CLONE_VM this is fork. This process has one thread, and its callers do in the child
    // nothing but system calls.
    #[allow(unsafe_code)]
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<libc::clone_args>(),
        )
    };
    match i32::try_from(pid) {
        Ok(0) => Ok(Fork::Child),
        Ok(pid) if pid > 0 => Ok(Fork::Parent(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From linux/sched.h; the C library's constant does not fit its own type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What a process becomes, made before the fork.
struct Image {
    program: CString,
    arguments: Strings,
    environment: Strings,
    dir: CString,
}

impl Image {
    fn new(command: Command) -> io::Result<Self> {
        let arguments = std::iter::once(command.name)
            .chain(command.args)
            .map(|word| word.into_vec());
        let environment = command.env.into_iter().map(|(name, value)| {
            let mut variable = name.into_vec();
            variable.push(b'=');
            variable.extend(value.into_vec());
            variable
        });
        Ok(Self {
            program: CString::new(command.program.into_os_string().into_vec())?,
            arguments: Strings::new(arguments)?,
            environment: Strings::new(environment)?,
            dir: CString::new(command.dir.into_os_string().into_vec())?,
        })
    }

    /// In the child: becomes the program, or writes why not, and exits.
    fn become_it(&self, stdio: [RawFd; 3], cgroup: Option<&Cgroup>, report: RawFd) -> ! {
        let error = self.try_to_become_it(stdio, cgroup);
        let errno = error.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes();
        // SAFETY: the buffer lives for the call, and nothing of the parent's runs at this exit.
        #[allow(unsafe_code)]
        unsafe {
            libc::write(report, errno.as_ptr().cast(), errno.len());
            libc::_exit(127)
        }
    }

    fn try_to_become_it(&self, stdio: [RawFd; 3], cgroup: Option<&Cgroup>) -> io::Error {
        for (stream, number) in stdio.into_iter().zip(0..) {
            // SAFETY: 0 to 2 are `/dev/null` in this process, and `stream` is above them, open, and closed by the exec.
            #[allow(unsafe_code)]
            if unsafe { libc::dup2(stream, number) } < 0 {
                return io::Error::last_os_error();
            }
        }
        if let Err(error) = cgroup.map_or(Ok(()), Cgroup::enter_after_fork) {
            return error.into();
        }
        if let Err(error) = rustix::process::setsid() {
            return error.into();
        }
        // What this process blocks would stay blocked in the part, which could then not be told to stop.
        if let Err(error) = SigSet::empty().thread_set_mask() {
            return error.into();
        }
        // SAFETY: both arrays end with a null pointer, and they and all strings live as long as `self`.
        #[allow(unsafe_code)]
        unsafe {
            if libc::chdir(self.dir.as_ptr()) == 0 {
                libc::execve(
                    self.program.as_ptr(),
                    self.arguments.as_ptr(),
                    self.environment.as_ptr(),
                );
            }
        }
        io::Error::last_os_error()
    }
}

/// Strings and the pointers to them, the last one null.
struct Strings {
    /// Owns what `pointers` point to; a `CString` does not move its bytes when it is moved.
    _strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    fn new(bytes: impl Iterator<Item = Vec<u8>>) -> io::Result<Self> {
        let strings = bytes.map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Ok(Self {
            _strings: strings,
            pointers,
        })
    }

    fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}
