//! The request path: one tower `Service` from a request to a response.
//!
//! Upstream's order, kept so that what comes later finds its place: panics and limits of the body, authentication,
//! (audit), impersonation, authorization, then the handler: decoding, mutating admission, validation, validating
//! admission, storage. Authentication is the server's that owns the socket; authorization and admission are not
//! here yet, and everyone may do everything.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, header, request::Parts};
use http_body_util::BodyExt as _;

use crate::{
    api::Api,
    apply::Subresource,
    builtin,
    clock::{Clock, SystemClock},
    crd, discovery, gzip,
    handlers::{self, Call},
    openapi,
    query::Query,
    registry::{Registry, Resource},
    reply::{self, Body, Reply},
    request::{Route, Target, route},
    status::{GroupResource, Status},
    store::{Limits, Store},
    strategy,
};

/// Upstream's limit of a request's body.
const BODY_BYTES_MAX: usize = 3 << 20;
/// A body that does not arrive in this time is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// How an API server is made.
pub struct Builder {
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Where objects get their times from. The machine's clock unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many past changes can still be read and watched from. 100,000 unless set.
    pub fn history_changes_max(mut self, changes: usize) -> Self {
        self.limits.changes_max = changes;
        self
    }

    /// How many bytes of past versions are kept. 48 MiB unless set.
    pub fn history_bytes_max(mut self, bytes: usize) -> Self {
        self.limits.bytes_max = bytes;
        self
    }

    /// Starts it: from here on requests are answered.
    pub fn start(self) -> ApiServer {
        let api = Arc::new(Api::new(Store::new(self.limits), self.clock));
        let mut registry = Registry::default();
        let mut new_encoding = || api.new_encoding();
        for resource in builtin::resources(&mut new_encoding) {
            registry.insert(resource);
        }
        registry.insert(Arc::new(crd::definition_resource(new_encoding())));
        api.set_registry(registry);
        let server = ApiServer { api };
        server.bootstrap();
        server
    }
}

/// The Kubernetes API. A clone is the same server.
#[derive(Clone)]
pub struct ApiServer {
    api: Arc<Api>,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer")
            .field("revision", &self.api.store.revision())
            .finish_non_exhaustive()
    }
}

impl ApiServer {
    /// Begins to make one.
    pub fn builder() -> Builder {
        Builder {
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
        }
    }

    /// Forgets all history: reads and watches from before now find their version too old.
    pub fn compact(&self) {
        self.api.store.compact(self.api.store.revision());
    }

