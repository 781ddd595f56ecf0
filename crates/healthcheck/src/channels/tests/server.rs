//! A server whose answers are made up by its test, and which keeps what it was sent.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) method: String,
    pub(super) path: String,
    /// With small letters, in their order.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Script = dyn Fn(&Received, &mut dyn Write) -> io::Result<()> + Send + Sync;

pub(super) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    received: Arc<Mutex<Vec<Received>>>,
    has_ended: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn new(
        script: impl Fn(&Received, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, Arc::new(script))
    }

    /// Says what each kind of server says when it accepts something.
    pub(super) fn accepting() -> Self {
        Self::new(|_, out| out.write_all(answer(200, "", ACCEPTED).as_bytes()))
    }

    pub(super) fn tls(config: Arc<ServerConfig>) -> Self {
        Self::start(Some(config), Arc::new(|_, out| out.write_all(answer(200, "", ACCEPTED).as_bytes())))
    }

    fn start(tls: Option<Arc<ServerConfig>>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (received, has_ended) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(AtomicBool::new(false)));
        let (seen, is_over) = (received.clone(), has_ended.clone());
        let scheme = if tls.is_some() { "https" } else { "http" };
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (tls, script, seen) = (tls.clone(), script.clone(), seen.clone());
                std::thread::spawn(move || serve(stream, tls, &seen, &*script));
            }
        });
        Self { address, scheme, received, has_ended }
    }

    pub(super) fn base(&self, host: &str) -> String {
        format!("{}://{host}:{}", self.scheme, self.address.port())
    }

    /// What it was sent since it was asked last.
    pub(super) fn received(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

pub(super) const ACCEPTED: &str = r#"{"id":"1","ok":true}"#;

pub(super) fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, seen: &Mutex<Vec<Received>>, script: &Script) {
    match tls {
        None => converse(stream, seen, script),
        Some(config) => {
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            converse(&mut stream, seen, script);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

fn converse(stream: impl Read + Write, seen: &Mutex<Vec<Received>>, script: &Script) {
    let mut stream = BufReader::new(stream);
    let Some(received) = read(&mut stream) else { return };
    seen.lock().unwrap().push(received.clone());
    let _ = script(&received, stream.get_mut());
}

fn read(stream: &mut impl BufRead) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ').map(str::to_owned);
    let (method, path) = (first.next()?, first.next()?);
    let header =
        |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: Vec<_> = lines[1..].iter().filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some(Received { method, path, headers, body })
}
