//! How each subject stands with one channel, as it was decided last.

use super::decide::{Decision, Hold};
use super::{Held, NoticeReason};
use crate::Subject;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is due to one channel, and as what.
pub(super) type Due = BTreeMap<Subject, NoticeReason>;

/// What is due to a channel, and what is held back. It follows from everything else, and is not kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Standing {
    pub(super) due: Due,
    pub(super) held: BTreeMap<Subject, Hold>,
    /// What is due before its own wait is over.
    pub(super) pulled: BTreeSet<Subject>,
    /// The thread of each that is due, and how many are due in it.
    threads: BTreeMap<Subject, String>,
    due_in: BTreeMap<String, usize>,
    /// What all that is due was explained by, while which notice was on its way.
    explained: Option<(Held, Option<String>)>,
}

impl Standing {
    /// Takes in what was decided of a subject, and which thread it would be told in.
    pub(super) fn set(&mut self, subject: &Subject, decision: Decision, thread: impl FnOnce() -> String) {
        self.clear(subject);
        match decision {
            Decision::Nothing => {}
            Decision::Tell(reason) => self.put(subject, reason, thread()),
            Decision::Hold(hold) => drop(self.held.insert(subject.clone(), hold)),
        }
    }

    /// Nothing is the matter with a subject.
    pub(super) fn clear(&mut self, subject: &Subject) {
        self.held.remove(subject);
        if self.due.remove(subject).is_none() {
            return;
        }
        self.pulled.remove(subject);
        let thread = self.threads.remove(subject).unwrap_or_default();
        if let Some(count) = self.due_in.get_mut(&thread) {
            *count -= 1;
            if *count == 0 {
                self.due_in.remove(&thread);
            }
        }
    }

    fn put(&mut self, subject: &Subject, reason: NoticeReason, thread: String) {
        self.due.insert(subject.clone(), reason);
        *self.due_in.entry(thread.clone()).or_default() += 1;
        self.threads.insert(subject.clone(), thread);
    }

    /// What fell or ended in the same moment and the same thread is told together, though its own wait is not over:
    /// whoever crashed a moment after another has nearly had his time.
    pub(super) fn pull_in<'a>(
        &mut self,
        waiting: impl Iterator<Item = &'a Subject>,
        soon: Duration,
        thread: impl Fn(&Subject) -> String,
    ) {
        if self.due.is_empty() {
            return;
        }
        let is_soon = |hold: &Hold| hold.until.is_some_and(|until| until <= soon);
        let is_gathered = |hold: &&Hold| match hold.held {
            Held::GroupWait => true,
            Held::RestartWait => is_soon(hold),
            _ => false,
        };
        let gathered = waiting.filter_map(|it| Some((it, self.held.get(it).filter(is_gathered)?.reason)));
        let threaded = gathered.map(|(subject, reason)| (subject, reason, thread(subject)));
        let pulled: Vec<_> = threaded.filter(|(.., thread)| self.due_in.contains_key(thread)).collect();
        for (subject, reason, thread) in pulled {
            if self.pulled.insert(subject.clone()) {
                self.put(subject, reason, thread);
            }
        }
    }

    /// Whether anything is due that is not among those on their way.
    pub(super) fn is_more_due(&self, on_its_way: &BTreeSet<&Subject>) -> bool {
        self.due.len() > on_its_way.len() || self.due.keys().any(|subject| !on_its_way.contains(subject))
    }

    /// What is due and still to be explained: what was just looked at or pulled in, and everything where the reason is
    /// another one or another notice is on its way.
    pub(super) fn unexplained(
        &mut self,
        held: &Held,
        notice: Option<&str>,
        looked: &BTreeSet<Subject>,
    ) -> Vec<(Subject, NoticeReason)> {
        let is_as_before =
            self.explained.as_ref().is_some_and(|it| (&it.0, it.1.as_deref()) == (held, notice));
        if !is_as_before {
            self.explained = Some((held.clone(), notice.map(str::to_owned)));
            return self.due.iter().map(|(subject, reason)| (subject.clone(), *reason)).collect();
        }
        let again = looked.union(&self.pulled);
        again.filter_map(|it| Some((it.clone(), *self.due.get(it)?))).collect()
    }
}
