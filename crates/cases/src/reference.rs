//! The reference of the file format, `docs/case-files.md`.
//!
//! Made from the same tables as the decoders, so that it cannot say what does not hold. Only the prose around the tables is
//! written by hand, here.

use std::fmt::Write as _;

use crate::{
    decode::{FieldInfo, Presence, Shape, StructInfo},
    dialect,
    file::{
        case::Case,
        part::{Container, FileEntry, Part},
        suite::Suite,
    },
    procedure::{Retry, StepOptions},
    vocabulary::VOCABULARY,
};

const INTRODUCTION: &str = r#"# Case files

<!-- Made from the tables of crates/cases by `SEATRIAL_UPDATE_DOCS=1 cargo test -p seatrial-cases reference`; changes here are lost. -->

A case file says what to start, and then the steps:

```yaml
description: The agent answers, and stops when told to
target:
  command: ["{{ build.agent }}", --listen, "127.0.0.1:{{ port.http }}"]
  ports: [http]
procedure:
  - port_listening: http
  - http_check: http://127.0.0.1:{{ port.http }}/health
  - log_contains: ready
  - signal: TERM
  - exits: 0
```

The tests found under one directory are a *suite*; its `seatrial.yaml` holds what they share. `seatrial check` reads all files,
runs nothing, and shows everything that is wrong in one go; `seatrial schema case` and `seatrial schema suite` print JSON Schemas
for editors.

Files are YAML 1.2, with its traps disarmed: a value is what the field wants, whatever it looks like (`0644` is a mode, `8080` is
text in `env`), booleans are `true` and `false` only, a key that is given twice is an error, and so is an unknown one, except keys that start with `x-`,
which are there for anchors. A file holds one case, or several under `cases:`.
"#;

const PLACEHOLDERS: &str = r#"## Placeholders

