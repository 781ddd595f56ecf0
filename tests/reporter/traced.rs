//! The tracing layer: what it records, what it keeps to itself, and what it costs.

use super::target::Target;
use health_reporter::Status;
use std::fs;

#[test]
fn an_error_event_is_an_error_without_its_fields_and_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.ask("trace GET https://user:hunter2@host/x failed");
    let report = target.flushed();
    let messages: Vec<_> = report.recent_errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(
        messages,
        ["plain GET https://***@host/x failed", "full GET https://***@host/x failed size=42"]
    );
    assert_eq!((report.overall_status, report.error_count), (Status::Error, 2));
    let text = fs::read_to_string(dir.path().join("camera.json")).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("in a field"), "{text}");
}

#[test]
fn credentials_are_masked_where_the_text_is_cut_through_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.ask(&format!("trace {}https://user:{}@host/x", "x".repeat(970), "hunter2".repeat(20)));
    target.flushed();
    let text = fs::read_to_string(dir.path().join("camera.json")).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_flood_of_events_is_bounded_and_cheap() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    let before = target.flushed().heartbeat_count;
    let took: u64 = target.ask("flood 10000").parse().unwrap();
    let report = target.flushed();
    let size = dir.path().join("camera.json").metadata().unwrap().len();
    let writes = report.heartbeat_count - before;
    println!("10,000 events in {took} ms, {writes} writes, a report of {size} bytes");
    assert_eq!((report.error_count, report.recent_errors.len()), (10_000, 20));
    assert!(size < 32 * 1024, "{size}");
    assert!(took < 5_000, "{took} ms");
    assert!(writes <= took / 900 + 3, "{writes} writes in {took} ms");
}
