//! Sets of field paths, and their wire form `fieldsV1`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    json,
    schema::{ListKind, Schema},
};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Element {
    /// `f:name`
    Field(String),
    /// `k:{"name":"a"}`: the item of a list whose keys have these values, as compact JSON.
    Key(String),
    /// `v:"a"`: the item of a set, as compact JSON.
    Item(String),
    /// `i:0`
    Index(i64),
}

impl Element {
    fn wire(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(key) => format!("k:{key}"),
            Self::Item(item) => format!("v:{item}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn from_wire(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "f" => Self::Field(rest.to_owned()),
            "k" => Self::Key(json::to_string(
                &json::parse(rest.as_bytes())
                    .ok()
                    .filter(|p| p.value.is_object())?
                    .value,
            )),
            "v" => Self::Item(json::to_string(&json::parse(rest.as_bytes()).ok()?.value)),
            "i" => Self::Index(rest.parse().ok()?),
            _ => return None,
        })
    }
}

/// As conflicts name a path: `.spec.ports[name="http"].port`.
impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(key) => {
                let parsed = json::parse(key.as_bytes()).map(|p| p.value).unwrap_or_default();
                let parts: Vec<String> = parsed
                    .as_object()
                    .map(|map| {
                        map.iter()
                            .map(|(key, value)| format!("{key}={}", json::to_string(value)))
                            .collect()
                    })
                    .unwrap_or_default();
                write!(f, "[{}]", parts.join(","))
            }
            Self::Item(item) => write!(f, "[={item}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A set of paths. A path can be a member itself and have members below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    nodes: BTreeMap<Element, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    below: FieldSet,
}

