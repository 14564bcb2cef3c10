//! OpenAPI v3 and v2 of what is served. Made on first ask after a change, kept until the next.

use std::sync::{Arc, PoisonError};

use serde_json::{Map, Value, json};

use crate::{
    api::Api,
    registry::{Registry, Resource, join_version},
    reply::{self, Body, Reply},
    status::serde_json_ordered,
};

/// All documents of one registry.
pub(crate) struct Documents {
    index: Vec<u8>,
    versions: Vec<(String, Vec<u8>)>,
    v2: Vec<u8>,
}

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const EMBEDDED_API_VERSION: &str = "apiVersion defines the versioned schema of this representation of an object. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const EMBEDDED_KIND: &str = "kind is a string value representing the type of this object. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

/// Answers `/openapi/...`.
pub(crate) fn answer(api: &Api, path: &str) -> Option<Reply> {
    let documents = {
        let mut cached = api.openapi.lock().unwrap_or_else(PoisonError::into_inner);
        cached
            .get_or_insert_with(|| Arc::new(build(&api.registry())))
            .clone()
    };
    let body = match path {
        "/openapi/v3" => documents.index.clone(),
        "/openapi/v2" => documents.v2.clone(),
        _ => {
            let name = path.strip_prefix("/openapi/v3/")?;
            documents.versions.iter().find(|(one, _)| one == name)?.1.clone()
        }
    };
    Some(reply::bytes(200, "application/json", Body::full(body)))
}

fn hash(bytes: &[u8]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016X}")
}

fn build(registry: &Registry) -> Documents {
    let mut versions = Vec::new();
    let mut index = Map::new();
    let mut definitions = Map::new();
    let mut v2_paths = Map::new();
    let groups: Vec<&str> = std::iter::once("").chain(registry.groups()).collect();
    for group in groups {
        for version in registry.versions(group) {
            let mut schemas = Map::new();
            let mut paths = Map::new();
            for resource in registry.resources(group, version) {
                add_schemas(resource, Form::V3, &mut schemas);
                add_schemas(resource, Form::V2, &mut definitions);
                add_paths(resource, Form::V3, &mut paths);
                add_paths(resource, Form::V2, &mut v2_paths);
            }
            shared_schemas(&mut schemas);
            let document = json!({
                "openapi": "3.0.0",
                "info": {"title": "Kubernetes", "version": "v1.33.4"},
                "paths": paths,
                "components": {"schemas": schemas},
            });
            let bytes = serde_json_ordered(&document);
            let name = if group.is_empty() {
                format!("api/{version}")
            } else {
                format!("apis/{group}/{version}")
            };
            index.insert(
                name.clone(),
                json!({"serverRelativeURL": format!("/openapi/v3/{name}?hash={}", hash(&bytes))}),
            );
            versions.push((name, bytes));
        }
    }
    shared_schemas(&mut definitions);
    let v2 = json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.33.4"},
        "paths": v2_paths,
        "definitions": definitions,
    });
    Documents {
        index: serde_json_ordered(&json!({"paths": index})),
        versions,
        v2: serde_json_ordered(&v2),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    V2,
    V3,
}

