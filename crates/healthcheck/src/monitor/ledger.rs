//! What is to be kept: a transition is kept before it is told, everything else soon.

use super::gathering::Ledgered;
use crate::state::{Effects, Store, StoreError};
use healthcheck_core::alerts::Alerts;
use healthcheck_core::{Gap, State, Subject, Transition};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::{error, info};

/// How long a change without a transition may stay unkept.
const SOON: Duration = Duration::from_secs(10);
/// Transitions that wait for a store that takes nothing; the oldest are dropped beyond.
const MAX_UNKEPT: usize = 10_000;
/// How long a transition may be told more about.
const OPEN_FOR: Duration = Duration::from_secs(30);

/// What is kept, and what is to be.
pub(super) struct Ledger {
    store: Store,
    dirty: BTreeSet<Subject>,
    save_at_boottime: Option<Duration>,
    /// Transitions that are not kept yet, oldest first.
    unkept: Vec<Transition>,
    gap: Option<Gap>,
    /// Transitions of which more may become known, with their number.
    open: BTreeMap<Subject, Open>,
    problem: Option<String>,
    /// Up to which number transitions are kept, and where.
    ledgered: Ledgered,
}

struct Open {
    id: Option<i64>,
    transition: Transition,
    until_boottime: Duration,
}

/// A transition that is ready to be told.
pub(super) struct Kept {
    pub(super) id: Option<i64>,
    pub(super) transition: Transition,
}

