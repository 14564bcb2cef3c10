//! The JSON Schema of case and suite files, for editors: completion, hover and squiggles while typing.
//!
//! Made from the same tables as the decoders. It is a little more lenient than they are (it does not know the suite's own
//! steps, nor what two keys say together), never stricter: an editor must not mark what `check` accepts.

use serde_json::{Map, Value as Json, json};

use crate::{
    decode::{FieldInfo, Presence, Shape, StructInfo},
    file::{
        case::{Case, CaseList},
        suite::Suite,
    },
    procedure::StepOptions,
    vocabulary::{StepInfo, VOCABULARY},
};

/// The schema's dialect.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of a case file.
pub fn case() -> Json {
    let mut builder = Builder::default();
    let one = builder.structure(Case::info);
    let several = builder.structure(CaseList::info);
    // A list of cases holds cases, which only the planner decodes.
    if let Some(list) = builder.definitions.get_mut("CaseList") {
        list["properties"]["cases"]["items"] = one.clone();
    }
    builder.document("A case file of seatrial", &json!({"anyOf": [one, several]}))
}

/// The schema of a suite's `seatrial.yaml`.
pub fn suite() -> Json {
    let mut builder = Builder::default();
    let suite = builder.structure(Suite::info);
    builder.document("A suite file of seatrial", &suite)
}

#[derive(Default)]
struct Builder {
    definitions: Map<String, Json>,
}

impl Builder {
    fn document(mut self, title: &str, root: &Json) -> Json {
        self.definitions.sort_keys();
        json!({"$schema": DRAFT, "title": title, "allOf": [root], "$defs": self.definitions})
    }

    fn shape(&mut self, shape: &Shape) -> Json {
        match shape {
            Shape::Scalar { schema, template, .. } => {
                let literal = schema();
                if *template {
                    json!({"anyOf": [literal, {"type": "string", "pattern": r"\{[{%]"}]})
                } else {
                    literal
                }
            }
            Shape::Words(words) => {
                let words: Vec<Json> = words
                    .iter()
                    .map(|(word, meaning)| json!({"const": word, "description": meaning.trim()}))
                    .collect();
                json!({"oneOf": words})
            }
            Shape::Any => json!({}),
            Shape::List(item) => json!({"type": "array", "items": self.shape(item)}),
            Shape::Map(value) => json!({"type": "object", "additionalProperties": self.shape(value)}),
            Shape::OneOf(shapes) => {
                let shapes: Vec<Json> = shapes.iter().map(|shape| self.shape(shape)).collect();
                json!({"anyOf": shapes})
            }
            Shape::Struct(info) => self.structure(*info),
            Shape::Steps => self.steps(),
        }
    }

    fn structure(&mut self, info: fn() -> &'static StructInfo) -> Json {
        let info = info();
        let reference = json!({"$ref": format!("#/$defs/{}", info.name)});
        if self.definitions.contains_key(info.name) {
            return reference;
        }
        // Claimed before its fields are visited, since structures may hold themselves.
        self.definitions.insert(info.name.to_owned(), Json::Null);
        let mut object = self.object(&info.fields);
        object["additionalProperties"] = json!(false);
        object["patternProperties"] = json!({"^x-": {}});
        let required = required(&info.fields);
        if !required.is_empty() {
            object["allOf"] = Json::Array(required);
        }
        let mut definition = match info.short_field() {
            Some(field) => {
                let short = self.shape(&field.shape);
                json!({"anyOf": [object, short]})
            }
            None => object,
        };
        definition["description"] = Json::String(info.doc.clone());
        self.definitions.insert(info.name.to_owned(), definition);
        reference
    }

    fn object(&mut self, fields: &[FieldInfo]) -> Json {
        let mut properties = Map::new();
        for field in fields {
            let mut schema = self.shape(&field.shape);
            if schema.get("$ref").is_some() {
                schema = json!({"allOf": [schema]});
            }
            schema["description"] = Json::String(field.doc.clone());
            if let Presence::Default(text) = field.presence {
                schema["default"] = crate::node::resolve_plain(text);
            }
            for alias in field.aliases {
                let mut other = schema.clone();
                other["description"] = Json::String(format!("Another name of `{}`.", field.key));
                other["deprecated"] = Json::Bool(true);
                properties.insert((*alias).to_owned(), other);
            }
            properties.insert(field.key.to_owned(), schema);
        }
        json!({"type": "object", "properties": properties})
    }

