//! Other alert settings, tried on what happened.

use super::arrival::{sleeper, starts};
use crate::support::ntfy::Ntfy;
use crate::support::{Machine, Monitor, Process, beat_of};
use serde_json::{Value, json};
use std::fs;

/// Everything is told, and nothing is waited for.
const AT_ONCE: &str =
    "[alerts]\ngrace = \"0s\"\ngroup_wait = \"0s\"\nrestart_wait = \"0s\"\nreminder = \"0s\"\n";

fn json_of(machine: &Machine, arguments: &[&str]) -> Value {
    let outcome = machine.run(&[&["--format", "json"], arguments].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    serde_json::from_str(&outcome.out).unwrap()
}

fn titles<'a>(lines: &'a Value, by: &str) -> Vec<&'a str> {
    let lines = lines.as_array().unwrap().iter().filter(|line| line["by"] == by);
    lines.map(|line| line["title"].as_str().unwrap().split_once(": ").unwrap().1).collect()
}

/// A service starts again.
fn again(machine: &Machine, monitor: &Monitor, service: &str) -> Process {
    let process = sleeper(machine);
    machine.reports(service, &beat_of(process.pid()));
    monitor.transition(service, "healthy", "self_reported");
    process
}

fn says(machine: &Machine, monitor: &Monitor, process: &Process, status: &str) {
    let mut beat = beat_of(process.pid());
    beat["overall_status"] = json!(status);
    machine.reports("audio", &beat);
    monitor.transition("audio", status, "self_reported");
}

/// A day of trouble: deaths, a warning, a silence, somebody who cares, and a monitor that is away for a while.
fn a_day(machine: &Machine, ntfy: &Ntfy) -> (Monitor, Vec<Process>) {
    let mut monitor = machine.monitors();
    let [camera, audio, core, wall] =
        ["camera", "audio", "core", "wall"].map(|service| starts(machine, &monitor, service));
    camera.kill();
    ntfy.message(&["camera is down"]);
    let camera = again(machine, &monitor, "camera");
    ntfy.message(&["camera is back"]);
    says(machine, &monitor, &audio, "warning");
    ntfy.message(&["audio has a warning"]);
    says(machine, &monitor, &audio, "healthy");
    ntfy.message(&["audio is well again"]);
    json_of(machine, &["silence", "co*", "--for", "2h", "--reason", "", "--author", "ann"]);
    core.kill();
    monitor.transition("core", "error", "crashed");
    camera.kill();
    ntfy.message(&["camera is down"]);
    json_of(machine, &["ack", "3", "--author", "ann"]);
    json_of(machine, &["unsilence", "1"]);
    ntfy.message(&["core is down"]);
    let core = again(machine, &monitor, "core");
    ntfy.message(&["core is back"]);
    monitor.event("its delivery", |it| it["type"] == "delivery" && it["outcome"] == "accepted");
    monitor.stop();
    core.kill();
    let monitor = machine.monitors();
    ntfy.message(&["core is down"]);
    let camera = again(machine, &monitor, "camera");
    ntfy.message(&["camera is back"]);
    json_of(machine, &["silence", "wall", "--for", "2h", "--reason", "", "--author", "ann"]);
    wall.kill();
    monitor.transition("wall", "error", "crashed");
    // What is told of another one proves that all of that is kept.
    let core = again(machine, &monitor, "core");
    ntfy.message(&["core is back"]);
    monitor.event("its delivery", |it| it["type"] == "delivery" && it["outcome"] == "accepted");
    (monitor, vec![camera, audio, core])
}

/// Other settings of the same machine, which has one channel.
struct Trial<'a> {
    machine: &'a Machine,
    ntfy: &'a Ntfy,
}

impl Trial<'_> {
    fn config(&self, alerts: &str) -> String {
        format!("{}{AT_ONCE}{alerts}", self.ntfy.channel("phone"))
    }

    fn of(&self, config: &str) -> Value {
        fs::write(self.machine.root().join("new.toml"), config).unwrap();
        json_of(self.machine, &["replay", "--config", "new.toml", "--since", "30d", "--all"])
    }
}

