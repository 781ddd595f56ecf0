use super::*;
use crate::{State, Status};
use serde_json::json;
use std::fmt::Write;
use std::fs;

/// Central Europe, by its rule: no test depends on the zone files of the machine.
fn central_europe() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn read(text: &str) -> HealthReport {
    parse_in_zone(text.as_bytes(), &central_europe()).unwrap_or_else(|error| panic!("{text}: {error}")).0
}

#[track_caller]
fn refused(text: &str, problem: &str) {
    let error = parse(text.as_bytes()).expect_err(text);
    assert!(matches!(error, ReadError::Unreadable(_)), "{text}: {error:?}");
    assert!(error.to_string().contains(problem), "{text}: expected \"{problem}\", got: {error}");
}

/// A report with one more key.
fn with(key: &str, value: impl serde::Serialize) -> String {
    json!({ "overall_status": "healthy", key: value }).to_string()
}

#[test]
fn a_status_is_enough_and_all_else_has_its_default() {
    let report = read(r#"{"overall_status":"healthy"}"#);
    let expected = HealthReport { schema_version: None, ..HealthReport::new(Status::Healthy) };
    assert_eq!(report, expected);
    assert_eq!((report.state, report.deadline_s()), (State::Running, 120.0));
}

#[test]
fn words_are_read_in_any_case() {
    let report =
        read(r#"{"overall_status":"WARNING","state":"Finished","checks":[{"name":"a","status":"eRRor"}]}"#);
    assert_eq!((report.overall_status, report.worst_status()), (Status::Warning, Status::Error));
    assert_eq!(report.state, State::Finished);
}

#[test]
fn numbers_may_be_integers_or_fractions() {
    let report = read(
        r#"{"overall_status":"healthy","schema_version":1.0,"pid":4711.0,"restart_count":2.9,"uptime":3,
            "deadline_s":30,"heartbeat_count":1e3,"pid_namespace":4026531836.0,"messages_sent":18446744073709551615}"#,
    );
    assert_eq!((report.schema_version, report.pid, report.restart_count), (Some(1), Some(4711), 2));
    assert_eq!((report.uptime, report.deadline_s, report.heartbeat_count), (Some(3.0), Some(30.0), 1000));
    assert_eq!((report.pid_namespace, report.messages_sent), (Some(4_026_531_836), u64::MAX));
}

#[test]
fn null_is_as_good_as_absent_and_unknown_keys_are_ignored() {
    let full = serde_json::to_value(HealthReport::new(Status::Healthy)).unwrap();
    let all_null: serde_json::Map<_, _> =
        full.as_object().unwrap().keys().map(|key| (key.clone(), json!(null))).collect();
    let mut text = serde_json::Value::Object(all_null);
    text["overall_status"] = json!("error");
    text["something_new"] = json!({ "deep": [1, { "er": null }] });
    text["deadline_s"] = json!(null);
    text["pid"] = json!(null);
    let expected = HealthReport { schema_version: None, ..HealthReport::new(Status::Error) };
    assert_eq!(read(&text.to_string()), expected);
    let check = r#"{"overall_status":"healthy","checks":[{"name":"a","status":"healthy","message":null,
        "timestamp":null,"metadata":null,"duration_ms":null,"new":1}]}"#;
    assert_eq!(read(check).checks, [crate::Check::new("a", Status::Healthy)]);
}

