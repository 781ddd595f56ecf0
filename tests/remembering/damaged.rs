//! The file of the history is damaged, removed, or cannot be written: who judges does not care.

use super::{Worker, sql};
use crate::support::{Machine, World, eventually};
use std::fs;

/// What the monitor says of its history in its own report.
fn said(machine: &Machine) -> (String, String) {
    let report = machine.report_of("healthcheck");
    let checks = report["checks"].as_array().unwrap();
    let history = checks.iter().find(|check| check["name"] == "history").unwrap();
    let text = |key: &str| history[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("message"))
}

const ALL: &str = "SELECT status FROM system_status_history WHERE service_name = 'camera' ORDER BY id";

#[test]
fn a_damaged_file_is_moved_aside_filled_again_and_told() {
    let machine = Machine::new();
    let mut monitor = machine.monitors();
    let camera = Worker::begin(&machine, "camera");
    camera.beats(&machine, "healthy", "a");
    monitor.transition("camera", "healthy", "self_reported");
    monitor.stop();
    assert_eq!(sql(&machine, ALL), "healthy");
    fs::write(machine.root().join("logs/history.db"), vec![0x5a; 65_536]).unwrap();
    let outcome = machine.run(&["history", "camera", "--format", "json"]);
    assert!(outcome.code == 0 && outcome.out.contains("self_reported"), "state.db knows it: {outcome:?}");
    let mut monitor = machine.monitors();
    camera.beats(&machine, "warning", "b");
    monitor.transition("camera", "warning", "self_reported");
    assert_eq!(machine.run(&["history", "camera"]).code, 0);
    let (status, message) = eventually("its own report to tell it", || {
        let _ = machine.run(&["history", "camera"]);
        Some(said(&machine)).filter(|(status, _)| status == "warning")
    });
    assert!(message.contains("history.db") && status == "warning", "{message}");
    monitor.stop();
    assert_eq!(sql(&machine, ALL), "healthy\nwarning");
    let names = fs::read_dir(machine.root().join("logs")).unwrap().flatten().map(|entry| entry.file_name());
    let aside: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("history.db.")).collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
}

#[test]
fn a_file_that_is_removed_is_begun_again() {
    let machine = Machine::new();
    let mut monitor = machine.monitors();
    let camera = Worker::begin(&machine, "camera");
    camera.beats(&machine, "healthy", "a");
    monitor.transition("camera", "healthy", "self_reported");
    assert_eq!(machine.run(&["history", "camera"]).code, 0);
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(machine.root().join(format!("logs/history.db{ending}")));
    }
    camera.beats(&machine, "warning", "b");
    monitor.transition("camera", "warning", "self_reported");
    monitor.stop();
    assert_eq!(sql(&machine, ALL), "healthy\nwarning");
}

/// The history is on a file system of its own, which is full.
#[test]
fn a_full_disk_costs_one_line_and_nothing_is_lost() {
    let machine = Machine::new();
    let world = World::of(&machine, "mkdir $R/small; mount -t tmpfs -o size=2m tmpfs $R/small");
    machine
        .configures(&format!("[history]\nurl = \"sqlite:{}/small/history.db\"\n", machine.root().display()));
    let mut monitor = crate::support::Monitor::from_command(&mut world.program(&["monitor"]));
    let camera = Worker::begin(&machine, "camera");
    camera.beats(&machine, "healthy", "a");
    monitor.transition("camera", "healthy", "self_reported");
    assert_eq!(world.shell("head -c 4M /dev/zero >small/filler; ls small").code, 0);
    for number in 0..40 {
        let status = if number % 2 == 0 { "warning" } else { "healthy" };
        camera.beats(&machine, status, &format!("{number}"));
        monitor.transition("camera", status, "self_reported");
    }
    eventually("the monitor to say it", || {
        let _ = world.program(&["history", "camera"]).output();
        let waits = fs::read_dir(machine.root().join("logs/history-spool")).is_ok_and(|all| all.count() > 0);
        waits.then_some(())
    });
    assert_eq!(world.shell("rm small/filler").code, 0);
    eventually("all of it to be there", || {
        let _ = world.program(&["history", "camera"]).output();
        let found = world.command(&["python3", "-c", super::SQL, "small/history.db", ALL]).output().unwrap();
        (String::from_utf8_lossy(&found.stdout).lines().count() == 41).then_some(())
    });
    monitor.stop();
    let left = fs::read_dir(machine.root().join("logs/history-spool")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}
