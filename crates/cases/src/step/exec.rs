//! `exec`: a command in a part's environment.

use regex::Regex;
use seatrial_engine::{Failure, LogTail, Mismatch};
use seatrial_environment::{ExecError, ExecOutput, ExecSpec};

use super::context::{Fault, Output, StepContext, causes};
use crate::{
    http::shortened,
    template::Scope,
    vocabulary::{Command, Exec},
};

/// How many of the last lines of each stream are shown with a failure.
const TAIL_LINES: usize = 20;

/// Runs the command and compares what came of it.
///
/// # Errors
///
/// When its exit code or its output is not as expected, or it is not done in time. *Errored* when there is no such
/// program.
pub(crate) async fn exec(step: &Exec, context: &StepContext<'_>) -> Result<Output, Fault> {
    let scope = context.scope;
    let mut spec = ExecSpec::new(words(&step.command, scope)?, context.timeout);
    for (name, value) in &step.env {
        spec.env.push((name.clone(), value.render(scope)?.into()));
    }
    spec.stdin = step
        .stdin
        .as_ref()
        .map(|stdin| stdin.render(scope))
        .transpose()?
        .map(String::into_bytes);
    let code = step.code.render(scope)?;
    let done = match context.part()?.exec(spec).await {
        Ok(done) => done,
        Err(ExecError::TimedOut {
            command,
            timeout,
            stdout,
            stderr,
        }) => {
            let failure = Failure::new(format!("`{command}` was not done in time and was killed"));
            return Err(Failure {
                waited: Some(timeout),
                logs: tails(&stdout, &stderr),
                ..failure
            }
            .into());
        }
        Err(error) => return Err(Fault::errored(format!("failed to {}", causes(&error)))),
    };
    let mismatches = mismatches(step, scope, code, &done)?;
    if mismatches.is_empty() {
        return Ok(output(&done));
    }
    let message = match done.status.code() == Some(code) {
        true => "the command's output is not as expected".to_owned(),
        false => format!("the command {}", done.status),
    };
    let logs = tails(&done.stdout, &done.stderr);
    Err(Failure {
        mismatches,
        logs,
        ..Failure::new(message)
    }
    .into())
}

/// Program and arguments.
///
/// # Errors
///
/// When a name in it is not there.
pub(crate) fn words(command: &Command, scope: &Scope) -> Result<Vec<String>, Fault> {
    Ok(match command {
        Command::Shell(text) => vec!["sh".to_owned(), "-c".to_owned(), text.render(scope)?],
        Command::Arguments(words) => words
            .iter()
            .map(|word| word.render(scope))
            .collect::<Result<_, _>>()?,
    })
}

fn mismatches(step: &Exec, scope: &Scope, code: i32, done: &ExecOutput) -> Result<Vec<Mismatch>, Fault> {
    let mut found = Vec::new();
    let mut differs = |field: &str, expected: String, seen: String| {
        found.push(Mismatch {
            field: field.to_owned(),
            expected,
            seen,
        });
    };
    if done.status.code() != Some(code) {
        let seen = done
            .status
            .code()
            .map_or_else(|| done.status.to_string(), |code| code.to_string());
        differs("exit code", code.to_string(), seen);
    }
    let (stdout, stderr) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    let shown = |text: &str| match text.trim_end() {
        "" => "nothing".to_owned(),
        text => format!("`{}`", shortened(text)),
    };
    if let Some(wanted) = &step.output_contains {
        let wanted = wanted.render(scope)?;
        if !stdout.contains(&wanted) {
            differs("stdout", format!("contains `{wanted}`"), shown(&stdout));
        }
    }
    if let Some(wanted) = &step.output_regex {
        let wanted = wanted.render(scope)?;
        let regex = Regex::new(&wanted)
            .map_err(|error| Fault::errored(format!("`{wanted}` is no regular expression: {error}")))?;
        if !regex.is_match(&stdout) {
            differs("stdout", format!("matches `{wanted}`"), shown(&stdout));
        }
    }
    if let Some(wanted) = &step.output_equals {
        let wanted = wanted.render(scope)?;
        if stdout.trim() != wanted.trim() {
            differs("stdout", format!("`{}`", wanted.trim()), shown(stdout.trim()));
        }
    }
    if let Some(wanted) = &step.stderr_contains {
        let wanted = wanted.render(scope)?;
        if !stderr.contains(&wanted) {
            differs("stderr", format!("contains `{wanted}`"), shown(&stderr));
        }
    }
    Ok(found)
}

fn output(done: &ExecOutput) -> Output {
    // Without the line break that every command ends with: what is saved goes into other texts.
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .trim_end_matches(['\n', '\r'])
            .to_owned()
    };
    let output = Output::main("stdout", text(&done.stdout)).with("stderr", text(&done.stderr));
    match done.status.code() {
        Some(code) => output.with("code", code),
        None => output,
    }
}

fn tails(stdout: &[u8], stderr: &[u8]) -> Vec<LogTail> {
    [("the command's stdout", stdout), ("the command's stderr", stderr)]
        .into_iter()
        .map(|(source, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            let lines: Vec<&str> = text.lines().collect();
            let last = lines.iter().skip(lines.len().saturating_sub(TAIL_LINES));
            LogTail {
                source: source.to_owned(),
                lines: last.map(|line| (*line).to_owned()).collect(),
            }
        })
        .filter(|tail| !tail.lines.is_empty())
        .collect()
}
