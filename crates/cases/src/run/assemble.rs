//! From planned suites to tests for the runner.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use seatrial_engine::{Fixture, Requirement, Test, TestSpec, Weight};
use seatrial_environment::requirement;

use super::build::Build;
use super::case::CaseTest;
use super::fixture::SuiteFixture;
use super::names::{Given, SuiteName};
use crate::{
    plan::{
        BuildPlan, CasePlan, FixturePlan, FixtureScope, On, OverridePlan, PartPlan, RequirementPlan, Slots,
        Suite,
    },
    step::location,
};

/// Makes the tests of suites, in the order of their files. `profile` is the name of the one that the run has chosen:
/// overrides for other profiles do not hold.
#[must_use]
pub fn tests(suites: &[Suite], profile: Option<&str>) -> Vec<Arc<dyn Test>> {
    let mut assembly = Assembly::default();
    let mut tests: Vec<Arc<dyn Test>> = Vec::new();
    for suite in suites {
        let overrides: Vec<&OverridePlan> = suite
            .overrides
            .iter()
            .filter(|plan| plan.profile.is_none() || plan.profile.as_deref() == profile)
            .collect();
        for case in &suite.cases {
            let mut test = assembly.case(suite, case);
            for plan in &overrides {
                if plan.filter.matches(&test.spec) {
                    apply(plan, &mut test.spec);
                }
            }
            tests.push(Arc::new(test));
        }
    }
    tests
}

fn apply(plan: &OverridePlan, spec: &mut TestSpec) {
    spec.timeout = plan.timeout.or(spec.timeout);
    spec.retries = plan.retries.or(spec.retries);
    spec.weight = plan.slots.map_or(spec.weight, weight);
    if plan.test_group.is_some() {
        spec.test_group.clone_from(&plan.test_group);
    }
}

/// Fixtures and builds that have been made of their plans, so that tests which share them do.
#[derive(Default)]
struct Assembly {
    /// By key.
    fixtures: HashMap<String, Arc<dyn Fixture>>,
    /// The definitions of fixtures that a whole run shares, by name: two suites may mean different things by one.
    shared: BTreeMap<String, Vec<String>>,
    requirements: HashMap<RequirementPlan, Arc<dyn Requirement>>,
}

impl Assembly {
    fn case(&mut self, suite: &Suite, plan: &Arc<CasePlan>) -> CaseTest {
        let suite = SuiteName {
            name: suite.name.clone(),
            dir: suite.dir.clone(),
        };
        let mut requirements = self.requirements(&plan.requires, &plan.parts);
        let (mut needed, mut fixtures, mut builds) = (Vec::new(), Vec::new(), Vec::new());
        for fixture in &plan.uses {
            let (key, made) = self.fixture(fixture);
            fixtures.push(Given {
                name: fixture.name.clone(),
                key,
            });
            needed.push(made);
        }
        for build in &plan.builds {
            let (key, made) = self.build(&suite, build);
            builds.push(Given {
                name: build.name.clone(),
                key,
            });
            needed.push(made);
        }
        // What a fixture needs of the machine, its tests need, too: they are skipped then, and not errored.
        for requirement in needed.iter().flat_map(|fixture| fixture.requirements()) {
            if !requirements
                .iter()
                .any(|known| known.name() == requirement.name())
            {
                requirements.push(requirement.clone());
            }
        }
        let spec = TestSpec {
            variant: plan.variant.clone(),
            kind: "procedure",
            description: plan.description.clone(),
            timeout: plan.timeout,
            requirements,
            fixtures: needed,
            images: images(plan),
            labels: plan.labels.clone(),
            weight: weight(plan.slots),
            test_group: plan.test_group.clone(),
            retries: plan.retries,
            location: Some(location(&plan.origin)),
            skip: plan.skip.clone().or_else(|| not_here(plan)),
            ..TestSpec::new(&suite.name, &plan.name)
        };
        CaseTest {
            spec,
            plan: plan.clone(),
            suite,
            fixtures,
            builds,
        }
    }

