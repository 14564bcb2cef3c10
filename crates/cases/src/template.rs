//! Placeholders: one template language (minijinja, that is Jinja2) wherever a file may say `{{ }}`.
//!
//! A text with `{{` or `{%` in it is a template; everything else is literal and checked at load. Templates are parsed at
//! load too, and the names in them checked against the [`Names`] known at that place; they are rendered when their turn
//! comes, against a [`Scope`], and what they render to goes through the same reader as a literal. A name that is not there
//! is always an error: there is no silent empty text.
//!
//! # What is in scope
//!
//! | name | what | where |
//! |---|---|---|
//! | `port.NAME` | a port of the part that the text is for | parts and steps |
//! | `dir` | the working directory of that part | parts and steps |
//! | `part.PART.port.NAME`, `.dir`, `.host`, `.name` | the same of any part; `host` is how others reach it | everywhere |
//! | `fixture.NAME.OUTPUT` | what a fixture of `uses:` gives | everywhere |
//! | `fixture.NAME.port.PORT` | a port of its only part; `.part.PART.port.PORT` where it has several | everywhere |
//! | `build.NAME` | the path of what a build made | everywhere |
//! | `values.NAME` | `values:` of the suite, the case, and its variant; later ones win | everywhere |
//! | `saved.NAME` | what an earlier step saved | later steps |
//! | `parameters.NAME` | the parameters of a step that the suite defines | its procedure |
//! | `uuid` | unique to this test in this run | everywhere |
//! | `case.name`, `case.variant`, `case.dir` | the test, and the directory of its file | everywhere |
//! | `suite.name`, `suite.dir` | the suite, and its directory | everywhere |
//! | `env.NAME` | a variable of seatrial's own environment; unset is an error | everywhere |
//! | `PANORAMIC_DYNAMIC_X` | the output of a dynamic variable's command, run in the target | where one is declared |

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock},
};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde_json::{Map, Value as Json};

use crate::{
    decode::{Decode, Decoder, Scalar, Shape, suggestion},
    node::{Node, Value},
    source::Origin,
};

/// The one environment: strict about what is undefined, and nothing is escaped.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment
});

/// minijinja counts its own functions among the names that a template refers to.
const FUNCTIONS: &[&str] = &["range", "dict", "namespace", "debug", "loop"];

/// A name that a template refers to, as segments: `port.http` is `["port", "http"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference(pub Vec<String>);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Why a template was not rendered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message} (in {origin})")]
pub struct RenderError {
    /// What is wrong, with the offending text.
    pub message: String,
    /// The template.
    pub origin: Origin,
}

/// A literal, or a template that becomes one.
#[derive(Clone)]
pub struct Templated<T> {
    form: Form<T>,
    /// Where it was written.
    pub origin: Origin,
}

#[derive(Clone)]
enum Form<T> {
    Literal(T),
    Template(Arc<str>),
}

impl<T> Templated<T> {
    /// A literal.
    pub fn literal(value: T, origin: Origin) -> Self {
        Self {
            form: Form::Literal(value),
            origin,
        }
    }

    /// The value, if it needs no rendering.
    pub fn as_literal(&self) -> Option<&T> {
        match &self.form {
            Form::Literal(value) => Some(value),
            Form::Template(_) => None,
        }
    }
}

impl<T: Scalar + Clone> Templated<T> {
    /// The value in a scope.
    ///
    /// # Errors
    /// When a name is not there, or what is rendered is no `T`.
    pub fn render(&self, scope: &Scope) -> Result<T, RenderError> {
        match &self.form {
            Form::Literal(value) => Ok(value.clone()),
            Form::Template(template) => {
                let text = scope.render(template, &self.origin)?;
                T::parse(&text).map_err(|wrong| RenderError {
                    message: format!("`{template}` gives `{text}`, which {wrong}"),
                    origin: self.origin.clone(),
                })
            }
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Templated<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Literal(value) => value.fmt(f),
            Form::Template(template) => write!(f, "template {template:?}"),
        }
    }
}

impl<T: Scalar> Decode for Templated<T> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        let origin = decoder.origin(node.span);
        match node.text().filter(|text| is_template(text)) {
            Some(text) => {
                parse(text, node, decoder)?;
                Some(Self {
                    form: Form::Template(text.clone()),
                    origin,
                })
            }
            None => Some(Self {
                form: Form::Literal(T::decode(node, decoder)?),
                origin,
            }),
        }
    }

    fn shape() -> Shape {
        Shape::Scalar {
            name: T::NAME,
            schema: T::json_schema,
            template: true,
        }
    }
}

