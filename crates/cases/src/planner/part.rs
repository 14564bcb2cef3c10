//! Parts of a test or a fixture: merged with what the suite says by default, put in the order in which they start.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;

use crate::{
    declare::default_of,
    decode::{Decoder, Located, suggestion},
    dialect,
    file::{
        part::{Container, FileEntry, Isolation, Part},
        suite::Defaults,
    },
    node::Node,
    plan::{ContainerPlan, Dependency, FileContent, FilePlan, PartPlan, PortPlan},
    scalar::{ByteSize, Signal},
    source::{Origin, SourceFile, Span},
    template::{Data, Names, Templated},
};

/// A part that is being put together.
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) origin: Origin,
    pub(crate) container: Option<ContainerPlan>,
    /// Where in the test's file it is written: templates in there are about this part.
    pub(crate) spans: Vec<Span>,
}

impl Draft {
    pub(crate) fn new(name: &str, part: Located<Part>) -> Self {
        let container = part.value.image.is_some() || part.value.entrypoint.is_some();
        let container = container.then(|| ContainerPlan {
            image: part.value.image.clone(),
            entrypoint: part.value.entrypoint.clone(),
            ..ContainerPlan::default()
        });
        Self {
            name: name.to_owned(),
            spans: vec![part.origin.span],
            origin: part.origin,
            part: part.value,
            container,
        }
    }

    /// A target that another harness describes as a container.
    pub(crate) fn of_container(container: Located<Container>, decoder: &mut Decoder) -> Self {
        let origin = container.origin.clone();
        let Container {
            image,
            entrypoint,
            command,
            env,
            files,
            exposed_ports,
            unconfined_seccomp,
            host_cgroup_namespace,
        } = container.value;
        let plan = ContainerPlan {
            image,
            entrypoint,
            unconfined_seccomp,
            host_cgroup_namespace,
        };
        let mut part = empty(decoder);
        part.command = command;
        part.env = env;
        part.files = files;
        part.ports = exposed_ports;
        Self {
            name: "target".into(),
            part,
            spans: vec![origin.span],
            origin,
            container: Some(plan),
        }
    }

    /// Lays this part over the suite's default one: what it gives wins, `env`, `files` and `ports` add up.
    pub(crate) fn over(mut self, base: &Part) -> Self {
        let part = &mut self.part;
        part.command = part.command.take().or_else(|| base.command.clone());
        part.working_dir = part.working_dir.take().or_else(|| base.working_dir.clone());
        part.stop_signal = part.stop_signal.or(base.stop_signal);
        part.grace = part.grace.or(base.grace);
        part.log_limit = part.log_limit.or(base.log_limit);
        part.isolate = part.isolate.or(base.isolate);
        part.ready = part.ready.take().or_else(|| base.ready.clone());
        part.image = part.image.take().or_else(|| base.image.clone());
        part.entrypoint = part.entrypoint.take().or_else(|| base.entrypoint.clone());
        if part.depends_on.0.is_empty() {
            part.depends_on.clone_from(&base.depends_on);
        }
        part.env = merged(&base.env, &part.env);
        let mut ports = base.ports.0.clone();
        ports.extend(part.ports.0.drain(..));
        part.ports.0 = ports;
        let mut files = base.files.0.clone();
        files.append(&mut part.files.0);
        part.files.0 = files;
        part.inherit_env = base
            .inherit_env
            .iter()
            .chain(&part.inherit_env)
            .cloned()
            .collect();
        self
    }

    /// The steps after which it is ready.
    pub(crate) fn ready(&self) -> &[Node] {
        self.part.ready.as_ref().map_or(&[], |steps| &steps.0)
    }
}

/// A part that says nothing.
pub(crate) fn empty(decoder: &Decoder) -> Part {
    let mut scratch = Decoder::new(decoder.file().clone());
    let nothing = Node {
        span: Span::default(),
        value: crate::node::Value::Mapping(std::sync::Arc::default()),
    };
    // An empty mapping decodes: nothing of a part is required.
    match <Part as crate::decode::Decode>::decode(&nothing, &mut scratch) {
        Some(part) => part,
        None => unreachable!("no field of a part is required"),
    }
}

