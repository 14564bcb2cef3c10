//! The tests that there are, before any selection, and what their suites say about running them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use seatrial_cases::plan::{ProfilePlan, SecretPlan, Suite};
use seatrial_engine::{Diagnostic, Severity, Test, TestSpec};

use crate::stop::Stop;

/// The tests that there are.
#[derive(Default)]
pub(crate) struct Catalog {
    /// Those of the binary first, then those of the files, each in their order.
    pub(crate) tests: Vec<Arc<dyn Test>>,
    /// What the files say about running them.
    pub(crate) suites: Vec<Suite>,
    /// What is odd in the files, but no reason to refuse them.
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Catalog {
    /// Reads the files under `paths` and puts their tests behind those of the binary.
    ///
    /// # Errors
    /// All that is wrong with the files.
    pub(crate) fn load(
        own: Vec<Arc<dyn Test>>,
        paths: &[PathBuf],
        profile: Option<&str>,
    ) -> Result<Self, Stop> {
        let mut catalog = Self {
            tests: own,
            ..Self::default()
        };
        if !paths.is_empty() {
            let (suites, found) = read(paths)?;
            catalog.tests.extend(seatrial_cases::run::tests(&suites, profile));
            catalog.suites = suites;
            catalog.warnings = found;
        }
        catalog.refuse_duplicates()?;
        Ok(catalog)
    }

    /// What is known of each test.
    pub(crate) fn specs(&self) -> Vec<&TestSpec> {
        self.tests.iter().map(|test| test.spec()).collect()
    }

    /// The profile of this name, put together from all suites that have it; where two say something different,
    /// the first counts.
    ///
    /// # Errors
    /// When no suite has one.
    pub(crate) fn profile(&self, name: Option<&str>) -> Result<ProfilePlan, Stop> {
        let Some(name) = name else {
            return Ok(ProfilePlan::default());
        };
        let mut merged: Option<ProfilePlan> = None;
        for found in self.suites.iter().filter_map(|suite| suite.profiles.get(name)) {
            match &mut merged {
                None => merged = Some(found.clone()),
                Some(merged) => fill(merged, found),
            }
        }
        merged.ok_or_else(|| {
            let known: BTreeSet<&str> = self
                .suites
                .iter()
                .flat_map(|suite| suite.profiles.keys().map(String::as_str))
                .collect();
            let help = if known.is_empty() {
                "no seatrial.yaml here has `profiles:`".to_owned()
            } else {
                format!("there are {}", Vec::from_iter(known).join(", "))
            };
            Stop::wrong(format!("there is no profile `{name}`"), Some(help))
        })
    }

    /// How many tests of each test group run at the same time; the smallest limit where suites differ.
    pub(crate) fn test_groups(&self) -> BTreeMap<String, usize> {
        let mut limits = BTreeMap::new();
        for (group, limit) in self.suites.iter().flat_map(|suite| &suite.test_groups) {
            limits
                .entry(group.clone())
                .and_modify(|known: &mut usize| *known = (*known).min(*limit))
                .or_insert(*limit);
        }
        limits
    }

    /// The secrets of all suites, and what keeps one from being read.
    pub(crate) fn secrets(&self) -> (BTreeSet<String>, Vec<Diagnostic>) {
        let mut secrets = BTreeSet::new();
        let mut warnings = Vec::new();
        for plan in self.suites.iter().flat_map(|suite| &suite.secrets) {
            match plan {
                // A variable that is not set has no value that could be seen.
                SecretPlan::Environment(name) => secrets.extend(std::env::var(name)),
                SecretPlan::File(path) => match std::fs::read_to_string(path) {
                    Ok(text) => {
                        secrets.insert(text.trim().to_owned());
                    }
                    Err(error) => warnings.push(Diagnostic::warning(format!(
                        "the secret in {} cannot be read, so it cannot be masked: {error}",
                        path.display()
                    ))),
                },
            }
        }
        secrets.remove("");
        (secrets, warnings)
    }

    fn refuse_duplicates(&self) -> Result<(), Stop> {
        let mut seen: BTreeMap<String, &TestSpec> = BTreeMap::new();
        let mut found = Vec::new();
        for test in &self.tests {
            let spec = test.spec();
            let name = spec.full_name();
            match seen.get(&name) {
                None => {
                    seen.insert(name, spec);
                }
                Some(first) => {
                    let at = |spec: &TestSpec| {
                        spec.location
                            .as_ref()
                            .map_or_else(|| "?".to_owned(), ToString::to_string)
                    };
                    found.push(
                        Diagnostic::error(format!("two tests are named `{name}`")).help(format!(
                            "one stands at {}, one at {}; names are unique",
                            at(first),
                            at(spec)
                        )),
                    );
                }
            }
        }
        if found.is_empty() {
            Ok(())
        } else {
            Err(Stop::Wrong(found))
        }
    }
}

fn read(paths: &[PathBuf]) -> Result<(Vec<Suite>, Vec<Diagnostic>), Stop> {
    let loaded = seatrial_cases::load(&seatrial_cases::LoadOptions {
        paths: paths.to_vec(),
    });
    let is_bad = |found: &Diagnostic| found.severity == Severity::Error;
    if loaded.diagnostics.iter().any(is_bad) {
        Err(Stop::Wrong(loaded.diagnostics))
    } else {
        Ok((loaded.suites, loaded.diagnostics))
    }
}

fn fill(profile: &mut ProfilePlan, from: &ProfilePlan) {
    let ProfilePlan {
        retries,
        slots,
        timeout,
        timeout_multiplier,
        fail_fast,
        slow_after,
        grace,
        require,
        junit,
    } = from;
    profile.retries = profile.retries.or(*retries);
    profile.slots = profile.slots.or(*slots);
    profile.timeout = profile.timeout.or(*timeout);
    profile.timeout_multiplier = profile.timeout_multiplier.or(*timeout_multiplier);
    profile.fail_fast = profile.fail_fast.or(*fail_fast);
    profile.slow_after = profile.slow_after.or(*slow_after);
    profile.grace = profile.grace.or(*grace);
    profile.require.extend(require.iter().cloned());
    profile.junit = profile.junit.take().or_else(|| junit.clone());
}
