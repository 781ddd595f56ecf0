//! A server that is stopped, killed, hung, full or read-only: each line is told once, and afterwards every row is there once.

use super::{Server, eventually, settings, signal};
use crate::history::postgres::PostgresStore;
use crate::history::suite::{Teller, beat, changed};
use crate::history::{Entry, HistoryStore, Portion, Position, Record};
use crate::postgres_server::Postgres;
use health_reporter::Status::{Healthy, Unknown};
use rustix::process::Signal;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Hands portions over until the store has taken each in: as whoever feeds it does it.
struct Feeder {
    teller: Teller,
    beats: u64,
    errors: Vec<String>,
}

impl Feeder {
    fn new(server: &Server) -> Self {
        Self {
            teller: Teller::new(Box::new(server.hasty()), Record::Heartbeats),
            beats: 0,
            errors: Vec::new(),
        }
    }

    fn portion(&mut self) -> Portion {
        let entries = (0..20).map(|_| {
            self.beats += 1;
            let (hour, minute, second) = (self.beats / 3_600 % 24, self.beats / 60 % 60, self.beats % 60);
            beat("camera", &format!("beat {}", self.beats), &format!("{hour:02}:{minute:02}:{second:02}"))
        });
        let entries: Vec<Entry> = entries.collect();
        self.teller.portion(entries)
    }

    /// Whether it was taken in at this attempt; else nobody knows.
    fn hand(&mut self, portion: &Portion) -> bool {
        let outcome = self.teller.store.write(portion);
        outcome.map_err(|error| self.errors.push(error.to_string())).is_ok()
    }

    /// Until it is taken in, however often that takes.
    fn insist(&mut self, portion: &Portion) {
        let is_in = |position: Position| position == portion.after;
        let end = Instant::now() + super::PATIENCE;
        while !self.hand(portion) {
            let origin = &self.teller.origin;
            if self.teller.store.position(origin).is_ok_and(is_in) {
                break;
            }
            assert!(Instant::now() < end, "never taken in: {:?}", self.errors.last());
            thread::sleep(Duration::from_millis(20));
        }
        self.teller.position = portion.after;
    }

    /// Until one is not taken in: which is it?
    fn feed_until_failure(&mut self) -> Portion {
        let end = Instant::now() + super::PATIENCE;
        loop {
            let portion = self.portion();
            if !self.hand(&portion) {
                return portion;
            }
            self.teller.position = portion.after;
            assert!(Instant::now() < end, "nothing ever fails");
        }
    }

    fn feed(&mut self) {
        let portion = self.portion();
        self.insist(&portion);
    }

    fn feed_until(&mut self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            self.feed();
        }
    }

    #[track_caller]
    fn assert_exact(&mut self, server: &Server) {
        let told = server
            .ask("SELECT count(*), count(DISTINCT current_task), sum(heartbeats) FROM system_status_history");
        assert_eq!(told, format!("{0}|{0}|{0}", self.beats), "{:?}", self.errors);
        let batch = server.ask("SELECT batch FROM system_batches");
        assert_eq!(batch, self.teller.position.batch.to_string());
    }
}

/// Lets a fault happen again and again while somebody writes.
fn while_written(server: &Server, mut fault: impl FnMut(u32)) {
    let mut feeder = Feeder::new(server);
    feeder.feed();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let feeding = scope.spawn(|| {
            feeder.feed_until(&is_over);
            feeder
        });
        for round in 0..8 {
            thread::sleep(Duration::from_millis(40 + u64::from(round) * 17));
            fault(round);
        }
        is_over.store(true, Ordering::Relaxed);
        let mut feeder = feeding.join().unwrap();
        feeder.feed();
        assert!(!feeder.errors.is_empty(), "nothing ever failed");
        let is_told = |error: &String| {
            !error.contains('\n') && (error.starts_with("PostgreSQL ") || error.contains("another monitor"))
        };
        assert!(feeder.errors.iter().all(is_told), "{:?}", feeder.errors);
        feeder.assert_exact(server);
    });
}

#[test]
fn f18_a_server_that_crashes_while_it_is_written_to_loses_and_doubles_nothing() {
    let server = Server::new();
    while_written(&server, |_| {
        server.postgres.crash();
    });
}

