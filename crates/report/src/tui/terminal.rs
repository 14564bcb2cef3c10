//! The terminal's mode and its keys.
//!
//! The mode is cbreak: keys arrive without Enter and are not echoed, but Ctrl-C and Ctrl-Z stay signals, so
//! they work even where this code does not. What the mode was before is kept in a static, because a panic hook
//! must be able to restore it and has nothing else at hand.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    pipe::{PipeFlags, pipe_with},
    process::getpgrp,
    termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
    },
};
use seatrial_engine::Control;

use super::{draw::Size, screen::RESTORE};

/// The terminal whose mode was changed, and what it was.
static CHANGED: Mutex<Option<Changed>> = Mutex::new(None);

struct Changed {
    tty: Arc<File>,
    before: Termios,
}

/// Set once the process is on its way out: nobody takes the terminal again.
static IS_GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back as it was, for good: its mode, its cursor, no live lines. Does nothing where there is
/// nothing to restore; for panic hooks and for the way out on a signal.
pub fn restore_terminal() {
    IS_GIVEN_UP.store(true, Ordering::SeqCst);
    // In a panic hook the lock may be held by the very thread that panics; then its holder restores.
    let Ok(mut changed) = CHANGED.try_lock() else {
        return;
    };
    if let Some(Changed { tty, before }) = changed.take() {
        // Nothing can be done about a terminal that is gone.
        let _ = (&*tty).write_all(RESTORE.as_bytes());
        let _ = tcsetattr(&*tty, OptionalActions::Now, &before);
    }
}

/// The terminal of this process.
pub(crate) struct Terminal {
    tty: Arc<File>,
    /// Its mode before it was changed for the first time.
    before: Option<Termios>,
    keys: Option<Keys>,
}

/// The thread that reads keys, and the pipe that tells it to look anew or to end.
struct Keys {
    wake: File,
    thread: JoinHandle<()>,
}

impl Terminal {
    /// Opens the controlling terminal; the mode stays what it is until [`Terminal::enter`].
    pub(crate) fn open() -> io::Result<Self> {
        let tty = File::options().read(true).write(true).open("/dev/tty")?;
        Ok(Self {
            tty: Arc::new(tty),
            before: None,
            keys: None,
        })
    }

    /// How large it is, if it says so.
    pub(crate) fn size(&self) -> Option<Size> {
        let size = tcgetwinsize(&*self.tty).ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then(|| Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        })
    }

    /// Whether this process may change its mode and read from it. A job in the background that tries is stopped
    /// by the kernel.
    pub(crate) fn is_in_foreground(&self) -> bool {
        tcgetpgrp(&*self.tty).is_ok_and(|group| group == getpgrp())
    }

    /// Whether its mode is changed, and so live lines can be drawn.
    pub(crate) fn is_entered(&self) -> bool {
        changed().is_some()
    }

    /// Switches to single keys without echo.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        let mut changed = changed();
        if changed.is_some() || IS_GIVEN_UP.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut mode = tcgetattr(&*self.tty)?;
        let before = self.before.get_or_insert_with(|| mode.clone()).clone();
        mode.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        mode.special_codes[SpecialCodeIndex::VMIN] = 1;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&*self.tty, OptionalActions::Now, &mode)?;
        *changed = Some(Changed {
            tty: self.tty.clone(),
            before,
        });
        drop(changed);
        self.wake_keys();
        Ok(())
    }

    /// Gives it back as it was.
    pub(crate) fn leave(&mut self) {
        let entered = changed().take();
        if let Some(Changed { tty, before }) = entered {
            let _ = (&*tty).write_all(RESTORE.as_bytes());
            let _ = tcsetattr(&*tty, OptionalActions::Now, &before);
        }
        self.wake_keys();
    }

    /// Takes note that somebody else, a shell, has set its mode meanwhile: nothing is restored, and the next
    /// [`Terminal::enter`] changes it again.
    pub(crate) fn forget(&mut self) {
        *changed() = None;
        self.wake_keys();
    }

    /// Reads keys on a thread of its own until the terminal is dropped.
    pub(crate) fn read_keys(&mut self, on_control: impl Fn(Control) + Send + 'static) -> io::Result<()> {
        let (woken, wake) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let tty = self.tty.clone();
        let thread = std::thread::Builder::new()
            .name("keys".into())
            .spawn(move || read_keys(&tty, &woken, on_control))?;
        self.keys = Some(Keys {
            wake: File::from(wake),
            thread,
        });
        Ok(())
    }

    fn wake_keys(&mut self) {
        if let Some(keys) = &mut self.keys {
            // A full pipe wakes as well.
            let _ = keys.wake.write(b".");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leave();
        if let Some(Keys { wake, thread }) = self.keys.take() {
            // The thread ends when nobody can wake it any more.
            drop(wake);
            let _ = thread.join();
        }
    }
}

fn changed() -> MutexGuard<'static, Option<Changed>> {
    CHANGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for keys while the terminal is ours, and only to be woken while it is not.
fn read_keys(tty: &File, woken: &OwnedFd, on_control: impl Fn(Control)) {
    let mut bytes = [0; 64];
    loop {
        let mut waited = vec![PollFd::new(woken, PollFlags::IN)];
        if changed().is_some() {
            waited.push(PollFd::new(tty, PollFlags::IN));
        }
        match poll(&mut waited, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        }
        let (woken_by, key) = (waited[0].revents(), waited.get(1).map(PollFd::revents));
        if woken_by.contains(PollFlags::IN) {
            let _ = rustix::io::read(woken, &mut bytes);
            continue;
        }
        if woken_by.intersects(PollFlags::HUP | PollFlags::ERR) {
            return;
        }
        if key.is_some_and(|key| key.intersects(PollFlags::HUP | PollFlags::ERR)) {
            return;
        }
        let Ok(count) = (&*tty).read(&mut bytes) else {
            return;
        };
        if count == 0 {
            return;
        }
        bytes[..count]
            .iter()
            .filter_map(|byte| control_of(*byte))
            .for_each(&on_control);
    }
}

/// What a key asks for.
fn control_of(key: u8) -> Option<Control> {
    match key {
        b't' | b'T' => Some(Control::Status),
        b'q' | b'Q' => Some(Control::Interrupt),
        b'\r' | b'\n' => Some(Control::GoOn),
        _ => None,
    }
}
