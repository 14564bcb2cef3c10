//! The steps that a procedure can have, and their parameters.
//!
//! Only the declarations: what each does is in `step/`. One table gives the decoder, the schema, the reference and the
//! enum that the executor matches on, so a step that is declared but not executed does not compile.

use std::time::Duration;

use indexmap::IndexMap;

use crate::{
    declare::{declare, words},
    decode::{Decode, Decoder, Shape, StructInfo},
    json_path::JsonPath,
    node::{Node, Value},
    plan::{DefinedStep, StepPlan, UnservedStep},
    scalar::{FileMode, Signal},
    template::{Data, Templated},
};

declare! {
    /// The part keeps running for so long, counted from the start of this step. It fails at once when the part ends or is
    /// restarted by somebody else.
    pub struct ProcessStableFor short duration {
        /// For how long.
        duration: Templated<Duration> = required,
    }
}

declare! {
    /// The part ends, by itself or because of an earlier `signal`. Without `code` or `signal`, any end will do.
    pub struct Exits short code {
        /// The exit code that is expected.
        code: Option<Templated<i32>> = optional also "expected_code",
        /// The signal that is expected to have ended it.
        signal: Option<Templated<Signal>> = optional,
    }
    check Exits::check
}

declare! {
    /// The part itself, or a process that it started, listens. This is read from the kernel's socket tables: nothing connects,
    /// and somebody else's listener on the same port does not count.
    pub struct PortListening short port {
        /// The port's number or, for a port of the part's `ports:`, its name.
        port: Option<Templated<PortReference>> = optional,
        /// Which kind of socket.
        protocol: Protocol = "tcp",
        /// The path of a Unix socket, instead of a port.
        path: Option<Templated<String>> = optional,
    }
    check PortListening::check
}

declare! {
    /// A line of the part's log matches.
    pub struct LogContains short pattern {
        /// What a line has to contain.
        pattern: Templated<String> = required,
        /// The pattern is a regular expression.
        regex: bool = "false",
        /// Which of the part's streams is looked at.
        stream: Stream = "both",
        /// How many lines have to match: a number for exactly so many, `>= N`, `<= N`, or `at_least`, `at_most`, `exactly`. An upper bound is
        /// judged when the part ends, or when the timeout has passed.
        count: Count = ">= 1",
        /// From where on lines count.
        since: Since = "start",
    }
    check LogContains::check
}

declare! {
    /// No line of the part's log matches, from the start of the log until the time given has passed. It fails, and does not pass, when
    /// the part ends before: nobody can say what would have been logged.
    pub struct LogNotContains short pattern {
        /// What no line may contain.
        pattern: Templated<String> = required,
        /// The pattern is a regular expression.
        regex: bool = "false",
        /// Which of the part's streams is looked at.
        stream: Stream = "both",
        /// For how long to watch, counted from the start of this step. `0` looks only at what is there.
        during: Templated<Duration> = "5s",
        /// From where on lines count.
        since: Since = "start",
        /// The part may end meanwhile; the whole log is then judged.
        may_exit: bool = "false",
    }
    check LogNotContains::check
}

declare! {
    /// An HTTP request is answered as expected. It is sent again until it is, or the timeout has passed.
    pub struct HttpCheck short url {
        /// Where to send it: `http://127.0.0.1:{{ port.http }}/health`, or with `https:`; `http+unix:///path.sock:/health` for a
        /// server on a Unix socket.
        url: Templated<String> = required also "endpoint",
        /// The method.
        method: Templated<String> = "GET",
        /// Headers of the request.
        headers: IndexMap<String, Templated<String>> = optional,
        /// The request's body: text as it is, anything else as JSON.
        body: Option<Data> = optional,
        /// The status: a number, a class such as `2xx`, a list of these, or `equal`, `not_equal`, `in`. By default any 2xx.
        status: StatusExpectation = "2xx" also "expected_status",
        /// The response's body contains this.
        body_contains: Option<Templated<String>> = optional,
        /// The response's body matches this regular expression.
        body_regex: Option<Templated<String>> = optional,
        /// Places in the response's JSON body, and what is there.
        json: IndexMap<String, Data> = optional also "json_equals",
        /// Headers of the response, and what they are.
        response_headers: IndexMap<String, Templated<String>> = optional,
        /// A file of certificates to be trusted, instead of the system's.
        ca: Option<Templated<String>> = optional also "ca_file",
        /// A file with the client's certificate; `client_key` belongs to it.
        client_certificate: Option<Templated<String>> = optional also "client_cert",
        /// A file with the client's key.
        client_key: Option<Templated<String>> = optional,
        /// Any certificate will do.
        insecure: bool = "false" also "insecure_skip_verify",
    }
    check HttpCheck::check
}

