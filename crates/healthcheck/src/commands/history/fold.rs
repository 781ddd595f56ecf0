//! From the rows of a store, the newest first, to what happened: the same whether a row was written for each heartbeat or
//! for each change.

use crate::history::RunRow;
use crate::render::history::{Change, Entry, Said};
use health_reporter::Status;
use healthcheck_core::Subject;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The changes of all subjects since an instant: the newest of them, whichever subject they are of.
pub(super) struct OfAll {
    since: Timestamp,
    limit: usize,
    more: u64,
    /// By time, and by the order in which they came.
    newest: BTreeMap<(Timestamp, u64), Change>,
    taken: u64,
    later: BTreeMap<Subject, Later>,
}

/// The change of the same subject that followed.
struct Later {
    at: Timestamp,
    /// Where it is, if it is not known what it changed from.
    unsure: Option<(Timestamp, u64)>,
}

impl OfAll {
    pub(super) const fn new(since: Timestamp, limit: usize) -> Self {
        Self { since, limit, more: 0, newest: BTreeMap::new(), taken: 0, later: BTreeMap::new() }
    }

    /// Always wants the next one, too.
    pub(super) fn take(&mut self, row: RunRow) -> bool {
        if row.opens {
            self.note(row);
        }
        true
    }

    fn note(&mut self, row: RunRow) {
        let later = self.later.remove(&row.subject);
        let unsure = later.as_ref().and_then(|later| self.newest.get_mut(&later.unsure?));
        unsure.into_iter().for_each(|change| change.from = Some(row.status));
        if row.begun_at < self.since {
            return;
        }
        let change = change(row, later.map(|later| later.at));
        let key = (change.at, u64::MAX - self.taken);
        self.taken += 1;
        let unsure = change.from.is_none().then_some(key);
        self.later.insert(change.subject.clone(), Later { at: change.at, unsure });
        self.newest.insert(key, change);
        if self.newest.len() > self.limit {
            self.newest.pop_first();
            self.more += 1;
        }
    }

    /// The newest first, and how many older ones there are.
    pub(super) fn into_changes(self) -> (Vec<Change>, u64) {
        (self.newest.into_values().rev().collect(), self.more)
    }
}

/// What happened to one subject since an instant.
pub(super) struct OfOne {
    since: Timestamp,
    limit: usize,
    more: u64,
    entries: Vec<Entry>,
    /// What was said after whatever comes next.
    said: Option<Said>,
    later: Option<Timestamp>,
    /// Where the last change is, if it is not known what it changed from.
    unsure: Option<usize>,
}

impl OfOne {
    pub(super) const fn new(since: Timestamp, limit: usize) -> Self {
        Self { since, limit, more: 0, entries: Vec::new(), said: None, later: None, unsure: None }
    }

    /// Always wants the next one, too.
    pub(super) fn take(&mut self, row: RunRow) -> bool {
        let said = said(&row);
        if row.opens {
            self.open(row, said);
        } else if let Some(said) = said {
            self.say(said);
        }
        true
    }

    /// The same task as after it makes it longer; another one begins anew.
    fn say(&mut self, said: Said) {
        match &mut self.said {
            Some(after) if after.task == said.task => after.begin_with(&said),
            after => {
                let after = after.replace(said);
                after.into_iter().for_each(|after| self.push(Entry::Said(after)));
            }
        }
    }

    /// What is said first after a change belongs to it.
    fn open(&mut self, row: RunRow, said: Option<Said>) {
        said.into_iter().for_each(|said| self.say(said));
        // Of a run that a change opened it is not known when its first heartbeat came.
        let said = self.said.take().map(|said| Said { first: row.begun_at, ..said });
        if let Some(Entry::Change(change)) = self.unsure.take().and_then(|at| self.entries.get_mut(at)) {
            change.from = Some(row.status);
        }
        if row.begun_at < self.since {
            said.into_iter().for_each(|said| self.push(Entry::Said(said)));
            return;
        }
        let change = Change { said, ..change(row, self.later) };
        self.later = Some(change.at);
        self.unsure = change.from.is_none().then_some(self.entries.len());
        self.push(Entry::Change(Box::new(change)));
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() < self.limit {
            self.entries.push(entry);
        } else {
            self.more += 1;
        }
    }

    /// The newest first, and how many older ones there are.
    pub(super) fn into_entries(mut self) -> (Vec<Entry>, u64) {
        let first = self.said.take();
        first.into_iter().for_each(|said| self.push(Entry::Said(said)));
        (self.entries, self.more)
    }
}

impl Said {
    fn begin_with(&mut self, before: &Self) {
        self.first = before.first;
        self.last = self.last.max(before.last);
        self.heartbeats = self.heartbeats.saturating_add(before.heartbeats);
    }
}

fn said(row: &RunRow) -> Option<Said> {
    (row.heartbeats > 0).then(|| Said {
        task: row.current_task.clone(),
        first: row.begun_at,
        last: row.heartbeat_timestamp,
        heartbeats: row.heartbeats,
    })
}

fn change(row: RunRow, until: Option<Timestamp>) -> Change {
    let from: Option<Status> = row.transition.as_ref().map(|transition| transition.from);
    Change {
        at: row.begun_at,
        subject: row.subject,
        from,
        to: row.status,
        cause: row.cause,
        lasted: until.map(|until| until.duration_since(row.begun_at)),
        transition: row.transition,
        said: None,
    }
}