fn merged(
    base: &IndexMap<String, Templated<String>>,
    over: &IndexMap<String, Templated<String>>,
) -> IndexMap<String, Templated<String>> {
    let mut all = base.clone();
    all.extend(over.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}

/// Parts in the order in which they start: each behind those that it depends on, else as in the file.
pub(crate) fn in_start_order(mut drafts: Vec<Draft>, decoder: &mut Decoder) -> Vec<Draft> {
    let names: BTreeSet<String> = drafts.iter().map(|draft| draft.name.clone()).collect();
    for draft in &drafts {
        for (dependency, _) in &draft.part.depends_on.0 {
            if dependency.value == draft.name {
                decoder.error(
                    dependency.origin.span,
                    format!("`{}` depends on itself", draft.name),
                );
            } else if !names.contains(&dependency.value) {
                decoder
                    .error(
                        dependency.origin.span,
                        format!("there is no part `{}`", dependency.value),
                    )
                    .help = Some(suggestion(&dependency.value, names.iter().map(String::as_str)));
            }
        }
    }
    let mut ordered: Vec<Draft> = Vec::with_capacity(drafts.len());
    while !drafts.is_empty() {
        let ready = drafts.iter().position(|draft| {
            draft.part.depends_on.0.iter().all(|(dependency, _)| {
                dependency.value == draft.name || drafts.iter().all(|other| other.name != dependency.value)
            })
        });
        match ready {
            Some(at) => ordered.push(drafts.remove(at)),
            None => {
                let circle: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
                let message = format!("the parts {} depend on each other in a circle", circle.join(", "));
                decoder.error(drafts[0].origin.span, message);
                ordered.append(&mut drafts);
            }
        }
    }
    ordered
}

/// A part's plan, but for its `ready:`, which needs all parts to be known.
pub(crate) fn plan(
    draft: &Draft,
    defaults: Option<&Defaults>,
    missing: Missing,
    decoder: &mut Decoder,
) -> PartPlan {
    let info = Part::info();
    let part = &draft.part;
    let mut env = match defaults {
        Some(defaults) => merged(&defaults.env, &part.env),
        None => part.env.clone(),
    };
    let mut dynamic = IndexMap::new();
    env.retain(|name, value| {
        let is_dynamic = name.starts_with(dialect::DYNAMIC_PREFIX);
        if is_dynamic {
            match value.as_literal() {
                Some(command) => {
                    dynamic.insert(name.clone(), command.clone());
                }
                None => {
                    decoder.error(
                        value.origin.span,
                        "the command of a dynamic variable has no placeholders",
                    );
                }
            }
        }
        !is_dynamic
    });
    for value in env.values().chain(part.working_dir.iter()) {
        if value.as_literal().is_some_and(|text| text.contains('\0')) {
            decoder.error(value.origin.span, "a NUL byte, which no process can be given");
        }
    }
    let mut inherit_env: Vec<String> = defaults
        .into_iter()
        .flat_map(|defaults| &defaults.inherit_env)
        .chain(&part.inherit_env)
        .cloned()
        .collect();
    inherit_env.dedup();
    let files = part
        .files
        .0
        .iter()
        .filter_map(|(path, entry)| file(path, entry, missing, decoder))
        .collect();
    PartPlan {
        name: draft.name.clone(),
        origin: draft.origin.clone(),
        command: part.command.clone(),
        env,
        inherit_env,
        files,
        ports: part
            .ports
            .0
            .iter()
            .map(|(name, port)| {
                (
                    name.clone(),
                    PortPlan {
                        protocol: port.protocol,
                        number: port.number,
                    },
                )
            })
            .collect(),
        working_dir: part.working_dir.clone(),
        stop_signal: part
            .stop_signal
            .or_else(|| default_of(info, "stop_signal"))
            .unwrap_or(Signal(15)),
        grace: part
            .grace
            .or_else(|| defaults?.grace)
            .or_else(|| default_of(info, "grace"))
            .unwrap_or_default(),
        log_limit: part
            .log_limit
            .or_else(|| defaults?.log_limit)
            .or_else(|| default_of(info, "log_limit"))
            .unwrap_or(ByteSize(u64::MAX)),
        isolate_network: part.isolate == Some(Isolation::Network),
        depends_on: part
            .depends_on
            .0
            .iter()
            .map(|(dependency, condition)| Dependency {
                part: dependency.value.clone(),
                condition: *condition,
            })
            .collect(),
        ready: Vec::new(),
        dynamic,
        container: draft.container.clone(),
    }
}

/// What to do about a source file that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is an error.
    Refused,
    /// The test is not going to run.
    Ignored,
}

fn file(
    path: &Templated<String>,
    entry: &FileEntry,
    missing: Missing,
    decoder: &mut Decoder,
) -> Option<FilePlan> {
    let content = match (&entry.content, &entry.source) {
        (_, Some(source)) => {
            let from = absolute(source.origin.file.directory()).join(&source.value);
            if missing == Missing::Refused && !from.exists() {
                decoder
                    .error_at(&source.origin, format!("there is no file `{}`", source.value))
                    .help = Some(format!("looked for {}", from.display()));
                return None;
            }
            if entry.template {
                check_rendered(&from, source, decoder);
                FileContent::Render(from)
            } else {
                FileContent::Copy(from)
            }
        }
        (Some(Data::Plain(serde_json::Value::String(text))), None) => {
            FileContent::Inline(Templated::literal(text.clone(), path.origin.clone()))
        }
        (Some(Data::Template(text)), None) => FileContent::Inline(text.clone()),
        (Some(data), None) => FileContent::Json(data.clone()),
        (None, None) => return None,
    };
    Some(FilePlan {
        path: path.clone(),
        content,
        mode: entry.mode,
    })
}

/// A file that is rendered: its templates are checked like those of the case file.
fn check_rendered(from: &Path, source: &Located<String>, decoder: &mut Decoder) {
    let text = match std::fs::read_to_string(from) {
        Ok(text) => text,
        Err(error) => {
            decoder.error_at(
                &source.origin,
                format!("`{}` cannot be read as text: {error}", source.value),
            );
            return;
        }
    };
    let span = Span::from(0..text.len());
    let node = Node {
        span,
        value: crate::node::Value::Scalar {
            text: text.as_str().into(),
            plain: false,
        },
    };
    let mut rendered = Decoder::new(SourceFile::new(from, text));
    let _ = <Templated<String> as crate::decode::Decode>::decode(&node, &mut rendered);
    let templates = rendered.take_templates();
    decoder.see_again(templates);
    decoder.extend(rendered.finish());
}

/// What templates can say of parts: `part.NAME...`, and the dynamic variables.
pub(crate) fn declare_names(drafts: &[Draft], names: &mut Names) {
    names.declare_mapping("part");
    for draft in drafts {
        for member in ["name", "host", "dir"] {
            names.declare(&["part", &draft.name, member]);
        }
        names.declare_mapping_at(&["part", &draft.name, "port"]);
        for port in draft.part.ports.0.keys() {
            names.declare(&["part", &draft.name, "port", port]);
        }
        for variable in draft
            .part
            .env
            .keys()
            .filter(|name| name.starts_with(dialect::DYNAMIC_PREFIX))
        {
            names.declare(&[variable]);
        }
    }
}

/// A path that does not depend on the working directory any more; symbolic links stay.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
