//! A part as it is written: what to start, with which environment, files and ports.

use std::time::Duration;

use indexmap::IndexMap;

use crate::{
    declare::{declare, words},
    decode::{Decode, Decoder, Located, RawSteps, Scalar, Shape},
    node::{Node, Value},
    plan::DependencyCondition,
    scalar::{ByteSize, FileMode, Signal},
    template::{Data, Templated},
    vocabulary::{Command, Protocol},
};

declare! {
    /// A part: a process that is started for the test, in a session and a working directory of its own, with a clean environment
    /// (`PATH`, `HOME`, `TMPDIR`, `LANG`), and ended with all its children when the test is over.
    pub(crate) struct Part short command {
        /// What to run. Text is run by `sh -c`; a list is run as it is, which spares a process and all quoting.
        command: Option<Command> = optional,
        /// Its environment variables.
        env: IndexMap<String, Templated<String>> = optional,
        /// Variables of seatrial's own environment that it gets too.
        inherit_env: Vec<String> = optional,
        /// Files that are there when it starts.
        files: Files = optional,
        /// Its ports. Free ones are found; they reach it by `env` or `command`, as `{{ port.NAME }}`.
        ports: Ports = optional,
        /// Its working directory. By default a fresh one.
        working_dir: Option<Templated<String>> = optional also "cwd" | "workdir",
        /// The signal that stops it.
        stop_signal: Option<Signal> = ("TERM"),
        /// How long it may take to stop, before it is killed.
        grace: Option<Duration> = ("10s") also "stop_timeout",
        /// More log than this ends it: a runaway must not fill the disk.
        log_limit: Option<ByteSize> = ("1GiB"),
        /// `network`: a network of its own, shared by the test's parts, so that fixed ports cannot clash.
        isolate: Option<Isolation> = optional,
        /// The parts that it waits for before it starts: names, or names with a condition.
        depends_on: Dependencies = optional,
        /// Steps that hold once it is ready. Parts that depend on it, and the procedure, wait for them.
        ready: Option<RawSteps> = optional,
        /// The image, where the test runs in containers.
        image: Option<Templated<String>> = optional,
        /// Instead of the image's entrypoint.
        entrypoint: Option<Vec<Templated<String>>> = optional,
    }
}

words! {
    /// What a part has of its own.
    pub(crate) enum Isolation {
        /// The network.
        Network = "network",
    }
}

declare! {
    /// A file that is there when its part starts.
    pub(crate) struct FileEntry {
        /// What is in it: text as it is, anything else as JSON.
        content: Option<Data> = optional,
        /// A file or directory to copy instead, relative to the case file.
        source: Option<Located<String>> = optional,
        /// Placeholders in the `source` are rendered.
        template: bool = "false",
        /// Its mode, in octal.
        mode: Option<FileMode> = optional,
    }
    check FileEntry::check
}

impl FileEntry {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        if self.content.is_some() == self.source.is_some() {
            decoder.error(
                node.span,
                "exactly one of `content` and `source` says what is in a file",
            );
        }
        if self.template && self.source.is_none() {
            decoder.error(
                node.span,
                "`template` without a `source`; `content` is rendered anyway",
            );
        }
    }
}

/// Files by path, or the list `["source:path"]` that container tools use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(pub(crate) Vec<(Templated<String>, FileEntry)>);

impl Decode for Files {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Mapping(entries) => {
                let files: Vec<Option<_>> = entries
                    .iter()
                    .map(|entry| {
                        let key = Node {
                            span: entry.key_span,
                            value: Value::Scalar {
                                text: entry.key.clone(),
                                plain: false,
                            },
                        };
                        let path = Templated::decode(&key, decoder);
                        let file = match &entry.node.value {
                            Value::Scalar { .. } => {
                                Data::decode(&entry.node, decoder).map(|content| FileEntry {
                                    content: Some(content),
                                    source: None,
                                    template: false,
                                    mode: None,
                                })
                            }
                            _ => FileEntry::decode(&entry.node, decoder),
                        };
                        Some((path?, file?))
                    })
                    .collect();
                files.into_iter().collect::<Option<_>>().map(Self)
            }
            Value::Sequence(items) => {
                let files: Vec<Option<_>> = items
                    .iter()
                    .map(|item| {
                        let text = String::decode(item, decoder)?;
                        let Some((source, path)) = text
                            .split_once(':')
                            .filter(|(source, path)| !source.is_empty() && !path.is_empty())
                        else {
                            decoder.error(item.span, format!("`{text}` is not of the form `source:path`"));
                            return None;
                        };
                        // A third field is the mount option of container tools; files are copied here.
                        let path = path.split_once(':').map_or(path, |(path, _)| path);
                        let origin = decoder.origin(item.span);
                        let source = Located {
                            value: source.to_owned(),
                            origin: origin.clone(),
                        };
                        let entry = FileEntry {
                            content: None,
                            source: Some(source),
                            template: false,
                            mode: None,
                        };
                        Some((Templated::literal(path.to_owned(), origin), entry))
                    })
                    .collect();
                files.into_iter().collect::<Option<_>>().map(Self)
            }
            Value::Scalar { .. } => {
                decoder.wrong_type(node, "mapping of paths");
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Shape::Map(Box::new(Shape::OneOf(vec![
                Templated::<String>::shape(),
                FileEntry::shape(),
            ]))),
            Vec::<String>::shape(),
        ])
    }
}

