//! Faults that can be switched on, to show that the suite would notice them.
//!
//! A test that cannot fail proves nothing. `METRICS_AGENT_BREAK=<name>` breaks exactly one behaviour
//! of the agent, and the case named beside it must then fail. One table holds the name, the case and
//! the meaning; the behaviour asks `Defect::X.is_on()` at the one place where it can be broken.

use std::sync::OnceLock;

/// The environment variable that switches one defect on.
pub const VARIABLE: &str = "METRICS_AGENT_BREAK";

static ACTIVE: OnceLock<Defect> = OnceLock::new();

macro_rules! defects {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal breaks $case:literal,)+) => {
        /// One way in which the agent can be broken on purpose.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Defect {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Defect {
            /// Every defect, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// What `METRICS_AGENT_BREAK` calls it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The case that fails because of it. Others may fail too.
            pub fn case(self) -> &'static str {
                match self { $(Self::$variant => $case),+ }
            }

            /// What goes wrong, in a sentence.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

defects! {
    // Receiving.
    /// Datagrams that arrive by UDP are read and thrown away.
    UdpIgnored = "udp-ignored" breaks "udp",
    /// Datagrams that arrive on the Unix socket are read and thrown away.
    UnixIgnored = "unix-ignored" breaks "unix-socket",
    /// A socket file that a killed agent left behind is not removed, so the next one cannot start.
    StaleSocketKept = "stale-socket-kept" breaks "stale-socket",
    /// Only the first line of a packet is read.
    FirstLineOnly = "first-line-only" breaks "multi-line-packet",
    /// Only the first of several packed values is read.
    FirstValueOnly = "first-value-only" breaks "packed-values",
    /// Malformed lines are dropped without being counted.
    MalformedNotCounted = "malformed-not-counted" breaks "malformed-lines",
    /// One malformed line ends the agent.
    MalformedIsFatal = "malformed-is-fatal" breaks "garbage",

    // Aggregating.
    /// A counter keeps its last value.
    CounterNotSummed = "counter-not-summed" breaks "counter",
    /// A counter's sample rate is ignored.
    SampleRateIgnored = "sample-rate-ignored" breaks "sample-rate",
    /// A gauge keeps its first value.
    GaugeFirstValue = "gauge-first-value" breaks "gauge",
    /// A set counts a member as often as it arrives.
    SetCountsDuplicates = "set-counts-duplicates" breaks "set",
    /// A histogram's median is its average.
    MedianIsAverage = "median-is-average" breaks "histogram",
    /// A histogram's 95th percentile is its maximum.
    PercentileIsMaximum = "percentile-is-maximum" breaks "histogram-aggregates",
    /// Timers are not understood.
    TimerIgnored = "timer-ignored" breaks "timer",
    /// Tags stay in the order of arrival, so `a,b` and `b,a` are two contexts.
    TagsNotSorted = "tags-not-sorted" breaks "tags-sorted",
    /// A tag that is given twice is kept twice.
    TagsNotDeduplicated = "tags-not-deduplicated" breaks "tags-deduplicated",
    /// The configured tags are added to nothing.
    GlobalTagsMissing = "global-tags-missing" breaks "global-tags",
    /// Contexts are accepted without a limit.
    ContextLimitIgnored = "context-limit-ignored" breaks "context-limit",
    /// A flushed context stays, and is sent again with the next flush.
    ContextsNotCleared = "contexts-not-cleared" breaks "flush-clears",
    /// The clock closes no bucket.
    FlushIntervalIgnored = "flush-interval-ignored" breaks "flush-interval",

    // Forwarding.
    /// Events are parsed and not forwarded.
    EventsDropped = "events-dropped" breaks "events",
    /// Service checks are parsed and not forwarded.
    ChecksDropped = "checks-dropped" breaks "service-checks",
    /// A payload that was refused is given up at once.
    NoRetry = "no-retry" breaks "retry",
    /// A payload that can never be accepted is tried again and again.
    RetriesForever = "retries-forever" breaks "refused-payload",
    /// The queue grows without a bound while the receiver is away.
    QueueUnbounded = "queue-unbounded" breaks "queue-bounded",
    /// The API key is not sent.
    ApiKeyMissing = "api-key-missing" breaks "api-key",
    /// The receiver's certificate is not verified.
    ForwardCertificateIgnored = "forward-certificate-ignored" breaks "forward-tls",
    /// Each flush overwrites the output file.
    FileTruncated = "file-truncated" breaks "file-output",
    /// The stdout output writes nothing.
    StdoutSilent = "stdout-silent" breaks "stdout-output",

    // The API.
    /// Every answer of the API is 500.
    Api500 = "api-500" breaks "health",
    /// The agent is never ready.
    NeverReady = "never-ready" breaks "ready",
    /// The status does not say where the agent listens.
    StatusWithoutListeners = "status-without-listeners" breaks "status",
    /// Received packets are missing from the telemetry.
    TelemetryMissing = "telemetry-missing" breaks "telemetry",
    /// The list of contexts is empty.
    ContextsHidden = "contexts-hidden" breaks "contexts",
    /// `POST /flush` answers, but flushes nothing.
    FlushEndpointIgnored = "flush-endpoint-ignored" breaks "flush-now",
    /// An unknown path is answered as if it were known.
    UnknownPathAccepted = "unknown-path-accepted" breaks "unknown-path",
    /// The API shows the API key.
    ApiKeyShown = "api-key-shown" breaks "api-key-masked",
    /// `PUT /config` answers, but changes nothing.
    ConfigPutIgnored = "config-put-ignored" breaks "config-put",
    /// `PUT /config` accepts keys that cannot change while the agent runs.
    ConfigPutUnchecked = "config-put-unchecked" breaks "config-put-refused",
    /// The API speaks plain HTTP although it has a certificate.
    TlsOff = "tls-off" breaks "tls",
    /// The API accepts clients without a certificate.
    TlsNoClientAuth = "tls-no-client-auth" breaks "tls-client-certificate",

    // Configuration and life.
    /// The environment overrides nothing.
    EnvironmentIgnored = "environment-ignored" breaks "environment-override",
    /// Unknown keys in the configuration are accepted.
    UnknownKeyAccepted = "unknown-key-accepted" breaks "check-config",
    /// The exit code is 0, whatever happened.
    ExitCodeZero = "exit-code-zero" breaks "bad-config",
    /// An address that is taken is not an error.
    AddressInUseIgnored = "address-in-use-ignored" breaks "address-in-use",
    /// Debug lines are not written.
    LogLevelIgnored = "log-level-ignored" breaks "log-level",
    /// SIGHUP reloads nothing.
    ReloadIgnored = "reload-ignored" breaks "reload",
    /// A bad configuration file ends the agent when it is reloaded.
    BadReloadIsFatal = "bad-reload-is-fatal" breaks "reload-bad-config",
    /// The last, unfinished bucket is lost at SIGTERM.
    SigtermNoFlush = "sigterm-no-flush" breaks "final-flush",
    /// SIGTERM is ignored.
    SigtermIgnored = "sigterm-ignored" breaks "graceful-shutdown",
}

