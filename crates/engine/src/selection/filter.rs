//! Filter expressions: `test(~restart) & label(speed=slow) & !on(docker)`.
//!
//! The language is nextest's where a rule is the same (signs of the matchers, `&` before `|`, several expressions
//! are a union), so that nobody has to learn it twice; the predicates are those of end-to-end tests.

use std::fmt;

use super::{DEFAULT_ENVIRONMENT, matcher::Matcher};
use crate::{Diagnostic, TestSpec};

/// Which tests are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `all()`: every test.
    All,
    /// `none()`: no test.
    None,
    /// One thing about a test.
    Is(Predicate, Matcher),
    /// `label(key)`, `label(key=value)`: it has this label, with such a value if one is given.
    Label(String, Option<Matcher>),
    /// `! a`, `not a`.
    Not(Box<Filter>),
    /// `a & b`, `a and b`.
    And(Box<Filter>, Box<Filter>),
    /// `a | b`, `a or b`.
    Or(Box<Filter>, Box<Filter>),
}

/// What a predicate looks at. Where a test has several of a thing, one that matches is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// `test(...)`: the full name, `suite/name[/variant][@environment]`.
    Test,
    /// `suite(...)`.
    Suite,
    /// `name(...)`: the name without suite, variant and environment.
    Name,
    /// `variant(...)`.
    Variant,
    /// `kind(...)`: `procedure`, `rust`.
    Kind,
    /// `on(...)`: the environment; `process` where a test names none.
    On,
    /// `requires(...)`: a requirement.
    Requires,
    /// `group(...)`: the test group.
    Group,
    /// `fixture(...)`: a fixture's key.
    Fixture,
    /// `image(...)`: a container image.
    Image,
    /// `file(...)`: the file it stands in, or the end of its path from a `/` on.
    File,
}

impl Predicate {
    /// Every predicate.
    pub const ALL: [Predicate; 11] = [
        Predicate::Test,
        Predicate::Suite,
        Predicate::Name,
        Predicate::Variant,
        Predicate::Kind,
        Predicate::On,
        Predicate::Requires,
        Predicate::Group,
        Predicate::Fixture,
        Predicate::Image,
        Predicate::File,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Predicate::Test => "test",
            Predicate::Suite => "suite",
            Predicate::Name => "name",
            Predicate::Variant => "variant",
            Predicate::Kind => "kind",
            Predicate::On => "on",
            Predicate::Requires => "requires",
            Predicate::Group => "group",
            Predicate::Fixture => "fixture",
            Predicate::Image => "image",
            Predicate::File => "file",
        }
    }

    /// What a text without a sign means: names are looked for anywhere, all else is compared as a whole.
    pub(super) fn matcher(self, text: &str) -> Result<Matcher, String> {
        match self {
            Predicate::Test => Ok(Matcher::Contains(text.to_owned())),
            _ => Matcher::glob_or_exact(text),
        }
    }

    fn holds(self, matcher: &Matcher, test: &TestSpec) -> bool {
        let is = |text: &str| matcher.matches(text);
        match self {
            Predicate::Test => is(&test.full_name()),
            Predicate::Suite => is(&test.suite),
            Predicate::Name => is(&test.name),
            Predicate::Variant => test.variant.as_deref().is_some_and(is),
            Predicate::Kind => is(test.kind),
            Predicate::On => is(test.environment.as_deref().unwrap_or(DEFAULT_ENVIRONMENT)),
            Predicate::Requires => test.requirements.iter().any(|one| is(one.name())),
            Predicate::Group => test.test_group.as_deref().is_some_and(is),
            Predicate::Fixture => test.fixtures.iter().any(|one| is(one.key())),
            Predicate::Image => test.images.iter().any(|one| is(one)),
            Predicate::File => test.location.as_ref().is_some_and(|at| {
                let path = at.file.to_string_lossy();
                is(&path) || path.match_indices('/').any(|(slash, _)| is(&path[slash + 1..]))
            }),
        }
    }
}

impl Filter {
    /// Reads an expression. `origin` is what diagnostics call it: the flag or the file it stands in.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(expression: &str, origin: &str) -> Result<Self, Vec<Diagnostic>> {
        super::parse::parse(expression, origin)
    }

    /// Whether a test is meant.
    pub fn matches(&self, test: &TestSpec) -> bool {
        match self {
            Filter::All => true,
            Filter::None => false,
            Filter::Is(predicate, matcher) => predicate.holds(matcher, test),
            Filter::Label(key, matcher) => test
                .labels
                .get(key)
                .is_some_and(|value| matcher.as_ref().is_none_or(|matcher| matcher.matches(value))),
            Filter::Not(inner) => !inner.matches(test),
            Filter::And(a, b) => a.matches(test) && b.matches(test),
            Filter::Or(a, b) => a.matches(test) || b.matches(test),
        }
    }

    /// The texts that tests' names are compared with: what to look for when nothing matched.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Filter::Is(Predicate::Test | Predicate::Name | Predicate::Suite, matcher) => vec![matcher.text()],
            Filter::And(a, b) | Filter::Or(a, b) => [a.names(), b.names()].concat(),
            _ => Vec::new(),
        }
    }
}