/// What a port is: `tcp`, `udp`, `8125/udp`, `8080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortEntry {
    /// The protocol.
    pub(crate) protocol: Protocol,
    /// A fixed number; else a free one is found.
    pub(crate) number: Option<u16>,
}

impl Scalar for PortEntry {
    const NAME: &'static str = "port";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is no port; write `tcp`, `udp`, or with a fixed number `8125/udp`".to_owned();
        let (number, protocol) = match text.split_once('/') {
            Some((number, protocol)) => (Some(number), protocol),
            None if text.starts_with(|first: char| first.is_ascii_digit()) => (Some(text), "tcp"),
            None => (None, text),
        };
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(wrong()),
        };
        let number = match number.map(str::parse::<u16>) {
            None => None,
            Some(Ok(number @ 1..)) => Some(number),
            Some(_) => return Err(wrong()),
        };
        Ok(Self { protocol, number })
    }

    fn json_schema() -> serde_json::Value {
        serde_json::json!({"type": ["string", "integer"], "examples": ["tcp", "udp", "8125/udp"]})
    }
}

/// Ports by name, or a list: `[http, statsd/udp]`, and `["8125/udp"]` as container tools write it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports(pub(crate) IndexMap<String, PortEntry>);

impl Decode for Ports {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        let mut ports = IndexMap::new();
        match &node.value {
            Value::Mapping(entries) => {
                for entry in entries.iter() {
                    let port = if entry.node.is_null() {
                        Some(PortEntry {
                            protocol: Protocol::Tcp,
                            number: None,
                        })
                    } else {
                        PortEntry::decode(&entry.node, decoder)
                    };
                    // A port that is wrong is still there by name: what refers to it is right.
                    let port = port.unwrap_or(PortEntry {
                        protocol: Protocol::Tcp,
                        number: None,
                    });
                    ports.insert(entry.key.to_string(), port);
                }
            }
            Value::Sequence(items) => {
                for item in items.iter() {
                    let Some(text) = String::decode(item, decoder) else {
                        continue;
                    };
                    let (name, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
                    let numbered = name.parse::<u16>().is_ok();
                    let Ok(port) = PortEntry::parse(if numbered { &text } else { protocol }) else {
                        decoder.error(
                            item.span,
                            format!("`{text}` is no port; write `NAME`, `NAME/udp` or `8125/udp`"),
                        );
                        continue;
                    };
                    if ports.insert(name.to_owned(), port).is_some() {
                        decoder.error(item.span, format!("the port `{name}` is given twice"));
                    }
                }
            }
            Value::Scalar { .. } => {
                decoder.wrong_type(node, "list of ports");
                return None;
            }
        }
        Some(Self(ports))
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Vec::<String>::shape(),
            Shape::Map(Box::new(PortEntry::shape())),
        ])
    }
}

impl Decode for DependencyCondition {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        ConditionWord::decode(node, decoder).map(|word| match word {
            ConditionWord::Started => Self::Started,
            ConditionWord::Ready => Self::Ready,
            ConditionWord::Completed => Self::Completed,
        })
    }

    fn shape() -> Shape {
        ConditionWord::shape()
    }
}

words! {
    /// What has to be true of a part that another waits for.
    enum ConditionWord {
        /// It has been started.
        Started = "started",
        /// Its `ready:` holds.
        Ready = "ready" | "healthy",
        /// It has ended with code 0.
        Completed = "completed" | "exited_ok",
    }
}

/// The parts that a part waits for: a list of names (until they are ready), or names with conditions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dependencies(pub(crate) Vec<(Located<String>, DependencyCondition)>);

impl Decode for Dependencies {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Mapping(entries) => {
                let dependencies: Vec<Option<_>> = entries
                    .iter()
                    .map(|entry| {
                        let part = Located {
                            value: entry.key.to_string(),
                            origin: decoder.origin(entry.key_span),
                        };
                        Some((part, DependencyCondition::decode(&entry.node, decoder)?))
                    })
                    .collect();
                dependencies.into_iter().collect::<Option<_>>().map(Self)
            }
            _ => {
                let parts = Vec::<Located<String>>::decode(node, decoder)?;
                Some(Self(
                    parts
                        .into_iter()
                        .map(|part| (part, DependencyCondition::Ready))
                        .collect(),
                ))
            }
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Vec::<String>::shape(),
            Shape::Map(Box::new(DependencyCondition::shape())),
        ])
    }
}

declare! {
    /// A container, as the case files of other harnesses describe the target.
    pub(crate) struct Container {
        /// The image.
        image: Option<Templated<String>> = optional,
        /// Instead of the image's entrypoint.
        entrypoint: Option<Vec<Templated<String>>> = optional,
        /// Instead of the image's command.
        command: Option<Command> = optional,
        /// Its environment variables.
        env: IndexMap<String, Templated<String>> = optional,
        /// Files: `source:path`.
        files: Files = optional,
        /// Ports that others reach: `8125/udp`.
        exposed_ports: Ports = optional,
        /// Without the default seccomp profile.
        unconfined_seccomp: bool = "false",
        /// In the host's cgroup namespace.
        host_cgroup_namespace: bool = "false",
    }
}
