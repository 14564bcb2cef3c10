//! Drives the dispatcher with any order of what can happen, and checks what must hold in all of them.

use std::{collections::HashSet, sync::LazyLock};

use proptest::prelude::*;

use super::*;
use crate::{
    context::{FixtureContext, TestContext},
    fixture::Fixture,
    requirement::Requirement,
    test::{BoxFuture, Test, TestSpec},
    verdict::{TestError, TestResult},
};

/// A run, with all that will come of its parts decided beforehand.
#[derive(Clone, Debug)]
struct World {
    slots: usize,
    group_limit: usize,
    retries: u32,
    fail_fast: Option<usize>,
    requirements_met: Vec<bool>,
    /// Whether it can be built, and which earlier ones it stands on.
    fixtures: Vec<(bool, Vec<usize>)>,
    tests: Vec<Planned>,
    /// Which of the things under way happens next, one number a step.
    choices: Vec<usize>,
    interrupt_at: Option<usize>,
}

#[derive(Clone, Debug)]
struct Planned {
    slots: Option<usize>,
    grouped: bool,
    requirements: Vec<usize>,
    fixtures: Vec<usize>,
    /// What comes of each attempt; the last stands for all that follow.
    passes: Vec<bool>,
}

fn world() -> impl Strategy<Value = World> {
    let index = || any::<prop::sample::Index>();
    let test = (
        prop::option::weighted(0.9, 1..6_usize),
        any::<bool>(),
        prop::collection::vec(index(), 0..3),
        prop::collection::vec(index(), 0..3),
        prop::collection::vec(prop::bool::weighted(0.7), 1..4),
    );
    (
        (
            1..5_usize,
            1..3_usize,
            0..3_u32,
            prop::option::weighted(0.3, 1..4_usize),
        ),
        prop::collection::vec(prop::bool::weighted(0.8), 1..4),
        prop::collection::vec(
            (prop::bool::weighted(0.8), prop::collection::vec(index(), 0..3)),
            1..5,
        ),
        prop::collection::vec(test, 0..25),
        prop::collection::vec(any::<usize>(), 300),
        prop::option::weighted(0.3, 0..60_usize),
    )
        .prop_map(
            |(
                (slots, group_limit, retries, fail_fast),
                requirements_met,
                fixtures,
                tests,
                choices,
                interrupt_at,
            )| {
                let pick = |picked: &[prop::sample::Index], of: usize| -> Vec<usize> {
                    let unique: HashSet<usize> =
                        picked.iter().filter(|_| of > 0).map(|i| i.index(of)).collect();
                    unique.into_iter().collect()
                };
                World {
                    slots,
                    group_limit,
                    retries,
                    fail_fast,
                    fixtures: fixtures
                        .iter()
                        .enumerate()
                        .map(|(number, (builds, below))| (*builds, pick(below, number)))
                        .collect(),
                    tests: tests
                        .into_iter()
                        .map(|(slots, grouped, needs, shares, passes)| Planned {
                            slots,
                            grouped,
                            requirements: pick(&needs, requirements_met.len()),
                            fixtures: pick(&shares, fixtures.len()),
                            passes,
                        })
                        .collect(),
                    requirements_met,
                    choices,
                    interrupt_at,
                }
            },
        )
}

struct Named(String, Vec<Arc<dyn Fixture>>);

impl Requirement for Named {
    fn name(&self) -> &str {
        &self.0
    }

    fn check(&self) -> Result<String, Unmet> {
        unreachable!("the world says what comes of it")
    }
}

impl Fixture for Named {
    fn key(&self) -> &str {
        &self.0
    }

    fn fixtures(&self) -> &[Arc<dyn Fixture>] {
        &self.1
    }

    fn build<'a>(&'a self, _: &'a FixtureContext) -> BoxFuture<'a, Result<FixtureValue, TestError>> {
        unreachable!("the world says what comes of it")
    }
}

struct Case(TestSpec);

impl Test for Case {
    fn spec(&self) -> &TestSpec {
        &self.0
    }

    fn run<'a>(&'a self, _: &'a TestContext) -> BoxFuture<'a, TestResult> {
        unreachable!("the world says what comes of it")
    }
}

