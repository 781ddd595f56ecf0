//! Which numbers of a look are kept, and what they are called.

use crate::world::at;
use health_reporter::read::{Dialect, ReportFile};
use health_reporter::{Check, HealthReport, Status};
use healthcheck_core::history::numbers::{MAX_METRICS, Meter, numbers_of};
use healthcheck_core::{
    CommandEnd, CommandFacts, Connection, Facts, FileAge, HttpAnswer, HttpFacts, Measure, Observation,
    ProbeError, ProbeFacts, ProcessCost, ProcessFacts, ProcessState, Quantity, ServiceFacts, Subject,
    Unanswered, UnitFacts,
};
use std::time::Duration;

fn observed(facts: Facts) -> Observation {
    Observation {
        subject: Subject::service("camera"),
        outcome: Ok(facts),
        took: Duration::from_micros(1_500),
    }
}

fn probe(facts: ProbeFacts) -> Observation {
    observed(Facts::Probe(facts))
}

fn reported(checks: &[(&str, f64)]) -> Observation {
    let mut report = HealthReport::new(Status::Healthy);
    let check = |(name, duration): &(&str, f64)| Check {
        duration_ms: Some(*duration),
        ..Check::new(*name, Status::Healthy)
    };
    report.checks = checks.iter().map(check).collect();
    let file =
        ReportFile { report, dialect: Dialect::HealthReport, modified: at(0), changed: at(0), owner_uid: 0 };
    observed(Facts::Service(Box::new(ServiceFacts::of_report(Ok(file)))))
}

fn process(start_ticks: u64, cpu_s: f64) -> ProcessFacts {
    let cost = ProcessCost { cpu_s, memory_bytes: 4_096, descriptors: Some(12), threads: 3 };
    ProcessFacts { start_ticks, state: ProcessState::Sleeping, exit: None, owner_uid: 0, cost }
}

fn plug_in(output: &str) -> Observation {
    let command =
        CommandFacts { program: "check_disk".into(), end: CommandEnd::Exited(0), output: output.into() };
    probe(ProbeFacts::Command(command))
}

#[track_caller]
fn assert_numbers(observation: &Observation, wanted: &[(&str, f64)]) {
    let wanted: Vec<_> = wanted.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(numbers_of(observation), wanted);
}