Wherever a type below ends in `{{ }}`, a text may hold placeholders of [minijinja](https://docs.rs/minijinja), which is Jinja2:
`{{ port.http }}`, `{{ values.size * 2 }}`, `{% if values.tls %}...{% endif %}`. Names are checked before anything starts; one that is not there is an error, never an empty
text. A text of data (a `body`, a value) that is nothing but one placeholder keeps the type of what it names. Braces that are meant literally stand in
`{% raw %}...{% endraw %}`.
"#;

const STEPS: &str = r#"## Steps

A step is a mapping with its name as the key. What stands behind the name is its most important parameter, or a mapping of parameters; more of them, and the options
that every step has, stand beside it or in that mapping:

```yaml
procedure:
  - log_contains: ready
  - log_contains: ready
    stream: stderr
    timeout: 10s
  - log_contains: {pattern: 're.dy', regex: true, count: ">= 2"}
    name: It says so twice
```

The first step that fails ends the test. A waiting step that can no longer come true, because its part has ended, fails at once.
"#;

const OWN_STEPS: &str = r#"### A suite's own steps

A suite can name steps of its own in `steps:` of its `seatrial.yaml`: a procedure with parameters, used like any other step. Steps in it that name no part are about
the part that the step is used for.

```yaml
steps:
  set_level:
    description: Changes the level, and waits until it holds
    parameters:
      level: text
      within: {type: duration, default: 5s}
    short: level
    procedure:
      - http_check: {url: "http://127.0.0.1:{{ port.http }}/level", method: PUT, body: "{{ parameters.level }}"}
      - log_contains: "level is {{ parameters.level }}"
        timeout: "{{ parameters.within }}"
```
"#;

/// The reference as Markdown.
pub fn reference_markdown() -> String {
    let mut page = Page {
        text: INTRODUCTION.to_owned(),
        done: Vec::new(),
        waiting: Vec::new(),
    };
    page.section("The suite: `seatrial.yaml`", Suite::info());
    page.drain();
    page.section("The case", Case::info());
    page.section("Part", Part::info());
    page.section("File", FileEntry::info());
    page.drain();
    page.text.push('\n');
    page.text.push_str(PLACEHOLDERS);
    page.text.push('\n');
    page.text.push_str(&scope_table());
    page.text.push('\n');
    page.text.push_str(STEPS);
    page.section("#Options of every step", StepOptions::info());
    page.section("#Retry", Retry::info());
    for step in VOCABULARY {
        let info = (step.info)();
        page.section(&format!("#`{}`", step.name), info);
        let timeout = match step.timeout {
            Some(timeout) => format!("Its timeout is {timeout} where none is given."),
            None => "It says itself how long it takes; a `timeout` ends it before that.".to_owned(),
        };
        let _ = writeln!(page.text, "\n{timeout}");
        if !step.outputs.is_empty() {
            let outputs: Vec<String> = step
                .outputs
                .iter()
                .map(|(name, meaning)| format!("`{name}` ({meaning})"))
                .collect();
            let _ = writeln!(
                page.text,
                "To save: {}, and JSON paths into the first of these.",
                outputs.join(", ")
            );
        }
    }
    page.text.push_str(
        "\n### `parallel`\n\nA list of steps that run side by side. It fails as soon as one of them does. What one saves is not there for its neighbours.\n\n",
    );
    page.text.push_str(OWN_STEPS);
    page.drain();
    page.text.push_str(&other_harnesses());
    page.section("Container", Container::info());
    page.drain();
    page.text
}

struct Page {
    text: String,
    done: Vec<&'static str>,
    waiting: Vec<fn() -> &'static StructInfo>,
}

impl Page {
    /// A section; one `#` before the title puts it a level deeper.
    fn section(&mut self, title: &str, info: &StructInfo) {
        let (level, title) = match title.strip_prefix('#') {
            Some(title) => ("###", title),
            None => ("##", title),
        };
        if self.done.contains(&info.name) {
            return;
        }
        self.done.push(info.name);
        let _ = write!(self.text, "\n{level} {title}\n\n{}\n", paragraphs(&info.doc));
        if let Some(short) = info.short {
            let _ = write!(self.text, "\nA value that is no mapping is its `{short}`.\n");
        }
        self.text
            .push_str("\n| key | type | default | |\n|---|---|---|---|\n");
        for field in &info.fields {
            self.field(field);
        }
    }

    fn field(&mut self, field: &FieldInfo) {
        let default = match field.presence {
            Presence::Required => "**required**".to_owned(),
            Presence::Optional => String::new(),
            Presence::Default(text) => format!("`{text}`"),
        };
        let mut meaning = field.doc.replace('\n', " ");
        if let Shape::Words(words) = &field.shape {
            let words: Vec<String> = words
                .iter()
                .map(|(word, meaning)| format!("`{word}`: {}", meaning.trim().trim_end_matches('.')))
                .collect();
            let _ = write!(meaning, " {}.", words.join("; "));
        }
        if !field.aliases.is_empty() {
            let aliases: Vec<String> = field.aliases.iter().map(|alias| format!("`{alias}`")).collect();
            let _ = write!(meaning, " Also {}.", aliases.join(", "));
        }
        let shape = self.shape(&field.shape, Number::One);
        let cells =
            [format!("`{}`", field.key), shape, default, meaning].map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }

    fn shape(&mut self, shape: &Shape, number: Number) -> String {
        match shape {
            Shape::Scalar { name, template, .. } => {
                let name = match number {
                    Number::Many if *name != "text" && !name.contains(' ') => format!("{name}s"),
                    _ => (*name).to_owned(),
                };
                if *template {
                    format!("{name} `{{{{ }}}}`")
                } else {
                    name
                }
            }
            Shape::Words(_) => "word".to_owned(),
            Shape::Any => "anything `{{ }}`".to_owned(),
            Shape::List(item) => format!("list of {}", self.shape(item, Number::Many)),
            Shape::Map(value) => format!("names with {}", self.shape(value, Number::One)),
            Shape::OneOf(shapes) => {
                let shapes: Vec<String> = shapes.iter().map(|shape| self.shape(shape, number)).collect();
                shapes.join(", or ")
            }
            Shape::Struct(info) => {
                self.waiting.push(*info);
                let name = info().name;
                format!("[{}](#{})", spaced(name), spaced(name).replace(' ', "-"))
            }
            Shape::Steps => "[steps](#steps)".to_owned(),
        }
    }

    /// The structures that were mentioned and not shown yet.
    fn drain(&mut self) {
        while !self.waiting.is_empty() {
            for info in std::mem::take(&mut self.waiting) {
                let info = info();
                let name = spaced(info.name);
                let title: String = name
                    .chars()
                    .take(1)
                    .flat_map(char::to_uppercase)
                    .chain(name.chars().skip(1))
                    .collect();
                self.section(&format!("#{title}"), info);
            }
        }
    }
}

/// Whether a type's name is said of one value or of several.
#[derive(Clone, Copy)]
enum Number {
    One,
    Many,
}

/// `StepDefinition` as `step definition`.
fn spaced(name: &str) -> String {
    let mut spaced = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            spaced.push(' ');
        }
        spaced.extend(letter.to_lowercase());
    }
    spaced
}

