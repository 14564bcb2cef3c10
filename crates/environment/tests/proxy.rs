//! Each toxic, seen by a client that measures it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test tells what went wrong by panicking"
)]

use std::{
    io::ErrorKind,
    net::SocketAddr,
    time::{Duration, Instant},
};

use seatrial_environment::proxy::{Direction, TcpProxy, Toxic, ToxicKind, UdpProxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
    time::timeout,
};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Sends everything back, and closes when its client does.
async fn echo() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.into_split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    (address, serving)
}

async fn proxied() -> TcpProxy {
    let (server, _serving) = echo().await;
    TcpProxy::start(LOOPBACK, server).await.unwrap()
}

fn downstream(kind: ToxicKind) -> Toxic {
    Toxic {
        direction: Direction::Downstream,
        kind,
    }
}

/// How long it takes to get these bytes back.
async fn round_trip(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
    let start = Instant::now();
    stream.write_all(bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, bytes);
    start.elapsed()
}

#[tokio::test]
async fn without_toxics_it_is_not_there() {
    let proxy = proxied().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let payload: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    round_trip(&mut stream, &payload).await;
    stream.shutdown().await.unwrap();
    assert_eq!(
        stream.read(&mut [0]).await.unwrap(),
        0,
        "the end gets through both ways"
    );
}

#[tokio::test]
async fn latency_delays_an_open_connection_without_slowing_it() {
    let proxy = proxied().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut stream, b"before").await;
    let latency = ToxicKind::Latency {
        latency: Duration::from_millis(150),
        jitter: Duration::ZERO,
    };
    proxy.toxics().set("slow", downstream(latency));
    let one = round_trip(&mut stream, b"x").await;
    assert!(one >= Duration::from_millis(150), "{one:?}");
    // Thirty chunks of 16 KiB are all under way at the same time: had each waited for the one before it, this would
    // take thirty times as long.
    let (mut read, mut write) = stream.into_split();
    let start = Instant::now();
    let sending = tokio::spawn(async move {
        write.write_all(&vec![7; 480 * 1024]).await.unwrap();
        write
    });
    read.read_exact(&mut vec![0; 480 * 1024]).await.unwrap();
    assert!(
        start.elapsed() < 10 * Duration::from_millis(150),
        "{:?}",
        start.elapsed()
    );
    drop(sending.await.unwrap());
    assert!(proxy.toxics().remove("slow"));
    assert!(!proxy.toxics().remove("slow"));
}

#[tokio::test]
async fn jitter_spreads_around_the_latency() {
    let proxy = proxied().await;
    let kind = ToxicKind::Latency {
        latency: Duration::from_millis(30),
        jitter: Duration::from_millis(25),
    };
    proxy.toxics().set("jitter", downstream(kind));
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..20 {
        times.push(round_trip(&mut stream, b"x").await);
    }
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*least >= Duration::from_millis(5), "{least:?}");
    assert!(*most - *least > Duration::from_millis(5), "all alike: {times:?}");
}

#[tokio::test]
async fn bandwidth_holds_back_what_is_over_it() {
    let proxy = proxied().await;
    proxy.toxics().set(
        "narrow",
        downstream(ToxicKind::Bandwidth {
            bytes_per_second: 200_000,
        }),
    );
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let took = round_trip(&mut stream, &vec![1; 60_000]).await;
    assert!(took >= Duration::from_millis(290), "{took:?}");
}

#[tokio::test]
async fn a_reset_is_a_reset_and_no_orderly_end() {
    let proxy = proxied().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut stream, b"before").await;
    proxy.toxics().set(
        "reset",
        downstream(ToxicKind::ResetPeer {
            after: Duration::ZERO,
        }),
    );
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_slow_close_delays_only_the_end() {
    let proxy = proxied().await;
    let delay = Duration::from_millis(200);
    proxy
        .toxics()
        .set("lingers", downstream(ToxicKind::SlowClose { delay }));
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut stream, b"quick").await;
    let start = Instant::now();
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
}

#[tokio::test]
async fn limited_data_ends_the_connection_after_exactly_so_many_bytes() {
    let proxy = proxied().await;
    proxy
        .toxics()
        .set("limit", downstream(ToxicKind::LimitData { bytes: 1000 }));
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(&[1; 5000]).await.unwrap();
    let mut received = Vec::new();
    // The end may be a reset, because what was sent has not all been read.
    let _ = stream.read_to_end(&mut received).await;
    assert_eq!(received.len(), 1000);
}

