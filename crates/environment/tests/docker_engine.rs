//! The four ways in which there is no container engine, each with its own words. The engines are imitations, because
//! a real one cannot be made old or mute.

#![cfg(feature = "docker")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test tells what went wrong by panicking"
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use seatrial_environment::docker::{Address, ConnectError, Engine, Flavor, Host};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

async fn connect(socket: &Path) -> ConnectError {
    let address = Address {
        host: Host::Unix(socket.to_owned()),
        source: "test".into(),
    };
    Engine::connect_to(Flavor::Docker, address)
        .await
        .expect_err("there is no engine")
}

#[track_caller]
fn check(error: &ConnectError, socket: &Path, expected: &str) {
    assert_eq!(
        error.to_string().replace(&socket.display().to_string(), "SOCKET"),
        expected
    );
}

#[tokio::test]
async fn a_socket_that_nobody_listens_at() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let error = connect(&socket).await;
    check(&error, &socket, "docker at SOCKET does not answer");
    assert!(
        matches!(error, ConnectError::NoAnswer { waited: None, .. }),
        "at once"
    );
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_given_two_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let start = Instant::now();
    let error = connect(&socket).await;
    check(&error, &socket, "docker at SOCKET does not answer within 2 s");
    assert!(start.elapsed() >= Duration::from_secs(2));
    drop(listener);
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_told_by_its_version() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let body = r#"{"Version":"1.13.1","ApiVersion":"1.26"}"#;
                while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let error = connect(&socket).await;
    check(
        &error,
        &socket,
        "docker at SOCKET speaks API 1.26, and 1.40 is the oldest that will do",
    );
    answering.abort();
}
