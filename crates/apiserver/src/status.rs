//! The `Status` object that every refusal is, byte for byte as upstream writes it.
//!
//! Clients compare reasons, codes and messages, so each constructor here is one of upstream's (`apimachinery`,
//! `pkg/api/errors`), and [`FieldError`] is its `field.Error`.

use serde_json::{Map, Value, json};

use crate::json;

/// A refusal, or the success that a delete answers with.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Upstream's `StatusReason`; empty where upstream has none.
    pub reason: &'static str,
    /// For people, and compared by tests.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<Details>>,
}

/// The `details` of a [`Status`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// API group.
    pub group: String,
    /// Resource or kind, as upstream chooses for each reason.
    pub kind: String,
    /// UID of the object.
    pub uid: String,
    /// Single faults.
    pub causes: Vec<Cause>,
    /// Seconds after which to try again.
    pub retry_after_s: u32,
}

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// Upstream's `CauseType`.
    pub reason: String,
    /// Text.
    pub message: String,
    /// Path of the field.
    pub field: String,
}

/// Group and plural name, as refusals name a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupResource<'a> {
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
}

impl std::fmt::Display for GroupResource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.group.is_empty() {
            f.write_str(self.resource)
        } else {
            write!(f, "{}.{}", self.resource, self.group)
        }
    }
}

impl Status {
    fn plain(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    fn about(code: u16, reason: &'static str, of: GroupResource<'_>, name: &str, message: String) -> Self {
        let details = Details {
            name: name.to_owned(),
            group: of.group.to_owned(),
            kind: of.resource.to_owned(),
            ..Details::default()
        };
        Self {
            code,
            reason,
            message,
            details: Some(Box::new(details)),
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::plain(400, "BadRequest", message)
    }

    pub(crate) fn not_found(of: GroupResource<'_>, name: &str) -> Self {
        Self::about(
            404,
            "NotFound",
            of,
            name,
            format!("{of} {} not found", quote(name)),
        )
    }

    pub(crate) fn already_exists(of: GroupResource<'_>, name: &str) -> Self {
        Self::about(
            409,
            "AlreadyExists",
            of,
            name,
            format!("{of} {} already exists", quote(name)),
        )
    }

    pub(crate) fn conflict(of: GroupResource<'_>, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {of} {}: {why}", quote(name));
        Self::about(409, "Conflict", of, name, message)
    }

    pub(crate) fn modified(of: GroupResource<'_>, name: &str) -> Self {
        const WHY: &str =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(of, name, WHY)
    }

    pub(crate) fn forbidden(of: GroupResource<'_>, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{of} is forbidden: {why}")
        } else {
            format!("{of} {} is forbidden: {why}", quote(name))
        };
        Self::about(403, "Forbidden", of, name, message)
    }

    pub(crate) fn method_not_supported(of: GroupResource<'_>, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind \"{of}\"");
        Self::about(405, "MethodNotAllowed", of, "", message)
    }

    pub(crate) fn not_acceptable(accepted: &str) -> Self {
        Self::plain(
            406,
            "NotAcceptable",
            format!("only the following media types are accepted: {accepted}"),
        )
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::plain(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn too_large() -> Self {
        Self::plain(
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
        )
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        let message = message.into();
        let cause = Cause {
            reason: String::new(),
            message: message.clone(),
            field: String::new(),
        };
        Self {
            code: 500,
            reason: "InternalError",
            message: format!("Internal error occurred: {message}"),
            details: Some(Box::new(Details {
                causes: vec![cause],
                ..Details::default()
            })),
        }
    }

    /// A Go `error` that is no API status: 500 without a reason.
    pub(crate) fn unclassified(message: impl Into<String>) -> Self {
        Self::plain(500, "", message)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::plain(410, "Expired", message)
    }

    pub(crate) fn too_large_version(wanted: u64, current: u64) -> Self {
        let cause = Cause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            field: String::new(),
        };
        Self {
            code: 504,
            reason: "Timeout",
            message: format!("Timeout: Too large resource version: {wanted}, current: {current}"),
            details: Some(Box::new(Details {
                causes: vec![cause],
                retry_after_s: 1,
                ..Details::default()
            })),
        }
    }

    /// 422 with one cause per fault. `kind` is the Kind, not the resource.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, faults: &[FieldError]) -> Self {
        let of = GroupResource {
            group,
            resource: kind,
        };
        let texts: Vec<String> = {
            let mut seen: Vec<String> = Vec::new();
            for fault in faults {
                let text = fault.to_string();
                if !seen.contains(&text) {
                    seen.push(text);
                }
            }
            seen
        };
        let all = match texts.as_slice() {
            [] => "<nil>".to_owned(),
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut status = Self::about(
            422,
            "Invalid",
            of,
            name,
            format!("{of} {} is invalid: {all}", quote(name)),
        );
        if let Some(details) = &mut status.details {
            details.causes = faults
                .iter()
                .map(|fault| Cause {
                    reason: fault.kind.reason().to_owned(),
                    message: fault.body(),
                    field: fault.field.clone(),
                })
                .collect();
        }
        status
    }

    /// The answer to a patch that cannot be applied.
    pub(crate) fn unprocessable_patch() -> Self {
        Self {
            code: 422,
            reason: "Invalid",
            message: "the server rejected our request due to an error in our request".to_owned(),
            details: Some(Box::default()),
        }
    }

    /// The tree, keys in upstream's order.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        out.insert("kind".into(), "Status".into());
        out.insert("apiVersion".into(), "v1".into());
        out.insert("metadata".into(), json!({}));
        let success = self.code < 300;
        out.insert(
            "status".into(),
            if success { "Success" } else { "Failure" }.into(),
        );
        if !self.message.is_empty() {
            out.insert("message".into(), self.message.clone().into());
        }
        if !self.reason.is_empty() {
            out.insert("reason".into(), self.reason.into());
        }
        if let Some(details) = &self.details {
            out.insert("details".into(), details.to_value());
        }
        if !success {
            out.insert("code".into(), self.code.into());
        }
        Value::Object(out)
    }

    /// The body of a response: upstream's key order, a newline at the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = serde_json_ordered(&self.to_value());
        out.push(b'\n');
        out
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut out = Map::new();
        for (key, text) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !text.is_empty() {
                out.insert(key.to_owned(), text.clone().into());
            }
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(|cause| {
                let mut entry = Map::new();
                for (key, text) in [
                    ("reason", &cause.reason),
                    ("message", &cause.message),
                    ("field", &cause.field),
                ] {
                    if !text.is_empty() {
                        entry.insert(key.to_owned(), text.clone().into());
                    }
                }
                Value::Object(entry)
            });
            out.insert("causes".into(), causes.collect());
        }
        if self.retry_after_s > 0 {
            out.insert("retryAfterSeconds".into(), self.retry_after_s.into());
        }
        Value::Object(out)
    }
}

