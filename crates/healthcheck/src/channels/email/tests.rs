//! A real mail server for what is meant to work, and servers out of a book for what is not.

use super::super::plain_text::{WORDS_BYTES, clean};
use super::super::specimen;
use super::super::tests::mail_server::{CANARY, MailServer};
use super::*;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::sleep;
use tempfile::TempDir;

const LONG: Duration = TIMEOUT;
const HEADERS: &str = "Auto-Submitted Content-Type Date From Importance In-Reply-To MIME-Version Message-ID References Subject To X-Priority";

fn header<'a>(mail: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = mail["headers"].as_array().unwrap().iter();
    headers.filter(|header| header[0] == name).map(|header| header[1].as_str().unwrap()).collect()
}

fn send(settings: &Settings) -> Outcome {
    Email::new(settings.clone()).send(&specimen::notice())
}

#[track_caller]
fn is_failed(outcome: &Outcome, why: &str) {
    assert!(matches!(outcome, Outcome::Failed { error, .. } if error.contains(why)), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(CANARY));
}

#[track_caller]
fn is_refused(outcome: &Outcome, why: &str) {
    assert!(matches!(outcome, Outcome::Refused { error } if error.contains(why)), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(CANARY));
}

#[test]
fn a_mail_arrives_as_it_is_meant() {
    for (mode, tls, mechanism) in [
        ("starttls", Tls::Starttls, None),
        ("starttls", Tls::Starttls, Some("LOGIN")),
        ("implicit", Tls::Implicit, Some("PLAIN")),
        ("none", Tls::None, None),
    ] {
        let mut server = MailServer::start(mode, mechanism);
        assert_eq!(send(&server.settings(tls)), Outcome::Accepted, "{mode}");
        let mail = server.mail();
        let is_safe = tls != Tls::None;
        assert_eq!(
            (mail["is_encrypted"].as_bool(), mail["is_signed_in"].as_bool()),
            (Some(is_safe), Some(is_safe))
        );
        assert_eq!(mail["helo"], "[127.0.0.1]");
        assert_eq!(header(&mail, "Subject"), ["deimos: camera is down"]);
        assert_eq!(header(&mail, "Message-ID"), ["<9f8e-1@deimos>"]);
        assert_eq!(
            (header(&mail, "References"), header(&mail, "In-Reply-To")),
            (vec!["<deimos-7@deimos>"], vec!["<deimos-7@deimos>"])
        );
        assert_eq!(
            (header(&mail, "Auto-Submitted"), header(&mail, "X-Priority")),
            (vec!["auto-generated"], vec!["2"])
        );
        assert_eq!((header(&mail, "Importance"), header(&mail, "Date").len()), (vec!["high"], 1));
        assert_eq!(
            (header(&mail, "From"), header(&mail, "To")),
            (vec!["healthcheck@example.org"], vec!["me@example.org"])
        );
        assert_eq!(mail["parts"], json!(["multipart/alternative", "text/plain", "text/html"]));
        server.has_nothing_more();
    }
}

#[test]
fn hostile_words_stay_words() {
    let mut server = MailServer::start("none", None);
    let settings = server.settings(Tls::None);
    let mut texts = specimen::naughty();
    texts.push("é<b>&\n".repeat(12_500));
    for text in texts {
        let notice = specimen::saying(&text);
        assert_eq!(Email::new(settings.clone()).send(&notice), Outcome::Accepted);
        is_what_was_meant(&server.mail(), &notice);
    }
    server.has_nothing_more();
}

fn is_what_was_meant(mail: &Value, notice: &Notice) {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let subject = header(mail, "Subject");
    assert_eq!((subject.len(), squeezed(subject[0])), (1, squeezed(&short_line(&notice.title, 250))));
    let mut names: Vec<_> =
        mail["headers"].as_array().unwrap().iter().map(|it| it[0].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names.join(" "), HEADERS);
    assert_eq!(mail["to"], json!(["me@example.org"]));
    let meant = clean(&notice.text);
    assert_eq!(mail["text"].as_str().unwrap().trim_end_matches('\n'), meant.trim_end_matches('\n'));
    assert_eq!(squeezed(mail["html_text"].as_str().unwrap()), squeezed(&meant));
    let tags =
        [&["html"][..], &["head"], &["meta", "charset"], &["body"], &["p", "style"], &["pre", "style"]];
    assert_eq!(mail["html_tags"], json!(tags));
    assert_eq!((&mail["defects"], &mail["is_ascii"]), (&json!([]), &json!(true)));
    assert!(mail["longest_line"].as_u64().unwrap() <= 998);
}

