//! One node of a structural schema, read from the JSON of a CRD (or of a built-in kind's definition).

use std::{collections::BTreeMap, sync::Arc};

use regex::Regex;
use serde_json::Value;

use super::cel::Compiled;

/// The `type` of a node; `Any` where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum JsonType {
    #[default]
    Any,
    Object,
    Array,
    Text,
    Integer,
    Number,
    Boolean,
}

impl JsonType {
    fn parse(text: &str) -> Self {
        match text {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::Text,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => Self::Any,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ListKind {
    #[default]
    Atomic,
    Set,
    Map,
}

/// What keys beside `properties` may hold.
#[derive(Debug, Clone)]
pub(crate) enum Additional {
    /// Anything.
    Any,
    /// Values of this schema.
    Schema(Arc<Schema>),
}

/// One entry of `x-kubernetes-validations`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {
    pub(crate) rule: String,
    pub(crate) message: String,
    pub(crate) reason: String,
    pub(crate) field_path: String,
    pub(crate) optional_old_self: bool,
    pub(super) compiled: Compiled,
}

/// See the [module](self). Field names are those of the JSON.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    pub(crate) kind: JsonType,
    pub(crate) properties: BTreeMap<String, Arc<Schema>>,
    pub(crate) required: Vec<String>,
    pub(crate) additional: Option<Additional>,
    pub(crate) items: Option<Arc<Schema>>,
    pub(crate) nullable: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded: bool,
    pub(crate) int_or_string: bool,
    pub(crate) list_kind: ListKind,
    pub(crate) list_keys: Vec<String>,
    pub(crate) map_atomic: bool,
    pub(crate) default: Option<Value>,
    pub(crate) allowed: Vec<Value>,
    pub(crate) pattern: Option<(String, Option<Regex>)>,
    pub(crate) format: String,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    pub(crate) not: Option<Box<Schema>>,
    pub(crate) rules: Vec<Rule>,
    /// Merge key of strategic merge patch; built-in kinds only.
    pub(crate) patch_merge_key: Option<String>,
    /// Whether strategic merge patch merges this list or replaces it; built-in kinds only.
    pub(crate) patch_merge: bool,
    /// Whether it, or anything below, has CEL rules: without any, the walk is skipped.
    pub(crate) has_rules: bool,
    /// Whether it, or anything below, has defaults.
    pub(crate) has_defaults: bool,
}

impl Schema {
    /// Reads a node. What is not understood is left out; [`crate::crd`] has refused what is wrong before.
    pub(crate) fn parse(json: &Value) -> Self {
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let flag = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or(false);
        let number = |key: &str| json.get(key).and_then(Value::as_f64);
        let count = |key: &str| json.get(key).and_then(Value::as_u64);
        let texts = |key: &str| -> Vec<String> {
            let items = json.get(key).and_then(Value::as_array);
            items
                .map(|all| all.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
                .unwrap_or_default()
        };
        let all = |key: &str| -> Vec<Self> {
            json.get(key)
                .and_then(Value::as_array)
                .map(|all| all.iter().map(Self::parse).collect())
                .unwrap_or_default()
        };
        let properties: BTreeMap<String, Arc<Self>> = json
            .get("properties")
            .and_then(Value::as_object)
            .map(|map| {
                map.iter()
                    .map(|(key, value)| (key.clone(), Arc::new(Self::parse(value))))
                    .collect()
            })
            .unwrap_or_default();
        let pattern = text("pattern");
        let int_or_string = flag("x-kubernetes-int-or-string");
        let mut schema = Self {
            kind: JsonType::parse(&text("type")),
            properties,
            required: texts("required"),
            additional: match json.get("additionalProperties") {
                Some(Value::Bool(true)) => Some(Additional::Any),
                Some(value @ Value::Object(_)) => Some(Additional::Schema(Arc::new(Self::parse(value)))),
                _ => None,
            },
            items: json
                .get("items")
                .filter(|v| v.is_object())
                .map(|v| Arc::new(Self::parse(v))),
            nullable: flag("nullable"),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            int_or_string,
            list_kind: match text("x-kubernetes-list-type").as_str() {
                "set" => ListKind::Set,
                "map" => ListKind::Map,
                _ => ListKind::Atomic,
            },
            list_keys: texts("x-kubernetes-list-map-keys"),
            map_atomic: text("x-kubernetes-map-type") == "atomic",
            default: json.get("default").cloned(),
            allowed: json
                .get("enum")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            pattern: (!pattern.is_empty()).then(|| {
                let compiled = Regex::new(&pattern).ok();
                (pattern, compiled)
            }),
            format: text("format"),
            minimum: number("minimum"),
            maximum: number("maximum"),
            exclusive_minimum: flag("exclusiveMinimum"),
            exclusive_maximum: flag("exclusiveMaximum"),
            multiple_of: number("multipleOf"),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            any_of: all("anyOf"),
            all_of: all("allOf"),
            one_of: all("oneOf"),
            not: json
                .get("not")
                .filter(|v| v.is_object())
                .map(|v| Box::new(Self::parse(v))),
            rules: json
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .map(|all| all.iter().map(Rule::parse).collect())
                .unwrap_or_default(),
            patch_merge_key: Some(text("x-kubernetes-patch-merge-key")).filter(|key| !key.is_empty()),
            patch_merge: text("x-kubernetes-patch-strategy").contains("merge"),
            has_rules: false,
            has_defaults: false,
        };
        schema.seal();
        schema
    }

    /// Computes what depends on the children. For schemas that are built by hand.
    pub(crate) fn seal(&mut self) {
        let below = |test: &dyn Fn(&Self) -> bool| {
            self.properties.values().any(|child| test(child))
                || self.items.as_ref().is_some_and(|child| test(child))
                || matches!(&self.additional, Some(Additional::Schema(child)) if test(child))
        };
        self.has_rules = !self.rules.is_empty() || below(&|child| child.has_rules);
        self.has_defaults = self.default.is_some() || below(&|child| child.has_defaults);
    }

    /// The schema of a value under `key`.
    pub(crate) fn child(&self, key: &str) -> Option<&Self> {
        match (self.properties.get(key), &self.additional) {
            (Some(child), _) | (None, Some(Additional::Schema(child))) => Some(child),
            _ => None,
        }
    }
}

impl Rule {
    fn parse(json: &Value) -> Self {
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let rule = text("rule");
        let message_expression = text("messageExpression");
        Self {
            compiled: Compiled::new(&rule, &message_expression),
            rule,
            message: text("message"),
            reason: text("reason"),
            field_path: text("fieldPath"),
            optional_old_self: json
                .get("optionalOldSelf")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        }
    }
}
