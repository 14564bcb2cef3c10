//! Names for runs: sortable by time, unique on the machine, short enough for labels and network names.

use std::time::{SystemTime, UNIX_EPOCH};

/// A new id: seconds since 1970 in base 36, then the process's id and a count in it, so that two runs in the
/// same second differ.
pub fn new() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |span| span.as_secs());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = u64::from(std::process::id());
    format!(
        "{:0>7}{:0>5}{}",
        base36(seconds),
        base36(process),
        base36(u64::from(count))
    )
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_differ_and_sort_by_time() {
        let (a, b) = (super::new(), super::new());
        assert_ne!(a, b);
        assert!(a < b);
        assert_eq!(super::base36(35 * 36 + 1), "z1");
    }
}
