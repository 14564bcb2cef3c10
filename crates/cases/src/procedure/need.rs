//! What a step needs of the test that it stands in, and whether that is there.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::{
    decode::suggestion,
    source::Origin,
    template::{Names, Reference},
};

/// What a step needs of the test that it stands in. For a suite's own step it is kept and checked where that is used.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) what: Needed,
    /// The part that the step is about, where it is known.
    pub(super) part: Option<String>,
    pub(super) origin: Origin,
}

/// See [`Need`].
#[derive(Clone, Debug)]
pub(super) enum Needed {
    /// That this name leads somewhere.
    Name(Reference),
    /// A port of the part, by name.
    Port(String),
    /// The part itself.
    Part,
}

/// What is known around a procedure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// Names that do not depend on the step.
    pub(crate) names: Names,
    /// The parts, each with its ports.
    pub(crate) parts: IndexMap<String, BTreeSet<String>>,
    /// The part that a step is about where it does not say; `None` when that would be a guess.
    pub(crate) default_part: Option<String>,
}

/// Whether a reference leads somewhere at a place that is about a part with these ports.
///
/// # Errors
/// A message and help.
pub(crate) fn check_reference(
    reference: &Reference,
    surroundings: &Surroundings,
    ports: Option<&BTreeSet<String>>,
    saved: &BTreeSet<String>,
) -> Result<(), (String, String)> {
    let member = |members: &BTreeSet<String>, name: &String, prefix: &str| {
        if members.contains(name) {
            return Ok(());
        }
        Err((
            format!("`{prefix}.{name}` is not defined"),
            suggestion(name, members.iter().map(String::as_str)),
        ))
    };
    match (reference.0.as_slice(), ports) {
        ([root, name, ..], Some(ports)) if root == "port" => member(ports, name, "port"),
        ([root, ..], None) if root == "port" || root == "dir" => Err((
            format!("`{root}` of which part?"),
            "write `part.NAME.port.PORT` or `part.NAME.dir`, or name the part by `part:`".into(),
        )),
        ([root], Some(_)) if root == "port" || root == "dir" => Ok(()),
        ([root, name, ..], _) if root == "saved" => member(saved, name, "saved"),
        ([root, name, ..], _) if root == "parameters" => Err((
            format!("`parameters.{name}` is not defined"),
            "only a suite's own steps have parameters".into(),
        )),
        _ => surroundings.names.check(reference),
    }
}
