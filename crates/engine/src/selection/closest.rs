//! The names nearest to one that does not exist.

/// The names that somebody who typed `wanted` may have meant, nearest first, `count` at most.
pub fn closest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>, count: usize) -> Vec<&'n str> {
    // Below this, two names have nothing to do with each other.
    const LIKENESS_MIN: f64 = 0.5;
    let wanted: String = wanted
        .chars()
        .filter(|c| !"*?[]{}".contains(*c))
        .flat_map(char::to_lowercase)
        .collect();
    let mut ranked: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (likeness(&wanted, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    ranked.dedup_by(|a, b| a.1 == b.1);
    ranked.into_iter().take(count).map(|(_, name)| name).collect()
}

/// From 0 to 1, over the whole name and over each of its ends from a slash on: people leave the suite out.
fn likeness(wanted: &str, name: &str) -> f64 {
    let name = name.to_lowercase();
    std::iter::once(0)
        .chain(name.match_indices('/').map(|(slash, _)| slash + 1))
        .map(|start| {
            let tail = &name[start..];
            let distance = strsim::normalized_damerau_levenshtein(wanted, tail);
            // A part of a longer name is a good guess, but a name that differs by a letter is a better one.
            let within = wanted.len() >= 3 && tail.contains(wanted);
            distance.max(if within { 0.75 } else { 0.0 })
        })
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first_and_strangers_not_at_all() {
        let names = ["tour/restart", "tour/restart-twice", "net/dns", "tour/start"];
        assert_eq!(
            closest("restrat", names, 3),
            ["tour/restart", "tour/start", "tour/restart-twice"][..2]
        );
        assert_eq!(closest("Tour/Restart", names, 1), ["tour/restart"]);
        assert_eq!(closest("twice*", names, 3), ["tour/restart-twice"]);
        assert!(closest("zzzzzz", names, 3).is_empty());
    }
}
