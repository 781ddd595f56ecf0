//! The file as others see it: a shell, Python's `json`, and a validator that knows nothing but the schema.

use super::target::Target;
use crate::support::run;
use health_reporter::{State, Status, read};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Validates each text with Python's `jsonschema` and tells which ones it accepts.
#[track_caller]
fn accepted_by_the_schema(texts: &[String]) -> Vec<bool> {
    const VALIDATE: &str = "
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
print(json.dumps([validator.is_valid(json.loads(text)) for text in json.load(open(sys.argv[2]))]))";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), serde_json::to_vec(texts).unwrap()).unwrap();
    let schema = repository().join("docs/health-report.schema.json");
    let paths = [schema.to_str().unwrap(), file.path().to_str().unwrap()];
    serde_json::from_str(&run("python3", &["-c", VALIDATE, paths[0], paths[1]])).unwrap()
}

#[test]
fn what_is_written_and_what_was_ever_written_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    for command in ["task a", "watch frames 2000", "record lens warning dusty", "error no route", "calls 10"]
    {
        target.ask(command);
    }
    target.flushed();
    let mut texts = vec![fs::read_to_string(dir.path().join("camera.json")).unwrap()];
    for entry in fs::read_dir(repository().join("tests/golden")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    assert!(texts.len() > 8);
    let accepted = accepted_by_the_schema(&texts);
    assert!(accepted.iter().all(|accepted| *accepted), "{accepted:?}");
}

fn with(key: &str, value: Value) -> Value {
    let mut report = json!({ "overall_status": "healthy" });
    report[key] = value;
    report
}

fn bare_cases() -> Vec<Value> {
    let status = |word: &str| json!({ "overall_status": word });
    vec![
        json!({}),
        json!([]),
        json!({ "overall_status": null }),
        status("WARNING"),
        status("Fatal"),
        status("healthy "),
        status("ok"),
    ]
}

fn check_cases() -> impl Iterator<Item = Value> {
    let good = json!({ "name": "a", "status": "error" });
    let lists =
        [vec![good.clone(); 256], vec![good.clone(); 257]].map(|checks| with("checks", json!(checks)));
    let changed = |key: &str, value: Value| {
        let mut check = good.clone();
        check[key] = value;
        with("checks", json!([check]))
    };
    let each = [
        changed("status", json!("eRRor")),
        changed("status", json!("good")),
        changed("message", json!(null)),
        changed("message", json!(1)),
        changed("metadata", json!(null)),
        changed("metadata", json!([])),
        changed("timestamp", json!(null)),
        changed("duration_ms", json!(-1)),
        changed("duration_ms", json!(0.5)),
        with("checks", json!([{ "name": "a" }])),
        with("checks", json!([{ "status": "error" }])),
    ];
    lists.into_iter().chain(each)
}

fn list_cases() -> Vec<Value> {
    let watched = |limit: f64| json!([{ "name": "a", "beat_boottime_s": 1, "limit_s": limit }]);
    vec![
        with("watched_loops", watched(0.5)),
        with("watched_loops", watched(0.0)),
        with("watched_loops", json!([{ "name": "a" }])),
        with("recent_errors", json!([{}])),
        with("recent_errors", json!([{ "message": "m", "fatal": true, "check": null }])),
        with("depends_on", json!(["a", "b"])),
        with("depends_on", json!([1])),
        with("something_new", json!({ "a": 1 })),
        with("state", json!("Finished")),
        with("state", json!("dead")),
        with("deadline_s", json!(3_024_001)),
        with("pid", json!(4_294_967_296_u64)),
    ]
}

fn number_cases() -> impl Iterator<Item = Value> {
    let keys = [
        "deadline_s",
        "interval_s",
        "uptime",
        "restart_count",
        "messages_sent",
        "pid",
        "pid_namespace",
        "schema_version",
        "written_boottime_s",
    ];
    let values = [json!(1), json!(0), json!(0.5), json!(1.0), json!(2), json!(-1), json!("1"), json!(null)];
    let each = keys.into_iter().flat_map(move |key| values.clone().map(|value| with(key, value)));
    // The reader cuts the fraction off a pid, and what is left is none; the schema need not say so.
    each.filter(|case| case["pid"] != 0.5)
}

#[test]
fn the_schema_and_the_reader_agree() {
    let cases = bare_cases().into_iter().chain(check_cases()).chain(list_cases()).chain(number_cases());
    let texts: Vec<_> = cases.map(|case| case.to_string()).collect();
    let mut accepted_count = 0;
    for (text, accepted) in texts.iter().zip(accepted_by_the_schema(&texts)) {
        assert_eq!(read::parse(text.as_bytes()).is_ok(), accepted, "{text}");
        accepted_count += usize::from(accepted);
    }
    assert!((30..texts.len() - 20).contains(&accepted_count), "{accepted_count} of {}", texts.len());
}

#[test]
fn a_reader_of_the_original_reads_ours() {
    const ORIGINAL_READER: &str = "
import glob, json, sys
for path in sorted(glob.glob(sys.argv[1] + '/*.json')):
    with open(path) as f:
        data = json.load(f)
    checks = [(c['name'], c['status'], c['message'], c['timestamp'][:2], c['metadata']) for c in data['checks']]
    counts = [data[k] for k in ('restart_count', 'error_count', 'messages_sent', 'messages_received')]
    print(data['service_name'], data['overall_status'], checks, counts,
          data['uptime'] >= 0, data['last_updated'][:2], data['last_check'][:2])";
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.ask("record lens warning dusty");
    target.flushed();
    let seen = run("python3", &["-c", ORIGINAL_READER, dir.path().to_str().unwrap()]);
    assert_eq!(seen, "camera warning [('lens', 'warning', 'dusty', '20', {})] [0, 0, 0, 0] True 20 20\n");
}

#[test]
fn two_lines_of_shell_are_a_writer() {
    const WRITER: &str = r#"f=logs/health/.backup.$$; printf '{"overall_status":"healthy","deadline_s":93600,"state":"finished"}' >"$f" && mv "$f" logs/health/backup.json"#;
    let dir = tempfile::tempdir().unwrap();
    let health = dir.path().join("logs/health");
    fs::create_dir_all(&health).unwrap();
    assert!(Command::new("dash").args(["-c", WRITER]).current_dir(dir.path()).status().unwrap().success());
    let listing = read::Directory::open(&health).unwrap().list(|_| false).unwrap();
    assert_eq!((listing.names.len(), listing.rejected_count), (1, 0));
    let report = read::one(&health, &listing.names[0]).unwrap().report;
    assert_eq!((report.overall_status, report.state), (Status::Healthy, State::Finished));
    assert_eq!(report.deadline_s(), 93_600.0);
}
