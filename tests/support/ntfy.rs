use super::PATIENCE;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A server after ntfy's publish API: what it accepts is a message, `DELETE` takes a scheduled one back. Its answer is
/// one that the other kinds of servers could have given, so that it can stand for them too.
#[derive(Debug)]
pub(crate) struct Ntfy {
    address: SocketAddr,
    scheme: &'static str,
    inside: Arc<(Mutex<Inside>, Condvar)>,
}

#[derive(Debug, Default)]
struct Inside {
    mode: Mode,
    received: Vec<Received>,
    /// When it did not accept something.
    refused: Vec<Instant>,
    read: usize,
}

/// What the server does with a request.
#[derive(Debug, Clone, Default)]
pub(crate) enum Mode {
    #[default]
    Accepts,
    /// Answers with this status line and these headers.
    Answers(&'static str),
    /// Refuses, and repeats everything that it was sent.
    Echoes(&'static str),
    /// Takes the message, and says nothing.
    LosesTheAnswer,
    /// Reads, and never answers.
    Hangs,
    /// Answers a byte a second.
    Drips,
    /// Its answer has no end.
    NeverEnds,
}

/// A request that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) raw: String,
    pub(crate) at: Instant,
}

impl Received {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The title and the message.
    pub(crate) fn words(&self) -> String {
        format!("{}\n{}", self.text("title"), self.text("message"))
    }

    /// Whether it waits at the server until later.
    pub(crate) fn is_scheduled(&self) -> bool {
        !self.body["delay"].is_null()
    }
}

impl Ntfy {
    pub(crate) fn new() -> Self {
        Self::start(None)
    }

    /// With a certificate.
    pub(crate) fn tls(config: Arc<ServerConfig>) -> Self {
        Self::start(Some(config))
    }

    fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Arc::new((Mutex::new(Inside::default()), Condvar::new()));
        let shared = Arc::clone(&inside);
        let scheme = if tls.is_some() { "https" } else { "http" };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                std::thread::spawn(move || converse(stream.unwrap(), tls, &shared));
            }
        });
        Self { address, scheme, inside }
    }

    /// Its URL, without a topic.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// A channel that leads here.
    pub(crate) fn channel(&self, name: &str) -> String {
        format!("[channels.{name}]\nkind = \"ntfy\"\nserver = \"{}\"\ntopic = \"{name}\"\n", self.url())
    }

    pub(crate) fn does(&self, mode: Mode) {
        self.inside.0.lock().unwrap().mode = mode;
    }

    /// What it accepted so far, in order; messages that are only scheduled apart.
    pub(crate) fn messages(&self) -> Vec<Received> {
        let received = self.inside.0.lock().unwrap().received.clone();
        received.into_iter().filter(|it| it.method == "POST" && !it.is_scheduled()).collect()
    }

    /// How many requests it did not accept.
    pub(crate) fn refused(&self) -> usize {
        self.inside.0.lock().unwrap().refused.len()
    }

    /// When it did not accept something for the first time.
    pub(crate) fn first_refused(&self) -> Instant {
        self.inside.0.lock().unwrap().refused[0]
    }

    /// The next message, of those that were not waited for yet, that has all these words in it.
    #[track_caller]
    pub(crate) fn message(&self, words: &[&str]) -> Received {
        self.message_within(words, PATIENCE)
    }

    #[track_caller]
    pub(crate) fn message_within(&self, words: &[&str], patience: Duration) -> Received {
        let fits = |it: &Received| {
            !it.is_scheduled() && it.method == "POST" && words.iter().all(|word| it.words().contains(word))
        };
        self.next(&format!("{words:?}"), patience, fits)
    }

    #[track_caller]
    pub(crate) fn next(&self, what: &str, patience: Duration, fits: impl Fn(&Received) -> bool) -> Received {
        let deadline = Instant::now() + patience;
        let (inside, news) = &*self.inside;
        let mut inside = inside.lock().unwrap();
        loop {
            while let Some(received) = inside.received.get(inside.read).cloned() {
                inside.read += 1;
                if fits(&received) {
                    return received;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}; received: {:#?}", inside.received);
            inside = news.wait_timeout(inside, left).unwrap().0;
        }
    }
}

fn converse(stream: TcpStream, tls: Option<Arc<ServerConfig>>, inside: &(Mutex<Inside>, Condvar)) {
    match tls {
        None => drop(serve(stream, inside)),
        Some(config) => {
            drop(serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), inside));
        }
    }
}

fn serve(stream: impl Read + Write, inside: &(Mutex<Inside>, Condvar)) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(received) = request(&mut stream)? {
        let mode = inside.0.lock().unwrap().mode.clone();
        let stream = stream.get_mut();
        let note = |received| {
            inside.0.lock().unwrap().received.push(received);
            inside.1.notify_all();
        };
        if !matches!(mode, Mode::Accepts | Mode::LosesTheAnswer) {
            inside.0.lock().unwrap().refused.push(Instant::now());
        }
        match mode {
            Mode::Accepts => {
                note(received);
                answer(stream, "200 OK", &json!({"id": "x", "event": "message", "ok": true}))?;
            }
            Mode::LosesTheAnswer => {
                note(received);
                return Ok(());
            }
            Mode::Answers(status) => answer(stream, status, &json!({"error": "no"}))?,
            Mode::Echoes(status) => {
                answer(stream, status, &json!({"error": format!("{received:?}")}))?;
            }
            Mode::Hangs => std::thread::sleep(Duration::from_secs(60)),
            Mode::Drips => drip(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", 60)?,
            Mode::NeverEnds => flood(stream)?,
        }
    }
    Ok(())
}

fn drip(stream: &mut impl Write, bytes: &[u8], seconds: usize) -> std::io::Result<()> {
    for byte in bytes.iter().cycle().take(seconds) {
        stream.write_all(&[*byte])?;
        stream.flush()?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// Until nobody reads any more.
fn flood(stream: &mut impl Write) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    loop {
        stream.write_all(b"8\r\n{\"id\":\"x\r\n")?;
    }
}

fn answer(stream: &mut impl Write, status: &str, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    stream.flush()
}

fn request(reader: &mut impl BufRead) -> std::io::Result<Option<Received>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let at = Instant::now();
    let raw = String::from_utf8(body).unwrap();
    let body = serde_json::from_str(&raw).unwrap_or(Value::Null);
    Ok(Some(Received { method, path, headers, body, raw, at }))
}
