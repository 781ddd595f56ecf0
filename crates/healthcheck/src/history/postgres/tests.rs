//! The store and a real server: what it answers, what it costs, and what becomes of it when the server fails.

mod access;
mod answers;
mod costs;
mod faults;
mod partitions;

use super::{Deadlines, PostgresSettings, PostgresStore};
use crate::history::Record;
use crate::history::suite::Teller;
use crate::postgres_server::Postgres;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server of a test's own.
struct Server {
    postgres: Postgres,
    port: u16,
    schemas: AtomicU32,
    /// Removed after the server has ended.
    dir: TempDir,
}

impl Server {
    fn new() -> Self {
        let server = Self::idle();
        server.postgres.start();
        server
    }

    /// One that is not started yet.
    fn idle() -> Self {
        let dir = Self::directory();
        let postgres = Postgres::new(&dir.path().join("database"));
        Self::of(postgres, dir)
    }

    const fn of(postgres: Postgres, dir: TempDir) -> Self {
        Self { postgres, port: 5432, schemas: AtomicU32::new(0), dir }
    }

    /// One that its user can reach.
    fn directory() -> TempDir {
        let dir = tempfile::Builder::new().prefix("history").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        dir
    }

    /// A session that stays after what it was told, until it is dropped.
    #[track_caller]
    fn psql_held(&self, sql: &str) -> Held {
        let mut command = Command::new("psql");
        command.args(["-X", "-U", "postgres", "-d", "postgres", "-h", self.postgres.socket_dir()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "SET application_name = 'held'; {sql};").unwrap();
        let idle = "SELECT count(*) FROM pg_stat_activity
            WHERE application_name = 'held' AND state = 'idle in transaction'";
        eventually("session", || (self.ask(idle) == "1").then_some(()));
        Held(child)
    }

    /// What a person asks with `psql`: its answer, or what it says against it.
    fn psql(&self, sql: &str) -> Result<String, String> {
        self.psql_in("postgres", &["-c", sql])
    }

    fn psql_in(&self, database: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("psql");
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        let output = command
            .args(["-h", self.postgres.socket_dir(), "-p", &self.port.to_string()])
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    #[track_caller]
    fn ask(&self, sql: &str) -> String {
        self.psql(sql).unwrap()
    }

    fn url(&self) -> String {
        self.postgres.url()
    }

    /// A store with tables of its own, and their schema.
    fn fresh(&self) -> (PostgresStore, String) {
        let schema = format!("s{}", self.schemas.fetch_add(1, Ordering::Relaxed));
        self.ask(&format!("CREATE SCHEMA {schema}"));
        (store(&format!("{}?options=-csearch_path%3D{schema}", self.url())), schema)
    }

    /// A store with its tables in `public`.
    fn store(&self) -> PostgresStore {
        store(&self.url())
    }

    /// The same, which waits for a second only.
    fn hasty(&self) -> PostgresStore {
        let second = Duration::from_secs(1);
        let deadlines = Deadlines { connect: second, call: second, long: 30 * second };
        PostgresStore::new(&PostgresSettings { deadlines, ..settings(&self.url()) }).unwrap()
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

struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn settings(url: &str) -> PostgresSettings {
    PostgresSettings::new(url, None)
}

fn store(url: &str) -> PostgresStore {
    PostgresStore::new(&settings(url)).unwrap()
}

fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        let _ = kill_process(*pid, signal);
    }
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
