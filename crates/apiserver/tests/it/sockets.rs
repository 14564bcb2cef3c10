//! The API behind TLS.

use std::net::SocketAddr;

use seatrial_apiserver::ApiServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn many_servers_live_in_one_process_and_close_when_dropped() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let one = ApiServer::builder().start().serve(any).await.unwrap();
    let two = ApiServer::builder().start().serve(any).await.unwrap();
    assert_ne!(one.address(), two.address());
    assert!(one.kubeconfig("x").contains(&one.url()));
    // A client that does not speak TLS is turned away, and holds nobody up.
    let mut plain = tokio::net::TcpStream::connect(one.address()).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    let address = one.address();
    drop(one);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
