//! All ways to select put together, in one order that `list` and `run` share.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use super::{
    DEFAULT_ENVIRONMENT,
    closest::closest,
    filter::Filter,
    label::LabelSelector,
    name::{NamePattern, full_names},
    shard::Shard,
};
use crate::TestSpec;

/// Which tests are run: those to which all that is given here applies.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// `-t`: one of these names. Empty: any.
    pub names: Vec<NamePattern>,
    /// `--label`: all of these.
    pub labels: Vec<LabelSelector>,
    /// `-E`: one of these. Empty: any.
    pub filters: Vec<Filter>,
    /// `--on`: in one of these environments. Empty: any.
    pub environments: BTreeSet<String>,
    /// `--failed`: only these full names.
    pub only: Option<HashSet<String>>,
    /// `--failed-first`: these full names come first.
    pub first: HashSet<String>,
    /// `--shard`: this part of what is left then.
    pub shard: Option<Shard>,
}

/// What a selection came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The indexes of the selected tests, in the order of running.
    pub tests: Vec<usize>,
    /// How many were selected before the shard was taken.
    pub before_shard: usize,
    /// Names of `-t` that no test has.
    pub unknown: Vec<NamePattern>,
}

impl Selection {
    /// Whether it selects every test.
    pub fn is_everything(&self) -> bool {
        self.names.is_empty()
            && self.labels.is_empty()
            && self.filters.is_empty()
            && self.environments.is_empty()
            && self.only.is_none()
            && self.shard.is_none()
    }

    /// Selects among tests. `durations` balances shards; it is by full name.
    pub fn select(&self, tests: &[&TestSpec], durations: &HashMap<String, Duration>) -> Selected {
        let names = full_names(tests);
        let mut unknown = Vec::new();
        let mut named = vec![self.names.is_empty(); tests.len()];
        for pattern in &self.names {
            let found = pattern.select(&names);
            if found.is_empty() {
                unknown.push(pattern.clone());
            }
            for index in found {
                named[index] = true;
            }
        }
        let mut selected: Vec<usize> = (0..tests.len())
            .filter(|index| named[*index] && self.admits(tests[*index], &names[*index]))
            .collect();
        let before_shard = selected.len();
        if let Some(shard) = self.shard {
            let left: Vec<String> = selected.iter().map(|index| names[*index].clone()).collect();
            let mut ours = shard.select(&left, durations).into_iter();
            selected.retain(|_| ours.next().unwrap_or_default());
        }
        selected.sort_by_key(|index| !self.first.contains(&names[*index]));
        Selected {
            tests: selected,
            before_shard,
            unknown,
        }
    }

    fn admits(&self, test: &TestSpec, name: &str) -> bool {
        let environment = test.environment.as_deref().unwrap_or(DEFAULT_ENVIRONMENT);
        self.labels.iter().all(|selector| selector.matches(test))
            && (self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(test)))
            && (self.environments.is_empty() || self.environments.contains(environment))
            && self.only.as_ref().is_none_or(|only| only.contains(name))
    }

    /// The tests that may have been meant by a selection that matched nothing, nearest first.
    pub fn closest<'n>(&self, names: &'n [String], count: usize) -> Vec<&'n str> {
        let wanted = self
            .names
            .iter()
            .map(NamePattern::as_str)
            .chain(self.filters.iter().flat_map(Filter::names));
        let mut near: Vec<&str> = wanted
            .flat_map(|wanted| closest(wanted, names.iter().map(String::as_str), count))
            .collect();
        let mut seen = HashSet::new();
        near.retain(|name| seen.insert(*name));
        near.truncate(count);
        near
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<TestSpec> {
        let mut specs: Vec<_> = ["a", "b", "c", "d"].map(|name| TestSpec::new("s", name)).into();
        specs[1].labels.insert("speed".into(), "slow".into());
        specs[2].environment = Some("docker".into());
        specs
    }

    #[track_caller]
    fn check(selection: &Selection, expected: &[usize]) {
        let specs = specs();
        let refs: Vec<_> = specs.iter().collect();
        assert_eq!(selection.select(&refs, &HashMap::new()).tests, expected);
    }

    #[test]
    fn everything_given_must_apply() {
        check(&Selection::default(), &[0, 1, 2, 3]);
        let mut selection = Selection {
            names: NamePattern::split("a,b,c"),
            ..Selection::default()
        };
        check(&selection, &[0, 1, 2]);
        selection.environments = ["process".to_owned()].into();
        check(&selection, &[0, 1]);
        selection.labels = vec!["!speed".parse().unwrap()];
        check(&selection, &[0]);
    }

    #[test]
    fn several_filters_are_a_union() {
        let filters = ["name(a)", "name(d)"].map(|text| Filter::parse(text, "-E").unwrap());
        check(
            &Selection {
                filters: filters.into(),
                ..Selection::default()
            },
            &[0, 3],
        );
    }

    #[test]
    fn what_failed_last_can_come_first_or_alone() {
        let failed: HashSet<String> = ["s/d", "s/c@docker"].map(str::to_owned).into();
        check(
            &Selection {
                first: failed.clone(),
                ..Selection::default()
            },
            &[2, 3, 0, 1],
        );
        check(
            &Selection {
                only: Some(failed),
                ..Selection::default()
            },
            &[2, 3],
        );
    }

    #[test]
    fn a_name_that_no_test_has_is_told_even_if_others_match() {
        let specs = specs();
        let refs: Vec<_> = specs.iter().collect();
        let selection = Selection {
            names: NamePattern::split("a,x"),
            ..Selection::default()
        };
        let selected = selection.select(&refs, &HashMap::new());
        assert_eq!(selected.tests, [0]);
        assert_eq!(selected.unknown, NamePattern::split("x"));
    }
}
