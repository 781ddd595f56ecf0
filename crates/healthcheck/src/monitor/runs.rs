//! The processes that the reports name: who lives, and what each run is made of.

use super::footprints::{Footprints, Taken};
use super::resources::Watched;
use crate::sources::deaths::Deaths;
use crate::sources::footprint::Footprint;
use crate::sources::processes::Processes;
use health_reporter::read::ReportFile;
use healthcheck_core::{Change, NotLooked, Now, ProcessFacts, ProcessSight, Subject};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

/// The processes that the reports name.
#[derive(Debug)]
pub(super) struct Runs {
    pub(super) deaths: Deaths,
    processes: Processes,
    footprints: Footprints,
    own_namespace: Option<u64>,
    of_subject: BTreeMap<Subject, Run>,
    of_pid: BTreeMap<u32, BTreeSet<Subject>>,
    /// Why the end of some process cannot be waited for.
    problem: Option<String>,
}

/// One run of a service: its process, as it was last seen.
#[derive(Debug)]
struct Run {
    pid: u32,
    seen: ProcessFacts,
    /// Nothing until it is taken.
    footprint: Option<Footprint>,
}

impl Runs {
    pub(super) fn new(own_namespace: Option<u64>, footprints: Footprints) -> io::Result<Self> {
        Ok(Self {
            deaths: Deaths::new()?,
            processes: Processes::at("/proc"),
            footprints,
            own_namespace,
            of_subject: BTreeMap::new(),
            of_pid: BTreeMap::new(),
            problem: None,
        })
    }

    /// The process that a report names. One whose end is waited for lives, and is not looked at again.
    pub(super) fn sight(&mut self, subject: &Subject, file: &ReportFile) -> ProcessSight {
        let Some(pid) = file.report.pid else {
            self.forget(subject);
            return ProcessSight::NotLooked(NotLooked::NoPid);
        };
        if self.is_of_another_namespace(file) {
            return ProcessSight::NotLooked(NotLooked::OtherNamespace);
        }
        let Ok(pid) = u32::try_from(pid) else { return ProcessSight::Gone };
        if let Some(run) = self.of_subject.get(subject).filter(|run| run.pid == pid)
            && self.deaths.is_watched(pid, run.seen.start_ticks)
        {
            return ProcessSight::Seen(run.seen.clone());
        }
        self.look(subject, pid)
    }

    /// The same with a new look: what it does, and takes.
    pub(super) fn fresh_sight(&mut self, subject: &Subject, file: &ReportFile) -> ProcessSight {
        match file.report.pid.and_then(|pid| u32::try_from(pid).ok()) {
            Some(pid) if !self.is_of_another_namespace(file) => self.look(subject, pid),
            _ => self.sight(subject, file),
        }
    }

    fn is_of_another_namespace(&self, file: &ReportFile) -> bool {
        let theirs = file.report.pid_namespace;
        theirs.zip(self.own_namespace).is_some_and(|(theirs, own)| theirs != own)
    }

    fn look(&mut self, subject: &Subject, pid: u32) -> ProcessSight {
        let sight = match self.deaths.watch(pid, &self.processes) {
            Ok(sight) => sight,
            Err(error) => {
                self.problem = Some(format!("cannot wait for the end of process {pid}: {error}"));
                self.processes.look(u64::from(pid))
            }
        };
        if let ProcessSight::Seen(seen) = &sight
            && !seen.state.has_ended()
        {
            self.note(subject, pid, seen);
        }
        sight
    }

    fn note(&mut self, subject: &Subject, pid: u32, seen: &ProcessFacts) {
        if let Some(run) = self.of_subject.get_mut(subject)
            && (run.pid, run.seen.start_ticks) == (pid, seen.start_ticks)
        {
            run.seen = seen.clone();
            return;
        }
        self.forget(subject);
        self.footprints.take(pid, seen.start_ticks);
        self.of_pid.entry(pid).or_default().insert(subject.clone());
        self.of_subject.insert(subject.clone(), Run { pid, seen: seen.clone(), footprint: None });
    }

    /// Nobody reports of this process any more.
    pub(super) fn forget(&mut self, subject: &Subject) {
        let Some(run) = self.of_subject.remove(subject) else { return };
        if let Some(others) = self.of_pid.get_mut(&run.pid) {
            others.remove(subject);
            if others.is_empty() {
                self.of_pid.remove(&run.pid);
                self.deaths.forget(run.pid);
            }
        }
    }

    /// Whose reports name a process.
    pub(super) fn subjects_of(&self, pid: u32) -> Vec<Subject> {
        self.of_pid.get(&pid).into_iter().flatten().cloned().collect()
    }

    /// What the last run of a subject was made of, and is not the same any more.
    pub(super) fn changes(&self, subject: &Subject, unit_files: &[String]) -> Vec<Change> {
        let footprint = self.of_subject.get(subject).and_then(|run| run.footprint.as_ref());
        footprint.map(|footprint| footprint.changes(unit_files)).unwrap_or_default()
    }

    /// Processes of the control group of a run that were killed since because memory ran out.
    pub(super) fn oom_kills(&self, subject: &Subject) -> u64 {
        let footprint = self.of_subject.get(subject).and_then(|run| run.footprint.as_ref());
        footprint.and_then(Footprint::oom_kills).unwrap_or(0)
    }

    /// What a run is made of is known by now; of one that several subjects name, the first keeps it.
    pub(super) fn learn(&mut self, taken: Taken) {
        let subjects = self.of_pid.get(&taken.pid);
        let Some(subject) = subjects.and_then(BTreeSet::first) else { return };
        if let Some(run) = self.of_subject.get_mut(subject)
            && run.seen.start_ticks == taken.start_ticks
        {
            run.footprint = Some(taken.footprint);
        }
    }

    /// When the last run of a subject began; the boot where that is not known.
    pub(super) fn started(&self, subject: &Subject, now: &Now) -> Timestamp {
        let ticks = self.of_subject.get(subject).map_or(0, |run| run.seen.start_ticks);
        let age = now.boottime.saturating_sub(Duration::from_millis(ticks.saturating_mul(10)));
        now.wall.checked_sub(age).unwrap_or(now.wall)
    }

    /// The processes that are known: of whom, which, and when it started.
    pub(super) fn processes(&self) -> Vec<Watched> {
        let watched = |(subject, run): (&Subject, &Run)| Watched {
            subject: subject.clone(),
            pid: run.pid,
            start_ticks: run.seen.start_ticks,
        };
        self.of_subject.iter().map(watched).collect()
    }

    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}
