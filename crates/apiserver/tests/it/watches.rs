//! Watches: nothing missed, nothing twice, and nobody can hold the server up by not reading.

use std::time::Duration;

use http_body_util::BodyExt as _;
use seatrial_apiserver::{ApiServer, Reply};
use serde_json::{Value, json};

use crate::client::{call, send};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn events(reply: &mut Reply, count: usize) -> Vec<Value> {
    let mut text = String::new();
    while text.lines().count() < count {
        let frame = tokio::time::timeout(Duration::from_secs(5), reply.body_mut().frame()).await;
        let Some(Ok(frame)) = frame.expect("an event in time") else {
            break;
        };
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn shown(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .map(|event| {
            format!(
                "{} {}",
                event["type"].as_str().unwrap(),
                event["object"]["metadata"]["name"].as_str().unwrap_or("-")
            )
        })
        .collect()
}

#[tokio::test]
async fn a_selector_sees_objects_enter_and_leave() {
    let server = ApiServer::builder().start();
    let mut watch = send(
        &server,
        "GET",
        &format!("{MAPS}?watch=1&labelSelector=on"),
        "",
        "",
    )
    .await;
    call(&server, "POST", MAPS, Some(json!({"metadata": {"name": "a"}}))).await;
    call(
        &server,
        "POST",
        MAPS,
        Some(json!({"metadata": {"name": "b", "labels": {"on": "1"}}})),
    )
    .await;
    call(
        &server,
        "PATCH",
        &format!("{MAPS}/a"),
        Some(json!({"metadata": {"labels": {"on": "1"}}})),
    )
    .await;
    call(
        &server,
        "PATCH",
        &format!("{MAPS}/a"),
        Some(json!({"data": {"k": "v"}})),
    )
    .await;
    let (_, last) = call(
        &server,
        "PATCH",
        &format!("{MAPS}/b"),
        Some(json!({"metadata": {"labels": null}})),
    )
    .await;
    call(&server, "DELETE", &format!("{MAPS}/a"), None).await;
    let seen = events(&mut watch, 5).await;
    assert_eq!(
        shown(&seen),
        ["ADDED b", "ADDED a", "MODIFIED a", "DELETED b", "DELETED a"]
    );
    // What left is shown as it was, at the revision at which it left.
    assert_eq!(seen[3]["object"]["metadata"]["labels"], json!({"on": "1"}));
    assert_eq!(
        seen[3]["object"]["metadata"]["resourceVersion"],
        last["metadata"]["resourceVersion"]
    );
}

#[tokio::test]
async fn a_streaming_list_ends_with_a_bookmark() {
    let server = ApiServer::builder().start();
    for n in 0..150 {
        call(
            &server,
            "POST",
            MAPS,
            Some(json!({"metadata": {"name": format!("m{n:03}")}})),
        )
        .await;
    }
    let path = format!(
        "{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let mut watch = send(&server, "GET", &path, "", "").await;
    let seen = events(&mut watch, 151).await;
    assert_eq!(shown(&seen)[..2], ["ADDED m000", "ADDED m001"]);
    let end = &seen[150]["object"]["metadata"]["annotations"];
    assert_eq!(
        (
            seen[150]["type"].as_str(),
            end["k8s.io/initial-events-end"].as_str()
        ),
        (Some("BOOKMARK"), Some("true"))
    );
}

#[tokio::test]
async fn a_version_that_is_compacted_is_410_inside_the_stream() {
    let server = ApiServer::builder().start();
    let (_, old) = call(&server, "POST", MAPS, Some(json!({"metadata": {"name": "a"}}))).await;
    call(&server, "POST", MAPS, Some(json!({"metadata": {"name": "b"}}))).await;
    server.compact();
    let version = old["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = send(
        &server,
        "GET",
        &format!("{MAPS}?watch=1&resourceVersion={version}"),
        "",
        "",
    )
    .await;
    assert_eq!(watch.status(), 200);
    let seen = events(&mut watch, 1).await;
    assert_eq!(
        (seen[0]["type"].as_str(), seen[0]["object"]["code"].as_i64()),
        (Some("ERROR"), Some(410))
    );
    let (status, body) = call(
        &server,
        "GET",
        &format!("{MAPS}?resourceVersion={version}&resourceVersionMatch=Exact"),
        None,
    )
    .await;
    assert_eq!((status, body["reason"].as_str()), (410, Some("Expired")));
}

#[tokio::test]
async fn a_watcher_that_never_reads_is_cut_off_and_harms_nobody() {
    let server = ApiServer::builder().history_changes_max(100).start();
    let mut lazy = send(&server, "GET", &format!("{MAPS}?watch=1"), "", "").await;
    let mut keen = send(&server, "GET", &format!("{MAPS}?watch=1"), "", "").await;
    for n in 0..300 {
        call(
            &server,
            "POST",
            MAPS,
            Some(json!({"metadata": {"name": format!("m{n}")}})),
        )
        .await;
        assert_eq!(shown(&events(&mut keen, 1).await), [format!("ADDED m{n}")]);
    }
    let seen = events(&mut lazy, 1).await;
    assert_eq!(
        (seen[0]["type"].as_str(), seen[0]["object"]["code"].as_i64()),
        (Some("ERROR"), Some(410))
    );
    assert!(lazy.body_mut().frame().await.is_none());
}

#[tokio::test]
async fn lists_go_on_at_the_revision_where_they_began() {
    let server = ApiServer::builder().start();
    for n in 0..5 {
        call(
            &server,
            "POST",
            MAPS,
            Some(json!({"metadata": {"name": format!("m{n}")}})),
        )
        .await;
    }
    let (_, first) = call(&server, "GET", &format!("{MAPS}?limit=2"), None).await;
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    call(&server, "POST", MAPS, Some(json!({"metadata": {"name": "m2a"}}))).await;
    call(&server, "DELETE", &format!("{MAPS}/m3"), None).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = call(&server, "GET", &format!("{MAPS}?continue={token}"), None).await;
    let names: Vec<&str> = rest["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["m2", "m3", "m4"]);
    server.compact();
    let (status, body) = call(&server, "GET", &format!("{MAPS}?continue={token}"), None).await;
    assert_eq!((status, body["reason"].as_str()), (410, Some("Expired")));
}
