//! What every step can have beside its parameters.

use std::time::Duration;

use indexmap::IndexMap;

use crate::{
    declare::declare,
    decode::{Located, Scalar},
    json_path::JsonPath,
    plan::Selector,
    template::{Expression, Templated},
};

/// The names that are options of every step, whatever its parameters.
pub(super) const OPTIONS: &[&str] = &["name", "part", "when", "retry", "timeout", "save"];

declare! {
    /// What every step can have beside its parameters.
    pub(crate) struct StepOptions {
        /// Its name on screen. By default one is made from its parameters.
        name: Option<String> = optional,
        /// The part that it is about. By default the target; in a part's `ready:`, that part.
        part: Option<Located<String>> = optional,
        /// An expression; the step is skipped where it does not hold: `when: values.tls`.
        when: Option<Expression> = optional,
        /// It is tried again when it fails.
        retry: Option<Retry> = optional,
        /// How long it may take; each step says its default.
        timeout: Option<Templated<Duration>> = optional,
        /// What is kept of its output, by name, for later placeholders: `save: {token: .session.token}` gives `{{ saved.token }}`. A
        /// path that starts with `.` is one into the main output, read as JSON; anything else is an output of the step by its name.
        save: IndexMap<String, Located<SelectorText>> = optional,
    }
}

declare! {
    /// How a step is tried again.
    pub(crate) struct Retry short times {
        /// How often at most, the first time included.
        times: u32 = required,
        /// How long to wait in between.
        every: Duration = "1s",
    }
}

/// What is kept of a step's output, as it is written.
#[derive(Clone, Debug)]
pub(crate) struct SelectorText(pub(super) Selector);

impl Scalar for SelectorText {
    const NAME: &'static str = "output";

    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with(['.', '$', '[']) {
            return <JsonPath as Scalar>::parse(text).map(Selector::Json).map(Self);
        }
        Ok(Self(Selector::Output(
            text.splitn(2, '.').map(str::to_owned).collect(),
        )))
    }

    fn json_schema() -> serde_json::Value {
        serde_json::json!({"type": "string", "examples": [".json.path", "status", "match.1"]})
    }
}
