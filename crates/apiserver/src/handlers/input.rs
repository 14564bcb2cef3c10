//! From a request's bytes to an object that may be written: decoding, field validation, type and name checks.

use serde_json::{Map, Value};

use super::call::Call;
use crate::{
    json::{self, Parsed},
    media::{self, Encoding},
    meta::{self, Meta, go_kind},
    query::FieldValidation,
    registry::{Origin, Resource},
    schema,
    status::{FieldError, Status, quote},
    yaml,
};

/// What a decoder found beside the object.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) unknown: Vec<String>,
    pub(crate) duplicates: Vec<String>,
}

impl Findings {
    fn texts(&self) -> Vec<String> {
        let mut duplicates: Vec<String> = self
            .duplicates
            .iter()
            .map(|path| format!("duplicate field {}", quote(path)))
            .collect();
        let mut unknown: Vec<String> = self
            .unknown
            .iter()
            .map(|path| format!("unknown field {}", quote(path)))
            .collect();
        unknown.sort();
        duplicates.append(&mut unknown);
        duplicates
    }

    /// Warnings, or the text of the refusal.
    pub(crate) fn judge(&self, validation: FieldValidation) -> Result<Vec<String>, String> {
        let texts = self.texts();
        match validation {
            FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Warn => Ok(texts),
            FieldValidation::Strict if texts.is_empty() => Ok(Vec::new()),
            FieldValidation::Strict => Err(format!("strict decoding error: {}", texts.join(", "))),
        }
    }
}

/// The body as a tree. Refusals name what should have been there.
pub(crate) fn parse_body(call: &Call) -> Result<Parsed, Status> {
    let kind = &call.resource.kind;
    let unrecognized = |why: String| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({})",
            excerpt(&call.body)
        ))
    };
    let parsed = match media::body_encoding(&call.content_type)? {
        Encoding::Json => json::parse(&call.body)
            .map_err(|error| unrecognized(format!("couldn't get version/kind; json parse error: {error}")))?,
        Encoding::Yaml => Parsed {
            value: yaml::parse(&call.body).map_err(unrecognized)?,
            duplicates: Vec::new(),
        },
    };
    if !parsed.value.is_object() {
        return Err(unrecognized(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            go_kind(&parsed.value)
        )));
    }
    let text = |key: &str| parsed.value.get(key).and_then(Value::as_str).unwrap_or("");
    if text("kind").is_empty() && call.resource.origin == Origin::Custom {
        let shown = String::from_utf8_lossy(&call.body).into_owned();
        return Err(unrecognized(format!("Object 'Kind' is missing in '{shown}'")));
    }
    Ok(parsed)
}

/// The start of a body as upstream shows it: text if it looks like an object, else hex.
fn excerpt(body: &[u8]) -> String {
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let textual = body[0] == b'{';
    let cut = if textual { 30 } else { 15 };
    let (head, rest) = body.split_at(body.len().min(cut));
    let head = if textual {
        String::from_utf8_lossy(head).into_owned()
    } else {
        head.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    if rest.is_empty() {
        head
    } else {
        format!("{head} ...")
    }
}

fn cannot_be_handled(resource: &Resource, kind: &str, why: &str) -> Status {
    Status::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {}: {why}",
        resource.version, resource.kind
    ))
}

/// Decodes, validates fields, checks the type, fills in the namespace. Returns the object and the warnings.
pub(crate) fn decode(call: &Call, validation: FieldValidation) -> Result<(Value, Vec<String>), Status> {
    let resource = &call.resource;
    let parsed = parse_body(call)?;
    let mut value = parsed.value;
    let mut findings = Findings {
        duplicates: parsed.duplicates,
        ..Findings::default()
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if !resource.is_custom() {
        if !kind.is_empty() && kind != resource.kind
            || !api_version.is_empty() && api_version != resource.api_version()
        {
            return Err(wrong_type(resource, &api_version, &kind));
        }
        if let Value::Object(map) = &mut value {
            map.insert("kind".to_owned(), resource.kind.clone().into());
            map.insert("apiVersion".to_owned(), resource.api_version().into());
        }
    } else if api_version != resource.api_version() {
        return Err(Status::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({})",
            resource.api_version()
        )));
    }
    let shown_kind = if kind.is_empty() {
        resource.kind.as_str()
    } else {
        kind.as_str()
    };
    settle(&mut value, resource, &mut findings)
        .map_err(|why| cannot_be_handled(resource, shown_kind, &why))?;
    let warnings = findings
        .judge(validation)
        .map_err(|why| cannot_be_handled(resource, shown_kind, &why))?;
    Ok((value, warnings))
}

