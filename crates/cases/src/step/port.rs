//! `port_listening`: a socket of the part's own processes, from the kernel's tables.

use seatrial_engine::{Look, Mismatch};
use seatrial_environment::{Endpoint, Listening, sockets::Looks};

use super::context::{Fault, Output, StepContext};
use crate::vocabulary::{PortListening, Protocol};

/// Waits until the part listens.
///
/// # Errors
///
/// When it does not in time.
pub(crate) async fn listening(step: &PortListening, context: &StepContext<'_>) -> Result<Output, Fault> {
    let part = context.part()?;
    let endpoint = endpoint(step, context)?;
    let wait = context.wait(format!("`{}` to listen on {endpoint}", part.name()));
    let wanted = format!("a socket of `{}`", part.name());
    let found = wait
        .until(Looks::new(), || async {
            let seen = match part.listening(&endpoint) {
                Ok(Listening::Yes { .. }) => return Look::Matches(()),
                Ok(Listening::SomebodyElse(_)) => "only a socket of another process".to_owned(),
                Ok(Listening::No) => "nobody listens".to_owned(),
                Err(error) => format!("the kernel's tables cannot be read: {error}"),
            };
            Look::Differs(vec![Mismatch {
                field: endpoint.to_string(),
                expected: wanted.clone(),
                seen,
            }])
        })
        .await;
    found.map(|()| Output::none()).map_err(|mut failure| {
        if let Ok(Listening::SomebodyElse(holder)) = part.listening(&endpoint) {
            failure.notes.push(match holder.find() {
                Some((pid, command)) => {
                    format!("the socket is held by process {pid} ({command}), not by this part")
                }
                None => "the socket is held by a process that this user may not see".to_owned(),
            });
        }
        failure.into()
    })
}

fn endpoint(step: &PortListening, context: &StepContext<'_>) -> Result<Endpoint, Fault> {
    if let Some(path) = &step.path {
        return Ok(Endpoint::Unix(context.part_path(&path.render(context.scope)?)?));
    }
    let Some(port) = &step.port else {
        return Err(Fault::errored("neither a `port` nor a `path`"));
    };
    let (number, declared) = context.port(&port.render(context.scope)?)?;
    Ok(match (step.protocol(), declared) {
        (Protocol::Udp, _) | (Protocol::Tcp, Some(Protocol::Udp)) => Endpoint::Udp(number),
        _ => Endpoint::Tcp(number),
    })
}