#[test]
fn what_is_there_and_wrong_is_refused_by_name() {
    for (key, value, problem) in [
        ("deadline_s", json!(0), "deadline_s: must be above 0 and at most 3024000 (35 days)"),
        ("deadline_s", json!(3_024_000.5), "deadline_s: must be above 0"),
        ("deadline_s", json!(-5), "deadline_s: must not be negative"),
        ("deadline_s", json!("30s"), "deadline_s: expected a number, found a text"),
        ("interval_s", json!(-0.5), "interval_s: must not be negative"),
        ("uptime", json!([1]), "uptime: expected a number, found an array"),
        ("pid", json!(0), "pid: must be above 0"),
        ("pid", json!(0.5), "pid: must be above 0"),
        ("pid", json!(4_294_967_296_u64), "pid: too large"),
        ("pid", json!(-1), "pid: out of range"),
        ("restart_count", json!(-1), "restart_count: out of range"),
        ("messages_sent", json!(1e19), "messages_sent: out of range"),
        ("error_count", json!(true), "error_count: expected a number, found a boolean"),
        ("state", json!("dead"), "state: expected one of starting, running, stopping, stopped, finished"),
        ("state", json!(1), "state: expected a text, found a number"),
        ("checks", json!({}), "checks: expected an array, found an object"),
        ("checks", json!([1]), "checks[0]: expected an object, found a number"),
        ("checks", json!([{"name": "a"}]), "checks[0]: status is missing"),
        ("checks", json!([{"status": "healthy"}]), "checks[0]: name is missing"),
        ("checks", json!([{"name": "a", "status": "ok"}]), "checks[0]: status: expected one of healthy"),
        ("checks", json!([{"name": "a", "status": "error", "metadata": 1}]), "metadata: expected an object"),
        ("watched_loops", json!([{"name": "a"}]), "watched_loops[0]: beat_boottime_s is missing"),
        (
            "watched_loops",
            json!([{"name": "a", "beat_boottime_s": 1, "limit_s": 0}]),
            "watched_loops[0]: limit_s must be above 0",
        ),
        ("depends_on", json!(["a", 1]), "depends_on[1]: an entry: expected a text, found a number"),
        ("last_updated", json!("yesterday"), "last_updated: no RFC 3339 time"),
        ("last_updated", json!(1_700_000_000), "last_updated: expected a text, found a number"),
        ("host", json!({}), "host: expected a text, found an object"),
    ] {
        refused(&with(key, value), problem);
    }
}

