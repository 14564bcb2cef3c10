//! The open bucket: what arrived since the last flush, by context.
//!
//! A context is a name, a type and a sorted set of tags. The aggregator knows neither clock nor
//! socket: a flush is told the time, so that every rule is a test without waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::defect::Defect;
use crate::dogstatsd::{Check, Event, Message, Metric, Values};
use crate::series::{Batch, Series, SeriesType};
use crate::summary::{Aggregate, Summary};

/// So many events and service checks wait for one flush; more are dropped.
const OTHERS_MAX: usize = 10_000;

/// What the aggregator is told by the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Added to everything.
    pub tags: Vec<String>,
    /// Which host everything is about, unless an event says otherwise.
    pub host: String,
    /// What becomes of a histogram.
    pub histogram_aggregates: Vec<Aggregate>,
    /// So many contexts fit into one bucket; values of further ones are dropped.
    pub contexts_max: usize,
    /// How long a bucket is.
    pub interval: Duration,
}

/// The open bucket.
#[derive(Debug, Default)]
pub struct Aggregator {
    contexts: BTreeMap<Context, State>,
    events: Vec<Event>,
    checks: Vec<Check>,
}

/// What tells one time series from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Context {
    /// The metric's name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Sorted, without duplicates.
    pub tags: Vec<String>,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Added up.
    Counter,
    /// The last value counts.
    Gauge,
    /// Distinct members.
    Set,
    /// Summarised.
    Histogram,
}

#[derive(Debug)]
enum State {
    Counter(f64),
    Gauge(f64),
    Set(BTreeSet<String>),
    Histogram(Summary),
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Added {
    /// It is in the bucket.
    Kept,
    /// The bucket is full.
    Dropped,
}

impl Aggregator {
    /// Puts a message into the open bucket. `now` is in seconds since the epoch.
    pub fn add(&mut self, message: Message, settings: &Settings, now: i64) -> Added {
        match message {
            Message::Metric(metric) => self.add_metric(metric, settings),
            Message::Event(mut event) => {
                event.tags = context_tags(event.tags, settings);
                event.date_happened.get_or_insert(now);
                event.host.get_or_insert_with(|| settings.host.clone());
                push_bounded(&mut self.events, event)
            }
            Message::Check(mut check) => {
                check.tags = context_tags(check.tags, settings);
                check.timestamp.get_or_insert(now);
                check.host_name.get_or_insert_with(|| settings.host.clone());
                push_bounded(&mut self.checks, check)
            }
        }
    }

    fn add_metric(&mut self, metric: Metric, settings: &Settings) -> Added {
        let kind = match &metric.values {
            Values::Counter(_) => Kind::Counter,
            Values::Gauge(_) => Kind::Gauge,
            Values::Set(_) => Kind::Set,
            Values::Histogram(_) => Kind::Histogram,
        };
        let context = Context {
            name: metric.name,
            kind,
            tags: context_tags(metric.tags, settings),
        };
        let limit = if Defect::ContextLimitIgnored.is_on() {
            usize::MAX
        } else {
            settings.contexts_max
        };
        if self.contexts.len() >= limit && !self.contexts.contains_key(&context) {
            return Added::Dropped;
        }
        let state = self.contexts.entry(context).or_insert_with(|| State::new(kind));
        let weight = if Defect::SampleRateIgnored.is_on() {
            1.0
        } else {
            1.0 / metric.sample_rate
        };
        state.add(metric.values, weight);
        Added::Kept
    }

    /// Closes the bucket that began at `start` (seconds since the epoch), and opens the next.
    pub fn flush(&mut self, settings: &Settings, start: i64) -> Batch {
        let mut series = Vec::with_capacity(self.contexts.len());
        for (context, state) in &mut self.contexts {
            state.write_to(&mut series, context, settings, start);
        }
        if !Defect::ContextsNotCleared.is_on() {
            self.contexts.clear();
        }
        let mut batch = Batch {
            series,
            events: std::mem::take(&mut self.events),
            checks: std::mem::take(&mut self.checks),
        };
        if Defect::EventsDropped.is_on() {
            batch.events.clear();
        }
        if Defect::ChecksDropped.is_on() {
            batch.checks.clear();
        }
        batch
    }

