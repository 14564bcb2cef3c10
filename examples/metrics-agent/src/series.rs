//! What leaves the agent: series, events and service checks, in the form of Datadog's v1 API.
//!
//! An existing form, so that any receiver that knows it can be put behind the agent, and the v1 one,
//! because people can read it. The `file` and `stdout` outputs write the same objects, one a line.

use serde::{Deserialize, Serialize};

use crate::dogstatsd::{Check, Event};

/// How the points of a series are to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeriesType {
    /// How much was counted in the interval.
    Count,
    /// The value at that time.
    Gauge,
}

/// Points of one metric with one set of tags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The metric's name.
    pub metric: String,
    /// Count or gauge.
    #[serde(rename = "type")]
    pub kind: SeriesType,
    /// Seconds since the epoch, and the value.
    pub points: Vec<(i64, f64)>,
    /// The length of the bucket in seconds, rounded up.
    pub interval: u64,
    /// Which host this is about.
    pub host: String,
    /// Sorted, without duplicates.
    pub tags: Vec<String>,
}

/// The body of `POST /api/v1/series`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesBody {
    /// All series of one flush.
    pub series: Vec<Series>,
}

/// What one flush made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Metrics.
    pub series: Vec<Series>,
    /// Events.
    pub events: Vec<Event>,
    /// Service checks.
    pub checks: Vec<Check>,
}

impl Batch {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.events.is_empty() && self.checks.is_empty()
    }

    /// Its items as JSON lines.
    ///
    /// # Errors
    ///
    /// An item that cannot be serialized; no such item is ever made.
    pub fn to_lines(&self) -> Result<String, serde_json::Error> {
        let mut lines = String::new();
        let mut push = |line: String| {
            lines.push_str(&line);
            lines.push('\n');
        };
        for series in &self.series {
            push(serde_json::to_string(series)?);
        }
        for event in &self.events {
            push(serde_json::to_string(event)?);
        }
        for check in &self.checks {
            push(serde_json::to_string(check)?);
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_wire_form() {
        let batch = Batch {
            series: vec![Series {
                metric: "page.views".into(),
                kind: SeriesType::Count,
                points: vec![(1_700_000_000, 3.0)],
                interval: 10,
                host: "web-1".into(),
                tags: vec!["env:test".into()],
            }],
            checks: vec![Check {
                check: "db.up".into(),
                status: 0,
                timestamp: None,
                host_name: None,
                message: None,
                tags: vec![],
            }],
            ..Batch::default()
        };
        assert_eq!(
            batch.to_lines().unwrap(),
            concat!(
                r#"{"metric":"page.views","type":"count","points":[[1700000000,3.0]],"interval":10,"host":"web-1","tags":["env:test"]}"#,
                "\n",
                r#"{"check":"db.up","status":0,"tags":[]}"#,
                "\n",
            )
        );
    }
}
