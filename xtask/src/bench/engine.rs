//! `bench engine`: what the runner and the command cost by themselves, with nothing under test.
//!
//! Tests in Rust come from `crates/cli/examples/nothing.rs`, case files are generated. All runs write their record,
//! into a state directory of the bench's own.

use std::{
    fmt::Write as _,
    fs,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{
    figure::{Figure, Target, Unit},
    measured::{Measured, measure, median_of},
};
use crate::cargo;

const TESTS: usize = 10_000;
const CASE_FILES: usize = 1_000;
/// For how long tests wait while their CPU time is counted.
const WAIT_S: u32 = 5;
const LOG_MB: usize = 600;

pub(super) fn figures(root: &Path, options: &[&str]) -> Result<Vec<Figure>> {
    let with_libtest = match options {
        [] => false,
        ["--libtest"] => true,
        _ => bail!("bench engine knows only --libtest"),
    };
    let bench = Bench::new(root)?;
    let mut figures = bench.tests_that_do_nothing(with_libtest)?;
    figures.push(bench.list()?);
    figures.extend(bench.one_test()?);
    figures.extend(bench.waiting()?);
    figures.push(bench.following_logs()?);
    Ok(figures)
}

struct Bench {
    /// The `seatrial` command.
    seatrial: PathBuf,
    /// The test binary made with it.
    nothing: PathBuf,
    scratch: tempfile::TempDir,
    /// pytest's name and version, where it is installed.
    pytest: Option<String>,
}

impl Bench {
    fn new(root: &Path) -> Result<Self> {
        let target_dir = build(root)?;
        Ok(Self {
            seatrial: target_dir.join("release/seatrial"),
            nothing: target_dir.join("release/examples/nothing"),
            scratch: tempfile::tempdir().context("a scratch directory")?,
            pytest: pytest_version(),
        })
    }

    fn tests_that_do_nothing(&self, with_libtest: bool) -> Result<Vec<Figure>> {
        say("10,000 tests that do nothing");
        let mut command = self.command(&self.nothing);
        command.arg("run").env("BENCH_TESTS", TESTS.to_string());
        let ours = median_of(5, &command)?;
        let mut wall =
            Figure::new("10,000 tests, wall", ours.wall_ms, Unit::Milliseconds).target(Target::AtMost(400.0));
        let mut rss = Figure::new("10,000 tests, memory", ours.rss_mb_max, Unit::Megabytes)
            .target(Target::AtMost(60.0));
        let mut beside = |peer: &str, theirs: Measured| {
            wall.peers.push((peer.to_owned(), theirs.wall_ms));
            rss.peers.push((peer.to_owned(), theirs.rss_mb_max));
        };
        let mut source = String::new();
        for number in 0..TESTS {
            writeln!(source, "def test_{number}():\n    pass\n")?;
        }
        if let Some((name, command)) = self.pytest("nothing", &[("test_nothing.py", &source)])? {
            beside(&name, median_of(1, &command)?);
        }
        if with_libtest {
            beside("libtest", median_of(3, &self.libtest()?)?);
        }
        Ok(vec![wall, rss])
    }

    fn list(&self) -> Result<Figure> {
        say("list on 1,000 case files");
        let names = || (0..CASE_FILES).map(|number| format!("case_{number}"));
        let cases: Vec<_> = names()
            .map(|name| (format!("{name}.yaml"), TRIVIAL_CASE))
            .collect();
        let suite = self.write("list", &cases)?;
        let mut command = self.command(&self.seatrial);
        command.arg("list").arg(&suite);
        let ours = median_of(9, &command)?;
        let mut figure = Figure::new("list 1,000 case files", ours.wall_ms, Unit::Milliseconds)
            .target(Target::AtMost(100.0));
        let files: Vec<_> = names()
            .map(|name| (format!("test_{name}.py"), TRIVIAL_PYTHON))
            .collect();
        if let Some((name, mut command)) = self.pytest("collect", &files)? {
            command.arg("--collect-only");
            figure = figure.beside(name, median_of(1, &command)?.wall_ms);
        }
        Ok(figure)
    }

    fn one_test(&self) -> Result<Vec<Figure>> {
        say("one trivial test, start to exit");
        let suite = self.write("one", &[("one.yaml", TRIVIAL_CASE)])?;
        let mut case_file = self.command(&self.seatrial);
        case_file.arg("run").arg(suite);
        let mut rust = self.command(&self.nothing);
        rust.arg("run").env("BENCH_TESTS", "1");
        let mut peer = None;
        if let Some((name, command)) = self.pytest("one", &[("test_one.py", TRIVIAL_PYTHON)])? {
            peer = Some((name, median_of(5, &command)?.wall_ms));
        }
        [("one test, a case file", case_file), ("one test, in Rust", rust)]
            .into_iter()
            .map(|(what, command)| {
                let ours = median_of(20, &command)?;
                let mut figure =
                    Figure::new(what, ours.wall_ms, Unit::Milliseconds).target(Target::AtMost(25.0));
                figure.peers.extend(peer.clone());
                Ok(figure)
            })
            .collect()
    }

    fn waiting(&self) -> Result<Vec<Figure>> {
        say("tests that wait");
        let rust = |wait_s: u32| {
            let mut command = self.command(&self.nothing);
            command
                .env("BENCH_TESTS", "8")
                .env("BENCH_WAIT_S", wait_s.to_string());
            command.args(["run", "-p", "8"]);
            measure(&command)
        };
        let case_files = |wait_s: u32| {
            let case = format!("target: sleep {wait_s}; echo ready\nprocedure:\n  - log_contains: ready\n");
            let cases: Vec<_> = (0..8)
                .map(|number| (format!("wait_{number}.yaml"), &case))
                .collect();
            let mut command = self.command(&self.seatrial);
            command.args(["run", "-p", "8"]);
            command.arg(self.write(&format!("wait-{wait_s}"), &cases)?);
            measure(&command)
        };
        Ok(vec![
            waiting("CPU while 8 tests wait, in Rust", rust)?,
            waiting("CPU while 8 tests wait, case files", case_files)?,
        ])
    }

    fn following_logs(&self) -> Result<Figure> {
        say("following logs with a regex");
        let log = self.scratch.path().join("log");
        let bytes = write_log(&log)?;
        let regex = r"error code=[0-9]{4} in [a-z]+$";
        let case = format!(
            "target: {{command: [cat, {}], log_limit: 2GB}}\n\
             procedure:\n  - log_contains: {{pattern: '{regex}', regex: true}}\n    timeout: 60s\n",
            log.display(),
        );
        let suite = self.write("logs", &[("follow.yaml", case)])?;
        let mut command = self.command(&self.seatrial);
        command.arg("run").arg(suite);
        let rate = |measured: Measured| bytes / 1e6 / (measured.cpu_ms / 1e3);
        let ours = median_of(3, &command)?;
        let mut grep = Command::new("grep");
        grep.args(["-m1", "-E", regex]).arg(&log);
        let theirs = median_of(3, &grep)?;
        let figure = Figure::new("following logs, regex", rate(ours), Unit::MegabytesPerSecond)
            .target(Target::AtLeast(300.0));
        Ok(figure.beside("grep -E, from the file", rate(theirs)))
    }

    /// A program of ours, in an environment where it finds nothing of the user's.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("XDG_STATE_HOME", self.scratch.path().join("state"))
            .current_dir(self.scratch.path());
        command
    }

    /// The command that runs these files with pytest, and its name; nothing where it is not installed.
    fn pytest<N: AsRef<str>, T: AsRef<str>>(
        &self,
        dir: &str,
        files: &[(N, T)],
    ) -> Result<Option<(String, Command)>> {
        let Some(version) = &self.pytest else {
            return Ok(None);
        };
        let dir = self.write(&format!("pytest-{dir}"), files)?;
        let mut command = Command::new("python3");
        command
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
            .arg(&dir)
            .current_dir(self.scratch.path());
        Ok(Some((version.clone(), command)))
    }

    /// The same tests as a crate for libtest.
    fn libtest(&self) -> Result<Command> {
        let mut source = String::new();
        for number in 0..TESTS {
            writeln!(source, "#[test] fn test_{number}() {{}}")?;
        }
        let source = self
            .write("libtest", &[("nothing.rs", source)])?
            .join("nothing.rs");
        let program = self.scratch.path().join("libtest-nothing");
        let mut rustc = Command::new("rustc");
        rustc
            .args(["--edition", "2024", "--test", "-O", "-o"])
            .arg(&program)
            .arg(source);
        succeed(&mut rustc)?;
        let mut command = Command::new(program);
        command.arg("-q");
        Ok(command)
    }

    fn write<N: AsRef<str>, T: AsRef<str>>(&self, dir: &str, files: &[(N, T)]) -> Result<PathBuf> {
        let dir = self.scratch.path().join(dir);
        fs::create_dir_all(&dir)?;
        for (name, text) in files {
            fs::write(dir.join(name.as_ref()), text.as_ref())?;
        }
        Ok(dir)
    }
}