declare! {
    /// A file of the part contains something.
    pub struct FileContains short path {
        /// The file; a relative path is in the part's working directory.
        path: Templated<String> = required,
        /// What it has to contain. Without it, the file only has to exist.
        pattern: Option<Templated<String>> = optional,
        /// The pattern is a regular expression. `^` and `$` are the ends of a line.
        regex: bool = "false",
    }
    check FileContains::check
}

declare! {
    /// A command is run in the part's environment: its variables, its working directory, its network.
    pub struct Exec short command {
        /// Text is run by `sh -c`; a list is run as it is.
        command: Command = required,
        /// More environment variables.
        env: IndexMap<String, Templated<String>> = optional,
        /// What it reads from its standard input.
        stdin: Option<Templated<String>> = optional,
        /// The exit code that is expected.
        code: Templated<i32> = "0" also "expected_code",
        /// Its standard output contains this.
        output_contains: Option<Templated<String>> = optional,
        /// Its standard output matches this regular expression.
        output_regex: Option<Templated<String>> = optional,
        /// Its standard output is this; white space at the ends does not count.
        output_equals: Option<Templated<String>> = optional,
        /// Its standard error contains this.
        stderr_contains: Option<Templated<String>> = optional,
    }
    check Exec::check
}

declare! {
    /// Bytes are sent to a socket, once.
    pub struct Send {
        /// How. By default by what `to` looks like: `unix` for a path, else `udp`.
        protocol: Option<Protocol> = optional,
        /// Where to: `127.0.0.1:{{ port.statsd }}`, or the path of a Unix socket.
        to: Option<Templated<String>> = optional,
        /// A port of the part, by number or name, instead of `to`.
        port: Option<Templated<PortReference>> = optional,
        /// What to send, as it is: no line break is added.
        payload: Option<Templated<String>> = optional,
        /// A file whose content is sent, relative to the case file.
        payload_file: Option<Templated<String>> = optional,
        /// How often it is sent.
        times: Templated<u32> = "1",
        /// What has to be answered. Without it nobody waits for an answer.
        expect: Option<ReplyExpectation> = optional,
    }
    check Send::check
}

declare! {
    /// A signal is sent to the part's first process.
    pub struct SendSignal short signal {
        /// Which: `HUP`, `SIGUSR1`, `9`.
        signal: Templated<Signal> = required,
    }
}

declare! {
    /// The part is stopped and started again, with the same ports, files and working directory, and the step waits until its `ready:`
    /// holds. Its log goes on.
    pub struct Restart {
        /// The signal that stops it; by default the part's `stop_signal`. `KILL` is a crash.
        signal: Option<Templated<Signal>> = optional,
    }
}

declare! {
    /// A file of the part is written: by name into place, so that nobody reads a half.
    pub struct WriteFile short path {
        /// The file; a relative path is in the part's working directory. Directories are made.
        path: Templated<String> = required,
        /// What is written: text as it is, anything else as JSON.
        content: Option<Data> = optional,
        /// A file to copy instead, relative to the case file.
        source: Option<Templated<String>> = optional,
        /// Its mode.
        mode: Option<Templated<FileMode>> = optional,
        /// Adds to what is there.
        append: bool = "false",
    }
    check WriteFile::check
}

