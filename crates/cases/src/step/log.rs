//! Steps about a part's log: `log_contains`, `log_not_contains`.
//!
//! Both follow the log's bytes as they are written, from the first one on unless told otherwise, so a line that came
//! before the step began counts, and none is missed between two looks.

use std::io;

use seatrial_engine::{Failure, Mismatch};
use seatrial_environment::{LogReader, Part, Stream as PartStream};

use super::context::{Fault, Output, StepContext, ended};
use super::wait::{Vain, Wait, tails};
use crate::{
    log_lines::{LineCounter, LinePattern},
    vocabulary::{Count, LogContains, LogNotContains, Since, Stream},
};

/// Waits until as many lines match as are expected.
///
/// # Errors
///
/// When they do not in time, or the part ends before.
pub(crate) async fn contains(step: &LogContains, context: &StepContext<'_>) -> Result<Output, Fault> {
    let part = context.part()?;
    let text = step.pattern.render(context.scope)?;
    let mut followed = Followed::open(
        part,
        step.stream,
        step.since,
        pattern(&text, step.regex)?,
        context,
    )?;
    let wanted = described(&text, step.regex);
    let what = match &step.count {
        Count::AtLeast(1) => format!("a line that {wanted} in the log of `{}`", part.name()),
        count => format!(
            "{} lines that {wanted} in the log of `{}`",
            shown(count),
            part.name()
        ),
    };
    let mut wait = context.wait(what);
    let vain = loop {
        let seen = followed.matches();
        wait.report.saw(&format!("{seen} matching lines"));
        match judge(&step.count, seen) {
            Judged::Enough => return Ok(followed.output()),
            Judged::TooMany => break Vain::Impossible,
            // More may still come, which can make this right or wrong.
            Judged::TooFew | Judged::EnoughSoFar => {}
        }
        tokio::select! {
            biased;
            more = followed.more() => {
                if more.map_err(unreadable)? {
                    continue;
                }
                // All is read and no more can come, but for a restart by a step beside this one.
                tokio::select! {
                    status = wait.part_ended() => break Vain::Ended(status),
                    () = wait.time_over() => break Vain::Late,
                }
            }
            status = wait.part_ended() => {
                followed.read_what_is_there().map_err(unreadable)?;
                break Vain::Ended(status);
            }
            () = wait.time_over() => break Vain::Late,
        }
    };
    let seen = followed.matches();
    if matches!(judge(&step.count, seen), Judged::Enough | Judged::EnoughSoFar) {
        return Ok(followed.output());
    }
    let mismatch = Mismatch {
        field: "matching lines".to_owned(),
        expected: shown(&step.count),
        seen: seen.to_string(),
    };
    wait.saw(format!("{seen} matching lines"));
    let mut failure = wait.in_vain(vain, vec![mismatch]);
    if let Some(line) = followed.first_match().filter(|_| vain == Vain::Impossible) {
        failure.message = format!(
            "{seen} lines of the log of `{}` {}",
            part.name(),
            plural(&text, step.regex)
        );
        failure.notes.push(format!("the first is: {line}"));
    }
    Err(failure.into())
}

/// Watches that no line matches.
///
/// # Errors
///
/// When one does, or the part ends while it is watched.
pub(crate) async fn not_contains(step: &LogNotContains, context: &StepContext<'_>) -> Result<Output, Fault> {
    let part = context.part()?;
    let text = step.pattern.render(context.scope)?;
    let span = step.during.render(context.scope)?;
    let mut followed = Followed::open(
        part,
        step.stream,
        step.since,
        pattern(&text, step.regex)?,
        context,
    )?;
    let wanted = described(&text, step.regex);
    followed.read_what_is_there().map_err(unreadable)?;
    let wait = Wait::new(String::new(), span, context.report, Some(part));
    let end = loop {
        if followed.matches() > 0 || span.is_zero() {
            break None;
        }
        tokio::select! {
            biased;
            more = followed.more() => {
                if !more.map_err(unreadable)? {
                    tokio::select! {
                        status = wait.part_ended() => break Some(status),
                        () = wait.time_over() => break None,
                    }
                }
            }
            status = wait.part_ended() => {
                followed.read_what_is_there().map_err(unreadable)?;
                break Some(status);
            }
            () = wait.time_over() => {
                followed.read_what_is_there().map_err(unreadable)?;
                break None;
            }
        }
    };
    let failure = match (followed.first_match(), end) {
        (Some(line), _) => Failure::new(format!("a line that {wanted} is in the log of `{}`", part.name()))
            .mismatch("", format!("no line that {wanted}"), line),
        (None, Some(status)) if !step.may_exit => Failure::new(format!(
            "`{}` {} while its log was watched: nobody can say what it would have logged",
            part.name(),
            ended(status)
        ))
        .mismatch("", format!("running for {span:?}"), status.to_string()),
        (None, _) => return Ok(Output::none()),
    };
    Err(Failure {
        waited: Some(context.report.elapsed()),
        logs: tails(part),
        ..failure
    }
    .into())
}

fn unreadable(error: io::Error) -> Fault {
    Fault::errored(format!("the log cannot be read: {error}"))
}

fn pattern(text: &str, is_regex: bool) -> Result<LinePattern, Fault> {
    if !is_regex {
        return Ok(LinePattern::literal(text));
    }
    LinePattern::regex(text)
        .map_err(|error| Fault::errored(format!("`{text}` is no regular expression: {error}")))
}

