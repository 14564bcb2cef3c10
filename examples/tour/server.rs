//! A server for the tour: it listens where it is told, and answers with what it got.
//!
//! Usage: `server http:8080 tcp:7000 udp:7001 unix:/path unixgram:/path`. Only the standard library, so
//! that `rustc` alone builds it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::thread;

fn main() {
    let listeners: Vec<_> = std::env::args()
        .skip(1)
        .map(|argument| {
            let (kind, at) = argument.split_once(':').expect("KIND:WHERE");
            let address = format!("127.0.0.1:{at}");
            match kind {
                "http" => {
                    let listener = TcpListener::bind(address).expect("bind");
                    thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer_http(stream)))
                }
                "tcp" => {
                    let listener = TcpListener::bind(address).expect("bind");
                    thread::spawn(move || listener.incoming().flatten().for_each(|stream| echo(stream)))
                }
                "unix" => {
                    let listener = UnixListener::bind(at).expect("bind");
                    thread::spawn(move || listener.incoming().flatten().for_each(|stream| echo(stream)))
                }
                "udp" => {
                    let socket = UdpSocket::bind(address).expect("bind");
                    thread::spawn(move || {
                        let mut buffer = [0; 65_535];
                        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                            print_received(&buffer[..length]);
                            let _ = socket.send_to(&buffer[..length], from);
                        }
                    })
                }
                "unixgram" => {
                    let socket = UnixDatagram::bind(at).expect("bind");
                    thread::spawn(move || {
                        let mut buffer = [0; 65_535];
                        while let Ok(length) = socket.recv(&mut buffer) {
                            print_received(&buffer[..length]);
                        }
                    })
                }
                other => panic!("unknown kind {other}"),
            }
        })
        .collect();
    println!("ready");
    for listener in listeners {
        let _ = listener.join();
    }
}

fn print_received(bytes: &[u8]) {
    println!("received {}", String::from_utf8_lossy(bytes).trim_end());
}

fn echo(mut stream: impl Read + Write) {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    print_received(&bytes);
    let _ = stream.write_all(&bytes);
}

/// `/missing` is not there; everything else is answered with the request itself, as JSON.
fn answer_http(mut stream: impl Read + Write) {
    let mut reader = BufReader::new(&mut stream);
    let (mut request, mut token, mut length) = (String::new(), String::new(), 0);
    let _ = reader.read_line(&mut request);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some((name, value)) = line.trim_end().split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "x-token" => token = value.to_owned(),
                _ => {}
            }
        }
        line.clear();
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let body = String::from_utf8_lossy(&body).into_owned();
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let status = if path == "/missing" { "404 Not Found" } else { "200 OK" };
    let body = if body.is_empty() { "null".to_owned() } else { body };
    let answer = format!(r#"{{"method":"{method}","path":"{path}","token":"{token}","body":{body}}}"#);
    let length = answer.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
    );
}
