//! Serves the API on a loopback port and prints where: for trying clients by hand.
//!
//! `cargo run -p seatrial-apiserver --example serve -- DIR [PORT]` writes `ca.crt`, `client.crt`, `client.key` and
//! `kubeconfig` into DIR.

use std::{error::Error, net::SocketAddr, path::Path};

use seatrial_apiserver::ApiServer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: serve DIR [PORT]")?;
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let served = ApiServer::builder()
        .start()
        .serve(SocketAddr::from(([127, 0, 0, 1], port)))
        .await?;
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("ca.crt"), served.authority_pem())?;
    std::fs::write(directory.join("client.crt"), served.client_certificate_pem())?;
    std::fs::write(directory.join("client.key"), served.client_key_pem())?;
    std::fs::write(directory.join("kubeconfig"), served.kubeconfig("seatrial"))?;
    #[allow(clippy::print_stdout, reason = "a program for a terminal")]
    {
        println!("{}", served.url());
    }
    std::future::pending::<()>().await;
    Ok(())
}
