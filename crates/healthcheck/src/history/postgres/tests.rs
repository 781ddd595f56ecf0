//! The store and a real server: what it answers, what it costs, and what becomes of it when the server fails.

mod access;
mod answers;
mod costs;
mod faults;
mod partitions;

use super::{Deadlines, PostgresSettings, PostgresStore};
use crate::history::suite::{self, Teller};
use crate::history::{HistoryStore, Record};
use crate::postgres_server::Postgres;
use rustix::process::{Pid, Signal, kill_process};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server of a test's own.
struct Server {
    postgres: Postgres,
    schemas: AtomicU32,
    /// Removed after the server has ended.
    dir: TempDir,
}

impl Server {
    fn new() -> Self {
        let server = Self::not_started();
        server.postgres.start();
        server
    }

    fn not_started() -> Self {
        let dir = tempfile::Builder::new().prefix("history").tempdir().unwrap();
        let path = dir.path().to_owned();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
        Self { postgres: Postgres::new(&path.join("database")), schemas: AtomicU32::new(0), dir }
    }

    /// What a person asks with `psql`: its answer, or what it says against it.
    fn psql(&self, sql: &str) -> Result<String, String> {
        self.psql_in("postgres", &["-c", sql])
    }

    fn psql_in(&self, database: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("psql");
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        let output = command.args(["-h", self.postgres.socket_dir()]).args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    #[track_caller]
    fn ask(&self, sql: &str) -> String {
        self.psql(sql).unwrap()
    }

    fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.postgres.socket_dir().replace('/', "%2F"))
    }

    /// A store with tables of its own, and their schema.
    fn fresh(&self) -> (PostgresStore, String) {
        let schema = format!("s{}", self.schemas.fetch_add(1, Ordering::Relaxed));
        self.ask(&format!("CREATE SCHEMA {schema}"));
        (store(&format!("{}?options=-csearch_path%3D{schema}", self.url())), schema)
    }

    /// A store that is less patient, with its tables in `public`.
    fn store(&self) -> PostgresStore {
        store(&self.url())
    }

    fn teller(&self, record: Record) -> Teller {
        Teller::new(Box::new(self.store()), record)
    }

    /// The processes of the server that our stores are connected to.
    #[track_caller]
    fn backends(&self) -> Vec<Pid> {
        let pids = self.ask("SELECT pid FROM pg_stat_activity WHERE application_name = 'healthcheck'");
        pids.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
    }
}

fn settings(url: &str) -> PostgresSettings {
    let second = Duration::from_secs(1);
    let deadlines = Deadlines { connect: second, call: second, long: 30 * second };
    PostgresSettings { deadlines, ..PostgresSettings::new(url, None) }
}

fn store(url: &str) -> PostgresStore {
    PostgresStore::new(&settings(url)).unwrap()
}

fn signal(pids: &[Pid], signal: Signal) {
    pids.iter().for_each(|pid| drop(kill_process(*pid, signal)));
}

#[track_caller]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "no {what} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
