//! CEL rules of a schema (`x-kubernetes-validations`): compiled once, run over a new and an old tree.
//!
//! The interpreter is `cel` with Kubernetes' libraries from `kube-cel`; this file knows upstream's traversal: which
//! old value belongs to which new one, when a rule is skipped, and what a failure says.

use std::{collections::HashMap, sync::Arc};

use kube_cel::{
    KubeCelExt as _,
    cel::{
        Context, ExecutionError, IdedExpr, Value as Cel,
        objects::{Key, Map as CelMap, OptionalValue},
        parser::Parser,
    },
};
use serde_json::Value;

use super::{
    check::join,
    dialect,
    format::duration_nanos,
    structural::{Additional, JsonType, ListKind, Rule, Schema},
};
use crate::{
    json,
    status::{FaultKind, FieldError, quote},
};

/// The programs of one rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compiled {
    rule: Option<Arc<IdedExpr>>,
    message: Option<Arc<IdedExpr>>,
    old_self: bool,
}

impl Compiled {
    pub(super) fn new(rule: &str, message: &str) -> Self {
        let program = compile_expression(rule).ok();
        let old_self = program
            .as_ref()
            .is_some_and(|program| program.references().has_variable("oldSelf"));
        let message = (!message.is_empty())
            .then(|| compile_expression(message).ok())
            .flatten();
        Self {
            rule: program.map(Arc::new),
            message: message.map(Arc::new),
            old_self,
        }
    }
}

/// Parses an expression. The error is the parser's text.
fn compile_expression(text: &str) -> Result<IdedExpr, String> {
    // The parser is generated code that can panic on odd input; that must stay a refusal.
    match std::panic::catch_unwind(|| Parser::new().enable_optional_syntax(true).parse(text)) {
        Ok(Ok(mut program)) => {
            dialect::rewrite(&mut program);
            Ok(program)
        }
        Ok(Err(errors)) => Err(errors.to_string()),
        Err(_) => Err("the parser failed".to_owned()),
    }
}

/// What upstream's compiler refuses in a rule, as it says it.
pub(crate) fn rule_fault(text: &str) -> Option<String> {
    if let Some(undeclared) = dialect::undeclared(text, &["self", "oldSelf"]) {
        return Some(undeclared);
    }
    compile_expression(text).err()
}

/// A failed rule. A ratcheted one is only warned of: the value did not change.
#[derive(Debug, Clone)]
pub(crate) struct CelProblem {
    pub(crate) error: FieldError,
    pub(crate) ratcheted: bool,
}

thread_local! {
    static ROOT: Context<'static> = {
        let mut root = Context::default().with_all();
        dialect::register(&mut root);
        root
    };
}

/// Runs every rule that applies. `old` is what the value was before; none on create.
pub(crate) fn evaluate_rules(value: &Value, old: Option<&Value>, schema: &Schema) -> Vec<CelProblem> {
    let mut out = Vec::new();
    if schema.has_rules {
        walk(value, old, schema, "", true, &mut out);
    }
    out
}

fn walk(
    value: &Value,
    old: Option<&Value>,
    schema: &Schema,
    path: &str,
    root: bool,
    out: &mut Vec<CelProblem>,
) {
    if !schema.has_rules || value.is_null() {
        return;
    }
    if !schema.rules.is_empty() {
        let this = to_cel(value, schema, root);
        let before = old
            .filter(|old| !old.is_null())
            .map(|old| to_cel(old, schema, root));
        let same = old == Some(value);
        for rule in &schema.rules {
            if let Some(error) = run(rule, &this, before.as_ref(), schema, path) {
                out.push(CelProblem {
                    error,
                    ratcheted: same,
                });
            }
        }
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let before = old.and_then(|old| old.get(key));
                match (schema.properties.get(key), &schema.additional) {
                    (Some(child), _) => walk(value, before, child, &join(path, key), false, out),
                    (None, Some(Additional::Schema(child))) => {
                        walk(value, before, child, &format!("{path}[{key}]"), false, out);
                    }
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(child) = &schema.items else { return };
            for (index, item) in items.iter().enumerate() {
                let before = old
                    .and_then(Value::as_array)
                    .and_then(|old| correlated(item, old, schema));
                walk(item, before, child, &format!("{path}[{index}]"), false, out);
            }
        }
        _ => {}
    }
}

