//! The questions of S2, in its own words, and what our commands say to them.

use super::{Worker, sql, until_read};
use crate::support::postgres::Postgres;
use crate::support::{Machine, Monitor, eventually};
use serde_json::{Value, json};

/// Works, worries, and dies; the monitor has seen all of it and has ended.
fn lives_and_dies(machine: &Machine) {
    let mut monitor = machine.monitors();
    let camera = Worker::begin(machine, "camera");
    for (status, task) in [("healthy", "indexing"), ("healthy", "indexing"), ("warning", "a slow disk")] {
        camera.beats(machine, status, task);
        monitor_reads(machine, &monitor, &camera, task);
    }
    camera.process.kill();
    monitor.transition("camera", "error", "crashed");
    monitor.stop();
}

fn monitor_reads(machine: &Machine, monitor: &Monitor, camera: &Worker, task: &str) {
    until_read(machine, monitor, &[camera], task);
    // A heartbeat that follows at once is read a little later.
    std::thread::sleep(std::time::Duration::from_millis(250));
}

const RUNS: &str = "error|a slow disk|0\nwarning|a slow disk|1\nhealthy|indexing|2";

#[test]
fn sqlite_answers_the_questions_of_s2_in_its_own_words() {
    let machine = Machine::new();
    lives_and_dies(&machine);
    let history = "SELECT status, current_task, heartbeats FROM system_status_history \
                   WHERE service_name = 'camera' AND heartbeat_timestamp > datetime('now', '-7 days') \
                   ORDER BY heartbeat_timestamp DESC, id DESC";
    assert_eq!(sql(&machine, history), RUNS);
    let now = "SELECT service_name, status, cause, current_task, kind FROM system_status WHERE service_name = 'camera'";
    assert_eq!(
        sql(&machine, now),
        "camera|error|crashed|a slow disk|service",
        "the last verdict outlasts a clean stop"
    );
    let ages = "SELECT last_heartbeat <= updated_at, last_heartbeat > datetime('now', '-1 hour') \
                FROM system_status WHERE service_name = 'camera'";
    assert_eq!(sql(&machine, ages), "1|1");
}

#[test]
fn postgresql_answers_them_word_for_word() {
    let machine = Machine::new();
    let postgres = Postgres::new(&machine.root().join("database"));
    postgres.start();
    machine.configures(&format!("[history]\nurl = \"{}\"\n", postgres.url()));
    lives_and_dies(&machine);
    let history = "SELECT status, current_task, heartbeats FROM system_status_history WHERE service_name = 'camera' \
                   AND heartbeat_timestamp > NOW() - INTERVAL '7 days' ORDER BY heartbeat_timestamp DESC, id DESC";
    assert_eq!(postgres.sql(history), RUNS);
    let now =
        "SELECT service_name, status, cause, current_task FROM system_status WHERE service_name = 'camera'";
    assert_eq!(postgres.sql(now), "camera|error|crashed|a slow disk");
    let host = machine.run(&["history", "camera", "--format", "json"]);
    assert_eq!(host.code, 0, "{host:?}");
    assert!(!machine.root().join("logs/history.db").exists());
}

/// Whoever asks for a row a heartbeat gets S2's rows, and every answer is the same.
#[test]
fn a_row_a_heartbeat_gives_the_same_answers() {
    let [changes, heartbeats] = ["changes", "heartbeats"].map(|record| {
        let machine = Machine::new();
        machine.configures(&format!("[history]\nrecord = \"{record}\"\n"));
        lives_and_dies(&machine);
        let told = |words: &[&str]| -> Value {
            let outcome = machine.run(&[words, &["--format", "json"]].concat());
            serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
        };
        let beats =
            "SELECT count(*) FROM system_status_history WHERE service_name = 'camera' AND heartbeats = 1";
        assert_eq!(sql(&machine, beats), if record == "changes" { "1" } else { "3" });
        let entries = told(&["history", "camera"])["entries"].as_array().unwrap().iter().map(entry).collect();
        let windows = told(&["uptime", "camera"])["subjects"][0]["windows"].clone();
        let outages: Vec<Value> =
            windows.as_array().unwrap().iter().map(|it| it["outages"].clone()).collect();
        let entries: Vec<String> = entries;
        (entries, outages)
    });
    assert_eq!(changes, heartbeats);
    assert_eq!(changes.0[0], "warning → error crashed null null", "the newest first");
    assert_eq!(changes.1, vec![json!(1); 3]);
}

/// What it says, without its times.
fn entry(entry: &Value) -> String {
    let word = |key: &str| entry[key].as_str().unwrap_or("-");
    let beats = &entry["heartbeats"];
    format!(
        "{} → {} {} {} {}",
        word("from"),
        word("to"),
        word("cause"),
        beats["count"],
        beats["current_task"]
    )
}

/// The snapshot as it was: before, during and after an outage, and while nobody looked.
#[test]
fn a_snapshot_of_another_time_is_as_it_was() {
    let machine = Machine::new();
    let mut monitor = machine.monitors();
    let (camera, before) = (Worker::begin(&machine, "camera"), jiff::Timestamp::now());
    camera.beats(&machine, "healthy", "indexing");
    monitor.transition("camera", "healthy", "self_reported");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let well = jiff::Timestamp::now();
    camera.process.kill();
    let died = monitor.transition("camera", "error", "crashed");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let dead = jiff::Timestamp::now();
    let at = |instant: jiff::Timestamp| -> Value {
        let outcome = machine.run(&["--at", &instant.to_string(), "--format", "json"]);
        serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    };
    let of_camera = |seen: &Value| {
        let camera = &seen["services"]["camera"];
        (camera["status"].clone(), camera["cause"].clone(), camera["current_task"].clone())
    };
    let seen = at(well);
    assert_eq!(of_camera(&seen), (json!("healthy"), json!("self_reported"), json!("indexing")), "{seen:#}");
    assert_eq!((&seen["source"], &seen["timestamp"]), (&json!("history"), &json!(well)));
    let seen = at(dead);
    assert_eq!(of_camera(&seen), (json!("error"), json!("crashed"), json!("indexing")), "{seen:#}");
    assert_eq!(seen["services"]["camera"]["message"], died["message"]);
    assert_eq!(at(before)["services"]["camera"], Value::Null);
    monitor.stop();
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    let away = jiff::Timestamp::now();
    assert_eq!(of_camera(&at(away)).1, json!("not_observed"), "nobody looks any more");
    let mut monitor = machine.monitors();
    let seen = eventually("the gap to be known", || {
        let seen = at(away);
        let message = seen["services"]["camera"]["message"].as_str()?.to_owned();
        message.contains("monitor down").then_some(seen)
    });
    assert_eq!(of_camera(&seen).0, json!("unknown"));
    monitor.stop();
}
