//! The variants of a case's matrix, as one list whichever way they were written.

use indexmap::IndexMap;

use crate::{
    decode::{Decoder, Located},
    file::case::{Labels, Matrix, Requirement, Variant},
    plan::RequirementPlan,
    template::{Data, Templated},
};

/// More variants than this of one case are a mistake.
const VARIANTS_MAX: usize = 1000;

/// One variant; the one of a case without a matrix has no name and changes nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planned {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) values: IndexMap<String, Data>,
    pub(crate) env: IndexMap<String, Templated<String>>,
    pub(crate) labels: Labels,
    pub(crate) requires: Vec<RequirementPlan>,
    pub(crate) skip: Option<String>,
}

/// The variants in the order of the file; axes turn like a counter, the last one fastest.
pub(crate) fn variants(matrix: Option<Matrix>, decoder: &mut Decoder) -> Vec<Planned> {
    let variants = match matrix {
        None => return vec![Planned::default()],
        Some(Matrix::Variants(variants)) => listed(variants, decoder),
        Some(Matrix::Axes(axes)) => combined(&axes, decoder),
    };
    if variants.is_empty() {
        vec![Planned::default()]
    } else {
        variants
    }
}

fn listed(variants: Vec<Variant>, decoder: &mut Decoder) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::with_capacity(variants.len());
    for variant in variants {
        super::case::check_name(&variant.name, "variant", decoder);
        let name = variant.name.value;
        if planned.iter().any(|earlier| earlier.name.as_ref() == Some(&name)) {
            decoder.error(
                variant.name.origin.span,
                format!("the variant `{name}` is given twice"),
            );
        }
        planned.push(Planned {
            name: Some(name),
            description: variant.description,
            values: variant.values,
            env: variant.env,
            labels: variant.labels,
            requires: variant
                .requires
                .into_iter()
                .map(|Requirement(requirement)| requirement)
                .collect(),
            skip: variant.skip,
        });
    }
    planned
}

fn combined(axes: &[(String, Vec<Located<Data>>)], decoder: &mut Decoder) -> Vec<Planned> {
    let count = axes.iter().fold(1_usize, |count, (_, values)| {
        count.saturating_mul(values.len().max(1))
    });
    if count > VARIANTS_MAX {
        if let Some(origin) = axes
            .iter()
            .find_map(|(_, values)| values.first())
            .map(|value| value.origin.clone())
        {
            decoder.error_at(
                &origin,
                format!("{count} variants; at most {VARIANTS_MAX} make sense"),
            );
        }
        return Vec::new();
    }
    for value in axes.iter().flat_map(|(_, values)| values) {
        if let Some(word) = word(&value.value) {
            super::case::check_name(
                &Located {
                    value: word,
                    origin: value.origin.clone(),
                },
                "variant",
                decoder,
            );
        }
    }
    let mut planned = vec![Planned::default()];
    for (axis, values) in axes {
        let mut next = Vec::with_capacity(planned.len() * values.len());
        for base in &planned {
            for value in values {
                let Some(word) = word(&value.value) else { continue };
                let name = match &base.name {
                    Some(name) => format!("{name}-{word}"),
                    None => word.clone(),
                };
                let mut variant = base.clone();
                variant.values.insert(axis.clone(), value.value.clone());
                variant.name = Some(name);
                next.push(variant);
            }
        }
        planned = next;
    }
    let mut names = std::collections::BTreeSet::new();
    for variant in &planned {
        if let Some(name) = &variant.name
            && !names.insert(name)
            && let Some(origin) = axes
                .iter()
                .find_map(|(_, values)| values.first())
                .map(|value| value.origin.clone())
        {
            decoder.error_at(&origin, format!("two variants are called `{name}`"));
            break;
        }
    }
    planned
}

/// A value of an axis as a part of its variant's name.
fn word(value: &Data) -> Option<String> {
    match value {
        Data::Plain(serde_json::Value::String(text)) => Some(text.clone()),
        Data::Plain(other) => Some(other.to_string()),
        _ => None,
    }
}
