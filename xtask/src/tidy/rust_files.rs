//! Rules about Rust source: where code may stand, and what it may do there.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    repository::{Repository, RustFile},
    rule::{Finding, Rule},
};

/// Above this a file nearly always has a second reason to exist.
const LINES_MAX: usize = 900;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "opening",
        reason: "a Rust file opens with `//!`: what it is for, and the decision behind it",
        check: opening,
    },
    Rule {
        name: "index",
        reason: "`mod.rs` and `lib.rs` hold documentation, declarations and re-exports, no logic",
        check: index,
    },
    Rule {
        name: "file-name",
        reason: "a file can be named after its one reason to exist; these names are not reasons",
        check: file_name,
    },
    Rule {
        name: "length",
        reason: "a file of more than 900 lines has a second reason to exist",
        check: length,
    },
    Rule {
        name: "exit",
        reason: "only `cli` exits the process: everyone else returns, so that cleanup happens",
        check: exit,
    },
    Rule {
        name: "signals",
        reason: "only `cli` installs signal handlers: there is one answer to Ctrl-C",
        check: |repository| outside_cli(repository, &SIGNALS),
    },
    Rule {
        name: "arguments",
        reason: "only `cli` reads the command line: the crates below are usable without it",
        check: |repository| outside_cli(repository, &ARGUMENTS),
    },
    Rule {
        name: "sleep",
        reason: "waits are on events; where only time or polling will do, a comment says why",
        check: sleep,
    },
    Rule {
        name: "bound",
        reason: "every queue has a bound; where it has none, a comment says what bounds it",
        check: bound,
    },
    Rule {
        name: "lint-reason",
        reason: "a lint is overruled for a reason, and the reason stands there",
        check: lint_reason,
    },
    Rule {
        name: "safety",
        reason: "`unsafe` is for system calls, each with what makes it sound in a `// SAFETY:` comment",
        check: safety,
    },
    Rule {
        name: "fixed-port",
        reason: "a test listens on port 0 or a probed one: fixed ports clash with whatever else runs",
        check: fixed_port,
    },
];

macro_rules! pattern {
    ($name:ident, $pattern:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).unwrap());
    };
}

pattern!(EXIT, r"\bprocess::(exit|abort)\b");
pattern!(
    SIGNALS,
    r"\bsignal::(unix|ctrl_c|signal|sigaction)\b|\bctrl_c\(|\bsigaction\(|\bsignal_hook\b|\bSignalKind\b"
);
pattern!(ARGUMENTS, r"\benv::args(_os)?\b");
pattern!(SLEEP, r"\b(thread|time)::sleep\(|(^|[^:.\w])sleep\(");
pattern!(
    UNBOUNDED,
    r"\bunbounded_channel\b.*\(|\bmpsc::channel(::<[^(]*>)?\(\)|\bunbounded(::<[^(]*>)?\(\)"
);
// A branch of `select!`.
pattern!(DEADLINE, r"= .*\bsleep\(.*\) =>");
pattern!(CONSTANT, r"\b[A-Z][A-Z0-9_]{2,}\b");
pattern!(FUNCTION, r"\bfn\s+\w+");
pattern!(LINT, r"#!?\[(allow|expect)\(");
pattern!(UNSAFE, r"\bunsafe\s*(\{|impl\b|extern\b)");
pattern!(
    FIXED_PORT,
    r#"\b(bind|listen|serve)(_addr)?\(\s*\(?"[^"]*"?[:,]\s*[1-9]\d+"#
);

fn opening(repository: &Repository) -> Vec<Finding> {
    let closed = repository
        .rust
        .iter()
        .filter(|file| !file.lines[0].starts_with("//! "));
    closed
        .map(|file| Finding::new(&file.path, 1, "does not open with `//! `"))
        .collect()
}

