//! Nothing is left of a run that was killed.
//!
//! Each test runs this binary again as a seatrial with the worst targets there are, kills it with SIGKILL, and looks.

use crate::fixture::{SOON, spec};
use seatrial_engine::journal::{Journal, Outcome, ReapOptions, ReapReport, reap};
use seatrial_environment::{
    IsolationGroup, PartSpec, process::hold::HoldKind, process::network_isolation, reapers, reexec,
};
use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const STATE_DIR: &str = "SEATRIAL_TEST_STATE_DIR";
const HOLD: &str = "SEATRIAL_TEST_HOLD";
/// Digits behind the point of its targets' sleeps, by which they are known though they hide.
const UNIQUE: &str = "SEATRIAL_TEST_UNIQUE";
const KEEP: &str = "SEATRIAL_TEST_KEEP";

/// In the environment of every process that is to be gone, unless it took care to hide it.
const MARK: &str = "SEATRIAL_TEST_MARK";

/// Somebody who may do nothing special.
const NOBODY: u32 = 65_534;

/// What is hard to get rid of. Each says that it is there once it is.
const TARGETS: &[(&str, &str)] = &[
    (
        "ignores",
        "trap '' TERM INT HUP QUIT; echo ready; while :; do sleep 1; done",
    ),
    (
        "forks-twice",
        "(setsid sh -c '(setsid sleep 3001.UNIQUE &)' &); (sleep 3002.UNIQUE &); echo ready; exec sleep 3003.UNIQUE",
    ),
    (
        "stops",
        "(sleep 3004.UNIQUE & kill -STOP $!); echo ready; kill -STOP $$",
    ),
    (
        "hides",
        "exec env -i PATH=\"$PATH\" sh -c 'cd /; (env -i setsid sleep 3005.UNIQUE &); echo ready; exec sleep 3006.UNIQUE'",
    ),
    // Each of the loop's processes ends when the next has begun: nobody ever sees all of them.
    (
        "forks-on",
        "f() { sleep 0.01; f & }; f; echo ready; exec sleep 3007.UNIQUE",
    ),
    ("launches", "setsid sleep 3008.UNIQUE & echo ready; exit 0"),
];

/// The seatrial that is killed. Prints a line when all is running.
#[tokio::test]
#[ignore = "the run that other tests kill"]
async fn run() {
    match env::var(HOLD).as_deref() {
        Ok("namespace") => HoldKind::PidNamespace.only_this_and_weaker(),
        Ok("subreaper") => HoldKind::Subreaper.only_this_and_weaker(),
        _ => {}
    }
    let state_dir = PathBuf::from(env::var_os(STATE_DIR).unwrap());
    let unique = env::var(UNIQUE).unwrap();
    let journal = Arc::new(Journal::create(&state_dir, "run").guarded_by(reexec::guard));
    let mut spec = spec(&state_dir);
    spec.isolate_network = network_isolation().await.is_ok();
    let group = IsolationGroup::open(&journal, spec).await.unwrap();
    for (name, script) in TARGETS {
        let mut target = PartSpec::new(*name, ["sh", "-c", &script.replace("UNIQUE", &unique)]);
        target.inherit_env.push(MARK.to_owned());
        let part = group.start(target).await.unwrap();
        crate::fixture::wait_for_text(&part, "ready").await;
    }
    if env::var_os(KEEP).is_some() {
        group.keep().await.unwrap();
    }
    println!("\nstarted held by {}", HoldKind::strongest());
    std::future::pending().await
}

/// A run that is going on, as root or not.
struct Run {
    state_dir: tempfile::TempDir,
    child: Child,
    before: BTreeSet<u32>,
    uid: Option<u32>,
    held_by: String,
    unique: String,
}

