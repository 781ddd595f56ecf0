use super::*;
use crate::web::{Authority, WebServer, answer};
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::sleep;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(400);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn question(url: &str) -> Question {
    Question { url: url.to_owned(), status: None, body: None, ca_file: None, certificate_wanted: 14 * DAY }
}

fn ask_within(question: &Question, timeout: Duration) -> Result<HttpFacts, ProbeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let facts = runtime.block_on(look(question, timeout));
    runtime.shutdown_background();
    facts.map(|facts| match facts {
        ProbeFacts::Http(facts) => facts,
        other => panic!("{other:?}"),
    })
}

fn answered(question: &Question) -> HttpAnswer {
    ask_within(question, LONG).unwrap().answer.unwrap()
}

fn unanswered_by(url: &str, timeout: Duration) -> Unanswered {
    ask_within(&question(url), timeout).unwrap().answer.unwrap_err()
}

/// Answers by what the path names.
fn site() -> WebServer {
    WebServer::plain(|head, out| {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let to = |place: &str| format!("HTTP/1.1 302 X\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n");
        let text = match path.as_str() {
            "/well" => answer(200, "all is well"),
            "/head" => answer(200, head),
            "/moved" => to("/moved-again"),
            "/moved-again" => to("/head"),
            "/round" => to("/round"),
            "/nowhere" => "HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "/garbage" => "220 mail.example.org ESMTP\r\n".to_owned(),
            "/short" => "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nx".to_owned(),
            "/silent" => {
                sleep(LONG);
                String::new()
            }
            "/closed" => String::new(),
            "/drip-head" => return drip(out, "HTTP/1.1 200 X\r\nServer: slow\r\n\r\n"),
            "/drip" => return drip(out, &answer(200, &"x".repeat(1000))),
            "/endless" => return endless(out, "HTTP/1.1 200 X\r\n\r\n", "all is well "),
            "/endless-line" => return endless(out, "HTTP/1.1 200 X\r\nX-Header: ", "and on and on "),
            "/endless-head" => return endless(out, "HTTP/1.1 200 X\r\n", "X-Header: and one more\r\n"),
            status => answer(status[1..].parse().unwrap(), "a page"),
        };
        out.write_all(text.as_bytes())
    })
}

fn drip(out: &mut dyn Write, text: &str) -> io::Result<()> {
    for byte in text.bytes() {
        out.write_all(&[byte])?;
        out.flush()?;
        sleep(Duration::from_millis(30));
    }
    Ok(())
}

fn endless(out: &mut dyn Write, head: &str, line: &str) -> io::Result<()> {
    out.write_all(head.as_bytes())?;
    loop {
        out.write_all(line.as_bytes())?;
    }
}

#[test]
fn any_status_is_an_answer() {
    let site = site();
    for status in [200, 404, 500, 503] {
        let answer = answered(&question(&site.url("127.0.0.1", &format!("/{status}"))));
        assert_eq!(answer, HttpAnswer { status, status_wanted: None, body_lacks: None });
    }
}

#[test]
fn the_body_is_looked_at_only_for_what_is_wanted() {
    let site = site();
    let ask = |path: &str, body: &str| {
        answered(&Question { body: Some(body.to_owned()), ..question(&site.url("localhost", path)) })
    };
    assert_eq!(ask("/well", "is well").body_lacks, None);
    assert_eq!(ask("/well", "is ill").body_lacks.as_deref(), Some("is ill"));
    assert_eq!(ask("/endless", "is well").body_lacks, None, "its first 256 KiB are enough");
}

#[test]
fn redirects_are_followed_to_the_page_and_not_for_ever() {
    let site = site();
    assert_eq!(answered(&question(&site.url("127.0.0.1", "/moved"))).status, 200);
    let round = unanswered_by(&site.url("127.0.0.1", "/round"), LONG);
    assert_eq!(round, Unanswered::Failed("more than 3 redirects".to_owned()));
    let wanted = Question { status: Some(302), ..question(&site.url("127.0.0.1", "/moved")) };
    assert_eq!(answered(&wanted).status, 302, "the redirect itself may be what is wanted");
}

#[test]
fn who_asks_is_said_and_the_login_is_sent_and_not_shown() {
    let site = site();
    let lacking = |url: &str, body: &str| {
        answered(&Question { body: Some(body.to_owned()), ..question(url) }).body_lacks
    };
    let head = site.url("127.0.0.1", "/head");
    assert_eq!(lacking(&head, concat!("healthcheck/", env!("CARGO_PKG_VERSION"))), None);
    assert_eq!(lacking(&head, "authorization").as_deref(), Some("authorization"));
    let login = head.replace("http://", "http://user:can%40ary@");
    assert_eq!(lacking(&login, &format!("Basic {}", BASE64_STANDARD.encode("user:can@ary"))), None);
    assert_eq!(without_login("http://h/a@b"), ("http://h/a@b".to_owned(), None));
    assert_eq!(without_login("http://u@h?q").0, "http://h?q");
    for (url, shown) in [
        ("https://u:canary@h:1/page?key=canary#x", "https://h:1/page"),
        ("https://u:can/ary@h/page", "https://***@h/page"),
    ] {
        assert_eq!(place(url), shown);
    }
}

