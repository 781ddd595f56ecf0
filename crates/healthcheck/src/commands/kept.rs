//! What `state.db` itself tells of what happened: where the history cannot be read, it answers in its place.

use crate::history::{
    HistoryError, HistoryStore, Host, Judged, Origin, Portion, Position, Pruned, RunRow, Selection, Series,
    Slice, StatusRow, Stock,
};
use crate::state::Reader;
use health_reporter::Status;
use healthcheck_core::alerts::{Deed, Rules};
use healthcheck_core::history::{Mark, Resolution, Window};
use healthcheck_core::{Cause, Gap, State, Subject, Transition};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;

/// As many as `state.db` keeps.
const MAX_TRANSITIONS: usize = 250_000;
const MAX_GAPS: usize = 10_000;
const MAX_ACTS: usize = 10_000;

/// The transitions of one machine, as its monitor keeps them for itself.
pub(super) struct Kept {
    host: String,
    state: State,
    /// Of each subject, the oldest first.
    transitions: BTreeMap<Subject, Vec<(i64, Transition)>>,
    /// When subjects were known no more, after which transition.
    forgotten: BTreeMap<Subject, Vec<(i64, Timestamp)>>,
    gaps: Vec<Gap>,
    /// By which maintenance is planned now.
    rules: Rules,
}

impl Kept {
    pub(super) fn of(reader: &Reader, host: String, rules: Rules) -> anyhow::Result<Self> {
        let mut transitions: BTreeMap<Subject, Vec<_>> = BTreeMap::new();
        for (id, transition) in reader.transitions_after(0, MAX_TRANSITIONS)? {
            transitions.entry(transition.subject.clone()).or_default().push((id, transition));
        }
        let gaps = reader.gaps_after(0, MAX_GAPS)?.into_iter().map(|(_, gap)| gap).collect();
        let mut forgotten: BTreeMap<Subject, Vec<(i64, Timestamp)>> = BTreeMap::new();
        for (after, act) in reader.acts(MAX_ACTS)? {
            if let Deed::Forgotten { subject } = act.deed {
                forgotten.entry(subject).or_default().push((after, act.at));
            }
        }
        Ok(Self { host, state: reader.state()?, transitions, forgotten, gaps, rules })
    }

    fn selected(
        &self,
        of: &Selection,
    ) -> impl DoubleEndedIterator<Item = (&Subject, &Vec<(i64, Transition)>)> {
        let is_here = of.host.as_ref().is_none_or(|host| *host == self.host);
        let wanted = of.subject.clone();
        self.transitions
            .iter()
            .filter(move |(subject, _)| is_here && wanted.as_ref().is_none_or(|wanted| wanted == *subject))
    }

    /// How it was judged, in order; whoever is forgotten is looked at no more.
    fn marks(&self, subject: &Subject, transitions: &[(i64, Transition)]) -> Vec<Mark> {
        let judged = transitions.iter().map(|(id, transition)| (*id, mark(transition)));
        let forgotten = self.forgotten.get(subject).into_iter().flatten();
        let forgotten = forgotten.map(|(after, at)| {
            (*after, Mark { at: *at, status: Status::Unknown, cause: Cause::NotObserved })
        });
        let mut all: Vec<_> = judged.chain(forgotten).collect();
        all.sort_by_key(|(id, _)| *id);
        all.into_iter().map(|(_, mark)| mark).collect()
    }

    fn maintenance(&self, subject: &Subject, window: Window) -> Vec<Window> {
        let meant = self.rules.maintenance.iter().filter(|it| it.is_meant_for(subject));
        meant.flat_map(|it| it.times(window, &self.rules.zone)).collect()
    }

