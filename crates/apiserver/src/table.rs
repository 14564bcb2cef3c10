//! `meta.k8s.io/v1` Table and PartialObjectMetadata, the forms that kubectl and metadata informers ask for.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{json, jsonpath::JsonPath, meta::Meta};

const NAME_DESCRIPTION: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const AGE_DESCRIPTION: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// How a cell's value is made.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// What a path leads to, converted to the column's type.
    Path(JsonPath),
    /// The object's name.
    Name,
    /// `metadata.creationTimestamp` as it is.
    Created,
    /// Own code of a built-in kind.
    Code(fn(&Value, Timestamp) -> Value),
}

/// One column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) cell: Cell,
}

impl Column {
    /// The first column of every table.
    pub(crate) fn name() -> Self {
        Self {
            name: "Name".to_owned(),
            kind: "string".to_owned(),
            format: "name".to_owned(),
            description: NAME_DESCRIPTION.to_owned(),
            priority: 0,
            cell: Cell::Name,
        }
    }

    /// What kinds without columns of their own have as second one.
    pub(crate) fn created_at() -> Self {
        Self {
            name: "Created At".to_owned(),
            kind: "date".to_owned(),
            format: String::new(),
            description: AGE_DESCRIPTION.to_owned(),
            priority: 0,
            cell: Cell::Created,
        }
    }

    /// A column of a CRD without `additionalPrinterColumns`.
    pub(crate) fn age() -> Self {
        Self {
            name: "Age".to_owned(),
            kind: "date".to_owned(),
            format: String::new(),
            description: AGE_DESCRIPTION.to_owned(),
            priority: 0,
            cell: Cell::Path(JsonPath::parse(".metadata.creationTimestamp").unwrap_or_default()),
        }
    }

    /// `additionalPrinterColumns[]` of a CRD.
    pub(crate) fn custom(json: &Value) -> Self {
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let path = text("jsonPath");
        let description = match text("description") {
            empty if empty.is_empty() => {
                format!("Custom resource definition column (in JSONPath format): {path}")
            }
            own => own,
        };
        Self {
            name: text("name"),
            kind: text("type"),
            format: text("format"),
            description,
            priority: json.get("priority").and_then(Value::as_i64).unwrap_or(0),
            cell: Cell::Path(JsonPath::parse(&path).unwrap_or_default()),
        }
    }

    /// A column of a built-in kind.
    pub(crate) fn code(name: &str, kind: &str, priority: i64, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: String::new(),
            description: String::new(),
            priority,
            cell: Cell::Code(cell),
        }
    }

    fn definition(&self) -> Value {
        json!({"name": self.name, "type": self.kind, "format": self.format, "description": self.description, "priority": self.priority})
    }

    fn value(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Name => object.name().into(),
            Cell::Created => object.meta_str("creationTimestamp").into(),
            Cell::Code(code) => code(object, now),
            Cell::Path(path) => {
                let found = path.find(object);
                let Some(first) = found.first() else {
                    return Value::Null;
                };
                self.convert(first, &found, now)
            }
        }
    }

    fn convert(&self, value: &Value, all: &[&Value], now: Timestamp) -> Value {
        match self.kind.as_str() {
            "integer" => match value {
                Value::Number(number) => number.as_i64().map_or(Value::Null, Value::from),
                _ => Value::Null,
            },
            "number" => {
                if value.is_number() {
                    value.clone()
                } else {
                    Value::Null
                }
            }
            "boolean" => {
                if value.is_boolean() {
                    value.clone()
                } else {
                    Value::Null
                }
            }
            "date" => match value {
                Value::String(text) => text
                    .parse::<Timestamp>()
                    .map_or_else(|_| "<invalid>".into(), |time| human_duration(now, time).into()),
                _ => Value::Null,
            },
            _ => match value {
                Value::String(text) if all.len() == 1 => text.clone().into(),
                _ => {
                    let texts: Vec<String> = all.iter().map(|one| plain(one)).collect();
                    texts.join(" ").into()
                }
            },
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => json::to_string(other),
    }
}

/// Upstream's `duration.HumanDuration`.
pub(crate) fn human_duration(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.as_second() - then.as_second();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 0 {
        return "0s".to_owned();
    }
    let pair = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{big}{unit}")
        } else {
            format!("{big}{unit}{small}{small_unit}")
        }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => pair(days, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{days}d"),
        _ if hours < 24 * 365 * 8 => pair(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// What rows hold beside their cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    Metadata,
    Object,
}

/// Only type and metadata.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({}))})
}

/// The column definitions of a table.
pub(crate) fn definitions(columns: &[Column]) -> Value {
    columns.iter().map(Column::definition).collect()
}

/// One row.
pub(crate) fn row(object: &Value, columns: &[Column], now: Timestamp, include: IncludeObject) -> Value {
    let cells: Value = columns.iter().map(|column| column.value(object, now)).collect();
    let mut out = Map::new();
    out.insert("cells".into(), cells);
    match include {
        IncludeObject::None => {}
        IncludeObject::Metadata => {
            out.insert("object".into(), partial(object));
        }
        IncludeObject::Object => {
            out.insert("object".into(), object.clone());
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        let check = |seconds: i64, expected: &str| {
            let then = Timestamp::from_second(now.as_second() - seconds).unwrap();
            assert_eq!(human_duration(now, then), expected);
        };
        check(0, "0s");
        check(119, "119s");
        check(125, "2m5s");
        check(600, "10m");
        check(3 * 3600 + 60, "3h1m");
        check(9 * 3600, "9h");
        check(49 * 3600, "2d1h");
        check(400 * 86400, "400d");
        check(-5, "<invalid>");
    }
}
