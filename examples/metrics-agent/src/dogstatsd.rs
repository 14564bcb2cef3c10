//! The DogStatsD protocol: one line in, one message out.
//!
//! A pure function over text, so that every rule of the protocol is a table of strings in a test.
//! Implements <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/>: metrics with packed
//! values, sample rates and tags, events and service checks. Sections that the protocol may grow
//! (container id, external data, timestamps) are skipped, as the protocol asks.

use serde::{Deserialize, Serialize};

use crate::defect::Defect;

/// What a line can say.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// `name:value|type`
    Metric(Metric),
    /// `_e{…}:title|text`
    Event(Event),
    /// `_sc|name|status`
    Check(Check),
}

/// One or more values of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// What kind of values these are, and the values.
    pub values: Values,
    /// The share of all values that the client sent, above 0 and at most 1.
    pub sample_rate: f64,
    /// Tags, in the order of arrival.
    pub tags: Vec<String>,
}

/// The values of a metric, by type.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// `c`: added up.
    Counter(Vec<f64>),
    /// `g`: the last one counts.
    Gauge(Vec<f64>),
    /// `s`: distinct members are counted.
    Set(String),
    /// `h`, `ms` and `d`: summarised.
    Histogram(Vec<f64>),
}

/// Something that happened. Serializes as Datadog's v1 API takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// One line.
    pub title: String,
    /// The text; `\n` in the datagram is a line break here.
    pub text: String,
    /// Seconds since the epoch; `None` is the time of arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_happened: Option<i64>,
    /// Where it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Events with the same key belong together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation_key: Option<String>,
    /// `normal` or `low`.
    pub priority: String,
    /// `info`, `success`, `warning` or `error`.
    pub alert_type: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// The state of a service. Serializes as Datadog's v1 API takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The check's name.
    pub check: String,
    /// 0 ok, 1 warning, 2 critical, 3 unknown.
    pub status: u8,
    /// Seconds since the epoch; `None` is the time of arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// Where the service runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
}

/// Why a line is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not text.
    #[error("line is not UTF-8")]
    NotUtf8,
    /// Nothing before the colon, or no colon.
    #[error("no metric name")]
    NoName,
    /// No `|type`.
    #[error("no type")]
    NoType,
    /// A type that is not c, g, s, h, ms or d.
    #[error("unknown type `{0}`")]
    UnknownType(String),
    /// A value that is no finite number.
    #[error("bad value `{0}`")]
    BadValue(String),
    /// A sample rate that is not in (0, 1].
    #[error("bad sample rate `{0}`")]
    BadSampleRate(String),
    /// The lengths in `_e{title,text}` do not fit.
    #[error("bad event header")]
    BadEvent,
    /// A check without a name, or with a status that is not 0 to 3.
    #[error("bad service check")]
    BadCheck,
    /// A `d:` section that is no number.
    #[error("bad timestamp `{0}`")]
    BadTimestamp(String),
}

/// Parses one line.
///
/// # Errors
///
/// What is wrong with the first part of the line that is wrong.
pub fn parse(line: &[u8]) -> Result<Message, ParseError> {
    let line = str::from_utf8(line).map_err(|_| ParseError::NotUtf8)?;
    if let Some(rest) = line.strip_prefix("_e{") {
        parse_event(rest).map(Message::Event)
    } else if let Some(rest) = line.strip_prefix("_sc|") {
        parse_check(rest).map(Message::Check)
    } else {
        parse_metric(line).map(Message::Metric)
    }
}

fn parse_metric(line: &str) -> Result<Metric, ParseError> {
    let (name, rest) = line.split_once(':').ok_or(ParseError::NoName)?;
    if name.is_empty() {
        return Err(ParseError::NoName);
    }
    let mut sections = rest.split('|');
    let values = sections.next().unwrap_or_default();
    let values = match sections.next().ok_or(ParseError::NoType)? {
        "c" => Values::Counter(parse_numbers(values)?),
        "g" => Values::Gauge(parse_numbers(values)?),
        "s" => Values::Set(values.to_owned()),
        "ms" if Defect::TimerIgnored.is_on() => return Err(ParseError::UnknownType("ms".to_owned())),
        "h" | "ms" | "d" => Values::Histogram(parse_numbers(values)?),
        other => return Err(ParseError::UnknownType(other.to_owned())),
    };
    let mut metric = Metric {
        name: name.to_owned(),
        values,
        sample_rate: 1.0,
        tags: Vec::new(),
    };
    for section in sections {
        if let Some(rate) = section.strip_prefix('@') {
            metric.sample_rate = parse_sample_rate(rate)?;
        } else if let Some(tags) = section.strip_prefix('#') {
            metric.tags = parse_tags(tags);
        }
    }
    Ok(metric)
}