    /// The contexts of the open bucket, in order.
    pub fn contexts(&self) -> impl ExactSizeIterator<Item = &Context> {
        self.contexts.keys()
    }
}

impl State {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(0.0),
            Kind::Gauge => Self::Gauge(f64::NAN),
            Kind::Set => Self::Set(BTreeSet::new()),
            Kind::Histogram => Self::Histogram(Summary::new()),
        }
    }

    /// `weight` is how many values each of these stands for.
    fn add(&mut self, values: Values, weight: f64) {
        let used = |values: Vec<f64>| {
            let used = if Defect::FirstValueOnly.is_on() {
                1
            } else {
                values.len()
            };
            values.into_iter().take(used)
        };
        match (self, values) {
            (Self::Counter(sum), Values::Counter(values)) => {
                for value in used(values) {
                    *sum = if Defect::CounterNotSummed.is_on() {
                        value
                    } else {
                        *sum + value * weight
                    };
                }
            }
            (Self::Gauge(last), Values::Gauge(values)) => {
                for value in used(values) {
                    if last.is_nan() || !Defect::GaugeFirstValue.is_on() {
                        *last = value;
                    }
                }
            }
            (Self::Set(members), Values::Set(member)) => {
                if Defect::SetCountsDuplicates.is_on() {
                    members.insert(format!("{member} {}", members.len()));
                } else {
                    members.insert(member);
                }
            }
            (Self::Histogram(summary), Values::Histogram(values)) => {
                for value in used(values) {
                    summary.add(value, weight);
                }
            }
            // A context's kind comes from the values, so its state is of the same kind.
            (state, values) => unreachable!("{values:?} in {state:?}"),
        }
    }

    fn write_to(&mut self, series: &mut Vec<Series>, context: &Context, settings: &Settings, start: i64) {
        let mut push = |metric: String, kind, value| {
            series.push(Series {
                metric,
                kind,
                points: vec![(start, value)],
                interval: settings.interval.as_secs_f64().ceil() as u64,
                host: settings.host.clone(),
                tags: context.tags.clone(),
            });
        };
        match self {
            Self::Counter(sum) => push(context.name.clone(), SeriesType::Count, *sum),
            Self::Gauge(last) => push(context.name.clone(), SeriesType::Gauge, *last),
            Self::Set(members) => push(context.name.clone(), SeriesType::Gauge, members.len() as f64),
            Self::Histogram(summary) => {
                for aggregate in &settings.histogram_aggregates {
                    let kind = match aggregate {
                        Aggregate::Count => SeriesType::Count,
                        _ => SeriesType::Gauge,
                    };
                    let name = format!("{}.{}", context.name, aggregate.suffix());
                    push(name, kind, summary.aggregate(*aggregate));
                }
            }
        }
    }
}

/// The tags of a context: its own and the configured ones, sorted, each once.
fn context_tags(mut tags: Vec<String>, settings: &Settings) -> Vec<String> {
    if !Defect::GlobalTagsMissing.is_on() {
        tags.extend_from_slice(&settings.tags);
    }
    if !Defect::TagsNotSorted.is_on() {
        tags.sort_unstable();
    }
    if !Defect::TagsNotDeduplicated.is_on() {
        tags.dedup();
    }
    tags
}