    fn steps(&mut self) -> Json {
        let reference = json!({"$ref": "#/$defs/Steps"});
        if self.definitions.contains_key("Steps") {
            return reference;
        }
        let steps =
            json!({"type": "array", "items": {"$ref": "#/$defs/Step"}, "description": "Steps, in order."});
        self.definitions.insert("Steps".to_owned(), steps);
        let options = StepOptions::info();
        let mut names: Vec<&str> = Vec::new();
        let mut kinds: Vec<Json> = Vec::new();
        for step in VOCABULARY {
            names.push(step.name);
            kinds.push(self.step(step, options));
        }
        let mut parallel = self.object(&options.fields);
        parallel["properties"]["parallel"] = reference.clone();
        parallel["required"] = json!(["parallel"]);
        parallel["additionalProperties"] = json!(false);
        parallel["description"] = json!("Steps that run side by side.");
        kinds.push(parallel);
        let known: Vec<Json> = names
            .iter()
            .chain(&["parallel"])
            .map(|name| json!({"required": [name]}))
            .collect();
        kinds.push(json!({"type": "object", "minProperties": 1, "not": {"anyOf": known}, "description": "A step of the suite's own, or one in another harness's form."}));
        kinds.push(json!({"type": "string", "description": "A step without parameters."}));
        self.definitions
            .insert("Step".to_owned(), json!({"anyOf": kinds}));
        reference
    }

    fn step(&mut self, step: &StepInfo, options: &StructInfo) -> Json {
        let info = (step.info)();
        let mut beneath = self.object(&info.fields);
        let beside = self.object(&options.fields);
        if let (Json::Object(all), Json::Object(more)) = (&mut beneath["properties"], &beside["properties"]) {
            all.extend(more.clone());
            if let (Some(timeout), Some(default)) = (all.get_mut("timeout"), step.timeout) {
                timeout["default"] = json!(default);
            }
        }
        beneath["additionalProperties"] = json!(false);
        let mut whole = beneath.clone();
        let mut values = vec![beneath, json!({"type": "null"})];
        if let Some(field) = info.short_field() {
            values.push(self.shape(&field.shape));
        }
        whole["properties"][step.name] = json!({"anyOf": values, "description": info.doc});
        whole["required"] = json!([step.name]);
        whole["description"] = Json::String(info.doc.clone());
        whole
    }
}

/// One condition for each field that must be there: by its key, or by one of its other names.
fn required(fields: &[FieldInfo]) -> Vec<Json> {
    fields
        .iter()
        .filter(|field| field.presence == Presence::Required)
        .map(|field| {
            let names = std::iter::once(&field.key).chain(field.aliases);
            let any: Vec<Json> = names.map(|name| json!({"required": [name]})).collect();
            json!({"anyOf": any})
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(schema: &Json, found: &mut Vec<String>) {
        match schema {
            Json::Object(object) => object.iter().for_each(|(key, value)| match value.as_str() {
                Some(target) if key == "$ref" => found.push(target.to_owned()),
                _ => references(value, found),
            }),
            Json::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[track_caller]
    fn check_closed(schema: &Json) {
        let mut found = Vec::new();
        references(schema, &mut found);
        assert!(!found.is_empty());
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(
                schema.pointer(pointer).is_some_and(Json::is_object),
                "{target} leads nowhere"
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        check_closed(&case());
        check_closed(&suite());
    }

    #[test]
    fn a_step_has_its_parameters_its_options_and_its_default_timeout() {
        let schema = case();
        let steps = schema["$defs"]["Step"]["anyOf"].as_array().unwrap();
        let step = steps
            .iter()
            .find(|step| step["required"] == json!(["log_contains"]))
            .unwrap();
        assert_eq!(step["properties"]["pattern"]["anyOf"][1]["pattern"], r"\{[{%]");
        assert_eq!(step["properties"]["timeout"]["default"], "30s");
        assert_eq!(
            step["properties"]["log_contains"]["anyOf"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }
}
