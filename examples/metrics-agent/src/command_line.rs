//! The command line: what can be asked of this program.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::http::ClientFiles;
use crate::{send, sink};

/// What `--help` prints.
pub const USAGE: &str = "\
A small metrics agent: DogStatsD in, aggregated series out.

Usage: metrics-agent [run] [--config FILE]
       metrics-agent check-config FILE
       metrics-agent send (--udp HOST:PORT | --unix PATH) [--repeat N] DATAGRAM...
       metrics-agent get [--ca FILE] [--certificate FILE --key FILE] URL
       metrics-agent sink --listen ADDRESS [--certificate FILE --key FILE]
       metrics-agent defects

  run           Run the agent (the default). FILE is TOML; METRICS_AGENT_<KEY> overrides a key.
                SIGHUP reloads the file, SIGTERM flushes and ends.
  check-config  Say whether FILE is a valid configuration.
  send          Send datagrams to an agent.
  get           Print what is at a URL; fail unless it is a success.
  sink          Receive what an agent forwards, and show it at /received.
  defects       List what METRICS_AGENT_BREAK=<name> can break, with the case that notices.

Exit codes: 0 done; 1 failed; 2 the command line or the configuration is wrong.
";

/// What was asked.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Run the agent.
    Run {
        /// `--config`
        config: Option<PathBuf>,
    },
    /// Check a configuration.
    CheckConfig {
        /// Which.
        file: PathBuf,
    },
    /// Send datagrams.
    Send(send::Options),
    /// Print what is at a URL.
    Get(send::GetOptions),
    /// Receive what an agent forwards.
    Sink(sink::Options),
    /// List the defects.
    Defects,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
///
/// What is wrong with them.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let command = match parser.next()? {
        None => return Ok(Command::Run { config: None }),
        Some(Value(name)) => name.string()?,
        // `metrics-agent --config FILE` is `metrics-agent run --config FILE`.
        Some(Long("config")) => return parse_run(Some(parser.value()?.into()), &mut parser),
        Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(Short('V') | Long("version")) => return Ok(Command::Version),
        Some(other) => return Err(other.unexpected()),
    };
    match command.as_str() {
        "run" => parse_run(None, &mut parser),
        "check-config" => Ok(Command::CheckConfig {
            file: only_value(&mut parser, "FILE")?.into(),
        }),
        "send" => parse_send(&mut parser),
        "get" => parse_get(&mut parser),
        "sink" => parse_sink(&mut parser),
        "defects" => Ok(Command::Defects),
        "help" => Ok(Command::Help),
        other => Err(format!("no such command: {other}").into()),
    }
}

fn parse_run(mut config: Option<PathBuf>, parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    while let Some(argument) = parser.next()? {
        match argument {
            Long("config") => config = Some(parser.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run { config })
}

fn parse_send(parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut destination, mut repeat, mut datagrams) = (None, 1, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("udp") => destination = Some(send::Destination::Udp(parser.value()?.string()?)),
            Long("unix") => destination = Some(send::Destination::Unix(parser.value()?.into())),
            Long("repeat") => repeat = parser.value()?.parse()?,
            Value(datagram) => datagrams.push(datagram.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let destination = destination.ok_or("--udp or --unix is missing")?;
    if datagrams.is_empty() {
        return Err("DATAGRAM is missing".into());
    }
    Ok(Command::Send(send::Options {
        destination,
        repeat,
        datagrams,
    }))
}

fn parse_get(parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut url, mut ca, mut certificate, mut key) = (None, None, None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("ca") => ca = Some(PathBuf::from(parser.value()?)),
            Long("certificate") => certificate = Some(PathBuf::from(parser.value()?)),
            Long("key") => key = Some(PathBuf::from(parser.value()?)),
            Value(value) if url.is_none() => url = Some(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let url = url.ok_or("URL is missing")?;
    let files = ClientFiles {
        ca,
        identity: both(certificate, key)?,
    };
    Ok(Command::Get(send::GetOptions { url, files }))
}

fn both(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, lexopt::Error> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        _ => Err("--certificate and --key need each other".into()),
    }
}

fn parse_sink(parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut listen, mut certificate, mut key) = (None, None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => listen = Some(parser.value()?.parse::<SocketAddr>()?),
            Long("certificate") => certificate = Some(PathBuf::from(parser.value()?)),
            Long("key") => key = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected()),
        }
    }
    let listen = listen.ok_or("--listen is missing")?;
    Ok(Command::Sink(sink::Options {
        listen,
        identity: both(certificate, key)?,
    }))
}

fn only_value(parser: &mut lexopt::Parser, name: &str) -> Result<OsString, lexopt::Error> {
    let value = match parser.next()? {
        Some(Value(value)) => value,
        Some(other) => return Err(other.unexpected()),
        None => return Err(format!("{name} is missing").into()),
    };
    match parser.next()? {
        None => Ok(value),
        Some(other) => Err(other.unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Command, String> {
        parse(words.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_can_be_asked() {
        let run = |config: Option<&str>| {
            Ok(Command::Run {
                config: config.map(PathBuf::from),
            })
        };
        assert_eq!(parse_words(""), run(None));
        assert_eq!(parse_words("run"), run(None));
        assert_eq!(parse_words("--config a.toml"), run(Some("a.toml")));
        assert_eq!(parse_words("run --config=a.toml"), run(Some("a.toml")));
        assert_eq!(
            parse_words("send --udp localhost:8125 --repeat 3 a:1|c b:2|g"),
            Ok(Command::Send(send::Options {
                destination: send::Destination::Udp("localhost:8125".into()),
                repeat: 3,
                datagrams: vec!["a:1|c".into(), "b:2|g".into()],
            }))
        );
        assert_eq!(
            parse_words("sink --listen 127.0.0.1:0"),
            Ok(Command::Sink(sink::Options {
                listen: ([127, 0, 0, 1], 0).into(),
                identity: None,
            }))
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (words, part) in [
            ("fly", "fly"),
            ("--fast", "--fast"),
            ("check-config", "FILE is missing"),
            ("check-config a b", "\"b\""),
            ("send a:1|c", "--udp or --unix"),
            ("send --udp x:1", "DATAGRAM"),
            ("sink", "--listen"),
            ("sink --listen 127.0.0.1:0 --key k", "need each other"),
        ] {
            let error = parse_words(words).unwrap_err();
            assert!(error.contains(part), "{words}: {error}");
        }
    }
}
