//! Requests without a socket.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use seatrial_apiserver::{ApiServer, Reply};
use serde_json::Value;

/// Sends one request and returns the reply before its body is read.
pub(crate) async fn send(
    server: &ApiServer,
    method: &str,
    path: &str,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Reply {
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header("content-type", content_type)
        .header("user-agent", "it/1.0")
        .body(Full::new(body.into()))
        .unwrap();
    server.handle(request).await
}

/// Status and body of a reply; a body that is not JSON becomes a text.
pub(crate) async fn read(reply: Reply) -> (u16, Value) {
    let status = reply.status().as_u16();
    let bytes = reply.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    (status, body)
}

/// A JSON request and its answer.
pub(crate) async fn call(server: &ApiServer, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let content_type = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let body = body.map(|value| value.to_string()).unwrap_or_default();
    read(send(server, method, path, content_type, body).await).await
}

/// A definition of `widgets.example.dev` with a schema.
pub(crate) fn widgets(schema: Value) -> Value {
    serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.dev"},
        "spec": {"group": "example.dev", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}}}]}})
}
