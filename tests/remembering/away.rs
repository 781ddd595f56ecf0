//! PostgreSQL is stopped, hangs, is read-only, crashes: nothing is lost, nothing is there twice, and nobody waits for it.

use super::{Worker, until_read};
use crate::support::postgres::Postgres;
use crate::support::{Machine, Monitor, eventually};
use std::fs;
use std::time::{Duration, Instant};

const SERVICES: usize = 4;

/// A monitor that writes each heartbeat to PostgreSQL, and services that beat.
struct Load {
    machine: Machine,
    postgres: Postgres,
    monitor: Monitor,
    workers: Vec<Worker>,
    beats: usize,
}

impl Load {
    fn begin() -> Self {
        let machine = Machine::new();
        let postgres = Postgres::new(&machine.root().join("database"));
        postgres.start();
        machine.configures(&format!("[history]\nurl = \"{}\"\nrecord = \"heartbeats\"\n", postgres.url()));
        let monitor = machine.monitors();
        let workers =
            (0..SERVICES).map(|number| Worker::begin(&machine, &format!("worker{number}"))).collect();
        Self { machine, postgres, monitor, workers, beats: 0 }
    }

    /// Each service beats once; the monitor has read all of it.
    fn beat(&mut self) {
        let task = format!("beat {}", self.beats);
        self.workers.iter().for_each(|worker| worker.beats(&self.machine, "healthy", &task));
        let workers: Vec<&Worker> = self.workers.iter().collect();
        until_read(&self.machine, &self.monitor, &workers, &task);
        self.beats += 1;
    }

    fn beats_for(&mut self, lasting: Duration) {
        let end = Instant::now() + lasting;
        while Instant::now() < end {
            self.beat();
        }
    }

    /// Every heartbeat is there, once.
    #[track_caller]
    fn all_is_there(&self, when: &str) {
        let wanted: Vec<String> =
            (0..SERVICES).map(|number| format!("worker{number}|{0}|{0}", self.beats)).collect();
        let counted = "SELECT service_name, count(*), count(DISTINCT current_task) FROM system_status_history \
                       WHERE heartbeats = 1 AND service_name LIKE 'worker%' GROUP BY 1 ORDER BY 1";
        eventually(when, || {
            self.flush();
            (self.postgres.sql(counted).lines().eq(wanted.iter().map(String::as_str))).then_some(())
        });
    }

    /// Whoever asks sees what happened until now; where the store is away, it is tried again at once.
    fn flush(&self) {
        let _ = self.machine.run(&["history", "worker0"]);
    }
}

#[test]
fn every_heartbeat_is_there_after_each_way_of_being_away() {
    let mut load = Load::begin();
    load.beats_for(Duration::from_secs(1));
    load.all_is_there("before anything happens");
    load.postgres.stop();
    load.beats_for(Duration::from_secs(2));
    load.postgres.start();
    load.beat();
    load.all_is_there("after it was stopped");
    load.postgres.hang();
    load.beats_for(Duration::from_secs(8));
    load.postgres.go_on();
    load.beat();
    load.all_is_there("after it hung");
    load.postgres.sql("ALTER SYSTEM SET default_transaction_read_only = on");
    load.postgres.sql("SELECT pg_reload_conf()");
    load.beats_for(Duration::from_secs(2));
    load.postgres.sql("ALTER SYSTEM RESET default_transaction_read_only");
    load.postgres.sql("SELECT pg_reload_conf()");
    load.beat();
    load.all_is_there("after it was read-only");
    for _ in 0..3 {
        load.beats_for(Duration::from_millis(400));
        load.postgres.crash();
        load.beat();
    }
    load.all_is_there("after it crashed");
    load.monitor.stop();
    let left = fs::read_dir(load.machine.root().join("logs/history-spool")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing waits any more");
}

/// The health of the database is not only known to the database.
#[test]
fn f18_the_end_of_the_database_that_keeps_the_history_is_told_and_remembered() {
    let machine = Machine::new();
    let postgres = Postgres::new(&machine.root().join("database"));
    postgres.start();
    machine.configures(&format!(
        "[services.factory-db]\ncommand = [\"pg_isready\", \"-t\", \"1\", \"-h\", \"{}\"]\ninterval = \"1s\"\n\
         timeout = \"900ms\"\nretries = 0\n[history]\nurl = \"{}\"\n",
        postgres.socket_dir(),
        postgres.url()
    ));
    let mut monitor = machine.monitors();
    monitor.transition("factory-db", "healthy", "self_reported");
    machine.run(&["history"]);
    postgres.stop();
    monitor.transition("factory-db", "error", "probe_failed");
    // Both are known while it is away: how it is, and what happened.
    assert_eq!(machine.snapshot().verdict("factory-db"), ("error", "probe_failed"));
    let outcome = machine.run(&["history", "factory-db", "--format", "json"]);
    assert!(outcome.out.contains("probe_failed") && outcome.code == 0, "{outcome:?}");
    let own = eventually("its own report to say it", || {
        machine.run(&["history"]);
        let report = machine.report_of("healthcheck");
        let checks = report["checks"].as_array()?.clone();
        checks.into_iter().find(|check| check["name"] == "history" && check["status"] == "warning")
    });
    assert!(own["message"].as_str().unwrap().contains("postgres"), "{own}");
    postgres.start();
    monitor.transition("factory-db", "healthy", "self_reported");
    monitor.stop();
    let story = "SELECT status, cause FROM system_status_history WHERE service_name = 'factory-db' AND opens \
                 AND status <> 'unknown' ORDER BY id";
    assert_eq!(postgres.sql(story), "healthy|self_reported\nerror|probe_failed\nhealthy|self_reported");
}
