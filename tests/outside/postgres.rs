//! A real PostgreSQL, which is asked whether it is ready by its own program.

use super::probes::{look, message, verdict};
use crate::support::postgres::Postgres;
use crate::support::{Machine, eventually};
use rustix::process::{Signal, kill_process};

#[test]
fn a_database_that_reports_nothing_is_seen_to_stop_hang_and_come_back() {
    let machine = Machine::new();
    let postgres = Postgres::new(&machine.root().join("database"));
    let socket_dir = postgres.socket_dir();
    machine.configures(&format!(
        "[services.factory-db]\ncommand = [\"pg_isready\", \"-t\", \"1\", \"-h\", \"{socket_dir}\"]\ntimeout = \"10s\"\n"
    ));
    let seen = |expected: (&str, &str), words: &str| {
        let snapshot = look(&machine, &[]);
        assert_eq!(verdict(&snapshot, "services", "factory-db"), expected, "{:#}", snapshot.json);
        let message = message(&snapshot, "services", "factory-db").to_owned();
        assert!(message.contains(words), "{message}");
    };
    seen(("error", "probe_failed"), "no response");
    postgres.start();
    seen(("healthy", "self_reported"), "accepting connections");
    let pid = postgres.pid().unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    seen(("error", "probe_failed"), "no response");
    kill_process(pid, Signal::CONT).unwrap();
    eventually("a database that answers again", || {
        (verdict(&look(&machine, &[]), "services", "factory-db").0 == "healthy").then_some(())
    });
    postgres.stop();
    seen(("error", "probe_failed"), "no response");
}
