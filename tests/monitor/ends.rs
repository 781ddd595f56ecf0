//! Ends of processes that are not our children, told as they happen.

use crate::reporter::target::Target;
use crate::support::{Machine, Process, beat_of, eventually};
use rustix::process::Signal;
use serde_json::json;

/// A process that does nothing, whose parent is the test.
fn sleeper(machine: &Machine) -> Process {
    Process::start(&mut machine.any_command("sleep", &["600"]))
}

#[test]
fn a_killed_service_has_crashed_and_its_return_is_told() {
    let machine = Machine::new();
    let (first, monitor) = (sleeper(&machine), machine.monitors());
    machine.reports("camera", &beat_of(first.pid()));
    let seen = monitor.transition("camera", "healthy", "self_reported");
    assert_eq!((&seen["from"], &seen["kind"]), (&json!("unknown"), &json!("service")));
    first.kill();
    let crashed = monitor.transition("camera", "error", "crashed");
    assert_eq!(crashed["from"], "healthy");
    // Whoever looks before its parent has asked still sees how it ended.
    let message = crashed["message"].as_str().unwrap();
    let known = ["died, exit unknown, last beat ", "crashed (signal 9), last beat "];
    assert!(known.iter().any(|known| message.starts_with(known)), "{crashed}");
    assert_eq!(crashed["evidence"]["state"], "running");
    assert!(crashed["id"].is_u64() && !crashed["reasons"].as_array().unwrap().is_empty(), "{crashed}");
    let second = sleeper(&machine);
    machine.reports("camera", &beat_of(second.pid()));
    let back = monitor.transition("camera", "healthy", "self_reported");
    assert_eq!(back["from"], "error");
    assert_eq!(back.get("healed_by_supervisor"), None, "nobody knows who started it");
}

#[test]
fn a_zombie_is_dead_and_tells_its_signal() {
    let machine = Machine::new();
    let script = "sleep 600 & echo $!; exec sleep 600";
    let parent = Process::start(&mut machine.any_command("dash", &["-c", script]));
    let child: u32 = parent.line().trim().parse().unwrap();
    let monitor = machine.monitors();
    machine.reports("camera", &beat_of(child));
    monitor.transition("camera", "healthy", "self_reported");
    machine.shell(&format!("kill -SEGV {child}"));
    let crashed = monitor.transition("camera", "error", "crashed");
    assert_eq!(crashed["evidence"]["exit"], "signal 11", "{crashed}");
}

#[test]
fn all_services_of_one_process_end_with_it() {
    let machine = Machine::new();
    let (process, monitor) = (sleeper(&machine), machine.monitors());
    for name in ["a", "b", "c"] {
        machine.reports(name, &beat_of(process.pid()));
        monitor.transition(name, "healthy", "self_reported");
    }
    process.kill();
    eventually("three ends", || {
        let ended =
            |name: &&str| monitor.story_of(name).last().is_some_and(|it| it == "healthy→error crashed");
        ["a", "b", "c"].iter().all(ended).then_some(())
    });
}

/// F11: a goodbye is a planned stop, told as such, and nothing comes of it later.
#[test]
fn f11_a_goodbye_is_no_outage_and_a_bare_sigterm_is_one() {
    let machine = Machine::new();
    let monitor = machine.monitors();
    let mut polite = Target::start(&machine.health_dir(), &["service=polite", "signals", "interval_ms=200"]);
    let mut rude = Target::start(&machine.health_dir(), &["service=rude", "interval_ms=200"]);
    polite.ask("flush");
    rude.ask("flush");
    eventually("both", || {
        (monitor.story_of("polite").len() + monitor.story_of("rude").len() == 2).then_some(())
    });
    polite.signal(Signal::TERM);
    monitor.transition("polite", "healthy", "stopped");
    rude.signal(Signal::TERM);
    monitor.transition("rude", "error", "crashed");
    assert_eq!(monitor.story_of("polite"), ["unknown→healthy self_reported", "healthy→healthy stopped"]);
}

/// A run that replaced another one without a word is a restart; three of them within ten minutes are a loop.
#[test]
fn f14_a_service_that_dies_again_and_again_is_a_crash_loop_without_any_supervisor() {
    let machine = Machine::new();
    let monitor = machine.monitors();
    for _ in 0..4 {
        let run = sleeper(&machine);
        machine.reports("camera", &beat_of(run.pid()));
        eventually("the run to be seen", || {
            let told = monitor.told();
            told.iter().any(|event| event["subject"] == "camera").then_some(())
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        run.kill();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let story = monitor.story_of("camera");
    assert_eq!(story.last().unwrap(), "error→fatal crash_looping", "{story:?}");
}
