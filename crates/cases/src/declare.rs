//! `declare!`: one table per structure of the file format.
//!
//! ```text
//! declare! {
//!     /// Waits until a line of the log matches.
//!     pub struct LogContains short pattern {
//!         /// What to look for.
//!         pattern: Templated<String> = required,
//!         /// How long to wait.
//!         timeout: Templated<Duration> = "30s",
//!         /// Only this stream.
//!         stream: Option<Stream> = optional,
//!         /// The status is one of these.
//!         within: Vec<u16> = optional key "in" also "any_of",
//!     }
//!     check Self::check
//! }
//! ```
//!
//! gives the struct with public fields, its decoder, its schema and its section in the reference. A default is text as a
//! user would write it and goes through the same decoder, so the documented default is the one that holds. A default in
//! parentheses holds only where nothing else is inherited: the field is an `Option`, and [`default_of`] reads it. `short` names
//! the field that a value which is no mapping stands for. `check` runs after decoding, for what two fields say together.
//!
//! A `macro_rules!` and not a derive: no crate to compile, and the table reads like its documentation.

macro_rules! declare {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis struct $name:ident $(short $short:ident)? {
            $(
                $(#[doc = $field_doc:literal])*
                $field:ident : $type:ty = $presence:tt $(key $key:literal)? $(also $($alias:literal)|+)?
            ),* $(,)?
        }
        $(check $check:expr)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "the field's own documentation is the parameter's, given above")]
        $visibility struct $name {
            $( $(#[doc = $field_doc])* $visibility $field: $type, )*
        }

        impl $name {
            /// The table that the decoder, the schema and the reference are made from.
            $visibility fn info() -> &'static $crate::decode::StructInfo {
                static INFO: std::sync::LazyLock<$crate::decode::StructInfo> =
                    std::sync::LazyLock::new(|| $crate::decode::StructInfo {
                        name: stringify!($name),
                        doc: $crate::declare::documentation(&[$($doc),*]),
                        fields: vec![$( $crate::decode::FieldInfo {
                            key: $crate::declare::declare!(@key $field $($key)?),
                            aliases: &[$($($alias),+)?],
                            doc: $crate::declare::documentation(&[$($field_doc),*]),
                            presence: $crate::declare::declare!(@presence $presence),
                            shape: <$type as $crate::decode::Decode>::shape(),
                        } ),*],
                        short: $crate::declare::declare!(@short [$($field $($key)?),*] $($short)?),
                    });
                &INFO
            }
        }

        impl $crate::decode::Decode for $name {
            fn decode(node: &$crate::node::Node, decoder: &mut $crate::decode::Decoder) -> Option<Self> {
                let info = Self::info();
                let fields = decoder.fields(node, info)?;
                let mut infos = info.fields.iter();
                $( let $field = $crate::declare::declare!(@take $presence, fields, infos, decoder); )*
                let decoded = Self { $( $field: $field?, )* };
                $( $check(&decoded, node, decoder); )?
                Some(decoded)
            }

            fn shape() -> $crate::decode::Shape {
                $crate::decode::Shape::Struct($name::info)
            }
        }
    };

    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };

    (@presence required) => { $crate::decode::Presence::Required };
    (@presence ($default:literal)) => { $crate::decode::Presence::Default($default) };
    (@presence nullable) => { $crate::decode::Presence::Optional };
    (@presence optional) => { $crate::decode::Presence::Optional };
    (@presence $default:literal) => { $crate::decode::Presence::Default($default) };

    (@short [$($fields:tt)*]) => { None };
    (@short [$($field:ident $($key:literal)?),*] $short:ident) => {
        $crate::declare::key_of(
            &[$((stringify!($field), $crate::declare::declare!(@key $field $($key)?))),*],
            stringify!($short),
        )
    };

    (@take required, $fields:ident, $infos:ident, $decoder:ident) => {
        $infos.next().and_then(|info| $fields.required(info, $decoder))
    };
    (@take optional, $fields:ident, $infos:ident, $decoder:ident) => {
        $infos.next().and_then(|info| $fields.optional(info, $decoder))
    };
    (@take nullable, $fields:ident, $infos:ident, $decoder:ident) => {
        $infos.next().and_then(|info| $fields.nullable(info, $decoder))
    };
    (@take ($default:literal), $fields:ident, $infos:ident, $decoder:ident) => {
        $infos.next().and_then(|info| $fields.optional(info, $decoder))
    };
    (@take $default:literal, $fields:ident, $infos:ident, $decoder:ident) => {
        $infos.next().and_then(|info| $fields.or(info, $default, $decoder))
    };
}

/// One of some words: the enum, its decoder, its schema and its documentation.
macro_rules! words {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis enum $name:ident {
            $( $(#[doc = $word_doc:literal])* $(#[default $($default:tt)?])? $variant:ident = $word:literal $(| $alias:literal)* ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $name {
            $( $(#[doc = $word_doc])* $variant, )*
        }

        impl $name {
            /// The words, each with its meaning.
            $visibility const WORDS: &'static [(&'static str, &'static str)] = &[$(($word, concat!($($word_doc),*))),*];

            /// The word.
            $visibility fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::decode::Decode for $name {
            fn decode(node: &$crate::node::Node, decoder: &mut $crate::decode::Decoder) -> Option<Self> {
                match node.text().map(|text| &**text) {
                    $( Some($word $(| $alias)*) => Some(Self::$variant), )*
                    _ => {
                        let help = $crate::decode::suggestion(
                            node.text().map_or("", |text| &**text),
                            [$($word),*],
                        );
                        let found = node.describe();
                        let words = [$($word),*].join(", ");
                        decoder.error(node.span, format!("expected one of {words}; found {found}")).help = Some(help);
                        None
                    }
                }
            }

            fn shape() -> $crate::decode::Shape {
                $crate::decode::Shape::Words(Self::WORDS)
            }
        }
    };
}

pub(crate) use {declare, words};

use crate::decode::{Presence, Scalar, StructInfo};

/// The default of a field whose default is in parentheses.
pub(crate) fn default_of<T: Scalar>(info: &StructInfo, key: &str) -> Option<T> {
    let field = info.fields.iter().find(|field| field.key == key)?;
    match field.presence {
        Presence::Default(text) => T::parse(text).ok(),
        Presence::Required | Presence::Optional => None,
    }
}

/// The key of a field.
pub(crate) fn key_of(keys: &[(&str, &'static str)], field: &str) -> Option<&'static str> {
    keys.iter().find(|(name, _)| *name == field).map(|(_, key)| *key)
}

/// Doc comment lines as one text.
pub(crate) fn documentation(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}
