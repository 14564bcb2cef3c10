//! What the steps of one attempt act on: an isolation group, the parts in it, and the names that templates can use.
//!
//! Steps of a parallel block share a world, so all of it is behind `&self`; each step takes a copy of the names, with
//! those that mean something else for every part (`port`, `dir`) and for every defined step (`parameters`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use indexmap::IndexMap;
use seatrial_environment::{IsolationGroup, Part, Stream};
use serde_json::{Map, Value as Json, json};

use super::Stage;
use crate::{
    plan::{PartPlan, PartReference},
    step::Fault,
    template::{Data, Scope},
};

/// How parts reach each other.
const HOST: &str = "127.0.0.1";

/// What the steps of one attempt act on.
pub(crate) struct World<'p> {
    pub(super) stage: Stage,
    pub(super) group: IsolationGroup,
    pub(super) plans: &'p [PartPlan],
    /// The directory of the case file.
    pub(super) dir: &'p Path,
    target: usize,
    parts: Vec<OnceLock<Part>>,
    ports: Vec<BTreeMap<String, u16>>,
    /// Where the logs of each part stood when it was last started.
    log_starts: Mutex<Vec<[u64; 2]>>,
    scope: Mutex<Scope>,
    /// Ports of fixtures.
    foreign_ports: Vec<u16>,
}

/// Where a step stands: what its names mean there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame {
    /// The part that steps are about where they do not say; without one, the target.
    pub(crate) part: Option<usize>,
    /// `parameters`, in a step that the suite defines.
    pub(crate) parameters: Option<Json>,
}

impl<'p> World<'p> {
    /// A world in which nothing runs yet. `scope` has the names that do not depend on the parts.
    ///
    /// # Errors
    ///
    /// When there is no free port, or a value cannot be rendered.
    pub(crate) fn new(
        stage: Stage,
        group: IsolationGroup,
        plans: &'p [PartPlan],
        target: usize,
        dir: &'p Path,
        mut scope: Scope,
        values: &IndexMap<String, Data>,
    ) -> Result<Self, Fault> {
        let mut ports = Vec::new();
        for plan in plans {
            let mut numbers = BTreeMap::new();
            for (name, port) in &plan.ports {
                let number = match port.number {
                    Some(number) => number,
                    None => group
                        .claim_port()
                        .map_err(|error| Fault::errored(format!("no port is free: {error}")))?,
                };
                numbers.insert(name.clone(), number);
            }
            let dir = group.working_dir(&plan.name, None).display().to_string();
            let own = json!({"name": plan.name, "host": HOST, "dir": dir, "port": numbers});
            scope.set(&["part", &plan.name], own);
            ports.push(numbers);
        }
        let foreign_ports = scope.get(&["fixture"]).map(ports_in).unwrap_or_default();
        // Values are about the target, as steps are where they do not say.
        let of_target = ["port", "dir"].map(|name| {
            let value = plans
                .get(target)
                .and_then(|plan| scope.get(&["part", &plan.name, name]));
            (name, value.cloned())
        });
        for (name, value) in of_target.clone() {
            if let Some(value) = value {
                scope.set(&[name], value);
            }
        }
        for (name, value) in values {
            let value = value.render(&scope)?;
            scope.set(&["values", name], value);
        }
        for (name, _) in of_target {
            scope.remove(name);
        }
        // A chosen directory may be named with the help of values, and of other parts.
        for plan in plans {
            if let Some(chosen) = &plan.working_dir {
                let chosen = chosen.render(&scope)?;
                let dir = group.working_dir(&plan.name, Some(Path::new(&chosen)));
                scope.set(&["part", &plan.name, "dir"], dir.display().to_string());
            }
        }
        Ok(Self {
            stage,
            group,
            plans,
            dir,
            target,
            parts: plans.iter().map(|_| OnceLock::new()).collect(),
            ports,
            log_starts: Mutex::new(vec![[0; 2]; plans.len()]),
            scope: Mutex::new(scope),
            foreign_ports,
        })
    }

    /// The index of the part that a step is about.
    pub(super) fn part_index(&self, reference: &PartReference, frame: &Frame) -> Result<usize, Fault> {
        let found = match reference {
            PartReference::Default => Some(frame.part.unwrap_or(self.target)),
            PartReference::Named(name) => self.plans.iter().position(|plan| plan.name == *name),
        };
        found
            .filter(|index| *index < self.plans.len())
            .ok_or_else(|| Fault::errored("this step is about a part, and the test has none"))
    }

