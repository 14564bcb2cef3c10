//! Commands in a running container.

use std::{io, time::Duration};

use bollard::{
    container::LogOutput,
    errors::Error,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use futures_util::StreamExt;
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{engine::Engine, part::words};
use crate::{
    exec::{ExecError, ExecOutput, ExecSpec},
    part::{End, ExitStatus},
};

/// What shells say of a command that they cannot find and one they cannot execute; the engine gives the same codes.
const NOT_EXECUTABLE: i64 = 126;
const NOT_FOUND: i64 = 127;

pub(super) async fn run(
    engine: &Engine,
    container: &str,
    part: &str,
    spec: ExecSpec,
) -> Result<ExecOutput, ExecError> {
    let lossy = |text: &std::ffi::OsString| text.to_string_lossy().into_owned();
    let program = spec.command.first().map(lossy).ok_or(ExecError::Empty)?;
    let command: Vec<String> = spec.command.iter().map(lossy).collect();
    let mut output = ExecOutput {
        status: ExitStatus {
            end: End::Unknown,
            ended_by: None,
        },
        stdout: Vec::new(),
        stderr: Vec::new(),
        truncated: false,
    };
    let failed = |error| match error {
        Error::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        } => ExecError::PartGone {
            part: part.to_owned(),
        },
        other => ExecError::Io(io::Error::other(words(other))),
    };
    let options = CreateExecOptions {
        attach_stdin: Some(spec.stdin.is_some()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        env: Some(
            spec.env
                .iter()
                .map(|(name, value)| format!("{name}={}", lossy(value)))
                .collect(),
        ),
        cmd: Some(command.clone()),
        ..CreateExecOptions::default()
    };
    let running = async {
        let exec = engine
            .client
            .create_exec(container, options)
            .await
            .map_err(failed)?
            .id;
        let started = engine
            .client
            .start_exec(&exec, None::<StartExecOptions>)
            .await
            .map_err(failed)?;
        if let StartExecResults::Attached {
            output: mut pieces,
            mut input,
        } = started
        {
            let feeding = async {
                if let Some(stdin) = &spec.stdin {
                    // A command that ends without reading all of it is no error.
                    let _ = input.write_all(stdin).await;
                    let _ = input.shutdown().await;
                }
            };
            let reading = async {
                while let Some(Ok(piece)) = pieces.next().await {
                    keep(&mut output, piece, spec.output_bytes_max);
                }
            };
            tokio::join!(feeding, reading);
        }
        let ended = engine.client.inspect_exec(&exec).await.map_err(failed)?;
        Ok::<_, ExecError>(ended.exit_code)
    };
    let code = match timeout(spec.timeout, running).await {
        Ok(code) => code?,
        Err(_) => return Err(timed_out(&command, spec.timeout, output)),
    };
    // The engine's own words for a program that is not there arrive as output of a command that never ran.
    let engine_says = String::from_utf8_lossy(&output.stdout).contains("OCI runtime exec failed");
    match code {
        Some(NOT_FOUND | NOT_EXECUTABLE) if engine_says => Err(not_started(program, &output.stdout)),
        Some(code) => {
            output.status.end = i32::try_from(code).map_or(End::Unknown, End::Code);
            Ok(output)
        }
        None => Ok(output),
    }
}

fn not_started(program: String, said: &[u8]) -> ExecError {
    let said = String::from_utf8_lossy(said).trim().to_owned();
    if said.contains("no such file") || said.contains("not found") {
        ExecError::ProgramNotFound { program }
    } else {
        ExecError::NotExecutable {
            program,
            source: io::Error::other(said),
        }
    }
}

/// The engine cannot end a command, only its container can: it goes with the group.
fn timed_out(command: &[String], timeout: Duration, output: ExecOutput) -> ExecError {
    ExecError::TimedOut {
        command: command.join(" "),
        timeout,
        stdout: output.stdout,
        stderr: output.stderr,
    }
}

fn keep(output: &mut ExecOutput, piece: LogOutput, bytes_max: usize) {
    let (kept, bytes) = match piece {
        LogOutput::StdErr { message } => (&mut output.stderr, message),
        LogOutput::StdOut { message } | LogOutput::Console { message } => (&mut output.stdout, message),
        LogOutput::StdIn { .. } => return,
    };
    let room = bytes_max - kept.len();
    output.truncated |= bytes.len() > room;
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}