#[test]
fn what_is_no_report_is_refused() {
    for (text, problem) in [
        ("[]", "expected an object, found an array"),
        (r#"[{"overall_status":"healthy"}]"#, "expected an object, found an array"),
        ("null", "expected an object, found null"),
        ("\"healthy\"", "expected an object, found a text"),
        ("{}", "overall_status is missing"),
        (r#"{"overall_status":null}"#, "overall_status is missing"),
        (r#"{"overall_status":"ok"}"#, "expected one of healthy, warning, error, fatal, unknown"),
        (r#"{"overall_status":1}"#, "expected a text, found a number"),
        ("", "ends too early (torn or empty)"),
        (r#"{"overall_status":"healthy"} x"#, "trailing"),
        (r#"{"overall_status":"healthy","uptime":NaN}"#, "expected value"),
        (r#"{"overall_status":"healthy","uptime":1e999}"#, "number out of range"),
        (r#"{"overall_status":"healthy","overall_status":"error"}"#, "a key stands twice"),
    ] {
        refused(text, problem);
    }
    refused(&" ".repeat(MAX_REPORT_BYTES + 1), "larger than 1048576 bytes");
}

#[test]
fn lists_have_an_end() {
    let checks = |count: usize| -> Vec<_> {
        (0..count).map(|number| json!({ "name": number.to_string(), "status": "healthy" })).collect()
    };
    assert_eq!(read(&with("checks", checks(256))).checks.len(), 256);
    refused(&with("checks", checks(257)), "checks: 257 entries, the limit is 256");
    refused(&with("depends_on", vec!["a"; 257]), "depends_on: 257 entries");
}

#[test]
fn a_newer_version_is_named_whatever_else_has_changed() {
    for text in [
        r#"{"schema_version":2}"#,
        r#"{"schema_version":2,"overall_status":{"now":"a map"},"checks":7,"pid":-3}"#,
        r#"{"overall_status":"splendid","schema_version":2.0}"#,
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap_err(), ReadError::NewerVersion(2.0), "{text}");
    }
    let error = parse(br#"{"schema_version":1.1}"#).unwrap_err();
    assert_eq!(error.to_string(), "written in version 1.1, this program knows version 1: update it");
    assert_eq!(read(&with("schema_version", 0)).schema_version, Some(0));
}

#[test]
fn long_texts_are_cut_and_control_characters_replaced() {
    let report = read(&with("current_task", "x".repeat(5000) + "\u{1b}[2J"));
    assert!(report.current_task.as_ref().unwrap().len() <= crate::report::MAX_MESSAGE_BYTES);
    let report = read(&with("host", "evil\u{1b}[2J\u{7}"));
    assert_eq!(report.host.unwrap(), "evil\u{fffd}[2J\u{fffd}");
}

#[test]
fn no_error_repeats_what_a_stranger_wrote() {
    for text in [
        r#"{"overall_status":"SECRET"}"#,
        r#"{"overall_status":"healthy","state":"SECRET"}"#,
        r#"{"overall_status":"healthy","last_updated":"SECRET"}"#,
        r#"{"overall_status":"healthy","SECRET":SECRET}"#,
        r#"{"SECRET":1,"SECRET":2}"#,
        r#"{"overall_status":"healthy","checks":[{"name":"SECRET","status":"SECRET"}]}"#,
    ] {
        let error = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("SECRET"), "{error}");
    }
}

/// The original's record of an event.
fn record(name: &str, status: &str, at: &str) -> serde_json::Value {
    json!({ "name": name, "status": status, "message": null, "timestamp": at, "metadata": {} })
}

fn original(overall: &str, records: &[serde_json::Value]) -> (HealthReport, Dialect) {
    let text = json!({ "service_name": "core", "overall_status": overall, "checks": records,
        "last_updated": "2026-07-01T12:00:00.250000", "uptime": 12.5 });
    parse_in_zone(text.to_string().as_bytes(), &central_europe()).unwrap()
}

#[test]
fn f1_an_old_error_of_the_original_does_not_stay_on() {
    let mut records = vec![record("frames", "error", "2026-07-01T11:00:00")];
    records.resize(50, record("frames", "healthy", "2026-07-01T12:00:00"));
    let (report, dialect) = original("error", &records);
    assert_eq!((report.overall_status, dialect), (Status::Healthy, Dialect::Original));
    assert_eq!(
        (report.deadline_s, report.deadline_s()),
        (None, 120.0),
        "it declares none, whoever configures one is heard"
    );
}

#[test]
fn the_originals_own_status_counts_only_without_records() {
    assert_eq!(original("error", &[]).0.overall_status, Status::Error);
    let started = [record("service_start", "healthy", "2026-07-01T12:00:00")];
    assert_eq!(original("fatal", &started).0.overall_status, Status::Healthy);
}

#[test]
fn an_error_of_the_original_is_over_with_a_later_sign_of_life() {
    let error = |name| record(name, "error", "2026-07-01T12:00:00");
    for sign in ["error_recovery", "service_start", "periodic_health_check"] {
        let alive = record(sign, "healthy", "2026-07-01T12:00:01");
        for cleared in ["service_error", "service_restart"] {
            assert_eq!(original("error", &[error(cleared), alive.clone()]).0.overall_status, Status::Healthy);
            assert_eq!(original("error", &[alive.clone(), error(cleared)]).0.overall_status, Status::Error);
        }
        assert_eq!(original("error", &[error("frames"), alive]).0.overall_status, Status::Error, "{sign}");
        let sick = record(sign, "warning", "2026-07-01T12:00:01");
        assert_eq!(original("error", &[error("service_error"), sick]).0.overall_status, Status::Error);
    }
}

#[test]
fn f11_the_original_stops_by_its_last_record_only() {
    let stopped = record("service_stopped", "warning", "2026-07-01T12:00:00");
    let started = record("service_start", "healthy", "2026-07-01T12:00:09");
    assert_eq!(original("warning", &[started.clone(), stopped.clone()]).0.state, State::Stopped);
    assert_eq!(original("warning", &[stopped, started]).0.state, State::Running);
}

#[test]
fn f12_times_without_a_zone_are_local_and_those_with_one_are_not() {
    let time = |text: &str| read(&with("last_updated", text)).last_updated.unwrap().to_string();
    assert_eq!(time("2026-07-01T12:00:00.25"), "2026-07-01T10:00:00.25Z");
    assert_eq!(time("2026-01-01T12:00:00"), "2026-01-01T11:00:00Z");
    assert_eq!(time("2026-07-01T12:00:00Z"), "2026-07-01T12:00:00Z");
    assert_eq!(time("2026-07-01T12:00:00+05:30"), "2026-07-01T06:30:00Z");
    // The hour that is not there, and the one that is there twice.
    assert_eq!(time("2026-03-29T02:30:00"), "2026-03-29T01:30:00Z");
    assert_eq!(time("2026-10-25T02:30:00"), "2026-10-25T00:30:00Z");
}

#[test]
fn only_a_naive_time_without_a_version_makes_a_report_the_originals() {
    let dialect = |text: &str| parse_in_zone(text.as_bytes(), &central_europe()).unwrap().1;
    assert_eq!(dialect(&with("last_updated", "2026-07-01T12:00:00")), Dialect::Original);
    assert_eq!(dialect(&with("last_updated", "2026-07-01T12:00:00Z")), Dialect::HealthReport);
    assert_eq!(dialect(&with("uptime", 1)), Dialect::HealthReport);
    let versioned = r#"{"overall_status":"error","schema_version":1,"last_updated":"2026-07-01T12:00:00",
        "checks":[{"name":"a","status":"healthy"}]}"#;
    assert_eq!(dialect(versioned), Dialect::HealthReport);
    assert_eq!(read(versioned).overall_status, Status::Error);
}

/// A report in a few lines, for comparing.
fn summary(report: &HealthReport, dialect: Dialect) -> String {
    let mut out = format!("{dialect:?}\n{} {}", report.overall_status, report.state);
    let _ = writeln!(out, ", deadline {} s", report.deadline_s());
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let _ = writeln!(out, "name {}, task {}", shown(&report.service_name), shown(&report.current_task));
    let time = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| at.to_string());
    let _ = writeln!(out, "updated {}, checked {}", time(report.last_updated), time(report.last_check));
    let _ = writeln!(
        out,
        "uptime {:?}, restarts {}, errors {}, sent {}, received {}, beats {}, pid {:?}, depends on {:?}",
        report.uptime,
        report.restart_count,
        report.error_count,
        report.messages_sent,
        report.messages_received,
        report.heartbeat_count,
        report.pid,
        report.depends_on
    );
    for check in &report.checks {
        let _ = writeln!(
            out,
            "check {}: {} at {}, {}, {} metadata",
            check.name,
            check.status,
            time(check.timestamp),
            shown(&check.message),
            check.metadata.len()
        );
    }
    for error in &report.recent_errors {
        let fatal = if error.fatal { "fatal " } else { "" };
        let _ = writeln!(out, "{fatal}error at {}: {}", time(error.timestamp), error.message);
    }
    for watched in &report.watched_loops {
        let _ = writeln!(out, "loop {}: {} of {} s", watched.name, watched.beat_boottime_s, watched.limit_s);
    }
    out
}

#[test]
fn files_of_each_version_and_of_the_original_are_read_for_ever() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut seen = 0;
    for entry in fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        seen += 1;
        let (report, dialect) = parse_in_zone(&fs::read(&path).unwrap(), &central_europe()).unwrap();
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap();
        assert_eq!(summary(&report, dialect), expected, "{}", path.display());
    }
    assert!(seen >= 8, "{seen} golden files");
}

#[test]
fn a_golden_file_that_ends_anywhere_is_torn_never_something_else() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/v1-full.json");
    let text = fs::read(golden).unwrap();
    let whole = text.trim_ascii_end().len();
    for end in 0..whole {
        let error = parse(&text[..end]).expect_err("torn");
        assert!(error.to_string().contains("ends too early"), "{end} bytes: {error}");
    }
    assert!(parse(&text[..whole]).is_ok());
}

#[test]
fn names_that_are_no_services_are_shown_escaped_and_dot_files_are_not_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "b.json",
        "a.json",
        "a@2.json",
        "notes.txt",
        ".hidden.json",
        ".a.lock",
        "evil\u{1b}[2J.json",
        "a b.json",
        "-rf.json",
        ".json",
        "caméra.json",
    ] {
        fs::write(dir.path().join(name), "{}").unwrap();
    }
    fs::create_dir(dir.path().join(".staging-0")).unwrap();
    let not_utf8 = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xfe.json");
    fs::write(dir.path().join(not_utf8), "{}").unwrap();
    let listing = Directory::open(dir.path()).unwrap().list(|name| name.as_str() == "b").unwrap();
    let names: Vec<_> = listing.names.iter().map(ServiceName::as_str).collect();
    assert_eq!(names, ["b", "a", "a@2"], "the wanted one first");
    assert_eq!((listing.rejected_count, listing.rejected.len(), listing.left_out), (5, 5, 0));
    assert!(listing.rejected.contains(&r"\xff\xfe.json".to_owned()), "{:?}", listing.rejected);
    assert!(listing.rejected.iter().all(|name| name.is_ascii() && !name.contains('\u{1b}')));
}