impl Form {
    fn reference(self, name: &str) -> String {
        match self {
            Self::V2 => format!("#/definitions/{name}"),
            Self::V3 => format!("#/components/schemas/{name}"),
        }
    }
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

fn shared_schemas(schemas: &mut Map<String, Value>) {
    for name in [META, LIST_META, DELETE_OPTIONS, STATUS, PATCH] {
        schemas.insert(name.to_owned(), json!({"type": "object"}));
    }
}

/// `dev.example.v1.Widget`
fn schema_name(resource: &Resource, kind: &str) -> String {
    if resource.is_custom() {
        let mut parts: Vec<&str> = resource.group.split('.').collect();
        parts.reverse();
        return format!("{}.{}.{kind}", parts.join("."), resource.version);
    }
    let group = resource
        .group
        .split('.')
        .next()
        .filter(|group| !group.is_empty())
        .unwrap_or("core");
    format!("io.k8s.api.{group}.{}.{kind}", resource.version)
}

fn add_schemas(resource: &Resource, form: Form, out: &mut Map<String, Value>) {
    let name = schema_name(resource, &resource.kind);
    let gvk = |kind: &str| json!([{"group": resource.group, "kind": kind, "version": resource.version}]);
    let mut object = match &resource.schema_json {
        Some(json) if form == Form::V3 => v3_schema(json, true),
        Some(json) => v2_schema(json),
        None => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    };
    if !object.get("properties").is_some_and(Value::is_object) {
        object["properties"] = json!({});
    }
    object["properties"]["apiVersion"] = json!({"description": API_VERSION, "type": "string"});
    object["properties"]["kind"] = json!({"description": KIND, "type": "string"});
    let meta = form.reference(META);
    object["properties"]["metadata"] = match form {
        Form::V3 => json!({
            "description": "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
            "allOf": [{"$ref": meta}]}),
        Form::V2 => json!({
            "description": "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
            "$ref": meta}),
    };
    object["x-kubernetes-group-version-kind"] = gvk(&resource.kind);
    let list_meta = form.reference(LIST_META);
    let item = form.reference(&name);
    let list_meta = match form {
        Form::V3 => json!({
            "description": "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
            "allOf": [{"$ref": list_meta}]}),
        Form::V2 => json!({
            "description": "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
            "$ref": list_meta}),
    };
    let items = json!({"$ref": item});
    let list = json!({
        "description": format!("{} is a list of {}", resource.list_kind, resource.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"description": API_VERSION, "type": "string"},
            "items": {"description": format!("List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md", resource.plural), "type": "array", "items": items},
            "kind": {"description": KIND, "type": "string"},
            "metadata": list_meta,
        },
        "x-kubernetes-group-version-kind": gvk(&resource.list_kind),
    });
    out.insert(schema_name(resource, &resource.list_kind), list);
    out.insert(name, object);
}

/// What the schema's shorthands mean, written out.
fn v3_schema(schema: &Value, root: bool) -> Value {
    let Value::Object(map) = schema else {
        return schema.clone();
    };
    let flag = |key: &str| map.get(key) == Some(&Value::Bool(true));
    let mut out = map.clone();
    for key in ["items", "additionalProperties"] {
        if let Some(child) = map.get(key) {
            out.insert(key.to_owned(), v3_schema(child, false));
        }
    }
    if let Some(Value::Object(children)) = map.get("properties") {
        let all = children
            .iter()
            .map(|(name, child)| (name.clone(), v3_schema(child, false)));
        out.insert("properties".to_owned(), Value::Object(all.collect()));
    }
    if flag("x-kubernetes-int-or-string") && !map.contains_key("anyOf") {
        out.insert(
            "anyOf".to_owned(),
            json!([{"type": "integer"}, {"type": "string"}]),
        );
    }
    let mut out = Value::Object(out);
    if flag("x-kubernetes-embedded-resource") && !root {
        if !out.get("properties").is_some_and(Value::is_object) {
            out["properties"] = json!({});
        }
        out["properties"]["apiVersion"] = json!({"description": EMBEDDED_API_VERSION, "type": "string"});
        out["properties"]["kind"] = json!({"description": EMBEDDED_KIND, "type": "string"});
        out["properties"]["metadata"] =
            json!({"description": METADATA, "allOf": [{"$ref": Form::V3.reference(META)}]});
        let mut required = vec![json!("kind"), json!("apiVersion")];
        let had = map
            .get("required")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        required.extend(had.into_iter().filter(|one| one != "kind" && one != "apiVersion"));
        out["required"] = required.into();
    }
    out
}

