//! What the agent counts about itself, and how Prometheus reads it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::defect::Defect;
use crate::listener::ListenerKind;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Datagrams by UDP.
    pub packets_udp: Counter,
    /// Datagrams by Unix socket.
    pub packets_unix: Counter,
    /// Metrics, events and checks that were understood.
    pub messages: Counter,
    /// Lines that were not.
    pub malformed: Counter,
    /// Messages for which the bucket had no room.
    pub bucket_dropped: Counter,
    /// Buckets closed.
    pub flushes: Counter,
    /// Payloads that were delivered.
    pub payloads_sent: Counter,
    /// Payloads that were given up.
    pub payloads_dropped: Counter,
    /// Attempts after the first.
    pub payloads_retried: Counter,
    /// Reloads of the configuration that worked.
    pub reloads: Counter,
    /// Reloads of a bad configuration.
    pub reloads_refused: Counter,
}

impl Telemetry {
    /// The counter of datagrams that arrive like this.
    pub fn packets(&self, kind: ListenerKind) -> &Counter {
        match kind {
            ListenerKind::Udp => &self.packets_udp,
            ListenerKind::Unix => &self.packets_unix,
        }
    }

    /// All counters and the given gauges in Prometheus' text format.
    pub fn to_prometheus(&self, gauges: &[(&str, &str, usize)]) -> String {
        let counters = [
            (
                "packets_total{listener=\"udp\"}",
                "Datagrams received.",
                &self.packets_udp,
            ),
            ("packets_total{listener=\"unix\"}", "", &self.packets_unix),
            (
                "messages_total",
                "Metrics, events and checks understood.",
                &self.messages,
            ),
            ("malformed_lines_total", "Lines not understood.", &self.malformed),
            (
                "bucket_dropped_total",
                "Messages for which the bucket had no room.",
                &self.bucket_dropped,
            ),
            ("flushes_total", "Buckets closed.", &self.flushes),
            ("payloads_sent_total", "Payloads delivered.", &self.payloads_sent),
            (
                "payloads_dropped_total",
                "Payloads given up.",
                &self.payloads_dropped,
            ),
            (
                "payloads_retried_total",
                "Attempts after the first.",
                &self.payloads_retried,
            ),
            ("reloads_total", "Configurations reloaded.", &self.reloads),
            (
                "reloads_refused_total",
                "Bad configurations not loaded.",
                &self.reloads_refused,
            ),
        ];
        let mut text = String::new();
        for (series, help, counter) in counters {
            if series.starts_with("packets_total") && Defect::TelemetryMissing.is_on() {
                continue;
            }
            write_sample(&mut text, series, help, "counter", counter.get());
        }
        for (series, help, value) in gauges {
            write_sample(&mut text, series, help, "gauge", *value as u64);
        }
        text
    }
}

/// `help` is empty for the further series of a family.
fn write_sample(text: &mut String, series: &str, help: &str, kind: &str, value: u64) {
    let family = series.split('{').next().unwrap_or(series);
    if !help.is_empty() {
        let _ = writeln!(
            text,
            "# HELP metrics_agent_{family} {help}\n# TYPE metrics_agent_{family} {kind}"
        );
    }
    let _ = writeln!(text, "metrics_agent_{series} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_text() {
        let telemetry = Telemetry::default();
        telemetry.packets(ListenerKind::Unix).add(3);
        let text = telemetry.to_prometheus(&[("contexts", "In the open bucket.", 2)]);
        assert!(text.starts_with(
            "# HELP metrics_agent_packets_total Datagrams received.\n\
             # TYPE metrics_agent_packets_total counter\n\
             metrics_agent_packets_total{listener=\"udp\"} 0\n\
             metrics_agent_packets_total{listener=\"unix\"} 3\n\
             # HELP metrics_agent_messages_total"
        ));
        assert!(text.ends_with(
            "# HELP metrics_agent_contexts In the open bucket.\n\
             # TYPE metrics_agent_contexts gauge\n\
             metrics_agent_contexts 2\n"
        ));
    }
}
