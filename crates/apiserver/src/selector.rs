//! Label and field selectors, with the refusals of upstream's parsers.

use crate::names::{label_value, qualified_name};

/// A parsed label selector. Empty selects everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Absent,
    Greater,
    Less,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Sign(&'static str),
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", "<", ">"];
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            out.push(Token::End);
            return out;
        }
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            out.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
            continue;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || "=!(),<>".contains(c))
            .unwrap_or(rest.len());
        out.push(Token::Word(rest[..end].to_owned()));
        rest = &rest[end..];
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn parse(&mut self) -> Result<Vec<Requirement>, String> {
        let mut out = Vec::new();
        loop {
            match self.peek().clone() {
                Token::Word(_) | Token::Sign("!") => {
                    out.push(
                        self.requirement()
                            .map_err(|why| format!("unable to parse requirement: {why}"))?,
                    );
                    match self.next() {
                        Token::End => return Ok(out),
                        Token::Sign(",") => match self.peek() {
                            Token::Word(_) | Token::Sign("!") => {}
                            other => {
                                return Err(format!(
                                    "found '{}', expected: identifier after ','",
                                    other.text()
                                ));
                            }
                        },
                        other => {
                            return Err(format!(
                                "found '{}', expected: ',' or 'end of string'",
                                other.text()
                            ));
                        }
                    }
                }
                Token::End => return Ok(out),
                other => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        other.text()
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut operator = None;
        if *self.peek() == Token::Sign("!") {
            self.next();
            operator = Some(Operator::Absent);
        }
        let key = match self.next() {
            Token::Word(word) => word,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        if let Some(fault) = qualified_name(&key).first() {
            return Err(format!(
                "key: Invalid value: {}: {fault}",
                crate::status::quote(&key)
            ));
        }
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(Requirement {
                key,
                operator: operator.unwrap_or(Operator::Exists),
                values: Vec::new(),
            });
        }
        let token = self.next();
        let operator = match &token {
            Token::Word(word) if word == "in" => Operator::In,
            Token::Word(word) if word == "notin" => Operator::NotIn,
            Token::Sign("=" | "==") => Operator::In,
            Token::Sign("!=") => Operator::NotIn,
            Token::Sign(">") => Operator::Greater,
            Token::Sign("<") => Operator::Less,
            other => {
                return Err(format!(
                    "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                    other.text()
                ));
            }
        };
        let values = match &token {
            Token::Word(_) => self.values()?,
            _ => match self.peek().clone() {
                Token::End | Token::Sign(",") => vec![String::new()],
                Token::Word(word) => {
                    self.next();
                    vec![word]
                }
                other => return Err(format!("found '{}', expected: identifier", other.text())),
            },
        };
        for (index, value) in values.iter().enumerate() {
            let shown = crate::status::quote(value);
            match operator {
                Operator::Greater | Operator::Less if value.parse::<i64>().is_err() => {
                    return Err(format!(
                        "values[{index}]: Invalid value: {shown}: for 'Gt', 'Lt' operators, the value must be an integer"
                    ));
                }
                _ => {
                    if let Some(fault) = label_value(value).first() {
                        return Err(format!("values[{index}][{key}]: Invalid value: {shown}: {fault}"));
                    }
                }
            }
        }
        Ok(Requirement {
            key,
            operator,
            values,
        })
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        if *self.peek() != Token::Sign("(") {
            return Err(format!("found '{}' expected: '('", self.peek().text()));
        }
        self.next();
        let mut out = Vec::new();
        if *self.peek() == Token::Sign(")") {
            self.next();
            return Ok(vec![String::new()]);
        }
        loop {
            match self.next() {
                Token::Word(word) => {
                    out.push(word);
                    match self.next() {
                        Token::Sign(",") => {}
                        Token::Sign(")") => return Ok(out),
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Sign(",") => out.push(String::new()),
                Token::Sign(")") => {
                    out.push(String::new());
                    return Ok(out);
                }
                other => {
                    return Err(format!(
                        "found '{}', expected: ',', ')' or identifier",
                        other.text()
                    ));
                }
            }
        }
    }
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text),
            at: 0,
        };
        Ok(Self {
            requirements: parser.parse()?,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    pub(crate) fn matches(&self, labels: &[(Box<str>, Box<str>)]) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels
                .iter()
                .find(|(key, _)| **key == *requirement.key)
                .map(|(_, value)| &**value);
            let listed = |value: &str| requirement.values.iter().any(|one| one == value);
            let number = |text: &str| text.parse::<i64>().ok();
            let bound = || requirement.values.first().and_then(|text| number(text));
            match requirement.operator {
                Operator::In => value.is_some_and(listed),
                Operator::NotIn => !value.is_some_and(listed),
                Operator::Exists => value.is_some(),
                Operator::Absent => value.is_none(),
                Operator::Greater => value.and_then(number).zip(bound()).is_some_and(|(a, b)| a > b),
                Operator::Less => value.and_then(number).zip(bound()).is_some_and(|(a, b)| a < b),
            }
        })
    }
}