fn described(text: &str, is_regex: bool) -> String {
    format!("{} `{text}`", if is_regex { "matches" } else { "contains" })
}

fn plural(text: &str, is_regex: bool) -> String {
    format!("{} `{text}`", if is_regex { "match" } else { "contain" })
}

/// How a number of lines stands to what is expected, while more may come.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    TooFew,
    /// Right, unless more come.
    EnoughSoFar,
    /// Right, whatever comes.
    Enough,
    /// Wrong, whatever comes.
    TooMany,
}

fn judge(wanted: &Count, seen: u64) -> Judged {
    let seen = usize::try_from(seen).unwrap_or(usize::MAX);
    let (least, most) = match *wanted {
        Count::AtLeast(least) => (least, None),
        Count::AtMost(most) => (0, Some(most)),
        Count::Exactly(count) => (count, Some(count)),
        Count::Between(least, most) => (least, Some(most)),
    };
    match most {
        Some(most) if seen > most => Judged::TooMany,
        _ if seen < least => Judged::TooFew,
        Some(_) => Judged::EnoughSoFar,
        None => Judged::Enough,
    }
}

fn shown(count: &Count) -> String {
    match count {
        Count::AtLeast(count) => format!("at least {count}"),
        Count::AtMost(count) => format!("at most {count}"),
        Count::Exactly(count) => format!("exactly {count}"),
        Count::Between(least, most) => format!("{least} to {most}"),
    }
}

/// The streams of a log that a step looks at.
struct Followed {
    streams: [Option<FollowedStream>; 2],
}

struct FollowedStream {
    reader: LogReader,
    counter: LineCounter,
    ended: bool,
}

impl Followed {
    fn open(
        part: &Part,
        stream: Stream,
        since: Since,
        pattern: LinePattern,
        context: &StepContext<'_>,
    ) -> Result<Self, Fault> {
        let open = |stream: PartStream| -> io::Result<FollowedStream> {
            let from = match since {
                Since::Start => 0,
                Since::Now => part.logs().bytes(stream)?,
                Since::Restart => context.log_start[usize::from(stream == PartStream::Stderr)],
            };
            let reader = part.logs().reader_at(stream, from)?;
            Ok(FollowedStream {
                reader,
                counter: LineCounter::new(pattern.clone()),
                ended: false,
            })
        };
        let wanted = |which: Stream, stream| match which {
            Stream::Both => Some(open(stream)),
            Stream::Stdout => (stream == PartStream::Stdout).then(|| open(stream)),
            Stream::Stderr => (stream == PartStream::Stderr).then(|| open(stream)),
        };
        let [stdout, stderr] = PartStream::BOTH.map(|each| wanted(stream, each).transpose());
        Ok(Self {
            streams: [stdout.map_err(unreadable)?, stderr.map_err(unreadable)?],
        })
    }

    /// Waits for more of either stream and counts in it; false when no more can come. Cancel safe.
    async fn more(&mut self) -> io::Result<bool> {
        let [first, second] = &mut self.streams;
        while [&*first, &*second]
            .into_iter()
            .flatten()
            .any(|stream| !stream.ended)
        {
            let came = tokio::select! {
                came = more_of(first) => came?,
                came = more_of(second) => came?,
            };
            if came {
                // A log that is read from memory never makes its reader wait; other tests share this thread.
                tokio::task::yield_now().await;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts in all that has been written by now.
    fn read_what_is_there(&mut self) -> io::Result<()> {
        for stream in self.streams.iter_mut().flatten() {
            loop {
                let chunk = stream.reader.available()?;
                if chunk.is_empty() {
                    break;
                }
                stream.counter.feed(chunk);
            }
        }
        Ok(())
    }

    fn counters(&self) -> impl Iterator<Item = &LineCounter> {
        self.streams.iter().flatten().map(|stream| &stream.counter)
    }

    fn matches(&self) -> u64 {
        self.counters().map(LineCounter::matches).sum()
    }

    fn first_match(&self) -> Option<String> {
        self.counters().find_map(LineCounter::first_match)
    }

    fn output(&self) -> Output {
        let groups = self
            .counters()
            .map(LineCounter::groups)
            .find(|groups| !groups.is_empty());
        let line = self.first_match().unwrap_or_default();
        Output::main("line", line).with_groups(groups.unwrap_or_default())
    }
}

async fn more_of(stream: &mut Option<FollowedStream>) -> io::Result<bool> {
    match stream {
        Some(stream) if !stream.ended => {
            match stream.reader.next_chunk().await? {
                Some(chunk) => {
                    stream.counter.feed(chunk);
                    return Ok(true);
                }
                None => stream.ended = true,
            }
            Ok(false)
        }
        _ => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_judged_while_more_may_come() {
        use Judged::*;
        for (wanted, judged) in [
            (Count::AtLeast(2), [TooFew, TooFew, Enough, Enough]),
            (Count::AtMost(1), [EnoughSoFar, EnoughSoFar, TooMany, TooMany]),
            (Count::Exactly(2), [TooFew, TooFew, EnoughSoFar, TooMany]),
            (Count::Between(1, 2), [TooFew, EnoughSoFar, EnoughSoFar, TooMany]),
        ] {
            assert_eq!(
                [0, 1, 2, 3].map(|seen| judge(&wanted, seen)),
                judged,
                "{wanted:?}"
            );
        }
    }
}
