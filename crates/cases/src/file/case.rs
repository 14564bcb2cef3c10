//! A case file as it is written.

use std::{collections::BTreeMap, time::Duration};

use indexmap::IndexMap;

use crate::{
    declare::{declare, words},
    decode::{Decode, Decoder, Located, Raw, RawSteps, Shape},
    file::part::{Container, Files, Part, Ports},
    node::{Node, Value},
    plan::RequirementPlan,
    template::{Data, Templated},
};

declare! {
    /// A case: what to start, then the steps.
    pub(crate) struct Case {
        /// What kind of case.
        kind: CaseType = "procedure" key "type",
        /// Its name, unique in the suite: letters, digits, `.`, `_` and `-`. By default the file's name, or the directory's where the
        /// file is called `config.yaml` or `case.yaml`.
        name: Option<Located<String>> = optional,
        /// What it shows, in a sentence.
        description: Option<String> = optional,
        /// Labels to select it by: a mapping, or a list of labels without values.
        labels: Labels = optional,
        /// How long all of it may take. By default what the suite or the run says.
        timeout: Option<Duration> = optional,
        /// How often it is tried again when it fails; passed after that, it is flaky.
        retries: Option<u32> = optional,
        /// How many slots it takes.
        slots: Option<usize> = optional,
        /// Nothing else runs meanwhile.
        alone: bool = "false",
        /// The test group whose limit it shares.
        test_group: Option<Located<String>> = optional,
        /// What it needs of the machine: `docker`, `root`, `fuse`, `kvm`, or `command: NAME` for a program on the PATH. Where it is not
        /// met, the test is skipped with the reason.
        requires: Vec<Requirement> = optional,
        /// Why it is not run for now. It is skipped with this reason.
        skip: Option<String> = optional,
        /// Where its parts run.
        on: Option<Where> = optional,
        /// The platforms of the harness that the file was written for. Without Linux among them the case is skipped.
        runtimes: Option<Vec<Runtime>> = optional,
        /// The suite's fixtures that it uses.
        uses: Vec<Located<String>> = optional,
        /// Values for placeholders: `{{ values.NAME }}`. They win over the suite's.
        values: IndexMap<String, Data> = optional,
        /// Variants: the case becomes one test for each, called `name/variant`.
        matrix: Option<Matrix> = optional,
        /// Environment variables of the target.
        env: IndexMap<String, Templated<String>> = optional,
        /// Files of the target.
        files: Files = optional,
        /// Ports of the target.
        ports: Ports = optional,
        /// The software under test.
        target: Option<Located<Part>> = optional,
        /// Further parts, by name. One that is called `target` is the target.
        parts: IndexMap<String, Located<Part>> = optional,
        /// The target as a container; for files written for other harnesses.
        container: Option<Located<Container>> = optional,
        /// The mock of a telemetry intake beside the target; for files written for other harnesses.
        intake: Option<Intake> = optional,
        /// The steps, in order. The first that fails ends the test.
        procedure: Option<RawSteps> = optional also "assertions",
        /// Steps that run at the end, whatever happened. All of them run, even when one fails.
        finally: RawSteps = optional,
        /// Steps that run when the test failed, before `finally`: to gather what explains it.
        on_failure: RawSteps = optional,
    }
    check Case::check
}

impl Case {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        if self.alone && self.slots.is_some() {
            decoder.error(
                node.get("alone").map_or(node.span, |node| node.span),
                "`alone` already takes all slots",
            );
        }
        if self.slots == Some(0) {
            decoder.error(
                node.get("slots").map_or(node.span, |node| node.span),
                "a test takes at least one slot",
            );
        }
    }
}

declare! {
    /// Several cases in one file.
    pub(crate) struct CaseList {
        /// The cases. Each has a name.
        cases: Vec<Raw> = required,
    }
}

words! {
    /// What kind of case.
    pub(crate) enum CaseType {
        /// Parts are started, then steps run.
        Procedure = "procedure",
        /// The same, as another harness calls it; its target is a container.
        Integration = "integration",
    }
}

words! {
    /// Where parts run.
    pub(crate) enum Where {
        /// As processes of this machine.
        Process = "process",
        /// In containers.
        Docker = "docker",
    }
}