/// What was decided is what is decided again.
fn is_reproduced(machine: &Machine, ntfy: &Ntfy) {
    let sent: Vec<String> = ntfy.messages().iter().map(|it| it.text("title").to_owned()).collect();
    assert_eq!(sent.len(), 10, "{sent:#?}");
    let unchanged = json_of(machine, &["replay", "--all"]);
    assert_eq!(unchanged["differences"], json!([]), "{unchanged:#}");
    let notices = unchanged["notices"].as_array().unwrap();
    let told: Vec<&str> = notices.iter().map(|it| it["title"].as_str().unwrap()).collect();
    assert_eq!(told, sent);
    let told = ["sent", "tried"].map(|side| unchanged[side]["incidents_told"].clone());
    assert_eq!(told, [5, 5], "{unchanged:#}");
    let missed = unchanged["missed"].as_array().unwrap();
    assert_eq!((missed.len(), &missed[0]["was_told"]), (1, &json!(false)), "{unchanged:#}");
    assert_eq!(missed[0]["why"]["phone"], json!({ "reason": "silenced", "id": 2 }));
    assert_eq!(unchanged["channels"]["phone"]["opened"], json!({ "sent": 5, "tried": 5 }));
}

#[test]
fn unchanged_settings_show_what_was_sent_and_others_what_would_have_been() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    let trial = Trial { machine: &machine, ntfy: &ntfy };
    machine.configures(&trial.config("cooldown = \"0s\"\n"));
    let (monitor, _services) = a_day(&machine, &ntfy);
    is_reproduced(&machine, &ntfy);

    let errors = trial.of(&trial.config("cooldown = \"0s\"\nlevel = \"error\"\n"));
    assert_eq!(titles(&errors["differences"], "sent"), ["audio has a warning", "audio is well again"]);
    assert_eq!(titles(&errors["differences"], "tried"), [""; 0]);
    let audio = &errors["missed"][0];
    assert_eq!((&audio["subjects"][0]["name"], &audio["was_told"]), (&json!("audio"), &json!(true)));
    assert_eq!(audio["why"]["phone"]["reason"], "below_level");

    let calm = trial.config("cooldown = \"1h\"\n");
    let fewer = trial.of(&calm);
    let mut fewer = titles(&fewer["differences"], "sent");
    fewer.sort_unstable();
    assert_eq!(fewer, ["camera is back", "camera is down", "core is back", "core is down"]);

    let elsewhere = trial.of(&calm.replace("phone", "desk"));
    assert_eq!(elsewhere["channels"]["phone"]["opened"], json!({ "sent": 5, "tried": 0 }));
    assert_eq!(elsewhere["channels"]["desk"]["opened"], json!({ "sent": 0, "tried": 3 }));
    drop(monitor);
    is_reproduced(&machine, &ntfy);
    let table = machine.run(&["replay", "--config", "new.toml", "--format", "table"]).out;
    assert!(table.contains("with the alert settings of new.toml"), "{table}");
    assert!(table.contains("where they differ") && table.contains("muted by silence 2"), "{table}");
}

#[test]
fn without_a_state_there_is_nothing_to_replay_and_without_channels_it_is_for_the_standard_output() {
    let machine = Machine::new();
    let outcome = machine.run(&["replay"]);
    assert!(outcome.code == 3 && outcome.err.contains("no state of a monitor can be read in"), "{outcome:?}");
    machine.configures(&format!("{AT_ONCE}cooldown = \"0s\"\n"));
    let monitor = machine.monitors();
    starts(&machine, &monitor, "camera").kill();
    monitor.event("a notice", |it| it["type"] == "delivery" || it["type"] == "notice");
    let unchanged = json_of(&machine, &["replay", "--since", "1h", "--all"]);
    assert_eq!(titles(&unchanged["notices"], "both"), ["camera is down"], "{unchanged:#}");
    assert_eq!(unchanged["channels"]["stdout"]["opened"], json!({ "sent": 1, "tried": 1 }));
}