/// `1:2:3`: several values of one metric, packed into one line (protocol 1.1).
fn parse_numbers(text: &str) -> Result<Vec<f64>, ParseError> {
    text.split(':')
        .map(|number| {
            let value = number.parse::<f64>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| ParseError::BadValue(number.to_owned()))
        })
        .collect()
}

fn parse_sample_rate(text: &str) -> Result<f64, ParseError> {
    let rate = text
        .parse::<f64>()
        .ok()
        .filter(|rate| *rate > 0.0 && *rate <= 1.0);
    rate.ok_or_else(|| ParseError::BadSampleRate(text.to_owned()))
}

fn parse_tags(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}

fn parse_timestamp(text: &str) -> Result<i64, ParseError> {
    text.parse()
        .map_err(|_| ParseError::BadTimestamp(text.to_owned()))
}

/// `title_length,text_length}:title|text|…`; the lengths are in bytes, and count `\n` as two.
fn parse_event(rest: &str) -> Result<Event, ParseError> {
    let (lengths, rest) = rest.split_once("}:").ok_or(ParseError::BadEvent)?;
    let (title_length, text_length) = lengths.split_once(',').ok_or(ParseError::BadEvent)?;
    let title_length: usize = title_length.parse().map_err(|_| ParseError::BadEvent)?;
    let text_length: usize = text_length.parse().map_err(|_| ParseError::BadEvent)?;
    let (title, rest) = rest.split_at_checked(title_length).ok_or(ParseError::BadEvent)?;
    let rest = rest.strip_prefix('|').ok_or(ParseError::BadEvent)?;
    let (text, rest) = rest.split_at_checked(text_length).ok_or(ParseError::BadEvent)?;
    if title.is_empty() || !(rest.is_empty() || rest.starts_with('|')) {
        return Err(ParseError::BadEvent);
    }
    let mut event = Event {
        title: title.to_owned(),
        text: text.replace("\\n", "\n"),
        date_happened: None,
        host: None,
        aggregation_key: None,
        priority: "normal".to_owned(),
        alert_type: "info".to_owned(),
        tags: Vec::new(),
    };
    for section in rest.split('|') {
        match section.split_at_checked(2) {
            Some(("d:", value)) => event.date_happened = Some(parse_timestamp(value)?),
            Some(("h:", value)) => event.host = Some(value.to_owned()),
            Some(("k:", value)) => event.aggregation_key = Some(value.to_owned()),
            Some(("p:", value)) => event.priority = value.to_owned(),
            Some(("t:", value)) => event.alert_type = value.to_owned(),
            _ => {
                if let Some(tags) = section.strip_prefix('#') {
                    event.tags = parse_tags(tags);
                }
            }
        }
    }
    Ok(event)
}

