//! Where a configuration comes from: a TOML file, and the environment over it.
//!
//! The environment is laid over the file key by key, and the type of a key decides how its text is
//! read. So no key needs code of its own, and `PUT /config` is the same operation with JSON.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Config, Invalid, LIVE_KEYS};
use crate::defect::{self, Defect};
use crate::log;

const PREFIX: &str = "METRICS_AGENT_";

/// Names the configuration file when `--config` does not.
const FILE_VARIABLE: &str = "METRICS_AGENT_CONFIG";

/// A file and an environment that can be read again.
#[derive(Debug, Clone)]
pub struct Source {
    file: Option<PathBuf>,
    environment: BTreeMap<String, String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is no TOML, has unknown keys or values of a wrong type.
    #[error("{}: {message}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// A value from elsewhere is of a wrong type.
    #[error("{key}: {message}")]
    Value {
        /// The key, as it was given.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// There is no such key.
    #[error("{0}: no such key")]
    UnknownKey(String),
    /// The key cannot change while the agent runs.
    #[error("{0}: cannot be changed while the agent runs")]
    NotLive(String),
    /// The values do not fit together.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Source {
    /// `file` is from the command line; the environment may name one instead.
    pub fn new(file: Option<PathBuf>, environment: impl Iterator<Item = (String, String)>) -> Self {
        let environment: BTreeMap<_, _> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        let file = file.or_else(|| environment.get(FILE_VARIABLE).map(PathBuf::from));
        Self { file, environment }
    }

    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads the file, lays the environment over it, and checks the outcome.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the configuration.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.file {
            Some(path) => read_file(path)?,
            None => Config::default(),
        };
        for (name, text) in self.overrides() {
            let key = name[PREFIX.len()..].to_ascii_lowercase();
            let mut values = to_map(&config);
            let Some(slot) = values.get_mut(&key) else {
                // Not an error: Kubernetes adds variables of its own to the pods of a namespace that
                // has a service called metrics-agent.
                log::warning!("config", "{name}: no such key, ignored");
                continue;
            };
            *slot = value_like(slot, text);
            config = from_map(values, name)?;
        }
        config.validate()?;
        Ok(config)
    }

    fn overrides(&self) -> impl Iterator<Item = (&str, &str)> {
        let used = if Defect::EnvironmentIgnored.is_on() {
            0
        } else {
            usize::MAX
        };
        self.environment
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .filter(|(name, _)| ![FILE_VARIABLE, defect::VARIABLE].contains(name))
            .take(used)
    }
}

impl Config {
    /// This configuration with the keys of `changes` replaced, as `PUT /config` asks.
    ///
    /// # Errors
    ///
    /// A key that is unknown or cannot change now, a value of a wrong type, an invalid outcome.
    pub fn with_changes(&self, changes: Map<String, Value>) -> Result<Self, ConfigError> {
        let mut config = self.clone();
        for (key, value) in changes {
            let mut values = to_map(&config);
            let Some(slot) = values.get_mut(&key) else {
                return Err(ConfigError::UnknownKey(key));
            };
            if !LIVE_KEYS.contains(&key.as_str()) && !Defect::ConfigPutUnchecked.is_on() {
                return Err(ConfigError::NotLive(key));
            }
            *slot = value;
            config = from_map(values, &key)?;
        }
        config.validate()?;
        Ok(config)
    }

    /// This configuration with the live keys of `other`, and the other keys that differ.
    pub fn with_live_keys_of(&self, other: &Self) -> (Self, Vec<String>) {
        let mut values = to_map(self);
        let mut ignored = Vec::new();
        for (key, new) in to_map(other) {
            if values.get(&key) == Some(&new) {
                continue;
            }
            if LIVE_KEYS.contains(&key.as_str()) {
                values.insert(key, new);
            } else {
                ignored.push(key);
            }
        }
        let config = from_map(values, "reload").unwrap_or_else(|_| self.clone());
        (config, ignored)
    }
}

fn read_file(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
        path: path.to_owned(),
        error,
    })?;
    let parsed = if Defect::UnknownKeyAccepted.is_on() {
        read_known_keys(&text)
    } else {
        toml::from_str(&text).map_err(|error| one_line(&error, &text))
    };
    parsed.map_err(|message| ConfigError::File {
        path: path.to_owned(),
        message,
    })
}

/// What [`Defect::UnknownKeyAccepted`] does.
fn read_known_keys(text: &str) -> Result<Config, String> {
    let given: Map<String, Value> = toml::from_str(text).map_err(|error| one_line(&error, text))?;
    let mut values = to_map(&Config::default());
    for (key, value) in given {
        if let Some(slot) = values.get_mut(&key) {
            *slot = value;
        }
    }
    from_map(values, "file").map_err(|error| error.to_string())
}