declare! {
    /// Nothing is done for a while. Almost always a waiting step says better what is waited for, so a reason has to be given.
    pub struct Sleep short duration {
        /// For how long.
        duration: Templated<Duration> = required,
        /// Why no other step will do.
        reason: Templated<String> = required,
    }
}

declare! {
    /// What a reply has to be.
    pub struct ReplyExpectation short contains {
        /// It contains this.
        contains: Option<Templated<String>> = optional,
        /// It matches this regular expression.
        regex: Option<Templated<String>> = optional,
        /// It is this.
        equals: Option<Templated<String>> = optional,
    }
    check ReplyExpectation::check
}

words! {
    /// A stream of a part's log.
    pub enum Stream {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
        /// Both.
        Both = "both" | "any" | "all",
    }
}

words! {
    /// From where on a log is looked at.
    pub enum Since {
        /// From the part's first line.
        Start = "start",
        /// From where the log stands when the step starts.
        Now = "now",
        /// From the part's last start or restart.
        Restart = "restart",
    }
}

words! {
    /// A kind of socket.
    pub enum Protocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// A Unix stream socket.
        Unix = "unix",
        /// A Unix datagram socket.
        Unixgram = "unixgram",
    }
}

/// A port by number, or by its name among the part's `ports:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortReference {
    /// By number.
    Number(u16),
    /// By name.
    Name(String),
}

impl crate::decode::Scalar for PortReference {
    const NAME: &'static str = "port";

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Err("is no port; 0 means any".into()),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err("is no port; they end at 65535".into())
            }
            Err(_) => Ok(Self::Name(text.to_owned())),
        }
    }

    fn json_schema() -> serde_json::Value {
        serde_json::json!({"type": ["string", "integer"], "minimum": 1, "maximum": 65535})
    }
}

/// A command line.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run by `sh -c`.
    Shell(Templated<String>),
    /// Run as it is: the program, then its arguments.
    Arguments(Vec<Templated<String>>),
}

impl Decode for Command {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Sequence(items) if items.is_empty() => {
                decoder.error(node.span, "a command without a program");
                None
            }
            Value::Sequence(_) => Decode::decode(node, decoder).map(Self::Arguments),
            Value::Scalar { text, .. } if text.trim().is_empty() => {
                decoder.error(node.span, "a command without a program");
                None
            }
            _ => Decode::decode(node, decoder).map(Self::Shell),
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Templated::<String>::shape(),
            Vec::<Templated<String>>::shape(),
        ])
    }
}

/// How many are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many or more.
    AtLeast(usize),
    /// So many or fewer.
    AtMost(usize),
    /// Neither more nor fewer.
    Exactly(usize),
    /// Within both.
    Between(usize, usize),
}

declare! {
    /// How many are expected.
    struct CountBounds {
        /// So many or more.
        at_least: Option<usize> = optional,
        /// So many or fewer.
        at_most: Option<usize> = optional,
        /// Neither more nor fewer.
        exactly: Option<usize> = optional,
    }
}

impl Decode for Count {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        if let Some(text) = node.text() {
            let (bound, number): (fn(usize) -> Self, &str) =
                match (text.strip_prefix(">="), text.strip_prefix("<=")) {
                    (Some(number), _) => (Self::AtLeast, number),
                    (_, Some(number)) => (Self::AtMost, number),
                    _ => (Self::Exactly, text),
                };
            let number = usize::decode(&Node::scalar(number.trim(), node.span), decoder)?;
            return Some(bound(number));
        }
        let bounds = CountBounds::decode(node, decoder)?;
        match (bounds.at_least, bounds.at_most, bounds.exactly) {
            (None, None, Some(count)) => Some(Self::Exactly(count)),
            (Some(least), None, None) => Some(Self::AtLeast(least)),
            (None, Some(most), None) => Some(Self::AtMost(most)),
            (Some(least), Some(most), None) if least <= most => Some(Self::Between(least, most)),
            _ => {
                decoder.error(node.span, "no count can be all of this").help =
                    Some("give `exactly`, or `at_least` and `at_most` with the smaller first".into());
                None
            }
        }
    }

    fn shape() -> Shape {
        let short = Shape::Scalar {
            name: "number, `>= N` or `<= N`",
            schema: || serde_json::json!({"type": ["integer", "string"], "examples": [3, ">= 2", "<= 5"]}),
            template: false,
        };
        Shape::OneOf(vec![short, CountBounds::shape()])
    }
}