impl Run {
    fn start(hold: Option<&str>, uid: Option<u32>, keep: bool) -> Self {
        let state_dir = tempfile::tempdir().unwrap();
        let before = processes();
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let unique = format!(
            "{}{:03}",
            std::process::id(),
            RUNS.fetch_add(1, Ordering::Relaxed)
        );
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "leftovers::run"]);
        command
            .env(STATE_DIR, state_dir.path())
            .env(MARK, state_dir.path())
            .env(UNIQUE, &unique)
            .stdout(Stdio::piped());
        if let Some(hold) = hold {
            command.env(HOLD, hold);
        }
        if keep {
            command.env(KEEP, "1");
        }
        if let Some(uid) = uid {
            std::os::unix::fs::chown(state_dir.path(), Some(uid), Some(uid)).unwrap();
            command.uid(uid).gid(uid).current_dir("/").env("TMPDIR", "/tmp");
        }
        let mut child = command.spawn().unwrap();
        let mut held_by = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some(found) = line.unwrap().strip_prefix("started held by ") {
                held_by = found.to_owned();
                break;
            }
        }
        assert!(!held_by.is_empty(), "the run did not start");
        Self {
            state_dir,
            child,
            before,
            uid,
            held_by,
            unique,
        }
    }

    /// All processes that came with it.
    fn processes(&self) -> BTreeSet<u32> {
        processes().difference(&self.before).copied().collect()
    }

    /// Its own helper processes, and no other test's.
    fn helpers(&self, name: &str) -> Vec<u32> {
        let is_it = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let has = |line: String| status.lines().any(|known| known == line);
            has(format!("Name:\t{name}")) && has(format!("PPid:\t{}", self.child.id()))
        };
        self.processes().into_iter().filter(is_it).collect()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn group_dir(&self) -> PathBuf {
        self.state_dir
            .path()
            .join(self.state_dir.path().file_name().unwrap())
    }

    /// Waits until nothing is left of it, neither processes nor files.
    fn wait_until_clean(&self, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let left = self.left();
            if left.is_empty() && !self.group_dir().exists() && !self.has_journal() {
                return;
            }
            if Instant::now() > deadline {
                let names: Vec<_> = left.iter().map(|pid| describe(*pid)).collect();
                panic!(
                    "left of a run held by {}: {names:?}, directory: {}, journal: {}",
                    self.held_by,
                    self.group_dir().exists(),
                    self.has_journal()
                );
            }
            // Orphans end without a word to anybody here.
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its own processes, and no other test's that began meanwhile.
    fn left(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.state_dir.path().display());
        let is_left = |pid: &u32| {
            let read = |file| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let contains = |file, text: &str| String::from_utf8_lossy(&read(file)).contains(text);
            contains("environ", &mark) || contains("cmdline", &format!(".{}", self.unique))
        };
        self.processes().into_iter().filter(is_left).collect()
    }

    fn has_journal(&self) -> bool {
        self.state_dir.path().join("journal/run.jsonl").exists()
    }

    /// As the user whose run it was.
    fn reap(&self, options: &ReapOptions) -> ReapReport {
        let Some(uid) = self.uid else {
            return reap(self.state_dir.path(), &reapers(), options);
        };
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([
            "--ignored",
            "--exact",
            "--nocapture",
            "leftovers::reap_as_somebody",
        ]);
        command
            .env(STATE_DIR, self.state_dir.path())
            .uid(uid)
            .gid(uid)
            .current_dir("/");
        if options.kept {
            command.env(KEEP, "1");
        }
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
        ReapReport::default()
    }
}

/// A test that fails leaves nothing either.
impl Drop for Run {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        let kept = ReapOptions {
            kept: true,
            ..ReapOptions::default()
        };
        drop(reap(self.state_dir.path(), &reapers(), &kept));
    }
}

/// `seatrial reap`, for another user.
#[test]
#[ignore = "run by other tests as another user"]
fn reap_as_somebody() {
    let options = ReapOptions {
        kept: env::var_os(KEEP).is_some(),
        ..ReapOptions::default()
    };
    let report = reap(Path::new(&env::var_os(STATE_DIR).unwrap()), &reapers(), &options);
    assert!(report.is_clean(), "{report:?}");
}