#[test]
fn ids_have_nothing_in_them_that_ends_them() {
    let mut server = MailServer::start("none", None);
    let notice = Notice {
        id: "a>\r\nBcc: x@y\r\n<b".to_owned(),
        thread: "..\u{e9} ".to_owned(),
        host: "de imos.example.org\n".to_owned(),
        status: health_reporter::Status::Fatal,
        ..specimen::notice()
    };
    assert_eq!(Email::new(server.settings(Tls::None)).send(&notice), Outcome::Accepted);
    let mail = server.mail();
    assert_eq!(header(&mail, "Message-ID"), ["<aBccxyb@deimos.example.org>"]);
    assert_eq!(
        (header(&mail, "References"), header(&mail, "X-Priority")),
        (vec!["<thread@deimos.example.org>"], vec!["1"])
    );
}

#[test]
fn a_wrong_password_is_refused_and_shown_nowhere() {
    let server = MailServer::start("starttls", None);
    let settings = server.settings(Tls::Starttls);
    fs::write(server.dir.path().join("password"), format!("{CANARY}-not")).unwrap();
    is_refused(&send(&settings), "the login: 535 5.7.8 not with ***");
    assert!(!format!("{settings:?}").contains(CANARY));
    fs::write(server.dir.path().join("password"), " \n").unwrap();
    is_failed(&send(&settings), "password: it is empty: write the secret into it");
    fs::write(server.dir.path().join("password"), "x".repeat(70_000)).unwrap();
    is_failed(&send(&settings), "larger than 64 KiB");
    fs::write(server.dir.path().join("password"), CANARY).unwrap();
    assert_eq!(send(&settings), Outcome::Accepted, "it is read at each delivery");
    let unencrypted = Settings { tls: Tls::None, ..settings };
    is_refused(&send(&unencrypted), "the password would be sent unencrypted");
}

#[test]
fn receivers_are_refused_one_by_one() {
    let mut server = MailServer::start("none", None);
    let to = |names: &[&str]| {
        let to = names.iter().map(|name| format!("{name}@example.org")).collect();
        Settings { to, ..server.settings(Tls::None) }
    };
    is_refused(&send(&to(&["no-such"])), "the receiver: 550 5.1.1 no such user");
    is_failed(&send(&to(&["later"])), "the receiver: 451 4.7.1 greylisted");
    is_refused(
        &send(&to(&["no-such", "no-such-2"])),
        "2 of 2 receivers were refused, first no-such@example.org: the receiver: 550",
    );
    let (some, later) = (to(&["no-such", "me"]), to(&["no-such", "later", "me"]));
    assert_eq!(send(&some), Outcome::Accepted, "the others have it");
    assert_eq!(server.mail()["to"], json!(["me@example.org"]));
    let mut channel = Email::new(later);
    is_failed(
        &channel.send(&specimen::notice()),
        "2 of 3 receivers were refused, first later@example.org: the receiver: 451",
    );
    assert_eq!(server.mail()["to"], json!(["me@example.org"]));
    is_failed(&channel.send(&specimen::notice()), "1 of 3 receivers were refused, first later@example.org");
    server.has_nothing_more();
}

#[test]
fn who_is_not_who_it_should_be_gets_no_mail() {
    let server = MailServer::start("starttls", None);
    let settings = server.settings(Tls::Starttls);
    is_failed(
        &send(&Settings { ca_file: None, ..settings.clone() }),
        "its certificate is from an unknown authority",
    );
    let other = Settings { server: format!("127.0.0.1:{}", server.port), ..settings.clone() };
    is_failed(&send(&other), "its certificate is for localhost, not for 127.0.0.1");
    let implicit = Settings { tls: Tls::Implicit, ..settings.clone() };
    is_failed(&send(&implicit), "it does not speak TLS: starttls or implicit?");
    fs::write(server.dir.path().join("authority.pem"), "nothing").unwrap();
    is_failed(&send(&settings), "it has no certificate in it: it must be one in PEM");
    let unknown = Settings { server: "no-such-host.invalid:25".to_owned(), ..settings.clone() };
    is_failed(&send(&unknown), "its name leads to no address");
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    is_failed(&send(&Settings { server: closed.to_string(), ..settings }), "connection refused");
    server.has_nothing_more();
}

#[test]
fn a_server_that_is_its_own_authority_is_trusted_where_ca_file_names_it() {
    let server = MailServer::of_its_own();
    let settings = server.settings(Tls::Implicit);
    assert_eq!(send(&settings), Outcome::Accepted);
    is_failed(&send(&Settings { ca_file: None, ..settings }), "its certificate is its own authority");
}

