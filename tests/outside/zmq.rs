//! ZMQ endpoints: real peers of libzmq, of several types, and whatever else listens where one is expected.

use crate::support::{Machine, Outcome, PATIENCE, Process, Snapshot, eventually, example};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ANYWHERE: &str = "tcp://127.0.0.1:*";

/// Peers of these types, each `KIND@ENDPOINT`, and where they listen.
fn peers(wanted: &[&str]) -> (Process, Vec<String>) {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/outside/zmq_peers.py");
    let process = Process::start(Command::new("python3").arg(program).args(wanted));
    let endpoints = wanted.iter().map(|_| process.line()).collect();
    (process, endpoints)
}

/// Says this to everybody who connects, and nothing more.
fn says(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let greet = |stream: std::io::Result<TcpStream>| {
            let mut stream = stream?;
            stream.write_all(text.as_bytes())?;
            std::thread::spawn(move || stream.read_to_end(&mut Vec::new()));
            Ok::<(), std::io::Error>(())
        };
        listener.incoming().map(greet).for_each(drop);
    });
    endpoint
}

/// Nobody listens there, and no connection can begin there.
const NOBODY: &str = "tcp://127.0.0.2:1";

/// A machine that expects these endpoints, each with a name and further lines.
fn expecting(endpoints: &[(&str, &str, &str)]) -> Machine {
    let machine = Machine::new();
    let section = |(name, endpoint, more): &(&str, &str, &str)| {
        format!("[zmq.{name}]\nendpoint = \"{endpoint}\"\n{more}\n")
    };
    machine.configures(&endpoints.iter().map(section).collect::<String>());
    machine
}

#[track_caller]
fn snapshot_of(outcome: &Outcome) -> Snapshot {
    let json = serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    Snapshot { json, code: outcome.code }
}

#[track_caller]
fn verdict<'a>(snapshot: &'a Snapshot, name: &str) -> (&'a str, &'a str, &'a str) {
    let view = &snapshot.json["zmq_endpoints"][name];
    let text = |key: &str| view[key].as_str().unwrap_or_default();
    assert!(view.is_object(), "no endpoint {name}: {:#}", snapshot.json);
    (text("status"), text("cause"), text("message"))
}

#[track_caller]
fn assert_bad(snapshot: &Snapshot, name: &str, words: &[&str]) {
    let (status, cause, message) = verdict(snapshot, name);
    assert_eq!((status, cause), ("error", "probe_failed"), "{name}: {message}");
    for word in words {
        assert!(message.contains(word), "{name}: \"{message}\" does not say {word}");
    }
}

#[track_caller]
fn assert_alive(snapshot: &Snapshot, name: &str, word: &str) {
    let view = &snapshot.json["zmq_endpoints"][name];
    assert_eq!(verdict(snapshot, name).0, "healthy", "{view:#}");
    assert!(view.to_string().contains(&format!("\"{word}\"")), "{name} is not said to be {word}: {view:#}");
}

#[test]
fn f2_nothing_listening_is_bad_and_so_is_whatever_is_no_zmq_socket() {
    let mut web = Process::start(
        Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .stderr(Stdio::null()),
    );
    let said = web.line();
    let port = said.split_ascii_whitespace().skip_while(|word| *word != "port").nth(1);
    let http = format!("tcp://127.0.0.1:{}", port.unwrap_or_else(|| panic!("no port: {said}")));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let machine = expecting(&[
        ("refused", NOBODY, ""),
        ("ssh", &says("SSH-2.0-OpenSSH_9.2p1 \u{1b}[31mDebian\r\n"), ""),
        ("http", &http, "timeout = \"3s\""),
        ("silent", &format!("tcp://{}", silent.local_addr().unwrap()), "timeout = \"300ms\""),
        ("unresolved", "tcp://no-such-host.invalid:5555", "timeout = \"10s\""),
        ("missing", "ipc:///nonexistent/socket", ""),
    ]);
    let snapshot = machine.snapshot();
    assert_bad(&snapshot, "refused", &["refused"]);
    assert_bad(&snapshot, "ssh", &["ZMTP", "SSH-2.0-OpenSSH_9.2p1 .[31mDebian"]);
    assert_bad(&snapshot, "http", &["ZMTP", "<!DOCTYPE HTML>"]);
    assert_bad(&snapshot, "silent", &["says nothing"]);
    assert_bad(&snapshot, "unresolved", &["no-such-host.invalid"]);
    assert_bad(&snapshot, "missing", &["ipc:///nonexistent/socket", "does not exist"]);
    assert_eq!((snapshot.code, snapshot.json["overall_status"].as_str()), (2, Some("error")));
    web.tell("");
}

