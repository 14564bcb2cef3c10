//! How a step waits: until what it looks for is there, its time is over, or it can no longer come.
//!
//! The last is what makes a broken target cheap: when the part that a step is about has ended, nothing it waits for will
//! happen any more, so the step looks once more and then fails with the exit status, instead of sitting out its time.

use std::time::Duration;

use seatrial_engine::{Deadline, EventSource, Failure, History, LogTail, Look, Mismatch};
use seatrial_environment::{ExitStatus, Part};
use tokio::time::Instant;

use super::context::ended;
use crate::run::StepReport;

/// How many of a part's last lines are shown with a failure.
const TAIL_LINES: usize = 20;

/// A wait of a step.
pub(crate) struct Wait<'a> {
    /// What is waited for, as it reads after "waiting for".
    pub(crate) what: String,
    /// Where observations are told.
    pub(crate) report: &'a StepReport,
    /// The part without which it is in vain.
    pub(crate) part: Option<&'a Part>,
    began: Instant,
    deadline: Deadline,
    history: History,
}

/// Why a wait was in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vain {
    /// Its time is over.
    Late,
    /// The part has ended, and it was looked once more since.
    Ended(ExitStatus),
    /// What was seen rules it out.
    Impossible,
}

impl<'a> Wait<'a> {
    /// Begins now, for so long at most.
    pub(crate) fn new(
        what: String,
        at_most: Duration,
        report: &'a StepReport,
        part: Option<&'a Part>,
    ) -> Self {
        let deadline = Deadline::after(at_most);
        Self {
            what,
            report,
            part,
            began: Instant::now(),
            deadline,
            history: History::new(),
        }
    }

    /// Looks now and after every change, until it matches.
    ///
    /// # Errors
    ///
    /// When the time is over, the part has ended, or a look says that it can never match: with everything that was
    /// seen, and the last lines of the part's logs.
    pub(crate) async fn until<T, F: Future<Output = Look<T>>>(
        mut self,
        mut changed: impl EventSource,
        mut look: impl FnMut() -> F,
    ) -> Result<T, Failure> {
        let mut mismatches = Vec::new();
        let mut ended = self.part.and_then(Part::try_status);
        loop {
            match self.deadline.bound(look()).await {
                Ok(Look::Matches(value)) => return Ok(value),
                Ok(Look::Differs(seen)) => mismatches = seen,
                Ok(Look::Never(seen)) => {
                    self.saw(in_a_line(&seen));
                    return Err(self.in_vain(Vain::Impossible, seen));
                }
                Err(_) => {
                    self.saw("no answer yet");
                    return Err(self.in_vain(Vain::Late, mismatches));
                }
            }
            self.saw(in_a_line(&mismatches));
            if let Some(status) = ended {
                return Err(self.in_vain(Vain::Ended(status), mismatches));
            }
            tokio::select! {
                biased;
                status = self.part_ended() => ended = Some(status),
                () = changed.changed() => {}
                () = self.deadline.passed() => return Err(self.in_vain(Vain::Late, mismatches)),
            }
        }
    }

    /// Notes what was seen, and tells it.
    pub(crate) fn saw(&mut self, seen: impl Into<String>) {
        let seen = seen.into();
        self.report.saw(&seen);
        self.history.saw(self.began.elapsed(), seen);
    }

    /// Completes when the time is over.
    pub(crate) async fn time_over(&self) {
        self.deadline.passed().await;
    }

    /// Completes when the part has ended; without one, never.
    pub(crate) async fn part_ended(&self) -> ExitStatus {
        match self.part {
            Some(part) => part.wait().await,
            None => std::future::pending().await,
        }
    }

    /// The failure of a wait that was in vain.
    pub(crate) fn in_vain(self, why: Vain, mismatches: Vec<Mismatch>) -> Failure {
        let what = &self.what;
        let message = match (why, self.part) {
            (Vain::Ended(status), Some(part)) => {
                format!("`{}` {} while waiting for {what}", part.name(), ended(status))
            }
            (Vain::Impossible, _) => format!("it can no longer come true: {what}"),
            (Vain::Late | Vain::Ended(_), _) => format!("gave up waiting for {what}"),
        };
        Failure {
            message,
            mismatches,
            waited: Some(self.began.elapsed()),
            history: self.history,
            logs: self.part.map(tails).unwrap_or_default(),
            ..Failure::default()
        }
    }
}

/// The last lines of a part's logs, both streams in one order.
pub(crate) fn tails(part: &Part) -> Vec<LogTail> {
    let lines = match part.logs().tail(TAIL_LINES) {
        Ok(lines) => lines.into_iter().map(|line| line.text).collect::<Vec<_>>(),
        Err(error) => vec![format!("(the log cannot be read: {error})")],
    };
    if lines.is_empty() {
        return Vec::new();
    }
    vec![LogTail {
        source: part.name().to_owned(),
        lines,
    }]
}

fn in_a_line(mismatches: &[Mismatch]) -> String {
    let fields: Vec<String> = mismatches
        .iter()
        .map(|mismatch| match mismatch.field.as_str() {
            "" => mismatch.seen.clone(),
            field => format!("{field} {}", mismatch.seen),
        })
        .collect();
    fields.join(", ")
}
