//! What others rely on: keys, exit codes, streams.

use crate::support::{Machine, Process, beat_of, eventually, example, run};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

fn own() -> Value {
    beat_of(std::process::id())
}

#[test]
fn a_reader_that_only_loads_two_keys_keeps_working() {
    let machine = Machine::new();
    let _camera = Process::start(&mut machine.any_command(example("camera").to_str().unwrap(), &["30"]));
    eventually("the first report", || machine.health_dir().join("camera.json").exists().then_some(()));
    let script = "import glob, json\n\
                  for path in glob.glob('logs/health/*.json'):\n\
                  \tf = json.load(open(path)); print(f['service_name'], f['overall_status'])";
    let read = machine.any_command("python3", &["-c", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&read.stdout), "camera healthy\n");
}

#[test]
fn the_shell_writer_of_two_lines_is_a_service() {
    let machine = Machine::new();
    let script = r#"f=logs/health/.backup.$$; printf '{"overall_status":"healthy","deadline_s":93600,"state":"finished"}' >"$f" && mv "$f" logs/health/backup.json"#;
    assert_eq!(machine.shell(script).code, 0);
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("backup"), snapshot.code), (("healthy", "finished"), 0));
}

#[test]
fn the_snapshot_has_its_keys_and_follows_its_schema() {
    let machine = Machine::new();
    machine.reports("camera", &own());
    machine.puts("torn", "{");
    let mut gone = own();
    gone["pid"] = json!(4_194_304);
    gone["depends_on"] = json!(["camera"]);
    gone["checks"] = json!([{"name": "lens", "status": "warning", "message": "dusty"}]);
    machine.reports("gone", &gone);
    let snapshot = machine.snapshot();
    for key in [
        "timestamp",
        "project",
        "deployment_mode",
        "health_summary",
        "services",
        "zmq_endpoints",
        "resources",
        "processes",
        "issues",
        "schema_version",
        "host",
        "overall_status",
        "probes",
    ] {
        assert!(snapshot.json.get(key).is_some(), "{key} is not there");
    }
    let mode = if std::path::Path::new("/run/systemd/system").exists() { "systemd" } else { "processes" };
    assert_eq!(snapshot.json["deployment_mode"], mode);
    assert_eq!(snapshot.json["issues"][0]["check"], "gone");
    assert!(snapshot.json["processes"]["camera"]["memory_bytes"].as_u64().unwrap() > 100_000);
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/snapshot.schema.json");
    let file = machine.root().join("snapshot.json");
    fs::write(&file, snapshot.json.to_string()).unwrap();
    let script = "import json, jsonschema, sys; jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))";
    run("python3", &["-c", script, file.to_str().unwrap(), schema]);
}

#[test]
fn exit_codes_say_how_the_whole_is() {
    for (status, nagios, simple) in
        [("healthy", 0, 0), ("warning", 1, 0), ("error", 2, 1), ("fatal", 2, 1), ("unknown", 3, 1)]
    {
        let machine = Machine::new();
        let mut report = own();
        report["overall_status"] = json!(status);
        machine.reports("camera", &report);
        assert_eq!(machine.run(&[]).code, nagios, "{status}");
        assert_eq!(machine.run(&["--exit-code", "simple"]).code, simple, "{status}");
        assert_eq!(machine.run(&["--format", "table"]).code, nagios, "{status}");
    }
}

#[test]
fn wrong_usage_is_unknown_and_so_is_nothing_to_judge() {
    let machine = Machine::new();
    for wrong in [
        &["--no-such-flag"][..],
        &["no-such-command"],
        &["report", "a b", "--status", "healthy"],
        &["run", "--service", "x"],
    ] {
        let outcome = machine.run(wrong);
        assert_eq!((outcome.code, outcome.out.as_str()), (3, ""), "{wrong:?}");
        assert!(!outcome.err.is_empty());
    }
    assert_eq!(machine.run(&["--help"]).code, 0);
    assert_eq!(machine.run(&["--exit-code", "simple", "--no-such-flag"]).code, 1, "Docker knows 0 and 1");
    let nothing = machine.run(&["--format", "table"]);
    assert_eq!(nothing.code, 3);
    assert!(nothing.out.contains("no reports in logs/health"), "{}", nothing.out);
}