/// What v2 cannot say is left out.
fn v2_schema(schema: &Value) -> Value {
    let Value::Object(map) = schema else {
        return schema.clone();
    };
    let flag = |key: &str| map.get(key) == Some(&Value::Bool(true));
    let preserve = flag("x-kubernetes-preserve-unknown-fields");
    let untyped = flag("nullable") || flag("x-kubernetes-int-or-string");
    let mut out = Map::new();
    for (key, value) in map {
        match key.as_str() {
            "nullable" | "oneOf" | "anyOf" | "not" | "default" => {}
            "type" | "properties" | "items" | "additionalProperties" | "required"
                if untyped && key != "required" => {}
            "properties" | "items" | "additionalProperties" | "type" if preserve => {}
            "properties" => {
                let all = value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, child)| (name.clone(), v2_schema(child)));
                out.insert(key.clone(), Value::Object(all.collect()));
            }
            "items" | "additionalProperties" => {
                out.insert(key.clone(), v2_schema(value));
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(out)
}

/// `S01aGoldenDevV1`
fn operation_group(resource: &Resource) -> String {
    let title = |part: &str| {
        let mut chars = part.chars();
        chars
            .next()
            .map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
    };
    let group: String = if resource.group.is_empty() {
        "Core".to_owned()
    } else {
        resource.group.split(['.', '-']).map(title).collect()
    };
    let group = if resource.is_custom() {
        group
    } else {
        group.trim_end_matches("K8sIo").to_owned()
    };
    format!("{group}{}", title(&resource.version))
}

fn parameter(form: Form, name: &str, place: &str, kind: &str, description: &str, required: bool) -> Value {
    let mut out = Map::new();
    out.insert("name".into(), name.into());
    out.insert("in".into(), place.into());
    out.insert("description".into(), description.into());
    if required {
        out.insert("required".into(), true.into());
    }
    match form {
        Form::V3 => {
            out.insert("schema".into(), json!({"type": kind, "uniqueItems": true}));
        }
        Form::V2 => {
            out.insert("type".into(), kind.into());
            out.insert("uniqueItems".into(), true.into());
        }
    }
    Value::Object(out)
}

const PRETTY: &str = "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or command-line HTTP tool (curl and wget).";
const DRY_RUN: &str = "When present, indicates that modifications should not be persisted. An invalid or unrecognized dryRun directive will result in an error response and no further processing of the request. Valid values are: - All: all dry run stages will be processed";
const FIELD_VALIDATION: &str = "fieldValidation instructs the server on how to handle objects in the request (POST/PUT/PATCH) containing unknown or duplicate fields. Valid values are: - Ignore: This will ignore any unknown fields that are silently dropped from the object, and will ignore all but the last duplicate field that the decoder encounters. This is the default behavior prior to v1.23. - Warn: This will send a warning via the standard warning response header for each unknown field that is dropped from the object, and for each duplicate field that is encountered. The request will still succeed if there are no other errors, and will only persist the last of any duplicate fields. This is the default in v1.23+ - Strict: This will fail the request with a BadRequest error if any unknown fields would be dropped from the object, or if any duplicate fields are present. The error returned from the server will contain all unknown and duplicate fields encountered.";

fn add_paths(resource: &Resource, form: Form, out: &mut Map<String, Value>) {
    let base = if resource.group.is_empty() {
        format!("/api/{}", resource.version)
    } else {
        format!("/apis/{}/{}", resource.group, resource.version)
    };
    let scope = if resource.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("{base}{scope}/{}", resource.plural);
    let one = format!("{collection}/{{name}}");
    let infix = if resource.namespaced { "Namespaced" } else { "" };
    let pretty = parameter(form, "pretty", "query", "string", PRETTY, false);
    let mut path_parameters = Vec::new();
    if resource.namespaced {
        let text = "object name and auth scope, such as for teams and projects";
        path_parameters.push(parameter(form, "namespace", "path", "string", text, true));
    }
    path_parameters.push(pretty.clone());
    let name = parameter(
        form,
        "name",
        "path",
        "string",
        &format!("name of the {}", resource.kind),
        true,
    );
    let one_parameters: Vec<Value> = std::iter::once(name)
        .chain(path_parameters.iter().cloned())
        .collect();
    let object = form.reference(&schema_name(resource, &resource.kind));
    let list = form.reference(&schema_name(resource, &resource.list_kind));
    let operation = |verb: &str, action: &str, suffix: &str, schema: &str, codes: &[u16]| {
        make_operation(
            resource,
            form,
            verb,
            action,
            &format!(
                "{verb}{}{infix}{}{suffix}",
                operation_group(resource),
                resource.kind
            ),
            schema,
            codes,
        )
    };
    let collection_ops = json!({
        "get": operation("list", "list", "", &list, &[200]),
        "post": operation("create", "post", "", &object, &[200, 201, 202]),
        "delete": make_operation(resource, form, "delete", "deletecollection", &format!("delete{}Collection{infix}{}", operation_group(resource), resource.kind), &form.reference(STATUS), &[200]),
        "parameters": path_parameters,
    });
    let one_ops = json!({
        "get": operation("read", "get", "", &object, &[200]),
        "put": operation("replace", "put", "", &object, &[200, 201]),
        "patch": operation("patch", "patch", "", &object, &[200]),
        "delete": operation("delete", "delete", "", &form.reference(STATUS), &[200, 202]),
        "parameters": one_parameters,
    });
    out.insert(collection, collection_ops);
    out.insert(one.clone(), one_ops);
    if resource.namespaced {
        let all = make_operation(
            resource,
            form,
            "list",
            "list",
            &format!(
                "list{}{}ForAllNamespaces",
                operation_group(resource),
                resource.kind
            ),
            &list,
            &[200],
        );
        out.insert(
            format!("{base}/{}", resource.plural),
            json!({"get": all, "parameters": [pretty]}),
        );
    }
    for (sub, present) in [("status", resource.status), ("scale", resource.scale.is_some())] {
        if present {
            let suffix = if sub == "status" { "Status" } else { "Scale" };
            out.insert(
                format!("{one}/{sub}"),
                json!({
                    "get": operation("read", "get", suffix, &object, &[200]),
                    "put": operation("replace", "put", suffix, &object, &[200, 201]),
                    "patch": operation("patch", "patch", suffix, &object, &[200]),
                    "parameters": one_parameters,
                }),
            );
        }
    }
}

fn make_operation(
    resource: &Resource,
    form: Form,
    verb: &str,
    action: &str,
    id: &str,
    schema: &str,
    codes: &[u16],
) -> Value {
    let mut first = id.chars();
    let id: String = first
        .next()
        .map_or(String::new(), |c| c.to_lowercase().chain(first).collect());
    let mut out = Map::new();
    out.insert("description".into(), format!("{verb} {}", resource.kind).into());
    out.insert("operationId".into(), id.into());
    let mut parameters = Vec::new();
    if matches!(action, "post" | "put" | "patch") {
        parameters.push(parameter(form, "dryRun", "query", "string", DRY_RUN, false));
        parameters.push(parameter(
            form,
            "fieldManager",
            "query",
            "string",
            "fieldManager is a name associated with the actor or entity that is making these changes.",
            false,
        ));
        parameters.push(parameter(
            form,
            "fieldValidation",
            "query",
            "string",
            FIELD_VALIDATION,
            false,
        ));
    }
    let media = ["application/json", "application/yaml"];
    match form {
        Form::V3 => {
            if action == "patch" {
                let types: &[&str] = if resource.strategic {
                    &[
                        "application/apply-patch+yaml",
                        "application/json-patch+json",
                        "application/merge-patch+json",
                        "application/strategic-merge-patch+json",
                    ]
                } else {
                    &[
                        "application/apply-patch+yaml",
                        "application/json-patch+json",
                        "application/merge-patch+json",
                    ]
                };
                let patch = form.reference(PATCH);
                let content: Map<String, Value> = types
                    .iter()
                    .map(|one| ((*one).to_owned(), json!({"schema": {"$ref": patch}})))
                    .collect();
                out.insert(
                    "requestBody".into(),
                    json!({"content": content, "required": true}),
                );
            } else if matches!(action, "post" | "put") {
                let content: Map<String, Value> = media
                    .iter()
                    .map(|one| ((*one).to_owned(), json!({"schema": {"$ref": schema}})))
                    .collect();
                out.insert(
                    "requestBody".into(),
                    json!({"content": content, "required": true}),
                );
            }
        }
        Form::V2 => {
            if matches!(action, "post" | "put" | "patch") {
                let body = if action == "patch" {
                    form.reference(PATCH)
                } else {
                    schema.to_owned()
                };
                parameters
                    .push(json!({"name": "body", "in": "body", "required": true, "schema": {"$ref": body}}));
            }
            out.insert("consumes".into(), media.to_vec().into());
            out.insert("produces".into(), media.to_vec().into());
            out.insert("schemes".into(), vec!["https"].into());
        }
    }
    if !parameters.is_empty() {
        out.insert("parameters".into(), parameters.into());
    }
    let mut responses = Map::new();
    for code in codes {
        let text = match code {
            201 => "Created",
            202 => "Accepted",
            _ => "OK",
        };
        responses.insert(
            code.to_string(),
            match form {
                Form::V3 => {
                    let content: Map<String, Value> = media
                        .iter()
                        .map(|one| ((*one).to_owned(), json!({"schema": {"$ref": schema}})))
                        .collect();
                    json!({"description": text, "content": content})
                }
                Form::V2 => json!({"description": text, "schema": {"$ref": schema}}),
            },
        );
    }
    responses.insert("401".into(), json!({"description": "Unauthorized"}));
    out.insert("responses".into(), Value::Object(responses));
    out.insert("x-kubernetes-action".into(), action.into());
    out.insert(
        "x-kubernetes-group-version-kind".into(),
        json!({"group": resource.group, "kind": resource.kind, "version": resource.version}),
    );
    out.insert(
        "tags".into(),
        json!([join_version(&resource.group, &resource.version).replace(['/', '.'], "_")]),
    );
    Value::Object(out)
}