/// What a status has to be.
#[derive(Clone, Debug)]
pub enum StatusExpectation {
    /// One of these.
    In(Vec<StatusPattern>),
    /// None of these.
    NotIn(Vec<StatusPattern>),
}

/// A status or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPattern {
    /// This one.
    Code(u16),
    /// All that start with this digit: `2` for `2xx`.
    Class(u16),
}

impl StatusPattern {
    /// Whether a status is meant.
    pub fn matches(self, status: u16) -> bool {
        match self {
            Self::Code(code) => code == status,
            Self::Class(class) => class == status / 100,
        }
    }
}

impl StatusExpectation {
    /// Whether a status is as expected.
    pub fn matches(&self, status: u16) -> bool {
        match self {
            Self::In(patterns) => patterns.iter().any(|pattern| pattern.matches(status)),
            Self::NotIn(patterns) => !patterns.iter().any(|pattern| pattern.matches(status)),
        }
    }
}

impl std::fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl std::fmt::Display for StatusExpectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (prefix, patterns) = match self {
            Self::In(patterns) => ("", patterns),
            Self::NotIn(patterns) => ("not ", patterns),
        };
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        write!(f, "{prefix}{}", patterns.join(" or "))
    }
}

impl crate::decode::Scalar for StatusPattern {
    const NAME: &'static str = "HTTP status";

    fn parse(text: &str) -> Result<Self, String> {
        let class = text
            .strip_suffix("xx")
            .or_else(|| text.strip_suffix("XX"))
            .and_then(|class| class.parse().ok());
        match (text.parse(), class) {
            (Ok(code @ 100..=599), _) => Ok(Self::Code(code)),
            (_, Some(class @ 1..=5)) => Ok(Self::Class(class)),
            _ => Err("is no HTTP status; write it like `200` or `2xx`".into()),
        }
    }

    fn json_schema() -> serde_json::Value {
        serde_json::json!({"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5](xx|[0-9][0-9])$"}]})
    }
}

/// One or several statuses.
#[derive(Clone, Debug)]
struct StatusPatterns(Vec<StatusPattern>);

impl Decode for StatusPatterns {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Sequence(_) => Decode::decode(node, decoder).map(Self),
            _ => StatusPattern::decode(node, decoder).map(|pattern| Self(vec![pattern])),
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![StatusPattern::shape(), Vec::<StatusPattern>::shape()])
    }
}

declare! {
    /// What a status has to be.
    struct StatusRules {
        /// This one.
        equal: Option<StatusPatterns> = optional also "equals",
        /// Any but this one, or these.
        not_equal: Option<StatusPatterns> = optional also "not_equals",
        /// One of these.
        within: Option<StatusPatterns> = optional key "in" also "one_of",
    }
}

impl Decode for StatusExpectation {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        if !matches!(node.value, Value::Mapping(_)) {
            return StatusPatterns::decode(node, decoder).map(|patterns| Self::In(patterns.0));
        }
        let rules = StatusRules::decode(node, decoder)?;
        match (rules.equal.or(rules.within), rules.not_equal) {
            (Some(patterns), None) => Some(Self::In(patterns.0)),
            (None, Some(patterns)) => Some(Self::NotIn(patterns.0)),
            _ => {
                decoder.error(
                    node.span,
                    "exactly one of `equal`, `not_equal` and `in` says what a status has to be",
                );
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            StatusPattern::shape(),
            Vec::<StatusPattern>::shape(),
            StatusRules::shape(),
        ])
    }
}

