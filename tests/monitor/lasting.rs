//! What outlasts the monitor, and how it begins and ends.

use crate::support::{Machine, Monitor, Process, beat_of, eventually};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::time::Duration;

#[test]
fn it_ends_within_a_second_and_says_goodbye() {
    let machine = Machine::new();
    let mut monitor = machine.monitors();
    assert!(monitor.stop() < Duration::from_secs(1));
    assert_eq!(monitor.told().last().unwrap()["type"], "stopped");
    let own = machine.report_of("healthcheck");
    assert_eq!(own["state"], "stopped");
}

#[test]
fn a_second_one_names_the_first() {
    let machine = Machine::new();
    let first = machine.monitors();
    let second = machine.run(&["monitor"]);
    assert_eq!(second.code, 3, "{second:?}");
    assert!(second.err.contains(&first.pid().to_string()), "{second:?}");
}

#[test]
fn nothing_is_told_twice_after_a_restart_and_nothing_is_forgotten() {
    let machine = Machine::new();
    let process = Process::start(&mut machine.any_command("sleep", &["600"]));
    machine.reports("camera", &beat_of(process.pid()));
    machine.reports("gone", &json!({"overall_status": "healthy"}));
    let monitor = machine.monitors();
    monitor.kill();
    process.kill();
    fs::remove_file(machine.health_dir().join("gone.json")).unwrap();
    let monitor = machine.monitors();
    assert_eq!(monitor.story_of("camera"), ["healthy→error crashed"]);
    assert_eq!(monitor.story_of("gone"), ["healthy→error missing"]);
    let started = monitor.told().iter().find(|event| event["type"] == "started").cloned().unwrap();
    assert_eq!(started["not_observed"]["reason"], "monitor_down", "{started}");
    monitor.kill();
    let monitor = machine.monitors();
    assert_eq!(monitor.story_of("camera"), [""; 0]);
}

#[test]
fn a_new_configuration_is_taken_and_a_wrong_one_is_not() {
    let machine = Machine::new();
    machine.configures("[alerts]\ngrace = \"0s\"\n");
    let monitor = machine.monitors();
    machine.configures("[alerts]\ngrace = \"0s\"\n[services.core]\n");
    monitor.signal(Signal::HUP);
    monitor.transition("core", "error", "never_started");
    machine.configures("[servces.core]\n");
    monitor.signal(Signal::HUP);
    eventually("the complaint", || {
        let own = machine.report_of("healthcheck");
        let checks = own["checks"].as_array().unwrap().clone();
        checks.iter().any(|it| it["name"] == "configuration" && it["status"] == "warning").then_some(())
    });
    machine.configures("[alerts]\ngrace = \"0s\"\n[services.wall]\n");
    monitor.transition("wall", "error", "never_started");
}

/// F12: another offset of the clock since boot between two starts changes nothing.
#[test]
fn f12_an_offset_of_the_boot_time_between_two_starts_is_no_verdict() {
    let machine = Machine::new();
    let in_time = |offset: &str| {
        let program = env!("CARGO_BIN_EXE_healthcheck");
        machine.any_command("unshare", &["-T", "--boottime", offset, program, "monitor"])
    };
    let (plain, job) = (json!({"overall_status": "healthy", "deadline_s": 3600}), "backup");
    machine.reports("plain", &plain);
    machine.reports(job, &json!({"overall_status": "healthy", "state": "finished", "deadline_s": 90_000}));
    for offset in ["0", "86400", "10", "864000"] {
        let mut monitor = Monitor::from_command(&mut in_time(offset));
        let bad = monitor.told().into_iter().filter(|event| {
            event["type"] == "transition" && event["kind"] == "service" && event["to"] != "healthy"
        });
        assert_eq!(bad.collect::<Vec<_>>(), [json!(null); 0], "with an offset of {offset} s");
        monitor.signal(Signal::TERM);
        monitor.ended();
    }
}
