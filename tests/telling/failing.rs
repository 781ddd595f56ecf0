//! Channels that fail: nothing is lost, nothing is told twice, and nobody else is held up.

use super::arrival::{AT_ONCE, sleeper, starts};
use crate::support::ntfy::{Mode, Ntfy};
use crate::support::{Machine, Monitor, Process, beat_of, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

fn is_delivery(event: &Value, outcome: &str) -> bool {
    event["type"] == "delivery" && event["outcome"] == outcome
}

#[test]
fn f15_f27_what_failed_on_every_channel_is_told_when_they_work_again() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{}{AT_ONCE}", ntfy.channel("one"), ntfy.channel("two")));
    ntfy.does(Mode::Answers("500 Internal Server Error"));
    let monitor = machine.monitors();
    starts(&machine, &monitor, "camera").kill();
    for _ in 0..2 {
        monitor.event("an attempt that failed", |event| is_delivery(event, "failed"));
    }
    // Another monitor knows what was not told.
    drop(monitor.killed());
    let monitor = machine.monitors();
    assert!(ntfy.messages().is_empty());
    ntfy.does(Mode::Accepts);
    let told = [ntfy.message(&["camera is down"]), ntfy.message(&["camera is down"])];
    assert_ne!(told[0].text("topic"), told[1].text("topic"));
    let mut accepted = BTreeSet::new();
    while accepted.len() < 2 {
        let event = monitor.event("its acceptance", |event| is_delivery(event, "accepted"));
        accepted.insert(event["channel"].as_str().unwrap().to_owned());
    }
    drop(monitor.killed());
    let monitor = machine.monitors();
    starts(&machine, &monitor, "audio").kill();
    ntfy.message(&["audio is down"]);
    let camera = ntfy.messages().iter().filter(|it| it.words().contains("camera is down")).count();
    assert_eq!(camera, 2, "{:#?}", ntfy.messages());
}

#[test]
fn what_began_and_ended_while_nothing_could_be_sent_is_one_message() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    ntfy.does(Mode::Answers("503 Service Unavailable"));
    let monitor = machine.monitors();
    starts(&machine, &monitor, "camera").kill();
    monitor.event("an attempt that failed", |event| is_delivery(event, "failed"));
    let again = sleeper(&machine);
    machine.reports("camera", &beat_of(again.pid()));
    monitor.transition("camera", "healthy", "self_reported");
    ntfy.does(Mode::Accepts);
    let told = ntfy.message(&["camera was down and is back"]);
    monitor.event("its acceptance", |event| is_delivery(event, "accepted"));
    assert_eq!(ntfy.messages().len(), 1, "{told:?}");
}

#[test]
fn a_lost_answer_is_tried_again_with_the_same_key() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    ntfy.does(Mode::LosesTheAnswer);
    let monitor = machine.monitors();
    starts(&machine, &monitor, "camera").kill();
    let first = ntfy.message(&["camera is down"]);
    ntfy.does(Mode::Accepts);
    let second = ntfy.message(&["camera is down"]);
    assert_eq!(first.text("sequence_id"), second.text("sequence_id"));
    let accepted = monitor.event("its acceptance", |event| is_delivery(event, "accepted"));
    assert_eq!(accepted["attempt"], 2);
}