/// A parsed field selector: terms that must all hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSelector {
    /// Field, whether it must be equal, value.
    pub(crate) terms: Vec<(String, bool, String)>,
}

impl FieldSelector {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for part in split_unescaped(text) {
            if part.is_empty() {
                continue;
            }
            let Some((at, sign)) = part.char_indices().find_map(|(at, _)| {
                ["!=", "==", "="]
                    .iter()
                    .find(|sign| part[at..].starts_with(**sign))
                    .map(|sign| (at, *sign))
            }) else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            let value = unescape(&part[at + sign.len()..])?;
            terms.push((part[..at].to_owned(), sign != "!=", value));
        }
        Ok(Self { terms })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == ',' {
            out.push(&text[start..at]);
            start = at + 1;
        }
    }
    out.push(&text[start..]);
    out
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => return Err(format!("invalid field selector: invalid escape sequence: \\{c}")),
                None => return Err("invalid field selector: invalid escape sequence: \\".to_owned()),
            },
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {}",
                    c as u32
                ));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels: Vec<(Box<str>, Box<str>)> =
            labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        LabelSelector::parse(selector).unwrap().matches(&labels)
    }

    #[test]
    fn labels_are_selected() {
        let labels = [("n", "3"), ("par", "odd")];
        for yes in [
            "",
            "n",
            "!x",
            "n=3",
            "n==3",
            "n!=4",
            "n in (1,3)",
            "n notin (1)",
            "x notin (1)",
            "x!=1",
            "n>2",
            "n<4,par",
        ] {
            assert!(selects(yes, &labels), "{yes}");
        }
        for no in ["x", "!n", "n=4", "n in (4)", "n>3", "n<3", "par in ()", "par="] {
            assert!(!selects(no, &labels), "{no}");
        }
    }

    #[test]
    fn refusals_are_upstreams() {
        let error = |text: &str| LabelSelector::parse(text).unwrap_err();
        assert_eq!(error("a=b=c"), "found '=', expected: ',' or 'end of string'");
        assert_eq!(
            error("x in (a"),
            "unable to parse requirement: found '', expected: ',' or ')'"
        );
        assert_eq!(
            error("=x"),
            "found '=', expected: !, identifier, or 'end of string'"
        );
        assert_eq!(
            error("bad key!=1"),
            "unable to parse requirement: found 'key', expected: in, notin, =, ==, !=, gt, lt"
        );
        assert_eq!(error("a,,b"), "found ',', expected: identifier after ','");
        let error = |text: &str| FieldSelector::parse(text).unwrap_err();
        assert_eq!(
            error("a=b=c"),
            "invalid field selector: unescaped character in value: 61"
        );
        assert_eq!(error("a"), "invalid selector: 'a'; can't understand 'a'");
    }
}