#[test]
fn f18_a_server_that_hangs_while_it_is_written_to_loses_and_doubles_nothing() {
    let server = Server::new();
    while_written(&server, |_| {
        let backends = server.backends();
        signal(&backends, Signal::STOP);
        thread::sleep(Duration::from_millis(1_300));
        signal(&backends, Signal::CONT);
    });
}

#[test]
fn f18_connections_that_are_ended_lose_and_double_nothing() {
    let server = Server::new();
    while_written(&server, |_| {
        server.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'healthcheck'",
        );
    });
}

#[test]
fn f18_each_call_ends_within_its_deadline_whatever_hangs() {
    let server = Server::new();
    let mut feeder = Feeder::new(&server);
    feeder.feed();
    let timed = |feeder: &mut Feeder, expected: &str| {
        let begun = Instant::now();
        let portion = feeder.portion();
        assert!(!feeder.hand(&portion));
        let error = feeder.errors.last().unwrap();
        assert!(error.contains(expected), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    };
    server.postgres.hang();
    timed(&mut feeder, "no answer within 1s");
    timed(&mut feeder, "cannot connect within 1s");
    server.postgres.go_on();
    server.postgres.stop();
    timed(&mut feeder, "start it");
    server.postgres.start();
    let holder = server.psql_held("BEGIN; LOCK TABLE system_status_history");
    timed(&mut feeder, "no answer within 1s");
    drop(holder);
}

/// The monitor has other things to write.
#[test]
fn f18_a_stock_taking_that_hangs_keeps_the_monitor_for_seconds_only() {
    let server = Server::new();
    server.teller(Record::Changes).tells([beat("camera", "a", "12:00:00")]);
    let mut store = PostgresStore::new(&settings(&server.url()).of_the_monitor()).unwrap();
    let slice = store.stock().unwrap().slices.remove(0);
    let holder = server.psql_held("BEGIN; LOCK TABLE system_status_history");
    let begun = Instant::now();
    assert!(store.stock().is_err());
    assert!(store.prune(&slice, 100).is_err());
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    drop(holder);
    store.hosts().unwrap();
    server.postgres.hang();
    let begun = Instant::now();
    let error = store.stock().unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(12), "{error} {:?}", begun.elapsed());
    server.postgres.go_on();
}

/// A server that is restarted between two calls is no reason for a word.
#[test]
fn a_restart_between_two_calls_goes_unnoticed() {
    let server = Server::new();
    let mut feeder = Feeder::new(&server);
    feeder.feed();
    server.postgres.stop();
    server.postgres.start();
    feeder.feed();
    assert_eq!(feeder.errors, [""; 0]);
}

