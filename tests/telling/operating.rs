//! What an operator does: looks, cares, mutes; and what people are told then.

use super::arrival::{AT_ONCE, sleeper, starts};
use crate::support::ntfy::Ntfy;
use crate::support::{Machine, Parent, Process, beat_of, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

fn json_of(machine: &Machine, arguments: &[&str]) -> Value {
    let outcome = machine.run(&[&["--format", "json"], arguments].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    serde_json::from_str(&outcome.out).unwrap()
}

fn refusal(machine: &Machine, arguments: &[&str]) -> String {
    let outcome = machine.run(arguments);
    assert_eq!((outcome.code, outcome.out.as_str()), (3, ""), "{outcome:?}");
    outcome.err
}

#[test]
fn a_silence_mutes_and_what_is_still_bad_when_it_ends_is_told() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    let monitor = machine.monitors();
    let [camera, camera2, audio] =
        ["camera", "camera@2", "audio"].map(|name| starts(&machine, &monitor, name));
    let asked = ["silence", "camera*", "--for", "2h", "--reason", "a new lens", "--author", "ann"];
    let silenced = json_of(&machine, &asked);
    assert_eq!((&silenced["silence"], &silenced["muted"]), (&json!(1), &json!(2)));
    camera.kill();
    camera2.kill();
    monitor.transition("camera", "error", "crashed");
    monitor.transition("camera@2", "error", "crashed");
    // What is told of another one proves that nothing was told before.
    audio.kill();
    ntfy.message(&["audio is down"]);
    assert_eq!(ntfy.messages().len(), 1, "{:#?}", ntfy.messages());
    let silences = json_of(&machine, &["silences"]);
    let muted = &silences["silences"][0];
    assert_eq!(
        (&muted["pattern"], &muted["reason"], &muted["author"]),
        (&json!("camera*"), &json!("a new lens"), &json!("ann"))
    );
    let why = json_of(&machine, &["why", "camera"]);
    assert_eq!(why["channels"][0]["because"], "muted by silence 1");
    let again = sleeper(&machine);
    machine.reports("camera@2", &beat_of(again.pid()));
    monitor.transition("camera@2", "healthy", "self_reported");
    json_of(&machine, &["unsilence", "1"]);
    ntfy.message(&["camera is down"]);
    assert_eq!(ntfy.messages().len(), 2, "who is well again is no news: {:#?}", ntfy.messages());
    assert!(refusal(&machine, &["unsilence", "1"]).contains("there is no silence 1"));
}

#[test]
fn a_silence_lasts_as_long_as_its_command_and_returns_its_exit_code() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    let monitor = machine.monitors();
    let camera = starts(&machine, &monitor, "camera");
    let script = "echo begun; read line; exit 7";
    let mut command = machine.command(&["silence", "camera", "--while", "--", "dash", "-c", script]);
    let mut running = Process::start(command.stdin(std::process::Stdio::piped()));
    assert_eq!(running.line(), "begun");
    let muted = json_of(&machine, &["silences"])["silences"][0]["while_command"].as_str().unwrap().to_owned();
    assert!(muted.starts_with("dash -c echo begun; read line; exit 7 (pid "), "{muted}");
    camera.kill();
    monitor.transition("camera", "error", "crashed");
    assert!(ntfy.messages().is_empty());
    running.tell("go on");
    assert_eq!(running.ended().code(), Some(7));
    ntfy.message(&["camera is down"]);
    assert_eq!(json_of(&machine, &["silences"])["silences"], json!([]));
}

#[test]
fn a_signal_reaches_the_command_of_a_silence_and_ends_both() {
    let machine = Machine::new();
    let _monitor = machine.monitors();
    let script = "trap 'exit 9' TERM; echo begun; while :; do sleep 0.01; done";
    let command = ["silence", "x", "--while", "--", "dash", "-c", script];
    let mut running = Parent(Process::start(&mut machine.command(&command)));
    assert_eq!(running.line(), "begun");
    running.signal(Signal::TERM);
    assert_eq!(running.ended().code(), Some(9));
    assert_eq!(json_of(&machine, &["silences"])["silences"], json!([]));
}

#[test]
fn without_a_monitor_no_command_is_begun_and_another_monitor_is_asked_again() {
    let machine = Machine::new();
    let begun = machine.root().join("begun");
    let script = format!("touch {}; sleep 60", begun.display());
    let command = ["silence", "x", "--while", "--", "dash", "-c", &script];
    assert!(refusal(&machine, &command).contains("only a monitor tells people"));
    assert!(!begun.exists());
    let mut monitor = machine.monitors();
    let running = Parent(Process::start(&mut machine.command(&command)));
    eventually("the command to be begun", || begun.exists().then_some(()));
    monitor.stop();
    std::fs::remove_file(machine.root().join("logs/state.db")).unwrap();
    let _monitor = machine.monitors();
    assert_eq!(json_of(&machine, &["silences"])["silences"], json!([]));
    eventually("the silence to be asked for again", || {
        json_of(&machine, &["silences"])["silences"][0]["pattern"].as_str().map(|it| assert_eq!(it, "x"))
    });
    drop(running);
}

