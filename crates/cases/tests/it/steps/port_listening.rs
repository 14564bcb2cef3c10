//! `port_listening`.

use std::net::UdpSocket;

use crate::harness::{passes, run};

#[tokio::test]
async fn tcp_udp_and_unix() {
    passes(
        r#"
        ports: [http, statsd/udp]
        target:
          - python3
          - -c
          - |
            import socket, sys, time
            tcp = socket.create_server(("127.0.0.1", {{ port.http }}))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", {{ port.statsd }}))
            stream = socket.socket(socket.AF_UNIX); stream.bind("stream.sock"); stream.listen()
            gram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); gram.bind("gram.sock")
            time.sleep(100)
        procedure:
          - parallel:
              - port_listening: http
              - port_listening: "{{ port.http }}"
              - port_listening: statsd
              - port_listening: {port: "{{ port.statsd }}", protocol: udp}
              - port_listening: {path: stream.sock}
              - port_listening: {path: gram.sock, protocol: unixgram}
        "#,
    )
    .await;
}

#[tokio::test]
async fn nobody_listens() {
    let outcome = run(r#"
        ports: [http]
        target: echo thinking; sleep 100
        procedure:
          - log_contains: thinking
          - port_listening: {port: http, timeout: 200ms}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: gave up waiting for `target` to listen on TCP port PORT
      step: port_listening http
      at: DIR/case.yaml:7
      mismatch: TCP port PORT: expected a socket of `target`, saw nobody listens
      history: TCP port PORT nobody listens
      log: target: thinking
    ");
}

#[tokio::test]
async fn somebody_elses_socket_does_not_count() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let case = format!(
        "{{target: sleep 100, procedure: [{{port_listening: {{port: {port}, protocol: udp}}, timeout: 200ms}}]}}"
    );
    let told = run(&case).await.told();
    let command = std::fs::read_to_string("/proc/self/comm").unwrap();
    insta::assert_snapshot!(told.replace(command.trim(), "COMMAND"), @"
    failed
      message: gave up waiting for `target` to listen on UDP port PORT
      step: port_listening PORT
      at: DIR/case.yaml:3
      mismatch: UDP port PORT: expected a socket of `target`, saw only a socket of another process
      history: UDP port PORT only a socket of another process
      note: the socket is held by process N (COMMAND), not by this part
    ");
}

#[tokio::test]
async fn ends_at_once_with_the_part() {
    let outcome = run(r#"
        ports: [http]
        target: echo "address already in use" >&2; exit 98
        procedure:
          - port_listening: {port: http, timeout: 60s}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` exited with code 98 while waiting for `target` to listen on TCP port PORT
      step: port_listening http
      at: DIR/case.yaml:6
      mismatch: TCP port PORT: expected a socket of `target`, saw nobody listens
      history: TCP port PORT nobody listens
      log: target: address already in use
    ");
}
