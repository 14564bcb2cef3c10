//! Waiting for something to become true, or to stay true, and remembering all that was seen meanwhile.
//!
//! A wait that only reports its last observation hides the interesting part: that the value was right for a
//! moment, or that it never changed. So every observation goes into a [`History`], which folds repeats and
//! bounds its own size.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    deadline::Deadline,
    verdict::{Failure, Mismatch},
};

/// What was seen while waiting: runs of equal observations, oldest first, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History {
    entries: Vec<Observation>,
}

/// A run of equal observations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What was seen.
    pub seen: String,
    /// How often in a row.
    pub times: u64,
    /// When first, counted from the start of the wait.
    pub first: Duration,
    /// When last, counted from the start of the wait.
    pub last: Duration,
}

impl History {
    /// How many runs of equal observations are kept: the first half as they came, then the newest.
    pub const ENTRIES_MAX: usize = 40;

    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what was seen at a time counted from the start of the wait.
    pub fn saw(&mut self, at: Duration, seen: impl Into<String>) {
        let seen = seen.into();
        if let Some(last) = self.entries.last_mut()
            && last.seen == seen
        {
            last.times += 1;
            last.last = at;
            return;
        }
        if self.entries.len() == Self::ENTRIES_MAX {
            // Two flapping values would push everything out: what came first matters as much as what came last.
            self.entries.remove(Self::ENTRIES_MAX / 2);
        }
        self.entries.push(Observation {
            seen,
            times: 1,
            first: at,
            last: at,
        });
    }

    /// Nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The newest observation.
    pub fn last(&self) -> Option<&str> {
        self.entries.last().map(|entry| entry.seen.as_str())
    }

    /// Changes what was seen, entry by entry; how entries were folded stays as it is.
    pub(crate) fn for_each_text(&mut self, change: impl Fn(&mut String)) {
        self.entries.iter_mut().for_each(|entry| change(&mut entry.seen));
    }

    /// All of it, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Observation> {
        self.entries.iter()
    }
}

/// A history as it was recorded.
impl FromIterator<Observation> for History {
    fn from_iter<I: IntoIterator<Item = Observation>>(observations: I) -> Self {
        Self {
            entries: observations.into_iter().take(Self::ENTRIES_MAX).collect(),
        }
    }
}

/// One line per run of equal observations.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{:>8.3} s", entry.first.as_secs_f64())?;
            if entry.times > 1 {
                write!(f, " .. {:.3} s, {} times", entry.last.as_secs_f64(), entry.times)?;
            }
            write!(f, ": {}", entry.seen)?;
        }
        Ok(())
    }
}

/// What one look at the thing found.
pub enum Look<T> {
    /// It is as wanted.
    Matches(T),
    /// It is not, in these ways; looking again may help.
    Differs(Vec<Mismatch>),
    /// It is not, and never will be: the wait ends at once.
    Never(Vec<Mismatch>),
}

impl<T> Look<T> {
    /// Not as wanted, in one way.
    pub fn differs(field: impl Into<String>, expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Look::Differs(vec![Mismatch {
            field: field.into(),
            expected: expected.into(),
            seen: seen.into(),
        }])
    }
}

/// Collects every field of a look that does not match, so that all are told at once.
#[derive(Debug, Default)]
pub struct Fields(Vec<Mismatch>);

impl Fields {
    /// No field looked at yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compares one field.
    pub fn equal<A: PartialEq<B> + fmt::Debug, B: fmt::Debug>(
        mut self,
        field: &str,
        seen: A,
        expected: B,
    ) -> Self {
        if seen != expected {
            self.0.push(Mismatch {
                field: field.into(),
                expected: format!("{expected:?}"),
                seen: format!("{seen:?}"),
            });
        }
        self
    }

    /// A [`Look`] that matches if every field did.
    pub fn look(self) -> Look<()> {
        if self.0.is_empty() {
            Look::Matches(())
        } else {
            Look::Differs(self.0)
        }
    }
}

