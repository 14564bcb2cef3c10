//! Writers that race, clocks that stand, input that is hostile.

use jiff::{SignedDuration, Timestamp};
use seatrial_apiserver::{ApiServer, ManualClock};
use serde_json::json;

use crate::client::{call, read, send, widgets};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_patches_are_all_kept() {
    let server = ApiServer::builder().start();
    call(&server, "POST", MAPS, Some(json!({"metadata": {"name": "a"}}))).await;
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let server = server.clone();
            tokio::spawn(async move {
                for n in 0..20 {
                    // A patch that lost the race too often is told so, and sends it again, as clients do.
                    loop {
                        let body = json!({"data": {format!("k{writer}-{n}"): "v"}});
                        let (status, _) = call(&server, "PATCH", &format!("{MAPS}/a"), Some(body)).await;
                        match status {
                            200 => break,
                            409 => {}
                            other => panic!("{other}"),
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (_, object) = call(&server, "GET", &format!("{MAPS}/a"), None).await;
    assert_eq!(object["data"].as_object().unwrap().len(), 160);
}

#[tokio::test]
async fn objects_hold_the_clock_they_were_given() {
    struct Shared(std::sync::Arc<ManualClock>);
    impl seatrial_apiserver::Clock for Shared {
        fn now(&self) -> Timestamp {
            self.0.now()
        }
    }
    let clock = std::sync::Arc::new(ManualClock::new("2001-02-03T04:05:06Z".parse().unwrap()));
    let server = ApiServer::builder().clock(Shared(clock.clone())).start();
    let body = json!({"metadata": {"name": "a"}, "data": {"j": "v"}});
    let (_, object) = call(&server, "POST", MAPS, Some(body)).await;
    assert_eq!(object["metadata"]["creationTimestamp"], "2001-02-03T04:05:06Z");
    clock.step(SignedDuration::from_hours(1));
    let (_, object) = call(
        &server,
        "PATCH",
        &format!("{MAPS}/a"),
        Some(json!({"data": {"k": "v"}})),
    )
    .await;
    assert_eq!(
        object["metadata"]["managedFields"][0]["time"],
        "2001-02-03T05:05:06Z"
    );
}

#[tokio::test]
async fn a_definition_is_established_when_its_create_is_answered() {
    let server = ApiServer::builder().start();
    const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const WIDGETS: &str = "/apis/example.dev/v1/namespaces/default/widgets";
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}}}}});
    assert_eq!(call(&server, "POST", CRDS, Some(widgets(schema))).await.0, 201);
    let object = json!({"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "a", "finalizers": ["e.dev/x"]}, "spec": {"n": 1}});
    assert_eq!(call(&server, "POST", WIDGETS, Some(object)).await.0, 201);
    let watch = send(&server, "GET", &format!("{WIDGETS}?watch=1"), "", "").await;
    // Its deletion waits for its objects, and they for their finalizers.
    let (_, gone) = call(&server, "DELETE", &format!("{CRDS}/widgets.example.dev"), None).await;
    assert_eq!(
        gone["status"]["conditions"][2]["reason"],
        "InstanceDeletionPending"
    );
    let (status, one) = call(&server, "GET", &format!("{WIDGETS}/a"), None).await;
    assert_eq!(
        (status, one["metadata"]["deletionTimestamp"].is_string()),
        (200, true)
    );
    let again = json!({"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "b"}});
    assert_eq!(call(&server, "POST", WIDGETS, Some(again)).await.0, 405);
    call(
        &server,
        "PATCH",
        &format!("{WIDGETS}/a"),
        Some(json!({"metadata": {"finalizers": null}})),
    )
    .await;
    assert_eq!(call(&server, "GET", WIDGETS, None).await.0, 404);
    // Who watched them has seen them go, and the stream ends.
    let seen = read(watch).await.1;
    let kinds: Vec<&str> = seen
        .as_str()
        .unwrap_or("")
        .lines()
        .map(|line| &line[9..12])
        .collect();
    assert_eq!(kinds, ["ADD", "MOD", "DEL"]);
    assert_eq!(
        call(&server, "GET", &format!("{CRDS}/widgets.example.dev"), None)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn hostile_bodies_are_refused() {
    let server = ApiServer::builder().start();
    let deep = format!(
        "{{\"metadata\":{{\"name\":\"a\"}},\"data\":{}1{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    let big = format!(
        "{{\"metadata\":{{\"name\":\"a\"}},\"data\":{{\"k\":\"{}\"}}}}",
        "x".repeat(3 << 20)
    );
    let bad_utf8 = b"{\"metadata\":{\"name\":\"a\xff\"}}".to_vec();
    for (body, expected) in [
        (deep.into_bytes(), 400),
        (big.into_bytes(), 413),
        (bad_utf8, 422),
        (b"{".to_vec(), 400),
        (vec![0; 100], 400),
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let path = if method == "POST" {
                MAPS.to_owned()
            } else {
                format!("{MAPS}/a")
            };
            let (status, _) =
                read(send(&server, method, &path, "application/json", body.clone()).await).await;
            if method == "POST" {
                assert_eq!(status, expected);
            }
            assert!((400..=500).contains(&status), "{method} {status}");
        }
    }
}
