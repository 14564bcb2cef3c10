//! Spans of time as people read them, the same everywhere: `0.34s`, `12.30s`, `1m02s`, `2h00m05s`.
//!
//! Hundredths up to a minute, then whole seconds: beyond a minute nobody compares hundredths, and the column
//! stays narrow.

use std::{fmt, time::Duration};

/// Shows a span of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded first: 59.999 s is a minute and not "60.00s".
        let hundredths = (self.0.as_nanos() + 5_000_000) / 10_000_000;
        let text = if hundredths < 6_000 {
            format!("{}.{:02}s", hundredths / 100, hundredths % 100)
        } else {
            let seconds = (self.0.as_nanos() + 500_000_000) / 1_000_000_000;
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            match hours {
                0 => format!("{minutes}m{seconds:02}s"),
                _ => format!("{hours}h{minutes:02}m{seconds:02}s"),
            }
        };
        f.pad(&text)
    }
}

/// The whole seconds of a span, for what changes on screen while one looks at it: `3s`, `1m02s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticking(pub Duration);

impl fmt::Display for Ticking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..60 => f.pad(&format!("{seconds}s")),
            _ => Span(Duration::from_secs(seconds)).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_rounded_before_their_unit_is_chosen() {
        let shown = |ms: u64| Span(Duration::from_millis(ms)).to_string();
        assert_eq!(
            [4, 6, 340, 12_300, 59_994, 59_996, 62_000, 119_600, 7_205_000].map(shown),
            [
                "0.00s", "0.01s", "0.34s", "12.30s", "59.99s", "1m00s", "1m02s", "2m00s", "2h00m05s"
            ]
        );
        assert_eq!(format!("{:>7}|", Span(Duration::from_secs(1))), "  1.00s|");
        assert_eq!(Ticking(Duration::from_millis(2_999)).to_string(), "2s");
        assert_eq!(Ticking(Duration::from_secs(75)).to_string(), "1m15s");
    }
}
