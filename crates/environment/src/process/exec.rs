//! Commands run beside a part.

use super::{
    part::{Exec, ProcessPart, end_of, explain_exec_error, lock},
    program::{self, LookupError},
    protocol::{Command, RawEnd, Reply, Request},
};
use crate::{
    exec::{ExecError, ExecOutput, ExecSpec},
    part::ExitStatus,
};
use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
    sync::oneshot,
};

/// A killed command is gone in a moment.
const KILLED_TIMEOUT: Duration = Duration::from_secs(5);

impl ProcessPart {
    pub(crate) async fn exec(&self, spec: ExecSpec) -> Result<ExecOutput, ExecError> {
        let gone = || ExecError::PartGone {
            part: self.name().to_owned(),
        };
        let command = self.exec_command(&spec)?;
        let program = command.program.display().to_string();
        let (stdout, stdout_theirs) = output()?;
        let (stderr, stderr_theirs) = output()?;
        let (stdin, stdin_theirs) = input(spec.stdin)?;

        let fds = [stdin_theirs.as_fd(), stdout_theirs.as_fd(), stderr_theirs.as_fd()];
        let reply = self.0.supervisor.ask(Request::Exec(command), &fds).await;
        drop((stdin_theirs, stdout_theirs, stderr_theirs));
        let pid = match reply {
            Ok((Reply::Spawned { pid }, _)) => pid,
            Ok(_) => return Err(gone()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(gone()),
            Err(error) => {
                return Err(ExecError::NotExecutable {
                    program,
                    source: explain_exec_error(error),
                });
            }
        };
        let mut kill = KillOnDrop {
            part: self.clone(),
            pid: Some(pid),
        };
        let mut ended = Ended(self.await_end(pid));
        let mut stdout = Capture::new(stdout, spec.output_bytes_max);
        let mut stderr = Capture::new(stderr, spec.output_bytes_max);
        let end = {
            let outputs = async {
                tokio::join!(stdout.read(), stderr.read(), feed(stdin));
                // Both are closed, but the process may go on.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                end = ended.wait() => Some(end),
                () = outputs => None,
                () = tokio::time::sleep(spec.timeout) => None,
            }
        };
        let timed_out = end.is_none();
        let end = match end {
            Some(end) => end,
            None => {
                self.kill_exec(pid).await;
                tokio::time::timeout(KILLED_TIMEOUT, ended.wait())
                    .await
                    .unwrap_or_default()
            }
        };
        kill.pid = None;
        // What it wrote before its end is in the pipes. A process that it left behind may hold them open, so this does
        // not wait for their ends.
        stdout.read_available();
        stderr.read_available();
        if timed_out {
            let words: Vec<_> = spec.command.iter().map(|word| word.to_string_lossy()).collect();
            return Err(ExecError::TimedOut {
                command: words.join(" "),
                timeout: spec.timeout,
                stdout: stdout.kept,
                stderr: stderr.kept,
            });
        }
        let end = end.ok_or_else(gone)?;
        Ok(ExecOutput {
            status: ExitStatus {
                end: end_of(end),
                ended_by: None,
            },
            truncated: stdout.truncated || stderr.truncated,
            stdout: stdout.kept,
            stderr: stderr.kept,
        })
    }

    fn exec_command(&self, spec: &ExecSpec) -> Result<Command, ExecError> {
        let Some((name, args)) = spec.command.split_first() else {
            return Err(ExecError::Empty);
        };
        let mut environment = self.0.environment.clone();
        environment.extend(spec.env.iter().map(|(name, value)| (name.into(), value.clone())));
        let dir = self.working_dir();
        let program = program::find(name, dir, environment.get(OsStr::new("PATH")));
        let program = program.map_err(|error| match error {
            LookupError::NotFound(_) => ExecError::ProgramNotFound {
                program: name.to_string_lossy().into_owned(),
            },
            LookupError::NotExecutable(path, source) => ExecError::NotExecutable {
                program: path.display().to_string(),
                source,
            },
        })?;
        Ok(Command {
            name: name.clone(),
            program,
            args: args.to_vec(),
            env: environment.into_iter().collect(),
            dir: dir.to_owned(),
        })
    }

    fn await_end(&self, pid: i32) -> oneshot::Receiver<RawEnd> {
        let (sender, receiver) = oneshot::channel();
        let mut execs = lock(&self.0.execs);
        match execs.remove(&pid) {
            // Sent before it is awaited, to a receiver that is here.
            Some(Exec::Ended(end)) => drop(sender.send(end)),
            Some(Exec::Awaited(_)) | None => drop(execs.insert(pid, Exec::Awaited(sender))),
        }
        receiver
    }

    async fn kill_exec(&self, pid: i32) {
        // If the supervisor is gone, so is the command.
        drop(self.0.supervisor.ask(Request::KillExec { pid }, &[]).await);
    }
}

/// The end of a command, none when the supervisor went first.
struct Ended(oneshot::Receiver<RawEnd>);

impl Ended {
    async fn wait(&mut self) -> Option<RawEnd> {
        (&mut self.0).await.ok()
    }
}

/// Kills a command that nobody waits for any more.
struct KillOnDrop {
    part: ProcessPart,
    pid: Option<i32>,
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Without a runtime nobody is left but the part's end, which is the command's, too.
        if let (Some(pid), Ok(runtime)) = (self.pid, tokio::runtime::Handle::try_current()) {
            let part = self.part.clone();
            runtime.spawn(async move { part.kill_exec(pid).await });
        }
    }
}

/// A pipe that a command writes to.
fn output() -> io::Result<(pipe::Receiver, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(read.into())?, write.into()))
}

/// Bytes on their way to a command.
type Feed = (pipe::Sender, Vec<u8>);

/// What a command reads; nothing at all without bytes.
fn input(bytes: Option<Vec<u8>>) -> io::Result<(Option<Feed>, OwnedFd)> {
    match bytes {
        None => Ok((None, File::open("/dev/null")?.into())),
        Some(bytes) => {
            let (read, write) = io::pipe()?;
            Ok((
                Some((pipe::Sender::from_owned_fd(write.into())?, bytes)),
                read.into(),
            ))
        }
    }
}

async fn feed(stdin: Option<Feed>) {
    if let Some((mut pipe, bytes)) = stdin {
        // A command need not read all that it is given.
        drop(pipe.write_all(&bytes).await);
    }
}

/// One output stream, kept up to a limit and read to its end.
struct Capture {
    pipe: pipe::Receiver,
    kept: Vec<u8>,
    bytes_max: usize,
    truncated: bool,
    chunk: Vec<u8>,
}

impl Capture {
    fn new(pipe: pipe::Receiver, bytes_max: usize) -> Self {
        Self {
            pipe,
            kept: Vec::new(),
            bytes_max,
            truncated: false,
            chunk: vec![0; 16 * 1024],
        }
    }

    async fn read(&mut self) {
        while let Ok(length) = self.pipe.read(&mut self.chunk).await {
            if length == 0 {
                return;
            }
            self.keep(length);
        }
    }

    /// Asks the kernel itself: the runtime may not have heard yet that there is something.
    fn read_available(&mut self) {
        while let Ok(length) = rustix::io::read(&self.pipe, &mut self.chunk) {
            if length == 0 {
                return;
            }
            self.keep(length);
        }
    }

    fn keep(&mut self, length: usize) {
        let kept = length.min(self.bytes_max - self.kept.len());
        self.kept.extend_from_slice(&self.chunk[..kept]);
        self.truncated |= kept < length;
    }
}