/// `name|status|…`; `m:` comes last and may hold anything, also a `|`.
fn parse_check(rest: &str) -> Result<Check, ParseError> {
    let (rest, message) = match rest.split_once("|m:") {
        Some((rest, message)) => (rest, Some(message.replace("\\n", "\n"))),
        None => (rest, None),
    };
    let mut sections = rest.split('|');
    let name = sections
        .next()
        .filter(|name| !name.is_empty())
        .ok_or(ParseError::BadCheck)?;
    let status = sections
        .next()
        .and_then(|status| status.parse::<u8>().ok())
        .filter(|status| *status <= 3);
    let mut check = Check {
        check: name.to_owned(),
        status: status.ok_or(ParseError::BadCheck)?,
        timestamp: None,
        host_name: None,
        message,
        tags: Vec::new(),
    };
    for section in sections {
        if let Some(value) = section.strip_prefix("d:") {
            check.timestamp = Some(parse_timestamp(value)?);
        } else if let Some(value) = section.strip_prefix("h:") {
            check.host_name = Some(value.to_owned());
        } else if let Some(tags) = section.strip_prefix('#') {
            check.tags = parse_tags(tags);
        }
    }
    Ok(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn metric(line: &str) -> Metric {
        match parse(line.as_bytes()) {
            Ok(Message::Metric(metric)) => metric,
            other => panic!("{line:?} is {other:?}"),
        }
    }

    #[track_caller]
    fn refused(line: &str, why: ParseError) {
        assert_eq!(parse(line.as_bytes()), Err(why), "{line:?}");
    }

    #[test]
    fn metrics_of_every_type() {
        assert_eq!(metric("a.b:1|c").values, Values::Counter(vec![1.0]));
        assert_eq!(metric("a.b:-2.5|g").values, Values::Gauge(vec![-2.5]));
        assert_eq!(metric("a.b:bob|s").values, Values::Set("bob".into()));
        for kind in ["h", "ms", "d"] {
            assert_eq!(
                metric(&format!("a.b:320|{kind}")).values,
                Values::Histogram(vec![320.0])
            );
        }
    }

    #[test]
    fn packed_values() {
        assert_eq!(
            metric("a:1:2:3.5|h").values,
            Values::Histogram(vec![1.0, 2.0, 3.5])
        );
        assert_eq!(
            metric("a:b:c|s").values,
            Values::Set("b:c".into()),
            "a set's member may hold a colon"
        );
    }

    #[test]
    fn sample_rate_and_tags_in_either_order() {
        for line in [
            "a:1|c|@0.5|#x:1,y",
            "a:1|c|#x:1,y|@0.5",
            "a:1|c|#x:1,,y|@0.5|c:container|T1700000000",
        ] {
            let metric = metric(line);
            assert_eq!(metric.sample_rate, 0.5, "{line}");
            assert_eq!(metric.tags, ["x:1", "y"], "{line}");
        }
    }

    #[test]
    fn malformed_metrics() {
        refused("", ParseError::NoName);
        refused("no-colon", ParseError::NoName);
        refused(":1|c", ParseError::NoName);
        refused("a:1", ParseError::NoType);
        refused("a:1|x", ParseError::UnknownType("x".into()));
        refused("a:one|c", ParseError::BadValue("one".into()));
        refused("a:1:|c", ParseError::BadValue("".into()));
        refused("a:NaN|g", ParseError::BadValue("NaN".into()));
        refused("a:1|c|@0", ParseError::BadSampleRate("0".into()));
        refused("a:1|c|@1.5", ParseError::BadSampleRate("1.5".into()));
        assert_eq!(parse(b"a\xff:1|c"), Err(ParseError::NotUtf8));
    }

    #[test]
    fn events() {
        let line = "_e{5,9}:title|a\\nb|c\\nd|d:1700000000|h:web-1|k:deploys|p:low|t:error|#env:test,x";
        let Ok(Message::Event(event)) = parse(line.as_bytes()) else {
            panic!("{line}")
        };
        assert_eq!(event.title, "title");
        assert_eq!(event.text, "a\nb|c\nd");
        assert_eq!(event.date_happened, Some(1_700_000_000));
        assert_eq!(event.host.as_deref(), Some("web-1"));
        assert_eq!(event.aggregation_key.as_deref(), Some("deploys"));
        assert_eq!((&*event.priority, &*event.alert_type), ("low", "error"));
        assert_eq!(event.tags, ["env:test", "x"]);

        for line in [
            "_e{5,4}:title",
            "_e{50,4}:title|text",
            "_e{5}:title|text",
            "_e{5,3}:title|text",
            "_e{0,4}:|text",
        ] {
            refused(line, ParseError::BadEvent);
        }
        refused("_e{1,1}:a|b|d:soon", ParseError::BadTimestamp("soon".into()));
    }

    #[test]
    fn service_checks() {
        let line = "_sc|db.up|2|d:1700000000|h:db-1|#role:primary|m:down | since noon";
        let Ok(Message::Check(check)) = parse(line.as_bytes()) else {
            panic!("{line}")
        };
        assert_eq!((&*check.check, check.status), ("db.up", 2));
        assert_eq!(check.timestamp, Some(1_700_000_000));
        assert_eq!(check.host_name.as_deref(), Some("db-1"));
        assert_eq!(check.tags, ["role:primary"]);
        assert_eq!(check.message.as_deref(), Some("down | since noon"));

        for line in ["_sc|", "_sc|name", "_sc|name|4", "_sc|name|ok", "_sc||0"] {
            refused(line, ParseError::BadCheck);
        }
    }
}
