//! Whole files in, everything that is said about them out.

use std::fmt::Write as _;

use super::*;

/// Writes files, loads their directory, and shows every diagnostic as `file:line:column: message [text]; help`.
#[track_caller]
pub(super) fn check(files: &[(&str, &str)]) -> String {
    let (dir, loaded) = load_files(files);
    let mut shown = String::new();
    for diagnostic in &loaded.diagnostics {
        if let Some(place) = &diagnostic.place {
            let file = place.file.strip_prefix(dir.path()).unwrap_or(&place.file);
            let (line, column) = place.line_column();
            let _ = write!(shown, "{}:{line}:{column}: ", file.display());
        }
        if diagnostic.severity == Severity::Warning {
            shown.push_str("warning: ");
        }
        shown.push_str(&diagnostic.message);
        if let Some(place) = &diagnostic.place {
            let _ = write!(shown, " [{}]", place.text().replace('\n', "⏎"));
        }
        if let Some(help) = &diagnostic.help {
            let _ = write!(shown, "; {help}");
        }
        shown.push('\n');
    }
    shown.replace(&dir.path().display().to_string(), "DIR")
}

pub(super) fn load_files(files: &[(&str, &str)]) -> (tempfile::TempDir, Loaded) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let loaded = load(&LoadOptions {
        paths: vec![dir.path().to_owned()],
    });
    (dir, loaded)
}

const SUITE: (&str, &str) = ("seatrial.yaml", "name: s\n");

#[test]
fn a_file_with_ten_mistakes_shows_ten_places() {
    let case = "\
name: many mistakes
descripton: spelled wrong
timeout: 30
requires: docker
target:
  command: [./agent, \"{{ port.htpp }}\"]
  ports: [http]
  grace: soon
procedure:
  - log_contains: {pattern: '(', regex: yes}
  - log_contains: {pattern: '(', regex: true}
  - port_listening: htttp
  - http_chek: http://localhost
  - exec: [true]
    save: {token: stdot}
  - log_contains: \"{{ saved.tokn }}\"
  - http_check: {url: 'http://127.0.0.1:{{ port.http }}', status: 999}
";
    insta::assert_snapshot!(check(&[SUITE, ("a.yaml", case)]), @r#"
    a.yaml:1:7: `many mistakes` is no name of a case [many mistakes]; letters, digits, `.`, `_` and `-`, starting with a letter or a digit
    a.yaml:2:1: unknown key `descripton` [descripton]; did you mean `description`?
    a.yaml:3:10: `30` has no unit; write `30s` or `30ms` [30]
    a.yaml:4:11: expected a list, found `docker` [docker]
    a.yaml:6:26: `port.htpp` is not defined [port.htpp]; did you mean `http`?
    a.yaml:8:10: `soon` is no duration; write it like `500ms`, `30s`, `1m30s` or `2h` [soon]
    a.yaml:10:41: `yes` is neither `true` nor `false`; write `true` [yes]
    a.yaml:11:29: a bad regular expression: unclosed group ['(']
    a.yaml:12:21: the part `target` has no port `htttp` [htttp]; did you mean `http`?
    a.yaml:13:5: there is no step `http_chek` [http_chek]; did you mean `http_check`?
    a.yaml:15:19: `exec` has no output `stdot` [stdot]; it has stdout, stderr, code, and paths such as `.a.b` into its main output as JSON
    a.yaml:16:23: `saved.tokn` is not defined [saved.tokn]; did you mean `token`?
    a.yaml:17:67: `999` is no HTTP status; write it like `200` or `2xx` [999]
    "#);
}

#[test]
fn a_file_without_mistakes_says_nothing() {
    let case = "\
target:
  command: [./agent, \"{{ port.http }}\"]
  ports: [http]
procedure:
  - port_listening: http
  - http_check: http://127.0.0.1:{{ port.http }}/
    save: {token: .token, etag: header.etag}
  - log_contains: '{{ saved.token }}'
  - parallel:
    - process_stable_for: 1s
    - log_not_contains: panic
      during: 1s
  - signal: TERM
  - exits: 0
";
    insta::assert_snapshot!(check(&[SUITE, ("a.yaml", case)]), @"");
}