/// A log line is one line: the place and the message, without the excerpt that toml would add.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let place = error
        .span()
        .map(|span| text[..span.start].matches('\n').count() + 1);
    let message = error.message().replace('\n', ", ");
    match place {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}

fn to_map(config: &Config) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => map,
        other => unreachable!("a configuration is an object: {other:?}"),
    }
}

fn from_map(values: Map<String, Value>, key: &str) -> Result<Config, ConfigError> {
    serde_json::from_value(Value::Object(values)).map_err(|error| ConfigError::Value {
        key: key.to_owned(),
        message: error.to_string(),
    })
}

/// Reads `text` as the type that the key has now. Empty text unsets what can be unset.
fn value_like(current: &Value, text: &str) -> Value {
    match current {
        Value::Number(_) | Value::Bool(_) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        }
        Value::Array(_) => Value::Array(
            text.split(',')
                .filter(|item| !item.is_empty())
                .map(Value::from)
                .collect(),
        ),
        _ if text.is_empty() => Value::Null,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::log::Level;

    fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        let environment = environment
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let source = Source::new(Some(file.path().to_owned()), environment);
        source.load().map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_over_the_defaults() {
        let config = load(
            "flush_interval = '100ms'\ndogstatsd_udp = ''\ntags = ['a', 'b']\n",
            &[],
        )
        .unwrap();
        assert_eq!(config.flush_interval, Duration::from_millis(100));
        assert_eq!(config.dogstatsd_udp, None);
        assert_eq!(config.tags, ["a", "b"]);
        assert_eq!(config.log_level, Level::Info);
        assert_eq!(load("", &[]).unwrap(), Config::default());
    }

    #[test]
    fn the_environment_over_the_file() {
        let environment = [
            ("METRICS_AGENT_CONTEXTS_MAX", "7"),
            ("METRICS_AGENT_DOGSTATSD_UDP", ""),
            ("METRICS_AGENT_FORWARD_API_KEY", "0123"),
            ("METRICS_AGENT_LOG_LEVEL", "debug"),
            ("METRICS_AGENT_SERVICE_HOST", "10.0.0.1"),
            ("METRICS_AGENT_TAGS", "x:1,y"),
            ("OTHER", "ignored"),
        ];
        let config = load("log_level = 'error'\ncontexts_max = 5\n", &environment).unwrap();
        assert_eq!(config.contexts_max, 7);
        assert_eq!(config.dogstatsd_udp, None);
        assert_eq!(config.forward_api_key.as_deref(), Some("0123"));
        assert_eq!(config.log_level, Level::Debug);
        assert_eq!(config.tags, ["x:1", "y"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (toml, environment, part) in [
            (
                "tags = []\nflush_intervall = '1s'\n",
                &[][..],
                "line 2: unknown field `flush_intervall`",
            ),
            ("flush_interval = 'soon'\n", &[], "bad duration `soon`"),
            ("output = 'http'\n", &[], "forward_url is not set"),
            ("api_certificate = 'a.pem'\n", &[], "api_key_file"),
            (
                "",
                &[("METRICS_AGENT_CONTEXTS_MAX", "many")],
                "METRICS_AGENT_CONTEXTS_MAX",
            ),
        ] {
            let error = load(toml, environment).unwrap_err();
            assert!(error.contains(part), "{toml:?} {environment:?}: {error}");
        }
    }

    #[test]
    fn changes_at_run_time() {
        let changes = |value: Value| value.as_object().unwrap().clone();
        let config = Config::default();
        let changed = config
            .with_changes(changes(json!({"log_level": "warn", "flush_interval": "1s"})))
            .unwrap();
        assert_eq!(changed.log_level, Level::Warn);
        assert_eq!(changed.flush_interval, Duration::from_secs(1));
        for bad in [
            json!({"hostname": "other"}),
            json!({"no_such_key": 1}),
            json!({"log_level": "loud"}),
            json!({"flush_interval": "1ms"}),
        ] {
            assert!(config.with_changes(changes(bad.clone())).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reload_takes_live_keys_and_names_the_others() {
        let new = Config {
            contexts_max: 1,
            hostname: Some("other".into()),
            ..Config::default()
        };
        let (config, ignored) = Config::default().with_live_keys_of(&new);
        assert_eq!(config.contexts_max, 1);
        assert_eq!(config.hostname, None);
        assert_eq!(ignored, ["hostname"]);
    }
}