#[tokio::test]
async fn a_black_hole_swallows_and_stays_open_and_a_timeout_closes() {
    let proxy = proxied().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy
        .toxics()
        .set("hole", downstream(ToxicKind::Timeout { after: None }));
    stream.write_all(b"lost").await.unwrap();
    let nothing = timeout(Duration::from_millis(150), stream.read(&mut [0])).await;
    assert!(nothing.is_err(), "something came: {nothing:?}");
    proxy.toxics().set(
        "hole",
        downstream(ToxicKind::Timeout {
            after: Some(Duration::from_millis(50)),
        }),
    );
    let end = timeout(Duration::from_secs(10), stream.read(&mut [0]))
        .await
        .expect("it is closed");
    assert!(matches!(end, Ok(0)) || end.is_err());
}

#[tokio::test]
async fn half_open_closes_the_servers_side_and_keeps_the_clients() {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let proxy = TcpProxy::start(LOOPBACK, listener.local_addr().unwrap())
        .await
        .unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    proxy.toxics().set("gone", downstream(ToxicKind::HalfOpen));
    let end = server.read(&mut [0]).await;
    assert!(
        matches!(end, Ok(0)) || end.is_err(),
        "the server sees its client gone"
    );
    client.write_all(&[0; 100_000]).await.unwrap();
    let nothing = timeout(Duration::from_millis(150), client.read(&mut [0])).await;
    assert!(nothing.is_err(), "the client is told nothing: {nothing:?}");
}

#[tokio::test]
async fn down_refuses_until_it_is_up_again() {
    let proxy = proxied().await;
    let mut before = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut before, b"before").await;
    proxy.toxics().set("down", downstream(ToxicKind::Down));
    assert_eq!(
        before.read(&mut [0]).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.toxics().clear();
    let mut again = timeout(Duration::from_secs(10), async {
        loop {
            if let Ok(stream) = TcpStream::connect(proxy.address()).await {
                break stream;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it listens again");
    round_trip(&mut again, b"after").await;
}

#[tokio::test]
async fn a_server_that_does_not_listen_looks_the_same_through_the_proxy() {
    let gone = TcpListener::bind(LOOPBACK).await.unwrap().local_addr().unwrap();
    let proxy = TcpProxy::start(LOOPBACK, gone).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

async fn udp_proxied() -> (UdpProxy, UdpSocket) {
    let server = UdpSocket::bind(LOOPBACK).await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((count, from)) = server.recv_from(&mut buffer).await {
            let _ = server.send_to(&buffer[..count], from).await;
        }
    });
    let proxy = UdpProxy::start(LOOPBACK, address).await.unwrap();
    let client = UdpSocket::bind(LOOPBACK).await.unwrap();
    client.connect(proxy.address()).await.unwrap();
    (proxy, client)
}

#[tokio::test]
async fn datagrams_are_passed_delayed_and_swallowed() {
    let (proxy, client) = udp_proxied().await;
    let mut buffer = [0; 64];
    client.send(b"plain").await.unwrap();
    assert_eq!(client.recv(&mut buffer).await.unwrap(), 5);

    let latency = ToxicKind::Latency {
        latency: Duration::from_millis(120),
        jitter: Duration::ZERO,
    };
    proxy.toxics().set("slow", downstream(latency));
    let start = Instant::now();
    client.send(b"slow").await.unwrap();
    assert_eq!(client.recv(&mut buffer).await.unwrap(), 4);
    assert!(
        start.elapsed() >= Duration::from_millis(120),
        "{:?}",
        start.elapsed()
    );

    proxy.toxics().clear();
    proxy.toxics().set(
        "hole",
        Toxic {
            direction: Direction::Upstream,
            kind: ToxicKind::Timeout { after: None },
        },
    );
    client.send(b"lost").await.unwrap();
    assert!(
        timeout(Duration::from_millis(150), client.recv(&mut buffer))
            .await
            .is_err()
    );
    proxy.toxics().clear();
    client.send(b"found").await.unwrap();
    assert_eq!(client.recv(&mut buffer).await.unwrap(), 5);
}
