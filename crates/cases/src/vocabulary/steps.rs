//! The parameters of each step, and what two of them say together.

use std::time::Duration;

use indexmap::IndexMap;

use super::{
    command::{Command, PortReference},
    expectation::{Count, ReplyExpectation, StatusExpectation, check_regex},
    word::{Protocol, Since, Stream},
};
use crate::{
    declare::declare,
    decode::Decoder,
    json_path::JsonPath,
    node::{Node, Value},
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
            for entry in entries.iter() {
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
