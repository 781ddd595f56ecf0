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

/// 100,000 files, some of them as bad as can be: within 64 MiB, and the honest are judged right.
#[test]
fn a_flooded_directory_is_bounded_in_memory_and_hides_nobody() {
    let machine = Machine::new();
    machine.configures("[services.zz-expected]\n");
    flood(&machine);
    machine.reports("zz-expected", &beat_of(std::process::id()));
    machine.reports("a-honest", &beat_of(std::process::id()));
    let snapshot = measured_snapshot(&machine);
    assert_eq!(
        snapshot.verdict("zz-expected"),
        ("healthy", "self_reported"),
        "expected, so it is read first"
    );
    assert_eq!(snapshot.verdict("a-honest"), ("healthy", "self_reported"), "among the first by name");
    assert_eq!(snapshot.code, 2);
    let left_out: usize = issue(&snapshot, "left_out").split(' ').next().unwrap().parse().unwrap();
    let shown = snapshot.json["services"].as_object().unwrap().len();
    assert_eq!(left_out + shown, 100_202);
    let rejected = issue(&snapshot, "rejected_files");
    assert!(rejected.starts_with("3 files") && !rejected.contains('\u{1b}'), "{rejected}");
}

fn flood(machine: &Machine) {
    let dir = machine.health_dir();
    for number in 0..100_000 {
        let text = if number % 2 == 0 { r#"{"overall_status":"healthy"}"# } else { "{" };
        fs::write(dir.join(format!("s{number:06}.json")), text).unwrap();
    }
    let checks = largest_check().repeat(250);
    let largest = format!(r#"{{"overall_status":"error","checks":[{}]}}"#, checks.trim_end_matches(','));
    for number in 0..200 {
        fs::write(dir.join(format!("a{number:06}.json")), &largest).unwrap();
    }
    for evil in ["a b.json", "\u{1b}[2J.json", "-rf.json", ".json.json.\u{202e}json"] {
        fs::write(dir.join(evil), "{}").unwrap();
    }
}

/// The snapshot, which took at most 64 MiB of its own: how much of the program itself is in memory is up to the build.
fn measured_snapshot(machine: &Machine) -> Snapshot {
    let script = "import subprocess, sys, time\n\
                  started, peak_kib = time.monotonic(), 0\n\
                  p = subprocess.Popen([sys.argv[1], '--format', 'json'], stdout=open('out.json', 'w'))\n\
                  while p.poll() is None:\n\
                  \x20   own = [line for line in open(f'/proc/{p.pid}/status') if line.startswith('RssAnon:')]\n\
                  \x20   peak_kib = max([peak_kib] + [int(line.split()[1]) for line in own])\n\
                  \x20   time.sleep(0.002)\n\
                  print(p.returncode, peak_kib, round(time.monotonic() - started, 2))";
    let mut command = machine.any_command("python3", &["-c", script, env!("CARGO_BIN_EXE_healthcheck")]);
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let [code, peak_kib, seconds] = words[..] else { panic!("{text}") };
    println!("100,202 files: {peak_kib} KiB at most, {seconds} s in this build");
    let peak_kib: u64 = peak_kib.parse().unwrap();
    assert!((1..=64 * 1024).contains(&peak_kib), "{peak_kib} KiB");
    let json = serde_json::from_slice(&fs::read(machine.root().join("out.json")).unwrap()).unwrap();
    Snapshot { json, code: code.parse().unwrap() }
}

fn issue<'s>(snapshot: &'s Snapshot, about: &str) -> &'s str {
    let issues = snapshot.json["issues"].as_array().unwrap();
    issues.iter().find(|issue| issue["check"] == about).unwrap()["message"].as_str().unwrap()
}

fn largest_check() -> String {
    let (name, message, metadata) = ("n".repeat(100), "m".repeat(1000), "v".repeat(2000));
    format!(r#"{{"name":"{name}","status":"error","message":"{message}","metadata":{{"k":"{metadata}"}}}},"#)
}
