//! Services that are units: what systemd knows of an end, and what it does about it.

use crate::support::{Machine, Monitor, Systemd, copy_program, eventually, example};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A machine whose units are those of this manager.
fn machine_of(systemd: &Systemd, services: &[&str]) -> Machine {
    let machine = Machine::new();
    let units: Vec<String> =
        services.iter().map(|name| format!("[services.{name}]\nunit = \"{name}.service\"\n")).collect();
    let bus = systemd.private();
    machine.configures(&format!("{}[systemd]\nbus = \"{bus}\"\n", units.concat()));
    machine
}

/// A unit of this program, which reports.
fn reporting(machine: &Machine, program: &str, more: &str) -> String {
    let health_dir = machine.health_dir();
    format!("Environment=HEALTH_DIR={}\nExecStart={program} 600\n{more}", health_dir.display())
}

fn camera(machine: &Machine, more: &str) -> String {
    reporting(machine, example("camera").to_str().unwrap(), more)
}

#[track_caller]
fn ends_by(systemd: &Systemd, unit: &str, signal: Signal) {
    let pid = systemd.property(unit, "MainPID").parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// As by a bad pointer. The first of these signals a Rust program takes for an overflow of its stack, and waits for the
/// next.
#[track_caller]
fn segfaults(systemd: &Systemd, unit: &str) {
    let pid = Pid::from_raw(systemd.property(unit, "MainPID").parse().unwrap()).unwrap();
    eventually("its end", || kill_process(pid, Signal::SEGV).is_err().then_some(()));
}

fn send(systemd: &Systemd, signal: Signal) {
    kill_process(Pid::from_raw(systemd.pid().try_into().unwrap()).unwrap(), signal).unwrap();
}

/// What is known in the end of how the last run ended: with the transition, or found out after it.
#[track_caller]
fn finds_out(monitor: &Monitor, subject: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let told = monitor.told();
        let of_it = told.iter().rev().filter(|event| event["subject"] == subject);
        of_it.filter(|event| event["to"] != "healthy").find(|event| fits(event)).cloned()
    })
}

#[test]
fn a_segfault_that_systemd_restarted_is_told_and_its_return_as_healed_by_the_supervisor() {
    let systemd = Systemd::of_a_user();
    let machine = machine_of(&systemd, &["camera"]);
    systemd.starts("camera.service", &camera(&machine, "Restart=always\nRestartSec=500ms"));
    let monitor = machine.monitors();
    eventually("the report", || machine.health_dir().join("camera.json").exists().then_some(()));
    segfaults(&systemd, "camera");
    let crashed = monitor.transition("camera", "error", "crashed");
    assert_eq!(crashed["from"], "healthy", "{crashed}");
    let back = monitor.transition("camera", "healthy", "self_reported");
    assert_eq!((&back["from"], &back["healed_by_supervisor"]), (&json!("error"), &json!(true)), "{back}");
}

#[test]
fn a_death_in_a_unit_tells_its_signal() {
    let systemd = Systemd::of_a_user();
    let machine = machine_of(&systemd, &["camera"]);
    systemd.starts("camera.service", &camera(&machine, ""));
    let monitor = machine.monitors();
    eventually("the report", || machine.health_dir().join("camera.json").exists().then_some(()));
    segfaults(&systemd, "camera");
    monitor.transition("camera", "error", "crashed");
    finds_out(&monitor, "camera", "signal 11", |event| event["evidence"]["exit"] == "signal 11");
    let why = machine.run(&["why", "camera"]);
    assert!(why.out.contains("signal 11"), "{why:?}");
}

