//! A command line, and a port: by number, or by the name that a part gives it.

use crate::{
    decode::{Decode, Decoder, Shape},
    node::{Node, Value},
    template::Templated,
};

/// A command line.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run by `sh -c`.
    Shell(Templated<String>),
    /// Run as it is: the program, then its arguments.
    Arguments(Vec<Templated<String>>),
}

impl Decode for Command {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Sequence(items) if items.is_empty() => {
                decoder.error(node.span, "a command without a program");
                None
            }
            Value::Sequence(_) => Decode::decode(node, decoder).map(Self::Arguments),
            Value::Scalar { text, .. } if text.trim().is_empty() => {
                decoder.error(node.span, "a command without a program");
                None
            }
            _ => Decode::decode(node, decoder).map(Self::Shell),
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Templated::<String>::shape(),
            Vec::<Templated<String>>::shape(),
        ])
    }
}

/// A port by number, or by its name among the part's `ports:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortReference {
    /// By number.
    Number(u16),
    /// By name.
    Name(String),
}

impl crate::decode::Scalar for PortReference {
    const NAME: &'static str = "port";

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Err("is no port; 0 means any".into()),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err("is no port; they end at 65535".into())
            }
            Err(_) => Ok(Self::Name(text.to_owned())),
        }
    }

    fn json_schema() -> serde_json::Value {
        serde_json::json!({"type": ["string", "integer"], "minimum": 1, "maximum": 65535})
    }
}