#[test]
fn f27_a_channel_that_refuses_is_told_through_the_others() {
    let (machine, good, bad) = (Machine::new(), Ntfy::new(), Ntfy::new());
    machine.configures(&format!("{}{}{AT_ONCE}", good.channel("good"), bad.channel("bad")));
    bad.does(Mode::Answers("403 Forbidden"));
    let monitor = machine.monitors();
    starts(&machine, &monitor, "camera").kill();
    good.message(&["camera is down"]);
    good.message(&["channel bad does not work"]);
    let verdict = monitor.transition("bad", "error", "probe_failed");
    assert_eq!(verdict["kind"], "channel");
    assert!(bad.messages().is_empty() && bad.refused() == 1);
    // Once is enough: our own report is no second one that is bad because of it.
    let check = |machine: &Machine| {
        let report = machine.report_of("healthcheck");
        let checks = report["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|it| it["name"] == "channel_bad").unwrap_or_default()
    };
    let mut monitor = monitor;
    machine.configures(&format!("{}{AT_ONCE}", good.channel("good")));
    eventually("it to be forgotten", || {
        let shown = machine.run(&["--format", "json"]).out;
        (!shown.contains("\"bad\"")).then_some(())
    });
    monitor.stop();
    assert_eq!(
        (&check(&machine)["status"], &check(&machine)["message"]),
        (&"healthy".into(), &"not there any more".into())
    );
    let of_itself = good.messages().iter().filter(|it| it.words().contains("healthcheck is")).count();
    assert_eq!(of_itself, 0, "{:#?}", good.messages());
}

#[test]
fn who_hangs_holds_up_nobody() {
    let (machine, quick, stuck) = (Machine::new(), Ntfy::new(), Ntfy::new());
    stuck.does(Mode::Hangs);
    let hung: String = (0..5).map(|number| stuck.channel(&format!("stuck{number}"))).collect();
    machine.configures(&format!("{}{hung}{AT_ONCE}", quick.channel("quick")));
    let monitor = machine.monitors();
    for name in ["camera", "audio", "display"] {
        starts(&machine, &monitor, name).kill();
        monitor.transition(name, "error", "crashed");
        quick.message_within(&[&format!("{name} is down")], Duration::from_secs(2));
    }
    eventually("each hung channel to be tried", || (stuck.refused() >= 5).then_some(()));
}

/// Lets strace refuse each new thread and process of the monitor, until it is dropped.
fn without_threads(monitor: &Monitor) -> Process {
    let mut strace = Command::new("sh");
    let words = ["-ec", "exec strace \"$@\" 2>&1", "sh", "-f", "-o", "/dev/null", "-e", "trace=clone3,clone"];
    strace.args(words).args(["-e", "inject=clone3,clone:error=EAGAIN", "-p", &monitor.pid().to_string()]);
    let process = Process::start(&mut strace);
    let word = process.line();
    assert!(word.contains("attached"), "strace: {word}");
    process
}

/// Lets strace hold up whatever opens this file, as a dead mount does, until it is dropped.
fn on_a_dead_mount(monitor: &Monitor, path: &str) -> Process {
    let mut strace = Command::new("sh");
    let words = ["-ec", "exec strace \"$@\" 2>&1", "sh", "-f", "-o", "/dev/null", "-e", "trace=open,openat"];
    strace.args(words).args(["-e", "inject=open,openat:delay_enter=60000000", "-P", path, "-p"]);
    let process = Process::start(strace.arg(monitor.pid().to_string()));
    let word = process.line();
    assert!(word.contains("attached"), "strace: {word}");
    process
}

#[test]
fn a_log_on_a_dead_mount_is_given_up() {
    let machine = Machine::new();
    let path = machine.root().join("notices.log");
    std::fs::write(&path, "").unwrap();
    machine.configures(&format!("[channels.log]\nkind = \"log\"\npath = \"{}\"\n{AT_ONCE}", path.display()));
    let monitor = machine.monitors();
    let camera = starts(&machine, &monitor, "camera");
    let _dead = on_a_dead_mount(&monitor, path.to_str().unwrap());
    camera.kill();
    let fits = |event: &Value| is_delivery(event, "failed");
    let failed = monitor.event_within("an attempt that failed", Duration::from_secs(20), fits);
    assert!(failed["error"].as_str().unwrap().contains("no answer within 10 s"), "{failed}");
}

#[test]
fn who_gets_no_thread_is_told_when_there_is_one() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    let monitor = machine.monitors();
    let camera = starts(&machine, &monitor, "camera");
    let refused = without_threads(&monitor);
    camera.kill();
    let failed = monitor.event("an attempt that failed", |event| is_delivery(event, "failed"));
    assert!(failed["error"].as_str().unwrap().contains("no thread could be started"), "{failed}");
    // Whoever asks meanwhile does no harm either.
    machine.run(&["why", "camera"]);
    refused.signal(Signal::TERM);
    ntfy.message(&["camera is down"]);
}