    fn fixture(&mut self, plan: &Arc<FixturePlan>) -> (String, Arc<dyn Fixture>) {
        let key = match plan.scope {
            FixtureScope::Suite => format!("{}/{}", plan.suite.0, plan.name),
            FixtureScope::Run => self.shared_key(plan),
        };
        if let Some(made) = self.fixtures.get(&key) {
            return (key, made.clone());
        }
        let (name, dir) = plan.suite.clone();
        let suite = SuiteName { name, dir };
        let (mut stands_on, mut fixtures, mut builds) = (Vec::new(), Vec::new(), Vec::new());
        for used in &plan.uses {
            let (key, made) = self.fixture(used);
            fixtures.push(Given {
                name: used.name.clone(),
                key,
            });
            stands_on.push(made);
        }
        for build in &plan.builds {
            let (key, made) = self.build(&suite, build);
            builds.push(Given {
                name: build.name.clone(),
                key,
            });
            stands_on.push(made);
        }
        let requirements = self.requirements(&plan.requires, &plan.parts);
        let fixture = SuiteFixture {
            key: key.clone(),
            plan: plan.clone(),
            requirements,
            stands_on,
            fixtures,
            builds,
        };
        let made: Arc<dyn Fixture> = Arc::new(fixture);
        self.fixtures.insert(key.clone(), made.clone());
        (key, made)
    }

    /// The key of a fixture that all suites share which define it alike: `NAME`, then `NAME.2` for another definition.
    fn shared_key(&mut self, plan: &FixturePlan) -> String {
        let definition = definition(plan);
        let known = self.shared.entry(plan.name.clone()).or_default();
        let index = known
            .iter()
            .position(|known| *known == definition)
            .unwrap_or_else(|| {
                known.push(definition);
                known.len() - 1
            });
        if index == 0 {
            plan.name.clone()
        } else {
            format!("{}.{}", plan.name, index + 1)
        }
    }

    fn build(&mut self, suite: &SuiteName, plan: &Arc<BuildPlan>) -> (String, Arc<dyn Fixture>) {
        let key = format!("{}/build.{}", suite.name, plan.name);
        let made = self.fixtures.entry(key.clone()).or_insert_with(|| {
            Arc::new(Build {
                key: key.clone(),
                plan: plan.clone(),
                suite: suite.clone(),
            })
        });
        (key.clone(), made.clone())
    }

    fn requirements(&mut self, plans: &[RequirementPlan], parts: &[PartPlan]) -> Vec<Arc<dyn Requirement>> {
        let isolated = parts.iter().any(|part| part.isolate_network);
        let network = RequirementPlan::Named("network-namespaces".to_owned());
        let network = isolated.then_some(&network);
        let mut found = Vec::new();
        for plan in plans.iter().chain(network) {
            let requirement = self
                .requirements
                .entry(plan.clone())
                .or_insert_with(|| match plan {
                    RequirementPlan::Named(name) => requirement::named(name),
                    RequirementPlan::Command(program) => requirement::program(program),
                });
            found.push(requirement.clone());
        }
        found
    }
}

/// What makes two fixtures of one name the same: what was written, and where it leads.
fn definition(plan: &FixturePlan) -> String {
    let mut text = plan.origin.text().to_owned();
    // Files are copied from its own suite, and a template may name the suite or what only the suite has.
    let of_its_suite = ["suite.", "values.", "build.", "fixture."]
        .iter()
        .any(|name| text.contains(name));
    let has_files = plan.parts.iter().any(|part| !part.files.is_empty());
    if of_its_suite || has_files || !plan.uses.is_empty() {
        text.push_str(&plan.suite.1.display().to_string());
    }
    text
}

fn images(plan: &CasePlan) -> Vec<String> {
    let containers = plan.parts.iter().filter_map(|part| part.container.as_ref());
    containers
        .filter_map(|container| container.image.as_ref()?.as_literal().cloned())
        .collect()
}

fn weight(slots: Slots) -> Weight {
    match slots {
        Slots::Count(count) => Weight::Slots(count),
        Slots::Alone => Weight::Alone,
    }
}

fn not_here(plan: &CasePlan) -> Option<String> {
    (plan.on == On::Docker).then(|| "it runs in containers, which are not served yet".to_owned())
}