/// A server that says what its book says, each time something arrives, and what it was told.
struct Book {
    port: u16,
    told: Arc<Mutex<String>>,
}

impl Book {
    fn start(tell: impl Fn(&mut TcpStream, &str) -> std::io::Result<()> + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (port, told) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(String::new())));
        let heard = told.clone();
        std::thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while tell(&mut stream, line.trim_end()).is_ok() {
                line.clear();
                if !matches!(reader.read_line(&mut line), Ok(1..)) {
                    break;
                }
                heard.lock().unwrap().push_str(&line);
            }
            let _ = stream.shutdown(Shutdown::Both);
        });
        Self { port, told }
    }

    fn settings(&self, dir: &TempDir, timeout: Duration) -> Settings {
        fs::write(dir.path().join("password"), CANARY).unwrap();
        Settings {
            server: format!("127.0.0.1:{}", self.port),
            tls: Tls::Starttls,
            from: "a@b".to_owned(),
            to: vec!["c@d".to_owned()],
            login: Some(Login {
                user: "user".to_owned(),
                password: Secret::File(dir.path().join("password")),
            }),
            ca_file: None,
            timeout,
        }
    }
}

#[test]
fn without_starttls_nothing_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let book = Book::start(|stream, line| {
        let say = if line.is_empty() { "220 hello\r\n" } else { "250-hello\r\n250 AUTH PLAIN LOGIN\r\n" };
        stream.write_all(say.as_bytes())
    });
    is_refused(&send(&book.settings(&dir, LONG)), "it offers no STARTTLS");
    assert_eq!(*book.told.lock().unwrap(), "EHLO [127.0.0.1]\r\n");
}

#[test]
fn what_was_said_before_the_encryption_does_not_count_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let book = Book::start(|stream, line| {
        let say = match line.split(' ').next().unwrap() {
            "" => "220 hello\r\n",
            "EHLO" => "250-hello\r\n250 STARTTLS\r\n",
            _ => {
                "220 go\r\n250-hello\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"
            }
        };
        stream.write_all(say.as_bytes())
    });
    is_failed(&send(&book.settings(&dir, LONG)), "it says more than was asked before the encryption");
}

#[test]
fn nobody_keeps_us_beyond_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let timeout = Duration::from_millis(400);
    let silent = Book::start(|_, _| {
        sleep(LONG);
        Ok(())
    });
    let dripping = Book::start(|stream, _| {
        loop {
            stream.write_all(b"2")?;
            sleep(Duration::from_millis(20));
        }
    });
    let endless = Book::start(|stream, _| {
        loop {
            stream.write_all(b"220-and on\r\n")?;
        }
    });
    let slow = Book::start(|stream, line| {
        sleep(Duration::from_millis(150));
        stream.write_all(if line.is_empty() { b"220 hello\r\n" } else { b"250 slow\r\n" })
    });
    for (book, why) in [
        (silent, "its greeting: no answer in time"),
        (dripping, "its greeting: no answer in time"),
        (endless, "its greeting: it does not speak SMTP"),
        (slow, "no answer in time"),
    ] {
        let started = Instant::now();
        let settings = Settings { tls: Tls::None, login: None, ..book.settings(&dir, timeout) };
        is_failed(&send(&settings), why);
        assert!(started.elapsed() < LONG / 3, "{why}");
    }
}

#[test]
fn what_a_server_says_is_told_by_its_code_and_harmless() {
    let dir = tempfile::tempdir().unwrap();
    for (says, why, is_lasting) in [
        ("421 come back \u{1b}[31m\u{202e}later\r\n", "its greeting: 421 come back [31mlater", false),
        ("554 not you\r\n", "its greeting: 554 not you", true),
        ("HTTP/1.1 400 Bad Request\r\n", "its greeting: it does not speak SMTP", false),
        ("", "its greeting: the connection was closed before the answer", false),
    ] {
        let book = Book::start(move |stream, _| {
            stream.write_all(says.as_bytes())?;
            Err(std::io::ErrorKind::Other.into())
        });
        let outcome = send(&book.settings(&dir, LONG));
        if is_lasting { is_refused(&outcome, why) } else { is_failed(&outcome, why) }
    }
    let long = Book::start(|stream, _| stream.write_all(format!("554 {}\r\n", "é".repeat(400)).as_bytes()));
    let outcome = send(&long.settings(&dir, LONG));
    assert!(
        outcome.error().is_some_and(|error| error.len() <= WORDS_BYTES + 50 && error.ends_with('…')),
        "{outcome:?}"
    );
}
