//! What a phone shows: once, surely, and no more than needed.

use crate::support::ntfy::Ntfy;
use crate::support::{Machine, Monitor, Process, beat_of};
use serde_json::json;
use std::time::Duration;

/// Nothing is waited for.
pub(super) const AT_ONCE: &str = "[alerts]\ngrace = \"0s\"\ngroup_wait = \"0s\"\nrestart_wait = \"0s\"\n";

pub(super) fn sleeper(machine: &Machine) -> Process {
    Process::start(&mut machine.any_command("sleep", &["600"]))
}

/// A service that lives and reports.
pub(super) fn starts(machine: &Machine, monitor: &Monitor, service: &str) -> Process {
    let process = sleeper(machine);
    machine.reports(service, &beat_of(process.pid()));
    monitor.transition(service, "healthy", "self_reported");
    process
}

#[test]
fn f4_f16_a_death_is_one_message_and_its_end_another() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    let monitor = machine.monitors();
    let camera = starts(&machine, &monitor, "camera");
    camera.kill();
    let down = ntfy.message(&["camera is down"]);
    assert!(down.text("title").contains(": camera is down"), "{down:?}");
    assert_eq!((down.text("topic"), &down.body["priority"]), ("phone", &json!(4)));
    let again = sleeper(&machine);
    machine.reports("camera", &beat_of(again.pid()));
    let up = ntfy.message(&["camera is back after"]);
    assert_eq!(up.body["priority"], 2);
    assert_eq!(up.text("sequence_id"), down.text("sequence_id"), "the same card");
    monitor.event("the second delivery", |it| it["type"] == "delivery" && it["outcome"] == "accepted");
    assert_eq!(ntfy.messages().len(), 2, "{:#?}", ntfy.messages());
}

#[test]
fn nothing_is_told_when_nothing_is_wrong_and_f11_a_goodbye_is_no_page() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    let before = sleeper(&machine);
    machine.reports("audio", &beat_of(before.pid()));
    let monitor = machine.monitors();
    let camera = starts(&machine, &monitor, "camera");
    let mut goodbye = beat_of(camera.pid());
    goodbye["state"] = json!("stopped");
    machine.reports("camera", &goodbye);
    camera.kill();
    monitor.transition("camera", "healthy", "stopped");
    // What is told of another one proves that nothing was told before.
    before.kill();
    ntfy.message(&["audio is down"]);
    assert_eq!(ntfy.messages().len(), 1, "{:#?}", ntfy.messages());
}

#[test]
fn f3_who_never_started_and_whose_file_is_gone_are_told() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}[services.ghost]\n", ntfy.channel("phone")));
    let monitor = machine.monitors();
    ntfy.message(&["ghost is down", "no report since boot"]);
    let camera = starts(&machine, &monitor, "camera");
    std::fs::remove_file(machine.health_dir().join("camera.json")).unwrap();
    ntfy.message(&["camera is down"]);
    drop(camera);
}

#[test]
fn what_falls_together_is_one_message_with_its_cause_first() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    let alerts = "[alerts]\ngrace = \"0s\"\ngroup_wait = \"500ms\"\nrestart_wait = \"0s\"\n";
    let services = "[services.recorder]\ndepends_on = [\"db\"]\n[services.wall]\ndepends_on = [\"db\"]\n";
    machine.configures(&format!("{}{alerts}{services}", ntfy.channel("phone")));
    let monitor = machine.monitors();
    let all = ["db", "recorder", "wall"].map(|name| starts(&machine, &monitor, name));
    // The grace of those that never started was over before they did.
    let before = ntfy.messages().len();
    all.into_iter().for_each(Process::kill);
    let told = ntfy.message(&["db is down", "also affected: recorder, wall"]);
    assert!(told.text("title").ends_with("db is down"), "{told:?}");
    monitor.event("its delivery", |it| it["type"] == "delivery" && it["attempt"] == 1);
    std::thread::sleep(Duration::from_secs(1));
    let more = ntfy.messages().split_off(before);
    let down: Vec<_> = more.iter().filter(|it| it.words().contains("is down")).collect();
    assert_eq!(down.len(), 1, "{more:#?}");
}

#[test]
fn f6_a_warning_is_told_from_its_level_on() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    let routes = "[[routes]]\nchannels = [\"all\"]\n[[routes]]\nlevel = \"error\"\nchannels = [\"bad\"]\n";
    let channels = [ntfy.channel("all"), ntfy.channel("bad")].concat();
    machine.configures(&format!("{channels}{AT_ONCE}{routes}"));
    let monitor = machine.monitors();
    let camera = starts(&machine, &monitor, "camera");
    let mut warning = beat_of(camera.pid());
    warning["overall_status"] = json!("warning");
    machine.reports("camera", &warning);
    let told = ntfy.message(&["camera has a warning"]);
    assert_eq!((told.text("topic"), &told.body["priority"]), ("all", &json!(3)));
    camera.kill();
    for _ in 0..2 {
        ntfy.message(&["camera is down"]);
    }
    let told: Vec<_> = ntfy.messages().iter().map(|it| it.text("topic").to_owned()).collect();
    assert_eq!(told.iter().filter(|topic| *topic == "bad").count(), 1, "{told:?}");
}