    /// How long what a transition began lasted, as far as is known.
    fn run(&self, id: i64, transition: &Transition, end: Option<Timestamp>) -> RunRow {
        let begun_at = transition.at;
        RunRow {
            id,
            host: self.host.clone(),
            subject: transition.subject.clone(),
            status: transition.to,
            cause: transition.cause,
            current_task: None,
            begun_at,
            heartbeat_timestamp: end.unwrap_or_else(|| self.state.last_look()).max(begun_at),
            heartbeats: 0,
            created_at: begun_at,
            opens: true,
            transition: Some(transition.clone()),
        }
    }
}

const fn mark(transition: &Transition) -> Mark {
    Mark { at: transition.at, status: transition.to, cause: transition.cause }
}

fn read_only<T>() -> Result<T, HistoryError> {
    Err(HistoryError::new("state.db is not written as a history: see [history] in the configuration"))
}

impl HistoryStore for Kept {
    fn position(&mut self, _: &Origin) -> Result<Position, HistoryError> {
        read_only()
    }

    fn write(&mut self, _: &Portion) -> Result<(), HistoryError> {
        read_only()
    }

    fn remark(&mut self) -> Option<String> {
        None
    }

    fn hosts(&mut self) -> Result<Vec<Host>, HistoryError> {
        Ok(vec![Host { name: self.host.clone(), last_seen: self.state.last_look() }])
    }

    fn statuses(&mut self, of: &Selection) -> Result<Vec<StatusRow>, HistoryError> {
        let row = |(subject, _): (&Subject, &Vec<_>)| {
            let verdict = self.state.verdict(subject)?;
            Some(StatusRow {
                host: self.host.clone(),
                subject: subject.clone(),
                status: verdict.status,
                cause: verdict.cause,
                message: verdict.message.clone(),
                current_task: self.state.task(subject).map(str::to_owned),
                changed_at: verdict.since,
                last_heartbeat: None,
            })
        };
        Ok(self.selected(of).filter_map(row).collect())
    }

    fn judged(&mut self, of: &Selection, window: Window) -> Result<Vec<Judged>, HistoryError> {
        let judged = |(subject, all): (&Subject, &Vec<(i64, Transition)>)| {
            let all = self.marks(subject, all);
            let first = all.iter().rposition(|mark| mark.at <= window.from).unwrap_or(0);
            let marks = all[first..].iter().filter(|mark| mark.at < window.to).copied().collect();
            let maintenance = self.maintenance(subject, window);
            Judged { host: self.host.clone(), subject: subject.clone(), marks, maintenance }
        };
        Ok(self.selected(of).map(judged).filter(|judged| !judged.marks.is_empty()).collect())
    }

    fn runs(
        &mut self,
        of: &Selection,
        window: Window,
        take: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        let mut found: Vec<RunRow> = Vec::new();
        for (_, all) in self.selected(of) {
            let ends = all.iter().skip(1).map(|(_, next)| Some(next.at)).chain([None]);
            let runs = all.iter().zip(ends).map(|((id, transition), end)| self.run(*id, transition, end));
            found.extend(
                runs.filter(|run| run.heartbeat_timestamp >= window.from && run.begun_at < window.to),
            );
        }
        found.sort_by_key(|run| std::cmp::Reverse((run.heartbeat_timestamp, run.id)));
        let _ = found.into_iter().all(take);
        Ok(())
    }

    fn gaps(&mut self, host: &str, window: Window) -> Result<Vec<Gap>, HistoryError> {
        let is_within = |gap: &&Gap| gap.from < window.to && gap.to > window.from;
        Ok(self.gaps.iter().filter(is_within).filter(|_| host == self.host).cloned().collect())
    }

    fn series(&mut self, _: &Selection, _: Resolution, _: Window) -> Result<Vec<Series>, HistoryError> {
        Ok(Vec::new())
    }

    fn stock(&mut self) -> Result<Stock, HistoryError> {
        read_only()
    }

    fn prune(&mut self, _: &Slice, _: u32) -> Result<Pruned, HistoryError> {
        read_only()
    }

    fn backup(&mut self, _: &Path) -> Result<(), HistoryError> {
        read_only()
    }
}
