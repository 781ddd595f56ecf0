//! What it costs to remember: sixty days of 116 services, a heartbeat a minute each, fifty changes each.

use super::{Teller, transition};
use crate::history::postgres::{PostgresSettings, PostgresStore};
use crate::history::sqlite::Sqlite;
use crate::history::{Entry, HistoryStore, Record, Selection};
use health_reporter::Status::{Error, Healthy};
use healthcheck_core::history::{Beats, Window};
use healthcheck_core::{Cause, Subject};
use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

const SERVICES: i64 = 116;
/// All heartbeats of sixty days: ten million and a few.
pub(crate) const MINUTES: i64 = 60 * 24 * 60;
/// As much as waits while nobody takes anything.
const MINUTES_A_PORTION: i64 = 100;
/// From one crash to the next; five minutes later it is well again.
const BETWEEN_CRASHES: i64 = MINUTES / 25;
const DOWN: i64 = 5;

/// Fills the history that the environment names, an `[history] url`, for whoever measures it: `infra/bench/history.py`.
#[test]
#[ignore = "it takes minutes, and says something only where it was optimised"]
fn ten_million_heartbeats() {
    let asked = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (url, record) = (asked("HISTORY_URL"), asked("HISTORY_RECORD"));
    let record = if record == "changes" { Record::Changes } else { Record::Heartbeats };
    let store: Box<dyn HistoryStore> = match url.strip_prefix("sqlite:") {
        Some(path) => Box::new(Sqlite::to_write(path.into())),
        None => Box::new(PostgresStore::new(&PostgresSettings::new(url.clone(), None)).unwrap()),
    };
    of(store, record, MINUTES, url.split(':').next().unwrap());
}

/// What it cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    pub(crate) beats: u64,
    pub(crate) filling: Duration,
    pub(crate) bytes: u64,
    /// How one, and how all were judged in the last thirty days: the median of a few questions.
    pub(crate) one: Duration,
    pub(crate) all: Duration,
}

/// Fills a store that nobody has written to yet with heartbeats of so many minutes, asks it, and prints what that cost.
pub(crate) fn of(store: Box<dyn HistoryStore>, record: Record, minutes: i64, name: &str) -> Costs {
    let mut teller = Teller::new(store, record);
    let (begun, base) = (Instant::now(), Timestamp::now() - SignedDuration::from_mins(minutes));
    for first in (0..minutes).step_by(usize::try_from(MINUTES_A_PORTION).unwrap()) {
        let portion = first..(first + MINUTES_A_PORTION).min(minutes);
        let entries =
            portion.flat_map(|minute| (0..SERVICES).flat_map(move |service| told(service, minute, base)));
        teller.tells(entries.collect::<Vec<_>>());
    }
    let filling = begun.elapsed();
    let end = base + SignedDuration::from_mins(minutes);
    let window = Window { from: end - SignedDuration::from_hours(30 * 24), to: end };
    let one = Selection { host: Some("deimos".into()), subject: Some(Subject::service(&service_name(57))) };
    let mut asked = |of: &Selection, times| median(times, || teller.store.judged(of, window).unwrap().len());
    let (one, all) = (asked(&one, 501), asked(&Selection::default(), 51));
    let beats = u64::try_from(minutes * SERVICES).unwrap();
    let costs = Costs { beats, filling, bytes: teller.store.stock().unwrap().bytes, one, all };
    costs.print(name, record);
    costs
}

impl Costs {
    fn print(&self, name: &str, record: Record) {
        let beats = f64::from(u32::try_from(self.beats).unwrap());
        let bytes = f64::from(u32::try_from(self.bytes / 1_024).unwrap()) * 1_024.0;
        let rate = beats / self.filling.as_secs_f64();
        println!(
            "{name}, {record:?}: {beats} heartbeats at {rate:.0}/s, {:.3} bytes each; 30 days of one in {} µs, of all in {} µs",
            bytes / beats,
            self.one.as_micros(),
            self.all.as_micros()
        );
    }
}

fn median(times: usize, mut question: impl FnMut() -> usize) -> Duration {
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            assert!(question() > 0);
            begun.elapsed()
        })
        .collect();
    took.sort();
    took[times / 2]
}

fn service_name(service: i64) -> String {
    format!("service-{service}")
}

/// A heartbeat, and before it what changed.
fn told(service: i64, minute: i64, base: Timestamp) -> impl Iterator<Item = Entry> {
    let since = (minute + service * 31) % BETWEEN_CRASHES;
    let (is_down, at) = (since < DOWN, base + SignedDuration::from_millis(minute * 60_000 + service * 137));
    let (status, cause) = if is_down { (Error, Cause::Crashed) } else { (Healthy, Cause::SelfReported) };
    let name = service_name(service);
    let changes = since == 0 || since == DOWN || minute == 0;
    let change = changes.then(|| {
        let from = if is_down { Healthy } else { Error };
        let mut told = transition(&name, from, status, "12:00:00");
        (told.at, told.since, told.cause) = (at, at, cause);
        Entry::Transition { id: minute * SERVICES + service + 1, transition: told }
    });
    let (subject, task) = (Subject::service(&name), Some("indexing 2025".to_owned()));
    let beats = Entry::Beats(Beats {
        subject,
        status,
        cause,
        task,
        first: at,
        last: at,
        count: 1,
        may_be_known: false,
    });
    change.into_iter().chain([beats])
}
