//! `healthcheck report`.

use crate::support::{Machine, Process, eventually, example};

#[test]
fn a_script_says_how_it_is() {
    let machine = Machine::new();
    let said =
        machine.run(&["report", "disk", "--status", "warning", "--message", "81 % full", "--deadline", "5m"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
    let report = machine.report_of("disk");
    assert_eq!(report["overall_status"], "warning");
    assert_eq!(report["deadline_s"], 300.0);
    assert_eq!(report["checks"][0]["message"], "81 % full");
    assert!(report.get("pid").is_none(), "the process that said it is gone");
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("disk"), snapshot.code), (("warning", "self_reported"), 1));
}

#[test]
fn checks_are_kept_apart_and_a_job_may_say_that_it_is_done() {
    let machine = Machine::new();
    machine.run(&["report", "etl", "--status", "error", "--check", "load", "--message", "no table"]);
    machine.run(&["report", "etl", "--status", "healthy", "--check", "extract"]);
    assert_eq!(machine.snapshot().verdict("etl"), ("error", "self_reported"));
    machine.run(&[
        "report",
        "etl",
        "--status",
        "healthy",
        "--check",
        "load",
        "--state",
        "finished",
        "--deadline",
        "26h",
    ]);
    assert_eq!(machine.snapshot().verdict("etl"), ("healthy", "finished"));
    assert_eq!(machine.report_of("etl")["deadline_s"], 93_600.0);
}

#[test]
fn twenty_at_once_lose_nothing() {
    let machine = Machine::new();
    let each = |number: usize| {
        let check = format!("part{number}");
        Process::start(&mut machine.command(&["report", "job", "--status", "healthy", "--check", &check]))
    };
    let all: Vec<Process> = (0..20).map(each).collect();
    for mut process in all {
        assert!(process.ended().success());
    }
    let report = machine.report_of("job");
    assert_eq!(
        (report["checks"].as_array().unwrap().len(), report["heartbeat_count"].as_u64()),
        (20, Some(20))
    );
}

#[test]
fn a_living_service_is_not_spoken_for() {
    let machine = Machine::new();
    let _camera = Process::start(&mut machine.any_command(example("camera").to_str().unwrap(), &["60"]));
    eventually("its report", || machine.health_dir().join("camera.json").exists().then_some(()));
    let said = machine.run(&["report", "camera", "--status", "fatal"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("camera.json is held by a living process"), "{}", said.err);
    assert_eq!(machine.report_of("camera")["overall_status"], "healthy");
}

#[test]
fn what_cannot_be_written_is_said() {
    let machine = Machine::new();
    let said = machine.run(&["report", "x", "--status", "healthy", "--health-dir", "/proc/nowhere"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("/proc/nowhere"), "{}", said.err);
    for wrong in [
        &["--status", "fine"][..],
        &["--status", "healthy", "--deadline", "30"],
        &["--status", "healthy", "--deadline", "36d"],
    ] {
        assert_eq!(machine.run(&[&["report", "x"], wrong].concat()).code, 3, "{wrong:?}");
    }
}
