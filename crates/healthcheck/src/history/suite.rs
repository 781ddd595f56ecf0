//! What every store does alike, whatever it keeps its tables in. A rule that is told here is told once.

pub(crate) mod costs;
mod keeping;
mod numbers;
mod runs;
mod same;
mod windows;

use super::{
    Entry, HistoryStore, Judged, MachineState, Origin, Portion, Position, Presence, Record, RunRow,
    Selection, StatusRow,
};
use health_reporter::Status;
use healthcheck_core::history::{Beats, Mark, Window};
use healthcheck_core::{Cause, Evidence, Subject, Transition};
use jiff::{SignedDuration, Timestamp};

/// Opens a store that nobody has written to yet.
pub(crate) type Fresh<'a> = &'a mut dyn FnMut() -> Box<dyn HistoryStore>;

type Case = (&'static str, fn(&mut Teller));

const ALWAYS: Window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
const RECORDS: [Record; 2] = [Record::Changes, Record::Heartbeats];

/// Holds a store to everything that is said of one.
pub(crate) fn every(fresh: Fresh<'_>) {
    for (name, case) in
        runs::CASES.iter().chain(&numbers::CASES).chain(&windows::CASES).chain(&keeping::CASES)
    {
        for record in RECORDS {
            println!("{name}, a row for each of the {record:?}");
            case(&mut Teller::new(fresh(), record));
        }
    }
    same::every(fresh);
}

/// Tells a store what happened, in portions, and asks it.
pub(crate) struct Teller {
    pub(crate) store: Box<dyn HistoryStore>,
    pub(crate) origin: Origin,
    pub(crate) record: Record,
    pub(crate) position: Position,
}

impl Teller {
    pub(crate) fn new(store: Box<dyn HistoryStore>, record: Record) -> Self {
        let origin = Origin { host: "deimos".into(), state: "state-1".into(), run: "run-1".into() };
        Self { store, origin, record, position: Position::default() }
    }

    /// From now on somebody else tells.
    pub(crate) fn of_host(&mut self, host: &str) {
        self.origin.host = host.to_owned();
        self.position = Position::default();
    }

    pub(crate) fn portion(&self, entries: Vec<Entry>) -> Portion {
        let ids = entries.iter().filter_map(|entry| match entry {
            Entry::Transition { id, .. } => Some(*id),
            _ => None,
        });
        let gaps = entries.iter().filter(|entry| matches!(entry, Entry::Gap(_))).count();
        let after = Position {
            transition: ids.max().unwrap_or(0).max(self.position.transition),
            gap: self.position.gap + i64::try_from(gaps).unwrap(),
            batch: self.position.batch + 1,
        };
        Portion { origin: self.origin.clone(), before: self.position, after, record: self.record, entries }
    }

    #[track_caller]
    pub(crate) fn tells(&mut self, entries: impl Into<Vec<Entry>>) {
        let portion = self.portion(entries.into());
        self.store.write(&portion).unwrap();
        self.position = portion.after;
    }

    #[track_caller]
    fn runs_in(&mut self, of: &Selection, window: Window) -> Vec<RunRow> {
        let mut runs = Vec::new();
        let mut take = |run| {
            runs.push(run);
            true
        };
        self.store.runs(of, window, &mut take).unwrap();
        runs
    }

    /// All runs of a service, in the order in which they began.
    #[track_caller]
    pub(crate) fn runs(&mut self, name: &str) -> Vec<RunRow> {
        let mut runs = self.runs_in(&service(name), ALWAYS);
        runs.sort_by_key(|run| run.id);
        runs
    }

    #[track_caller]
    pub(crate) fn status(&mut self, name: &str) -> Option<StatusRow> {
        let mut rows = self.store.statuses(&service(name)).unwrap();
        assert!(rows.len() < 2, "{rows:?}");
        rows.pop()
    }

    /// How a service was judged in a window, as far as it says anything about it.
    #[track_caller]
    fn judged(&mut self, name: &str, window: Window) -> Judged {
        let mut judged = self.store.judged(&service(name), window).unwrap();
        assert!(judged.len() < 2, "{judged:?}");
        let none = Judged {
            host: self.origin.host.clone(),
            subject: Subject::service(name),
            marks: Vec::new(),
            maintenance: Vec::new(),
        };
        judged.pop().map_or(none, |judged| Judged { marks: in_force(&judged.marks, window), ..judged })
    }

    #[track_caller]
    fn marks(&mut self, name: &str, window: Window) -> Vec<Mark> {
        self.judged(name, window).marks
    }
}

/// A mark takes the place of what was marked at or after its time; of those before a window the last one counts.
fn in_force(marks: &[Mark], window: Window) -> Vec<Mark> {
    let mut kept: Vec<Mark> = Vec::new();
    for mark in marks {
        kept.retain(|earlier| earlier.at < mark.at);
        kept.push(*mark);
    }
    let before = kept.iter().filter(|mark| mark.at <= window.from).count();
    kept.split_off(before.saturating_sub(1))
}

fn service(name: &str) -> Selection {
    Selection { host: None, subject: Some(Subject::service(name)) }
}

/// A time of day in a summer, or an instant.
#[track_caller]
pub(crate) fn at(text: &str) -> Timestamp {
    let text = if text.contains('T') { text.to_owned() } else { format!("2025-06-01T{text}Z") };
    text.parse().unwrap()
}

#[track_caller]
fn window(from: &str, to: &str) -> Window {
    Window { from: at(from), to: at(to) }
}

#[track_caller]
fn mark(time: &str, status: Status, cause: Cause) -> Mark {
    Mark { at: at(time), status, cause }
}

/// A transition of a service as it is judged.
#[track_caller]
pub(crate) fn transition(name: &str, from: Status, to: Status, time: &str) -> Transition {
    let cause = if to.is_bad() { Cause::Crashed } else { Cause::SelfReported };
    Transition {
        subject: Subject::service(name),
        from,
        to,
        cause,
        at: at(time),
        message: format!("{name} is {to}"),
        since: at(time) - SignedDuration::from_secs(2),
        reasons: vec!["its process ended".into(), "and nobody said goodbye".into()],
        evidence: [("exit", "signal 9"), ("age", "3 s")].into_iter().collect::<Evidence>(),
        is_healed_by_supervisor: false,
        is_flapping: true,
    }
}

#[track_caller]
pub(crate) fn changed(id: i64, name: &str, from: Status, to: Status, time: &str) -> Entry {
    Entry::Transition { id, transition: transition(name, from, to, time) }
}

/// One heartbeat of a service that is well.
#[track_caller]
pub(crate) fn beat(name: &str, task: &str, time: &str) -> Entry {
    beats(name, Status::Healthy, task, time, time, 1)
}

#[track_caller]
pub(crate) fn beats(name: &str, status: Status, task: &str, first: &str, last: &str, count: u64) -> Entry {
    let cause = if status.is_bad() { Cause::Crashed } else { Cause::SelfReported };
    let task = (!task.is_empty()).then(|| task.to_owned());
    let (first, last) = (at(first), at(last));
    Entry::Beats(Beats {
        subject: Subject::service(name),
        status,
        cause,
        task,
        first,
        last,
        count,
        may_be_known: false,
    })
}

/// How it stands with a machine.
pub(crate) fn machine(name: &str, status: Presence, last_seen: Timestamp) -> MachineState {
    let (name, hostname, description) = (name.to_owned(), format!("{name}.lan"), "rack 2".to_owned());
    MachineState { name, hostname, description, status, last_seen }
}