impl World {
    fn plan(&self, settings: &Settings) -> Plan {
        let mut fixtures: Vec<Arc<dyn Fixture>> = Vec::new();
        for (number, (_, below)) in self.fixtures.iter().enumerate() {
            let below = below.iter().map(|index| fixtures[*index].clone()).collect();
            fixtures.push(Arc::new(Named(format!("f{number}"), below)));
        }
        let tests = self
            .tests
            .iter()
            .enumerate()
            .map(|(number, planned)| -> Arc<dyn Test> {
                Arc::new(Case(TestSpec {
                    weight: planned.slots.map_or(Weight::Alone, Weight::Slots),
                    test_group: planned.grouped.then(|| "db".to_owned()),
                    requirements: planned
                        .requirements
                        .iter()
                        .map(|index| Arc::new(Named(format!("r{index}"), vec![])) as Arc<dyn Requirement>)
                        .collect(),
                    fixtures: planned
                        .fixtures
                        .iter()
                        .map(|index| fixtures[*index].clone())
                        .collect(),
                    ..TestSpec::new("", number.to_string())
                }))
            })
            .collect();
        Plan::new(tests, settings)
    }

    fn settings(&self) -> Settings {
        // Made once: a new id for every case of the property would cost more than the rest.
        static BASE: LazyLock<Settings> = LazyLock::new(Settings::default);
        Settings {
            slots: self.slots,
            retries: self.retries,
            fail_fast: self.fail_fast,
            test_groups: [("db".to_owned(), self.group_limit)].into(),
            ..BASE.clone()
        }
    }
}

/// What is under way, and what must hold of it.
#[derive(Default)]
struct Observed {
    under_way: Vec<Command>,
    running: Vec<(TestIndex, u32)>,
    /// Those of them that have given back their slots.
    taking_down: HashSet<TestIndex>,
    made: HashSet<usize>,
    built: HashSet<usize>,
    finished: HashSet<TestIndex>,
    stopping: bool,
}

impl Observed {
    fn take(&mut self, dispatcher: &mut Dispatcher<'_>, world: &World) {
        for event in dispatcher.events.drain(..) {
            match event {
                EventKind::TestFinished(outcome) => {
                    assert!(self.finished.insert(outcome.test), "two verdicts for one test");
                }
                EventKind::Stopping { .. } => self.stopping = true,
                _ => {}
            }
        }
        for command in dispatcher.commands.drain(..) {
            match &command {
                Command::StartAttempt {
                    test,
                    attempt,
                    fixtures,
                    ..
                } => {
                    assert!(!self.stopping, "started while stopping");
                    let needed = &dispatcher.plan.test(*test).fixtures;
                    let given: Vec<usize> = fixtures.iter().map(|(index, _)| *index).collect();
                    assert_eq!(&given, needed, "started without its fixtures");
                    self.running.push((*test, *attempt));
                }
                Command::BuildFixture { fixture, made, .. } => {
                    assert!(self.built.insert(*fixture), "built twice");
                    assert_eq!(made.len(), dispatcher.plan.fixtures[*fixture].stands_on.len());
                }
                Command::StopFixture { fixture, .. } => {
                    assert!(self.made.remove(fixture), "stopped what is not there");
                    for (test, _) in &self.running {
                        let used = &dispatcher.plan.test(*test).fixtures;
                        assert!(!used.contains(fixture), "stopped under a running test");
                    }
                }
                Command::CheckRequirement { .. } | Command::SkipGrace => {}
            }
            self.under_way.push(command);
        }
        let planned = |test: &TestIndex| &world.tests[position_of(*test)];
        let holding = || {
            self.running
                .iter()
                .filter(|(test, _)| !self.taking_down.contains(test))
        };
        let taken: usize = holding()
            .map(|(t, _)| planned(t).slots.unwrap_or(world.slots).min(world.slots))
            .sum();
        assert!(taken <= world.slots, "{taken} slots are taken");
        let grouped = holding().filter(|(t, _)| planned(t).grouped).count();
        assert!(grouped <= world.group_limit, "{grouped} of the test group run");
        let alone = self.running.iter().any(|(t, _)| planned(t).slots.is_none());
        assert!(!alone || self.running.len() == 1, "not alone");
        assert!(dispatcher.taking_down <= world.slots, "slow ends pile up");
    }

