//! `send`.

use crate::harness::{passes, run};

/// Says what comes in on four kinds of sockets; streams and datagrams are answered in capitals.
const ECHO: &str = r#"
ports: [control, statsd/udp]
target:
  - python3
  - -uc
  - |
    import os, selectors, socket
    tcp = socket.create_server(("127.0.0.1", {{ port.control }}))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("127.0.0.1", {{ port.statsd }}))
    stream = socket.socket(socket.AF_UNIX); stream.bind("stream.sock"); stream.listen()
    gram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); gram.bind("gram.sock")
    ready = selectors.DefaultSelector()
    for each in (tcp, udp, stream, gram): ready.register(each, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj in (tcp, stream):
                taken, _ = key.fileobj.accept()
                text = b""
                while more := taken.recv(4096): text += more
                taken.sendall(text.upper()); taken.close()
            else:
                text, sender = key.fileobj.recvfrom(4096)
                if sender: key.fileobj.sendto(text.upper(), sender)
                print("took", text.decode())
"#;

#[tokio::test]
async fn reaches_every_kind_of_socket() {
    let steps = r#"
procedure:
  - send: {port: statsd, payload: "a:1|c", times: 2}
  - log_contains: {pattern: "took a:1|c", count: {at_least: 2}}
  - send: {to: "127.0.0.1:{{ port.statsd }}", payload: ping, expect: {equals: PING}}
  - send: {port: control, payload: hello, expect: HELLO}
    save: {said: reply}
  - send: {to: stream.sock, payload: "{{ saved.said }} again", expect: {regex: "^HELLO AGAIN$"}}
    when: "false"
  - send: {to: ./stream.sock, payload: "{{ saved.said }} again", expect: {regex: "^HELLO AGAIN$"}}
  - send: {to: ./gram.sock, protocol: unixgram, payload: gram}
  - log_contains: took gram
"#;
    passes(&format!("{ECHO}{steps}")).await;
}

#[tokio::test]
async fn another_answer_is_told() {
    let steps =
        r#"procedure: [{send: {port: control, payload: hello, expect: {contains: hello, regex: "^[0-9]"}}}]"#;
    let outcome = run(&format!("{ECHO}{steps}")).await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: the answer of 127.0.0.1:PORT/tcp is not as expected
      step: send
      at: DIR/case.yaml:26
      mismatch: reply: expected contains `hello`, saw `HELLO`
      mismatch: reply: expected matches `^[0-9]`, saw `HELLO`
    ");
}

#[tokio::test]
async fn a_datagram_that_nobody_takes_is_told() {
    let outcome = run(r#"
        ports: [statsd/udp]
        target: sleep 100
        procedure:
          - send: {port: statsd, payload: "a:1|c", timeout: 200ms}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: gave up waiting for somebody at 127.0.0.1:PORT/udp to take what is sent
      step: send
      at: DIR/case.yaml:6
      mismatch: : expected taken, saw connection refused
      history: connection refused
    ");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_told() {
    let outcome = run(r#"
        ports: [statsd/udp]
        target:
          - python3
          - -c
          - |
            import socket, time
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("127.0.0.1", {{ port.statsd }}))
            time.sleep(100)
        procedure:
          - port_listening: statsd
          - send: {port: statsd, payload: hello, expect: hello, timeout: 200ms}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: gave up waiting for 127.0.0.1:PORT/udp to answer
      step: send
      at: DIR/case.yaml:13
      history: no answer yet
    ");
}
