//! Groups with a network of their own.

use crate::{
    fixture::{Fixture, soon},
    targets::target,
};
use seatrial_environment::{Endpoint, process::network_isolation};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::AsyncReadExt as _;

/// No other network has a listener there, and if one had it would not matter.
const FIXED: u16 = 8080;

#[tokio::test]
async fn fixed_ports_do_not_clash() {
    if let Err(error) = network_isolation().await {
        eprintln!("skipped: this user can make no network namespace: {error}");
        return;
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIXED));
    let mut fixtures = Vec::new();
    for name in ["first", "second"] {
        let fixture = Fixture::with(|spec| spec.isolate_network = true).await;
        let spec = target(name, "targets::serve_tcp")
            .env("PORT", FIXED.to_string())
            .env("NAME", name);
        let part = fixture.group.start(spec).await.unwrap();
        soon(part.wait_listening(&Endpoint::Tcp(FIXED))).await.unwrap();
        fixtures.push((name, fixture));
    }
    for (name, fixture) in fixtures {
        let mut connection = soon(fixture.group.connect_tcp(address)).await.unwrap();
        let mut answer = String::new();
        soon(connection.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer, name);
        fixture.end().await;
    }
}

#[tokio::test]
async fn parts_of_a_group_share_its_network() {
    if let Err(error) = network_isolation().await {
        eprintln!("skipped: this user can make no network namespace: {error}");
        return;
    }
    let fixture = Fixture::with(|spec| spec.isolate_network = true).await;
    let spec = target("server", "targets::serve_others").env("PORT", FIXED.to_string());
    let server = fixture.group.start(spec).await.unwrap();
    soon(server.wait_listening(&Endpoint::Udp(FIXED))).await.unwrap();
    let other = fixture.sh("sleep 1000").await;
    // Seen from the other part as somebody else's.
    assert!(!other.listening(&Endpoint::Udp(FIXED)).unwrap().is_ours());
    let socket = fixture
        .group
        .udp_socket((Ipv4Addr::LOCALHOST, 0).into())
        .await
        .unwrap();
    socket
        .send_to(b"ping", (Ipv4Addr::LOCALHOST, FIXED))
        .await
        .unwrap();
    let mut buffer = [0; 10];
    let (length, _) = soon(socket.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..length], b"ping");
    fixture.end().await;
}