impl Ledger {
    pub(super) fn of(store: Store) -> Self {
        let ledgered = ledgered(&store);
        Self {
            ledgered,
            store,
            dirty: BTreeSet::new(),
            save_at_boottime: None,
            unkept: Vec::new(),
            gap: None,
            open: BTreeMap::new(),
            problem: None,
        }
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    /// Up to which number transitions are kept, and in which database.
    pub(super) fn ledgered(&self) -> Ledgered {
        self.ledgered.clone()
    }

    /// Something of a subject changed that is to be kept soon.
    pub(super) fn touch(&mut self, subject: Subject, boottime: Duration) {
        self.dirty.insert(subject);
        self.save_at_boottime.get_or_insert(boottime + SOON);
    }

    pub(super) fn note_gap(&mut self, gap: Gap, boottime: Duration) {
        self.gap = Some(gap);
        self.save_at_boottime = Some(boottime);
    }

    /// When something is to be kept.
    pub(super) const fn next_boottime(&self) -> Option<Duration> {
        self.save_at_boottime
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.problem.clone().or_else(|| self.store.problems().into_iter().next())
    }

    /// Keeps transitions together with the records of their subjects, and returns them to be told. What cannot be
    /// kept is told all the same, and kept when that is possible again.
    pub(super) fn keep(
        &mut self,
        state: &State,
        alerts: &mut Alerts,
        transitions: Vec<Transition>,
        boottime: Duration,
    ) -> Vec<Kept> {
        let subjects: BTreeSet<Subject> = transitions.iter().map(|it| it.subject.clone()).collect();
        self.dirty.extend(subjects.iter().cloned());
        let before = self.unkept.len();
        self.unkept.extend(transitions);
        let touched = if before == 0 { subjects } else { self.dirty.clone() };
        let ids = self.commit(state, alerts, &touched, boottime);
        let news = match &ids {
            Some(_) => self.unkept.drain(..).skip(before).collect(),
            None => self.unkept[before..].to_vec(),
        };
        let mut ids = ids.unwrap_or_default().into_iter().skip(before);
        let kept: Vec<Kept> =
            news.into_iter().map(|transition| Kept { id: ids.next(), transition }).collect();
        kept.iter().for_each(|kept| self.open(kept, boottime));
        kept
    }

    fn open(&mut self, kept: &Kept, boottime: Duration) {
        if !kept.transition.to.is_bad() {
            self.open.remove(&kept.transition.subject);
            return;
        }
        let (id, transition) = (kept.id, kept.transition.clone());
        let until_boottime = boottime + OPEN_FOR;
        self.open.insert(transition.subject.clone(), Open { id, transition, until_boottime });
    }

    /// Keeps everything that is due.
    pub(super) fn save(&mut self, state: &State, alerts: &mut Alerts, boottime: Duration) {
        let all = std::mem::take(&mut self.dirty);
        self.open.retain(|_, open| open.until_boottime > boottime);
        self.save_at_boottime = None;
        if self.commit(state, alerts, &all, boottime).is_some() {
            self.unkept.clear();
        } else {
            self.dirty.extend(all);
        }
        self.store.tidy();
    }

    fn commit(
        &mut self,
        state: &State,
        alerts: &mut Alerts,
        subjects: &BTreeSet<Subject>,
        boottime: Duration,
    ) -> Option<Vec<i64>> {
        let head = state.head();
        let effects = Effects {
            head: &head,
            records: subjects.iter().map(|subject| (subject, state.record(subject))).collect(),
            transitions: &self.unkept,
            gap: self.gap.as_ref(),
            alerts: &alerts.changes(),
        };
        match put(&mut self.store, (state, alerts), &effects) {
            Ok(ids) => {
                alerts.kept();
                self.gap = None;
                self.note_ledgered(&ids);
                self.dirty.retain(|subject| !subjects.contains(subject));
                if self.problem.take().is_some() {
                    info!("state.db is written again");
                }
                Some(ids)
            }
            Err(error) => {
                self.fail(&error.to_string(), boottime);
                None
            }
        }
    }

    fn note_ledgered(&mut self, ids: &[i64]) {
        if let Some(last) = ids.last() {
            // It may be another database by now.
            if let Some(name) = self.store.name().filter(|name| *name != self.ledgered.state) {
                self.ledgered.state = name.to_owned();
            }
            self.ledgered.last = *last;
        }
    }

    fn fail(&mut self, error: &str, boottime: Duration) {
        if self.problem.as_deref() != Some(error) {
            error!("{error}");
        }
        self.problem = Some(error.to_owned());
        self.save_at_boottime = Some(boottime + SOON);
        let excess = self.unkept.len().saturating_sub(MAX_UNKEPT);
        self.unkept.drain(..excess);
    }

    /// What is known by now of the last transition of a subject, if that is more than was told.
    pub(super) fn amended(&mut self, state: &State, subject: &Subject, boottime: Duration) -> Option<Kept> {
        let verdict = state.verdict(subject)?;
        let open = self.open.get_mut(subject).filter(|open| open.until_boottime > boottime)?;
        let told = &mut open.transition;
        let is_same = (told.to, told.cause) == (verdict.status, verdict.cause);
        let gained = verdict.evidence.iter().any(|(key, _)| told.evidence.get(key).is_none());
        if !is_same || !verdict.status.is_bad() || !gained {
            return None;
        }
        told.message.clone_from(&verdict.message);
        told.reasons.clone_from(&verdict.reasons);
        told.evidence = verdict.evidence.clone();
        let kept = Kept { id: open.id, transition: told.clone() };
        if let Some(id) = kept.id
            && let Err(error) = self.store.amend(id, &kept.transition)
        {
            self.fail(&error.to_string(), boottime);
        }
        Some(kept)
    }
}

fn ledgered(store: &Store) -> Ledgered {
    let (state, last) = store.numbering().unwrap_or_default();
    Ledgered { state, last }
}

/// A database that was begun anew is told everything first. What no decision was made of may be lost with the power.
fn put(store: &mut Store, known: (&State, &Alerts), effects: &Effects<'_>) -> Result<Vec<i64>, StoreError> {
    let is_decision = !effects.transitions.is_empty() || effects.gap.is_some() || !effects.alerts.is_empty();
    let commit = if is_decision { Store::commit } else { Store::commit_unsynced };
    match commit(store, effects) {
        Err(error) if error.wants_everything() => {
            store.rewrite(known.0, known.1).and_then(|()| commit(store, effects))
        }
        kept => kept,
    }
}
