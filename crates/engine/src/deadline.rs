//! Points in time after which something is too late, that stand still while seatrial itself is stopped.
//!
//! Ctrl-Z stops seatrial but not the clock: on return, every deadline would have passed. [`stopped_for`] adds
//! the time of such a pause to all deadlines of the process, those already waited for included.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// How long this process has been stopped in all, in nanoseconds.
static STOPPED_NANOS: AtomicU64 = AtomicU64::new(0);

/// Since when deadlines are held, and by how many.
static HELD: Mutex<Option<(Instant, usize)>> = Mutex::new(None);

/// Tells all deadlines that the process had been stopped for so long. Called by whoever handles Ctrl-Z.
pub fn stopped_for(pause: Duration) {
    STOPPED_NANOS.fetch_add(
        u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX),
        Ordering::SeqCst,
    );
}

fn stopped() -> Duration {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let holding = held.map_or(Duration::ZERO, |(since, _)| since.elapsed());
    Duration::from_nanos(STOPPED_NANOS.load(Ordering::SeqCst)) + holding
}

/// Holds all deadlines while it lives: somebody looks at a test that stands at a breakpoint.
pub(crate) struct Hold(());

impl Hold {
    pub(crate) fn new() -> Self {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, holders) = held.unwrap_or((Instant::now(), 0));
        *held = Some((since, holders + 1));
        Hold(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        *held = match *held {
            Some((since, holders)) if holders > 1 => Some((since, holders - 1)),
            Some((since, _)) => {
                stopped_for(since.elapsed());
                None
            }
            None => None,
        };
    }
}

/// A point in time, moved on by the time that seatrial is stopped.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    stopped_before: Duration,
}

impl Deadline {
    /// So soon at the earliest a deadline that was reached, but has moved on meanwhile, is looked at again.
    const LOOK_AGAIN_MIN: Duration = Duration::from_millis(1);

    /// So far from now. A span too long to be counted is taken as thirty years.
    pub fn after(span: Duration) -> Self {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
        Self {
            at: Instant::now() + span.min(FAR),
            stopped_before: stopped(),
        }
    }

    fn now_at(&self) -> Instant {
        self.at + stopped().saturating_sub(self.stopped_before)
    }

    /// How long there is left; zero once it has passed.
    pub fn remaining(&self) -> Duration {
        self.now_at().saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn has_passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// The earlier of two.
    pub fn earlier(self, other: Self) -> Self {
        if other.remaining() < self.remaining() {
            other
        } else {
            self
        }
    }

    /// Completes when it has passed. Cancel safe.
    pub async fn passed(&self) {
        while !self.has_passed() {
            // Where deadlines are held, this one moves on as fast as time: look again now and then.
            sleep_until(self.now_at().max(Instant::now() + Self::LOOK_AGAIN_MIN)).await;
        }
    }

    /// Awaits something until then.
    ///
    /// # Errors
    /// When the deadline passes first.
    pub async fn bound<T>(&self, work: impl Future<Output = T>) -> Result<T, Passed> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.passed() => Err(Passed),
        }
    }
}

/// A [`Deadline`] has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deadline has passed")]
pub struct Passed;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_moves_a_deadline_that_is_already_waited_for() {
        let start = Instant::now();
        let deadline = Deadline::after(Duration::from_secs(10));
        let waiting = tokio::spawn(async move { deadline.passed().await });
        tokio::task::yield_now().await;
        stopped_for(Duration::from_secs(5));
        waiting.await.unwrap();
        assert!(
            start.elapsed() >= Duration::from_secs(15),
            "{:?}",
            start.elapsed()
        );
    }
}
