//! `-t`: names as people type them.
//!
//! A pattern is tried in steps, and the first step at which it matches anything decides: the exact full name; the
//! name without its environment; whole pieces of the name between slashes, wherever they stand, so that `restart`
//! means `tour/restart` and all its variants, and `tour` the whole suite; last, if it has wildcards, a glob over
//! the full name or over its end from a slash on. Thus `-t a[1]` runs the variant of that name, not a glob.

use std::{convert::Infallible, fmt, str::FromStr};

use super::matcher::{Matcher, has_wildcards};
use crate::TestSpec;

/// One name or glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// Splits a list at its commas; those inside a glob's braces belong to the glob.
    pub fn split(list: &str) -> Vec<Self> {
        let mut depth = 0_usize;
        list.split(|c: char| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| NamePattern(name.to_owned()))
        .collect()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The indexes of the tests that it names; none if there are none.
    pub fn select(&self, names: &[String]) -> Vec<usize> {
        let wanted = self.0.as_str();
        let all = |matches: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..names.len()).filter(|index| matches(&names[*index])).collect()
        };
        let wanted_pieces: Vec<&str> = wanted.split('/').collect();
        let pieces = |name: &str| {
            let have: Vec<&str> = without_environment(name).split('/').collect();
            have.windows(wanted_pieces.len())
                .any(|some| some == wanted_pieces)
        };
        let steps: [&dyn Fn(&str) -> bool; 3] = [
            &|name| name == wanted,
            &|name| without_environment(name) == wanted,
            &pieces,
        ];
        for step in steps {
            let found = all(step);
            if !found.is_empty() {
                return found;
            }
        }
        match has_wildcards(wanted).then(|| Matcher::glob(wanted)) {
            Some(Ok(glob)) => all(&|name| {
                glob.matches(name)
                    || name
                        .match_indices('/')
                        .any(|(slash, _)| glob.matches(&name[slash + 1..]))
            }),
            // What is no valid glob can still be a name; it was none.
            _ => Vec::new(),
        }
    }
}

impl FromStr for NamePattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(NamePattern(text.to_owned()))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn without_environment(name: &str) -> &str {
    name.rsplit_once('@').map_or(name, |(name, _)| name)
}

/// The full names of tests, in their order.
pub(super) fn full_names(tests: &[&TestSpec]) -> Vec<String> {
    tests.iter().map(|test| test.full_name()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &[&str]) {
        let names = [
            "tour/restart",
            "tour/restart/twice",
            "tour/restart-late",
            "tour/a[1]",
            "tour/a1",
            "net/up@process",
            "net/up@docker",
            "deep/suite/up",
        ]
        .map(str::to_owned);
        let found = NamePattern(pattern.into()).select(&names);
        let found: Vec<_> = found.into_iter().map(|index| names[index].as_str()).collect();
        assert_eq!(found, expected, "{pattern}");
    }

    #[test]
    fn the_exact_name_wins_over_pieces_and_globs() {
        check("tour/restart", &["tour/restart"]);
        check("tour/a[1]", &["tour/a[1]"]);
        check("a[1]", &["tour/a[1]"]);
        check("net/up", &["net/up@process", "net/up@docker"]);
        check("net/up@docker", &["net/up@docker"]);
    }

    #[test]
    fn whole_pieces_of_a_name_are_enough() {
        check("restart", &["tour/restart", "tour/restart/twice"]);
        check("restart/twice", &["tour/restart/twice"]);
        check("up", &["net/up@process", "net/up@docker", "deep/suite/up"]);
        check("suite", &["deep/suite/up"]);
        check("rest", &[]);
        check("twice/restart", &[]);
    }

    #[test]
    fn globs_go_across_slashes_and_start_at_any_piece() {
        check(
            "tour/rest*",
            &["tour/restart", "tour/restart/twice", "tour/restart-late"],
        );
        check("rest*e", &["tour/restart/twice", "tour/restart-late"]);
        check("*@docker", &["net/up@docker"]);
        check(
            "{net,deep}/*",
            &["net/up@process", "net/up@docker", "deep/suite/up"],
        );
        check("a[0-9]", &["tour/a1"]);
        check("[", &[]);
    }

    #[test]
    fn a_list_is_split_at_commas_outside_of_braces() {
        let split = |list| {
            NamePattern::split(list)
                .iter()
                .map(|p| p.0.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(split("a, b,,{c,d}*,"), ["a", "b", "{c,d}*"]);
    }

    proptest! {
        #[test]
        fn a_full_name_always_selects_itself_alone(
            names in proptest::collection::hash_set("[a-c*?{@]{1,3}(/[a-c\\[]{1,2}){0,2}", 1..12),
        ) {
            let names: Vec<String> = names.into_iter().collect();
            for (index, name) in names.iter().enumerate() {
                prop_assert_eq!(NamePattern(name.clone()).select(&names), vec![index]);
            }
        }
    }
}