fn wrong_type(resource: &Resource, api_version: &str, kind: &str) -> Status {
    if api_version.is_empty() || api_version == resource.api_version() {
        let why = format!(
            "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:110\"",
            quote(kind),
            quote(&resource.api_version())
        );
        return cannot_be_handled(resource, kind, &why);
    }
    Status::bad_request(format!(
        "the API version in the data ({api_version}) does not match the expected API version ({})",
        resource.api_version()
    ))
}

/// Brings a decoded tree into the form that upstream's decoder leaves: metadata decoded, unknown fields pruned,
/// defaults set.
pub(crate) fn settle(value: &mut Value, resource: &Resource, findings: &mut Findings) -> Result<(), String> {
    if let Value::Object(map) = value {
        meta::coerce(map, "metadata", &mut findings.unknown)?;
    }
    let Some(schema) = &resource.schema else {
        return Ok(());
    };
    if resource.is_custom() {
        schema::coerce_embedded(value, schema, "", true, &mut findings.unknown)?;
    }
    schema::prune(value, schema, "", true, &mut findings.unknown);
    schema::drop_nulls(value, schema);
    schema::apply_defaults(value, schema);
    match resource.origin {
        Origin::Custom => {}
        Origin::Definition => crate::crd::default_definition(value),
        Origin::BuiltIn => crate::builtin::apply_defaults(value, resource),
    }
    Ok(())
}

/// The namespace of the object must be that of the path; absent, it becomes it.
pub(crate) fn check_namespace(call: &Call, value: &mut Value) -> Result<(), Status> {
    let wanted = call.namespace.as_deref().unwrap_or("");
    let given = value.meta_str("namespace");
    if given == wanted {
        return Ok(());
    }
    if given.is_empty() {
        value.set_meta("namespace", wanted);
        return Ok(());
    }
    if !call.resource.namespaced {
        value.drop_meta("namespace");
        return Ok(());
    }
    Err(Status::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}

/// The name of the object must be that of the path.
pub(crate) fn check_name(call: &Call, value: &Value) -> Result<(), Status> {
    let given = value.meta_str("name");
    if given.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            call.name()
        )));
    }
    if given != call.name() {
        return Err(Status::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({})",
            call.name()
        )));
    }
    Ok(())
}

/// Faults of type for custom resources, which upstream finds in validation.
pub(crate) fn type_faults(value: &Value, resource: &Resource) -> Vec<FieldError> {
    let mut out = Vec::new();
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("");
    if text("kind") != resource.kind {
        out.push(FieldError::invalid(
            "kind",
            quote(text("kind")),
            format!("must be {}", resource.kind),
        ));
    }
    if text("apiVersion") != resource.api_version() {
        let detail = format!("must be {}", resource.api_version());
        out.push(FieldError::invalid(
            "apiVersion",
            quote(text("apiVersion")),
            detail,
        ));
    }
    out
}

/// 422 that names the type that the object says it has.
pub(crate) fn invalid(value: &Value, name: &str, resource: &Resource, faults: &[FieldError]) -> Status {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("");
    let group = match text("apiVersion").rsplit_once('/') {
        Some((group, _)) => group,
        None if text("apiVersion").is_empty() => &resource.group,
        None => "",
    };
    let kind = if text("kind").is_empty() {
        &resource.kind
    } else {
        text("kind")
    };
    Status::invalid(group, kind, name, faults)
}

/// An empty object of the resource's type.
pub(crate) fn empty(resource: &Resource) -> Value {
    let mut map = Map::new();
    map.insert("apiVersion".to_owned(), resource.api_version().into());
    map.insert("kind".to_owned(), resource.kind.clone().into());
    Value::Object(map)
}
