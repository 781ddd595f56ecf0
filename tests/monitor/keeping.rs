//! What the monitor keeps: until it is told to forget, and though its disk is full.

use crate::support::{Machine, Monitor, Process, World, beat_of, eventually};
use serde_json::{Value, json};
use std::fs;

fn sleeper(machine: &Machine) -> Process {
    Process::start(&mut machine.any_command("sleep", &["600"]))
}

#[track_caller]
fn why(machine: &Machine, service: &str) -> Value {
    let outcome = machine.run(&["why", service, "--format", "json"]);
    serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("no JSON: {error}: {outcome:?}"))
}

#[test]
fn why_tells_what_the_monitor_told() {
    let machine = Machine::new();
    let (process, mut monitor) = (sleeper(&machine), machine.monitors());
    machine.reports("camera", &beat_of(process.pid()));
    monitor.transition("camera", "healthy", "self_reported");
    process.kill();
    let crashed = monitor.transition("camera", "error", "crashed");
    let chain = why(&machine, "camera");
    assert_eq!((&chain["source"], &chain["monitor_pid"]), (&json!("monitor"), &json!(monitor.pid())));
    assert_eq!((&chain["status"], &chain["cause"]), (&json!("error"), &json!("crashed")), "{chain:#}");
    let steps = chain["transitions"].as_array().unwrap();
    assert_eq!(steps.len(), 2, "{chain:#}");
    for key in ["at", "from", "to", "cause", "message", "since"] {
        assert_eq!(steps[0][key], crashed[key], "{key}: {chain:#}");
    }
    let unknown = machine.run(&["why", "camra"]);
    assert!(unknown.code == 3 && unknown.err.contains("did you mean camera?"), "{unknown:?}");
    monitor.stop();
    let left = why(&machine, "camera");
    assert_eq!(left["source"], "direct");
    assert_eq!(left["transitions"], chain["transitions"], "what it left behind is read without it");
}

#[test]
fn what_is_forgotten_is_not_expected_and_what_still_reports_begins_anew() {
    let machine = Machine::new();
    ["gone", "here"].iter().for_each(|name| machine.reports(name, &json!({"overall_status": "healthy"})));
    let monitor = machine.monitors();
    fs::remove_file(machine.health_dir().join("gone.json")).unwrap();
    monitor.transition("gone", "error", "missing");
    for name in ["gone", "here"] {
        let outcome = machine.run(&["forget", name]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
    }
    let again = monitor.transition("here", "healthy", "self_reported");
    assert_eq!(again["from"], "unknown");
    let snapshot = machine.snapshot();
    assert_eq!(
        (&snapshot.json["source"], &snapshot.json["services"]["gone"]),
        (&json!("monitor"), &Value::Null)
    );
    let nobody = machine.run(&["forget", "gone"]);
    assert!(nobody.code != 0 && nobody.err.contains("known are"), "{nobody:?}");
    monitor.kill();
    let subjects = machine.kept("subjects");
    let known = |name: &str| subjects.iter().any(|row| row["name"] == name);
    assert!(!known("gone") && known("here"), "{subjects:?}");
    let monitor = machine.monitors();
    assert_eq!((monitor.story_of("gone"), monitor.story_of("here")), (Vec::new(), Vec::new()));
}

/// A state directory of its own, which is full: what happens meanwhile is judged, told, and kept in the end.
#[test]
fn f13_a_full_disk_delays_what_is_kept_and_nothing_else() {
    let machine = Machine::new();
    let world = World::of(&machine, "mkdir state; mount -t tmpfs -o size=1m tmpfs state");
    let mut command = world.program(&["monitor"]);
    let mut monitor = Monitor::from_command(command.env("STATE_DIRECTORY", machine.root().join("state")));
    world.shell("cat /dev/zero >state/fill");
    let (mut told, mut rounds) = (Vec::new(), 0);
    // What is preallocated takes some more.
    while told.iter().filter(|event: &&Value| event["id"].is_null()).count() < 4 {
        let (name, process) = (format!("service{rounds}"), sleeper(&machine));
        machine.reports(&name, &beat_of(process.pid()));
        told.push(monitor.transition(&name, "healthy", "self_reported"));
        process.kill();
        told.push(monitor.transition(&name, "error", "crashed"));
        rounds += 1;
        assert!(rounds < 500, "the disk is not full");
    }
    world.shell("rm state/fill");
    eventually("what was told to be kept", || {
        let kept = world.kept("state/state.db", "transitions");
        told.iter().all(|event| kept.iter().any(|row| is_of(row, event))).then_some(())
    });
    let process = sleeper(&machine);
    machine.reports("last", &beat_of(process.pid()));
    assert!(monitor.transition("last", "healthy", "self_reported")["id"].is_u64());
    monitor.stop();
    let kept = world.kept("state/state.db", "transitions");
    for event in &told {
        assert_eq!(kept.iter().filter(|row| is_of(row, event)).count(), 1, "{event}");
    }
    println!(
        "{} of {} transitions were told before they were kept",
        told.iter().filter(|it| it["id"].is_null()).count(),
        told.len()
    );
}

fn is_of(row: &Value, event: &Value) -> bool {
    (&row["name"], &row["cause"], &row["at"]) == (&event["subject"], &event["cause"], &event["at"])
}
