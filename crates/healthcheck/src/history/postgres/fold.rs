//! What a portion makes of what is known of its subjects, in memory: so a few statements write all of it.

use super::words;
use crate::history::{Entry, MachineState, Record, storable};
use health_reporter::Status;
use healthcheck_core::history::{Beats, Bin, Resolution, Window};
use healthcheck_core::{Cause, Gap, Subject, Transition};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// A row of `system_status`.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) status: Status,
    pub(super) cause: Cause,
    pub(super) message: String,
    pub(super) task: Option<String>,
    pub(super) changed_at: Timestamp,
    pub(super) last_heartbeat: Option<Timestamp>,
    /// Which of [`Fold::runs`] is confirmed next, unless it was dropped.
    pub(super) run: Option<usize>,
}

/// A row of `system_status_history`.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Of one that is there: its id, and what it is found by.
    pub(super) key: Option<(i64, Timestamp)>,
    pub(super) subject: Subject,
    pub(super) status: Status,
    pub(super) cause: Cause,
    pub(super) task: Option<String>,
    pub(super) begun_at: Timestamp,
    pub(super) heartbeat_timestamp: Timestamp,
    pub(super) heartbeats: u64,
    pub(super) opens: bool,
    /// Of the transition that opened it, the id; the transition itself where it is one of this portion.
    pub(super) transition_id: Option<i64>,
    pub(super) transition: Option<Transition>,
    pub(super) is_changed: bool,
}

/// What identifies a number: whose, which, over which time, and of when.
pub(super) type NumberKey = (Subject, String, Resolution, Timestamp);

/// All that a portion comes to.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// Each that is known or concerned; nothing of one that is forgotten.
    pub(super) standings: HashMap<Subject, Option<Standing>>,
    pub(super) runs: Vec<Run>,
    pub(super) amended: BTreeMap<i64, Transition>,
    pub(super) gaps: Vec<Gap>,
    /// By subject and beginning: the ends.
    pub(super) maintenance: BTreeMap<(Subject, Timestamp), Timestamp>,
    pub(super) numbers: BTreeMap<NumberKey, Bin>,
    /// By name: what was said last of each.
    pub(super) machines: BTreeMap<String, MachineState>,
    pub(super) seen: Option<Timestamp>,
}

impl Fold {
    /// What is known already of a subject, with the run that is open.
    pub(super) fn know(&mut self, subject: Subject, mut standing: Standing, run: Option<Run>) {
        standing.run = run.map(|run| self.add(run));
        self.standings.insert(subject, Some(standing));
    }

    pub(super) fn take(&mut self, entry: &Entry, record: Record) {
        match entry {
            Entry::Transition { id, transition } => self.transition(*id, transition),
            Entry::Amended { id, transition } => self.amend(*id, transition),
            Entry::Gap(gap) => self.gaps.push(gap.clone()),
            Entry::Maintenance { subject, window } => self.maintain(words::subject(subject), *window),
            Entry::Beats(beats) => self.beats(beats, record),
            Entry::Numbers { subject, metric, bin } => self.numbers(subject, metric, *bin),
            Entry::Forgotten { subject, at } => self.forget(&words::subject(subject), words::time(*at)),
            Entry::Machine(machine) => {
                let name = storable::name(&machine.name).into_owned();
                self.machines.insert(name, machine.clone());
            }
            // A clock that is set back takes along what is known.
            Entry::Seen(at) => self.seen = Some(words::time(*at)),
        }
    }

    fn add(&mut self, run: Run) -> usize {
        self.runs.push(run);
        self.runs.len() - 1
    }

    fn standing(&self, subject: &Subject) -> Option<&Standing> {
        self.standings.get(subject)?.as_ref()
    }

    fn transition(&mut self, id: i64, transition: &Transition) {
        let (subject, at) = (words::subject(&transition.subject), words::time(transition.at));
        let before = self.standing(&subject);
        let task = before.and_then(|standing| standing.task.clone());
        let last_heartbeat = before.and_then(|standing| standing.last_heartbeat);
        let mut run = Run::new(&subject, (transition.to, transition.cause), task.clone(), at);
        run.opens = true;
        run.transition_id = Some(id);
        run.transition = Some(transition.clone());
        let run = Some(self.add(run));
        let standing = Standing {
            status: transition.to,
            cause: transition.cause,
            message: storable::text(&transition.message).into_owned(),
            task,
            changed_at: at,
            last_heartbeat,
            run,
        };
        self.standings.insert(subject, Some(standing));
    }

