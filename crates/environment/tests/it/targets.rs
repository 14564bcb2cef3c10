//! What the tests start as targets: this binary again, at one of these ignored tests.

use seatrial_environment::PartSpec;
use std::{
    env,
    io::{Read as _, Write as _},
    net::{TcpListener, UdpSocket},
    os::unix::net::{UnixDatagram, UnixListener},
};

/// A part that runs one of the functions below.
pub(crate) fn target(name: &str, function: &str) -> PartSpec {
    let binary = env::current_exe().unwrap();
    let arguments = ["--ignored", "--exact", "--nocapture", function].map(Into::into);
    PartSpec::new(name, [binary.into_os_string()].into_iter().chain(arguments))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// Answers each connection to `PORT` with `NAME`.
#[test]
#[ignore = "a target of other tests"]
fn serve_tcp() {
    let listener = TcpListener::bind(("127.0.0.1", variable("PORT").parse().unwrap())).unwrap();
    for connection in listener.incoming() {
        connection
            .unwrap()
            .write_all(variable("NAME").as_bytes())
            .unwrap();
    }
}

/// Binds `PORT` for UDP and two sockets in the working directory, one by its relative path; then sends back what comes.
#[test]
#[ignore = "a target of other tests"]
fn serve_others() {
    let udp = UdpSocket::bind(("127.0.0.1", variable("PORT").parse().unwrap())).unwrap();
    let _stream = UnixListener::bind(env::current_dir().unwrap().join("stream.sock")).unwrap();
    let _datagram = UnixDatagram::bind("datagram.sock").unwrap();
    let mut buffer = [0; 100];
    loop {
        let (length, from) = udp.recv_from(&mut buffer).unwrap();
        udp.send_to(&buffer[..length], from).unwrap();
    }
}

/// Writes `MEGABYTES` of lines as fast as it can, a needle last.
#[test]
#[ignore = "a target of other tests"]
#[allow(clippy::exit, reason = "the needle is to be the last that it writes")]
fn write_much() {
    let line = format!("{}\n", "x".repeat(99));
    let block = line.repeat(10_000);
    let mut out = std::io::stdout();
    for _ in 0..variable("MEGABYTES").parse().unwrap() {
        out.write_all(block.as_bytes()).unwrap();
    }
    out.write_all(b"needle\n").unwrap();
    std::process::exit(0);
}

/// Takes 64 MiB and some processor time.
#[test]
#[ignore = "a target of other tests"]
fn use_resources() {
    let mut memory = vec![0_u8; 64 << 20];
    for round in 0..20_u8 {
        memory
            .iter_mut()
            .for_each(|byte| *byte = byte.wrapping_add(round));
    }
    assert_eq!(memory[memory.len() - 1], 190);
}

/// Until its standard input ends.
#[test]
#[ignore = "a target of other tests"]
fn read_stdin() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    println!("read {} bytes", text.len());
}