impl Defect {
    /// Whether this is the defect that was switched on.
    pub fn is_on(self) -> bool {
        ACTIVE.get() == Some(&self)
    }
}

/// Switches on the defect that `value` names; an empty value is none.
///
/// # Errors
///
/// The unknown name.
pub fn switch_on(value: &str) -> Result<(), UnknownDefect> {
    if value.is_empty() {
        return Ok(());
    }
    let defect = Defect::ALL
        .iter()
        .find(|defect| defect.name() == value)
        .ok_or_else(|| UnknownDefect(value.to_owned()))?;
    ACTIVE.get_or_init(|| *defect);
    Ok(())
}

/// `METRICS_AGENT_BREAK` names no defect.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE}={0}: no such defect (`metrics-agent defects` lists them)")]
pub struct UnknownDefect(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defect_has_a_case_of_its_own() {
        let cases: std::collections::BTreeSet<_> = Defect::ALL.iter().map(|defect| defect.case()).collect();
        assert_eq!(cases.len(), Defect::ALL.len());
    }

    #[test]
    fn descriptions_are_the_documentation() {
        assert_eq!(
            Defect::CounterNotSummed.description(),
            "A counter keeps its last value."
        );
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(switch_on("no-such-thing").is_err());
        assert!(switch_on("").is_ok());
    }
}