#[test]
fn an_incident_is_shown_with_who_cares_for_it_and_why_goes_on_to_the_delivery() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    let monitor = machine.monitors();
    starts(&machine, &monitor, "camera").kill();
    let notice = ntfy.message(&["camera is down"]);
    monitor.event("its delivery", |it| it["type"] == "delivery" && it["outcome"] == "accepted");
    let open = json_of(&machine, &["incidents"])["incidents"][0].clone();
    assert_eq!((&open["id"], &open["resolved"], &open["worst"]), (&json!(1), &json!(null), &json!("error")));
    let camera = &open["subjects"][0];
    assert_eq!((&camera["name"], &camera["cause"]), (&json!("camera"), &json!("crashed")));
    let acknowledged = json_of(&machine, &["ack", "1", "--author", "ann"]);
    assert_eq!(acknowledged, json!({ "acknowledged": 1, "author": "ann" }));
    let why = json_of(&machine, &["why", "camera"]);
    assert_eq!(
        (&why["incident"]["id"], &why["incident"]["acknowledged"]["author"]),
        (&json!(1), &json!("ann"))
    );
    assert_eq!(
        (&why["channels"][0]["channel"], &why["channels"][0]["because"]),
        (&json!("phone"), &json!("told"))
    );
    let told = &why["notices"][0];
    assert_eq!(
        (&told["state"], &told["attempts"], &told["title"]),
        (&json!("accepted"), &json!(1), &notice.body["title"])
    );
    assert!(refusal(&machine, &["ack", "77"]).contains("no incident 77 is open"));
}

#[test]
fn what_was_wrong_is_shown_also_when_no_monitor_runs() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    let mut monitor = machine.monitors();
    starts(&machine, &monitor, "camera").kill();
    ntfy.message(&["camera is down"]);
    json_of(&machine, &["ack", "1", "--author", "ann"]);
    let again = sleeper(&machine);
    machine.reports("camera", &beat_of(again.pid()));
    ntfy.message(&["camera is back"]);
    monitor.transition("camera", "healthy", "self_reported");
    monitor.event("its delivery", |it| it["type"] == "delivery" && it["outcome"] == "accepted");
    monitor.stop();
    let after = json_of(&machine, &["incidents", "--since", "1h"]);
    let over = &after["incidents"][0];
    assert_eq!((&after["source"], &over["id"]), (&json!("state.db"), &json!(1)));
    assert!(over["resolved"].is_string() && over["acknowledged"]["author"] == "ann", "{over}");
    let table = machine.run(&["incidents", "--format", "table"]).out;
    assert!(table.contains("● 1  error  from ") && table.contains("ann cares for it"), "{table}");
    let why = json_of(&machine, &["why", "camera"]);
    assert_eq!((&why["source"], &why["incident"]["id"]), (&json!("direct"), &json!(1)));
    assert_eq!(why["notices"].as_array().unwrap().len(), 2, "{why:#}");
    assert!(refusal(&machine, &["ack", "1"]).contains("no monitor runs"));
}

#[test]
fn what_is_too_long_too_many_or_no_text_is_refused() {
    let machine = Machine::new();
    assert!(refusal(&machine, &["incidents"]).contains("no state of a monitor can be read in"));
    let _monitor = machine.monitors();
    let silence = |pattern: &str, lasts: &str, reason: &str| {
        refusal(&machine, &["silence", pattern, "--for", lasts, "--reason", reason])
    };
    assert!(silence(&"x".repeat(129), "1h", "").contains("the pattern has 129 bytes, at most 128 are taken"));
    assert!(silence("x", "1h", &"r".repeat(257)).contains("the reason has 257 bytes"));
    assert!(silence("x\u{1b}[2J", "1h", "").contains("the pattern has control characters"));
    assert!(silence("x", "366d", "").contains("at most 365d"));
    assert!(silence("x", "0s", "").contains("more than nothing"));
    assert!(silence("", "1h", "").contains("name what is muted"));
    assert!(
        refusal(&machine, &["ack", "1", "--author", &"a".repeat(65)]).contains("the author has 65 bytes")
    );
    let unknown = machine.run(&["silence", "nobody*", "--for", "1h", "--reason", "", "--format", "table"]);
    assert!(unknown.code == 0 && unknown.out.contains("nothing of that name is known yet"), "{unknown:?}");
    for usage in
        [&["silence", "x"][..], &["silence", "x", "--for", "1h"], &["silence", "x", "--while"], &["ack", "x"]]
    {
        assert_eq!(machine.run(usage).code, 3, "{usage:?}");
    }
}

/// Whoever may only look may not mute.
#[test]
fn a_stranger_may_look_and_change_nothing() {
    let machine = Machine::new();
    machine.configures("");
    let _monitor = machine.monitors();
    let as_stranger = |arguments: &[&str]| {
        let words = ["--reuid=4711", "--clear-groups", env!("CARGO_BIN_EXE_healthcheck")];
        let output = machine.any_command("setpriv", &[&words, arguments].concat()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(as_stranger(&["silences"]).0, Some(0));
    assert_eq!(as_stranger(&["incidents"]).0, Some(0));
    for change in [&["silence", "*", "--for", "1h", "--reason", "x"][..], &["unsilence", "1"], &["ack", "1"]]
    {
        let (code, told) = as_stranger(change);
        assert!(code == Some(3) && told.contains("may change"), "{change:?}: {told}");
    }
    assert_eq!(json_of(&machine, &["silences"])["silences"], json!([]));
}