fn ratio(numbers: &[(String, f64)], name: &str) -> Option<f64> {
    numbers.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

#[test]
fn a_number_of_the_machine() {
    let measure = |value| observed(Facts::Measure(Measure { quantity: Quantity::Memory, value }));
    assert_numbers(&measure(0.41), &[("memory_ratio", 0.41)]);
    assert_numbers(&measure(f64::NAN), &[]);
}

#[test]
fn a_report_has_checks() {
    let wanted = [("check.database.duration_ms", 12.5)];
    assert_numbers(&reported(&[("database", 12.5), ("broken", -1.0)]), &wanted);
}

#[test]
fn a_process_takes_memory_threads_and_descriptors() {
    let read = Meter::default().read_process(&Subject::service("camera"), &process(1, 1.0), Duration::ZERO);
    let wanted = [("memory_bytes", 4_096.0), ("threads", 3.0), ("descriptors", 12.0)];
    assert_eq!(read, wanted.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn names_that_others_gave_are_clean_short_and_few() {
    let hostile = "a\u{1b}[2J\u{202e}b\nc";
    let long = "é".repeat(500);
    let shown = numbers_of(&reported(&[(hostile, 1.0), (hostile, 2.0), ("\u{200f}", 3.0), (&long, 4.0)]));
    assert_eq!(shown[0], ("check.a[2Jbc.duration_ms".to_owned(), 1.0));
    assert!(shown.len() == 2 && shown[1].0.len() < 100, "{shown:?}");
    let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let many: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
    assert_eq!(numbers_of(&reported(&many)).len(), MAX_METRICS);
}

#[test]
fn a_look_has_its_latency_only_where_something_answered() {
    let tcp = |outcome| probe(ProbeFacts::Tcp(Connection { address: "db:5432".into(), outcome }));
    assert_numbers(&tcp(Ok(())), &[("tcp.latency_ms", 1.5)]);
    assert_numbers(&tcp(Err(Unanswered::Refused)), &[]);
    let http = |answer| HttpFacts {
        place: "https://example.org".into(),
        answer,
        certificate_left: Some(Duration::from_secs(60)),
        certificate_wanted: Duration::ZERO,
    };
    let answer = HttpAnswer { status: 503, status_wanted: None, body_lacks: None };
    let wanted = [("http.latency_ms", 1.5), ("http.certificate_left_s", 60.0)];
    assert_numbers(&probe(ProbeFacts::Http(http(Ok(answer)))), &wanted);
    let silent = Err(Unanswered::TimedOut(Duration::from_secs(5)));
    assert_numbers(&probe(ProbeFacts::Http(http(silent))), &wanted[1..]);
    let failed = Observation { outcome: Err(ProbeError::new("no")), ..tcp(Ok(())) };
    assert_numbers(&failed, &[]);
    assert_numbers(&Observation::time_passed(Subject::service("camera")), &[]);
}

#[test]
fn a_file_has_an_age() {
    let age = |age| probe(ProbeFacts::FileAge(FileAge { path: "/x".into(), age, max_age: Duration::ZERO }));
    assert_numbers(&age(Some(Duration::from_secs(90))), &[("file_age.age_s", 90.0)]);
    assert_numbers(&age(None), &[]);
}

#[test]
fn a_plug_in_counts_in_our_units() {
    let wanted = [
        ("command.latency_ms", 1.5),
        ("command./_bytes", 2.0 * 1024.0 * 1024.0),
        ("command.time_s", 0.25),
        ("command.used_ratio", 0.5),
        ("command.users", 3.0),
    ];
    assert_numbers(&plug_in("OK | /=2MB time=250ms used=50% users=3"), &wanted);
}

#[test]
fn the_share_of_a_processor_takes_two_looks_at_one_process() {
    let mut meter = Meter::default();
    let camera = Subject::service("camera");
    let mut read = |ticks, cpu_s, at| {
        let process = process(ticks, cpu_s);
        ratio(&meter.read_process(&camera, &process, Duration::from_millis(at)), "cpu_ratio")
    };
    assert_eq!(read(700, 10.0, 1_000), None);
    assert_eq!(read(700, 15.0, 11_000), Some(0.5));
    assert_eq!(read(700, 15.0, 11_100), None, "too near");
    assert_eq!(read(800, 0.5, 21_000), None, "another process");
    assert_eq!(read(800, 20.5, 31_000), Some(2.0));
    assert_eq!(read(800, 1.0, 41_000), None, "it cannot go back");
}

#[test]
fn and_so_does_that_of_a_unit() {
    let unit = |cpu_s, run: &str| {
        probe(ProbeFacts::Unit(Box::new(UnitFacts {
            memory_bytes: Some(1_000),
            cpu_s: Some(cpu_s),
            invocation_id: Some(run.into()),
            ..UnitFacts::default()
        })))
    };
    let mut meter = Meter::default();
    let mut read =
        |cpu_s, run, at| ratio(&meter.read(&unit(cpu_s, run), Duration::from_secs(at)), "unit.cpu_ratio");
    assert_numbers(&unit(1.0, "a"), &[("unit.memory_bytes", 1_000.0)]);
    assert_eq!((read(1.0, "a", 0), read(2.0, "a", 10), read(9.0, "b", 20)), (None, Some(0.1), None));
}

/// A service that names its checks anew each time would fill any disk.
#[test]
fn other_names_each_time_are_let_through_no_more_after_some() {
    let mut meter = Meter::default();
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..10_000 {
        let looked = reported(&[(&format!("check-{number}"), 1.0), ("steady", 2.0)]);
        let read = meter.read(&looked, Duration::from_secs(number));
        assert!(ratio(&read, "check.steady.duration_ms").is_some());
        seen.extend(read.into_iter().map(|(name, _)| name).filter(|name| name.starts_with("check.")));
    }
    assert_eq!(seen.len(), MAX_METRICS);
    let later = meter.read(&reported(&[("later", 1.0)]), Duration::from_secs(200_000));
    assert!(ratio(&later, "check.later.duration_ms").is_some(), "a day later there is room again");
    meter.retain(|_| false);
}