/// What waiting costs, without what starting and ending cost: the difference between a long wait and a short one.
fn waiting(what: &str, wait: impl Fn(u32) -> Result<Measured>) -> Result<Figure> {
    let (short, long) = (wait(1)?, wait(1 + WAIT_S)?);
    let share = (long.cpu_ms - short.cpu_ms) / (long.wall_ms - short.wall_ms) * 100.0;
    Ok(Figure::new(what, share.max(0.0), Unit::Percent).target(Target::AtMost(1.0)))
}

const TRIVIAL_CASE: &str = "description: Nothing\ntarget: exit 0\nprocedure:\n  - exits: 0\n";
const TRIVIAL_PYTHON: &str = "def test_nothing():\n    pass\n";

/// Builds what is measured, and returns the target directory.
fn build(root: &Path) -> Result<PathBuf> {
    say("building");
    let mut build = cargo::command();
    build
        .args(["build", "--release", "--locked", "--package", "seatrial"])
        .args(["--bin", "seatrial", "--example", "nothing"])
        .current_dir(root);
    succeed(&mut build)?;
    let metadata = cargo::command()
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(root)
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let target_dir = metadata["target_directory"].as_str();
    Ok(target_dir
        .context("cargo metadata names no target directory")?
        .into())
}

/// Lines as servers write them; only the last matches. Returns how many bytes there are.
fn write_log(path: &Path) -> Result<f64> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let (mut bytes, mut number) = (0, 0_u64);
    let mut line = String::new();
    while bytes < LOG_MB * 1_000_000 {
        line.clear();
        number += 1;
        let code = number % 100;
        writeln!(
            line,
            "2026-01-01T00:00:00.{number:09}Z INFO request id={number} code={code} path=/api/v1/items/{number} in {code}ms"
        )?;
        file.write_all(line.as_bytes())?;
        bytes += line.len();
    }
    file.write_all(b"2026-01-01T00:00:01Z ERROR error code=1234 in backend\n")?;
    file.flush()?;
    #[allow(clippy::cast_precision_loss, reason = "a few hundred million")]
    Ok(bytes as f64)
}

fn pytest_version() -> Option<String> {
    let output = Command::new("python3")
        .args(["-m", "pytest", "--version"])
        .output()
        .ok()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(version)
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn say(what: &str) {
    println!("  {what} …");
}