/// Whether a text has placeholders. `{#` alone does not make a template: shells say `${#name}`.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Checks a template's syntax and remembers what it refers to.
fn parse(text: &str, node: &Node, decoder: &mut Decoder) -> Option<()> {
    match ENVIRONMENT.template_from_str(text) {
        Ok(template) => {
            let references = references(template.undeclared_variables(true));
            decoder.saw_template(references, node.span);
            Some(())
        }
        Err(error) => {
            let detail = error
                .detail()
                .map_or_else(|| error.kind().to_string(), str::to_owned);
            decoder.error(node.span, format!("a bad template: {detail}")).help =
                Some("for braces that are meant literally: {% raw %}...{% endraw %}".into());
            None
        }
    }
}

fn references(names: impl IntoIterator<Item = String>) -> Vec<Reference> {
    let mut references: Vec<Reference> = names
        .into_iter()
        .map(|name| Reference(name.split('.').map(str::to_owned).collect()))
        .filter(|reference| !FUNCTIONS.contains(&reference.0[0].as_str()))
        .collect();
    references.sort();
    references
}

/// An expression of the template language without braces, for `when:`.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Arc<str>,
    /// Where it was written.
    pub origin: Origin,
}

impl Expression {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds in a scope, by Jinja2's truth.
    ///
    /// # Errors
    /// When a name is not there or the expression fails.
    pub fn holds(&self, scope: &Scope) -> Result<bool, RenderError> {
        scope
            .evaluate(&self.text, &self.origin)
            .map(|value| value.is_true())
    }
}

impl Decode for Expression {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        let Some(text) = node.text() else {
            decoder.wrong_type(node, "expression");
            return None;
        };
        let bare = text.trim();
        let bare = bare
            .strip_prefix("{{")
            .and_then(|inner| inner.strip_suffix("}}"))
            .unwrap_or(bare)
            .trim();
        match ENVIRONMENT.compile_expression(bare) {
            Ok(expression) => {
                decoder.saw_template(references(expression.undeclared_variables(true)), node.span);
                Some(Self {
                    text: bare.into(),
                    origin: decoder.origin(node.span),
                })
            }
            Err(error) => {
                let detail = error
                    .detail()
                    .map_or_else(|| error.kind().to_string(), str::to_owned);
                decoder.error(node.span, format!("a bad expression: {detail}"));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Scalar {
            name: "expression",
            schema: || serde_json::json!({"type": ["string", "boolean"], "examples": ["values.tls", "case.variant == 'unix'"]}),
            template: false,
        }
    }
}

/// Data of any form, with templates in its texts: a JSON body, a value, an argument.
#[derive(Clone, Debug)]
pub enum Data {
    /// Null, a boolean, a number, or a text without placeholders.
    Plain(Json),
    /// A text with placeholders. One that is nothing but `{{ name }}` keeps the type of what is named.
    Template(Templated<String>),
    /// A list.
    List(Vec<Data>),
    /// A mapping.
    Map(Vec<(String, Data)>),
}

impl Data {
    /// The data in a scope.
    ///
    /// # Errors
    /// When a name is not there.
    pub fn render(&self, scope: &Scope) -> Result<Json, RenderError> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Template(text) => match &text.form {
                Form::Literal(text) => Json::String(text.clone()),
                Form::Template(template) => match sole_expression(template) {
                    Some(expression) => {
                        let value = scope.evaluate(expression, &text.origin)?;
                        serde_json::to_value(&value).unwrap_or(Json::Null)
                    }
                    None => Json::String(scope.render(template, &text.origin)?),
                },
            },
            Self::List(items) => Json::Array(
                items
                    .iter()
                    .map(|item| item.render(scope))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), value.render(scope)?)))
                    .collect::<Result<_, RenderError>>()?,
            ),
        })
    }
}

/// The expression of a template that is one `{{ }}` and nothing else.
fn sole_expression(template: &str) -> Option<&str> {
    let inner = template.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.trim_matches('-');
    (!inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%")).then(|| inner.trim())
}

impl Decode for Data {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, .. } if is_template(text) => {
                Templated::decode(node, decoder).map(Self::Template)
            }
            Value::Scalar { .. } => Some(Self::Plain(node.resolve())),
            Value::Sequence(items) => {
                let items: Vec<Option<Self>> = items.iter().map(|item| Self::decode(item, decoder)).collect();
                items.into_iter().collect::<Option<_>>().map(Self::List)
            }
            Value::Mapping(entries) => {
                let entries: Vec<Option<(String, Self)>> = entries
                    .iter()
                    .map(|entry| Some((entry.key.to_string(), Self::decode(&entry.node, decoder)?)))
                    .collect();
                entries.into_iter().collect::<Option<_>>().map(Self::Map)
            }
        }
    }

    fn shape() -> Shape {
        Shape::Any
    }
}

/// The names that a template can use, when it is rendered.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    root: Map<String, Json>,
}