/// How to wait: for how long, and when to look again.
#[derive(Clone, Debug)]
pub struct Wait {
    /// What is waited for, as it stands in the failure: "the rollout to finish".
    pub what: String,
    /// How long [`eventually`] waits at most, and [`consistently`] looks on.
    pub for_at_most: Duration,
    /// The pause between two looks, for what cannot be watched.
    pub every: Duration,
}

impl Wait {
    /// Ten seconds, looking every 50 ms.
    pub fn until(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            for_at_most: Duration::from_secs(10),
            every: Duration::from_millis(50),
        }
    }

    /// Sets the time limit.
    pub fn at_most(mut self, limit: Duration) -> Self {
        self.for_at_most = limit;
        self
    }

    /// Sets the pause between two looks.
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = pause;
        self
    }
}

/// Something that tells when looking again is worthwhile: a watch, a notification, a channel.
pub trait EventSource: Send {
    /// Completes when something may have changed; must be cancel safe.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// Looks at fixed intervals.
#[derive(Debug)]
pub struct Every(pub Duration);

impl EventSource for Every {
    async fn changed(&mut self) {
        // Polling is what was asked for.
        tokio::time::sleep(self.0).await;
    }
}

impl<T: Send + Sync> EventSource for tokio::sync::watch::Receiver<T> {
    async fn changed(&mut self) {
        if tokio::sync::watch::Receiver::changed(self).await.is_err() {
            // The sender is gone and nothing will change any more: the deadline ends the wait.
            std::future::pending::<()>().await;
        }
    }
}

/// Looks until it matches; the failure holds everything that was seen.
///
/// # Errors
/// When the time is over, or a look says [`Look::Never`].
pub async fn eventually<T, F: Future<Output = Look<T>>>(
    wait: Wait,
    look: impl FnMut() -> F,
) -> Result<T, Failure> {
    let every = Every(wait.every);
    eventually_on(wait, every, look).await
}

/// Like [`eventually`], but looks again when `source` says so, not at intervals.
///
/// # Errors
/// When the time is over, or a look says [`Look::Never`].
pub async fn eventually_on<T, F: Future<Output = Look<T>>>(
    wait: Wait,
    mut source: impl EventSource,
    mut look: impl FnMut() -> F,
) -> Result<T, Failure> {
    let start = Instant::now();
    let deadline = Deadline::after(wait.for_at_most);
    let mut history = History::new();
    loop {
        let found = tokio::select! {
            // First: a look that has an answer at the last moment tells more than that the time is over.
            biased;
            found = look() => found,
            () = deadline.passed() => {
                history.saw(start.elapsed(), "a look that did not end");
                return Err(gave_up(&wait, start, history, Vec::new()));
            }
        };
        let mismatches = match found {
            Look::Matches(value) => return Ok(value),
            Look::Never(mismatches) => {
                history.saw(start.elapsed(), in_a_line(&mismatches));
                let mut failure = gave_up(&wait, start, history, mismatches);
                failure.message = format!("{} can no longer come true", wait.what);
                return Err(failure);
            }
            Look::Differs(mismatches) => mismatches,
        };
        history.saw(start.elapsed(), in_a_line(&mismatches));
        tokio::select! {
            () = source.changed() => {}
            () = deadline.passed() => return Err(gave_up(&wait, start, history, mismatches)),
        }
    }
}

/// Looks for the whole time; the first look that does not match ends it.
///
/// # Errors
/// When a look does not match, with everything that was seen before it.
pub async fn consistently<T, F: Future<Output = Look<T>>>(
    wait: Wait,
    look: impl FnMut() -> F,
) -> Result<(), Failure> {
    let every = Every(wait.every);
    consistently_on(wait, every, look).await
}

/// Like [`consistently`], but looks again when `source` says so, not at intervals.
///
/// # Errors
/// When a look does not match, with everything that was seen before it.
pub async fn consistently_on<T, F: Future<Output = Look<T>>>(
    wait: Wait,
    mut source: impl EventSource,
    mut look: impl FnMut() -> F,
) -> Result<(), Failure> {
    let start = Instant::now();
    let deadline = Deadline::after(wait.for_at_most);
    let mut history = History::new();
    loop {
        match look().await {
            Look::Matches(_) => history.saw(start.elapsed(), "as expected"),
            Look::Differs(mismatches) | Look::Never(mismatches) => {
                history.saw(start.elapsed(), in_a_line(&mismatches));
                let mut failure = gave_up(&wait, start, history, mismatches);
                failure.message = format!("{} held only for {:.3?}", wait.what, start.elapsed());
                return Err(failure);
            }
        }
        tokio::select! {
            () = source.changed() => {}
            () = deadline.passed() => return Ok(()),
        }
    }
}

fn gave_up(wait: &Wait, start: Instant, history: History, mismatches: Vec<Mismatch>) -> Failure {
    Failure {
        message: format!("gave up waiting for {}", wait.what),
        mismatches,
        waited: Some(start.elapsed()),
        history,
        ..Failure::default()
    }
}

fn in_a_line(mismatches: &[Mismatch]) -> String {
    let fields: Vec<String> = mismatches
        .iter()
        .map(|m| match m.field.as_str() {
            "" => m.seen.clone(),
            field => format!("{field} = {}", m.seen),
        })
        .collect();
    fields.join(", ")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_history_folds_repeats_and_keeps_both_ends() {
        let mut history = History::new();
        for at in 0..3 {
            history.saw(Duration::from_secs(at), "refused");
        }
        for at in 3..200 {
            history.saw(Duration::from_secs(at), format!("value {at}"));
        }
        let seen: Vec<_> = history.iter().collect();
        assert_eq!(seen.len(), History::ENTRIES_MAX);
        assert_eq!(
            (seen[0].seen.as_str(), seen[0].times, seen[0].last),
            ("refused", 3, Duration::from_secs(2))
        );
        assert_eq!(history.last(), Some("value 199"));
    }

    #[tokio::test(start_paused = true)]
    async fn eventually_tells_every_field_and_every_value_it_saw() {
        let looks = Cell::new(0);
        let failure = eventually(
            Wait::until("the rollout to finish").at_most(Duration::from_secs(1)),
            || {
                looks.set(looks.get() + 1);
                let replicas = if looks.get() < 3 { 0 } else { 2 };
                async move {
                    Fields::new()
                        .equal("replicas", replicas, 3)
                        .equal("paused", true, false)
                        .look()
                }
            },
        )
        .await
        .unwrap_err();
        assert_eq!(failure.mismatches.len(), 2);
        let seen: Vec<_> = failure.history.iter().map(|o| o.seen.as_str()).collect();
        assert_eq!(
            seen,
            ["replicas = 0, paused = true", "replicas = 2, paused = true"]
        );
        assert_eq!(failure.waited, Some(Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn eventually_ends_at_once_when_it_can_no_longer_be() {
        let start = Instant::now();
        let failure = eventually::<(), _>(Wait::until("the port"), || async {
            Look::Never(vec![Mismatch {
                seen: "it exited".into(),
                ..Mismatch::default()
            }])
        })
        .await
        .unwrap_err();
        assert_eq!(failure.message, "the port can no longer come true");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn eventually_looks_again_when_its_source_says_so() {
        let (sender, receiver) = tokio::sync::watch::channel(0);
        let source = receiver.clone();
        let waiting = eventually_on(Wait::until("two"), source, || {
            let now = *receiver.borrow();
            async move {
                if now == 2 {
                    Look::Matches(now)
                } else {
                    Look::differs("value", "2", now.to_string())
                }
            }
        });
        let sending = async {
            sender.send(1).unwrap();
            tokio::task::yield_now().await;
            sender.send(2).unwrap();
        };
        let start = Instant::now();
        let (found, ()) = tokio::join!(waiting, sending);
        assert_eq!(found.unwrap(), 2);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn consistently_says_how_long_it_held() {
        let looks = Cell::new(0);
        let failure = consistently::<(), _>(
            Wait::until("three replicas").every(Duration::from_secs(1)),
            || {
                looks.set(looks.get() + 1);
                let replicas = if looks.get() == 4 { 2 } else { 3 };
                async move { Fields::new().equal("replicas", replicas, 3).look() }
            },
        )
        .await
        .unwrap_err();
        assert!(
            failure.message.starts_with("three replicas held only for 3"),
            "{}",
            failure.message
        );
    }
}
