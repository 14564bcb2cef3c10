//! How the values of flags are read: the same words as in files.

use std::time::Duration;

use seatrial_cases::decode::Scalar;

/// `500ms`, `30s`, `1m30s`: a number without a unit is refused, as it is in a case file.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    <Duration as Scalar>::parse(text)
}

/// A factor that time can be multiplied by.
pub(super) fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(factor),
        _ => Err("is not a number above 0".into()),
    }
}

/// A count of at least one.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("is not a whole number from 1 on".into()),
        Ok(count) => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("30").unwrap_err().contains("write `30s`"));
        assert_eq!(factor("0.5"), Ok(0.5));
        assert!(
            ["0", "-1", "nan", "inf", "x"]
                .iter()
                .all(|text| factor(text).is_err())
        );
        assert_eq!(at_least_one("4"), Ok(4));
        assert!(["0", "-1", "x"].iter().all(|text| at_least_one(text).is_err()));
    }
}