fn processes() -> BTreeSet<u32> {
    let listing = fs::read_dir("/proc").unwrap().flatten();
    listing
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn describe(pid: u32) -> String {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("{pid} {}", String::from_utf8_lossy(&command).replace('\0', " "))
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Every hold that this user has, and nobody's when this is root.
fn everyone() -> Vec<(Option<&'static str>, Option<u32>)> {
    let mut all = vec![(None, None), (Some("namespace"), None), (Some("subreaper"), None)];
    if rustix::process::geteuid().is_root() {
        // It has to get at this binary.
        let binary = env::current_exe().unwrap();
        let reachable = binary
            .ancestors()
            .all(|path| fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o001 != 0));
        if reachable {
            all.extend([(None, Some(NOBODY)), (Some("subreaper"), Some(NOBODY))]);
        } else {
            eprintln!(
                "skipped for an unprivileged user, who cannot execute {}",
                binary.display()
            );
        }
    }
    all
}

#[test]
fn the_guardian_or_the_supervisors_end_what_a_kill_leaves() {
    for (hold, uid) in everyone() {
        let mut run = Run::start(hold, uid, false);
        run.kill();
        run.wait_until_clean(Duration::from_secs(10));
    }
}

#[test]
fn reap_ends_what_is_left_without_the_guardian() {
    for (hold, uid) in everyone() {
        let mut run = Run::start(hold, uid, false);
        for guardian in run.helpers("seatrial-guard") {
            signal(guardian, rustix::process::Signal::KILL);
        }
        run.kill();
        let report = run.reap(&ReapOptions::default());
        assert!(report.is_clean(), "{report:?}");
        run.wait_until_clean(Duration::from_secs(10));
    }
}

/// Neither helper can help: all are dead before.
#[test]
fn reap_needs_no_helper() {
    for (hold, uid) in everyone() {
        let mut run = Run::start(hold, uid, false);
        // First the ones that would act on the deaths of the others.
        let mut helpers = run.helpers("seatrial-guard");
        // This hold is its supervisor's life: without it nobody knows its orphans any more.
        if run.held_by != "a subreaper" {
            helpers.extend(run.helpers("seatrial-part"));
        }
        for helper in helpers {
            signal(helper, rustix::process::Signal::KILL);
        }
        run.kill();
        let report = run.reap(&ReapOptions::default());
        assert!(report.is_clean(), "{report:?}");
        run.wait_until_clean(Duration::from_secs(10));
    }
}

/// Stopped, they would neither act nor end by themselves.
#[test]
fn stopped_helpers_are_in_nobodys_way() {
    for (hold, uid) in everyone() {
        let mut run = Run::start(hold, uid, false);
        for helper in run.helpers("seatrial-guard") {
            signal(helper, rustix::process::Signal::KILL);
        }
        for helper in run.helpers("seatrial-part") {
            signal(helper, rustix::process::Signal::STOP);
        }
        run.kill();
        let report = run.reap(&ReapOptions::default());
        assert!(report.is_clean(), "{report:?}");
        run.wait_until_clean(Duration::from_secs(10));
    }
}

#[test]
fn what_is_kept_stays_until_it_is_asked_for() {
    for (hold, uid) in everyone() {
        let mut run = Run::start(hold, uid, true);
        let parts = run.helpers("seatrial-part");
        run.kill();
        let report = run.reap(&ReapOptions::default());
        if uid.is_none() {
            let kept = report
                .leftovers
                .iter()
                .filter(|left| left.outcome == Outcome::Kept)
                .count();
            assert!(kept >= TARGETS.len() - 1, "{report:?}");
        }
        assert!(run.group_dir().exists() && run.has_journal());
        let alive = parts
            .iter()
            .filter(|pid| Path::new(&format!("/proc/{pid}")).exists())
            .count();
        assert_eq!(alive, parts.len(), "a kept part is gone");
        let kept = ReapOptions {
            kept: true,
            ..ReapOptions::default()
        };
        run.reap(&kept);
        run.wait_until_clean(SOON);
    }
}

#[test]
fn a_run_that_goes_on_is_left_alone() {
    let run = Run::start(None, None, false);
    let before = run.left();
    for dry_run in [true, false] {
        let options = ReapOptions {
            dry_run,
            ..ReapOptions::default()
        };
        let report = reap(run.state_dir.path(), &reapers(), &options);
        assert_eq!(
            (report.leftovers.as_slice(), report.busy_runs.as_slice()),
            (&[][..], &["run".to_owned()][..])
        );
    }
    assert!(before.len() > 5);
    assert!(run.left().len() > 5 && run.has_journal());
}
