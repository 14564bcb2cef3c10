//! What upstream's CEL environment has and the interpreter lacks: `x.?field`, macros of two variables, `type()`;
//! and what it refuses before anything runs: names that nobody declared, rules whose cost has no bound.

use std::{collections::BTreeSet, sync::Arc};

use kube_cel::cel::{
    Context, ExecutionError, IdedExpr, Value as Cel,
    common::ast::{EntryExpr, Expr},
    objects::{Key, Map as CelMap, OptionalValue},
    parser::Parser,
};

const OPTIONAL_SELECT: &str = "_?._";
const TYPES: [&str; 9] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
];
const MACROS: [&str; 8] = [
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "filter",
    "map",
    "transformList",
    "transformMap",
];

/// Functions of upstream's environment at 1.33, as they are called.
const FUNCTIONS: &str = "has size contains startsWith endsWith matches int uint double string bytes bool dyn type \
duration timestamp getFullYear getMonth getDayOfYear getDayOfMonth getDate getDayOfWeek getHours getMinutes getSeconds \
getMilliseconds all exists exists_one existsOne filter map transformList transformMap transformMapEntry charAt indexOf \
lastIndexOf lowerAscii upperAscii replace split substring trim join quote reverse format find findAll isSorted sum min \
max url isURL getScheme getHost getHostname getPort getEscapedPath getQuery ip isIP isCanonical family isUnspecified \
isLoopback isLinkLocalMulticast isLinkLocalUnicast isGlobalUnicast cidr isCIDR containsIP containsCIDR masked prefixLength \
quantity isQuantity sign isInteger asInteger asApproximateFloat add sub isGreaterThan isLessThan compareTo named validate \
dns1123Label dns1123Subdomain dns1035Label qualifiedName dns1123LabelPrefix dns1123SubdomainPrefix dns1035LabelPrefix \
labelValue uri uuid byte date datetime none of ofNonZeroValue hasValue value or orValue optMap optFlatMap equivalent \
intersects authorizer";
/// Names that functions hang on: `sets.contains`.
const LIBRARIES: [&str; 6] = ["sets", "strings", "format", "optional", "ip", "math"];

/// Adds the functions that rewritten expressions call.
pub(super) fn register(context: &mut Context<'_>) {
    context.add_function("__optional_field", |value: Cel, field: Arc<String>| {
        Ok::<_, ExecutionError>(optional_field(value, &field))
    });
    context.add_function("__pairs", |value: Cel| Ok::<_, ExecutionError>(pairs(&value)));
    context.add_function("type", |value: Cel| {
        let name = match value.type_of().to_string().as_str() {
            "float" => "double".to_owned(),
            "null" => "null_type".to_owned(),
            other => other.to_owned(),
        };
        Ok::<_, ExecutionError>(Cel::String(Arc::new(name)))
    });
    for name in TYPES {
        context.add_variable_from_value(name, Cel::String(Arc::new(name.to_owned())));
    }
}

fn optional_field(value: Cel, field: &str) -> Cel {
    let inner = match &value {
        Cel::Opaque(_) => match <&OptionalValue>::try_from(&value) {
            Ok(optional) => optional.value().cloned(),
            Err(_) => None,
        },
        other => Some(other.clone()),
    };
    let found = match inner {
        Some(Cel::Map(map)) => map.map.get(&Key::String(Arc::new(field.to_owned()))).cloned(),
        _ => None,
    };
    Cel::Opaque(Arc::new(
        found.map_or_else(OptionalValue::none, OptionalValue::of),
    ))
}