    /// The part that steps are about where they do not say.
    pub(super) fn default_part(&self) -> Option<usize> {
        Some(self.target).filter(|index| *index < self.plans.len())
    }

    /// The part, once it has been started.
    pub(super) fn part(&self, index: usize) -> Option<&Part> {
        self.parts.get(index)?.get()
    }

    /// Says that a part has been started.
    pub(super) fn started(&self, index: usize, part: Part) {
        // A part is started once; a restart is the same part.
        let _ = self.parts[index].set(part);
    }

    /// Every part that has been started.
    pub(crate) fn started_parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter_map(OnceLock::get)
    }

    /// All ports, each with the part that has it.
    pub(super) fn ports(&self) -> Vec<(u16, Option<&Part>)> {
        let own = self
            .ports
            .iter()
            .zip(&self.parts)
            .flat_map(|(ports, part)| ports.values().map(move |number| (*number, part.get())));
        own.chain(self.foreign_ports.iter().map(|number| (*number, None)))
            .collect()
    }

    /// Where a part's logs stood when it was last started.
    pub(super) fn log_start(&self, index: usize) -> [u64; 2] {
        lock(&self.log_starts)[index]
    }

    /// Notes that a part is about to be started again.
    pub(super) fn will_restart(&self, index: usize) {
        let Some(part) = self.part(index) else { return };
        let stands = Stream::BOTH.map(|stream| part.logs().bytes(stream).unwrap_or(0));
        lock(&self.log_starts)[index] = stands;
    }

    /// Sets a name for all that comes after.
    pub(super) fn define(&self, path: &[&str], value: impl Into<Json>) {
        lock(&self.scope).set(path, value);
    }

    /// The names as they mean something for a part; without one, for no part.
    pub(crate) fn scope(&self, part: Option<usize>, frame: &Frame) -> Scope {
        let mut scope = lock(&self.scope).clone();
        let of_part = part
            .and_then(|index| scope.get(&["part", &self.plans[index].name]))
            .cloned();
        if let Some(Json::Object(mut own)) = of_part {
            for name in ["port", "dir"] {
                scope.set(&[name], own.remove(name).unwrap_or_default());
            }
        }
        if let Some(parameters) = &frame.parameters {
            scope.set(&["parameters"], parameters.clone());
        }
        scope
    }

    /// What others see of it as a fixture, besides its outputs: `port.NAME` of an only part, `part.NAME...` of all.
    pub(crate) fn as_fixture(&self) -> Map<String, Json> {
        let scope = lock(&self.scope);
        let mut seen = Map::new();
        if let Some(Json::Object(parts)) = scope.get(&["part"]) {
            if let Some(Json::Object(only)) = parts.values().next().filter(|_| parts.len() == 1) {
                seen = only.clone();
            }
            seen.insert("part".to_owned(), Json::Object(parts.clone()));
        }
        seen
    }

    /// How to look at what is running, a line each.
    pub(crate) fn look(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (part, ports) in self
            .parts
            .iter()
            .zip(&self.ports)
            .filter_map(|(part, ports)| Some((part.get()?, ports)))
        {
            let state = match part.try_status() {
                Some(status) => status.to_string(),
                None => format!("running, process {}", part.main_pid()),
            };
            let ports: String = ports
                .iter()
                .map(|(name, number)| format!(", port {name} {number}"))
                .collect();
            lines.push(format!("{}: {state}{ports}", part.name()));
            lines.push(format!("  cd {}", part.working_dir().display()));
            lines.push(format!(
                "  tail -F {}",
                part.logs().path(Stream::Stdout).display()
            ));
        }
        lines
    }
}

/// All numbers under a `port` in what fixtures give.
fn ports_in(value: &Json) -> Vec<u16> {
    let Json::Object(map) = value else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in map {
        match value {
            Json::Object(ports) if name == "port" => {
                found.extend(
                    ports
                        .values()
                        .filter_map(Json::as_u64)
                        .filter_map(|number| u16::try_from(number).ok()),
                );
            }
            other => found.extend(ports_in(other)),
        }
    }
    found
}

/// A lock whose holder panicked still guards whole data: every critical section is one assignment or copy.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