/// JSON with keys in the order of the tree, strings escaped as Go does.
pub(crate) fn serde_json_ordered(value: &Value) -> Vec<u8> {
    fn write(value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Object(map) => {
                out.push(b'{');
                for (index, (key, value)) in map.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    json::write_string(key, out);
                    out.push(b':');
                    write(value, out);
                }
                out.push(b'}');
            }
            Value::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write(item, out);
                }
                out.push(b']');
            }
            scalar => json::write_value(scalar, out),
        }
    }
    let mut out = Vec::with_capacity(256);
    write(value, &mut out);
    out
}

/// What is wrong with one field: upstream's `field.ErrorType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Required,
    Invalid,
    TypeInvalid,
    NotSupported,
    Duplicate,
    Forbidden,
    TooLong,
    TooMany,
}

impl FaultKind {
    fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }
}

/// One fault of one field: upstream's `field.Error`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldError {
    pub(crate) kind: FaultKind,
    pub(crate) field: String,
    /// The bad value as upstream prints it, quotes included.
    pub(crate) value: String,
    pub(crate) detail: String,
}

impl FieldError {
    fn new(kind: FaultKind, field: impl Into<String>, value: String, detail: impl Into<String>) -> Self {
        Self {
            kind,
            field: field.into(),
            value,
            detail: detail.into(),
        }
    }

    pub(crate) fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Required, field, String::new(), detail)
    }

    /// `value` is already printed: see [`show`] and [`quote`].
    pub(crate) fn invalid(
        field: impl Into<String>,
        value: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(FaultKind::Invalid, field, value.into(), detail)
    }

    pub(crate) fn type_invalid(
        field: impl Into<String>,
        value: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(FaultKind::TypeInvalid, field, value.into(), detail)
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Forbidden, field, String::new(), detail)
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(FaultKind::Duplicate, field, value.into(), "")
    }

    pub(crate) fn not_supported(
        field: impl Into<String>,
        value: impl Into<String>,
        supported: &[&str],
    ) -> Self {
        let all: Vec<String> = supported.iter().map(|one| quote(one)).collect();
        Self::new(
            FaultKind::NotSupported,
            field,
            value.into(),
            format!("supported values: {}", all.join(", ")),
        )
    }

    pub(crate) fn too_long(field: impl Into<String>, max: usize) -> Self {
        Self::new(
            FaultKind::TooLong,
            field,
            String::new(),
            format!("may not be more than {max} bytes"),
        )
    }

    /// The part after the field: what a cause's message holds.
    pub(crate) fn body(&self) -> String {
        let title = self.kind.title();
        let head = match self.kind {
            FaultKind::Required | FaultKind::Forbidden | FaultKind::TooLong => title.to_owned(),
            _ => format!("{title}: {}", self.value),
        };
        if self.detail.is_empty() {
            head
        } else {
            format!("{head}: {}", self.detail)
        }
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// A string as Go's `%q` prints it.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A JSON value as upstream's `field.Error` prints a bad value: strings quoted, trees as JSON.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Null => "null".to_owned(),
        other => json::to_string(other),
    }
}

/// A JSON value as Go's `%#v` prints it.
pub(crate) fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => json::number_text(number),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            let all: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", all.join(", "))
        }
        Value::Object(map) => {
            let mut all: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}:{}", quote(key), go_syntax(value)))
                .collect();
            all.sort();
            format!("map[string]interface {{}}{{{}}}", all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_byte_exact() {
        let of = GroupResource {
            group: "a.dev",
            resource: "widgets",
        };
        let text = String::from_utf8(Status::not_found(of, "one").to_bytes()).unwrap();
        assert_eq!(
            text,
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"widgets.a.dev \\\"one\\\" not found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"one\",\"group\":\"a.dev\",\"kind\":\"widgets\"},\"code\":404}\n"
        );
    }

    #[test]
    fn equal_texts_are_said_once_but_counted_twice() {
        let fault = FieldError::invalid("metadata.uid", "\"x\"", "field is immutable");
        let status = Status::invalid("g", "K", "n", &[fault.clone(), fault]);
        assert_eq!(
            status.message,
            "K.g \"n\" is invalid: metadata.uid: Invalid value: \"x\": field is immutable"
        );
        assert_eq!(status.details.unwrap().causes.len(), 2);
    }
}