    /// What exists before anybody asks: the namespaces, and the service `kubernetes`.
    fn bootstrap(&self) {
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let body = format!("{{\"metadata\":{{\"name\":\"{name}\"}}}}");
            self.create_own("/api/v1/namespaces", body);
        }
        let service = r#"{"metadata":{"name":"kubernetes","labels":{"component":"apiserver","provider":"kubernetes"}},"spec":{"type":"ClusterIP","clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"],"ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster","sessionAffinity":"None","ports":[{"name":"https","port":443,"protocol":"TCP","targetPort":6443}]},"status":{"loadBalancer":{}}}"#;
        self.create_own("/api/v1/namespaces/default/services", service.to_owned());
    }

    fn create_own(&self, path: &str, body: String) {
        let Route::Resource(target) = route(path) else {
            return;
        };
        let registry = self.api.registry();
        let Some(resource) = registry.find(&target.group, &target.version, &target.plural) else {
            return;
        };
        let call = Call {
            api: self.api.clone(),
            resource: resource.clone(),
            namespace: target.namespace,
            name: None,
            query: Query::default(),
            accept: String::new(),
            content_type: String::new(),
            user_agent: "kube-apiserver".to_owned(),
            body: body.into(),
            noted: Mutex::default(),
        };
        // A fresh store refuses nothing.
        let _ = handlers::create(&call);
    }

    /// Answers one request.
    pub async fn handle<B>(&self, request: Request<B>) -> Reply
    where
        B: http_body::Body<Data = Bytes>,
    {
        let (parts, body) = request.into_parts();
        let accept = header_text(&parts, header::ACCEPT).to_owned();
        let mut reply = match self.answer(&parts, body, &accept).await {
            Ok(reply) => reply,
            Err(status) => reply::refusal(&status, &accept),
        };
        gzip::compress(&parts.headers, &mut reply);
        let headers = reply.headers_mut();
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache, private"),
        );
        reply
    }

    async fn answer<B>(&self, parts: &Parts, body: B, accept: &str) -> Result<Reply, Status>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let registry = self.api.registry();
        let path = parts.uri.path();
        let found = match route(path) {
            Route::CoreVersions => Some(discovery::core_versions(
                &registry,
                accept,
                header_text(parts, header::HOST),
            )?),
            Route::Groups => Some(discovery::groups(&registry, accept)?),
            Route::Group(group) => discovery::group(&registry, &group, accept)?,
            Route::GroupVersion(group, version) => {
                discovery::group_version(&registry, &group, &version, accept)?
            }
            Route::Resource(target) => match registry.find(&target.group, &target.version, &target.plural) {
                Some(resource) => {
                    self.resource(parts, body, accept, target, resource.clone())
                        .await?
                }
                // Upstream's own groups say it in JSON, the handler of custom resources as the mux does.
                None if target.group == "apiextensions.k8s.io" || target.group.is_empty() => {
                    return Err(no_such_resource());
                }
                None => None,
            },
            Route::Other(path) => self.other(&path, parts)?,
        };
        Ok(found.unwrap_or_else(reply::page_not_found))
    }

    fn other(&self, path: &str, parts: &Parts) -> Result<Option<Reply>, Status> {
        let query = Query::parse(parts.uri.query().unwrap_or(""));
        Ok(match path.trim_end_matches('/') {
            "/healthz" | "/livez" | "/readyz" => Some(health(path.trim_matches('/'), &query)),
            "/version" => Some(version()),
            "" => {
                let paths = serde_json::json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]});
                Some(reply::tree(200, &crate::media::negotiate("", false)?, &paths))
            }
            path if path.starts_with("/openapi/") => openapi::answer(&self.api, path),
            _ => None,
        })
    }

    async fn resource<B>(
        &self,
        parts: &Parts,
        body: B,
        accept: &str,
        target: Target,
        resource: Arc<Resource>,
    ) -> Result<Option<Reply>, Status>
    where
        B: http_body::Body<Data = Bytes>,
    {
        if let Some(refused) = misplaced(&target, &resource, &parts.method) {
            return refused.map_or(Ok(None), Err);
        }
        let body = match parts.method {
            Method::GET | Method::HEAD => Bytes::new(),
            _ => read_body(body).await?,
        };
        let call = Call {
            api: self.api.clone(),
            resource: resource.clone(),
            namespace: target.namespace,
            name: target.name,
            query: Query::parse(parts.uri.query().unwrap_or("")),
            accept: accept.to_owned(),
            content_type: header_text(parts, header::CONTENT_TYPE).to_owned(),
            user_agent: header_text(parts, header::USER_AGENT).to_owned(),
            body,
            noted: Mutex::default(),
        };
        let acted = act(
            &call,
            &parts.method,
            target.subresource.as_deref(),
            target.watch_prefix,
        )
        .await;
        let mut reply = acted.unwrap_or_else(|status| {
            let mut reply = reply::refusal(&status, accept);
            reply::warn(&mut reply, &call.noted());
            reply
        });
        if let Some(warning) = &resource.deprecation {
            reply::warn(&mut reply, std::slice::from_ref(warning));
        }
        Ok(Some(reply))
    }
}

