//! The HTTP API: how people, probes and Prometheus look at the agent, and what they may change.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::agent::{Agent, Flushed};
use crate::defect::Defect;
use crate::http::{Request, Response};
use crate::output::Drained;

/// `GET /contexts` lists no more than this.
const CONTEXTS_LISTED_MAX: usize = 1_000;

/// How long `POST /flush` waits for the receiver.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// Answers one request.
pub async fn handle(agent: Arc<Agent>, request: Request) -> Response {
    if Defect::Api500.is_on() {
        return Response::error(StatusCode::INTERNAL_SERVER_ERROR, "broken on purpose");
    }
    match (&request.method, request.path.as_str()) {
        (&Method::GET, "/health") => Response::json(StatusCode::OK, &json!({ "status": "ok" })),
        (&Method::GET, "/ready") => ready(&agent),
        (&Method::GET, "/status") => status(&agent),
        (&Method::GET, "/metrics") => metrics(&agent),
        (&Method::GET, "/contexts") => contexts(&agent),
        (&Method::GET, "/config") => Response::json(StatusCode::OK, &agent.config().masked()),
        (&Method::PUT, "/config") => put_config(&agent, &request.body),
        (&Method::POST, "/flush") => flush(&agent, &request.query).await,
        (_, "/health" | "/ready" | "/status" | "/metrics" | "/contexts") => {
            Response::method_not_allowed("GET")
        }
        (_, "/config") => Response::method_not_allowed("GET, PUT"),
        (_, "/flush") => Response::method_not_allowed("POST"),
        _ if Defect::UnknownPathAccepted.is_on() => Response::json(StatusCode::OK, &json!({})),
        _ => Response::not_found(),
    }
}

fn ready(agent: &Agent) -> Response {
    if agent.is_ready() {
        Response::json(StatusCode::OK, &json!({ "ready": true }))
    } else {
        Response::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "ready": false }))
    }
}

fn status(agent: &Agent) -> Response {
    let telemetry = &agent.telemetry;
    let listeners: Vec<_> = agent
        .listeners
        .iter()
        .filter(|_| !Defect::StatusWithoutListeners.is_on())
        .map(|listener| {
            json!({
                "kind": listener.kind(),
                "address": listener.address(),
                "packets": telemetry.packets(listener.kind()).get(),
            })
        })
        .collect();
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime_seconds": agent.started.elapsed().as_secs(),
        "ready": agent.is_ready(),
        "config_file": agent.source().file(),
        "listeners": listeners,
        "messages": {
            "understood": telemetry.messages.get(),
            "malformed": telemetry.malformed.get(),
            "dropped": telemetry.bucket_dropped.get(),
        },
        "contexts": agent.contexts(0).1,
        "flushes": telemetry.flushes.get(),
        "output": {
            "kind": agent.config().output,
            "queued": agent.output.forwarder().map_or(0, |forwarder| forwarder.queue_length()),
            "sent": telemetry.payloads_sent.get(),
            "retried": telemetry.payloads_retried.get(),
            "dropped": telemetry.payloads_dropped.get(),
        },
        "reloads": {
            "done": telemetry.reloads.get(),
            "refused": telemetry.reloads_refused.get(),
        },
    });
    Response::json(StatusCode::OK, &status)
}

fn metrics(agent: &Agent) -> Response {
    let queued = agent
        .output
        .forwarder()
        .map_or(0, |forwarder| forwarder.queue_length());
    let text = agent.telemetry.to_prometheus(&[
        ("contexts", "Contexts in the open bucket.", agent.contexts(0).1),
        ("queue_length", "Payloads that wait for delivery.", queued),
    ]);
    Response::text(StatusCode::OK, text)
}

fn contexts(agent: &Agent) -> Response {
    let listed = if Defect::ContextsHidden.is_on() {
        0
    } else {
        CONTEXTS_LISTED_MAX
    };
    let (contexts, count) = agent.contexts(listed);
    Response::json(StatusCode::OK, &json!({ "count": count, "contexts": contexts }))
}

fn put_config(agent: &Agent, body: &[u8]) -> Response {
    let changes: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(changes) => changes,
        Err(error) => return Response::error(StatusCode::BAD_REQUEST, format_args!("bad body: {error}")),
    };
    match agent.config().with_changes(changes) {
        Ok(config) => {
            let masked = config.masked();
            if !Defect::ConfigPutIgnored.is_on() {
                agent.set_config(config);
            }
            Response::json(StatusCode::OK, &masked)
        }
        Err(error) => Response::error(StatusCode::BAD_REQUEST, error),
    }
}

/// Closes the bucket now, and answers when its payloads are delivered or given up; at once with the
/// query `wait=0`.
async fn flush(agent: &Agent, query: &str) -> Response {
    let patience = if query == "wait=0" {
        Duration::ZERO
    } else {
        FLUSH_PATIENCE
    };
    let flushed = if Defect::FlushEndpointIgnored.is_on() {
        Flushed {
            series: 0,
            events: 0,
            checks: 0,
        }
    } else {
        agent.flush()
    };
    let done = agent.output.drain(patience).await == Drained::Fully;
    let Flushed {
        series,
        events,
        checks,
    } = flushed;
    let status = if done {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Response::json(
        status,
        &json!({ "series": series, "events": events, "checks": checks, "done": done }),
    )
}