    /// Lets one of the things under way come to its end.
    fn complete(&mut self, choice: usize, plan: &Plan, world: &World) -> Input {
        let command = self.under_way.swap_remove(choice % self.under_way.len());
        match command {
            Command::CheckRequirement { requirement } => {
                let name = plan.requirements[requirement].name();
                let number: usize = name[1..].parse().expect("r and a number");
                let met = world.requirements_met[number];
                let result = if met {
                    Ok(String::new())
                } else {
                    Err(Unmet::because("absent"))
                };
                Input::RequirementChecked { requirement, result }
            }
            Command::BuildFixture { fixture, token, .. } => {
                let number: usize = plan.fixtures[fixture].key[1..].parse().expect("f and a number");
                let builds = world.fixtures[number].0 && !token.is_cancelled();
                let result = if builds {
                    Ok(Arc::new(()) as FixtureValue)
                } else {
                    Err(Arc::default())
                };
                if builds {
                    self.made.insert(fixture);
                }
                Input::FixtureBuilt { fixture, result }
            }
            Command::StopFixture { fixture, .. } => Input::FixtureStopped { fixture },
            Command::StartAttempt {
                test, attempt, token, ..
            } => {
                let passes = &world.tests[position_of(test)].passes;
                let passed = passes[(attempt as usize - 1).min(passes.len() - 1)];
                if passed && choice.is_multiple_of(2) && self.taking_down.insert(test) {
                    // It passes, and ends some time later.
                    let fixtures = Vec::new();
                    self.under_way.push(Command::StartAttempt {
                        test,
                        attempt,
                        token,
                        fixtures,
                    });
                    return Input::BodyPassed { test };
                }
                self.running.retain(|(running, _)| *running != test);
                let verdict = match (token.is_cancelled(), passed) {
                    (true, _) => Verdict::Cancelled,
                    (false, true) => Verdict::Passed,
                    (false, false) => Verdict::Failed,
                };
                let end = AttemptEnd {
                    verdict,
                    failure: None,
                    reason: None,
                    log_dir: None,
                };
                Input::AttemptEnded { test, end }
            }
            Command::SkipGrace => Input::Control(Control::Status),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_with_one_verdict_a_test_and_nothing_left(world in world()) {
        let settings = world.settings();
        let plan = world.plan(&settings);
        let mut dispatcher = Dispatcher::new(&plan, &settings);
        let mut observed = Observed::default();
        dispatcher.start();
        observed.take(&mut dispatcher, &world);
        let mut steps = 0;
        while !observed.under_way.is_empty() {
            let input = if world.interrupt_at == Some(steps) {
                Input::Control(Control::Interrupt)
            } else {
                observed.complete(world.choices[steps % world.choices.len()], &plan, &world)
            };
            dispatcher.handle(input, Duration::from_secs(steps as u64));
            observed.take(&mut dispatcher, &world);
            steps += 1;
        }
        prop_assert!(dispatcher.is_over(), "nothing is under way, yet it is not over");
        prop_assert_eq!(observed.finished.len(), world.tests.len());
        prop_assert!(observed.made.is_empty(), "fixtures are left: {:?}", observed.made);
        prop_assert_eq!(dispatcher.summary(Duration::ZERO).total(), world.tests.len());
    }
}

#[test]
fn a_wide_test_is_not_starved_by_narrow_ones_behind_it() {
    let planned = |slots| Planned {
        slots,
        grouped: false,
        requirements: vec![],
        fixtures: vec![],
        passes: vec![true],
    };
    let world = World {
        slots: 2,
        group_limit: 1,
        retries: 0,
        fail_fast: None,
        requirements_met: vec![],
        fixtures: vec![],
        tests: vec![
            planned(Some(1)),
            planned(None),
            planned(Some(1)),
            planned(Some(1)),
        ],
        choices: vec![],
        interrupt_at: None,
    };
    let settings = world.settings();
    let plan = world.plan(&settings);
    let mut dispatcher = Dispatcher::new(&plan, &settings);
    let mut observed = Observed::default();
    dispatcher.start();
    let mut order = Vec::new();
    loop {
        observed.take(&mut dispatcher, &world);
        order.push(
            observed
                .running
                .iter()
                .map(|(test, _)| test.0)
                .collect::<Vec<_>>(),
        );
        if observed.under_way.is_empty() {
            break;
        }
        let input = observed.complete(0, &plan, &world);
        dispatcher.handle(input, Duration::ZERO);
    }
    order.dedup();
    assert_eq!(order, [vec![0], vec![1], vec![2, 3], vec![3], vec![]]);
}
