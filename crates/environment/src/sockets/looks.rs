//! When to look at the tables again.

use seatrial_engine::EventSource;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A target that is quick is seen quickly...
const FIRST: Duration = Duration::from_millis(10);

/// ...one that takes its time is looked at less often...
const LATER: Duration = Duration::from_millis(50);

/// ...and one that takes very long still less, so that forty that wait together cost less than a hundredth of a core.
const LATE: Duration = Duration::from_millis(200);

/// From now on it is [`LATE`].
const LONG: Duration = Duration::from_secs(5);

/// Tells when another look is worthwhile. The kernel has no event for "began to listen", so this is time: first after
/// 10 ms, rising to 50, after five seconds to 200.
#[derive(Debug)]
pub struct Looks {
    began: Instant,
    pause: Duration,
}

impl Looks {
    /// From the first look on.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            pause: FIRST,
        }
    }

    /// Completes when it is time for the next look.
    pub async fn next(&mut self) {
        // There is nothing else to wait for, see above.
        sleep(self.pause).await;
        let most = if self.began.elapsed() < LONG { LATER } else { LATE };
        self.pause = (self.pause * 2).min(most);
    }
}

impl Default for Looks {
    fn default() -> Self {
        Self::new()
    }
}

impl EventSource for Looks {
    async fn changed(&mut self) {
        self.next().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn they_become_rare() {
        let mut looks = Looks::new();
        let mut count = 0;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            looks.next().await;
            count += 1;
        }
        assert!((350..400).contains(&count), "{count}");
    }
}
