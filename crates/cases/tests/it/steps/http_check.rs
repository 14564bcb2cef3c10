//! `http_check`.

use crate::harness::{passes, run};

/// Answers 503 twice, then tells of each request as JSON.
const SERVER: &str = r#"
ports: [http]
target:
  - python3
  - -uc
  - |
    import http.server, json
    asked = 0
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            global asked
            asked += 1
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            seen = {"method": self.command, "path": self.path, "body": body, "type": self.headers.get("content-type")}
            text = json.dumps({"request": seen, "checks": [{"name": "db", "ok": True}]}).encode()
            up = asked > 2 and self.path != "/down"
            self.send_response(200 if up else 503)
            self.send_header("content-type", "application/json"); self.send_header("etag", "v1")
            self.end_headers()
            self.wfile.write(text if up else b"warming up")
        do_POST = do_GET
        def log_message(self, *_): pass
    server = http.server.HTTPServer(("127.0.0.1", {{ port.http }}), Handler)
    server.serve_forever()
"#;

#[tokio::test]
async fn asks_until_it_is_answered_as_expected() {
    let steps = r#"
procedure:
  - http_check: "http://127.0.0.1:{{ port.http }}/a?b=c"
    save: {etag: header.etag, status: status, path: .request.path}
  - http_check:
      url: "http://localhost:{{ port.http }}/{{ saved.etag }}/{{ saved.status }}"
      method: post
      headers: {x-a: b}
      body: {tags: [1, "{{ saved.path }}"]}
      status: {in: [200, 201]}
      body_contains: db
      body_regex: '"name": "d.?"'
      json: {".request.method": POST, ".request.path": /v1/200, ".checks[0]": {name: db, ok: true}, ".request.type": application/json}
      response_headers: {ETag: v1}
  - http_check: {url: "http://127.0.0.1:{{ port.http }}/down", status: {not_equal: 200}, body_contains: warming}
"#;
    passes(&format!("{SERVER}{steps}")).await;
}

#[tokio::test]
async fn everything_that_differs_is_told_with_what_was_seen_before() {
    let steps = r#"
procedure:
  - http_check:
      url: "http://127.0.0.1:{{ port.http }}/status"
      status: 201
      json: {".request.path": /state, ".checks[0].ok": false, ".version": 2}
      timeout: 3s
"#;
    let outcome = run(&format!("{SERVER}{steps}")).await;
    insta::assert_snapshot!(outcome.told(), @r#"
    failed
      message: gave up waiting for GET http://127.0.0.1:PORT/status to be answered as expected
      step: http_check http://127.0.0.1:PORT/status
      at: DIR/case.yaml:28
      mismatch: status: expected 201, saw 200
      mismatch: .request.path: expected "/state", saw "/status"
      mismatch: .checks[0].ok: expected false, saw true
      mismatch: .version: expected 2, saw . is an object without `version` (it has `request`, `checks`)
      history: connection refused; status 503, body `warming up` (expected value at line 1 column 1); status 200, .request.path "/status", .checks[0].ok true, .version . is an object without `version` (it has `request`, `checks`)
    "#);
}

#[tokio::test]
async fn nobody_is_there() {
    let outcome = run(r#"
        ports: [http]
        target: echo thinking; sleep 100
        procedure:
          - log_contains: thinking
          - http_check: {url: "http://127.0.0.1:{{ port.http }}/", timeout: 200ms}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: gave up waiting for GET http://127.0.0.1:PORT/ to be answered as expected
      step: http_check http://127.0.0.1:PORT/
      at: DIR/case.yaml:7
      mismatch: : expected an answer, saw connection refused
      history: connection refused
      log: target: thinking
    ");
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let outcome = run(
        r#"
        ports: [http]
        target: [python3, -c, 'import socket, time; s = socket.create_server(("127.0.0.1", {{ port.http }})); time.sleep(100)']
        procedure:
          - port_listening: http
          - http_check: {url: "http://127.0.0.1:{{ port.http }}/", timeout: 300ms}
        "#,
    )
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: gave up waiting for GET http://127.0.0.1:PORT/ to be answered as expected
      step: http_check http://127.0.0.1:PORT/
      at: DIR/case.yaml:7
      mismatch: : expected an answer, saw none yet
      history: no answer yet
    ");
}

#[tokio::test]
async fn ends_at_once_with_the_part() {
    let outcome = run(r#"
        ports: [http]
        target: sleep 0.2; echo "cannot bind" >&2; exit 1
        procedure:
          - http_check: {url: "http://127.0.0.1:{{ port.http }}/", timeout: 60s}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` exited with code 1 while waiting for GET http://127.0.0.1:PORT/ to be answered as expected
      step: http_check http://127.0.0.1:PORT/
      at: DIR/case.yaml:6
      mismatch: : expected an answer, saw connection refused
      history: connection refused
      log: target: cannot bind
    ");
}

#[tokio::test]
async fn over_a_unix_socket() {
    passes(
        r#"
        target:
          - python3
          - -c
          - |
            import socket
            s = socket.socket(socket.AF_UNIX); s.bind("api.sock"); s.listen()
            while True:
                c, _ = s.accept(); c.recv(4096); c.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"); c.close()
        procedure:
          - http_check: {url: "http+unix://api.sock:/status", body_contains: hi}
        "#,
    )
    .await;
}