/// A path that does not fit the resource's scope, or a subresource that it does not have. `Some(None)`: not found,
/// as the mux says it.
fn misplaced(target: &Target, resource: &Resource, method: &Method) -> Option<Option<Status>> {
    let named = target.name.is_some();
    if !resource.namespaced && target.namespace.is_some() {
        return Some(None);
    }
    if resource.namespaced && target.namespace.is_none() && (named || *method == Method::POST) {
        return Some(None);
    }
    let sub = target.subresource.as_deref()?;
    let known = match sub {
        "status" => resource.status,
        "scale" => resource.scale.is_some(),
        "finalize" => resource.group.is_empty() && resource.plural == "namespaces",
        _ => false,
    };
    let name = target.name.as_deref().unwrap_or("");
    (!known).then(|| Some(Status::not_found(resource.group_resource(), name)))
}

async fn act(call: &Call, method: &Method, sub: Option<&str>, watch_prefix: bool) -> Result<Reply, Status> {
    let named = call.name.is_some();
    let main = strategy::main_part(&call.resource);
    let of = call.resource.group_resource();
    match (method.as_str(), sub) {
        ("GET" | "HEAD", Some("scale")) => handlers::get_scale(call),
        ("GET" | "HEAD", _) if named && !watch_prefix => handlers::get(call).await,
        ("GET" | "HEAD", None) if watch_prefix || call.query.flag("watch") => handlers::watch(call),
        ("GET" | "HEAD", None) => handlers::list(call).await,
        ("POST", None) => handlers::create(call),
        ("POST", Some(_)) if !call.resource.is_custom() => Err(not_allowed()),
        ("PUT" | "PATCH", _) if !named => Err(Status::bad_request("name must be provided")),
        ("PUT", Some("scale")) => handlers::put_scale(call),
        ("PATCH", Some("scale")) => handlers::patch_scale(call),
        ("PUT", Some("status")) => handlers::put(call, Subresource::Status),
        ("PATCH", Some("status")) => handlers::patch(call, Subresource::Status),
        ("PUT", Some("finalize")) => handlers::put(call, Subresource::Other("finalize")),
        ("PUT", None) => handlers::put(call, main),
        ("PATCH", None) => handlers::patch(call, main),
        ("DELETE", None) if named => handlers::delete_one(call),
        ("DELETE", None) => handlers::delete_collection(call),
        (verb, _) if call.resource.is_custom() => Err(Status::method_not_supported(of, verb_name(verb))),
        _ => Err(not_allowed()),
    }
}

fn verb_name(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

fn not_allowed() -> Status {
    let of = GroupResource {
        group: "",
        resource: "",
    };
    Status {
        message: "the server does not allow this method on the requested resource".to_owned(),
        details: Some(Box::default()),
        ..Status::method_not_supported(of, "")
    }
}

fn no_such_resource() -> Status {
    let of = GroupResource {
        group: "",
        resource: "",
    };
    Status {
        message: "the server could not find the requested resource".to_owned(),
        details: Some(Box::default()),
        ..Status::not_found(of, "")
    }
}

fn header_text(parts: &Parts, name: header::HeaderName) -> &str {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

async fn read_body<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(Status::too_large());
    }
    let deadline = tokio::time::Instant::now() + BODY_TIMEOUT;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Status::bad_request("timed out reading the request body")),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Status::bad_request("unexpected EOF")),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > BODY_BYTES_MAX {
            return Err(Status::too_large());
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
                first.clear();
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn health(name: &str, query: &Query) -> Reply {
    if query.has("verbose") {
        return reply::text(200, format!("[+]ping ok\n[+]etcd ok\n{name} check passed\n"));
    }
    reply::text(200, "ok")
}

fn version() -> Reply {
    let body = serde_json::json!({
        "major": "1",
        "minor": "33",
        "emulationMajor": "1",
        "emulationMinor": "33",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "32",
        "gitVersion": "v1.33.4",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    });
    reply::bytes(
        200,
        "application/json",
        Body::full(serde_json::to_vec_pretty(&body).unwrap_or_default()),
    )
}

impl<B> tower_service::Service<Request<B>> for ApiServer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move { Ok(server.handle(request).await) })
    }
}