fn index(repository: &Repository) -> Vec<Finding> {
    let indexes = repository
        .rust
        .iter()
        .filter(|file| file.path.ends_with("/mod.rs") || file.path.ends_with("/lib.rs"));
    indexes
        .flat_map(|file| {
            code_matches(file, &FUNCTION)
                .filter(|at| !file.is_test[*at])
                .map(|at| Finding::new(&file.path, at + 1, "has a function"))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn file_name(repository: &Repository) -> Vec<Finding> {
    let is_reason = |part: &str| {
        let stem = part.trim_end_matches(".rs");
        !matches!(
            stem,
            "util" | "utils" | "helper" | "helpers" | "common" | "misc" | "types" | "error" | "errors"
        )
    };
    let nameless = repository
        .rust
        .iter()
        .filter(|file| !file.path.split('/').all(is_reason));
    nameless
        .map(|file| Finding::new(&file.path, 0, "what is in here?"))
        .collect()
}

fn length(repository: &Repository) -> Vec<Finding> {
    let long = repository
        .rust
        .iter()
        .filter(|file| file.lines.len() > LINES_MAX + 1);
    long.map(|file| {
        Finding::new(
            &file.path,
            LINES_MAX,
            format!("goes on for {} lines", file.lines.len() - 1),
        )
    })
    .collect()
}

/// `clippy::exit`, overruled with a reason, is how a helper process says that it is one.
fn exit(repository: &Repository) -> Vec<Finding> {
    let mut found = outside_cli(repository, &EXIT);
    found.retain(|finding| {
        let file = repository.rust.iter().find(|file| file.path == finding.path);
        !file.is_some_and(|file| {
            let above = file.masked.code[..finding.line - 1].iter().rev();
            let mut own = above.take_while(|line| !line.trim_end().ends_with([';', '}', '{']));
            own.any(|line| line.contains("clippy::exit"))
        })
    });
    found
}

/// What only `cli` does. Examples, tests and build scripts are programs of their own.
fn outside_cli(repository: &Repository, pattern: &Regex) -> Vec<Finding> {
    let libraries = repository.rust.iter().filter(|file| {
        let mut parts = file.path.split('/');
        parts.next() == Some("crates") && parts.next() != Some("cli") && parts.next() == Some("src")
    });
    libraries
        .flat_map(|file| {
            code_matches(file, pattern)
                .filter(|at| !file.is_test[*at])
                .map(|at| Finding::new(&file.path, at + 1, file.lines[at].trim()))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The reason may stand where the span is named: at a constant of the same file.
fn sleep(repository: &Repository) -> Vec<Finding> {
    let is_explained = |file: &RustFile, at: usize| {
        file.has_comment_at(at)
            || CONSTANT.find_iter(&file.masked.code[at]).any(|name| {
                let definition = format!("const {}:", name.as_str());
                let mut lines = file.masked.code.iter();
                let defined = lines.position(|line| line.contains(&definition));
                defined.is_some_and(|at| file.has_comment_at(at))
            })
    };
    unexplained(
        repository,
        &SLEEP,
        is_explained,
        "sleeps, and no comment says why",
    )
}

fn bound(repository: &Repository) -> Vec<Finding> {
    let is_explained = |file: &RustFile, at: usize| file.is_test[at] || file.has_comment_at(at);
    unexplained(
        repository,
        &UNBOUNDED,
        is_explained,
        "an unbounded queue, and no comment says what bounds it",
    )
}

/// Examples are left out: what a target does, or pretends to do, is its own affair.
fn unexplained(
    repository: &Repository,
    pattern: &Regex,
    is_explained: impl Fn(&RustFile, usize) -> bool,
    what: &str,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in repository
        .rust
        .iter()
        .filter(|file| !file.path.split('/').any(|part| part == "examples"))
    {
        for at in code_matches(file, pattern) {
            let code = &file.masked.code[at];
            let is_deadline = DEADLINE.is_match(code);
            let is_definition = code.contains("fn ");
            if !is_deadline && !is_definition && !is_explained(file, at) {
                found.push(Finding::new(&file.path, at + 1, what));
            }
        }
    }
    found
}

fn lint_reason(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &repository.rust {
        for at in code_matches(file, &LINT) {
            let mut attribute = file.masked.code[at..].iter();
            let length = attribute
                .position(|line| line.trim_end().ends_with(']'))
                .unwrap_or(0);
            let has_reason = file.masked.code[at..=at + length]
                .iter()
                .any(|line| line.contains("reason"));
            if !has_reason && !file.has_comment_at(at) {
                found.push(Finding::new(&file.path, at + 1, file.lines[at].trim()));
            }
        }
    }
    found
}

fn safety(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &repository.rust {
        for at in code_matches(file, &UNSAFE) {
            let has_safety = (0..=at)
                .rev()
                .take_while(|line| *line == at || !file.masked.code[*line].trim_end().ends_with([';', '}']))
                .any(|line| file.masked.comments[line].contains("SAFETY:"));
            if !has_safety {
                found.push(Finding::new(&file.path, at + 1, "unsafe without `// SAFETY:`"));
            }
        }
    }
    found
}

fn fixed_port(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &repository.rust {
        for (at, line) in file.lines.iter().enumerate() {
            let is_code = !file.masked.code[at].trim().is_empty();
            if is_code && file.is_test[at] && FIXED_PORT.is_match(line) {
                found.push(Finding::new(&file.path, at + 1, line.trim()));
            }
        }
    }
    found
}

/// The lines, from 0, whose code matches.
fn code_matches<'a>(file: &'a RustFile, pattern: &'a Regex) -> impl Iterator<Item = usize> + 'a {
    let lines = file.masked.code.iter().enumerate();
    lines.filter(|(_, code)| pattern.is_match(code)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::{LINES_MAX, RULES};
    use crate::tidy::rule;

    const LIBRARY: &str = "crates/engine/src/a.rs";

    #[track_caller]
    fn check(name: &str, path: &str, text: &str, expected: &[&str]) {
        rule::check(RULES, name, &[(path, text)], expected);
    }

    #[test]
    fn a_file_opens_with_what_it_is_for() {
        check("opening", LIBRARY, "//! For a.\n", &[]);
        check(
            "opening",
            LIBRARY,
            "use a;\n//! For a.\n",
            &["crates/engine/src/a.rs:1: does not open with `//! `"],
        );
        check(
            "opening",
            LIBRARY,
            "",
            &["crates/engine/src/a.rs:1: does not open with `//! `"],
        );
    }

    #[test]
    fn an_index_holds_no_logic() {
        let text = "//! A.\nmod a;\npub use a::{A, fn_of};\n// fn no() {}\nfn b() {}\n";
        check(
            "index",
            "crates/engine/src/lib.rs",
            text,
            &["crates/engine/src/lib.rs:5: has a function"],
        );
        check(
            "index",
            "crates/engine/src/a/mod.rs",
            text,
            &["crates/engine/src/a/mod.rs:5: has a function"],
        );
        check("index", LIBRARY, text, &[]);
    }

    #[test]
    fn some_names_are_no_reasons() {
        check(
            "file-name",
            "crates/engine/src/utils.rs",
            "",
            &["crates/engine/src/utils.rs:0: what is in here?"],
        );
        check(
            "file-name",
            "crates/a/src/common/b.rs",
            "",
            &["crates/a/src/common/b.rs:0: what is in here?"],
        );
        check("file-name", "crates/a/src/uncommon.rs", "", &[]);
    }

    #[test]
    fn a_file_ends_somewhere() {
        check("length", LIBRARY, &"\n".repeat(LINES_MAX), &[]);
        check(
            "length",
            LIBRARY,
            &"\n".repeat(LINES_MAX + 1),
            &["crates/engine/src/a.rs:900: goes on for 901 lines"],
        );
    }

    #[test]
    fn only_cli_ends_listens_and_reads_the_command_line() {
        let exits = "fn a() {\n    std::process::exit(1)\n}";
        check(
            "exit",
            LIBRARY,
            exits,
            &["crates/engine/src/a.rs:2: std::process::exit(1)"],
        );
        check("exit", "crates/cli/src/a.rs", exits, &[]);
        check("exit", "crates/engine/tests/it/main.rs", exits, &[]);
        check(
            "exit",
            LIBRARY,
            "// process::exit(1)\nfn a() -> &str { \"process::exit(1)\" }",
            &[],
        );
        let helper = "#[allow(\n    clippy::exit,\n    reason = \"a helper\"\n)]\n_ => process::exit(0),";
        check("exit", LIBRARY, helper, &[]);
        let excepted = "// tidy: exit: a helper process has nothing to clean up\nprocess::exit(1);";
        check("exit", LIBRARY, excepted, &[]);
        let other = "// tidy: signals: wrong rule\nprocess::exit(1);";
        check(
            "exit",
            LIBRARY,
            other,
            &["crates/engine/src/a.rs:2: process::exit(1);"],
        );
        let signal = "use tokio::signal::unix::Signal;";
        check(
            "signals",
            LIBRARY,
            signal,
            &["crates/engine/src/a.rs:1: use tokio::signal::unix::Signal;"],
        );
        let reads = "let a = std::env::args_os();";
        check(
            "arguments",
            LIBRARY,
            reads,
            &["crates/engine/src/a.rs:1: let a = std::env::args_os();"],
        );
    }

    #[test]
    fn a_sleep_says_why() {
        let bare = "fn a() {\n    tokio::time::sleep(SECOND).await;\n}";
        check(
            "sleep",
            LIBRARY,
            bare,
            &["crates/engine/src/a.rs:2: sleeps, and no comment says why"],
        );
        check(
            "sleep",
            LIBRARY,
            "// the kernel tells nobody\nthread::sleep(SECOND);",
            &[],
        );
        check("sleep", LIBRARY, "thread::sleep(SECOND); // as asked", &[]);
        let inner =
            "// it may be dying still\nsoon(async {\n    while it_is_there() {\n        sleep(POLL).await;";
        check("sleep", LIBRARY, inner, &[]);
        let later =
            "// it tells nobody\nwhile a {\n    if b {\n        return;\n    }\n    sleep(POLL).await;";
        check("sleep", LIBRARY, later, &[]);
        let other = "// about b\nb();\nthread::sleep(SECOND);";
        check(
            "sleep",
            LIBRARY,
            other,
            &["crates/engine/src/a.rs:3: sleeps, and no comment says why"],
        );
        let constant = "/// The kernel tells nobody.\nconst POLL: Duration = SECOND;\n\nthread::sleep(POLL);";
        check("sleep", LIBRARY, constant, &[]);
        check("sleep", LIBRARY, "() = tokio::time::sleep(timeout) => None,", &[]);
        check("sleep", LIBRARY, "fn sleep(for_how_long: u8) {}", &[]);
    }

    #[test]
    fn a_queue_has_a_bound() {
        let expected = &["crates/engine/src/a.rs:1: an unbounded queue, and no comment says what bounds it"];
        check("bound", LIBRARY, "let a = mpsc::unbounded_channel();", expected);
        check(
            "bound",
            LIBRARY,
            "let a = std::sync::mpsc::channel::<u8>();",
            expected,
        );
        check("bound", LIBRARY, "let a = mpsc::channel(16);", &[]);
        check(
            "bound",
            LIBRARY,
            "// one a test\nlet a = mpsc::unbounded_channel();",
            &[],
        );
    }

    #[test]
    fn a_lint_is_overruled_for_a_reason() {
        check(
            "lint-reason",
            LIBRARY,
            "#[allow(dead_code)]\nfn a() {}",
            &["crates/engine/src/a.rs:1: #[allow(dead_code)]"],
        );
        check(
            "lint-reason",
            LIBRARY,
            "#[expect(\n  dead_code,\n  reason = \"later\"\n)]\nfn a() {}",
            &[],
        );
        check(
            "lint-reason",
            LIBRARY,
            "// SAFETY: as above\n#[allow(unsafe_code)]\nfn a() {}",
            &[],
        );
    }

    #[test]
    fn unsafe_says_what_makes_it_sound() {
        let expected = &["crates/engine/src/a.rs:1: unsafe without `// SAFETY:`"];
        check("safety", LIBRARY, "unsafe { a() }", expected);
        check(
            "safety",
            LIBRARY,
            "// SAFETY: a takes nothing\nlet b = unsafe { a() };",
            &[],
        );
    }

    #[test]
    fn ports_are_not_fixed() {
        let expected = &["crates/a/tests/it/b.rs:1: TcpListener::bind(\"127.0.0.1:8080\")"];
        check(
            "fixed-port",
            "crates/a/tests/it/b.rs",
            "TcpListener::bind(\"127.0.0.1:8080\")",
            expected,
        );
        check(
            "fixed-port",
            "crates/a/tests/it/b.rs",
            "TcpListener::bind(\"127.0.0.1:0\")",
            &[],
        );
        let pair = &["crates/a/tests/it/b.rs:1: TcpListener::bind((\"127.0.0.1\", 8080))"];
        check(
            "fixed-port",
            "crates/a/tests/it/b.rs",
            "TcpListener::bind((\"127.0.0.1\", 8080))",
            pair,
        );
    }
}