/// Reports a pattern that is no regular expression, where that can be known.
fn check_regex(pattern: Option<&Templated<String>>, decoder: &mut Decoder) {
    let Some(pattern) = pattern else { return };
    let Some(Err(error)) = pattern.as_literal().map(|text| regex::bytes::Regex::new(text)) else {
        return;
    };
    let message = match error {
        regex::Error::Syntax(text) => {
            let reason = text.lines().last().unwrap_or_default();
            format!(
                "a bad regular expression: {}",
                reason.strip_prefix("error: ").unwrap_or(reason)
            )
        }
        other => format!("a bad regular expression: {other}"),
    };
    decoder.error(pattern.origin.span, message);
}

impl LogContains {
    fn check(&self, _: &Node, decoder: &mut Decoder) {
        check_regex(self.regex.then_some(&self.pattern), decoder);
    }
}

impl LogNotContains {
    fn check(&self, _: &Node, decoder: &mut Decoder) {
        check_regex(self.regex.then_some(&self.pattern), decoder);
    }
}

impl FileContains {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        check_regex(self.pattern.as_ref().filter(|_| self.regex), decoder);
        if self.regex && self.pattern.is_none() {
            decoder.error(node.span, "`regex` without a `pattern`");
        }
    }
}

impl ReplyExpectation {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        check_regex(self.regex.as_ref(), decoder);
        if self.contains.is_none() && self.regex.is_none() && self.equals.is_none() {
            decoder.error(node.span, "nothing is expected").help =
                Some("give `contains`, `regex` or `equals`".into());
        }
    }
}

impl Exits {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        if self.code.is_some() && self.signal.is_some() {
            decoder.error(
                node.span,
                "a process ends with a `code` or by a `signal`, not both",
            );
        }
    }
}

impl PortListening {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        match (&self.port, &self.path) {
            (Some(_), Some(_)) => {
                decoder.error(node.span, "a `port` and a `path`; one step looks for one of them");
            }
            (None, None) => {
                decoder.error(node.span, "neither a `port` nor a `path`");
            }
            (Some(_), None) if matches!(self.protocol, Protocol::Unix | Protocol::Unixgram) => {
                decoder.error(
                    node.span,
                    format!("a {} socket has a `path`, no `port`", self.protocol),
                );
            }
            _ => {}
        }
    }

    /// The kind of socket: a path without a protocol is a Unix stream socket.
    pub fn protocol(&self) -> Protocol {
        match (&self.path, self.protocol) {
            (Some(_), Protocol::Tcp | Protocol::Udp) => Protocol::Unix,
            (_, protocol) => protocol,
        }
    }
}

impl HttpCheck {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        check_regex(self.body_regex.as_ref(), decoder);
        if self.client_certificate.is_some() != self.client_key.is_some() {
            decoder.error(node.span, "`client_certificate` and `client_key` belong together");
        }
        let places = node.get("json").or_else(|| node.get("json_equals"));
        if let Some(Value::Mapping(entries)) = places.map(|node| &node.value) {
            for entry in entries {
                if let Err(wrong) = entry.key.parse::<JsonPath>() {
                    decoder.error(entry.key_span, wrong.to_string());
                }
            }
        }
        if let Some(url) = self.url.as_literal()
            && !["http://", "https://", "http+unix://"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
        {
            decoder.error(
                self.url.origin.span,
                format!("`{url}` is no URL; it starts with `http://` or `https://`"),
            );
        }
    }
}

impl Exec {
    fn check(&self, _: &Node, decoder: &mut Decoder) {
        check_regex(self.output_regex.as_ref(), decoder);
    }
}

impl Send {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        if self.to.is_some() == self.port.is_some() {
            decoder.error(node.span, "exactly one of `to` and `port` says where to send");
        }
        if self.payload.is_some() == self.payload_file.is_some() {
            decoder.error(
                node.span,
                "exactly one of `payload` and `payload_file` says what to send",
            );
        }
    }
}