#[test]
fn f2_a_connection_that_meets_itself_is_nobody() {
    const ALONE: &str = "ip link set lo up && echo 40001 40001 >/proc/sys/net/ipv4/ip_local_port_range && exec \"$HEALTHCHECK\" --format json";
    let machine = expecting(&[("itself", "tcp://127.0.0.1:40001", "")]);
    let mut command = machine.any_command("unshare", &["-n", "dash", "-c", ALONE]);
    let outcome =
        Outcome::of(&command.env("HEALTHCHECK", env!("CARGO_BIN_EXE_healthcheck")).output().unwrap());
    assert_bad(&snapshot_of(&outcome), "itself", &["refused"]);
}

#[test]
fn live_peers_of_each_type_are_healthy_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = format!("ipc://{}", dir.path().join("socket").display());
    let kinds = ["REP", "PUB", "PUSH", "ROUTER", "XPUB", "PULL", "DEALER"];
    let wanted: Vec<String> = kinds.iter().map(|kind| format!("{kind}@{ANYWHERE}")).collect();
    let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let by_path = format!("SUB@{path}");
    wanted.push(&by_path);
    let (_peers, endpoints) = peers(&wanted);
    let mut expected = vec![];
    let types: Vec<String> =
        kinds.iter().chain([&"SUB"]).map(|kind| format!("socket = \"{kind}\"\ntimeout = \"20s\"")).collect();
    for ((kind, endpoint), more) in kinds.iter().chain([&"SUB"]).zip(&endpoints).zip(&types) {
        expected.push((*kind, endpoint.as_str(), more.as_str()));
    }
    let snapshot = expecting(&expected).snapshot();
    kinds.iter().chain([&"SUB"]).for_each(|kind| assert_alive(&snapshot, kind, kind));
    assert_eq!(snapshot.code, 0, "{:#}", snapshot.json);
}

#[test]
fn a_socket_of_another_type_is_bad_and_both_are_named() {
    let (_peers, endpoints) = peers(&[&format!("PUSH@{ANYWHERE}")]);
    let snapshot = expecting(&[("events", &endpoints[0], "socket = \"PUB\"\ntimeout = \"20s\"")]).snapshot();
    assert_bad(&snapshot, "events", &["PUSH", "PUB"]);
    assert_eq!(snapshot.code, 2);
}

#[test]
fn security_mechanisms_are_named_and_alive() {
    let (_peers, endpoints) = peers(&[&format!("CURVE@{ANYWHERE}"), &format!("PLAIN@{ANYWHERE}")]);
    let more = "socket = \"REP\"\ntimeout = \"20s\"";
    let snapshot = expecting(&[("curve", &endpoints[0], more), ("plain", &endpoints[1], more)]).snapshot();
    assert_alive(&snapshot, "curve", "CURVE");
    assert_alive(&snapshot, "plain", "PLAIN");
    assert_eq!(snapshot.code, 0);
}

#[test]
fn a_question_tells_an_application_that_answers_from_one_that_hangs() {
    let (_peers, endpoints) = peers(&[&format!("ANSWERING@{ANYWHERE}"), &format!("REP@{ANYWHERE}")]);
    let machine = expecting(&[
        ("answering", &endpoints[0], "echo = \"ping\"\ntimeout = \"20s\""),
        ("hung", &endpoints[1], "echo = \"ping\"\ntimeout = \"2s\""),
    ]);
    let snapshot = machine.snapshot();
    assert_alive(&snapshot, "answering", "REP");
    assert_bad(&snapshot, "hung", &["does not answer"]);
}

#[test]
fn a_push_peer_loses_no_message_to_fifty_snapshots() {
    const MESSAGES: usize = 1000;
    let (_peers, endpoints) = peers(&[&format!("PUSH={MESSAGES}@{ANYWHERE}")]);
    let machine = expecting(&[("jobs", &endpoints[0], "socket = \"PUSH\"\ntimeout = \"20s\"")]);
    (0..50).for_each(|_| assert_alive(&machine.snapshot(), "jobs", "PUSH"));
    let pull = zmq::Context::new().socket(zmq::PULL).unwrap();
    pull.set_linger(0).unwrap();
    pull.connect(&endpoints[0]).unwrap();
    for number in 0..MESSAGES {
        let message = eventually("a message", || pull.recv_bytes(zmq::DONTWAIT).ok());
        assert_eq!(String::from_utf8_lossy(&message), number.to_string(), "a message is lost");
    }
}

