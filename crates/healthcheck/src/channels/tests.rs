//! All channels over HTTP against servers as they are at their worst, what each sends to a good one, and what holds for
//! every channel.

mod bodies;
mod every;
pub(super) mod mail_server;
mod server;

use super::discord::Discord;
use super::http::Client;
use super::ntfy::{self, Login, Ntfy};
use super::ping::Ping;
use super::slack::Slack;
use super::specimen::{item, notice};
use super::telegram::{self, Telegram};
use super::webhook::{self, Body, Webhook};
use super::*;
use crate::secret::{Address, Secret, Url};
use crate::web::Authority;
use health_reporter::Status;
use health_reporter::directory::Environment;
use healthcheck_core::alerts::{Item, NoticeReason};
use healthcheck_core::{Cause, Kind};
use server::{ACCEPTED, Server, answer};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// For servers that answer.
const LONG: Duration = http::DEADLINE;
/// For those that do not.
const SHORT: Duration = Duration::from_millis(400);

fn client(ca_file: Option<&Path>, deadline: Duration) -> Client {
    Client::new(&Environment::default(), ca_file.map(PathBuf::from), deadline)
}

fn secret(text: &str) -> Secret {
    Secret::Value(text.to_owned())
}

fn ntfy_at(base: &str, client: Client) -> Ntfy {
    let login = Some(Login::Token(secret("tk_canary")));
    let (server, topic, click) =
        (Url(base.to_owned()), secret("topic-canary"), Some("https://deimos.example.org/".into()));
    Ntfy::new(ntfy::Settings { server, topic, login, click }, client)
}

fn webhook_at(base: &str, client: Client, body: Body) -> Webhook {
    let settings = webhook::Settings {
        url: Address::Hidden(secret(&format!("{base}/hook/canary-path?key=canary-key"))),
        secret: Some(secret("whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnk=\nold-canary")),
        authorization: Some(secret("Bearer canary-bearer")),
        body,
    };
    Webhook::new(settings, client)
}

fn telegram_at(base: &str, client: Client) -> Telegram {
    let (server, chat_id) = (Url(base.to_owned()), "-1001".to_owned());
    Telegram::new(telegram::Settings { server, token: secret("42:canary-token_x"), chat_id }, client)
}

fn slack_at(base: &str, client: Client) -> Slack {
    Slack::new(secret(&format!("{base}/services/T0/B0/canary-slack")), client)
}

fn discord_at(base: &str, client: Client) -> Discord {
    Discord::new(secret(&format!("{base}/api/webhooks/1/canary-discord")), client)
}

fn ping_at(base: &str, client: Client) -> Ping {
    Ping::new(Address::Hidden(secret(&format!("{base}/canary-uuid-1234"))), client)
}

type Attempt = Box<dyn FnMut(&Notice) -> Outcome + Send>;

/// Everything that speaks HTTP, by its name.
fn all(base: &str, ca_file: Option<&Path>, deadline: Duration) -> Vec<(&'static str, Attempt)> {
    let client = || client(ca_file, deadline);
    let (mut phone, schedule, cancel) =
        (ntfy_at(base, client()), ntfy_at(base, client()), ntfy_at(base, client()));
    let mut webhook = webhook_at(base, client(), Body::Healthcheck);
    let (mut telegram, mut slack, mut discord) =
        (telegram_at(base, client()), slack_at(base, client()), discord_at(base, client()));
    let ping = ping_at(base, client());
    vec![
        ("ntfy", Box::new(move |notice| phone.send(notice))),
        ("schedule", Box::new(move |_| schedule.schedule("switch", LONG, "deimos", "it stopped reporting"))),
        ("cancel", Box::new(move |_| cancel.cancel("switch"))),
        ("webhook", Box::new(move |notice| webhook.send(notice))),
        ("telegram", Box::new(move |notice| telegram.send(notice))),
        ("slack", Box::new(move |notice| slack.send(notice))),
        ("discord", Box::new(move |notice| discord.send(notice))),
        ("ping", Box::new(move |_| ping.send())),
    ]
}

/// What becomes of a notice through each of them, at once; nobody may tell a secret or take longer than it has.
fn outcomes(base: &str, ca_file: Option<&Path>, deadline: Duration) -> Vec<(&'static str, Outcome)> {
    let started = Instant::now();
    let threads = all(base, ca_file, deadline)
        .into_iter()
        .map(|(name, mut attempt)| (name, std::thread::spawn(move || attempt(&notice()))));
    let threads: Vec<_> = threads.collect();
    let outcomes: Vec<_> = threads.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect();
    assert!(started.elapsed() < deadline + Duration::from_millis(1_500), "{:?}", started.elapsed());
    for (name, outcome) in &outcomes {
        let told = format!("{outcome:?}");
        assert!(!told.contains("canary") && told.len() < 600, "{name}: {told}");
    }
    outcomes
}