impl WriteFile {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        if self.content.is_some() == self.source.is_some() {
            decoder.error(
                node.span,
                "exactly one of `content` and `source` says what to write",
            );
        }
    }
}

/// A step of the vocabulary, as the schema and the reference know it.
pub struct StepInfo {
    /// Its name in a procedure.
    pub name: &'static str,
    /// Names that other tools' files have for it.
    pub aliases: &'static [&'static str],
    /// Its parameters.
    pub info: fn() -> &'static StructInfo,
    /// Its timeout where none is given; `None` for a step that says itself how long it takes.
    pub timeout: Option<&'static str>,
    /// What `save:` can name besides JSON paths: each output, and what it is.
    pub outputs: &'static [(&'static str, &'static str)],
}

macro_rules! vocabulary {
    ($( $variant:ident = $name:literal $(also $($alias:literal)|+)?, timeout $timeout:expr, outputs [$($output:literal: $meaning:literal),*]; )*) => {
        /// What a step does.
        #[derive(Clone, Debug)]
        pub enum StepKind {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant(Box<$variant>),
            )*
            /// A block of steps that run side by side.
            Parallel(Vec<StepPlan>),
            /// A step that the suite defines.
            Defined(DefinedStep),
            /// A step that is known by name, and which nothing here can do: its test is skipped.
            Unserved(UnservedStep),
        }

        /// All steps of the vocabulary, in the order of the reference.
        pub static VOCABULARY: &[StepInfo] = &[
            $( StepInfo {
                name: $name,
                aliases: &[$($($alias),+)?],
                info: $variant::info,
                timeout: $timeout,
                outputs: &[$(($output, $meaning)),*],
            } ),*
        ];

        impl StepKind {
            /// The step's name in a procedure.
            pub fn name(&self) -> &str {
                match self {
                    $( Self::$variant(_) => $name, )*
                    Self::Parallel(_) => "parallel",
                    Self::Defined(step) => &step.name,
                    Self::Unserved(step) => &step.name,
                }
            }

            /// Decodes a step's parameters by its name; the outer `None` is a name that the vocabulary has not.
            pub(crate) fn decode(name: &str, parameters: &Node, decoder: &mut Decoder) -> Option<Self> {
                match name {
                    $( $name $($(| $alias)+)? => <$variant as Decode>::decode(parameters, decoder).map(|step| Self::$variant(Box::new(step))), )*
                    _ => None,
                }
            }
        }
    };
}

vocabulary! {
    ProcessStableFor = "process_stable_for", timeout None, outputs [];
    Exits = "exits" also "exit" | "process_exits" | "adp_exits_with", timeout Some("30s"), outputs ["code": "the exit code", "signal": "the signal's name"];
    PortListening = "port_listening", timeout Some("30s"), outputs [];
    LogContains = "log_contains", timeout Some("30s"), outputs ["line": "the first line that matched", "match": "what the pattern matched", "match.NAME": "a group of the regular expression, by name or number"];
    LogNotContains = "log_not_contains", timeout None, outputs [];
    HttpCheck = "http_check" also "health_check", timeout Some("30s"), outputs ["body": "the body", "status": "the status", "header.NAME": "a header"];
    FileContains = "file_contains", timeout Some("30s"), outputs ["content": "the file's text", "match": "what the pattern matched", "match.NAME": "a group of the regular expression, by name or number"];
    Exec = "exec" also "target_exec" | "container_exec", timeout Some("30s"), outputs ["stdout": "its standard output", "stderr": "its standard error", "code": "its exit code"];
    Send = "send", timeout Some("10s"), outputs ["reply": "what was answered"];
    SendSignal = "signal", timeout Some("10s"), outputs [];
    Restart = "restart", timeout Some("60s"), outputs [];
    WriteFile = "write_file", timeout Some("10s"), outputs [];
    Sleep = "sleep", timeout None, outputs [];
}