impl FieldSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes
            .values()
            .all(|node| !node.member && node.below.is_empty())
    }

    /// Makes `element` a member.
    pub(crate) fn insert(&mut self, element: Element) {
        self.nodes.entry(element).or_default().member = true;
    }

    /// The set below `element`, made if need be.
    pub(crate) fn below_mut(&mut self, element: Element) -> &mut Self {
        &mut self.nodes.entry(element).or_default().below
    }

    pub(crate) fn has(&self, element: &Element) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    pub(crate) fn below(&self, element: &Element) -> Option<&Self> {
        self.nodes
            .get(element)
            .map(|node| &node.below)
            .filter(|below| !below.is_empty())
    }

    /// Makes one path no member; what lies below it stays.
    pub(crate) fn unmember(&mut self, path: &[&str]) {
        let [first, rest @ ..] = path else { return };
        let element = Element::Field((*first).to_owned());
        let Some(node) = self.nodes.get_mut(&element) else {
            return;
        };
        if rest.is_empty() {
            node.member = false;
        } else {
            node.below.unmember(rest);
        }
        if !node.member && node.below.is_empty() {
            self.nodes.remove(&element);
        }
    }

    /// Removes one path and all below it.
    pub(crate) fn remove_path(&mut self, path: &[&str]) {
        let [first, rest @ ..] = path else { return };
        let element = Element::Field((*first).to_owned());
        if rest.is_empty() {
            self.nodes.remove(&element);
        } else if let Some(node) = self.nodes.get_mut(&element) {
            node.below.remove_path(rest);
            if !node.member && node.below.is_empty() {
                self.nodes.remove(&element);
            }
        }
    }

    fn combine(&self, other: &Self, keep: fn(bool, bool) -> bool) -> Self {
        let mut out = Self::default();
        let empty = Node::default();
        for element in self
            .nodes
            .keys()
            .chain(other.nodes.keys().filter(|key| !self.nodes.contains_key(key)))
        {
            let a = self.nodes.get(element).unwrap_or(&empty);
            let b = other.nodes.get(element).unwrap_or(&empty);
            let node = Node {
                member: keep(a.member, b.member),
                below: a.below.combine(&b.below, keep),
            };
            if node.member || !node.below.nodes.is_empty() {
                out.nodes.insert(element.clone(), node);
            }
        }
        out
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a || b)
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a && b)
    }

    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a && !b)
    }

    /// Upstream's `EnsureNamedFieldsAreMembers`: fields that the schema names are members if anything below them is.
    pub(crate) fn with_named_fields(&self, schema: Option<&Schema>) -> Self {
        let mut out = Self::default();
        for (element, node) in &self.nodes {
            let (named, child) = match (element, schema) {
                (Element::Field(name), Some(schema)) => {
                    (schema.properties.contains_key(name), schema.child(name))
                }
                (Element::Key(_) | Element::Item(_) | Element::Index(_), Some(schema)) => {
                    (false, schema.items.as_deref())
                }
                (_, None) => (false, None),
            };
            let below = node.below.with_named_fields(child);
            let member = node.member || named && !below.is_empty();
            out.nodes.insert(element.clone(), Node { member, below });
        }
        out
    }

    /// Upstream's reconciliation with a changed schema: what has become atomic is owned as a whole.
    pub(crate) fn reconciled(&self, schema: Option<&Schema>) -> Self {
        let mut out = Self::default();
        for (element, node) in &self.nodes {
            let child = match (element, schema) {
                (Element::Field(name), Some(schema)) => schema.child(name),
                (_, Some(schema)) => schema.items.as_deref(),
                (_, None) => None,
            };
            let atomic = child.is_some_and(|child| {
                child.map_atomic || child.items.is_some() && child.list_kind == ListKind::Atomic
            });
            let mut kept = Node {
                member: node.member,
                below: node.below.reconciled(child),
            };
            if atomic && !kept.below.is_empty() {
                kept = Node {
                    member: true,
                    below: Self::default(),
                };
            }
            out.nodes.insert(element.clone(), kept);
        }
        out
    }

    /// Every member's path as text, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        fn collect(set: &FieldSet, prefix: &str, out: &mut Vec<String>) {
            for (element, node) in &set.nodes {
                let path = format!("{prefix}{element}");
                if node.member {
                    out.push(path.clone());
                }
                collect(&node.below, &path, out);
            }
        }
        let mut out = Vec::new();
        collect(self, "", &mut out);
        out
    }

    /// `fieldsV1`.
    pub(crate) fn to_wire(&self) -> Value {
        let mut out = Map::new();
        for (element, node) in &self.nodes {
            if !node.member && node.below.is_empty() {
                continue;
            }
            let mut below = node.below.to_wire();
            if node.member
                && let Value::Object(map) = &mut below
                && !map.is_empty()
            {
                map.insert(".".to_owned(), Value::Object(Map::new()));
            }
            out.insert(element.wire(), below);
        }
        Value::Object(out)
    }

    /// Reads `fieldsV1`; `None` if it is malformed.
    pub(crate) fn from_wire(value: &Value) -> Option<Self> {
        let mut out = Self::default();
        for (text, below) in value.as_object()? {
            if text == "." {
                continue;
            }
            let map = below.as_object()?;
            let node = Node {
                member: map.is_empty() || map.contains_key("."),
                below: Self::from_wire(below)?,
            };
            out.nodes.insert(Element::from_wire(text)?, node);
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> FieldSet {
        FieldSet::from_wire(&json::parse(text.as_bytes()).unwrap().value).unwrap()
    }

    #[test]
    fn the_wire_form_survives() {
        let text = r#"{"f:spec":{".":{},"f:a":{},"f:l":{"k:{\"n\":\"x\",\"p\":1}":{".":{},"f:n":{}},"v:\"s\"":{}}}}"#;
        assert_eq!(json::to_string(&set(text).to_wire()), text);
        assert!(FieldSet::from_wire(&serde_json::json!({"spec": {}})).is_none());
        assert_eq!(
            set(text).paths(),
            [
                ".spec",
                ".spec.a",
                ".spec.l[n=\"x\",p=1]",
                ".spec.l[n=\"x\",p=1].n",
                ".spec.l[=\"s\"]"
            ]
        );
    }

    #[test]
    fn algebra() {
        let a = set(r#"{"f:a":{"f:b":{},"f:c":{}},"f:d":{}}"#);
        let b = set(r#"{"f:a":{".":{},"f:b":{}},"f:e":{}}"#);
        assert_eq!(a.intersection(&b), set(r#"{"f:a":{"f:b":{}}}"#));
        assert_eq!(a.difference(&b), set(r#"{"f:a":{"f:c":{}},"f:d":{}}"#));
        assert_eq!(
            a.union(&b),
            set(r#"{"f:a":{".":{},"f:b":{},"f:c":{}},"f:d":{},"f:e":{}}"#)
        );
        assert!(a.difference(&a).is_empty());
    }
}