impl Scope {
    /// An empty scope; only `env` is in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a name, such as `["port", "http"]`, and makes the mappings that lead to it.
    pub fn set(&mut self, path: &[&str], value: impl Into<Json>) {
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        let mut map = &mut self.root;
        for parent in parents {
            let slot = map.entry(*parent).or_insert_with(|| Json::Object(Map::new()));
            if !slot.is_object() {
                *slot = Json::Object(Map::new());
            }
            let Json::Object(inner) = slot else { return };
            map = inner;
        }
        map.insert((*last).to_owned(), value.into());
    }

    /// The value of a name.
    pub fn get(&self, path: &[&str]) -> Option<&Json> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.root.get(*first)?, |value, segment| value.get(*segment))
    }

    /// Forgets a name at the root, such as `parameters`.
    pub fn remove(&mut self, name: &str) {
        self.root.remove(name);
    }

    /// Renders a template.
    ///
    /// # Errors
    /// When a name is not there, or the template fails.
    pub fn render(&self, template: &str, origin: &Origin) -> Result<String, RenderError> {
        if !is_template(template) {
            return Ok(template.to_owned());
        }
        ENVIRONMENT
            .template_from_str(template)
            .and_then(|parsed| parsed.render(self.context()))
            .map_err(|error| self.explain(template, &error, origin))
    }

    fn evaluate(&self, expression: &str, origin: &Origin) -> Result<minijinja::Value, RenderError> {
        let compiled = ENVIRONMENT.compile_expression(expression);
        let value = compiled.and_then(|compiled| compiled.eval(self.context()));
        match value {
            // An expression that is nothing but an undefined name evaluates to it, even under strict rules.
            Ok(value) if value.is_undefined() => Err(RenderError {
                message: format!("`{expression}` is not defined"),
                origin: origin.clone(),
            }),
            Ok(value) => Ok(value),
            Err(error) => Err(self.explain(expression, &error, origin)),
        }
    }

    fn context(&self) -> minijinja::Value {
        let values = minijinja::Value::from(Serde(&self.root));
        minijinja::context! { env => minijinja::Value::from_object(OwnEnvironment), ..values }
    }

    /// minijinja says "undefined value"; people need its name.
    fn explain(&self, template: &str, error: &minijinja::Error, origin: &Origin) -> RenderError {
        let message = match error.kind() {
            minijinja::ErrorKind::UndefinedError => {
                let names = ENVIRONMENT
                    .template_from_str(template)
                    .map(|parsed| parsed.undeclared_variables(true));
                let mut missing: Vec<String> = references(names.unwrap_or_default())
                    .into_iter()
                    .filter(|reference| !self.knows(reference))
                    .map(|reference| format!("`{reference}`"))
                    .collect();
                missing.dedup();
                if missing.is_empty() {
                    format!("something in `{template}` is not defined")
                } else {
                    format!(
                        "{} {} not defined",
                        missing.join(", "),
                        if missing.len() == 1 { "is" } else { "are" }
                    )
                }
            }
            _ => {
                let detail = error
                    .detail()
                    .map_or_else(|| error.kind().to_string(), str::to_owned);
                format!("`{template}` cannot be rendered: {detail}")
            }
        };
        RenderError {
            message,
            origin: origin.clone(),
        }
    }

    fn knows(&self, reference: &Reference) -> bool {
        if let [env, name] = reference.0.as_slice()
            && env == "env"
        {
            return std::env::var_os(name).is_some();
        }
        let path: Vec<&str> = reference.0.iter().map(String::as_str).collect();
        self.get(&path).is_some()
    }
}

/// seatrial's environment as `env.NAME`, looked up and not copied: it may hold much, and secrets.
#[derive(Debug)]
struct OwnEnvironment;

impl minijinja::value::Object for OwnEnvironment {
    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        std::env::var(key.as_str()?).ok().map(minijinja::Value::from)
    }
}

/// The names known at a place before anything runs.
#[derive(Clone, Debug)]
pub enum Names {
    /// These, and nothing else.
    Members(BTreeMap<String, Names>),
    /// A value, whatever is in it.
    Anything,
}

impl Default for Names {
    fn default() -> Self {
        Self::Members(BTreeMap::new())
    }
}

impl Names {
    /// Declares a name, such as `["port", "http"]`.
    pub fn declare(&mut self, path: &[&str]) {
        let Self::Members(members) = self else { return };
        match path {
            [] => {}
            [last] => {
                members.insert((*last).to_owned(), Self::Anything);
            }
            [first, rest @ ..] => members.entry((*first).to_owned()).or_default().declare(rest),
        }
    }

    /// Forgets a name at the root.
    pub fn forget(&mut self, name: &str) {
        if let Self::Members(members) = self {
            members.remove(name);
        }
    }

