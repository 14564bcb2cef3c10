//! The client against servers that are a few bytes on the other end of a connection.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;

use super::*;

fn get(url: &str) -> Request {
    Request {
        method: hyper::Method::GET,
        url: url.parse().unwrap(),
        headers: Vec::new(),
        body: Bytes::new(),
    }
}

/// Asks a server that reads a request's head, answers with these bytes, and closes.
async fn ask(request: &Request, answer: &'static [u8]) -> (String, Result<Response, FetchError>) {
    let (near, mut far) = duplex(1 << 20);
    let server = async {
        let head = read_head(&mut far).await;
        far.write_all(answer).await.unwrap();
        drop(far);
        head
    };
    let (head, answer) = tokio::join!(server, fetch(request, near, None));
    (head, answer)
}

async fn read_head(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().replace("\r\n", "\n")
}

#[tokio::test]
async fn asks_and_is_answered() {
    let mut request = get("http://127.0.0.1:8080/a?b=c");
    request.headers = vec![
        (HeaderName::from_static("x-one"), HeaderValue::from_static("1")),
        (HeaderName::from_static("x-one"), HeaderValue::from_static("2")),
        (
            HeaderName::from_static("user-agent"),
            HeaderValue::from_static("me"),
        ),
    ];
    let (head, answer) = ask(&request, b"HTTP/1.1 418 x\r\nA: b\r\nContent-Length: 2\r\n\r\nhi").await;
    insta::assert_snapshot!(head.trim(), @"
    GET /a?b=c HTTP/1.1
    host: 127.0.0.1:8080
    user-agent: me
    x-one: 1
    x-one: 2
    ");
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status, &answer.body[..], answer.headers["a"].as_bytes()),
        (418, &b"hi"[..], &b"b"[..])
    );
}

#[tokio::test]
async fn a_body_may_end_with_the_connection() {
    let (_, answer) = ask(&get("http://h/"), b"HTTP/1.0 200 OK\r\n\r\nall of it").await;
    assert_eq!(&answer.unwrap().body[..], b"all of it");
}

