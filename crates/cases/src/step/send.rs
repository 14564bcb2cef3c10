//! `send`: bytes to a socket, and what has to be answered.

use std::net::SocketAddr;

use regex::Regex;
use seatrial_engine::{Failure, Look, Mismatch};

use super::context::{Fault, Output, StepContext};
use super::delivery::{Answer, Destination, Network};
use super::http::Pauses;
use super::wait::tails;
use crate::{
    http::{plainly, shortened},
    vocabulary::{Protocol, ReplyExpectation, Send},
};

/// Sends until somebody takes it, and compares the answer.
///
/// # Errors
///
/// When nobody takes it in time, or the answer is not as expected.
pub(crate) async fn send(step: &Send, context: &StepContext<'_>) -> Result<Output, Fault> {
    let destination = destination(step, context).await?;
    let messages = messages(step, context)?;
    let answer = if step.expect.is_some() {
        Answer::Awaited
    } else {
        Answer::Ignored
    };
    let what = match answer {
        Answer::Ignored => format!("somebody at {destination} to take what is sent"),
        Answer::Awaited => format!("{destination} to answer"),
    };
    // Who refused the first message got nothing: it can be offered again. After that, another try would send twice.
    let reply = context
        .wait(what)
        .until(Pauses::new(), || async {
            let refused = |taken: usize, error: &std::io::Error| {
                let seen = match taken {
                    0 => plainly(error),
                    taken => format!("{} of {} taken, then: {}", taken, messages.len(), plainly(error)),
                };
                let mismatch = Mismatch {
                    field: String::new(),
                    expected: "taken".to_owned(),
                    seen,
                };
                if taken == 0 {
                    Look::Differs(vec![mismatch])
                } else {
                    Look::Never(vec![mismatch])
                }
            };
            match destination
                .deliver(Network(Some(context.group)), &messages, answer)
                .await
            {
                Ok(reply) => Look::Matches(reply),
                Err(undelivered) => refused(undelivered.taken, &undelivered.source),
            }
        })
        .await?;
    let reply = String::from_utf8_lossy(&reply).into_owned();
    if let Some(expected) = &step.expect {
        let mismatches = mismatches(expected, &reply, context)?;
        if !mismatches.is_empty() {
            let logs = context.part.map(tails).unwrap_or_default();
            let failure = Failure::new(format!("the answer of {destination} is not as expected"));
            return Err(Failure {
                mismatches,
                logs,
                ..failure
            }
            .into());
        }
    }
    Ok(Output::main("reply", reply))
}

async fn destination(step: &Send, context: &StepContext<'_>) -> Result<Destination, Fault> {
    if let Some(port) = &step.port {
        let (number, declared) = context.port(&port.render(context.scope)?)?;
        let address = SocketAddr::from(([127, 0, 0, 1], number));
        return Ok(match step.protocol.or(declared).unwrap_or(Protocol::Udp) {
            Protocol::Tcp => Destination::Tcp(address),
            _ => Destination::Udp(address),
        });
    }
    let to = step
        .to
        .as_ref()
        .map(|to| to.render(context.scope))
        .transpose()?
        .unwrap_or_default();
    let default = if to.contains('/') {
        Protocol::Unix
    } else {
        Protocol::Udp
    };
    Ok(match step.protocol.unwrap_or(default) {
        Protocol::Unix => Destination::Unix(context.part_path(&to)?),
        Protocol::Unixgram => Destination::UnixDatagram(context.part_path(&to)?),
        protocol => {
            let unknown = |why: &str| Fault::errored(format!("`{to}` is nowhere to send to: {why}"));
            let mut addresses = tokio::net::lookup_host(&to)
                .await
                .map_err(|error| unknown(&plainly(&error)))?;
            let address = addresses
                .next()
                .ok_or_else(|| unknown("the name has no address"))?;
            if protocol == Protocol::Tcp {
                Destination::Tcp(address)
            } else {
                Destination::Udp(address)
            }
        }
    })
}

fn messages(step: &Send, context: &StepContext<'_>) -> Result<Vec<Vec<u8>>, Fault> {
    let message = match (&step.payload, &step.payload_file) {
        (Some(payload), _) => payload.render(context.scope)?.into_bytes(),
        (None, Some(file)) => {
            let path = context.dir.join(file.render(context.scope)?);
            std::fs::read(&path).map_err(|error| {
                Fault::errored(format!(
                    "`{}` cannot be read: {}",
                    path.display(),
                    plainly(&error)
                ))
            })?
        }
        (None, None) => Vec::new(),
    };
    Ok(vec![message; step.times.render(context.scope)? as usize])
}

fn mismatches(
    expected: &ReplyExpectation,
    reply: &str,
    context: &StepContext<'_>,
) -> Result<Vec<Mismatch>, Fault> {
    let mut found = Vec::new();
    let mut differs = |expected: String| {
        let seen = if reply.is_empty() {
            "nothing".to_owned()
        } else {
            format!("`{}`", shortened(reply.trim_end()))
        };
        found.push(Mismatch {
            field: "reply".to_owned(),
            expected,
            seen,
        });
    };
    if let Some(wanted) = &expected.contains {
        let wanted = wanted.render(context.scope)?;
        if !reply.contains(&wanted) {
            differs(format!("contains `{wanted}`"));
        }
    }
    if let Some(wanted) = &expected.regex {
        let wanted = wanted.render(context.scope)?;
        let regex = Regex::new(&wanted)
            .map_err(|error| Fault::errored(format!("`{wanted}` is no regular expression: {error}")))?;
        if !regex.is_match(reply) {
            differs(format!("matches `{wanted}`"));
        }
    }
    if let Some(wanted) = &expected.equals {
        let wanted = wanted.render(context.scope)?;
        if reply != wanted {
            differs(format!("`{wanted}`"));
        }
    }
    Ok(found)
}