    /// Declares a mapping that may stay empty, so that a name in it is missed by its own name.
    pub fn declare_mapping(&mut self, name: &str) {
        self.declare_mapping_at(&[name]);
    }

    /// The same, deeper down.
    pub fn declare_mapping_at(&mut self, path: &[&str]) {
        if let (Self::Members(members), Some((first, rest))) = (self, path.split_first()) {
            members
                .entry((*first).to_owned())
                .or_default()
                .declare_mapping_at(rest);
        }
    }

    /// Whether a reference leads somewhere; else what is missing, and what to do.
    ///
    /// # Errors
    /// A message and help.
    pub fn check(&self, reference: &Reference) -> Result<(), (String, String)> {
        let mut at = self;
        for (depth, segment) in reference.0.iter().enumerate() {
            let Self::Members(members) = at else { return Ok(()) };
            at = members.get(segment).ok_or_else(|| {
                let help = suggestion(segment, members.keys().map(String::as_str));
                (
                    format!("`{}` is not defined", reference.0[..=depth].join(".")),
                    help,
                )
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, Span};

    fn scope() -> Scope {
        let mut scope = Scope::new();
        scope.set(&["port", "http"], 8080);
        scope.set(&["values", "list"], serde_json::json!([1, 2]));
        scope.set(&["values", "text"], "a\n");
        scope
    }

    fn origin() -> Origin {
        Origin {
            file: SourceFile::new("case.yaml", "text"),
            span: Span { start: 0, end: 4 },
        }
    }

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let shown = scope()
            .render(template, &origin())
            .unwrap_or_else(|error| error.to_string());
        assert_eq!(shown, expected);
    }

    #[test]
    fn texts_are_rendered_as_they_are() {
        check("{{ port.http }}", "8080");
        check("x{{ values.text }}", "xa\n");
        check("keeps its end{{ '' }}\n", "keeps its end\n");
        check("<{{ values.text | trim }}> & 'quoted'", "<a> & 'quoted'");
        check("${#no_comment}", "${#no_comment}");
        check("{% raw %}{{ .State }}{% endraw %}", "{{ .State }}");
        check("{% for x in values.list %}{{ x }};{% endfor %}", "1;2;");
        check("{{ values.list | tojson }}", "[1, 2]");
    }

    #[test]
    fn what_is_not_there_is_named() {
        check("{{ port.htpp }}", "`port.htpp` is not defined (in case.yaml:1:1)");
        check(
            "{{ a }} {{ b.c }}",
            "`a`, `b.c` are not defined (in case.yaml:1:1)",
        );
        check(
            "{{ env.SEATRIAL_NOT_THERE }}",
            "`env.SEATRIAL_NOT_THERE` is not defined (in case.yaml:1:1)",
        );
        check("{{ env.SEATRIAL_NOT_THERE | default('x') }}", "x");
        check(
            "{{ values.list | nonsense }}",
            "`{{ values.list | nonsense }}` cannot be rendered: filter nonsense is unknown (in case.yaml:1:1)",
        );
    }

    #[test]
    fn data_of_one_placeholder_keeps_its_type() {
        let decode = |text: &str| {
            let node = Node::scalar(text, Span { start: 0, end: 4 });
            Data::decode(&node, &mut Decoder::new(SourceFile::new("case.yaml", "text"))).unwrap()
        };
        assert_eq!(
            decode("{{ values.list }}").render(&scope()).unwrap(),
            serde_json::json!([1, 2])
        );
        assert_eq!(decode("{{ port.http + 1 }}").render(&scope()).unwrap(), 8081);
        assert_eq!(decode("<{{ port.http }}>").render(&scope()).unwrap(), "<8080>");
        assert_eq!(
            decode("{{ port.http }}{{ port.http }}").render(&scope()).unwrap(),
            "80808080"
        );
        assert_eq!(decode("0644").render(&scope()).unwrap(), "0644");
    }

    #[test]
    fn what_is_rendered_is_read_like_a_literal() {
        let node = Node::scalar("{{ port.http }}s", Span { start: 0, end: 4 });
        let mut decoder = Decoder::new(SourceFile::new("case.yaml", "text"));
        let timeout = Templated::<std::time::Duration>::decode(&node, &mut decoder).unwrap();
        assert_eq!(timeout.render(&scope()).unwrap().as_secs(), 8080);
        let timeout = Templated::<bool>::decode(&node, &mut decoder).unwrap();
        let wrong = timeout.render(&scope()).unwrap_err().to_string();
        assert_eq!(
            wrong,
            "`{{ port.http }}s` gives `8080s`, which is neither `true` nor `false` (in case.yaml:1:1)"
        );
    }
}