#[test]
fn nonsense_from_outside_is_no_panic() {
    let machine = Machine::new();
    machine.reports("camera", &own());
    for columns in ["18446744073709551615", "9999999999", "0", "-1", "wide"] {
        let output = machine.command(&["--format", "table"]).env("COLUMNS", columns).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "COLUMNS={columns}");
    }
    let outcome = machine.shell(r#""$HEALTHCHECK" report "$(printf '\377')" --status error"#);
    assert_eq!(outcome.code, 3, "{outcome:?}");
    let full = r#"{"overall_status":"healthy","heartbeat_count":18446744073709551615,"error_count":18446744073709551615}"#;
    machine.puts("full", full);
    assert_eq!(machine.run(&["report", "full", "--status", "error"]).code, 0);
}

#[test]
fn whoever_looks_in_the_wrong_place_is_told_the_right_one() {
    let machine = Machine::new();
    machine.reports("camera", &own());
    let outcome = machine.run(&["--health-dir", "/nonexistent/health", "--format", "table"]);
    assert_eq!(outcome.code, 3);
    let text = outcome.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("no reports in /nonexistent/health, but there are some in logs/health"), "{text}");
}

#[test]
fn a_broken_pipe_is_a_quiet_end() {
    let machine = Machine::new();
    for number in 0..500 {
        machine.reports(&format!("service{number}"), &own());
    }
    let outcome =
        machine.shell(r#""$HEALTHCHECK" --format json | head -c 10; "$HEALTHCHECK" --format table | true"#);
    assert_eq!((outcome.out.len(), outcome.err.as_str()), (10, ""));
}

#[test]
fn what_a_service_says_cannot_drive_the_terminal() {
    let machine = Machine::new();
    let mut report = own();
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\n\u{202e}FAKE ● camera";
    report["checks"] = json!([{"name": evil, "status": "error", "message": evil}]);
    report["current_task"] = json!(evil);
    machine.reports("evil", &report);
    let table = machine.run(&["--format", "table"]).out;
    assert!(!table.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}']), "{table:?}");
    assert!(table.lines().filter(|line| line.contains("FAKE")).count() == 1, "{table}");
}

#[test]
fn the_table_says_what_is_wrong_first_and_needs_no_colour() {
    let machine = Machine::new();
    let mut report = own();
    report["checks"] = json!([{"name": "queue", "status": "warning", "message": "812 of 1000"}]);
    machine.reports("transcoder", &report);
    machine.reports("core", &own());
    let mut coloured = machine.command(&["--format", "table"]);
    let coloured = coloured.env("CLICOLOR_FORCE", "1").output().unwrap();
    let plain = machine.run(&["--format", "table"]).out;
    let lines: Vec<&str> = plain.lines().collect();
    assert!(lines[0].starts_with("healthcheck  ") && lines[0].ends_with("1 of 2 needs attention"), "{plain}");
    assert!(lines[1].starts_with("▲ transcoder  warning  queue: 812 of 1000"), "{plain}");
    assert_eq!(lines[2], "● core");
    assert!(lines[3].starts_with("resources     memory"), "{plain}");
    assert!(String::from_utf8_lossy(&coloured.stdout).contains("\u{1b}[33m▲ transcoder"));
}

#[test]
fn the_environment_names_the_directory_as_it_does_for_writers() {
    let machine = Machine::new();
    let elsewhere = machine.root().join("elsewhere");
    let said = machine
        .command(&["report", "x", "--status", "warning"])
        .env("HEALTH_DIR", &elsewhere)
        .status()
        .unwrap();
    assert!(said.success() && elsewhere.join("x.json").exists());
    let looked = machine.command(&[]).env("HEALTH_DIR", &elsewhere).output().unwrap();
    assert_eq!(looked.status.code(), Some(1));
    machine.configures("health_dirs = [\"elsewhere\"]");
    assert_eq!(machine.snapshot().verdict("x"), ("warning", "self_reported"));
}

#[test]
fn old_reports_show_their_age_and_fresh_ones_the_cost_of_their_process() {
    let machine = Machine::new();
    let sleeper = Process::start(&mut machine.any_command("sleep", &["60"]));
    machine.reports("sleeper", &beat_of(sleeper.pid()));
    std::thread::sleep(Duration::from_millis(20));
    let snapshot = machine.snapshot();
    let process = &snapshot.json["processes"]["sleeper"];
    assert_eq!(
        (process["pid"].as_u64(), process["threads"].as_u64()),
        (Some(u64::from(sleeper.pid())), Some(1))
    );
    assert!(process["descriptors"].as_u64().unwrap() >= 3, "{process}");
    assert!(snapshot.json["services"]["sleeper"]["age_s"].as_f64().unwrap() >= 0.02);
}
