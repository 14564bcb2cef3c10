//! A small metrics agent, and the subject of seatrial's example suite.
//!
//! A datagram's way through it: [`listener`] → [`dogstatsd`] (one line, one message) → [`aggregator`]
//! (the open bucket) → [`output`] → [`forwarder`] (retries) → a receiver, of which [`sink`] is one for
//! tests. [`agent`] puts these together, [`api`] lets others look, [`config`] says how it all is set
//! up, and [`defect`] can break each of them on purpose.

#![expect(unreachable_pub, reason = "in a program, `pub` is for its other modules")]

mod agent;
mod aggregator;
mod api;
mod command_line;
mod config;
mod defect;
mod dogstatsd;
mod forwarder;
mod http;
mod listener;
mod log;
mod output;
mod send;
mod series;
mod sink;
mod summary;
mod telemetry;

use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use command_line::{Command, USAGE};
use config::{Config, Source};
use defect::Defect;

/// What the exit code says.
enum Failure {
    /// Exit code 1.
    Failed(String),
    /// Exit code 2.
    Wrong(String),
}

fn main() -> ExitCode {
    let (code, message) = match run() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => (1, message),
        Err(Failure::Wrong(message)) => (2, message),
    };
    log::error!("metrics-agent", "{message}");
    if Defect::ExitCodeZero.is_on() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(code)
    }
}

fn run() -> Result<(), Failure> {
    defect::switch_on(&std::env::var(defect::VARIABLE).unwrap_or_default()).map_err(wrong)?;
    let command = command_line::parse(std::env::args_os().skip(1))
        .map_err(|error| Failure::Wrong(format!("{error}; --help shows the usage")))?;
    match command {
        Command::Run { config } => {
            let (source, config) = load(config)?;
            block_on(agent::run(source, config))
        }
        Command::CheckConfig { file } => {
            load(Some(file.clone()))?;
            print(format_args!("{}: ok\n", file.display()))
        }
        Command::Send(options) => send::send(&options).map_err(failed),
        Command::Get(options) => block_on(send::get(&options)),
        Command::Sink(options) => block_on(sink::run(options)),
        Command::Defects => Defect::ALL.iter().try_for_each(|defect| {
            print(format_args!(
                "{:30} {:25} {}\n",
                defect.name(),
                defect.case(),
                defect.description()
            ))
        }),
        Command::Help => print(USAGE),
        Command::Version => print(concat!("metrics-agent ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn load(file: Option<PathBuf>) -> Result<(Source, Config), Failure> {
    let environment = std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    let source = Source::new(file, environment);
    let config = source.load().map_err(wrong)?;
    Ok((source, config))
}

fn block_on<E: Display>(work: impl Future<Output = Result<(), E>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let result = runtime.block_on(work).map_err(failed);
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    result
}

fn print(text: impl Display) -> Result<(), Failure> {
    write!(io::stdout().lock(), "{text}").map_err(failed)
}

fn failed(error: impl Display) -> Failure {
    Failure::Failed(error.to_string())
}

fn wrong(error: impl Display) -> Failure {
    Failure::Wrong(error.to_string())
}