/// The process that reports lives for a moment, again and again.
#[test]
fn f14_a_unit_that_systemd_restarts_again_and_again_is_a_crash_loop() {
    let systemd = Systemd::of_a_user();
    let machine = machine_of(&systemd, &["camera"]);
    let report = r#"{"overall_status":"healthy","pid":%%d}"#;
    let dir = machine.health_dir();
    let script = format!(
        "ExecStart=dash -c 'cd {}; printf \\'{report}\\' $$$$ >.camera; mv .camera camera.json; sleep 0.3; exit 1'",
        dir.display()
    );
    let monitor = machine.monitors();
    let lasting = "Restart=always\nRestartSec=200ms\n[Unit]\nStartLimitIntervalSec=0";
    systemd.starts("camera.service", &format!("{script}\n{lasting}"));
    let looping = monitor.transition("camera", "fatal", "crash_looping");
    assert_eq!(looping["evidence"]["unit"], "camera.service", "{looping}");
    let story = monitor.story_of("camera");
    assert!(story.iter().any(|told| told.ends_with("→error crashed")), "{story:?}");
}

/// While systemd says nothing an end is known all the same; what only systemd knows is known as soon as it speaks.
#[test]
fn nothing_is_missed_while_systemd_does_not_answer() {
    let systemd = Systemd::of_a_user();
    let machine = machine_of(&systemd, &["camera", "quiet"]);
    systemd.starts("camera.service", &camera(&machine, ""));
    systemd.starts("quiet.service", "ExecStart=sleep 1000");
    let monitor = machine.monitors();
    eventually("both to be seen", || {
        let seen =
            |name| monitor.story_of(name).last().is_some_and(|told| told.ends_with("→healthy self_reported"));
        (seen("camera") && seen("quiet")).then_some(())
    });
    let (reports, is_silent) = (systemd.property("camera", "MainPID"), systemd.property("quiet", "MainPID"));
    send(&systemd, Signal::STOP);
    for pid in [reports, is_silent] {
        kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    }
    monitor.transition("camera", "error", "crashed");
    send(&systemd, Signal::CONT);
    let crashed = monitor.transition("quiet", "error", "crashed");
    assert!(crashed["message"].as_str().unwrap().contains("signal 9"), "{crashed}");
}

/// A manager that executes itself anew hangs up on everybody.
#[test]
fn nothing_is_missed_after_systemd_has_hung_up() {
    let systemd = Systemd::of_a_user();
    let machine = machine_of(&systemd, &["quiet"]);
    systemd.starts("quiet.service", "ExecStart=sleep 1000");
    let monitor = machine.monitors();
    eventually("it to be seen", || {
        monitor.story_of("quiet").last().is_some_and(|told| told.contains("→healthy")).then_some(())
    });
    systemd.systemctl(&["daemon-reexec"]);
    ends_by(&systemd, "quiet", Signal::KILL);
    let crashed = monitor.transition("quiet", "error", "crashed");
    assert!(crashed["message"].as_str().unwrap().contains("signal 9"), "{crashed}");
}

#[test]
fn a_program_that_was_replaced_while_it_ran_is_named_when_it_dies() {
    let systemd = Systemd::of_a_user();
    let machine = machine_of(&systemd, &["camera"]);
    let program = machine.root().join("camera");
    copy_program(example("camera"), &program);
    systemd.starts("camera.service", &reporting(&machine, program.to_str().unwrap(), ""));
    let monitor = machine.monitors();
    eventually("it to be seen", || (!monitor.story_of("camera").is_empty()).then_some(()));
    // What it is made of is taken beside everything else.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let newer = machine.root().join("camera.new");
    copy_program(example("camera"), &newer);
    std::fs::rename(&newer, &program).unwrap();
    ends_by(&systemd, "camera", Signal::KILL);
    let crashed = monitor.transition("camera", "error", "crashed");
    let changed = crashed["evidence"]["changed"].as_str().unwrap_or_else(|| panic!("{crashed:#}"));
    assert!(changed.contains(program.to_str().unwrap()), "{changed}");
    let why = machine.run(&["why", "camera"]);
    assert!(why.out.contains(program.to_str().unwrap()), "{why:?}");
}
