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
    a.yaml:4:11: expected a list, found `docker` [docker]; a list of one is `[docker]`
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

#[test]
fn the_samples_of_the_reference_are_right() {
    let page = crate::reference_markdown();
    let samples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let [whole, steps, own] = samples[..] else {
        panic!("{} samples", samples.len())
    };
    let suite = format!(
        "build: {{agent: {{command: make, find: {{path: agent}}}}}}\n{}",
        own
    );
    let steps = format!("target: {{command: x, ports: [http]}}\n{steps}  - set_level: high\n");
    let said = check(&[("seatrial.yaml", &suite), ("a.yaml", whole), ("b.yaml", &steps)]);
    assert_eq!(said, "");
}

#[test]
fn yaml_that_is_refused() {
    let said = check(&[
        SUITE,
        ("a-tab.yaml", "target:\n\tcommand: x\n"),
        (
            "b-twice.yaml",
            "target: x\ntimeout: 1s\nprocedure: []\ntimeout: 2s\n",
        ),
        ("c-two.yaml", "target: x\nprocedure: []\n---\ntarget: y\n"),
        ("d-empty.yaml", "# nothing yet\n"),
        ("e-open.yaml", "target: [x\nprocedure: []\n"),
        ("f-tag.yaml", "target: !secret x\nprocedure: []\n"),
        ("g-list.yaml", "- target\n"),
    ]);
    insta::assert_snapshot!(said, @r#"
    a-tab.yaml:2:2: not YAML: tabs disallowed within this context (block indentation) [c]; YAML is indented by spaces, never by tabs
    b-twice.yaml:4:1: `timeout` is given twice [timeout]; it is in line 2 already
    c-two.yaml:3:1: a second document [---]; a file holds one document; split it at the `---`
    d-empty.yaml:1:1: an empty case file []
    e-open.yaml:2:10: not YAML: illegal placement of ':' indicator [:]
    f-tag.yaml:1:17: the tag `!secret` [x]; tags have no meaning here
    g-list.yaml:1:1: expected a mapping, found a list [- target]
    "#);
}

#[test]
fn aliases_that_multiply_are_stopped() {
    let mut bomb = String::from("x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let alias = format!("*a{}", level - 1);
        bomb.push_str(&format!(
            "x-{level}: &a{level} [{}]\n",
            vec![alias; 10].join(", ")
        ));
    }
    bomb.push_str("target: x\nprocedure: []\n");
    let said = check(&[SUITE, ("bomb.yaml", &bomb)]);
    assert!(said.contains("more than 200000 nodes"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn anchors_and_merge_keys_work() {
    let case = "\
x-step: &ready {log_contains: ready, timeout: 5s}
target: &part
  command: exec sleep 1
  env: {MODE: 0644, ON: yes, EMPTY: ''}
parts:
  other: {<<: *part, grace: 1s}
procedure:
  - *ready
  - <<: *ready
    part: other
";
    let (_dir, loaded) = load_files(&[SUITE, ("a.yaml", case)]);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let case = &loaded.suites[0].cases[0];
    let other = &case.parts[0];
    assert_eq!(other.name, "other");
    assert_eq!(other.grace.as_secs(), 1);
    assert_eq!(
        format!("{:?}", other.env),
        r#"{"MODE": "0644", "ON": "yes", "EMPTY": ""}"#
    );
    assert_eq!(case.parts[case.target].grace.as_secs(), 10);
    assert_eq!(
        case.procedure[1].part,
        crate::plan::PartReference::Named("other".into())
    );
}

#[test]
fn names_of_parts_ports_and_fixtures_are_checked() {
    let suite = "\
values: {base: \"{{ fixtur.x }}\"}
build:
  agent: {command: make, find: {path: agent}, env: {X: \"{{ value.base }}\"}}
fixtures:
  broker:
    uses: [later]
    target: {command: \"broker {{ port.cleint }}\", ports: [client], ready: [port_listening: clien]}
    outputs: {url: \"{{ part.target.port.client }}\", bad: \"{{ case.name }}\"}
  later:
    parts: {a: x, b: {command: y, depends_on: [a, c]}}
    ready: [log_contains: ready]
";
    let case = "\
uses: [broker, brokr]
target:
  command: [\"{{ build.agnt }}\", \"{{ fixture.broker.url }}\", \"{{ fixture.broker.port.clients }}\", \"{{ fixture.later.x }}\"]
  env: {SELF: \"{{ port.http }} {{ dir }} {{ uuid }} {{ env.HOME }} {{ case.name }} {{ suite.dir }}\"}
parts:
  side: {command: \"{{ part.target.port.http }}\", depends_on: {target: readi}}
procedure:
  - log_contains: x
    part: sidecar
  - port_listening: http
";
    insta::assert_snapshot!(check(&[("seatrial.yaml", suite), ("a.yaml", case)]), @r#"
    seatrial.yaml:3:60: `value` is not defined [value.base]; did you mean `values`?
    seatrial.yaml:6:12: the fixture `later` is defined further below [later]; a fixture can use those that are defined before it
    seatrial.yaml:7:34: `port.cleint` is not defined [port.cleint]; did you mean `client`?
    seatrial.yaml:7:92: the part `target` has no port `clien` [clien]; did you mean `client`?
    seatrial.yaml:8:62: `case` is not defined [case.name]; known here: build, env, fixture, part, port, saved, suite, uuid, values
    seatrial.yaml:10:51: there is no part `c` [c]; did you mean `b`?
    seatrial.yaml:11:13: which part is meant? [log_contains]; add `part:` (a, b), or call one of them `target`
    a.yaml:1:16: there is no fixture `brokr` [brokr]; did you mean `broker`?
    seatrial.yaml:1:20: `fixtur` is not defined [fixtur.x]; did you mean `fixture`?
    a.yaml:3:17: `build.agnt` is not defined [build.agnt]; did you mean `agent`?
    a.yaml:3:65: `fixture.broker.port.clients` is not defined [fixture.broker.port.clients]; did you mean `client`?
    a.yaml:3:102: `fixture.later` is not defined [fixture.later.x]; known here: broker
    a.yaml:4:19: `port.http` is not defined [port.http]; there are none here
    a.yaml:6:23: `part.target.port.http` is not defined [part.target.port.http]; there are none here
    a.yaml:6:71: expected one of started, ready, completed; found `readi` [readi]; did you mean `ready`?
    a.yaml:9:11: there is no part `sidecar` [sidecar]; did you mean `side`?
    a.yaml:10:21: the part `target` has no port `http` [http]; there are none here
    "#);
}

#[test]
fn own_steps_are_checked_where_they_stand_and_where_they_are_used() {
    let suite = "\
steps:
  log_contains: {procedure: []}
  get:
    parameters:
      path: text
      status: {type: integer, default: soon}
      timeout: duration
    short: pth
    procedure:
      - http_check: \"http://127.0.0.1:{{ port.http }}{{ parameters.paht }}\"
        save: {body: .x}
      - log_contains: \"{{ saved.body }} {{ saved.token }}\"
  twice:
    description: Gets it twice
    parameters:
      path: {type: text, description: What to get}
      count: {type: integer, default: 2}
    short: path
    procedure:
      - get: {path: \"{{ parameters.path }}\"}
      - thrice: x
  thrice: {procedure: []}
";
    let case = "\
target: {command: x}
procedure:
  - twice: {count: many, cuont: 3}
  - twice: /x
    count: \"{{ values.n }}\"
  - log_contains: \"{{ saved.body }} {{ parameters.path }}\"
";
    insta::assert_snapshot!(check(&[("seatrial.yaml", suite), ("a.yaml", case)]), @r#"
    seatrial.yaml:2:3: `log_contains` is a step of the vocabulary [log_contains]; choose another name
    seatrial.yaml:6:15: the default `soon` is of the wrong type; it should be: integer [{type: integer, default: soon}]
    seatrial.yaml:7:16: `timeout` is an option of every step [duration]; choose another name
    seatrial.yaml:8:12: there is no parameter `pth` [pth]; did you mean `path`?
    seatrial.yaml:10:57: `parameters.paht` is not defined [parameters.paht]; did you mean `path`?
    seatrial.yaml:20:9: `timeout` is missing [get]
    seatrial.yaml:21:9: the step `thrice` is defined further below [thrice]; a step can use those that are defined before it
    a.yaml:3:5: `path` is missing [twice]; What to get
    a.yaml:3:5: `twice` needs more than there is here: `port.http` is not defined [twice]; there are none here (needed in DIR/seatrial.yaml:10:42)
    a.yaml:3:5: `twice` needs more than there is here: `saved.token` is not defined [twice]; there are none here (needed in DIR/seatrial.yaml:12:44)
    a.yaml:3:20: `many` is of the wrong type; it should be: integer [many]
    a.yaml:3:26: unknown key `cuont` [cuont]; did you mean `count`?
    a.yaml:4:5: `twice` needs more than there is here: `port.http` is not defined [twice]; there are none here (needed in DIR/seatrial.yaml:10:42)
    a.yaml:4:5: `twice` needs more than there is here: `saved.token` is not defined [twice]; known here: body (needed in DIR/seatrial.yaml:12:44)
    a.yaml:5:16: `values.n` is not defined [values.n]; there are none here
    a.yaml:6:40: `parameters.path` is not defined [parameters.path]; only a suite's own steps have parameters
    "#);
}

#[test]
fn what_is_saved_is_known_to_later_steps_only() {
    let case = "\
target: {command: x}
procedure:
  - log_contains: \"{{ saved.early }}\"
  - log_contains: {pattern: 'a(?P<id>b)', regex: true}
    save: {early: match.id, line: line, bad: groups.id}
  - parallel:
    - exec: {command: x, save: {one: stdout}}
    - log_contains: \"{{ saved.one }}\"
  - log_contains: \"{{ saved.one }} {{ saved.early }}\"
    when: saved.two == 'x'
  - sleep: {duration: 1s, reason: it is, save: {x: .y}}
finally:
  - log_contains: \"{{ saved.line }}\"
";
    insta::assert_snapshot!(check(&[SUITE, ("a.yaml", case)]), @r#"
    a.yaml:3:23: `saved.early` is used before it is saved [saved.early]; a later step saves it
    a.yaml:5:46: `log_contains` has no output `groups.id` [groups.id]; it has line, match, match.NAME, and paths such as `.a.b` into its main output as JSON
    a.yaml:8:25: `saved.one` is used before it is saved [saved.one]; a later step saves it
    a.yaml:10:11: `saved.two` is not defined [saved.two]; known here: bad, early, line, one
    a.yaml:11:52: `sleep` has no output to save [.y]
    "#);
}

#[test]
fn steps_say_what_belongs_together() {
    let case = "\
target: {command: x, ports: [a], files: {x: {mode: 0888, content: a, source: b}, y: {source: missing}}}
slots: 0
procedure:
  - exits: {code: 0, signal: TERM}
  - port_listening: {}
  - port_listening: {port: a, path: /x}
  - port_listening: {port: 70000}
  - http_check: {url: localhost/x, client_key: k, json: {'.a[': 1}}
  - http_check: {url: 'http://x', status: {equal: 200, not_equal: 3}}
  - send: {payload: x}
  - send: {to: x, payload: x, expect: {}}
  - write_file: {path: x}
  - sleep: 1s
  - signal: TREM
  - log_contains: {pattern: x, count: {at_least: 3, at_most: 2}}
  - log_contains: x
    pattern: y
  - exec: []
  - restart
  - restrat
  - name: nothing
  - log_contains: '{{ unfinished '
  - log_contains: x
    when: 'a ='
";
    insta::assert_snapshot!(check(&[SUITE, ("a.yaml", case)]), @r#"
    a.yaml:1:52: `0888` is no file mode; write it like `0644` or `0755` [0888]
    a.yaml:1:78: there is no file `b` [b]; looked for DIR/b
    a.yaml:1:94: there is no file `missing` [missing]; looked for DIR/missing
    a.yaml:2:8: a test takes at least one slot [0]
    a.yaml:4:5: a process ends with a `code` or by a `signal`, not both [exits]
    a.yaml:5:5: neither a `port` nor a `path` [port_listening]
    a.yaml:6:5: a `port` and a `path`; one step looks for one of them [port_listening]
    a.yaml:7:28: `70000` is no port; they end at 65535 [70000]
    a.yaml:8:5: `client_certificate` and `client_key` belong together [http_check]
    a.yaml:8:23: `localhost/x` is no URL; it starts with `http://` or `https://` [localhost/x]
    a.yaml:8:58: a bracket is not closed at character 3 of `.a[` ['.a[']
    a.yaml:9:67: `3` is no HTTP status; write it like `200` or `2xx` [3]
    a.yaml:10:5: exactly one of `to` and `port` says where to send [send]
    a.yaml:11:39: nothing is expected [{}]; give `contains`, `regex` or `equals`
    a.yaml:12:5: exactly one of `content` and `source` says what to write [write_file]
    a.yaml:13:5: `reason` is missing [sleep]
    a.yaml:14:13: `TREM` is no signal; did you mean `TERM`? [TREM]
    a.yaml:15:39: no count can be all of this [{at_least: 3, at_most: 2}]; give `exactly`, or `at_least` and `at_most` with the smaller first
    a.yaml:17:5: `pattern` is given twice [pattern]; it is in line 16 already
    a.yaml:18:11: a command without a program [[]]
    a.yaml:20:5: there is no step `restrat` [restrat]; did you mean `restart`?
    a.yaml:21:5: no step is named here [name: nothing]
    a.yaml:22:19: a bad template: unexpected end of input, expected end of variable block ['{{ unfinished ']; for braces that are meant literally: {% raw %}...{% endraw %}
    a.yaml:24:11: a bad expression: unexpected input after expression ['a =']
    "#);
}

#[test]
fn a_matrix_makes_variants() {
    let list = "\
target: \"{{ values.n }}\"
values: {n: 0}
matrix:
  - {name: one, values: {n: 1}, labels: [a], env: {X: '{{ values.n }}'}}
  - {name: two, requires: [root], skip: not yet}
procedure: []
";
    let axes = "\
target: \"{{ values.protocol }} {{ values.size }}\"
matrix: {protocol: [udp, unix], size: [1, 2]}
procedure: []
";
    let (_dir, loaded) = load_files(&[SUITE, ("axes.yaml", axes), ("list.yaml", list)]);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let shown: Vec<String> = loaded.suites[0]
        .cases
        .iter()
        .map(|case| {
            format!(
                "{}/{} {:?} {:?}",
                case.name,
                case.variant.as_deref().unwrap(),
                case.values,
                case.skip
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    axes/udp-1 {"protocol": Plain(String("udp")), "size": Plain(Number(1))} None
    axes/udp-2 {"protocol": Plain(String("udp")), "size": Plain(Number(2))} None
    axes/unix-1 {"protocol": Plain(String("unix")), "size": Plain(Number(1))} None
    axes/unix-2 {"protocol": Plain(String("unix")), "size": Plain(Number(2))} None
    list/one {"n": Plain(Number(1))} None
    list/two {"n": Plain(Number(0))} Some("not yet")
    "#);
}

#[test]
fn mistakes_in_a_matrix() {
    let case = "\
target: x
matrix:
  - {name: one, values: {n: 1}}
  - {name: one}
  - {name: t/wo, values: {m: 1}}
procedure:
  - log_contains: \"{{ values.n }}\"
";
    let axes = "\
target: x
matrix: {a: [], b: [x y, [1]]}
procedure: []
";
    insta::assert_snapshot!(check(&[SUITE, ("a.yaml", case), ("b.yaml", axes)]), @r#"
    a.yaml:4:12: the variant `one` is given twice [one]
    a.yaml:5:12: `t/wo` is no name of a variant [t/wo]; letters, digits, `.`, `_` and `-`, starting with a letter or a digit
    a.yaml:7:23: `values.n` is not defined [values.n]; there are none here
    b.yaml:2:13: the axis `a` has no values [[]]
    b.yaml:2:21: `x y` is no name of a variant [x y]; letters, digits, `.`, `_` and `-`, starting with a letter or a digit
    b.yaml:2:26: a value of an axis is one word; for more, list the variants [[1]]
    "#);
}

#[test]
fn mistakes_in_a_suite_file() {
    let suite = "\
nmae: x
timeout: 5s
defaults: {timeout: 5, target: {command: x, gracee: 1s}}
build: {a: {command: make}, b: {command: make, find: {cargo: x, path: y}}}
test_groups: {db: 0}
profiles: {ci: {retries: -1, fail_fast: maybe}}
overrides:
  - {filter: 'test(~x) & lable(y)', profile: cii, test_group: dbb}
secrets: [hunter2, {env: TOKEN, file: x}]
cases: ['cases/[', 'nothing/*.yaml']
";
    insta::assert_snapshot!(check(&[("seatrial.yaml", suite)]), @r#"
    seatrial.yaml:1:1: unknown key `nmae` [nmae]; did you mean `name`?
    seatrial.yaml:2:1: unknown key `timeout` [timeout]; known here: name, description, labels, defaults, cases, values, build, fixtures, steps, profiles, overrides, test_groups, secrets
    seatrial.yaml:3:21: `5` has no unit; write `5s` or `5ms` [5]
    seatrial.yaml:3:45: unknown key `gracee` [gracee]; did you mean `grace`?
    seatrial.yaml:4:12: `find` is missing [{command: make}]
    seatrial.yaml:4:54: exactly one of `cargo`, `path` and `last_line` says what was made [{cargo: x, path: y}]
    seatrial.yaml:5:14: the test group `db` could never run anything [{db: 0}]
    seatrial.yaml:6:26: `-1` is not from 0 to 4294967295 [-1]
    seatrial.yaml:6:41: `maybe` is no whole number [maybe]
    seatrial.yaml:8:26: there is no predicate `lable` [lable]; did you mean `label`?
    seatrial.yaml:8:46: there is no profile `cii` [cii]; did you mean `ci`?
    seatrial.yaml:8:63: there is no test group `dbb` [dbb]; did you mean `db`?
    seatrial.yaml:9:11: a secret is not written in a file [hunter2]; to mask the value of a variable: `env: NAME`
    seatrial.yaml:9:20: exactly one of `env` and `file` says what the secret is [{env: TOKEN, file: x}]
    seatrial.yaml:10:9: a bad pattern: unclosed character class; missing ']' ['cases/[']
    seatrial.yaml:10:20: warning: `nothing/*.yaml` matches no file ['nothing/*.yaml']; patterns are relative to DIR
    "#);
}

#[test]
fn names_are_unique_in_their_suite_and_suites_among_each_other() {
    let case = "target: x\nname: same\nprocedure: []\n";
    let several = "cases:\n- {target: x, name: one, procedure: []}\n- {target: x, procedure: []}\n- {target: x, name: same, procedure: []}\n";
    let said = check(&[
        ("one/seatrial.yaml", "name: s\n"),
        ("one/a.yaml", case),
        ("one/b.yaml", several),
        ("two/seatrial.yaml", "name: s\n"),
        ("two/a.yaml", case),
    ]);
    insta::assert_snapshot!(said, @r#"
    one/b.yaml:3:3: a case among several has a `name` [{target: x, procedure: []}]
    one/b.yaml:4:21: a second case `same` in the suite `s` [same]; the first is DIR/one/a.yaml:2:7
    two/seatrial.yaml:1:1: a second suite `s`; tests would have the same names []; the first is in DIR/one; give one of them another `name`
    "#);
}

#[test]
fn files_of_another_harness_load() {
    let newer = "\
type: integration
name: newer
timeout: 1m30s
runtimes: [linux, mac]
env:
  PANORAMIC_DYNAMIC_IP: \"hostname -i | awk '{print $1}'\"
  BIND: \"{{PANORAMIC_DYNAMIC_IP}}\"
container:
  files: [\"not-there.py:/x.py\"]
  exposed_ports: [\"8125/udp\"]
  unconfined_seccomp: true
procedure:
  - assertion: http_check
    endpoint: http://localhost:1/
    status: {not_equal: 404}
    body: {equal: \"O.K\"}
    insecure_skip_verify: true
  - action: dogstatsd_send
    payload: a:1|c
    port: 8125
  - action: core_agent_config_set
    key: x
    value: [1, {name: y}]
";
    let older = "\
name: older
container: {image: x, env: {A: b}}
assertions:
  - parallel:
    - type: process_stable_for
      duration: 1s
    - type: health_check
      endpoint: http://localhost:1/
      expected_status: 200
  - type: adp_exits_with
    expected_code: 1
";
    let windows = "type: integration\nruntimes: [windows]\nassertions: []\n";
    let files = [
        ("cases/newer/config.yaml", newer),
        ("cases/older/config.yaml", older),
        ("cases/win/config.yaml", windows),
        ("cases/win/other.yaml", "not: a case\n"),
    ];
    let (_dir, loaded) = load_files(&files);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let mut shown = String::new();
    for file in crate::outline(&loaded.suites[0]) {
        for case in file.cases {
            let name = case.name.split('/').next_back().unwrap();
            writeln!(shown, "{name}: {}", case.skip.unwrap_or_default()).unwrap();
            for step in case.steps {
                let served = if step.served { "" } else { ", not served" };
                writeln!(shown, "{}{}{served}", "  ".repeat(step.depth + 1), step.name).unwrap();
            }
        }
    }
    insta::assert_snapshot!(shown, @r#"
    newer: the step `core_agent_config_set` is not defined by this suite
      http_check http://localhost:1/
      send
      core_agent_config_set, not served
    older: it runs in containers, which this version does not start
      parallel
        process_stable_for 1s
        http_check http://localhost:1/
      exits 1
    win: it is for windows only
    "#);
    let newer = &loaded.suites[0].cases[0];
    assert_eq!(
        newer.parts[0].dynamic["PANORAMIC_DYNAMIC_IP"],
        "hostname -i | awk '{print $1}'"
    );
    let crate::vocabulary::StepKind::HttpCheck(step) = &newer.procedure[0].kind else {
        panic!()
    };
    assert_eq!(
        step.body_regex.as_ref().unwrap().as_literal().unwrap(),
        r"\AO\.K\z"
    );
}

#[test]
fn a_suite_serves_steps_of_another_harness_by_defining_them() {
    let suite = "steps: {adp_cli: {parameters: {args: any}, procedure: [exec: 'agent {{ parameters.args | join(\" \") }}']}}\n";
    let case = "target: x\nprocedure:\n- action: adp_cli\n  args: [config]\n";
    let (_dir, loaded) = load_files(&[("seatrial.yaml", suite), ("a.yaml", case)]);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    assert_eq!(loaded.suites[0].cases[0].skip, None);
}

#[test]
fn paths_select_suites_directories_and_files() {
    let case = "target: x\nprocedure: []\n";
    let (dir, _) = load_files(&[
        ("s/seatrial.yaml", "name: s\n"),
        ("s/a.yaml", case),
        ("s/cases/b.yaml", case),
        ("s/cases/deep/c.yaml", case),
        ("s/inner/seatrial.yaml", "name: inner\n"),
        ("s/inner/d.yaml", case),
        ("s/target/e.yaml", case),
        ("s/other/f.yaml", case),
    ]);
    #[track_caller]
    fn found(dir: &tempfile::TempDir, paths: &[&str]) -> String {
        let paths = paths.iter().map(|path| dir.path().join(path)).collect();
        let loaded = load(&LoadOptions { paths });
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
        let names = loaded.suites.iter().flat_map(|suite| {
            suite
                .cases
                .iter()
                .map(|case| format!("{}/{}", suite.name, case.name))
        });
        names.collect::<Vec<_>>().join(" ")
    }
    assert_eq!(found(&dir, &["."]), "s/a s/b s/c inner/d");
    assert_eq!(found(&dir, &["s/seatrial.yaml"]), "s/a s/b s/c");
    assert_eq!(found(&dir, &["s/cases"]), "s/b s/c");
    assert_eq!(found(&dir, &["s/cases/deep/../deep"]), "s/c");
    assert_eq!(found(&dir, &["s/cases/b.yaml", "s/inner/d.yaml"]), "s/b inner/d");
    assert_eq!(found(&dir, &["s/other/f.yaml"]), "s/f");
    assert_eq!(found(&dir, &["s/a.yaml", "s"]), "s/a s/b s/c inner/d");
    let nothing = load(&LoadOptions {
        paths: vec![dir.path().join("nowhere")],
    });
    assert!(nothing.diagnostics[0].message.contains("cannot be read"));
}

/// Files are typed by people and cut off by crashes: whatever is in them, loading says something and points into them.
#[test]
fn mangled_files_are_diagnosed_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("case.yaml");
    let page = crate::reference_markdown();
    let samples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let context = suite::without_file(dir.path());
    // A linear congruential generator: the same files in every run.
    let mut random: u64 = 42;
    let mut next = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % below.max(1)
    };
    let bits = [
        "{{", "}}", "{%", "'", "\"", "&a ", "*a", "<<: ", "- ", ": ", "\n", "\t", "[", "]", "{", "}", "|",
        "é", "\0", "#", "!!x ",
    ];
    for round in 0..600 {
        let mut text: Vec<char> = samples[round % samples.len()].chars().collect();
        for _ in 0..=next(4) {
            let at = next(text.len());
            let end = (at + next(12)).min(text.len());
            let bit = if next(3) == 0 { "" } else { bits[next(bits.len())] };
            text.splice(at..end, bit.chars());
        }
        let text: String = text.into_iter().collect();
        let file = SourceFile::new(&path, text.as_str());
        let (_, diagnostics) = case::plan(&file, &context);
        for diagnostic in diagnostics {
            let place = diagnostic.place.unwrap();
            assert!(
                text.get(place.span.clone()).is_some(),
                "{:?} is no span of {text:?}",
                place.span
            );
        }
    }
}