fn pairs(value: &Cel) -> Cel {
    let pair = |key: Cel, value: Cel| {
        let name = |text: &str| Key::String(Arc::new(text.to_owned()));
        Cel::Map(CelMap {
            map: Arc::new([(name("k"), key), (name("v"), value)].into_iter().collect()),
        })
    };
    let all: Vec<Cel> = match value {
        Cel::List(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| pair(Cel::Int(i64::try_from(at).unwrap_or(i64::MAX)), item.clone()))
            .collect(),
        Cel::Map(map) => map
            .map
            .iter()
            .map(|(key, value)| {
                let key = match key {
                    Key::Int(number) => Cel::Int(*number),
                    Key::Uint(number) => Cel::UInt(*number),
                    Key::Bool(flag) => Cel::Bool(*flag),
                    Key::String(text) => Cel::String(text.clone()),
                };
                pair(key, value.clone())
            })
            .collect(),
        _ => Vec::new(),
    };
    Cel::List(Arc::new(all))
}

/// Rewrites what the interpreter does not know into what it does.
pub(super) fn rewrite(expr: &mut IdedExpr) {
    each_child(expr, &mut rewrite);
    let Expr::Call(call) = &mut expr.expr else { return };
    if call.func_name == OPTIONAL_SELECT {
        call.func_name = "__optional_field".to_owned();
        if let Some(target) = call.target.take() {
            call.args.insert(0, *target);
        }
        return;
    }
    let two = matches!(
        call.func_name.as_str(),
        "all" | "exists" | "exists_one" | "existsOne"
    ) && call.args.len() == 3;
    let (Some(target), true) = (&call.target, two) else {
        return;
    };
    let (Expr::Ident(key), Expr::Ident(value)) = (&call.args[0].expr, &call.args[1].expr) else {
        return;
    };
    let name = if call.func_name == "existsOne" {
        "exists_one"
    } else {
        &call.func_name
    };
    let template = format!("__pairs(__target).{name}(__pair, __body)");
    let (Ok(mut made), Ok(k), Ok(v)) = (
        Parser::new().parse(&template),
        Parser::new().parse("__pair.k"),
        Parser::new().parse("__pair.v"),
    ) else {
        return;
    };
    let mut body = call.args[2].clone();
    replace(&mut body, key, &k);
    replace(&mut body, value, &v);
    let target = (**target).clone();
    replace(&mut made, "__target", &target);
    replace(&mut made, "__body", &body);
    *expr = made;
}

fn replace(expr: &mut IdedExpr, name: &str, with: &IdedExpr) {
    if matches!(&expr.expr, Expr::Ident(ident) if ident == name) {
        *expr = with.clone();
        return;
    }
    each_child(expr, &mut |child| replace(child, name, with));
}

fn each_child(expr: &mut IdedExpr, act: &mut dyn FnMut(&mut IdedExpr)) {
    match &mut expr.expr {
        Expr::Call(call) => {
            if let Some(target) = &mut call.target {
                act(target);
            }
            call.args.iter_mut().for_each(act);
        }
        Expr::Comprehension(loops) => {
            for child in [
                &mut loops.iter_range,
                &mut loops.accu_init,
                &mut loops.loop_cond,
                &mut loops.loop_step,
                &mut loops.result,
            ] {
                act(child);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(act),
        Expr::Select(select) => act(&mut select.operand),
        Expr::Map(map) => map
            .entries
            .iter_mut()
            .for_each(|entry| each_entry(&mut entry.expr, act)),
        Expr::Struct(made) => made
            .entries
            .iter_mut()
            .for_each(|entry| each_entry(&mut entry.expr, act)),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}

fn each_entry(entry: &mut EntryExpr, act: &mut dyn FnMut(&mut IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => act(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            act(&mut entry.key);
            act(&mut entry.value);
        }
    }
}

/// A word of an expression's text.
#[derive(Debug)]
struct Word<'a> {
    text: &'a str,
    at: usize,
    /// Where its arguments begin, if it is called.
    called_at: Option<usize>,
    after_dot: bool,
}

/// The names in an expression, strings and comments left out.
fn words(text: &str) -> Vec<Word<'_>> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let c = bytes[at];
        if c == b'"' || c == b'\'' {
            at += 1;
            while at < bytes.len() && bytes[at] != c {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c.is_ascii_digit() {
            while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'.') {
                at += 1;
            }
        } else if c.is_ascii_alphabetic() || c == b'_' {
            let start = at;
            while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
                at += 1;
            }
            let before = text[..start].trim_end();
            let after = text[at..].len() - text[at..].trim_start().len() + at;
            out.push(Word {
                text: &text[start..at],
                at: start,
                called_at: (bytes.get(after) == Some(&b'(')).then_some(after),
                after_dot: before.ends_with('.') || before.ends_with(".?"),
            });
        } else {
            at += 1;
        }
    }
    out
}

