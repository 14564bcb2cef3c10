//! The values that are one word in a file: text, numbers, durations, sizes, signals, file modes, places in JSON.
//!
//! Each reads itself from text, so that a literal and what a template rendered go through the same door.

use std::{fmt, str::FromStr, time::Duration};

use serde_json::json;

use crate::{decode::Scalar, json_path::JsonPath, node::resolve_plain};

impl Scalar for String {
    const NAME: &'static str = "text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    /// Numbers and booleans are text where text is wanted, so `PORT: 8080` needs no quotes.
    fn json_schema() -> serde_json::Value {
        json!({"type": ["string", "number", "boolean"]})
    }
}

impl Scalar for bool {
    const NAME: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" => {
                Err("is neither `true` nor `false`; write `true`".into())
            }
            "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" => {
                Err("is neither `true` nor `false`; write `false`".into())
            }
            _ => Err("is neither `true` nor `false`".into()),
        }
    }

    fn json_schema() -> serde_json::Value {
        json!({"type": "boolean"})
    }
}

macro_rules! integers {
    ($($type:ty),*) => { $(
        impl Scalar for $type {
            const NAME: &'static str = "whole number";

            fn parse(text: &str) -> Result<Self, String> {
                match resolve_plain(text) {
                    serde_json::Value::Number(number) => match number.as_i64().map(Self::try_from) {
                        Some(Ok(number)) => Ok(number),
                        Some(Err(_)) => Err(format!("is not from {} to {}", Self::MIN, Self::MAX)),
                        None => Err("is no whole number".into()),
                    },
                    _ if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                        Err("could be octal or decimal; write it without the leading zero, or with `0o`".into())
                    }
                    _ => Err("is no whole number".into()),
                }
            }

            fn json_schema() -> serde_json::Value {
                json!({"type": "integer", "minimum": Self::MIN, "maximum": Self::MAX})
            }
        }
    )* };
}

integers!(u16, u32, i32, i64, usize);

impl Scalar for f64 {
    const NAME: &'static str = "number";

    fn parse(text: &str) -> Result<Self, String> {
        resolve_plain(text).as_f64().ok_or_else(|| "is no number".into())
    }

    fn json_schema() -> serde_json::Value {
        json!({"type": "number"})
    }
}

impl Scalar for Duration {
    const NAME: &'static str = "duration";

    fn parse(text: &str) -> Result<Self, String> {
        duration(text).ok_or_else(|| {
            if text.parse::<f64>().is_ok() {
                format!("has no unit; write `{text}s` or `{text}ms`")
            } else {
                "is no duration; write it like `500ms`, `30s`, `1m30s` or `2h`".into()
            }
        })
    }

    fn json_schema() -> serde_json::Value {
        json!({"type": "string", "pattern": r"^(0|([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d)\s*)+)$", "examples": ["30s", "1m30s", "500ms"]})
    }
}

/// `1m30s`, `500ms`, `1.5h`; `0` needs no unit.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|at: char| !at.is_ascii_digit() && at != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|at: char| !at.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let seconds = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total =
            total.checked_add(Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?)?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty()).then_some(total)
}

/// A number of bytes: `64MiB`, `500kB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl Scalar for ByteSize {
    const NAME: &'static str = "size";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is no size; write it like `64MiB`, `500kB` or `4096`".to_owned();
        let digits = text
            .find(|at: char| !at.is_ascii_digit() && at != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit.trim() {
            "" | "B" => 1,
            "k" | "kB" | "KB" => 1000,
            "M" | "MB" => 1_000_000,
            "G" | "GB" => 1_000_000_000,
            "K" | "Ki" | "KiB" => 1 << 10,
            "Mi" | "MiB" => 1 << 20,
            "Gi" | "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size of more than 2^53 bytes is nobody's, and a negative one was refused"
        )]
        Ok(Self((number * factor as f64) as u64))
    }

    fn json_schema() -> serde_json::Value {
        json!({"type": ["string", "integer"], "examples": ["64MiB", "500kB", 4096]})
    }
}

/// A signal by name or number: `TERM`, `SIGHUP`, `9`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signal(pub i32);

/// Linux on x86_64 and aarch64 number these alike.
const SIGNALS: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

impl Scalar for Signal {
    const NAME: &'static str = "signal";