words! {
    /// A platform of another harness.
    pub(crate) enum Runtime {
        /// Linux in a container.
        Linux = "linux",
        /// The same, by an older name.
        Docker = "docker",
        /// macOS.
        Mac = "mac" | "macos" | "darwin",
        /// Windows.
        Windows = "windows",
    }
}

declare! {
    /// The mock of a telemetry intake.
    pub(crate) struct Intake {
        /// It is started.
        enabled: bool = "false",
    }
}

/// Labels: `{speed: slow}`, or `[smoke]` for labels without values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels(pub(crate) BTreeMap<String, String>);

impl Decode for Labels {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Sequence(_) => {
                let labels = Vec::<String>::decode(node, decoder)?;
                Some(Self(
                    labels
                        .into_iter()
                        .map(|label| match label.split_once('=') {
                            Some((key, value)) => (key.to_owned(), value.to_owned()),
                            None => (label, String::new()),
                        })
                        .collect(),
                ))
            }
            _ => IndexMap::<String, String>::decode(node, decoder)
                .map(|labels| Self(labels.into_iter().collect())),
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Vec::<String>::shape(),
            Shape::Map(Box::new(String::shape())),
        ])
    }
}

/// A requirement: a name, or `command: NAME`.
#[derive(Clone, Debug)]
pub(crate) struct Requirement(pub(crate) RequirementPlan);

declare! {
    /// A requirement that takes a name.
    struct NamedRequirement {
        /// A program on the PATH.
        command: String = required,
    }
}

impl Decode for Requirement {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        if matches!(node.value, Value::Mapping(_)) {
            return NamedRequirement::decode(node, decoder)
                .map(|named| Self(RequirementPlan::Command(named.command)));
        }
        let text = String::decode(node, decoder)?;
        match text.split_once(':') {
            Some(("command", program)) => Some(Self(RequirementPlan::Command(program.trim().to_owned()))),
            Some(_) => {
                decoder.error(
                    node.span,
                    format!("`{text}` is no requirement; write a name, or `command: NAME`"),
                );
                None
            }
            None => Some(Self(RequirementPlan::Named(text))),
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![String::shape(), NamedRequirement::shape()])
    }
}

declare! {
    /// One variant of a matrix.
    pub(crate) struct Variant {
        /// Its name: letters, digits, `.`, `_` and `-`.
        name: Located<String> = required,
        /// Its description, instead of the case's.
        description: Option<String> = optional,
        /// Values; they win over the case's.
        values: IndexMap<String, Data> = optional,
        /// More environment variables of the target.
        env: IndexMap<String, Templated<String>> = optional also "additional_env_vars",
        /// More labels.
        labels: Labels = optional,
        /// More of what it needs.
        requires: Vec<Requirement> = optional,
        /// Why it is not run for now.
        skip: Option<String> = optional,
    }
}

declare! {
    /// The list of variants.
    struct VariantList {
        /// The variants.
        variants: Vec<Variant> = required,
    }
}

/// Variants as a list, or as axes whose values are combined: `{protocol: [udp, unix], size: [1, 100]}`.
#[derive(Clone, Debug)]
pub(crate) enum Matrix {
    /// One by one.
    Variants(Vec<Variant>),
    /// Every combination. `values.AXIS` is the value; variants are called by their values, joined by `-`.
    Axes(Vec<(String, Vec<Located<Data>>)>),
}

impl Decode for Matrix {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            return Vec::<Variant>::decode(node, decoder).map(Self::Variants);
        };
        if node.get("variants").is_some() {
            return VariantList::decode(node, decoder).map(|list| Self::Variants(list.variants));
        }
        let axes: Vec<Option<(String, Vec<Located<Data>>)>> = entries
            .iter()
            .map(|entry| {
                let values = Vec::<Located<Data>>::decode(&entry.node, decoder)?;
                if values.is_empty() {
                    decoder.error(entry.node.span, format!("the axis `{}` has no values", entry.key));
                }
                for value in &values {
                    if !matches!(&value.value, Data::Plain(value) if !value.is_null()) {
                        decoder.error(
                            value.origin.span,
                            "a value of an axis is one word; for more, list the variants",
                        );
                    }
                }
                Some((entry.key.to_string(), values))
            })
            .collect();
        axes.into_iter().collect::<Option<_>>().map(Self::Axes)
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Vec::<Variant>::shape(),
            Shape::Map(Box::new(Shape::List(Box::new(Shape::Any)))),
            VariantList::shape(),
        ])
    }
}
