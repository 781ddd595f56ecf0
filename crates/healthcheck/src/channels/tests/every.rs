//! What holds for every channel, whatever it speaks: one table, and what is asked of each row.

use super::mail_server::MailServer;
use super::*;
use crate::channels::command::{self, Runner};
use crate::channels::email::{self, Email, Tls};
use crate::channels::log::{self, Log};
use crate::channels::specimen;
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

/// Where the channels lead.
struct Place {
    /// Of everything that speaks HTTP.
    base: String,
    /// `host:port`.
    mail: String,
    /// Who certifies the mail server, where it is none of the system's.
    ca_file: Option<PathBuf>,
    program: Vec<String>,
    file: PathBuf,
}

/// What a channel is, as its configuration or `Debug` shows it, and itself.
type Row = (&'static str, String, Box<dyn Channel>);

fn row(name: &'static str, channel: impl Channel + std::fmt::Debug + 'static) -> Row {
    (name, format!("{channel:?}"), Box::new(channel))
}

/// All that implement `Channel`. With a password where it would be sent in the open a mail would be refused.
fn everyone(place: &Place, deadline: Duration, password: Option<Secret>) -> Vec<Row> {
    let (base, client) = (&place.base, || client(None, deadline));
    let email = email::Settings {
        server: place.mail.clone(),
        tls: if password.is_some() { Tls::Starttls } else { Tls::None },
        from: "healthcheck@example.org".to_owned(),
        to: vec!["me@example.org".to_owned()],
        login: password.map(|password| email::Login { user: "user".to_owned(), password }),
        ca_file: place.ca_file.clone(),
        timeout: deadline,
    };
    let command = command::Settings { command: place.program.clone(), timeout: deadline };
    vec![
        row("ntfy", ntfy_at(base, client())),
        row("webhook", webhook_at(base, client(), Body::Healthcheck)),
        row("telegram", telegram_at(base, client())),
        row("slack", slack_at(base, client())),
        row("discord", discord_at(base, client())),
        row("email", Email::new(email)),
        row("command", Runner::new(command)),
        row("log", Log::new(log::Settings { path: place.file.clone() })),
    ]
}

fn program(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A place where everything is taken and kept.
struct Good {
    server: Server,
    mails: MailServer,
    dir: TempDir,
}

impl Good {
    fn new() -> Self {
        let (server, mails) = (Server::accepting(), MailServer::start("none", None));
        Self { server, mails, dir: tempfile::tempdir().unwrap() }
    }

    fn place(&self) -> Place {
        Place {
            base: self.server.base("127.0.0.1"),
            mail: format!("localhost:{}", self.mails.port),
            ca_file: None,
            program: program(&["sh", "-c", "cat >\"$1\"", "sh", self.at("input").to_str().unwrap()]),
            file: self.at("log"),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What came through a channel since it was asked last, as its reader reads it.
    fn arrived(&mut self, channel: &str) -> String {
        match channel {
            "email" => {
                let mail = self.mails.mail();
                let subject = mail["headers"].as_array().unwrap().iter().find(|it| it[0] == "Subject");
                format!("{}\n{}\n{}", mail["text"], mail["html_text"], subject.unwrap()[1])
            }
            "command" => std::fs::read_to_string(self.at("input")).unwrap(),
            "log" => {
                let text = std::fs::read_to_string(self.at("log")).unwrap();
                std::fs::remove_file(self.at("log")).unwrap();
                text
            }
            _ => String::from_utf8(self.server.received().remove(0).body).unwrap(),
        }
    }
}

/// Nothing is obeyed on the way, and nothing arrives that turns or controls what a terminal or a page shows.
#[test]
fn hostile_notices_arrive_harmless() {
    let mut good = Good::new();
    for (name, _, mut channel) in everyone(&good.place(), LONG, None) {
        for (n, text) in specimen::naughty().into_iter().enumerate() {
            let notice = Notice { id: format!("n-{n}"), ..specimen::saying(&text) };
            assert_eq!(channel.send(&notice), Outcome::Accepted, "{name}: {text:?}");
            let arrived = good.arrived(name);
            assert!(!arrived.contains(specimen::is_hidden), "{name}: {text:?}: {arrived:?}");
            assert!(arrived.contains("deimos"), "{name}: {arrived:?}");
        }
    }
    assert!(!Path::new("/tmp/pwned").exists());
}

/// What was told is told whole where it is read by programs.
#[test]
fn programs_get_every_letter() {
    let mut good = Good::new();
    for (name, _, mut channel) in everyone(&good.place(), LONG, None) {
        if !matches!(name, "command" | "log") {
            continue;
        }
        let notice = specimen::saying("a\u{202e}b\0c");
        assert_eq!(channel.send(&notice), Outcome::Accepted);
        let arrived: Value = serde_json::from_str(&good.arrived(name)).unwrap();
        assert_eq!(serde_json::from_value::<Notice>(arrived).unwrap(), notice, "{name}");
    }
}

/// Tries each of them on a thread of its own, and lets none be longer than it may.
fn outcomes_at(place: &Place, deadline: Duration, password: Option<Secret>) -> Vec<(&'static str, Outcome)> {
    let attempts = everyone(place, deadline, password).into_iter().map(|(name, shown, mut channel)| {
        assert!(!shown.contains("canary"), "{name}: {shown}");
        let attempt = move || {
            let started = Instant::now();
            (channel.send(&notice()), started.elapsed())
        };
        (name, std::thread::spawn(attempt))
    });
    let attempts: Vec<_> = attempts.collect();
    let ended = attempts.into_iter().map(|(name, attempt)| {
        let (outcome, took) = attempt.join().unwrap();
        assert!(took < deadline + Duration::from_millis(1_500), "{name}: {took:?}");
        let told = format!("{outcome:?}");
        assert!(!told.contains("canary") && told.len() < 700, "{name}: {told}");
        (name, outcome)
    });
    ended.collect()
}

fn fifo(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn whoever_hangs_is_left_at_the_deadline_by_each_channel() {
    let dir = tempfile::tempdir().unwrap();
    let queue = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mail = queue.local_addr().unwrap().to_string();
    let (base, program, file) = (format!("http://{mail}"), program(&["sleep", "300"]), fifo(&dir));
    for (name, outcome) in outcomes_at(&Place { base, mail, ca_file: None, program, file }, SHORT, None) {
        match name {
            // There is nobody to be waited for.
            "log" => assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}"),
            _ => assert!(matches!(outcome, Outcome::Failed { .. }), "{name}: {outcome:?}"),
        }
    }
}

#[test]
fn whoever_is_not_there_is_named_with_a_cure_or_a_cause() {
    let dir = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().to_string();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let place = Place {
        base: format!("http://{closed}"),
        mail: closed,
        ca_file: None,
        program: program(&["/no/such/program"]),
        file: dir.path().join("file/log"),
    };
    for (name, outcome) in outcomes_at(&place, LONG, None) {
        let words = match name {
            "command" => "install it, or correct the path",
            "log" => "what should be its directory is a file",
            _ => "connection refused: nobody listens there",
        };
        assert!(outcome.error().unwrap().contains(words), "{name}: {outcome:?}");
    }
}

/// A server, or a program, that says all that it was sent: what is secret in it is not told.
#[test]
fn nobody_tells_a_secret_that_is_said_to_us() {
    let server = echoing(400, "");
    let mails = MailServer::start("starttls", None);
    let place = Place {
        base: server.base("127.0.0.1"),
        mail: format!("localhost:{}", mails.port),
        ca_file: Some(mails.dir.path().join("authority.pem")),
        program: program(&["sh", "-c", "echo https://user:can''ary@host/ >&2; exit 1"]),
        file: PathBuf::from("/proc/no-such-file"),
    };
    for (name, outcome) in outcomes_at(&place, LONG, Some(secret("canary-of-a-mail"))) {
        // The log is told nothing, and has no secret.
        assert_eq!(outcome.error().unwrap().contains("***"), name != "log", "{name}: {outcome:?}");
    }
}

/// Errors have an end, whatever a server says.
#[test]
fn words_without_an_end_are_told_with_one() {
    let long = Server::new(|_, out| out.write_all(answer(500, "", &"é\u{202e}\n".repeat(9_000)).as_bytes()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mail = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(format!("421 {}\r\n", "é\u{202e}".repeat(180)).as_bytes());
    });
    let script = "yes 'é' | head -n 900 | tr '\\n' ' ' >&2; exit 1";
    let file = PathBuf::from("/").join("x".repeat(1_000));
    let place = Place {
        base: long.base("127.0.0.1"),
        mail,
        ca_file: None,
        program: program(&["sh", "-c", script]),
        file,
    };
    for (name, outcome) in outcomes_at(&place, LONG, None) {
        let error = outcome.error().unwrap();
        assert!(error.len() <= ERROR_BYTES && error.contains('…'), "{name}: {error}");
        assert!(!error.contains(specimen::is_hidden) && !error.contains('\n'), "{name}: {error:?}");
    }
}
