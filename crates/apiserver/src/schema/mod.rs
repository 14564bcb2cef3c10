//! Structural schemas: parsed once per version of a kind, then used to prune, default, validate, run CEL rules and
//! tell apply which lists are sets or maps. Upstream decides each step's order and words.

mod cel;
mod check;
mod default;
mod dialect;
mod format;
mod prune;
mod structural;

pub(crate) use cel::{evaluate_rules, rule_fault};
pub(crate) use check::{check, check_list_types};
pub(crate) use default::{apply_defaults, drop_nulls};
pub(crate) use dialect::cost_has_no_bound;
pub(crate) use prune::{coerce_embedded, embedded_resource_faults, prune};
pub(crate) use structural::{Additional, JsonType, ListKind, Schema};
