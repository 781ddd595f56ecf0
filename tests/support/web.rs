//! A web server whose answers are made up by its test, with and without TLS; and an authority for certificates.

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is answered to the head of a request.
type Answer = dyn Fn(&str, &mut dyn Write) -> std::io::Result<()> + Send + Sync;

pub(crate) struct WebServer {
    address: SocketAddr,
    scheme: &'static str,
    has_ended: Arc<AtomicBool>,
}

impl WebServer {
    pub(crate) fn plain(
        answer: impl Fn(&str, &mut dyn Write) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start("http", None, Arc::new(answer))
    }

    /// Over TLS it always answers 200 and `well`.
    pub(crate) fn tls(config: Arc<ServerConfig>) -> Self {
        Self::start("https", Some(config), Arc::new(|_, out| out.write_all(answer(200, "well").as_bytes())))
    }

    fn start(scheme: &'static str, tls: Option<Arc<ServerConfig>>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, has_ended) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let is_over = has_ended.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (tls, answer) = (tls.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, tls, &*answer));
            }
        });
        Self { address, scheme, has_ended }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port())
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, answer: &Answer) {
    match tls {
        None => converse(stream, answer),
        Some(config) => {
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            converse(&mut stream, answer);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

fn converse(stream: impl Read + Write, answer: &Answer) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !matches!(stream.read_line(&mut head), Ok(1..)) {
            return;
        }
    }
    let _ = answer(&head, stream.get_mut());
}

/// A whole answer.
pub(crate) fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// An authority that nobody knows.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of its own");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A server with a certificate for the name, which ends in so many days, or ended so many days ago.
    pub(crate) fn server(&self, name: &str, days_left: i32) -> Arc<ServerConfig> {
        let params = params(name, days_left);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        with_identity(&certificate, &key)
    }

    /// A server with a certificate of an authority that is its own, as `openssl req -x509` makes it.
    pub(crate) fn server_of_its_own(name: &str, days_left: i32) -> (Arc<ServerConfig>, String) {
        let mut params = params(name, days_left);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (with_identity(&certificate, &key), certificate.pem())
    }
}

fn params(name: &str, days_left: i32) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    let (now, distance) = (SystemTime::now(), DAY * days_left.unsigned_abs() + DAY / 2);
    params.not_before = (now - 400 * DAY).into();
    params.not_after = if days_left < 0 { now - distance } else { now + distance }.into();
    params
}

fn with_identity(certificate: &Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap())
}
