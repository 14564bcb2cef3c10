//! The tests of a run in the order of running, with what they need resolved to indices.
//!
//! Everything that is the same for the whole run is worked out here once, so that the dispatcher only counts.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::dispatcher::{index_of, position_of};
use crate::{
    event::{TestIndex, TestInfo},
    fixture::Fixture,
    requirement::Requirement,
    settings::{Ignored, Order, Repeat, Settings},
    test::{Test, TestSpec, Weight},
};

/// How many tests `--until-failure` lays out at most; it then ends as if it had found nothing.
const UNTIL_FAILURE_TESTS_MAX: usize = 100_000;

pub(super) struct Plan {
    pub(super) tests: Vec<PlannedTest>,
    pub(super) requirements: Vec<Arc<dyn Requirement>>,
    pub(super) requirement_users: Vec<Vec<TestIndex>>,
    pub(super) fixtures: Vec<PlannedFixture>,
    pub(super) fixture_users: Vec<Vec<TestIndex>>,
}

pub(super) struct PlannedTest {
    pub(super) test: Arc<dyn Test>,
    pub(super) info: Arc<TestInfo>,
    pub(super) timeout: Duration,
    pub(super) weight: Weight,
    pub(super) test_group: Option<String>,
    pub(super) retries: Option<u32>,
    pub(super) skip: Option<String>,
    /// Each once; those of its fixtures included.
    pub(super) requirements: Vec<usize>,
    /// Each once; only those that the test itself names.
    pub(super) fixtures: Vec<usize>,
}

pub(super) struct PlannedFixture {
    pub(super) fixture: Arc<dyn Fixture>,
    pub(super) key: Arc<str>,
    pub(super) stands_on: Vec<usize>,
    /// The fixtures that stand on it.
    pub(super) carries: Vec<usize>,
}

impl Plan {
    pub(super) fn new(tests: Vec<Arc<dyn Test>>, settings: &Settings) -> Self {
        let mut plan = Plan {
            tests: Vec::new(),
            requirements: Vec::new(),
            requirement_users: Vec::new(),
            fixtures: Vec::new(),
            fixture_users: Vec::new(),
        };
        let mut lookup = Lookup::default();
        let (times, repeated) = match settings.repeat {
            Repeat::Times(times) => (times, times > 1),
            Repeat::UntilFailure(most) => {
                let fit = UNTIL_FAILURE_TESTS_MAX / tests.len().max(1);
                (most.min(u32::try_from(fit).unwrap_or(u32::MAX)), true)
            }
        };
        let mut random = match settings.order {
            Order::AsFound => None,
            Order::Shuffled(seed) => Some(SplitMix(seed)),
        };
        for iteration in 1..=times.max(1) {
            let mut tests = tests.clone();
            if let Some(random) = &mut random {
                random.shuffle(&mut tests);
            }
            for test in tests {
                plan.add(test, if repeated { iteration } else { 0 }, settings, &mut lookup);
            }
        }
        for upper in 0..plan.fixtures.len() {
            for lower in plan.fixtures[upper].stands_on.clone() {
                plan.fixtures[lower].carries.push(upper);
            }
        }
        for (position, test) in plan.tests.iter().enumerate() {
            for requirement in &test.requirements {
                plan.requirement_users[*requirement].push(index_of(position));
            }
            for fixture in &test.fixtures {
                plan.fixture_users[*fixture].push(index_of(position));
            }
        }
        plan
    }

    fn add(&mut self, test: Arc<dyn Test>, iteration: u32, settings: &Settings, lookup: &mut Lookup) {
        let spec = test.spec();
        let skip = will_not_run(spec, settings.ignored);
        let mut requirements = Vec::new();
        let mut fixtures = Vec::new();
        if skip.is_none() {
            for requirement in &spec.requirements {
                self.add_requirement(requirement, &mut requirements, lookup);
            }
            for fixture in &spec.fixtures {
                let fixture = self.add_fixture(fixture, lookup);
                if !fixtures.contains(&fixture) {
                    fixtures.push(fixture);
                }
                self.add_fixture_requirements(fixture, &mut requirements, lookup);
            }
        }
        let info = TestInfo {
            name: spec.full_name(),
            iteration,
            suite: spec.suite.clone(),
            kind: spec.kind.into(),
            location: spec.location.clone(),
            labels: spec.labels.clone(),
        };
        self.tests.push(PlannedTest {
            info: Arc::new(info),
            timeout: settings.scaled(spec.timeout.unwrap_or(settings.timeout)),
            weight: spec.weight,
            test_group: spec.test_group.clone(),
            retries: spec.retries,
            skip,
            requirements,
            fixtures,
            test,
        });
    }

    fn add_requirement(
        &mut self,
        requirement: &Arc<dyn Requirement>,
        of: &mut Vec<usize>,
        lookup: &mut Lookup,
    ) {
        let name = requirement.name();
        let index = match lookup.requirements.get(name) {
            Some(index) => *index,
            None => {
                self.requirements.push(requirement.clone());
                self.requirement_users.push(Vec::new());
                lookup
                    .requirements
                    .insert(name.to_owned(), self.requirements.len() - 1);
                self.requirements.len() - 1
            }
        };
        if !of.contains(&index) {
            of.push(index);
        }
    }

    fn add_fixture(&mut self, fixture: &Arc<dyn Fixture>, lookup: &mut Lookup) -> usize {
        if let Some(index) = lookup.fixtures.get(fixture.key()) {
            return *index;
        }
        let stands_on = fixture
            .fixtures()
            .iter()
            .map(|lower| self.add_fixture(lower, lookup))
            .collect();
        let key: Arc<str> = fixture.key().into();
        self.fixtures.push(PlannedFixture {
            fixture: fixture.clone(),
            key: key.clone(),
            stands_on,
            carries: Vec::new(),
        });
        self.fixture_users.push(Vec::new());
        lookup.fixtures.insert(key, self.fixtures.len() - 1);
        self.fixtures.len() - 1
    }

    fn add_fixture_requirements(&mut self, fixture: usize, of: &mut Vec<usize>, lookup: &mut Lookup) {
        let planned = self.fixtures[fixture].fixture.clone();
        for requirement in planned.requirements() {
            self.add_requirement(requirement, of, lookup);
        }
        for lower in self.fixtures[fixture].stands_on.clone() {
            self.add_fixture_requirements(lower, of, lookup);
        }
    }

    pub(super) fn test(&self, index: TestIndex) -> &PlannedTest {
        &self.tests[position_of(index)]
    }
}

#[derive(Default)]
struct Lookup {
    requirements: HashMap<String, usize>,
    fixtures: HashMap<Arc<str>, usize>,
}

fn will_not_run(spec: &TestSpec, ignored: Ignored) -> Option<String> {
    let kept_back = match (ignored, &spec.ignored) {
        (Ignored::Skip, Some(reason)) if reason.is_empty() => Some("ignored".into()),
        (Ignored::Skip, Some(reason)) => Some(format!("ignored: {reason}")),
        _ => None,
    };
    kept_back.or_else(|| spec.skip.clone())
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a few lines, and the same order for the same seed for ever,
/// which a library does not promise.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Fisher and Yates; the modulo's bias is without consequence for an order of tests.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.next() % (last as u64 + 1);
            items.swap(last, usize::try_from(other).unwrap_or_default());
        }
    }
}
