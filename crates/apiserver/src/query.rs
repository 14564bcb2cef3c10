//! Query parameters as upstream converts them into options.

use percent_encoding::percent_decode_str;

use crate::status::{FieldError, Status};

/// The decoded query of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self {
            pairs: pairs.collect(),
        }
    }

    /// The first value of a parameter; empty counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.first(key).filter(|value| !value.is_empty())
    }

    fn first(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there at all.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.first(key).is_some()
    }

    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Upstream's conversion: absent is false, `false` and `0` are false, all else is true.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.first(key)
            .is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    pub(crate) fn integer(&self, key: &str) -> Result<Option<i64>, Status> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        let parsed = text.parse().map_err(|_| {
            Status::bad_request(format!(
                "strconv.ParseInt: parsing {}: invalid syntax",
                crate::status::quote(text)
            ))
        })?;
        Ok(Some(parsed))
    }
}

/// What happens to fields that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, with a warning.
    Warn,
    /// The request is refused.
    Strict,
}

/// Options that every write takes.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) field_validation: FieldValidation,
    pub(crate) manager: String,
}

impl WriteOptions {
    /// `kind` is upstream's name of the options (`CreateOptions`), `apply` whether the body is an applied configuration.
    pub(crate) fn parse(query: &Query, user_agent: &str, kind: &str, apply: bool) -> Result<Self, Status> {
        let mut faults = Vec::new();
        let dry_run: Vec<&str> = query.all("dryRun").filter(|value| !value.is_empty()).collect();
        if dry_run.iter().any(|one| *one != "All") {
            let shown: Vec<String> = dry_run.iter().map(|one| crate::status::quote(one)).collect();
            faults.push(FieldError::not_supported(
                "dryRun",
                format!("[]string{{{}}}", shown.join(", ")),
                &["All"],
            ));
        }
        let manager = query.get("fieldManager").unwrap_or("");
        if apply && manager.is_empty() {
            faults.push(FieldError::required(
                "fieldManager",
                "is required for apply patch",
            ));
        }
        if kind == "PatchOptions" && !apply && query.has("force") {
            faults.push(FieldError::forbidden(
                "force",
                "may not be specified for non-apply patch",
            ));
        }
        if manager.len() > 128 {
            faults.push(FieldError::too_long("fieldManager", 128));
        }
        if let Some((at, c)) = manager.char_indices().find(|(_, c)| c.is_control()) {
            let detail = format!("invalid character U+{:04X} (at position {at})", c as u32);
            faults.push(FieldError::invalid(
                "fieldManager",
                crate::status::quote(manager),
                detail,
            ));
        }
        let field_validation = match query.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let supported = ["Ignore", "Strict", "Warn"];
                faults.push(FieldError::not_supported(
                    "fieldValidation",
                    crate::status::quote(other),
                    &supported,
                ));
                FieldValidation::Warn
            }
        };
        if !faults.is_empty() {
            return Err(Status::invalid("meta.k8s.io", kind, "", &faults));
        }
        let manager = if manager.is_empty() {
            default_manager(user_agent)
        } else {
            manager.to_owned()
        };
        Ok(Self {
            dry_run: !dry_run.is_empty(),
            field_validation,
            manager,
        })
    }
}

/// The part of the user agent before the first slash, printable, at most 128 characters.
fn default_manager(user_agent: &str) -> String {
    let head = user_agent.split('/').next().unwrap_or("");
    let printable: String = head.chars().filter(|c| !c.is_control()).take(128).collect();
    if printable.is_empty() {
        "unknown".to_owned()
    } else {
        printable
    }
}