fn correlated<'a>(item: &Value, old: &'a [Value], schema: &Schema) -> Option<&'a Value> {
    if schema.list_kind != ListKind::Map {
        return None;
    }
    old.iter().find(|candidate| {
        schema
            .list_keys
            .iter()
            .all(|key| candidate.get(key) == item.get(key))
    })
}

fn run(rule: &Rule, this: &Cel, before: Option<&Cel>, schema: &Schema, path: &str) -> Option<FieldError> {
    if rule.compiled.old_self && before.is_none() && !rule.optional_old_self {
        return None;
    }
    let program = rule.compiled.rule.as_ref()?;
    let verdict = ROOT.with(|root| {
        let mut context = root.new_inner_scope();
        bind(&mut context, this, before, rule);
        Cel::resolve(program, &context)
    });
    let field = if path.is_empty() { "<nil>" } else { path };
    let kind = if schema.kind == JsonType::Any {
        ""
    } else {
        schema.kind.name()
    };
    let shown = quote(kind);
    match verdict {
        Ok(Cel::Bool(true)) => None,
        Ok(_) => Some(failure(rule, this, before, field, path, &shown)),
        Err(error) => {
            let what = if rule.message.is_empty() {
                &rule.rule
            } else {
                &rule.message
            };
            Some(FieldError::invalid(
                field,
                shown,
                format!("{} evaluating rule: {what}", explain(&error)),
            ))
        }
    }
}

fn bind(context: &mut Context<'_>, this: &Cel, before: Option<&Cel>, rule: &Rule) {
    context.add_variable_from_value("self", this.clone());
    if rule.optional_old_self {
        let old = before.map_or_else(OptionalValue::none, |old| OptionalValue::of(old.clone()));
        context.add_variable_from_value("oldSelf", Cel::Opaque(Arc::new(old)));
    } else if let Some(old) = before {
        context.add_variable_from_value("oldSelf", old.clone());
    }
}

fn failure(
    rule: &Rule,
    this: &Cel,
    before: Option<&Cel>,
    field: &str,
    path: &str,
    shown: &str,
) -> FieldError {
    let from_expression = rule.compiled.message.as_ref().and_then(|program| {
        let text = ROOT.with(|root| {
            let mut context = root.new_inner_scope();
            bind(&mut context, this, before, rule);
            Cel::resolve(program, &context)
        });
        match text {
            Ok(Cel::String(text))
                if !text.trim().is_empty() && !text.contains('\n') && text.len() <= 5 << 10 =>
            {
                Some(text.trim().to_owned())
            }
            _ => None,
        }
    });
    let detail = from_expression.unwrap_or_else(|| {
        if rule.message.is_empty() {
            format!("failed rule: {}", rule.rule.trim())
        } else {
            rule.message.clone()
        }
    });
    let field = if rule.field_path.is_empty() {
        field.to_owned()
    } else {
        join(path, rule.field_path.trim_start_matches('.'))
    };
    match rule.reason.as_str() {
        "FieldValueForbidden" => FieldError::forbidden(field, detail),
        "FieldValueRequired" => FieldError::required(field, detail),
        "FieldValueDuplicate" => FieldError::duplicate(field, shown),
        _ => FieldError {
            kind: FaultKind::Invalid,
            field,
            value: shown.to_owned(),
            detail,
        },
    }
}

