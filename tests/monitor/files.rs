//! Whatever happens to the files and their directory: nothing is missed.

use crate::support::{Machine, beat_of, eventually};
use serde_json::json;
use std::fs;

#[test]
fn the_directory_deleted_and_made_again_is_watched_on() {
    let machine = Machine::new();
    machine.reports("camera", &json!({"overall_status": "healthy"}));
    let monitor = machine.monitors();
    for round in 0..3 {
        // The monitor reports there itself, and may just be doing so.
        eventually("the directory to go", || fs::remove_dir_all(machine.health_dir()).ok());
        monitor.transition("camera", "error", "missing");
        fs::create_dir_all(machine.health_dir()).unwrap();
        machine.reports("camera", &json!({"overall_status": "healthy", "current_task": round.to_string()}));
        monitor.transition("camera", "healthy", "self_reported");
    }
}

#[test]
fn a_directory_that_comes_later_is_watched_from_then_on() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.root().join("logs")).unwrap();
    let monitor = machine.monitors();
    fs::create_dir_all(machine.health_dir()).unwrap();
    machine.reports("camera", &beat_of(std::process::id()));
    monitor.transition("camera", "healthy", "self_reported");
}

#[test]
fn of_twenty_thousand_renames_at_once_none_is_missed() {
    let machine = Machine::new();
    let monitor = machine.monitors();
    let dir = machine.health_dir();
    let staged = machine.root().join("staged");
    fs::create_dir(&staged).unwrap();
    for number in 0..20_000 {
        fs::write(staged.join(format!("s{number}.json")), r#"{"overall_status":"healthy"}"#).unwrap();
    }
    for number in 0..20_000 {
        let name = format!("s{number}.json");
        fs::rename(staged.join(&name), dir.join(&name)).unwrap();
    }
    eventually("all of them", || {
        let told = monitor.told();
        let own = told.iter().filter(|event| {
            event["type"] == "transition" && event["subject"].as_str().unwrap_or_default().starts_with('s')
        });
        (own.count() == 20_000).then_some(())
    });
}

#[test]
fn a_torn_report_is_not_believed_and_the_last_good_one_holds_for_a_moment_only() {
    let machine = Machine::new();
    machine.reports("camera", &json!({"overall_status": "healthy"}));
    let monitor = machine.monitors();
    machine.puts("camera", "{\"overall_status\":");
    monitor.transition("camera", "unknown", "report_unreadable");
    machine.reports("camera", &json!({"overall_status": "healthy"}));
    monitor.transition("camera", "healthy", "self_reported");
}