#[test]
fn beyond_twenty_thousand_files_only_the_wanted_ones_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::open(dir.path()).unwrap();
    let empty = dir.path().join("s00000.json");
    fs::write(&empty, "").unwrap();
    for number in 1..MAX_FILES + 30 {
        // A link to one file is a name as good as any, and cheaper than a file.
        if fs::hard_link(&empty, dir.path().join(format!("s{number:05}.json"))).is_err() {
            fs::write(dir.path().join(format!("s{number:05}.json")), "").unwrap();
        }
    }
    for number in 0..MAX_REJECTED_SHOWN + 5 {
        fs::write(dir.path().join(format!("-{number}.json")), "").unwrap();
    }
    let listing = directory.list(|name| name.as_str() == "s20029").unwrap();
    assert_eq!((listing.names.len(), listing.left_out), (MAX_FILES + 1, 29));
    assert_eq!(listing.names[0].as_str(), "s20029");
    assert_eq!(listing.names.last().unwrap().as_str(), "s19999");
    assert_eq!(
        (listing.rejected.len(), listing.rejected_count),
        (MAX_REJECTED_SHOWN, MAX_REJECTED_SHOWN + 5)
    );
}

#[test]
fn a_directory_stays_the_one_that_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("health"), dir.path().join("moved"));
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a.json"), r#"{"overall_status":"healthy"}"#).unwrap();
    let directory = Directory::open(&path).unwrap();
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(directory.read(&"a".parse().unwrap(), &mut Vec::new()).is_ok());
    assert!(!same_directory(directory.as_fd(), &path) && same_directory(directory.as_fd(), &moved));
    assert_eq!(one(&path, &"a".parse().unwrap()).unwrap_err().error, ReadError::Missing);
    assert_eq!(one(&dir.path().join("none"), &"a".parse().unwrap()).unwrap_err().error, ReadError::Missing);
}

