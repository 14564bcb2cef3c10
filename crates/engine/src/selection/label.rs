//! `--label`: a selector in Kubernetes' spelling, `k=v,k!=v,k,!k`; a comma means *and*.

use std::{fmt, str::FromStr};

use crate::TestSpec;

/// What a test's labels must be, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(pub Vec<LabelTerm>);

/// What one label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelTerm {
    /// `k`: it is there.
    Has(String),
    /// `!k`: it is not there.
    HasNot(String),
    /// `k=v`: it is there with this value.
    Is(String, String),
    /// `k!=v`: it is not there, or has another value, as in Kubernetes.
    IsNot(String, String),
}

impl LabelSelector {
    /// Whether a test's labels are so.
    pub fn matches(&self, test: &TestSpec) -> bool {
        self.0.iter().all(|term| match term {
            LabelTerm::Has(key) => test.labels.contains_key(key),
            LabelTerm::HasNot(key) => !test.labels.contains_key(key),
            LabelTerm::Is(key, value) => test.labels.get(key) == Some(value),
            LabelTerm::IsNot(key, value) => test.labels.get(key) != Some(value),
        })
    }
}

impl FromStr for LabelSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .map(|term| {
                let parsed = if let Some((key, value)) = term.split_once("!=") {
                    LabelTerm::IsNot(key.trim().into(), value.trim().into())
                } else if let Some((key, value)) = term.split_once('=') {
                    LabelTerm::Is(key.trim().into(), value.trim_start_matches('=').trim().into())
                } else if let Some(key) = term.strip_prefix('!') {
                    LabelTerm::HasNot(key.trim().into())
                } else {
                    LabelTerm::Has(term.into())
                };
                let (LabelTerm::Has(key)
                | LabelTerm::HasNot(key)
                | LabelTerm::Is(key, _)
                | LabelTerm::IsNot(key, _)) = &parsed;
                if key.is_empty() || key.contains(char::is_whitespace) {
                    return Err(format!("`{term}` is not one of `k=v`, `k!=v`, `k`, `!k`"));
                }
                Ok(parsed)
            })
            .collect::<Result<_, _>>()
            .map(LabelSelector)
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match term {
                LabelTerm::Has(key) => write!(f, "{key}")?,
                LabelTerm::HasNot(key) => write!(f, "!{key}")?,
                LabelTerm::Is(key, value) => write!(f, "{key}={value}")?,
                LabelTerm::IsNot(key, value) => write!(f, "{key}!={value}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_label_is_not_equal_to_anything() {
        let mut test = TestSpec::new("s", "t");
        test.labels.insert("speed".into(), "slow".into());
        let is = |text: &str| text.parse::<LabelSelector>().unwrap().matches(&test);
        assert!(is("speed") && is("speed=slow") && is("speed == slow") && is("!area") && is("area!=net"));
        assert!(!is("speed!=slow") && !is("!speed") && !is("area") && !is("speed=slow,area"));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["", "a,,b", "=x", "!", "two words"] {
            assert!(text.parse::<LabelSelector>().is_err(), "{text:?}");
        }
    }
}