#[test]
fn what_is_refused_is_told_at_once() {
    let began = Instant::now();
    let snapshot = expecting(&[("refused", NOBODY, "timeout = \"60s\"\ninterval = \"2m\"")]).snapshot();
    assert_bad(&snapshot, "refused", &["refused"]);
    assert!(began.elapsed() < PATIENCE, "told after {:?}", began.elapsed());
}

#[test]
fn a_socket_that_may_not_be_connected_to_is_unknown_not_down() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("socket");
    let (_peers, endpoints) = peers(&[&format!("REP@ipc://{}", path.display())]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    let machine = expecting(&[("private", &endpoints[0], "")]);
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_healthcheck")];
    let mut command = machine.any_command("setpriv", &nobody);
    let outcome = Outcome::of(&command.args(["--format", "json"]).output().unwrap());
    let snapshot = snapshot_of(&outcome);
    let (status, cause, message) = verdict(&snapshot, "private");
    assert_eq!((status, cause, snapshot.code), ("unknown", "probe_unavailable", 3), "{message}");
    assert!(message.contains("permission denied"), "{message}");
}

/// A snapshot by a process that may have so many descriptors.
fn snapshot_with(machine: &Machine, descriptors: u32) -> (Snapshot, Duration) {
    let limit = format!("--nofile={descriptors}:{descriptors}");
    let began = Instant::now();
    let mut command = machine.any_command("prlimit", &[&limit, env!("CARGO_BIN_EXE_healthcheck")]);
    let outcome = Outcome::of(&command.args(["--format", "json"]).output().unwrap());
    let took = began.elapsed();
    (snapshot_of(&outcome), took)
}

/// So many endpoints of real publishers, and of listeners that only greet as one, with a configuration for all.
fn crowd(real: usize, cheap: usize, more: &str) -> (Process, String) {
    let program = example("zmq_endpoints");
    let process = Process::start(Command::new(program).args([real.to_string(), cheap.to_string()]));
    let mut toml = String::new();
    for number in 0..real + cheap {
        let address = process.line();
        writeln!(toml, "[zmq.live-{number}]\nendpoint = \"tcp://{address}\"\nsocket = \"PUB\"\n{more}")
            .unwrap();
    }
    assert_eq!(process.line(), "ready");
    (process, toml)
}

fn count(snapshot: &Snapshot, prefix: &str, status: &str) -> usize {
    let endpoints = snapshot.json["zmq_endpoints"].as_object().unwrap();
    endpoints.iter().filter(|(name, view)| name.starts_with(prefix) && view["status"] == status).count()
}

#[test]
fn two_thousand_endpoints_are_looked_at_at_once_with_1024_descriptors() {
    let (_peers, mut toml) = crowd(100, 1700, "timeout = \"20s\"");
    for number in 0..200 {
        writeln!(toml, "[zmq.gone-{number}]\nendpoint = \"{NOBODY}\"").unwrap();
    }
    let machine = Machine::new();
    machine.configures(&toml);
    let (snapshot, took) = snapshot_with(&machine, 1024);
    println!("2,000 endpoints with 1,024 descriptors: {} ms", took.as_millis());
    assert_eq!(count(&snapshot, "live-", "healthy"), 1800);
    assert_eq!(count(&snapshot, "gone-", "error"), 200);
    assert_eq!(snapshot.code, 2);
    assert!(took < PATIENCE * 3, "it took {took:?}");
}

#[test]
fn too_few_descriptors_are_no_outage() {
    let (_peers, toml) = crowd(0, 60, "timeout = \"20s\"");
    let machine = Machine::new();
    machine.configures(&toml);
    let (snapshot, _) = snapshot_with(&machine, 24);
    assert_eq!(count(&snapshot, "live-", "error"), 0, "{:#}", snapshot.json["zmq_endpoints"]);
    assert_eq!(count(&snapshot, "live-", "healthy") + count(&snapshot, "live-", "unknown"), 60);
}