#[test]
fn a_buffer_of_the_last_report_does_not_shine_through() {
    let dir = tempfile::tempdir().unwrap();
    let long = with("host", "x".repeat(5000));
    fs::write(dir.path().join("long.json"), long).unwrap();
    fs::write(dir.path().join("short.json"), r#"{"overall_status":"error"}"#).unwrap();
    fs::write(dir.path().join("empty.json"), "").unwrap();
    fs::File::create(dir.path().join("large.json")).unwrap().set_len(MAX_REPORT_BYTES as u64 + 1).unwrap();
    let directory = Directory::open(dir.path()).unwrap();
    let mut buffer = Vec::new();
    let mut read = |name: &str| directory.read(&name.parse().unwrap(), &mut buffer);
    assert_eq!(read("long").unwrap().report.overall_status, Status::Healthy);
    assert_eq!(read("short").unwrap().report.overall_status, Status::Error);
    let empty = read("empty").unwrap_err();
    assert!(empty.error.to_string().contains("torn or empty") && empty.since.is_some());
    assert!(read("large").unwrap_err().error.to_string().contains("larger than 1048576 bytes"));
}

#[test]
fn the_fuzzers_corpus_is_read_as_its_names_say() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/read_report");
    let mut seen = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let outcome = parse(&fs::read(&path).unwrap());
        // What the fuzzer adds by itself has a number for a name, and may be either.
        if let Some(expected) =
            name.starts_with("accepted-").then_some(true).or(name.starts_with("refused-").then_some(false))
        {
            assert_eq!(outcome.is_ok(), expected, "{name}: {outcome:?}");
        }
        if let Ok((report, _)) = outcome {
            let again = parse(&serde_json::to_vec(&report).unwrap()).expect(name).0;
            assert_eq!((again.worst_status(), again.state), (report.worst_status(), report.state), "{name}");
        }
        seen += 1;
    }
    assert!(seen >= 50, "{seen} files");
}
