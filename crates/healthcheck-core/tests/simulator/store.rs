//! What the monitor keeps: it is read again after a kill, from its text.

use crate::invariants::{Known, Shown};
use crate::script::{Answer, Level};
use health_reporter::Status;
use healthcheck_core::{Cause, Head, Record, State, Subject};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the monitor was shown of a subject. It is no part of the monitor: by it the monitor is judged.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    Service(Box<Known>),
    Look(Option<Shown<Answer>>),
    Gauge(Option<Shown<Level>>),
}

/// A transition, as the story keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) t: Duration,
    pub(crate) subject: usize,
    pub(crate) from: Status,
    pub(crate) to: Status,
    pub(crate) cause: Cause,
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) head: Option<Head>,
    /// The boot, and the time in it, of the last commit.
    pub(crate) committed: (u32, Duration),
    pub(crate) story: Vec<Told>,
    records: BTreeMap<usize, (Record, Note)>,
    last: BTreeMap<usize, (Status, Cause)>,
}

impl Store {
    pub(crate) fn put(&mut self, at: usize, record: Option<&Record>, note: &Note) {
        match record {
            Some(record) => drop(self.records.insert(at, (record.clone(), note.clone()))),
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
        Ok(())
    }

    /// Nothing promises anything of a subject any more: it may be seen for the first time again.
    pub(crate) fn forget(&mut self, at: usize) {
        if let Some((status, cause)) = self.last.get_mut(&at) {
            debug_assert_eq!(*status, Status::Unknown);
            *cause = Cause::NotObserved;
        }
    }

    /// What was kept, and what was known then.
    pub(crate) fn restored(&self, subjects: &[Subject]) -> Option<(State, BTreeMap<usize, Note>)> {
        let head = again(self.head.as_ref()?);
        let records = self.records.iter().map(|(at, (record, _))| (subjects[*at].clone(), again(record)));
        let notes = self.records.iter().map(|(at, (_, note))| (*at, note.clone()));
        Some((State::restored(head, records).unwrap(), notes.collect()))
    }
}

/// Written, and read again.
fn again<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> T {
    let text = serde_json::to_string(value).unwrap();
    serde_json::from_str(&text).unwrap()
}
