//! What is kept for how long, and how it is taken elsewhere.

use super::{Worker, sql, sql_in};
use crate::support::{Machine, Monitor, eventually};
use std::fs;

/// A monitor that has remembered a few changes of one service, and runs.
fn remembering(machine: &Machine) -> (Monitor, Worker) {
    let monitor = machine.monitors();
    let camera = Worker::begin(machine, "camera");
    for (number, status) in ["healthy", "warning", "error"].into_iter().enumerate() {
        camera.beats(machine, status, &format!("=task {number}, \"quoted\""));
        monitor.transition("camera", status, "self_reported");
        // What follows at once is read a little later.
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
    (monitor, camera)
}

const OF_CAMERA: &str = "SELECT count(*) FROM system_status_history WHERE service_name = 'camera'";

#[test]
fn what_is_too_old_is_told_and_dropped_and_what_is_in_force_stays() {
    let machine = Machine::new();
    let (mut monitor, _camera) = remembering(&machine);
    monitor.stop();
    let aged = "import sqlite3\ndb = sqlite3.connect('logs/history.db')\n\
                db.execute(\"UPDATE system_status_history SET begun_at = replace(begun_at, '20', '19'), \
                heartbeat_timestamp = '2020-01-01 00:00:00.000000' WHERE service_name = 'camera'\")\ndb.commit()";
    assert!(machine.any_command("python3", &["-c", aged]).status().unwrap().success());
    let told = machine.run(&["history", "prune", "--dry-run", "--format", "table"]);
    assert!(told.out.contains("2020-01-01") && told.out.contains("3 rows"), "{told:?}");
    assert!(told.out.contains("this was a dry run"), "{told:?}");
    assert_eq!(sql(&machine, OF_CAMERA), "3", "nothing was dropped");
    let done = machine.run(&["history", "prune", "--format", "json"]);
    assert!(done.code == 0 && done.out.contains("\"rows\":3"), "{done:?}");
    assert_eq!(sql(&machine, OF_CAMERA), "0");
    let now = "SELECT status, current_task FROM system_status WHERE service_name = 'camera'";
    assert_eq!(sql(&machine, now), "error|=task 2, \"quoted\"");
    let again = machine.run(&["history", "prune", "--format", "table"]);
    assert_eq!(again.out, "nothing is to be dropped\n");
}

#[test]
fn everything_can_be_taken_elsewhere_while_it_is_written() {
    let machine = Machine::new();
    let (mut monitor, camera) = remembering(&machine);
    let lines = machine.run(&["history", "export", "camera"]);
    let rows: Vec<serde_json::Value> =
        lines.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3, "{lines:?}");
    assert_eq!((&rows[0]["service_name"], &rows[0]["status"]), (&"camera".into(), &"error".into()));
    assert_eq!(rows[2]["from_status"], "unknown");
    let csv = machine.run(&["history", "export", "camera", "--csv"]);
    let read =
        "import csv, sys\nfor row in csv.DictReader(sys.stdin): print(row['status'], row['current_task'])";
    let path = machine.root().join("export.csv");
    fs::write(&path, &csv.out).unwrap();
    let read =
        machine.any_command("python3", &["-c", read]).stdin(fs::File::open(path).unwrap()).output().unwrap();
    let read = String::from_utf8(read.stdout).unwrap();
    assert_eq!(
        read.lines().next(),
        Some("error '=task 2, \"quoted\""),
        "no spreadsheet takes it for a formula"
    );
    let copied = machine.run(&["history", "backup", "copy.db", "--format", "table"]);
    assert!(copied.code == 0 && copied.out.contains("copy.db has the whole history"), "{copied:?}");
    assert_eq!(sql_in(&machine, "copy.db", OF_CAMERA), "3");
    let again = machine.run(&["history", "backup", "copy.db"]);
    assert!(again.code == 3 && again.err.contains("copy.db"), "what is there is not overwritten: {again:?}");
    camera.beats(&machine, "healthy", "on");
    monitor.transition("camera", "healthy", "self_reported");
    monitor.stop();
    assert_eq!(sql(&machine, OF_CAMERA), "4");
}

/// Another history, named by a new configuration, has everything that `state.db` has.
#[test]
fn another_history_is_filled_from_its_beginning() {
    let machine = Machine::new();
    let (mut monitor, camera) = remembering(&machine);
    machine.configures("[history]\nurl = \"sqlite:other.db\"\n");
    eventually("the other history to be written", || {
        let _ = machine.run(&["history", "camera"]);
        machine.root().join("logs/other.db").exists().then_some(())
    });
    camera.beats(&machine, "healthy", "on");
    monitor.transition("camera", "healthy", "self_reported");
    monitor.stop();
    assert_eq!(sql_in(&machine, "logs/other.db", OF_CAMERA), "4");
    assert_eq!(sql(&machine, OF_CAMERA), "3", "the former one is left as it was");
}

#[test]
fn what_cannot_be_asked_is_told_with_its_cure() {
    let machine = Machine::new();
    for (words, told) in [
        (&["uptime"][..], "healthcheck monitor"),
        (&["history", "camera"], "healthcheck monitor"),
        (&["--at", "2999-01-01T00:00:00Z"], "lies in the future"),
        (&["--at", "yesterday"], "write 2026-11-22T10:00:00Z"),
        (&["uptime", "--since", "0s"], "--since"),
        (&["history", "backup", "x.db"], "healthcheck monitor"),
    ] {
        let outcome = machine.run(words);
        assert!(outcome.code == 3 && outcome.err.contains(told), "{words:?}: {outcome:?}");
    }
    let (mut monitor, _camera) = remembering(&machine);
    let outcome = machine.run(&["uptime", "camra"]);
    assert!(outcome.code == 3 && outcome.err.contains("did you mean camera?"), "{outcome:?}");
    monitor.stop();
}

/// A slip in a url costs no other program its data.
#[test]
fn a_url_that_names_something_else_leaves_it_alone() {
    let machine = Machine::new();
    let made = "import sqlite3\ndb = sqlite3.connect('app.db')\ndb.execute('CREATE TABLE precious (x)')\ndb.commit()";
    assert!(machine.any_command("python3", &["-c", made]).status().unwrap().success());
    fs::write(machine.root().join("notes.txt"), "precious").unwrap();
    for name in ["app.db", "notes.txt"] {
        let path = machine.root().join(name);
        let before = fs::read(&path).unwrap();
        machine.configures(&format!("[history]\nurl = \"sqlite:{}\"\n", path.display()));
        let mut monitor = machine.monitors();
        let own = eventually("the monitor to say it", || {
            let _ = machine.run(&["history"]);
            let checks = machine.report_of("healthcheck")["checks"].as_array()?.clone();
            checks.into_iter().find(|check| check["name"] == "history" && check["status"] == "warning")
        });
        assert!(own["message"].as_str().unwrap().contains("name another file"), "{own}");
        monitor.stop();
        assert_eq!(fs::read(&path).unwrap(), before, "{name}");
    }
    machine.configures("[history]\nurl = \"sqlite:state.db\"\n");
    let refused = machine.run(&["config", "check"]);
    assert!(refused.code == 3 && refused.out.contains("keeps for itself"), "{refused:?}");
}
