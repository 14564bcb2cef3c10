//! What is expected of a status, of a reply, of a number of things.

use crate::{
    declare::declare,
    decode::{Decode, Decoder, Shape},
    node::{Node, Value},
    template::Templated,
};

/// How many are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many or more.
    AtLeast(usize),
    /// So many or fewer.
    AtMost(usize),
    /// Neither more nor fewer.
    Exactly(usize),
    /// Within both.
    Between(usize, usize),
}

declare! {
    /// How many are expected.
    struct CountBounds {
        /// So many or more.
        at_least: Option<usize> = optional,
        /// So many or fewer.
        at_most: Option<usize> = optional,
        /// Neither more nor fewer.
        exactly: Option<usize> = optional,
    }
}

impl Decode for Count {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        if let Some(text) = node.text() {
            let (bound, number): (fn(usize) -> Self, &str) =
                match (text.strip_prefix(">="), text.strip_prefix("<=")) {
                    (Some(number), _) => (Self::AtLeast, number),
                    (_, Some(number)) => (Self::AtMost, number),
                    _ => (Self::Exactly, text),
                };
            let number = usize::decode(&Node::scalar(number.trim(), node.span), decoder)?;
            return Some(bound(number));
        }
        let bounds = CountBounds::decode(node, decoder)?;
        match (bounds.at_least, bounds.at_most, bounds.exactly) {
            (None, None, Some(count)) => Some(Self::Exactly(count)),
            (Some(least), None, None) => Some(Self::AtLeast(least)),
            (None, Some(most), None) => Some(Self::AtMost(most)),
            (Some(least), Some(most), None) if least <= most => Some(Self::Between(least, most)),
            _ => {
                decoder.error(node.span, "no count can be all of this").help =
                    Some("give `exactly`, or `at_least` and `at_most` with the smaller first".into());
                None
            }
        }
    }

    fn shape() -> Shape {
        let short = Shape::Scalar {
            name: "number, `>= N` or `<= N`",
            schema: || serde_json::json!({"type": ["integer", "string"], "examples": [3, ">= 2", "<= 5"]}),
            template: false,
        };
        Shape::OneOf(vec![short, CountBounds::shape()])
    }
}

/// What a status has to be.
#[derive(Clone, Debug)]
pub enum StatusExpectation {
    /// One of these.
    In(Vec<StatusPattern>),
    /// None of these.
    NotIn(Vec<StatusPattern>),
}

/// A status or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPattern {
    /// This one.
    Code(u16),
    /// All that start with this digit: `2` for `2xx`.
    Class(u16),
}

impl StatusPattern {
    /// Whether a status is meant.
    pub fn matches(self, status: u16) -> bool {
        match self {
            Self::Code(code) => code == status,
            Self::Class(class) => class == status / 100,
        }
    }
}

impl StatusExpectation {
    /// Whether a status is as expected.
    pub fn matches(&self, status: u16) -> bool {
        match self {
            Self::In(patterns) => patterns.iter().any(|pattern| pattern.matches(status)),
            Self::NotIn(patterns) => !patterns.iter().any(|pattern| pattern.matches(status)),
        }
    }
}

impl std::fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl std::fmt::Display for StatusExpectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (prefix, patterns) = match self {
            Self::In(patterns) => ("", patterns),
            Self::NotIn(patterns) => ("not ", patterns),
        };
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        write!(f, "{prefix}{}", patterns.join(" or "))
    }
}

impl crate::decode::Scalar for StatusPattern {
    const NAME: &'static str = "HTTP status";

    fn parse(text: &str) -> Result<Self, String> {
        let class = text
            .strip_suffix("xx")
            .or_else(|| text.strip_suffix("XX"))
            .and_then(|class| class.parse().ok());
        match (text.parse(), class) {
            (Ok(code @ 100..=599), _) => Ok(Self::Code(code)),
            (_, Some(class @ 1..=5)) => Ok(Self::Class(class)),
            _ => Err("is no HTTP status; write it like `200` or `2xx`".into()),
        }
    }

    fn json_schema() -> serde_json::Value {
        serde_json::json!({"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5](xx|[0-9][0-9])$"}]})
    }
}

/// One or several statuses.
#[derive(Clone, Debug)]
struct StatusPatterns(Vec<StatusPattern>);

impl Decode for StatusPatterns {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Sequence(_) => Decode::decode(node, decoder).map(Self),
            _ => StatusPattern::decode(node, decoder).map(|pattern| Self(vec![pattern])),
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![StatusPattern::shape(), Vec::<StatusPattern>::shape()])
    }
}

declare! {
    /// What a status has to be.
    struct StatusRules {
        /// This one.
        equal: Option<StatusPatterns> = optional also "equals",
        /// Any but this one, or these.
        not_equal: Option<StatusPatterns> = optional also "not_equals",
        /// One of these.
        within: Option<StatusPatterns> = optional key "in" also "one_of",
    }
}

impl Decode for StatusExpectation {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        if !matches!(node.value, Value::Mapping(_)) {
            return StatusPatterns::decode(node, decoder).map(|patterns| Self::In(patterns.0));
        }
        let rules = StatusRules::decode(node, decoder)?;
        match (rules.equal.or(rules.within), rules.not_equal) {
            (Some(patterns), None) => Some(Self::In(patterns.0)),
            (None, Some(patterns)) => Some(Self::NotIn(patterns.0)),
            _ => {
                decoder.error(
                    node.span,
                    "exactly one of `equal`, `not_equal` and `in` says what a status has to be",
                );
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            StatusPattern::shape(),
            Vec::<StatusPattern>::shape(),
            StatusRules::shape(),
        ])
    }
}

declare! {
    /// What a reply has to be.
    pub struct ReplyExpectation short contains {
        /// It contains this.
        contains: Option<Templated<String>> = optional,
        /// It matches this regular expression.
        regex: Option<Templated<String>> = optional,
        /// It is this.
        equals: Option<Templated<String>> = optional,
    }
    check ReplyExpectation::check
}

impl ReplyExpectation {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        check_regex(self.regex.as_ref(), decoder);
        if self.contains.is_none() && self.regex.is_none() && self.equals.is_none() {
            decoder.error(node.span, "nothing is expected").help =
                Some("give `contains`, `regex` or `equals`".into());
        }
    }
}

/// Reports a pattern that is no regular expression, where that can be known. It is only parsed: compiling costs far more, and
/// is the step's.
pub(super) fn check_regex(pattern: Option<&Templated<String>>, decoder: &mut Decoder) {
    let Some((pattern, text)) = pattern.and_then(|pattern| Some((pattern, pattern.as_literal()?))) else {
        return;
    };
    let Err(error) = regex_syntax::ParserBuilder::new().utf8(false).build().parse(text) else {
        return;
    };
    let said = error.to_string();
    let reason = said.lines().last().unwrap_or_default();
    let message = format!(
        "a bad regular expression: {}",
        reason.strip_prefix("error: ").unwrap_or(reason)
    );
    decoder.error(pattern.origin.span, message);
}
