//! Servers that misbehave in every way, through every kind of channel: what is said of each, and that nobody else waits.

use super::arrival::{AT_ONCE, starts};
use crate::support::mail::MailServer;
use crate::support::ntfy::{Mode, Ntfy};
use crate::support::web::Authority;
use crate::support::{Machine, Monitor, eventually, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// The kinds that post to a web server.
const KINDS: [&str; 5] = ["ntfy", "webhook", "telegram", "slack", "discord"];
/// The longest deadline of a channel, and a little.
const LONGEST: Duration = Duration::from_secs(35);

/// What a channel's first delivery must be.
struct Expected {
    outcome: &'static str,
    words: &'static str,
}

const fn failed(words: &'static str) -> Expected {
    Expected { outcome: "failed", words }
}

const fn refused(words: &'static str) -> Expected {
    Expected { outcome: "refused", words }
}

/// Everything that is configured, and what is expected of it.
struct World {
    machine: Machine,
    toml: String,
    expected: BTreeMap<String, Expected>,
}

impl World {
    fn new() -> Self {
        let machine = Machine::new();
        std::fs::write(machine.root().join("token"), "12345:canary").unwrap();
        Self { machine, toml: String::new(), expected: BTreeMap::new() }
    }

    /// One channel of each kind that leads to a server.
    fn leads_to(&mut self, what: &str, url: &str, expected: impl Fn(&str) -> Expected) {
        for kind in KINDS {
            let name = format!("{kind}-{what}");
            let file = self.machine.root().join(format!("{name}.url"));
            std::fs::write(&file, format!("{url}/{name}/canary")).unwrap();
            let more = match kind {
                "ntfy" => format!("server = \"{url}\"\ntopic = \"{name}\"\n"),
                "webhook" => format!("url = \"{url}/{name}\"\n"),
                "telegram" => format!("server = \"{url}\"\ntoken_file = \"token\"\nchat_id = \"{name}\"\n"),
                _ => format!("url_file = \"{name}.url\"\n"),
            };
            self.has(&name, &format!("kind = \"{kind}\"\n{more}"), expected(kind));
        }
    }

    fn has(&mut self, name: &str, toml: &str, expected: Expected) {
        self.toml += &format!("[channels.{name}]\n{toml}");
        self.expected.insert(name.to_owned(), expected);
    }

    fn mails(&mut self, name: &str, port: u16, to: &str, tls: &str, expected: Expected) {
        let toml = format!(
            "kind = \"email\"\nserver = \"127.0.0.1:{port}\"\nfrom = \"a@example.org\"\nto = [\"{to}@example.org\"]\ntls = \"{tls}\"\n"
        );
        self.has(name, &toml, expected);
    }

    fn runs(&mut self, name: &str, script: &str, expected: Expected) {
        self.has(name, &format!("kind = \"command\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\n"), expected);
    }
}

/// A server that says so much and then what is done.
fn port_that(act: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || act(stream));
        }
    });
    port
}

fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn server_that(mode: Mode) -> Ntfy {
    let server = Ntfy::new();
    server.does(mode);
    server
}

/// The first delivery of each channel.
fn first_deliveries(monitor: &Monitor, of: &BTreeMap<String, Expected>) -> BTreeMap<String, Value> {
    let mut first = BTreeMap::new();
    while !of.keys().all(|name| first.contains_key(name)) {
        let missing = of.keys().filter(|name| !first.contains_key(*name)).cloned().collect::<Vec<_>>();
        let event = monitor.event_within(&format!("{missing:?}"), LONGEST, |it| it["type"] == "delivery");
        first.entry(event["channel"].as_str().unwrap().to_owned()).or_insert(event);
    }
    first
}