/// A commit that waits for a standby is kept on the server's disk already, and told to nobody. Then its process hangs, we
/// give up, and it goes on.
#[test]
fn f18_a_commit_of_unknown_outcome_is_taken_in_once() {
    let server = Server::new();
    let mut feeder = Feeder::new(&server);
    feeder.feed();
    server.ask("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.ask("SELECT pg_reload_conf()");
    let (hung, portion) = thread::scope(|scope| {
        let server = &server;
        let stopper = scope.spawn(move || {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            eventually("commit", || (server.ask(waiting) == "1").then_some(()));
            let backends = server.backends();
            signal(&backends, Signal::STOP);
            backends
        });
        let portion = feeder.feed_until_failure();
        (stopper.join().unwrap(), portion)
    });
    assert_eq!(feeder.teller.store.position(&feeder.teller.origin).unwrap(), portion.before);
    assert!(!feeder.hand(&portion), "it is held by who hangs");
    server.ask("ALTER SYSTEM RESET synchronous_standby_names");
    server.ask("SELECT pg_reload_conf()");
    signal(&hung, Signal::CONT);
    eventually("outcome", || {
        (feeder.teller.store.position(&feeder.teller.origin).ok()? == portion.after).then_some(())
    });
    assert!(feeder.teller.store.write(&portion).unwrap_err().is_elsewhere());
    feeder.teller.position = portion.after;
    feeder.feed();
    feeder.assert_exact(&server);
}

/// In the middle of a commit that is not done yet.
#[test]
fn f18_a_commit_that_hangs_is_taken_in_once() {
    let server = Server::new();
    let mut feeder = Feeder::new(&server);
    feeder.feed();
    server.ask(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER waits AFTER UPDATE ON system_batches DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION wait()",
    );
    let portion = feeder.portion();
    thread::scope(|scope| {
        let server = &server;
        scope.spawn(move || {
            let waiting =
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'COMMIT'";
            eventually("commit", || (server.ask(waiting) == "1").then_some(()));
            let backends = server.backends();
            signal(&backends, Signal::STOP);
            thread::sleep(Duration::from_millis(1_500));
            signal(&backends, Signal::CONT);
        });
        assert!(!feeder.hand(&portion));
    });
    server.ask("DROP TRIGGER waits ON system_batches");
    feeder.insist(&portion);
    feeder.feed();
    feeder.assert_exact(&server);
}

#[test]
fn a_server_that_may_only_be_read_is_read() {
    let server = Server::new();
    let mut feeder = Feeder::new(&server);
    feeder.feed();
    server.ask("ALTER SYSTEM SET default_transaction_read_only = on");
    server.ask("SELECT pg_reload_conf()");
    let portion = feeder.feed_until_failure();
    let error = feeder.errors.pop().unwrap();
    assert!(error.contains("read-only") && error.contains("default_transaction_read_only"), "{error}");
    assert_eq!(feeder.teller.store.position(&feeder.teller.origin).unwrap(), portion.before);
    assert_eq!(feeder.teller.runs("camera").len() as u64, feeder.beats - 20);
    let writable = ["-c", "SET default_transaction_read_only = off", "-c"];
    let reset = "ALTER SYSTEM RESET default_transaction_read_only";
    server.psql_in("postgres", &[&writable[..], &[reset]].concat()).unwrap();
    server.ask("SELECT pg_reload_conf()");
    feeder.insist(&portion);
    feeder.assert_exact(&server);
}

/// Mounted for a test, and gone with it.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn new(at: std::path::PathBuf, size: &str) -> Self {
        std::fs::create_dir(&at).unwrap();
        let options = format!("size={size},mode=0700,uid=postgres,gid=postgres");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).status();
        assert!(status.unwrap().success());
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn f18_a_full_disk_of_the_server_loses_and_doubles_nothing() {
    let dir = Server::directory();
    let disk = SmallDisk::new(dir.path().join("disk"), "64m");
    let postgres = Postgres::with_data(&dir.path().join("database"), disk.0.join("data"));
    let server = Server::of(postgres, dir);
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![0; 8 << 20]).unwrap();
    let small = "-c max_wal_size=4MB -c min_wal_size=2MB -c shared_buffers=1MB";
    server.postgres.start_with(small);
    let mut feeder = Feeder::new(&server);
    let portion = loop {
        let mut portion = feeder.portion();
        for entry in &mut portion.entries {
            let Entry::Beats(beats) = entry else { continue };
            beats.task = beats.task.as_ref().map(|task| format!("{task} {}", "x".repeat(4_000)));
        }
        if !feeder.hand(&portion) {
            break portion;
        }
        feeder.teller.position = portion.after;
    };
    for _ in 0..5 {
        feeder.hand(&portion);
    }
    let told = feeder.errors.clone();
    assert!(told.iter().any(|error| error.contains("make room on the disk of the server")), "{told:?}");
    std::fs::remove_file(&ballast).unwrap();
    // Where it was the log that had no room, the server has ended: whoever makes room starts it again.
    thread::sleep(Duration::from_millis(500));
    if server.postgres.pid().is_none() {
        server.postgres.start_with(small);
    }
    feeder.insist(&portion);
    feeder.feed();
    feeder.assert_exact(&server);
    let Server { postgres, dir, .. } = server;
    drop((postgres, disk));
    drop(dir);
}

/// What a monitor says at its first start: a long time ago, and now.
#[test]
fn a_first_portion_of_many_months_is_taken_in() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    let entries = (0..60).map(|month| {
        let time = format!("{}-{:02}-01T00:00:00Z", 2020 + month / 12, 1 + month % 12);
        changed(i64::from(month) + 1, "camera", Unknown, Healthy, &time)
    });
    teller.tells(entries.collect::<Vec<_>>());
    assert_eq!(teller.runs("camera").len(), 60);
}