/// Lines of a doc comment as one paragraph each.
fn paragraphs(doc: &str) -> String {
    doc.split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// The table in the documentation of `template`, which is the place where scope is decided.
fn scope_table() -> String {
    include_str!("template.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! |"))
        .fold(String::new(), |mut table, row| {
            let _ = writeln!(table, "|{row}");
            table
        })
}

fn other_harnesses() -> String {
    let unserved: Vec<String> = dialect::UNSERVED.iter().map(|name| format!("`{name}`")).collect();
    let renamed: Vec<String> = VOCABULARY
        .iter()
        .filter(|step| !step.aliases.is_empty())
        .map(|step| {
            let aliases: Vec<String> = step.aliases.iter().map(|alias| format!("`{alias}`")).collect();
            format!("{} is `{}`", aliases.join(", "), step.name)
        })
        .collect();
    format!(
        "\n## Files of other harnesses\n\nCase files of DataDog/saluki (`test/integration/cases/*/config.yaml`) load as they are, in both of their dialects: `procedure:` with steps that are \
         named by `assertion:` or `action:`, and `assertions:` with steps that are named by `type:`. {}. An environment variable `{}X` is a command, run in the target, whose output is the placeholder \
         `{{{{ {}X }}}}`. Their target is a `container:`; `runtimes:` without `linux` or `docker` skip the case.\n\nSteps that only their own target can serve are known by name: {}. A suite that defines a \
         step of that name serves it; else the case is skipped and says which step it was.\n",
        renamed.join("; "),
        dialect::DYNAMIC_PREFIX,
        dialect::DYNAMIC_PREFIX,
        unserved.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SEATRIAL_UPDATE_DOCS=1 cargo test -p seatrial-cases reference` writes the file anew.
    #[test]
    fn the_reference_in_the_repository_is_the_current_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/case-files.md");
        let current = reference_markdown();
        if std::env::var_os("SEATRIAL_UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).unwrap();
            std::fs::write(path, &current).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(
            written == current,
            "docs/case-files.md is out of date: SEATRIAL_UPDATE_DOCS=1 cargo test -p seatrial-cases reference"
        );
    }

    #[test]
    fn every_structure_that_is_linked_has_a_section() {
        let page = reference_markdown();
        let headings: Vec<String> = page
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| {
                line.trim_start_matches('#')
                    .trim()
                    .to_lowercase()
                    .replace(' ', "-")
                    .replace('`', "")
            })
            .collect();
        for link in page.split("](#").skip(1) {
            let target = link.split(')').next().unwrap();
            assert!(
                headings.iter().any(|heading| heading == target),
                "no section for #{target}"
            );
        }
    }
}