/// Variables that the macros of an expression declare.
fn macro_variables<'a>(text: &'a str, words: &[Word<'a>]) -> BTreeSet<&'a str> {
    let mut out = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        let Some(open) = word
            .called_at
            .filter(|_| word.after_dot && (MACROS.contains(&word.text) || word.text.starts_with("opt")))
        else {
            continue;
        };
        let mut place = open + 1;
        for next in &words[index + 1..] {
            if text
                .get(place..next.at)
                .is_none_or(|between| !between.trim_matches([' ', ',']).is_empty())
            {
                break;
            }
            let end = next.at + next.text.len();
            if !text[end..].trim_start().starts_with(',') {
                break;
            }
            out.insert(next.text);
            place = end;
        }
    }
    out
}

/// What upstream's compiler says of names that nobody declared; `None` if there are none.
pub(super) fn undeclared(text: &str, variables: &[&str]) -> Option<String> {
    const WORDS: [&str; 4] = ["true", "false", "null", "in"];
    let words = words(text);
    let own = macro_variables(text, &words);
    let functions: BTreeSet<&str> = FUNCTIONS.split_whitespace().collect();
    let mut errors = Vec::new();
    for word in &words {
        let place = match word.called_at {
            Some(open) if !functions.contains(word.text) => open,
            Some(_) => continue,
            None => {
                let declared = word.after_dot
                    || WORDS.contains(&word.text)
                    || variables.contains(&word.text)
                    || TYPES.contains(&word.text)
                    || LIBRARIES.contains(&word.text)
                    || own.contains(word.text);
                if declared {
                    continue;
                }
                word.at
            }
        };
        let column = text[..place].chars().count();
        errors.push(format!(
            "ERROR: <input>:1:{}: undeclared reference to '{}' (in container '')\n | {text}\n | {}^",
            column + 1,
            word.text,
            ".".repeat(column),
        ));
    }
    (!errors.is_empty()).then(|| errors.join("\n"))
}

/// Whether upstream's estimator finds no bound for a rule's cost: texts that `string()` and `join()` make have no
/// known length, so whatever looks at them is too dear. Its other estimates are not made here.
pub(crate) fn cost_has_no_bound(text: &str) -> bool {
    words(text).iter().any(|word| match (word.text, word.called_at) {
        ("join", Some(_)) => word.after_dot,
        ("string", Some(_)) => !word.after_dot,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undeclared_names_are_shown_where_they_stand() {
        assert_eq!(undeclared("self.a.all(x, x > 0) && has(self.b)", &["self"]), None);
        assert_eq!(undeclared("self.l.all(i, v, i >= 0 && v > 0)", &["self"]), None);
        assert_eq!(
            undeclared("nope(1) && zz", &["self"]).unwrap(),
            "ERROR: <input>:1:5: undeclared reference to 'nope' (in container '')\n | nope(1) && zz\n | ....^\nERROR: <input>:1:12: undeclared reference to 'zz' (in container '')\n | nope(1) && zz\n | ...........^"
        );
        assert_eq!(undeclared("'nope(x)' == \"y\\\"z\"", &["self"]), None);
    }

    #[test]
    fn texts_without_a_bound() {
        assert!(cost_has_no_bound("string(5) == '5'") && cost_has_no_bound("self.l.join('-') == ''"));
        assert!(!cost_has_no_bound("type(self.s) == string") && !cost_has_no_bound("self.s == 'join(x)'"));
    }
}
