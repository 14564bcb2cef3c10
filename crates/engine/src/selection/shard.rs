//! `--shard I/N`: one of N runs that together run every test once.
//!
//! With durations, tests go to shards longest first, each to the one with least work so far (LPT, which is at most
//! a third longer than the best there is). Without any, a test's shard follows from its name alone, so that a new
//! test moves no other. Each shard works this out by itself, therefore all of them must be given the same
//! durations; nothing here depends on the order in which tests were found.

use std::{collections::HashMap, fmt, str::FromStr, time::Duration};

/// One of N shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

/// What is not a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard is I/N, from 1/N to N/N, such as 1/4")]
pub struct ShardError;

impl Shard {
    /// The shards that there are.
    pub fn count(self) -> usize {
        self.count
    }

    /// Whether this shard runs each of the tests with these names.
    pub fn select(self, names: &[String], durations: &HashMap<String, Duration>) -> Vec<bool> {
        assign(names, self.count, durations)
            .into_iter()
            .map(|shard| shard == self.index - 1)
            .collect()
    }
}

/// The shard of each name, from 0.
fn assign(names: &[String], count: usize, durations: &HashMap<String, Duration>) -> Vec<usize> {
    let mut known: Vec<Duration> = names
        .iter()
        .filter_map(|name| durations.get(name).copied())
        .collect();
    if known.is_empty() {
        return names
            .iter()
            .map(|name| usize::try_from(fnv1a(name) % count as u64).unwrap_or_default())
            .collect();
    }
    known.sort_unstable();
    let median = known[known.len() / 2];
    let mut order: Vec<(Duration, usize)> = names
        .iter()
        .enumerate()
        .map(|(index, name)| (durations.get(name).copied().unwrap_or(median), index))
        .collect();
    order.sort_by(|(a, at), (b, bt)| b.cmp(a).then_with(|| names[*at].cmp(&names[*bt])));
    // The number of tests breaks ties, or a thousand tests of no measurable length would share a shard.
    let mut loads = vec![(Duration::ZERO, 0_usize); count];
    let mut shards = vec![0; names.len()];
    for (duration, index) in order {
        let Some((lightest, load)) = loads.iter_mut().enumerate().min_by_key(|(_, load)| **load) else {
            break;
        };
        *load = (load.0.saturating_add(duration), load.1 + 1);
        shards[index] = lightest;
    }
    shards
}

/// A hash that stays the same for ever, unlike the standard library's.
/// <http://www.isthe.com/chongo/tech/comp/fnv/>
fn fnv1a(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Its low bits alone are poorly mixed for names that differ in their last letter.
    hash ^ (hash >> 32)
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError)?;
        let index: usize = index.trim().parse().map_err(|_| ShardError)?;
        let count: usize = count.trim().parse().map_err(|_| ShardError)?;
        if index == 0 || index > count {
            return Err(ShardError);
        }
        Ok(Shard { index, count })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_i_of_n_is_refused() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, count: 3 }));
        for text in ["", "0/3", "4/3", "1", "1/0", "-1/2", "a/b"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError), "{text}");
        }
    }

    #[test]
    fn one_long_test_gets_a_shard_of_its_own() {
        let names: Vec<String> = ["long", "a", "b", "c"].map(String::from).to_vec();
        let seconds = |s| Duration::from_secs(s);
        let durations = names
            .iter()
            .cloned()
            .zip([seconds(30), seconds(9), seconds(9), seconds(9)])
            .collect();
        let first = Shard { index: 1, count: 2 }.select(&names, &durations);
        assert_eq!(first, [true, false, false, false]);
    }

    fn names() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::hash_set("[a-z]{1,4}/[a-z]{1,6}", 0..60)
            .prop_map(|set| set.into_iter().collect())
    }

    proptest! {
        #[test]
        fn every_test_is_in_exactly_one_shard(
            names in names(), count in 1_usize..9, millis in proptest::collection::vec(0_u64..90_000, 0..60),
        ) {
            let durations: HashMap<_, _> =
                names.iter().cloned().zip(millis.into_iter().map(Duration::from_millis)).collect();
            let mut times = vec![0; names.len()];
            for index in 1..=count {
                for (at, chosen) in (Shard { index, count }).select(&names, &durations).into_iter().enumerate() {
                    times[at] += usize::from(chosen);
                }
            }
            prop_assert!(times.iter().all(|times| *times == 1));
        }

        #[test]
        fn the_order_in_which_tests_were_found_does_not_matter(
            names in names(), count in 1_usize..9, millis in proptest::collection::vec(0_u64..5, 0..60),
        ) {
            let durations: HashMap<_, _> =
                names.iter().cloned().zip(millis.into_iter().map(Duration::from_millis)).collect();
            let mut reversed = names.clone();
            reversed.reverse();
            let mut shards = assign(&reversed, count, &durations);
            shards.reverse();
            prop_assert_eq!(shards, assign(&names, count, &durations));
        }

        #[test]
        fn without_durations_a_new_test_moves_no_other(names in names(), count in 1_usize..9) {
            let all = assign(&names, count, &HashMap::new());
            if let Some(less) = names.len().checked_sub(1) {
                prop_assert_eq!(&assign(&names[..less], count, &HashMap::new()), &all[..less]);
            }
        }

        #[test]
        fn with_durations_no_shard_is_longer_than_the_fair_share_and_one_test(
            names in names(), count in 1_usize..9, millis in proptest::collection::vec(1_u64..90_000, 60),
        ) {
            let durations: HashMap<_, _> =
                names.iter().cloned().zip(millis.into_iter().map(Duration::from_millis)).collect();
            let mut loads = vec![Duration::ZERO; count];
            for (name, shard) in names.iter().zip(assign(&names, count, &durations)) {
                loads[shard] += durations[name];
            }
            let total: Duration = loads.iter().sum();
            let longest = durations.values().max().copied().unwrap_or_default();
            let limit = total / u32::try_from(count).unwrap() + longest;
            prop_assert!(loads.iter().all(|load| *load <= limit));
        }
    }
}
