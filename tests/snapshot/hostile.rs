//! A directory that everybody may write into.

use crate::support::{Machine, Snapshot, beat_of};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

const SECRET: &str = "canary-5f3a";

fn secret_of(machine: &Machine) -> std::path::PathBuf {
    let path = machine.root().join("secret");
    fs::write(&path, format!("{{\"overall_status\":\"{SECRET}\"}}")).unwrap();
    path
}

#[track_caller]
fn assert_unusable(snapshot: &Snapshot, service: &str, word: &str) {
    assert_eq!(snapshot.verdict(service), ("unknown", "report_unreadable"), "{service}");
    assert!(snapshot.message(service).contains(word), "{service}: {}", snapshot.message(service));
}

#[test]
fn one_bad_file_costs_its_own_line() {
    let machine = Machine::new();
    let dir = machine.health_dir();
    machine.reports("honest", &beat_of(std::process::id()));
    machine.puts("torn", r#"{"overall_status": "heal"#);
    machine.puts("empty", "");
    machine.puts("array", r#"["healthy"]"#);
    machine.puts("twice", r#"{"overall_status":"error","overall_status":"healthy"}"#);
    machine.puts("nan", r#"{"overall_status":"healthy","uptime":NaN}"#);
    machine.puts(
        "deep",
        &format!(r#"{{"overall_status":"healthy","x":{}{}}}"#, "[".repeat(5000), "]".repeat(5000)),
    );
    fs::write(dir.join("latin.json"), b"{\"overall_status\":\"healthy\",\"host\":\"\xff\"}").unwrap();
    machine.puts("big", &format!(r#"{{"overall_status":"healthy","x":"{}"}}"#, "x".repeat(1 << 20)));
    symlink(secret_of(&machine), dir.join("link.json")).unwrap();
    symlink("/dev/zero", dir.join("device.json")).unwrap();
    fs::create_dir(dir.join("folder.json")).unwrap();
    machine.shell("mkfifo logs/health/pipe.json");
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("socket.json")).unwrap();
    let snapshot = machine.snapshot();
    for (service, word) in [
        ("torn", "ends too early"),
        ("empty", "ends too early"),
        ("array", "expected an object"),
        ("twice", "stands twice"),
        ("nan", "expected value"),
        ("deep", "nested deeper"),
        ("big", "larger than"),
        ("link", "symbolic link"),
        ("device", "symbolic link"),
        ("folder", "no regular file"),
        ("pipe", "no regular file"),
        ("socket", "no regular file"),
    ] {
        assert_unusable(&snapshot, service, word);
    }
    assert_eq!(snapshot.verdict("latin"), ("unknown", "report_unreadable"));
    assert_eq!(snapshot.verdict("honest"), ("healthy", "self_reported"));
    assert_eq!(snapshot.code, 3);
    assert!(!snapshot.json.to_string().contains(SECRET), "what a link leads to is never echoed");
}

#[test]
fn a_service_is_called_by_its_file_and_a_lie_inside_is_shown() {
    let machine = Machine::new();
    let mut report = beat_of(std::process::id());
    report["service_type"] = json!("database");
    report["service_name"] = json!("database");
    machine.reports("liar", &report);
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.json["services"]["liar"]["name_inside"], "database");
    assert!(snapshot.json["services"].get("database").is_none());
}

/// Ages that no clock can have, numbers without a range, ids of processes that are none.
#[test]
fn nonsense_is_refused_by_name() {
    let machine = Machine::new();
    for (service, key, value, word) in [
        ("a", "deadline_s", json!(0), "deadline_s"),
        ("b", "deadline_s", json!(4_000_000), "35 days"),
        ("c", "pid", json!(0), "pid"),
        ("d", "pid", json!(-1), "pid: out of range"),
        ("e", "uptime", json!("long"), "uptime"),
        ("f", "checks", json!([{"name": "x"}]), "checks[0]: status"),
        ("g", "state", json!("sleeping"), "state"),
        ("h", "checks", json!(vec![json!({"name": "x", "status": "healthy"}); 300]), "limit is 256"),
    ] {
        let mut report = json!({"overall_status": "healthy"});
        report[key] = value;
        machine.reports(service, &report);
        let snapshot = machine.snapshot();
        assert!(snapshot.message(service).contains(word), "{}", snapshot.message(service));
        assert_eq!(snapshot.verdict(service).0, "unknown");
    }
}