fn push_bounded<T>(items: &mut Vec<T>, item: T) -> Added {
    if items.len() >= OTHERS_MAX {
        return Added::Dropped;
    }
    items.push(item);
    Added::Kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dogstatsd;

    fn settings() -> Settings {
        Settings {
            tags: vec![],
            host: "host".into(),
            histogram_aggregates: vec![Aggregate::Avg, Aggregate::Count, Aggregate::Max],
            contexts_max: 3,
            interval: Duration::from_secs(10),
        }
    }

    fn batch(lines: &[&str], settings: &Settings) -> Batch {
        let mut aggregator = Aggregator::default();
        for line in lines {
            let _ = aggregator.add(dogstatsd::parse(line.as_bytes()).unwrap(), settings, 1005);
        }
        aggregator.flush(settings, 1000)
    }

    /// The series of a flush as `name{tags}=value`.
    #[track_caller]
    fn check(lines: &[&str], expected: &[&str]) {
        let batch = batch(lines, &settings());
        let series: Vec<_> = batch
            .series
            .iter()
            .map(|series| {
                format!(
                    "{}{{{}}}={}",
                    series.metric,
                    series.tags.join(","),
                    series.points[0].1
                )
            })
            .collect();
        assert_eq!(series, expected);
    }

    #[test]
    fn counters_are_summed_and_scaled() {
        check(&["a:1|c", "a:2|c", "a:3:4|c"], &["a{}=10"]);
        check(&["a:1|c|@0.1", "a:1|c"], &["a{}=11"]);
    }

    #[test]
    fn the_last_gauge_wins() {
        check(&["a:5|g", "a:3|g"], &["a{}=3"]);
    }

    #[test]
    fn sets_count_members() {
        check(&["a:bob|s", "a:eve|s", "a:bob|s"], &["a{}=2"]);
    }

    #[test]
    fn histograms_become_series() {
        check(
            &["a:1|h", "a:3|ms", "a:8|d|@0.5"],
            &["a.avg{}=5", "a.count{}=4", "a.max{}=8"],
        );
    }

    #[test]
    fn tags_are_a_set() {
        check(&["a:1|c|#x,b", "a:1|c|#b,x", "a:1|c|#b,x,b"], &["a{b,x}=3"]);
        check(&["a:1|c|#x", "a:1|c|#y"], &["a{x}=1", "a{y}=1"]);
    }

    #[test]
    fn types_do_not_mix() {
        check(&["a:1|c", "a:7|g"], &["a{}=1", "a{}=7"]);
    }

    #[test]
    fn configured_tags_are_added() {
        let settings = Settings {
            tags: vec!["env:test".into(), "a".into()],
            ..settings()
        };
        let batch = batch(&["m:1|c|#b,a", "_sc|up|0", "_e{1,1}:a|b|#c"], &settings);
        assert_eq!(batch.series[0].tags, ["a", "b", "env:test"]);
        assert_eq!(batch.checks[0].tags, ["a", "env:test"]);
        assert_eq!(batch.events[0].tags, ["a", "c", "env:test"]);
    }

    #[test]
    fn a_full_bucket_takes_known_contexts_only() {
        check(
            &["a:1|c", "b:1|c", "c:1|c", "d:1|c", "a:1|c"],
            &["a{}=2", "b{}=1", "c{}=1"],
        );
    }

    #[test]
    fn a_flush_empties_the_bucket() {
        let settings = settings();
        let mut aggregator = Aggregator::default();
        let _ = aggregator.add(dogstatsd::parse(b"a:1|c").unwrap(), &settings, 0);
        assert_eq!(aggregator.flush(&settings, 0).series.len(), 1);
        assert!(aggregator.flush(&settings, 10).is_empty());
        assert_eq!(aggregator.contexts().len(), 0);
    }

    #[test]
    fn what_is_missing_in_an_event_is_filled_in() {
        let batch = batch(
            &["_e{1,1}:a|b", "_e{1,1}:a|b|h:other|d:7", "_sc|up|1"],
            &settings(),
        );
        let seen: Vec<_> = batch
            .events
            .iter()
            .map(|e| (e.host.as_deref(), e.date_happened))
            .collect();
        assert_eq!(seen, [(Some("host"), Some(1005)), (Some("other"), Some(7))]);
        assert_eq!(batch.checks[0].host_name.as_deref(), Some("host"));
        assert_eq!(batch.checks[0].timestamp, Some(1005));
    }
}