    /// The verdict itself stays; what is said of it is also said where it is in force.
    fn amend(&mut self, id: i64, transition: &Transition) {
        let (subject, at) = (words::subject(&transition.subject), words::time(transition.at));
        if let Some(Some(standing)) = self.standings.get_mut(&subject)
            && (standing.changed_at, standing.status, standing.cause) == (at, transition.to, transition.cause)
        {
            standing.message = storable::text(&transition.message).into_owned();
        }
        self.amended.insert(id, transition.clone());
    }

    fn beats(&mut self, beats: &Beats, record: Record) {
        let subject = words::subject(&beats.subject);
        let last_known = self.standing(&subject).and_then(|standing| standing.last_heartbeat);
        let Some(beats) = beats.unknown(last_known) else { return };
        let task = beats.task.as_deref().map(|task| storable::text(task).into_owned());
        let (first, last) = (words::time(beats.first), words::time(beats.last));
        let verdict = (beats.status, beats.cause);
        let before = self.standing(&subject);
        let opens = before.is_none_or(|standing| (standing.status, standing.cause) != verdict);
        let open = before.and_then(|standing| standing.run).filter(|_| !opens);
        let open = open.filter(|run| self.runs[*run].says(task.as_deref()));
        let run = open.filter(|_| record == Record::Changes).unwrap_or_else(|| {
            let mut run = Run::new(&subject, verdict, task.clone(), first);
            run.opens = opens;
            self.add(run)
        });
        self.runs[run].confirm(last, beats.count);
        match self.standings.get_mut(&subject) {
            Some(Some(standing)) => standing.hear(verdict, task, (first, last), run),
            _ => {
                let standing = Standing::heard(verdict, task, (first, last), run);
                self.standings.insert(subject, Some(standing));
            }
        }
    }

    fn maintain(&mut self, subject: Subject, window: Window) {
        let (from, to) = (words::time(window.from), words::time(window.to));
        if from >= to {
            return;
        }
        let key = (subject, from);
        let before = self.maintenance.range_mut(..=&key).next_back();
        match before.filter(|((subject, _), end)| *subject == key.0 && from <= **end) {
            Some((_, end)) => *end = to.max(*end),
            None => {
                self.maintenance.insert(key, to);
            }
        }
    }

    fn numbers(&mut self, subject: &Subject, metric: &str, bin: Bin) {
        if !storable::is_number(&bin) {
            return;
        }
        let (subject, metric) = (words::subject(subject), storable::name(metric).into_owned());
        for resolution in Resolution::ALL {
            let bin = Bin { at: resolution.begin_of(words::time(bin.at)), ..bin };
            let key = (subject.clone(), metric.clone(), resolution, bin.at);
            self.numbers.entry(key).and_modify(|kept| *kept = kept.and(bin)).or_insert(bin);
        }
    }

    fn forget(&mut self, subject: &Subject, at: Timestamp) {
        if self.standing(subject).is_none() {
            return;
        }
        let mut run = Run::new(subject, (Status::Unknown, Cause::NotObserved), None, at);
        run.opens = true;
        self.add(run);
        self.standings.insert(subject.clone(), None);
    }
}

impl Standing {
    /// Of a subject that nothing else is known of.
    fn heard(
        verdict: (Status, Cause),
        task: Option<String>,
        (first, last): (Timestamp, Timestamp),
        run: usize,
    ) -> Self {
        Self {
            status: verdict.0,
            cause: verdict.1,
            message: String::new(),
            task,
            changed_at: first,
            last_heartbeat: Some(last),
            run: Some(run),
        }
    }

    fn hear(
        &mut self,
        verdict: (Status, Cause),
        task: Option<String>,
        (first, last): (Timestamp, Timestamp),
        run: usize,
    ) {
        if (self.status, self.cause) != verdict {
            *self = Self::heard(verdict, None, (first, last), run);
        }
        self.task = task;
        self.last_heartbeat = Some(last);
        self.run = Some(run);
    }
}

impl Run {
    fn new(subject: &Subject, verdict: (Status, Cause), task: Option<String>, at: Timestamp) -> Self {
        Self {
            key: None,
            subject: subject.clone(),
            status: verdict.0,
            cause: verdict.1,
            task,
            begun_at: at,
            heartbeat_timestamp: at,
            heartbeats: 0,
            opens: false,
            transition_id: None,
            transition: None,
            is_changed: true,
        }
    }

    /// Whether it is of this task; the first heartbeats after a transition say what that is.
    fn says(&mut self, task: Option<&str>) -> bool {
        if self.heartbeats == 0 && self.transition_id.is_some() && self.task.as_deref() != task {
            self.task = task.map(str::to_owned);
            self.is_changed = true;
        }
        self.task.as_deref() == task
    }

    fn confirm(&mut self, last: Timestamp, count: u64) {
        self.heartbeats = self.heartbeats.saturating_add(count);
        self.heartbeat_timestamp = self.heartbeat_timestamp.max(last);
        self.is_changed = true;
    }
}