fn is_as_expected(first: &BTreeMap<String, Value>, expected: &BTreeMap<String, Expected>) {
    let wrong = expected.iter().filter(|(name, expected)| {
        let delivery = &first[*name];
        let says = delivery["error"].as_str().unwrap_or_default();
        delivery["outcome"] != expected.outcome || !says.contains(expected.words) || says.contains("canary")
    });
    let wrong: Vec<_> = wrong.map(|(name, _)| format!("{:#}", first[name])).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Our own report says of each channel what became of it.
fn is_in_own_report(world: &World, monitor: &mut Monitor) {
    monitor.stop();
    let report = world.machine.report_of("healthcheck");
    let checks = report["checks"].as_array().unwrap();
    let wrong = world.expected.iter().filter(|(name, expected)| {
        let check = checks.iter().find(|it| it["name"] == format!("channel_{name}"));
        let says = |check: &Value| (check["status"].clone(), check["message"].as_str().unwrap().to_owned());
        let (status, message) = check.map(says).unwrap_or_default();
        let is_shown = match expected.outcome {
            "refused" => status == "healthy" && message.contains(expected.words),
            "failed" => status == "healthy" && message.contains("is tried again: "),
            _ => status == "healthy" && message == "works",
        };
        !is_shown
    });
    let wrong: Vec<_> = wrong.map(|(name, _)| name).collect();
    assert!(wrong.is_empty(), "{wrong:?}: {checks:#?}");
}

#[test]
fn every_kind_of_channel_says_what_is_the_matter_and_another_is_told_in_time() {
    let (mut world, good) = (World::new(), Ntfy::new());
    let down = format!("http://127.0.0.1:{}", closed_port());
    world.leads_to("down", &down, |_| failed("connection refused"));
    let (hangs, drips, endless) =
        (server_that(Mode::Hangs), server_that(Mode::Drips), server_that(Mode::NeverEnds));
    world.leads_to("hangs", &hangs.url(), |_| failed("no answer within 10 s"));
    world.leads_to("drips", &drips.url(), |_| failed("no answer within 10 s"));
    // Whoever says yes has accepted it by his first line.
    world.leads_to("endless", &endless.url(), |_| Expected { outcome: "accepted", words: "" });
    let unknown = server_that(Mode::Answers("401 Unauthorized"));
    world.leads_to("unknown", &unknown.url(), |_| refused("it refuses us (401): check"));
    let moved = server_that(Mode::Answers("302 Found\r\nLocation: http://127.0.0.1:1/canary"));
    world.leads_to("moved", &moved.url(), |_| refused("it redirects (302)"));
    let forged = Ntfy::tls(Authority::new().server("127.0.0.1", 90));
    world.leads_to("forged", &forged.url(), |_| failed("its certificate is from an unknown authority"));
    world.toml = format!("{}{}", good.channel("phone"), world.toml);
    world.machine.configures(&format!("{}{AT_ONCE}", world.toml));
    let mut monitor = world.machine.monitors();
    let camera = starts(&world.machine, &monitor, "camera");
    let killed = Instant::now();
    camera.kill();
    let told = good.message_within(&["camera is down"], Duration::from_secs(5)).at - killed;
    let first = first_deliveries(&monitor, &world.expected);
    is_as_expected(&first, &world.expected);
    assert_eq!(forged.messages().len(), 0, "nothing was said to whom nobody knows");
    is_in_own_report(&world, &mut monitor);
    println!("{} channels misbehave, and another one is told after {told:?}", world.expected.len());
    assert!(told < Duration::from_secs(2), "{told:?}");
}

#[test]
fn mails_programs_and_files_say_what_is_the_matter() {
    let (mut world, good) = (World::new(), Ntfy::new());
    let mail = MailServer::plain();
    world.mails("mail-down", closed_port(), "me", "none", failed("connection refused"));
    let silent = port_that(|_stream| std::thread::sleep(Duration::from_secs(60)));
    world.mails("mail-hangs", silent, "me", "none", failed("no answer"));
    let dripping = port_that(|mut stream| {
        while stream.write_all(b"2").is_ok() {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    world.mails("mail-drips", dripping, "me", "none", failed("no answer"));
    let endless = port_that(|mut stream| while stream.write_all(b"220-and on\r\n").is_ok() {});
    world.mails("mail-endless", endless, "me", "none", failed("it does not speak SMTP"));
    world.mails("mail-plain", mail.port(), "me", "starttls", refused("it offers no STARTTLS"));
    world.mails("mail-nobody", mail.port(), "no-such", "none", refused("550 5.1.1 no such user"));
    world.mails("mail-later", mail.port(), "later", "none", failed("451 4.7.1 greylisted"));
    world.runs("program-later", "exit 75", failed("exit code 75"));
    world.runs("program-wrong", "exit 77", refused("exit code 77"));
    world.runs("program-hangs", "sleep 100", failed("killed, since it ran for 30s"));
    world.runs("program-floods", "yes >&2", failed("killed, since it wrote more than 1 MiB of errors"));
    world.has(
        "program-missing",
        "kind = \"command\"\ncommand = [\"no-such-program\"]\n",
        refused("install it"),
    );
    run("mkfifo", &[world.machine.root().join("fifo").to_str().unwrap()]);
    world.has("log-fifo", "kind = \"log\"\npath = \"fifo\"\n", refused("it is no regular file"));
    world.has("log-below", "kind = \"log\"\npath = \"token/log\"\n", refused("is a file"));
    world.has("log-full", "kind = \"log\"\npath = \"/dev/full\"\n", refused("it is no regular file"));
    world.machine.configures(&format!("{}{}{AT_ONCE}", good.channel("phone"), world.toml));
    let mut monitor = world.machine.monitors();
    let camera = starts(&world.machine, &monitor, "camera");
    let killed = Instant::now();
    camera.kill();
    let told = good.message_within(&["camera is down"], Duration::from_secs(5)).at - killed;
    let first = first_deliveries(&monitor, &world.expected);
    is_as_expected(&first, &world.expected);
    is_in_own_report(&world, &mut monitor);
    println!("{} channels misbehave, and another one is told after {told:?}", world.expected.len());
    assert!(told < Duration::from_secs(2), "{told:?}");
}

#[test]
fn who_asks_to_be_left_alone_is_and_who_was_ill_is_asked_again() {
    let mut world = World::new();
    let busy = server_that(Mode::Answers("429 Too Many Requests\r\nRetry-After: 4"));
    world.leads_to("busy", &busy.url(), |_| failed("too many requests for it (429)"));
    let ill = server_that(Mode::Answers("500 Internal Server Error"));
    world.leads_to("ill", &ill.url(), |_| failed("it does not work (500)"));
    world.machine.configures(&format!("{}{AT_ONCE}", world.toml));
    let monitor = world.machine.monitors();
    starts(&world.machine, &monitor, "camera").kill();
    let first = first_deliveries(&monitor, &world.expected);
    is_as_expected(&first, &world.expected);
    // As long as they want to be left alone nobody comes.
    assert_eq!((busy.refused(), busy.messages().len()), (KINDS.len(), 0));
    busy.does(Mode::Accepts);
    ill.does(Mode::Accepts);
    eventually("each to be told", || {
        let told = |server: &Ntfy| server.messages().len() >= KINDS.len();
        (told(&busy) && told(&ill)).then_some(())
    });
    let again = busy.messages().iter().map(|it| it.at).min().unwrap() - busy.first_refused();
    let healed = ill.messages().iter().map(|it| it.at).max().unwrap() - ill.first_refused();
    println!("asked to wait for 4 s: asked again after {again:?}; without that after {healed:?} at most");
    assert!(again >= Duration::from_secs(4) && healed < Duration::from_secs(4));
    let mut accepted = 0;
    while accepted < world.expected.len() {
        let delivery = monitor.event("its acceptance", |it| it["outcome"] == "accepted");
        assert!(delivery["attempt"].as_u64().unwrap() >= 2, "{delivery}");
        accepted += 1;
    }
}
