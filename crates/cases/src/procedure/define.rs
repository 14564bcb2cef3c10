//! A suite's own steps: defined once, used like any other.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use indexmap::IndexMap;

use super::{
    decode::Procedures,
    identify::is_vocabulary,
    need::{Need, Needed},
    options::OPTIONS,
};
use crate::{
    decode::{Decoder, Located, Scalar, TemplateUse, suggestion},
    file::suite::{Parameter, ParameterType, StepDefinition},
    plan::StepPlan,
    template::Data,
};

/// A step of the suite's own, decoded.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) parameters: IndexMap<String, Located<Parameter>>,
    pub(super) short: Option<String>,
    pub(super) steps: Arc<Vec<StepPlan>>,
    pub(super) needs: Vec<Need>,
    pub(super) saves: BTreeSet<String>,
    pub(super) unserved: BTreeSet<String>,
}

/// Decodes a suite's own step. It can use those that were defined before it.
pub(crate) fn define(
    name: &Located<String>,
    file: &StepDefinition,
    earlier: &IndexMap<String, Arc<Definition>>,
    later: &[String],
    decoder: &mut Decoder,
) -> Definition {
    if is_vocabulary(&name.value) {
        let message = format!("`{}` is a step of the vocabulary", name.value);
        decoder.error(name.origin.span, message).help = Some("choose another name".into());
    }
    for (parameter, declared) in &file.parameters {
        if OPTIONS.contains(&parameter.as_str()) {
            decoder
                .error(
                    declared.origin.span,
                    format!("`{parameter}` is an option of every step"),
                )
                .help = Some("choose another name".into());
        }
        if let Some(Err(wrong)) = declared
            .value
            .default
            .as_ref()
            .map(|default| accepts(declared.value.kind, default))
        {
            decoder.error(declared.origin.span, format!("the default {wrong}"));
        }
    }
    if let Some(short) = &file.short
        && !file.parameters.contains_key(&short.value)
    {
        let help = suggestion(&short.value, file.parameters.keys().map(String::as_str));
        decoder
            .error(
                short.origin.span,
                format!("there is no parameter `{}`", short.value),
            )
            .help = Some(help);
    }
    // Templates outside of the steps (defaults of parameters) are checked where the step is used.
    let outside = decoder.take_templates();
    let parameters = file.parameters.keys().cloned().collect();
    let mut procedures = Procedures::of_definition(parameters, earlier, later);
    for TemplateUse { references, origin } in outside {
        let needs = references.into_iter().map(|reference| Need {
            what: Needed::Name(reference),
            part: None,
            origin: origin.clone(),
        });
        procedures.needs.extend(needs);
    }
    let steps = procedures.steps(&file.procedure.0, decoder);
    Definition {
        name: name.value.clone(),
        description: file.description.clone(),
        parameters: file.parameters.clone(),
        short: file.short.as_ref().map(|short| short.value.clone()),
        steps: Arc::new(steps),
        needs: procedures.needs,
        saves: procedures.saved,
        unserved: procedures.unserved,
    }
}

/// Whether a literal argument is of a parameter's type; a template is judged when it is rendered.
pub(super) fn accepts(kind: ParameterType, value: &Data) -> Result<(), String> {
    let Data::Plain(value) = value else { return Ok(()) };
    let right = match kind {
        ParameterType::Any => true,
        ParameterType::Text => !value.is_null(),
        ParameterType::Integer => value.is_i64() || value.is_u64(),
        ParameterType::Number => value.is_number(),
        ParameterType::Boolean => value.is_boolean(),
        ParameterType::Duration => match value {
            serde_json::Value::String(text) => Duration::parse(text).is_ok(),
            other => other == &serde_json::json!(0),
        },
    };
    let shown = match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if right {
        Ok(())
    } else {
        Err(format!("`{shown}` is of the wrong type; it should be: {kind}"))
    }
}