/// An evaluation error in cel-go's words.
fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::NoSuchOverload => "no such overload".to_owned(),
        ExecutionError::IndexOutOfBounds(Cel::Int(index)) => format!("index out of bounds: {index}"),
        ExecutionError::FunctionError { message, .. } => {
            // cel-go says it in fewer words.
            match message
                .strip_prefix("start index ")
                .and_then(|rest| rest.split(' ').next())
            {
                Some(index) => format!("index out of range: {index}"),
                None => message.clone(),
            }
        }
        other => other.to_string(),
    }
}

const RESERVED: [&str; 22] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "__",
];

/// A property's name as rules spell it (`x-y` is `x__dash__y`).
fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}

fn key(name: impl Into<String>) -> Key {
    Key::String(Arc::new(name.into()))
}

fn to_cel(value: &Value, schema: &Schema, root: bool) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), schema.kind) {
            (Some(whole), JsonType::Number) => Cel::Float(whole as f64),
            (Some(whole), _) => Cel::Int(whole),
            (None, _) => Cel::Float(number.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => text_to_cel(text, schema),
        Value::Array(items) => {
            let all = items.iter().map(|item| match &schema.items {
                Some(child) => to_cel(item, child, false),
                None => untyped(item),
            });
            Cel::List(Arc::new(all.collect()))
        }
        Value::Object(map) => {
            let resource = root || schema.embedded;
            let entries = map.iter().filter_map(|(name, value)| {
                match (schema.properties.get(name), &schema.additional) {
                    _ if resource && matches!(name.as_str(), "apiVersion" | "kind") => {
                        Some((key(name), untyped(value)))
                    }
                    _ if resource && name == "metadata" => {
                        let seen = value
                            .as_object()?
                            .iter()
                            .filter(|(key, _)| matches!(key.as_str(), "name" | "generateName"));
                        let map: HashMap<Key, Cel> =
                            seen.map(|(name, value)| (key(name), untyped(value))).collect();
                        Some((key("metadata"), Cel::Map(CelMap { map: Arc::new(map) })))
                    }
                    (Some(child), _) => Some((key(escape(name)), to_cel(value, child, false))),
                    (None, Some(Additional::Schema(child))) => Some((key(name), to_cel(value, child, false))),
                    (None, Some(Additional::Any)) => Some((key(name), untyped(value))),
                    (None, None) if schema.preserve_unknown => Some((key(name), untyped(value))),
                    (None, None) => None,
                }
            });
            Cel::Map(CelMap {
                map: Arc::new(entries.collect()),
            })
        }
    }
}

fn text_to_cel(text: &str, schema: &Schema) -> Cel {
    match schema.format.as_str() {
        "date-time" => match kube_cel_timestamp(text) {
            Some(time) => time,
            None => Cel::String(Arc::new(text.to_owned())),
        },
        "duration" => match duration_nanos(text) {
            Some(nanos) => evaluate_constant(&format!("duration('{nanos}ns')"))
                .unwrap_or_else(|| Cel::String(Arc::new(text.to_owned()))),
            None => Cel::String(Arc::new(text.to_owned())),
        },
        _ => Cel::String(Arc::new(text.to_owned())),
    }
}

/// A timestamp value, made by the interpreter itself so that this crate needs no `chrono`.
fn kube_cel_timestamp(text: &str) -> Option<Cel> {
    let time: jiff::Timestamp = text.parse().ok()?;
    evaluate_constant(&format!("timestamp('{time}')"))
}

fn evaluate_constant(text: &str) -> Option<Cel> {
    let program = compile_expression(text).ok()?;
    ROOT.with(|root| Cel::resolve(&program, &root.new_inner_scope()))
        .ok()
}

fn untyped(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(json::number_text(number).parse().unwrap_or(0.0)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(untyped).collect())),
        Value::Object(map) => {
            let entries = map.iter().map(|(name, value)| (key(name), untyped(value)));
            Cel::Map(CelMap {
                map: Arc::new(entries.collect()),
            })
        }
    }
}