/// As an expression that reads back as the same filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |side: &Filter| match side {
            Filter::And(..) | Filter::Or(..) => format!("({side})"),
            _ => side.to_string(),
        };
        match self {
            Filter::All => f.write_str("all()"),
            Filter::None => f.write_str("none()"),
            Filter::Is(predicate, matcher) => write!(f, "{}({matcher})", predicate.as_str()),
            Filter::Label(key, None) => write!(f, "label({key})"),
            Filter::Label(key, Some(matcher)) => write!(f, "label({key}{matcher})"),
            Filter::Not(inner) => write!(f, "!{}", operand(inner)),
            Filter::And(a, b) => write!(f, "{} & {}", operand(a), operand(b)),
            Filter::Or(a, b) => write!(f, "{} | {}", operand(a), operand(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::SourceLocation;

    fn test() -> TestSpec {
        let mut test = TestSpec::new("tour", "restart (twice)");
        test.variant = Some("tcp".into());
        test.test_group = Some("disk".into());
        test.images = vec!["redis:7".into(), "nats:2".into()];
        test.labels = [("speed", "slow"), ("example.org/team", "net"), ("flag", "")]
            .map(|(key, value)| (key.into(), value.into()))
            .into();
        test.location = Some(SourceLocation {
            file: PathBuf::from("examples/tour/restart.yaml"),
            line: 3,
        });
        test
    }

    #[track_caller]
    fn check(expression: &str, expected: bool) {
        let filter =
            Filter::parse(expression, "-E").unwrap_or_else(|found| panic!("{expression}: {found:#?}"));
        assert_eq!(filter.matches(&test()), expected, "{expression} = {filter}");
    }

    #[test]
    fn every_predicate_looks_at_its_own_thing() {
        check("test(restart)", true);
        check("test(=tour/restart \\(twice\\)/tcp)", true);
        check("test(=restart)", false);
        check("suite(tour) & name(#restart*)", true);
        check("name(restart)", false);
        check("variant(tcp) & kind(rust) & group(=disk) & image(redis:*)", true);
        check("on(process) & !on(docker)", true);
        check("file(restart.yaml) & file(tour/*) & file(/^examples\\//)", true);
        check("requires(docker) | fixture(broker)", false);
        check("test(restart (twice))", true);
    }

    #[test]
    fn labels_compare_their_value() {
        check("label(speed) & label(flag)", true);
        check("label(speed=slow)", true);
        check("label(speed=s)", false);
        check("label(speed~lo) & label(speed/^s.*w$/) & label(speed#sl*)", true);
        check("label(example.org/team=net)", true);
        check("label(flag=)", true);
        check("label(missing) | label(missing=)", false);
    }

    #[test]
    fn and_binds_tighter_than_or_and_not_tightest() {
        check("all() | none() & none()", true);
        check("(all() | none()) & none()", false);
        check("not none() and all()", true);
        check("not all() or all()", true);
        check("!none()&&!(none()||none())", true);
        check("not(none())", true);
    }

    #[test]
    fn the_names_that_were_looked_for_are_known() {
        let filter = Filter::parse("!test(a) & (test(b) | label(k=c))", "-E").unwrap();
        assert_eq!(filter.names(), ["b"]);
    }

    fn matcher() -> impl Strategy<Value = Matcher> {
        prop_oneof![
            "[a-d()\\\\ ]{0,3}[a-d)]".prop_map(Matcher::Exact),
            "[a-d()\\\\]{1,4}".prop_map(Matcher::Contains),
            "[a-d*?]{1,4}".prop_map(|glob| Matcher::glob(&glob).unwrap()),
            "[a-d./]{1,4}".prop_map(|regex| Matcher::regex(&regex).unwrap()),
        ]
    }

    fn filter() -> impl Strategy<Value = Filter> {
        let leaf = prop_oneof![
            Just(Filter::All),
            Just(Filter::None),
            (proptest::sample::select(Predicate::ALL.to_vec()), matcher())
                .prop_map(|(p, m)| Filter::Is(p, m)),
            ("[a-d]{1,2}", proptest::option::of(matcher())).prop_map(|(key, m)| Filter::Label(key, m)),
        ];
        leaf.prop_recursive(5, 24, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(|a| Filter::Not(Box::new(a))),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Filter::And(Box::new(a), Box::new(b))),
                (inner.clone(), inner).prop_map(|(a, b)| Filter::Or(Box::new(a), Box::new(b))),
            ]
        })
    }

    fn spec() -> impl Strategy<Value = TestSpec> {
        (
            "[a-d]{1,3}",
            "[a-d]{1,3}",
            proptest::collection::btree_map("[a-d]", "[a-d]{0,2}", 0..3),
        )
            .prop_map(|(suite, name, labels)| TestSpec {
                labels,
                ..TestSpec::new(suite, name)
            })
    }

    proptest! {
        // Each compiles several regular expressions.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_reads_back_the_same(filter in filter()) {
            let written = filter.to_string();
            let read = Filter::parse(&written, "-E").map_err(|found| TestCaseError::fail(format!("{written}: {found:?}")))?;
            prop_assert_eq!(read, filter, "{}", written);
        }

        #[test]
        fn operators_are_those_of_logic(a in filter(), b in filter(), test in spec()) {
            let is = |text: String| Filter::parse(&text, "-E").map(|filter| filter.matches(&test)).unwrap_or_default();
            let (x, y) = (a.matches(&test), b.matches(&test));
            prop_assert_eq!(is(format!("({a}) and ({b})")), x && y);
            prop_assert_eq!(is(format!("({a})|({b})")), x || y);
            prop_assert_eq!(is(format!("not ({a})")), !x);
            prop_assert_eq!(is(format!("!(({a}) & ({b}))")), is(format!("!({a}) | !({b})")));
        }

        #[test]
        fn nothing_that_is_typed_makes_it_panic(text in "[a-z()&|!/\\\\#~= é]{0,40}") {
            let _ = Filter::parse(&text, "-E");
        }
    }
}