#[test]
fn what_is_no_answer_is_named_without_the_url() {
    let site = site();
    for (path, words) in [
        ("/garbage", "not HTTP"),
        ("/short", "closed before"),
        ("/closed", "closed before"),
        ("/nowhere", "redirects to nowhere"),
        ("/endless-head", "too many headers"),
        ("/endless-line", "headers are larger"),
    ] {
        let url = site.url("canary:canary@127.0.0.1", path);
        match unanswered_by(&url, LONG) {
            Unanswered::Failed(text) => {
                assert!(text.contains(words) && !text.contains("canary"), "{path}: {text}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    for url in ["http://user:can/ary@host/", "http://", "http://u:canary@[::1/", "u:canary@"] {
        let shown = format!("{:?}", ask_within(&question(url), LONG));
        assert!(!shown.contains("ary"), "{shown}");
    }
}

#[test]
fn nobody_there_and_nobody_of_that_name_are_told_apart() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    assert_eq!(unanswered_by(&format!("http://{closed}/"), LONG), Unanswered::Refused);
    let nowhere = unanswered_by("http://no-such-host.invalid/", LONG);
    assert!(matches!(nowhere, Unanswered::Unresolved(_)), "{nowhere:?}");
}

#[test]
fn whoever_takes_too_long_ends_at_the_deadline() {
    let site = site();
    for path in ["/silent", "/drip", "/drip-head"] {
        let started = Instant::now();
        assert_eq!(unanswered_by(&site.url("127.0.0.1", path), SHORT), Unanswered::TimedOut(SHORT), "{path}");
        assert!(started.elapsed() < LONG / 3, "{path}: {:?}", started.elapsed());
    }
}

fn ask_trusting(pem: &str, url: &str) -> HttpFacts {
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    fs::write(&ca_file, pem).unwrap();
    let (ca_file, body) = (Some(ca_file), Some("well".to_owned()));
    ask_within(&Question { ca_file, body, ..question(url) }, LONG).unwrap()
}

/// A server with a certificate of a new authority, asked by a name that it is for, or not.
fn tls(name: &str, days_left: i32, host: &str, is_trusted: bool) -> HttpFacts {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = WebServer::tls(authority.server(name, days_left));
    ask_trusting(if is_trusted { authority.pem() } else { stranger.pem() }, &server.url(host, "/"))
}

#[test]
fn a_certificate_of_a_private_authority_tells_its_days() {
    for (name, days) in [("localhost", 90), ("localhost", 5), ("127.0.0.1", 0)] {
        let facts = tls(name, days, name, true);
        assert_eq!(facts.answer, Ok(HttpAnswer { status: 200, status_wanted: None, body_lacks: None }));
        let left = facts.certificate_left.unwrap().as_secs() / DAY.as_secs();
        assert_eq!((left, facts.certificate_wanted), (u64::try_from(days).unwrap(), 14 * DAY));
    }
}

fn asked_of_its_own(days_left: i32, host: &str, is_trusted: bool) -> HttpFacts {
    let (config, pem) = Authority::server_of_its_own("localhost", days_left);
    let pem = if is_trusted { pem } else { Authority::new().pem().to_owned() };
    ask_trusting(&pem, &WebServer::tls(config).url(host, "/"))
}

#[test]
fn a_server_that_is_its_own_authority_is_trusted_where_it_is_named() {
    let facts = asked_of_its_own(90, "localhost", true);
    assert_eq!(facts.answer.unwrap().status, 200);
    assert_eq!(facts.certificate_left.unwrap().as_secs() / DAY.as_secs(), 90);
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_in_words() {
    for (facts, words) in [
        (tls("localhost", -3, "localhost", true), "expired 3 days ago"),
        (tls("example.org", 90, "localhost", true), "is for example.org, not for localhost"),
        (tls("localhost", 90, "localhost", false), "unknown authority"),
        (asked_of_its_own(90, "localhost", false), "to trust it, name it by ca_file"),
        (asked_of_its_own(-3, "localhost", true), "expired 3 days ago"),
        (asked_of_its_own(90, "127.0.0.1", true), "is for localhost, not for 127.0.0.1"),
    ] {
        match facts.answer {
            Err(Unanswered::Tls(text)) => assert!(text.contains(words), "{text}"),
            other => panic!("{words}: {other:?}"),
        }
    }
}

#[test]
fn a_private_authority_is_not_one_of_the_system() {
    let authority = Authority::new();
    let server = WebServer::tls(authority.server("localhost", 90));
    let answer = ask_within(&question(&server.url("localhost", "/")), LONG).unwrap().answer;
    assert!(matches!(&answer, Err(Unanswered::Tls(text)) if text.contains("ca_file")), "{answer:?}");
}

#[test]
fn a_server_without_tls_says_so() {
    let banner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = banner.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = banner.accept().unwrap().0;
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let spoken = unanswered_by(&format!("https://{address}/"), LONG);
    assert_eq!(spoken, Unanswered::Tls("it does not speak TLS".to_owned()));
    server.join().unwrap();
}

#[test]
fn a_ca_file_that_cannot_be_used_is_our_own_fault() {
    let (dir, server) =
        (tempfile::tempdir().unwrap(), WebServer::tls(Authority::new().server("localhost", 9)));
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    for (ca_file, words) in [
        (dir.path().join("none"), "no such file"),
        (dir.path().to_owned(), "no file"),
        (file("empty", ""), "no certificate in it"),
        (file("torn", "-----BEGIN CERTIFICATE-----\nAAAA\n"), "not PEM"),
        (file("other", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cannot be read"),
    ] {
        let asked = Question { ca_file: Some(ca_file), ..question(&server.url("localhost", "/")) };
        let error = ask_within(&asked, LONG).unwrap_err();
        assert!(error.to_string().contains(words) && error.kind == Some(ProbeKind::Http), "{error}");
    }
}
