//! What happened is remembered: in SQLite and in PostgreSQL, whatever becomes of either.

mod away;
mod damaged;
mod keeping;
mod killed;
mod questions;

use crate::support::{Machine, Monitor, Outcome, Process, beat_of};
use serde_json::{Value, json};

/// Prints what a statement finds, as PostgreSQL's own client does: columns divided by bars.
const SQL: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for row in db.execute(sys.argv[2]):
    print('|'.join('' if cell is None else str(cell) for cell in row))
";

/// What a statement finds in the history of a machine, read by another program.
#[track_caller]
fn sql(machine: &Machine, statement: &str) -> String {
    sql_in(machine, "logs/history.db", statement)
}

#[track_caller]
fn sql_in(machine: &Machine, file: &str, statement: &str) -> String {
    let output = machine.any_command("python3", &["-c", SQL, file, statement]).output().unwrap();
    let outcome = Outcome::of(&output);
    assert_eq!(outcome.code, 0, "{statement}: {}", outcome.err);
    outcome.out.trim_end().to_owned()
}

/// A service whose process can be killed, and which says what it is doing.
struct Worker {
    name: String,
    process: Process,
}

impl Worker {
    fn begin(machine: &Machine, name: &str) -> Self {
        let process = Process::start(&mut machine.any_command("sleep", &["1000"]));
        Self { name: name.to_owned(), process }
    }

    fn beats(&self, machine: &Machine, status: &str, task: &str) {
        let mut report: Value = beat_of(self.process.pid());
        report["overall_status"] = json!(status);
        report["current_task"] = json!(task);
        machine.reports(&self.name, &report);
    }
}

/// Waits until the monitor has read what these services said last: what follows faster would be read as one.
#[track_caller]
fn until_read(machine: &Machine, monitor: &Monitor, services: &[&Worker], task: &str) {
    crate::support::eventually("every report to be read", || {
        let snapshot = machine.snapshot();
        assert_eq!(snapshot.json["monitor_pid"], json!(monitor.pid()), "it is the monitor that is asked");
        let says = |worker: &&&Worker| snapshot.json["services"][&worker.name]["current_task"] == json!(task);
        (services.iter().filter(says).count() == services.len()).then_some(())
    });
}