    fn parse(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*number));
        }
        match text.parse() {
            Ok(number @ 1..=64) => Ok(Self(number)),
            _ => {
                let known: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
                let near =
                    crate::decode::nearest(name, &known).map(|near| format!("; did you mean `{near}`?"));
                Err(format!(
                    "is no signal{}",
                    near.unwrap_or_else(|| "; write it like `TERM`, `SIGHUP` or `9`".into())
                ))
            }
        }
    }

    fn json_schema() -> serde_json::Value {
        let names: Vec<String> = SIGNALS
            .iter()
            .flat_map(|(name, _)| [(*name).to_owned(), format!("SIG{name}")])
            .collect();
        json!({"anyOf": [{"enum": names}, {"type": "integer", "minimum": 1, "maximum": 64}]})
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIGNALS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A file's mode. Written as `0644`, `644`, `0o644` or `"0644"`: always octal, as for `chmod`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl Scalar for FileMode {
    const NAME: &'static str = "file mode";

    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(Self(mode)),
            _ => Err("is no file mode; write it like `0644` or `0755`".into()),
        }
    }

    fn json_schema() -> serde_json::Value {
        json!({"type": ["string", "integer"], "examples": ["0644", "0755"]})
    }
}

impl fmt::Debug for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#o}", self.0)
    }
}

impl Scalar for JsonPath {
    const NAME: &'static str = "JSON path";

    fn parse(text: &str) -> Result<Self, String> {
        JsonPath::from_str(text).map_err(|error| format!("is no JSON path: {error}"))
    }

    fn json_schema() -> serde_json::Value {
        json!({"type": "string", "examples": [".items[0].name"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: Scalar + std::fmt::Debug>(text: &str, expected: &str) {
        let shown = match T::parse(text) {
            Ok(value) => format!("{value:?}"),
            Err(wrong) => wrong,
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn durations() {
        check::<Duration>("1m30s", "90s");
        check::<Duration>("1h 0m 0.5s", "3600.5s");
        check::<Duration>("500ms", "500ms");
        check::<Duration>("0", "0ns");
        check::<Duration>("30", "has no unit; write `30s` or `30ms`");
        for wrong in ["", "s", "1x", "-1s", "1s-", "1.2.3s", "99999999999999999999h"] {
            assert!(Duration::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_in_their_many_forms() {
        check::<u16>("8080", "8080");
        check::<u16>("0x1F", "31");
        check::<u16>("0o17", "15");
        check::<u16>("70000", "is not from 0 to 65535");
        check::<u16>(
            "0644",
            "could be octal or decimal; write it without the leading zero, or with `0o`",
        );
        check::<i32>("-1", "-1");
        check::<i32>("1.5", "is no whole number");
        check::<f64>("1e3", "1000.0");
        check::<f64>(".5", "0.5");
        check::<f64>("1_000", "is no number");
    }

    #[test]
    fn modes_are_octal_whatever_they_look_like() {
        for text in ["0644", "644", "0o644"] {
            check::<FileMode>(text, "0o644");
        }
        check::<FileMode>("0855", "is no file mode; write it like `0644` or `0755`");
        check::<FileMode>("77777", "is no file mode; write it like `0644` or `0755`");
    }

    #[test]
    fn sizes_and_signals() {
        check::<ByteSize>("64MiB", "ByteSize(67108864)");
        check::<ByteSize>("1.5k", "ByteSize(1500)");
        check::<ByteSize>(
            "64 elephants",
            "is no size; write it like `64MiB`, `500kB` or `4096`",
        );
        check::<Signal>("sighup", "SIGHUP");
        check::<Signal>("15", "SIGTERM");
        check::<Signal>("34", "signal 34");
        check::<Signal>("HUPP", "is no signal; did you mean `HUP`?");
        check::<Signal>("0", "is no signal; write it like `TERM`, `SIGHUP` or `9`");
    }

    #[test]
    fn data_without_a_type_is_resolved_by_the_core_schema() {
        for (text, expected) in [
            ("yes", "\"yes\""),
            ("no", "\"no\""),
            ("true", "true"),
            ("~", "null"),
            ("012", "\"012\""),
            ("12", "12"),
            ("+12", "12"),
            ("1.10", "1.1"),
            ("1.2.3", "\"1.2.3\""),
            ("0o17", "15"),
            ("1e2", "100.0"),
            (".inf", "\".inf\""),
            ("2001-01-01", "\"2001-01-01\""),
            ("-", "\"-\""),
        ] {
            assert_eq!(resolve_plain(text).to_string(), expected, "{text}");
        }
    }
}
