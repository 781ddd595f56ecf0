//! What the monitor keeps: it is read again after a kill, from its text.

use crate::clock::{Clock, Stamp};
use crate::invariants::{Known, Shown};
use crate::looks::Asked;
use crate::script::Level;
use health_reporter::Status;
use healthcheck_core::{Cause, Head, Record, State, Subject};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the monitor was shown of a subject. It is no part of the monitor: by it the monitor is judged.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    Service(Box<Known>),
    Look(Asked),
    Gauge(Option<Shown<Level>>),
}

/// A transition, as the story keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) t: Duration,
    pub(crate) awake: Duration,
    pub(crate) subject: usize,
    pub(crate) from: Status,
    pub(crate) to: Status,
    pub(crate) cause: Cause,
    pub(crate) is_flapping: bool,
}

/// A look at the clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Instant {
    pub(crate) boot: u32,
    pub(crate) boottime: Duration,
    pub(crate) at: Stamp,
    pub(crate) sleeps: u32,
}

impl Instant {
    pub(crate) fn now(clock: &Clock) -> Self {
        let (boot, boottime, at, sleeps) = (clock.boot, clock.boottime(), clock.stamp(), clock.sleeps);
        Self { boot, boottime, at, sleeps }
    }
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) head: Option<Head>,
    /// The last look at the clock before the last commit.
    pub(crate) committed: Instant,
    pub(crate) story: Vec<Told>,
    /// With when time alone may change each verdict.
    records: BTreeMap<usize, (Record, Note, Option<Duration>)>,
    last: BTreeMap<usize, (Status, Cause)>,
    /// When each subject changed in this boot.
    changes: BTreeMap<usize, Vec<Duration>>,
}

/// So many changes in so much time awake are flapping.
const FLAPPING: (usize, Duration) = (6, Duration::from_secs(600));

impl Store {
    pub(crate) fn put(&mut self, at: usize, subject: &Subject, state: &State, note: &Note) {
        let kept = |record: &Record| (record.clone(), note.clone(), state.deadline_of(subject));
        match state.record(subject).map(kept) {
            Some(kept) => drop(self.records.insert(at, kept)),
            None => drop(self.records.remove(&at)),
        }
    }

    /// What is wrong with the next part of the story, if anything is.
    pub(crate) fn tell(&mut self, told: Told) -> Result<(), String> {
        let former = self.last.insert(told.subject, (told.to, told.cause));
        self.story.push(told);
        let from = former.map_or(Status::Unknown, |(status, _)| status);
        if told.from != from {
            return Err(format!("b: the story goes from {from} on with one from {}", told.from));
        }
        if former == Some((told.to, told.cause)) {
            return Err(format!("b: the story repeats {} {}", told.to, told.cause));
        }
        self.note_change(told)
    }

    /// The machine has booted: what changed before is another matter.
    pub(crate) fn begin_boot(&mut self) {
        self.changes.clear();
    }

    fn note_change(&mut self, told: Told) -> Result<(), String> {
        let changes = self.changes.entry(told.subject).or_default();
        changes.push(told.awake);
        let first = changes.len().checked_sub(FLAPPING.0).map(|at| changes[at]);
        let is_flapping = first.is_some_and(|first| told.awake < first + FLAPPING.1);
        if told.is_flapping == is_flapping {
            return Ok(());
        }
        Err(format!("b: {} changes, and flapping is {}", changes.len(), told.is_flapping))
    }

    /// Nothing promises anything of a subject any more: it may be seen for the first time again.
    pub(crate) fn forget(&mut self, at: usize) {
        if let Some((status, cause)) = self.last.get_mut(&at) {
            debug_assert_eq!(*status, Status::Unknown);
            *cause = Cause::NotObserved;
        }
        self.changes.remove(&at);
    }

    /// What was kept, and what was known then.
    pub(crate) fn restored(&self, subjects: &[Subject]) -> Option<(State, BTreeMap<usize, Note>)> {
        let head = again(self.head.as_ref()?);
        let records = self.records.iter().map(|(at, (record, ..))| (subjects[*at].clone(), again(record)));
        let notes = self.records.iter().map(|(at, (_, note, _))| (*at, note.clone()));
        Some((State::restored(head, records).unwrap(), notes.collect()))
    }

    /// When the first verdict may change by time alone.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.records.values().filter_map(|(.., deadline)| *deadline).min()
    }
}

/// Written, and read again.
fn again<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> T {
    let text = serde_json::to_string(value).unwrap();
    serde_json::from_str(&text).unwrap()
}