#[tokio::test]
async fn says_why_there_is_no_answer() {
    let why = async |answer| ask(&get("http://h/"), answer).await.1.unwrap_err().to_string();
    insta::assert_snapshot!(why(b"").await, @"connection closed before an answer");
    insta::assert_snapshot!(why(b"HTTP/1.1 200").await, @"connection closed before an answer");
    insta::assert_snapshot!(why(b"\x16\x03\x01 what\r\n\r\n").await, @"no valid HTTP answer: invalid HTTP version parsed");
    insta::assert_snapshot!(
        why(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await,
        @"connection closed in the middle of the answer's body"
    );
}

#[tokio::test]
async fn a_body_has_a_bound() {
    let (near, mut far) = duplex(1 << 16);
    let server = async {
        read_head(&mut far).await;
        far.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while far.write_all(&[b'x'; 1 << 16]).await.is_ok() {}
    };
    let ask = async { fetch(&get("http://h/"), near, None).await };
    let ((), answer) = tokio::join!(server, ask);
    assert_eq!(answer.unwrap_err().to_string(), "the body is longer than 16 MiB");
}

#[test]
fn says_what_is_wrong_with_an_address() {
    let why = |url: &str| url.parse::<Url>().unwrap_err().to_string();
    insta::assert_snapshot!(why("localhost:80"), @"`localhost:80` is no address to ask: it does not start with http:// or https://");
    insta::assert_snapshot!(why("/health"), @"`/health` is no address to ask: it does not start with http:// or https://");
    insta::assert_snapshot!(why("ftp://x/"), @"`ftp://x/` is no address to ask: `ftp` is neither http nor https");
    insta::assert_snapshot!(why("http://a b/"), @"`http://a b/` is no address to ask: invalid uri character");
    insta::assert_snapshot!(why("http://me:pw@h/"), @"`http://me:pw@h/` is no address to ask: credentials belong into an `Authorization` header");
    let url: Url = "https://[::1]:8443/x".parse().unwrap();
    assert_eq!((url.host(), url.port(), url.is_tls()), ("::1", 8443, true));
}

/// A certificate authority, a server's certificate for `localhost`, and a client's, as PEM files.
struct Certificates {
    directory: tempfile::TempDir,
    server: (CertificateDer<'static>, Vec<u8>),
    authority: CertificateDer<'static>,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let leaf = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &authority).unwrap(), key)
        };
        let (server, server_key) = leaf("localhost");
        let (client, client_key) = leaf("somebody");
        let write = |name: &str, text: String| fs::write(directory.path().join(name), text).unwrap();
        write("ca.pem", authority.pem());
        write("client.pem", client.pem() + &client_key.serialize_pem());
        write("none.pem", "nothing here".to_owned());
        let authority = authority.der().clone();
        Self {
            directory,
            server: (server.der().clone(), server_key.serialize_der()),
            authority,
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Answers one request over TLS; `mutual` wants to see a client's certificate.
    async fn serve(&self, mutual: bool, stream: DuplexStream) {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let mut roots = tokio_rustls::rustls::RootCertStore::empty();
            roots.add(self.authority.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let (certificate, key) = self.server.clone();
        let config = builder
            .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key).unwrap())
            .unwrap();
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            read_head(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
        }
    }

    async fn ask(
        &self,
        url: &str,
        trust: &Trust,
        identity: Option<&ClientIdentity>,
        mutual: bool,
    ) -> Result<u16, String> {
        let connector = connector(trust, identity).unwrap();
        let (near, far) = duplex(1 << 16);
        let request = get(url);
        let ((), answer) = tokio::join!(self.serve(mutual, far), fetch(&request, near, Some(&connector)));
        answer
            .map(|answer| answer.status)
            .map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn trusts_whom_it_is_told_to() {
    let certificates = Certificates::new();
    let authority = Trust::Authority(certificates.path("ca.pem"));
    let ask = async |url, trust| certificates.ask(url, trust, None, false).await;
    assert_eq!(ask("https://localhost/", &authority).await, Ok(200));
    assert_eq!(ask("https://other/", &Trust::Anyone).await, Ok(200));
    insta::assert_snapshot!(
        ask("https://localhost/", &Trust::System).await.unwrap_err(),
        @"TLS: the server's certificate is of no authority that is trusted here"
    );
    insta::assert_snapshot!(ask("https://other/", &authority).await.unwrap_err(), @r#"TLS: the server's certificate is for another name (invalid peer certificate: certificate not valid for name "other"; certificate is only valid for DnsName("localhost"))"#);
}

#[tokio::test]
async fn shows_its_certificate() {
    let certificates = Certificates::new();
    let pem = certificates.path("client.pem");
    let identity = ClientIdentity {
        certificate: pem.clone(),
        key: pem,
    };
    let trust = Trust::Authority(certificates.path("ca.pem"));
    assert_eq!(
        certificates
            .ask("https://localhost/", &trust, Some(&identity), true)
            .await,
        Ok(200)
    );
    insta::assert_snapshot!(
        certificates.ask("https://localhost/", &trust, None, true).await.unwrap_err(),
        @"TLS: the server wants a client certificate"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_with_a_bad_certificate() {
    let connector = connector(&Trust::Anyone, None).unwrap();
    let (near, mut far) = duplex(1 << 16);
    let server = async {
        far.read_u8().await.unwrap();
        far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    };
    let request = get("https://localhost/");
    let ((), answer) = tokio::join!(server, fetch(&request, near, Some(&connector)));
    insta::assert_snapshot!(answer.unwrap_err(), @"TLS: the server does not speak TLS");
}

#[test]
fn says_which_file_is_not_what_it_should_be() {
    let certificates = Certificates::new();
    let why = |trust: &Trust, identity: Option<&ClientIdentity>| {
        let error = connector(trust, identity).err().unwrap();
        error
            .to_string()
            .replace(&certificates.directory.path().display().to_string(), "DIR")
    };
    let authority = |name: &str| Trust::Authority(certificates.path(name));
    insta::assert_snapshot!(why(&authority("absent.pem"), None), @"read the certificate authority DIR/absent.pem");
    insta::assert_snapshot!(why(&authority("none.pem"), None), @"find a certificate authority in DIR/none.pem");
    let identity = |certificate: &Path, key: &Path| ClientIdentity {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    let (client, ca) = (certificates.path("client.pem"), certificates.path("ca.pem"));
    insta::assert_snapshot!(why(&Trust::Anyone, Some(&identity(&client, &ca))), @"read the client key DIR/ca.pem");
    insta::assert_snapshot!(why(&Trust::Anyone, Some(&identity(&ca, &client))), @"use the client certificate DIR/ca.pem");
}
