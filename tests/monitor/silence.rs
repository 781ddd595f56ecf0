//! Silence: judged at the deadline that the service itself declared, and not later.

use crate::reporter::target::Target;
use crate::support::{Machine, Monitor, Process, World, beat_of};
use health_reporter::clock;
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};

fn told_at(event: &Value) -> Timestamp {
    event["at"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_stopped_process_hangs_at_its_deadline() {
    let machine = Machine::new();
    let (process, monitor) =
        (Process::start(&mut machine.any_command("sleep", &["600"])), machine.monitors());
    let mut report = beat_of(process.pid());
    report["deadline_s"] = json!(1.5);
    let (written, due) = (report["written_boottime_s"].as_f64().unwrap(), 1.5);
    machine.reports("camera", &report);
    monitor.transition("camera", "healthy", "self_reported");
    process.signal(Signal::STOP);
    let hung = monitor.transition("camera", "error", "hung");
    assert!(hung["message"].as_str().unwrap().ends_with("stopped by a signal (SIGSTOP)"), "{hung}");
    let ago = (Timestamp::now().duration_since(told_at(&hung))).as_secs_f64();
    let age = clock::boottime().as_secs_f64() - ago - written;
    println!("hung {:.1} ms after its deadline", (age - due) * 1e3);
    assert!(age >= due, "judged {age} s after the beat, due after {due} s");
    process.signal(Signal::CONT);
    machine.reports("camera", &beat_of(process.pid()));
    monitor.transition("camera", "healthy", "self_reported");
}

#[test]
fn a_silent_loop_hangs_though_its_reporter_beats() {
    let machine = Machine::new();
    let monitor = machine.monitors();
    let mut target = Target::start(&machine.health_dir(), &["interval_ms=10000"]);
    target.ask("watch frames 400");
    target.ask("beat frames");
    monitor.transition("camera", "healthy", "self_reported");
    let hung = monitor.transition("camera", "error", "hung");
    assert_eq!(hung["evidence"]["loop"], "frames", "{hung}");
    target.ask("beat frames");
    monitor.transition("camera", "healthy", "self_reported");
}

#[test]
fn a_job_that_is_not_done_again_is_overdue() {
    let machine = Machine::new();
    let monitor = machine.monitors();
    machine.reports("backup", &json!({"overall_status": "healthy", "state": "finished", "deadline_s": 1}));
    monitor.transition("backup", "healthy", "finished");
    monitor.transition("backup", "error", "overdue");
}

/// F3: what is expected and never came is told, and so is a report that disappears.
#[test]
fn f3_a_missing_file_and_a_service_that_never_came_are_told() {
    let machine = Machine::new();
    machine.configures("[services.core]\n[alerts]\ngrace = \"0s\"\n");
    machine.reports("camera", &json!({"overall_status": "healthy"}));
    let monitor = machine.monitors();
    let story = monitor.story_of("core");
    assert_eq!(story, ["unknown→error never_started"]);
    std::fs::remove_file(machine.health_dir().join("camera.json")).unwrap();
    let missing = monitor.transition("camera", "error", "missing");
    assert_eq!(missing["from"], "healthy");
}

/// F10: a service that died long ago is as dead as one that died today, and after each start of the monitor.
#[test]
fn f10_a_service_that_has_been_dead_for_long_does_not_fall_silent() {
    let machine = Machine::new();
    let long_ago = clock::boottime().as_secs_f64() - 3.0;
    let mut report = beat_of(std::process::id());
    report["pid"] = json!(4_194_303);
    report["written_boottime_s"] = json!(long_ago.max(0.0));
    report["deadline_s"] = json!(1);
    machine.reports("camera", &report);
    machine.shell("touch -d '40 days ago' logs/health/camera.json");
    let mut monitor = machine.monitors();
    assert_eq!(monitor.story_of("camera"), ["unknown→error crashed"]);
    monitor.stop();
    let monitor = machine.monitors();
    assert_eq!(machine.snapshot().verdict("camera"), ("error", "crashed"));
    assert_eq!(monitor.story_of("camera"), [""; 0], "nothing of it is news");
}

#[test]
fn the_full_disk_of_a_living_service_is_named() {
    let machine = Machine::new();
    let world = World::of(&machine, "mount -t tmpfs -o size=64k tmpfs logs/health");
    let process = Process::start(&mut machine.any_command("sleep", &["600"]));
    let monitor = Monitor::from_command(&mut world.program(&["monitor"]));
    let mut report = beat_of(process.pid());
    report["deadline_s"] = json!(3);
    world.shell(&format!(
        "printf '%s' '{report}' >logs/health/.c && mv logs/health/.c logs/health/camera.json"
    ));
    monitor.transition("camera", "healthy", "self_reported");
    // Whatever the monitor's own report leaves free is taken as well.
    let fill = "while :; do cat /dev/zero >>logs/health/.fill; sleep 0.1; done 2>/dev/null";
    let _fills = Process::start(&mut world.command(&["dash", "-c", fill]));
    let told =
        monitor.event("the full disk", |event| event["subject"] == "camera" && event["type"] == "transition");
    assert_eq!((&told["to"], &told["cause"]), (&json!("error"), &json!("reporter_cannot_write")), "{told}");
}