fn all_fail(base: &str, deadline: Duration, words: &str) {
    for (name, outcome) in outcomes(base, None, deadline) {
        match outcome {
            Outcome::Failed { error, .. } => assert!(error.contains(words), "{name}: {error}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn all_are_refused(base: &str, words: &str) {
    for (name, outcome) in outcomes(base, None, LONG) {
        match outcome {
            Outcome::Refused { error } => assert!(error.contains(words), "{name}: {error}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Answers with everything that it was sent: some servers do.
fn echoing(status: u16, headers: &'static str) -> Server {
    Server::new(move |received, out| {
        let echo = format!("{} {} {:?} ", received.method, received.path, received.headers);
        let echo = echo + &String::from_utf8_lossy(&received.body).replace('\\', "");
        out.write_all(answer(status, headers, &echo).as_bytes())
    })
}

#[test]
fn a_server_that_accepts_has_it() {
    let server = Server::accepting();
    for (name, outcome) in outcomes(&server.base("127.0.0.1"), None, LONG) {
        assert_eq!(outcome, Outcome::Accepted, "{name}");
    }
    assert_eq!(server.received().len(), 8);
}

#[test]
fn nobody_there_is_tried_again() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    all_fail(&format!("http://{closed}"), LONG, "connection refused");
    all_fail("http://no-such-host.invalid", LONG, "leads to no address");
}

#[test]
fn a_server_that_hangs_is_left_at_the_deadline() {
    let silent = Server::new(|_, _| {
        sleep(LONG);
        Ok(())
    });
    all_fail(&silent.base("127.0.0.1"), SHORT, "no answer within 0.4 s");
    // It has a queue, and nobody who accepts, nor ever speaks TLS.
    let queue = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for scheme in ["http", "https"] {
        let base = format!("{scheme}://{}", queue.local_addr().unwrap());
        all_fail(&base, SHORT, "no answer within 0.4 s");
    }
}

fn drip(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    for byte in text.bytes() {
        out.write_all(&[byte])?;
        out.flush()?;
        sleep(Duration::from_millis(30));
    }
    Ok(())
}

#[test]
fn a_server_that_drips_is_left_at_the_deadline() {
    let slow_head = Server::new(|_, out| drip(out, &answer(200, "", ACCEPTED)));
    all_fail(&slow_head.base("127.0.0.1"), SHORT, "no answer within 0.4 s");
    let slow_body = Server::new(|_, out| {
        out.write_all(b"HTTP/1.1 500 X\r\n\r\n")?;
        drip(out, &"tick ".repeat(100))
    });
    all_fail(&slow_body.base("127.0.0.1"), SHORT, "it does not work (500)");
}

#[test]
fn an_answer_without_an_end_is_read_to_a_bound() {
    let endless = |head: &'static str, line: &'static str| {
        Server::new(move |_, out| {
            out.write_all(head.as_bytes())?;
            loop {
                out.write_all(line.as_bytes())?;
            }
        })
    };
    let body = endless("HTTP/1.1 500 X\r\n\r\n", "and on and on ");
    all_fail(&body.base("127.0.0.1"), LONG, "it does not work (500): and on");
    let header = endless("HTTP/1.1 200 X\r\nX-Header: ", "and on and on ");
    all_fail(&header.base("127.0.0.1"), LONG, "headers");
    let headers = endless("HTTP/1.1 200 X\r\n", "X-Header: and one more\r\n");
    all_fail(&headers.base("127.0.0.1"), LONG, "not HTTP");
    let accepted = endless("HTTP/1.1 200 X\r\n\r\n", "and on and on ");
    let outcomes = outcomes(&accepted.base("127.0.0.1"), None, LONG);
    assert!(outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Accepted), "{outcomes:?}");
}

#[test]
fn f27_what_a_stranger_accepts_is_not_told() {
    let portal =
        Server::new(|_, out| out.write_all(answer(200, "", "<html>please log in</html>").as_bytes()));
    for (name, outcome) in outcomes(&portal.base("127.0.0.1"), None, LONG) {
        let is_checked = matches!(name, "ntfy" | "schedule" | "telegram" | "discord");
        assert_eq!(outcome != Outcome::Accepted, is_checked, "{name}: {outcome:?}");
    }
}

#[test]
fn f15_what_fails_for_a_while_is_told_apart_from_what_fails_for_good() {
    for status in [408, 425, 500, 502, 503, 504, 507] {
        all_fail(&echoing(status, "").base("127.0.0.1"), LONG, &format!("({status})"));
    }
    for (status, words) in [
        (400, "refuses it (400)"),
        (401, "refuses us (401): check"),
        (403, "refuses us (403): check"),
        (404, "nothing is there (404)"),
        (410, "wants no more (410)"),
        (413, "refuses it (413)"),
    ] {
        all_are_refused(&echoing(status, "").base("127.0.0.1"), words);
    }
}

#[test]
fn whoever_wants_to_be_left_alone_is() {
    let waits = |headers: &'static str, body: &'static str| {
        let server = Server::new(move |_, out| out.write_all(answer(429, headers, body).as_bytes()));
        let outcomes = outcomes(&server.base("127.0.0.1"), None, LONG);
        let wait = |outcome: &Outcome| match outcome {
            Outcome::Failed { retry_after, .. } => *retry_after,
            other => panic!("{other:?}"),
        };
        let waits: Vec<_> = outcomes.iter().map(|(_, outcome)| wait(outcome)).collect();
        assert!(waits.iter().all(|wait| *wait == waits[0]), "{outcomes:?}");
        waits[0].map(|wait| wait.as_secs_f64())
    };
    let hour = Some(3_600.0);
    for (headers, body, wait) in [
        ("", "slow down", None),
        ("Retry-After: 17\r\n", "", Some(17.0)),
        ("Retry-After: 999999999999999999999\r\n", "", hour),
        ("Retry-After: -1\r\n", "", None),
        ("Retry-After: soon\r\n", "", None),
        (
            "Date: Sun, 01 Nov 2026 03:12:00 GMT\r\nRetry-After: Sun, 01 Nov 2026 03:13:30 GMT\r\n",
            "",
            Some(90.0),
        ),
        ("Retry-After: Sun, 01 Nov 2043 03:13:30 GMT\r\n", "", hour),
        ("Retry-After: Sun, 01 Nov 1999 03:13:30 GMT\r\n", "", Some(0.0)),
        ("", r#"{"ok":false,"error_code":429,"parameters":{"retry_after":35}}"#, Some(35.0)),
        ("Retry-After: 1\r\n", r#"{"message":"You are being rate limited.","retry_after":1.25}"#, Some(1.25)),
        ("", r#"{"code":42908,"http":429,"error":"limit reached: daily message quota reached"}"#, hour),
        ("", r#"{"retry_after":1e300}"#, hour),
    ] {
        assert_eq!(waits(headers, body), wait, "{headers}{body}");
    }
}

#[test]
fn a_redirect_is_refused_and_its_target_hears_nothing() {
    let target = Server::accepting();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}/canary\r\n", target.base("127.0.0.1"));
        let server = Server::new(move |_, out| out.write_all(answer(status, &location, "").as_bytes()));
        all_are_refused(&server.base("127.0.0.1"), "redirects are not followed");
    }
    assert!(target.received().is_empty(), "it was followed");
}

#[test]
fn a_bad_certificate_is_said_in_words_and_never_passed_over() {
    let (authority, stranger, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let (trusted, other) = (dir.path().join("ca.pem"), dir.path().join("other.pem"));
    std::fs::write(&trusted, authority.pem()).unwrap();
    std::fs::write(&other, stranger.pem()).unwrap();
    for (name, days_left, ca_file, words) in [
        ("localhost", 90, Some(&other), "from an unknown authority"),
        ("localhost", 90, None, "from an unknown authority"),
        ("example.org", 90, Some(&trusted), "is for example.org, not for localhost"),
        ("localhost", -3, Some(&trusted), "expired 3 days ago"),
        ("localhost", 90, Some(&dir.path().join("none.pem")), "cannot use ca_file"),
    ] {
        let server = Server::tls(authority.server(name, days_left));
        for (channel, outcome) in outcomes(&server.base("localhost"), ca_file.map(PathBuf::as_path), LONG) {
            let is_told = matches!(&outcome, Outcome::Failed { error, .. } if error.contains(words));
            assert!(is_told, "{channel}: {words}: {outcome:?}");
        }
        assert!(server.received().is_empty(), "it was told all the same");
    }
    let server = Server::tls(authority.server("localhost", 90));
    for (channel, outcome) in outcomes(&server.base("localhost"), Some(&trusted), LONG) {
        assert_eq!(outcome, Outcome::Accepted, "{channel}");
    }
    let (config, pem) = Authority::server_of_its_own("localhost", 90);
    std::fs::write(&trusted, pem).unwrap();
    for (channel, outcome) in outcomes(&Server::tls(config).base("localhost"), Some(&trusted), LONG) {
        assert_eq!(outcome, Outcome::Accepted, "{channel}: it is its own authority, as ca_file says");
    }
}

/// A proxy that leads everywhere to one server; and what it was asked.
fn proxy_to(target: String) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (address, (tell, asked)) = (listener.local_addr().unwrap(), mpsc::channel());
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        tell.send(String::from_utf8(head).unwrap()).unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        client.write_all(b"HTTP/1.1 200 X\r\n\r\n").unwrap();
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
        let _ = std::io::copy(&mut server, &mut client);
    });
    (address, asked)
}

fn by_proxy(proxy: &str, deadline: Duration) -> Ntfy {
    let env = [("HTTP_PROXY", proxy)].into_iter().collect();
    ntfy_at("http://ntfy.invalid", Client::new(&env, None, deadline))
}

#[test]
fn a_proxy_of_the_environment_leads_to_names_that_only_it_knows() {
    let server = Server::accepting();
    let (proxy, asked) = proxy_to(server.base("127.0.0.1").replace("http://", ""));
    assert_eq!(by_proxy(&format!("http://user:can%61ry@{proxy}"), LONG).send(&notice()), Outcome::Accepted);
    let asked = asked.recv().unwrap().to_lowercase();
    assert!(asked.starts_with("connect ntfy.invalid:80 http/1.1"), "{asked}");
    assert!(asked.contains(&"proxy-authorization: Basic dXNlcjpjYW5hcnk=".to_lowercase()), "{asked}");
    assert_eq!(server.received()[0].header("host"), Some("ntfy.invalid"));
    let forbids = Server::new(|_, out| out.write_all(answer(403, "", "no").as_bytes()));
    let outcome = by_proxy(&forbids.base("user:canary@127.0.0.1"), LONG).send(&notice());
    let told = format!("{outcome:?}");
    assert!(told.contains("the proxy does not lead there") && !told.contains("canary"), "{told}");
}

#[test]
fn whatever_hangs_is_left_behind_and_not_without_a_bound() {
    let proxy = Server::new(|_, out| drip(out, &format!("HTTP/1.1 200 X\r\nX: {}", "x".repeat(1_000))));
    let mut phone = by_proxy(&proxy.base("127.0.0.1"), Duration::from_millis(100));
    for words in ["no answer within 0.1 s", "no answer", "no answer", "3 attempts still hang"] {
        let started = Instant::now();
        let outcome = phone.send(&notice());
        assert!(outcome.error().unwrap().contains(words), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_named_and_tried_again() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::accepting());
    let file = |name: &str| Secret::File(dir.path().join(name));
    let base = server.base("127.0.0.1");
    let mut slack = Slack::new(file("slack"), client(None, LONG));
    let ping = Ping::new(Address::Hidden(file("ping")), client(None, LONG));
    let (settings, chat_id) = (Url(base.clone()), "1".to_owned());
    let settings = telegram::Settings { server: settings, token: file("telegram"), chat_id };
    let mut telegram = Telegram::new(settings, client(None, LONG));
    let mut told = vec![slack.send(&notice()), ping.send(), telegram.send(&notice())];
    for name in ["slack", "ping", "telegram"] {
        std::fs::write(dir.path().join(name), "ftp:/canary\ncanary").unwrap();
    }
    told.extend([slack.send(&notice()), ping.send(), telegram.send(&notice())]);
    for outcome in &told {
        let is_temporary = matches!(outcome, Outcome::Failed { .. });
        let error = outcome.error().unwrap();
        assert!(is_temporary && error.contains(&*dir.path().to_string_lossy()), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    std::fs::write(dir.path().join("slack"), format!("{base}/new\n")).unwrap();
    assert_eq!(slack.send(&notice()), Outcome::Accepted, "it is read at each send");
    assert_eq!(server.received()[0].path, "/new");
}

#[test]
fn nothing_that_is_configured_shows_a_secret() {
    let client = || client(None, LONG);
    let base = "http://127.0.0.1:1";
    let shown = format!(
        "{:?}{:?}{:?}{:?}{:?}{:?}",
        ntfy_at(base, client()),
        webhook_at(base, client(), Body::Machine),
        telegram_at(base, client()),
        slack_at(base, client()),
        discord_at(base, client()),
        ping_at(base, client())
    );
    assert!(!shown.contains("canary") && shown.contains("Secret"), "{shown}");
}
