use super::PATIENCE;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A server after ntfy's publish API: what it accepts is a message, `DELETE` takes a scheduled one back.
#[derive(Debug)]
pub(crate) struct Ntfy {
    address: SocketAddr,
    inside: Arc<(Mutex<Inside>, Condvar)>,
}

#[derive(Debug, Default)]
struct Inside {
    mode: Mode,
    received: Vec<Received>,
    refused: usize,
    read: usize,
}

/// What the server does with a request.
#[derive(Debug, Clone, Default)]
pub(crate) enum Mode {
    #[default]
    Accepts,
    /// Answers with this status line and these headers.
    Answers(&'static str),
    /// Takes the message, and says nothing.
    LosesTheAnswer,
    /// Reads, and never answers.
    Hangs,
}

/// A request that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

impl Received {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Arc::new((Mutex::new(Inside::default()), Condvar::new()));
        let shared = Arc::clone(&inside);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || drop(serve(stream.unwrap(), &shared)));
            }
        });
        Self { address, inside }
    }

    /// Its URL, without a topic.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
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
        self.inside.0.lock().unwrap().refused
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

fn serve(stream: TcpStream, inside: &(Mutex<Inside>, Condvar)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(received) = request(&mut reader)? {
        let mode = inside.0.lock().unwrap().mode.clone();
        let note = || {
            inside.0.lock().unwrap().received.push(received);
            inside.1.notify_all();
        };
        match mode {
            Mode::Accepts => {
                note();
                answer(&mut stream, "200 OK", &json!({"id": "x", "event": "message"}))?;
            }
            Mode::LosesTheAnswer => {
                note();
                return Ok(());
            }
            Mode::Answers(status) => {
                inside.0.lock().unwrap().refused += 1;
                answer(&mut stream, status, &json!({"error": "no"}))?;
            }
            Mode::Hangs => {
                inside.0.lock().unwrap().refused += 1;
                std::thread::sleep(Duration::from_secs(60));
            }
        }
    }
    Ok(())
}

fn answer(stream: &mut TcpStream, status: &str, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Received>> {
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
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(Received { method, path, body }))
}
