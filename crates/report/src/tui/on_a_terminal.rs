//! The whole reporter on a real pseudo-terminal: what a person would see, and what the terminal is like afterwards.
//!
//! A controlling terminal belongs to a session, so the reporter runs in a process of its own: this test binary
//! again, told by an environment variable what to play.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};
use seatrial_engine::{Control, EventKind, NoticeLevel, Reporter, Verdict};

use super::{TuiReporter, restore_terminal};
use crate::{script::Script, text::TextOptions};

const PLAY: &str = "SEATRIAL_TEST_PLAY";
const PATIENCE: Duration = Duration::from_secs(30);

/// Does nothing unless it is the other process of a test below.
#[test]
fn player() {
    let Ok(play) = std::env::var(PLAY) else {
        return;
    };
    rustix::process::setsid().unwrap();
    rustix::process::ioctl_tiocsctty(std::io::stdin()).unwrap();
    let (controls, controlled) = mpsc::sync_channel(8);
    let out = Box::new(std::io::stdout());
    let on_control = move |control| controls.send(control).unwrap();
    let options = TextOptions::default();
    let mut reporter = TuiReporter::open(out, Some("xterm"), options, on_control).unwrap();
    let handle = reporter.handle();
    let mut script = Script::of(&["tour/http", "tour/exec"]);
    script
        .start("tour/http")
        .finish("tour/http", Verdict::Passed, None);
    script.start("tour/exec").step("tour/exec", 0, None, "exec true");
    let mut shown = 0;
    let mut show = |script: &Script, reporter: &mut TuiReporter| {
        for event in &script.events[shown..] {
            reporter.event(event).unwrap();
        }
        shown = script.events.len();
        reporter.tick(Duration::from_millis(10)).unwrap();
    };
    show(&script, &mut reporter);
    let pressed: Vec<Control> = (0..3)
        .map(|_| controlled.recv_timeout(PATIENCE).unwrap())
        .collect();
    match play.as_str() {
        "panic" => {
            std::panic::set_hook(Box::new(|panic| {
                restore_terminal();
                println!("{}", panic.payload_as_str().unwrap_or_default());
            }));
            panic!("a bug");
        }
        "suspend" => {
            handle.suspend();
            println!("suspended");
            assert_eq!(controlled.recv_timeout(Duration::from_millis(1)).ok(), None);
            handle.resume();
        }
        _ => {}
    }
    let text = format!("pressed {pressed:?}");
    let level = NoticeLevel::Warning;
    script.tell(EventKind::Notice { level, text });
    show(&script, &mut reporter);
    script.finish("tour/exec", Verdict::Passed, None).after(100);
    let ended = script.now();
    script.tell(EventKind::RunFinished(seatrial_engine::RunSummary {
        counts: [(Verdict::Passed, 2)].into(),
        took: ended,
        ..Default::default()
    }));
    show(&script, &mut reporter);
}

/// A terminal with a player on it.
struct Stage {
    master: File,
    slave: OwnedFd,
    screen: vt100::Parser,
    before: Termios,
    player: Child,
}

impl Stage {
    fn with(play: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(
            name,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&slave, size).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let terminal = || Stdio::from(slave.try_clone().unwrap());
        let player = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tui::on_a_terminal::player", "--nocapture"])
            .env(PLAY, play)
            .stdin(terminal())
            .stdout(terminal())
            .stderr(terminal())
            .spawn()
            .unwrap();
        Self {
            master: File::from(master),
            slave,
            screen: vt100::Parser::new(24, 80, 0),
            before,
            player,
        }
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Reads what is sent to the terminal until it looks so.
    #[track_caller]
    fn until(&mut self, looks_so: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = [0; 4096];
        while !looks_so(&self.text()) {
            assert!(Instant::now() < deadline, "{}", self.text());
            let mut waited = [PollFd::new(&self.master, PollFlags::IN)];
            let a_while = Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            if poll(&mut waited, Some(&a_while)).unwrap() > 0 {
                let count = self.master.read(&mut bytes).unwrap();
                self.screen.process(&bytes[..count]);
            }
        }
    }

    /// Reads what has been sent to the terminal and not been looked at.
    fn rest(&mut self) {
        let mut bytes = [0; 4096];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        while poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&now)).unwrap() > 0 {
            let count = self.master.read(&mut bytes).unwrap();
            self.screen.process(&bytes[..count]);
        }
    }

    fn press(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }

    /// Waits for the player's end and shows that the terminal is as it was.
    #[track_caller]
    fn end(mut self) -> Option<i32> {
        let status = self.player.wait().unwrap();
        let after = tcgetattr(&self.slave).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
        self.rest();
        assert!(!self.screen.screen().hide_cursor());
        status.code()
    }
}

fn is_live(text: &str) -> bool {
    text.contains("[1/2]") && text.contains("tour/exec  exec true")
}

#[test]
fn keys_are_heard_and_the_terminal_is_given_back() {
    let mut stage = Stage::with("keys");
    stage.until(is_live);
    let modes = tcgetattr(&stage.slave).unwrap().local_modes;
    assert!(!modes.intersects(LocalModes::ECHO | LocalModes::ICANON));
    assert!(modes.contains(LocalModes::ISIG));
    stage.press(b"xtq\n");
    stage.until(|text| text.contains("2 passed") && !text.contains("[1/2]"));
    let text = stage.text();
    assert!(text.contains("pressed [Status, Interrupt, GoOn]"), "{text}");
    assert_eq!(stage.end(), Some(0));
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_speaks() {
    let mut stage = Stage::with("panic");
    stage.until(is_live);
    stage.press(b"ttt");
    stage.until(|text| text.contains("a bug"));
    assert!(!stage.text().contains("[1/2]"), "{}", stage.text());
    assert_eq!(stage.end(), Some(101));
}

#[test]
fn live_lines_are_gone_while_suspended_and_come_back() {
    let mut stage = Stage::with("suspend");
    stage.until(is_live);
    stage.press(b"ttt");
    stage.until(|text| text.contains("suspended"));
    stage.until(|text| text.contains("2 passed") && text.contains("pressed"));
    assert_eq!(stage.end(), Some(0));
}
