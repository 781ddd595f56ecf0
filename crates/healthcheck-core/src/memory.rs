//! What the judge remembers of a subject: what was last seen, and what stands in the way of seeing it.

use crate::ending::{Ending, Span};
use crate::leased::Leased;
use crate::measured::Measured;
use crate::probed::{LOOP_RESTARTS, Look, Probes};
use crate::recent::Recent;
use crate::sight::{AgeEvidence, Before, Past, Sight};
use crate::sleeps::Sleeps;
use crate::summary::Summary;
use crate::{
    Aftermath, Cause, Change, Exit, Facts, FileSystem, HostFacts, Measure, MountSight, NotLooked, Now,
    Observation, Policy, ProcessFacts, ProcessSight, Run, ServiceFacts, Subject,
};
use health_reporter::read::{ReadError, ReportFile, Unusable};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is remembered of a subject.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// Whether anybody looked in this boot.
    pub(crate) is_looked_at: bool,
    /// Whether it reported in this boot.
    pub(crate) has_reported: bool,
    /// The last report that could be used.
    pub(crate) report: Option<Box<Summary>>,
    /// When that one was written; of this boot only.
    pub(crate) sight: Option<Sight>,
    /// What the last boot left of the report.
    past: Option<Box<Past>>,
    /// What makes the report unusable now.
    pub(crate) obstacle: Option<Box<Obstacle>>,
    pub(crate) process: ProcessSight,
    /// Whether this run's process was seen alive.
    pub(crate) was_alive: bool,
    /// How this run ended, if it did.
    pub(crate) ending: Option<Box<Ending>>,
    /// The version of the program before, where it was another one.
    pub(crate) former_version: Option<Box<str>>,
    /// When runs were replaced by another one without a goodbye.
    pub(crate) reruns: Recent<LOOP_RESTARTS>,
    pub(crate) file_system: FileSystem,
    /// Whose the report's file is.
    pub(crate) owner_uid: Option<u32>,
    /// That another user wrote the report than the one as whom its unit runs.
    pub(crate) stranger: Option<Box<Obstacle>>,
    /// What the looks from outside showed.
    pub(crate) probes: Probes,
    pub(crate) measured: Option<Box<Measured>>,
    pub(crate) mount: Option<MountSight>,
    /// Another machine's lease.
    pub(crate) host: Option<Box<Leased>>,
}

/// What stands in the way of using a report, and since when, as time awake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Obstacle {
    pub(crate) hindrance: Hindrance,
    pub(crate) problem: Box<str>,
    pub(crate) since_awake: Duration,
    /// The change time of the file.
    pub(crate) changed: Option<Timestamp>,
}

/// The ways in which a report cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hindrance {
    Missing,
    Unreadable,
    NewerVersion,
    NotPermitted,
    Unavailable,
}

impl Hindrance {
    const fn of(error: &ReadError) -> Self {
        match error {
            ReadError::Missing => Self::Missing,
            ReadError::NotPermitted(_) => Self::NotPermitted,
            ReadError::Unreadable(_) => Self::Unreadable,
            ReadError::NewerVersion(_) => Self::NewerVersion,
        }
    }

    pub(crate) const fn cause(self) -> Cause {
        match self {
            Self::Missing => Cause::Missing,
            Self::Unreadable => Cause::ReportUnreadable,
            Self::NewerVersion => Cause::NewerVersion,
            Self::NotPermitted => Cause::NotPermitted,
            Self::Unavailable => Cause::ProbeUnavailable,
        }
    }
}

/// What became of the process that wrote a report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate<'a> {
    Lives(&'a ProcessFacts),
    Ended { how: &'static str, wait_status: Option<i32> },
    NotKnown(NotLooked),
}

impl<'a> Fate<'a> {
    /// A process with the right pid is the writer only if it started when the writer did, or at least before the
    /// report was written.
    fn of(process: &'a ProcessSight, start_ticks: Option<u64>, sight: &Sight) -> Self {
        match process {
            ProcessSight::NotLooked(why) => Self::NotKnown(*why),
            ProcessSight::Gone => Self::Ended { how: "its process is gone", wait_status: None },
            ProcessSight::Seen(seen) if !is_writer(seen, start_ticks, sight) => {
                Self::Ended { how: "its pid belongs to another process by now", wait_status: None }
            }
            ProcessSight::Seen(seen) if seen.state.has_ended() => {
                Self::Ended { how: "its process ended, its parent has not asked how", wait_status: seen.exit }
            }
            ProcessSight::Seen(seen) => Self::Lives(seen),
        }
    }
}

fn is_writer(seen: &ProcessFacts, start_ticks: Option<u64>, sight: &Sight) -> bool {
    let started = Duration::from_millis(seen.start_ticks.saturating_mul(10));
    match start_ticks {
        Some(ticks) => ticks == seen.start_ticks,
        // A second, because the time of a file is that of the kernel's last tick.
        None => sight.written_boottime().is_some_and(|written| started <= written + Duration::from_secs(1)),
    }
}

/// What was seen beside a report.
#[derive(Debug)]
struct Seen {
    process: ProcessSight,
    oom: Option<String>,
    changes: Vec<Change>,
}

/// What the whole state lends to the memory of one subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room<'a> {
    /// What its details may take.
    pub(crate) detail_bytes: usize,
    pub(crate) sleeps: &'a Sleeps,
}

impl Memory {
    /// What is remembered after an observation.
    pub(crate) fn after(
        mut self,
        observation: Observation,
        now: &Now,
        policy: &Policy,
        room: Room<'_>,
    ) -> Self {
        let Observation { subject, outcome, took } = observation;
        match outcome {
            Ok(Facts::TimePassed) => return self,
            Ok(Facts::Aftermath(found)) => {
                self.learn_aftermath(&found, &subject, now, room);
                return self;
            }
            Ok(Facts::Service(facts)) => self.look(*facts, &subject.name, now, room),
            Ok(Facts::Probe(facts)) => {
                self.probe(&subject, Look { kind: facts.kind(), outcome: Ok(facts), took }, now, policy);
            }
            Ok(Facts::Measure(measure)) => self.measure(measure, now, policy),
            Ok(Facts::Host(host)) => self.watch(*host, now),
            Ok(Facts::Mount(mount)) => (self.mount, self.obstacle) = (Some(mount), None),
            Err(error) => match error.kind {
                Some(kind) => {
                    self.probe(&subject, Look { kind, outcome: Err(error.to_string()), took }, now, policy);
                }
                None => self.hinder(Hindrance::Unavailable, &error.to_string(), None, now),
            },
        }
        self.is_looked_at = true;
        self.note_stranger(now);
        self
    }

    /// What is left of it when the machine has booted; `until` is the last boot time before that.
    pub(crate) fn after_boot(&mut self, until: Duration, awake: Duration) {
        let watched_until = self.obstacle.as_ref().map_or(awake, |obstacle| obstacle.since_awake);
        let host = self.host.take().map(|host| Box::new(host.after_boot(watched_until)));
        let report = self.report.take();
        let seen = self.sight.as_ref().map(|sight| sight.past(until));
        let past = seen.or_else(|| self.past.take().map(|past| past.aged(until)));
        *self = Self { report, host, past: past.map(Box::new), ..Self::default() };
    }

    /// Nobody looked for so long, the machine being awake: that counts against nobody, and whoever was alive before
    /// may have died at any time since.
    pub(crate) fn after_gap(&mut self, lasted: Duration) {
        self.was_alive &= self.has_ended();
        self.sight.iter_mut().for_each(|sight| sight.leave_unwatched(lasted));
        let obstacles = self.obstacle.iter_mut().chain(&mut self.stranger);
        obstacles.for_each(|obstacle| obstacle.since_awake += lasted);
        self.probes.after_gap(lasted);
        self.host.iter_mut().for_each(|host| host.leave_unwatched(lasted));
    }

    /// What it takes on the heap, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let problem =
            self.obstacle.as_ref().map_or(0, |obstacle| size_of::<Obstacle>() + obstacle.problem.len());
        let ending = self.ending.as_ref().map_or(0, |ending| ending.heap_bytes());
        let version = self.former_version.as_ref().map_or(0, |version| version.len());
        self.report.as_ref().map_or(0, |report| size_of::<Summary>() + report.heap_bytes())
            + problem
            + ending
            + version
            + self.past.as_ref().map_or(0, |_| size_of::<Past>())
            + self.reruns.heap_bytes()
            + self.probes.heap_bytes()
            + self.measured.as_ref().map_or(0, |_| size_of::<Measured>())
            + self.host.as_ref().map_or(0, |host| host.heap_bytes())
    }

    /// What became of the process that wrote the report.
    pub(crate) fn fate(&self, summary: &Summary, sight: &Sight) -> Fate<'_> {
        Fate::of(&self.process, summary.pid_start_ticks, sight)
    }

    fn probe(&mut self, subject: &Subject, look: Look, now: &Now, policy: &Policy) {
        let retries = policy.retries.get(subject).filter(|_| !policy.once).copied().unwrap_or(0);
        self.probes.learn(look, retries, now.awake());
    }

    /// Time in which the watch was lost counts against nobody.
    fn watch(&mut self, facts: HostFacts, now: &Now) {
        let mut former = self.host.take().map(|host| *host);
        if !self.is_looked_at {
            former = former.map(|former| former.watched_again(now));
        } else if let (Some(former), Some(lost)) = (&mut former, self.obstacle.take()) {
            former.leave_unwatched(now.awake().saturating_sub(lost.since_awake));
        }
        self.obstacle = None;
        self.host = Some(Box::new(Leased::after(former, facts, now)));
    }

    fn note_stranger(&mut self, now: &Now) {
        let problem = self.strangers_unit();
        let since_awake = self.stranger.as_ref().map_or(now.awake(), |former| former.since_awake);
        let (changed, hindrance) = (self.sight.as_ref().map(Sight::modified), Hindrance::NotPermitted);
        let obstacle =
            |problem: String| Obstacle { hindrance, problem: problem.into(), since_awake, changed };
        self.stranger = problem.map(|problem| Box::new(obstacle(problem)));
    }

    /// Whose process is seen is judged by that.
    fn strangers_unit(&self) -> Option<String> {
        let (file, unit) = (self.owner_uid.filter(|file| *file != 0)?, self.probes.unit()?);
        // What never ran belongs to nobody yet.
        let owner = unit.owner_uid.filter(|owner| unit.was_active && *owner != file)?;
        let is_seen = matches!(self.fate(self.report.as_ref()?, self.sight.as_ref()?), Fate::Lives(_));
        (!is_seen).then(|| format!("refused: the file belongs to user {file}, its unit to user {owner}"))
    }

    fn measure(&mut self, measure: Measure, now: &Now, policy: &Policy) {
        self.obstacle = None;
        let limits = policy.limits.get(&measure.quantity);
        self.measured = limits
            .map(|limits| Box::new(Measured::after(self.measured.as_deref(), measure, limits, now.awake())));
    }

    fn look(&mut self, facts: ServiceFacts, name: &str, now: &Now, room: Room<'_>) {
        let ServiceFacts { report, process, file_system, oom, changes } = facts;
        self.file_system = file_system;
        match report {
            Ok(file) => self.read(&file, Seen { process, oom, changes }, name, now, room),
            Err(Unusable { error, since }) => {
                if !matches!(process, ProcessSight::NotLooked(_)) {
                    self.process = process;
                    self.note_end(oom.as_deref(), &changes, now, room);
                }
                self.hinder(Hindrance::of(&error), &error.to_string(), since, now);
            }
        }
    }

    fn read(&mut self, file: &ReportFile, seen: Seen, name: &str, now: &Now, room: Room<'_>) {
        self.owner_uid = Some(file.owner_uid);
        let before = Before { sight: self.sight.as_ref(), past: self.past.as_deref() };
        let sight = Sight::of(file, before, room.sleeps, now);
        if let Some(problem) = strangers_process(file, &seen.process, &sight) {
            return self.hinder(Hindrance::NotPermitted, &problem, Some(file.changed), now);
        }
        let summary = Summary::of(file, name, room.detail_bytes);
        let is_same_run = self.report.as_ref().is_some_and(|former| former.is_same_run(&summary));
        if !is_same_run {
            self.begin_run(&summary, now);
        }
        self.learn(summary, sight, seen.process, is_same_run);
        self.note_end(seen.oom.as_deref(), &seen.changes, now, room);
    }

    fn hinder(&mut self, hindrance: Hindrance, problem: &str, changed: Option<Timestamp>, now: &Now) {
        let is_missing = hindrance == Hindrance::Missing;
        let former =
            self.obstacle.take().filter(|former| (former.hindrance == Hindrance::Missing) == is_missing);
        let since_awake = former.map_or(now.awake(), |former| former.since_awake);
        let problem = crate::wording::message(problem);
        self.obstacle = Some(Box::new(Obstacle { hindrance, problem, since_awake, changed }));
    }

    fn learn(&mut self, summary: Summary, sight: Sight, process: ProcessSight, is_same_run: bool) {
        if summary.said_goodbye() {
            self.reruns.clear();
        }
        // One that ended stays ended, also when nobody can look any more.
        let is_known_dead = is_same_run && self.has_ended();
        if !(is_known_dead && matches!(process, ProcessSight::NotLooked(_))) {
            self.process = process;
        }
        self.has_reported |= !sight.is_before_boot;
        // Whatever was known of an earlier boot is known of this one by now.
        (self.sight, self.past) = (Some(sight), None);
        self.report = Some(Box::new(summary));
        self.obstacle = None;
    }

    /// Another run: what was known of the end of the one before is its own.
    fn begin_run(&mut self, summary: &Summary, now: &Now) {
        let is_rerun = self.is_rerun(summary);
        if is_rerun {
            self.reruns.push(now.awake());
        }
        let former = self.report.take().and_then(|former| former.version);
        // Whoever is started again and again is still the program that replaced another one.
        if former != summary.version || !is_rerun {
            self.former_version = former;
        }
        (self.ending, self.was_alive) = (None, false);
    }

    /// Whether the run before had to be replaced: it reported in this boot, said no goodbye, and nobody else counts.
    fn is_rerun(&self, summary: &Summary) -> bool {
        let former = self.report.as_deref().zip(self.sight.as_ref());
        former.is_some_and(|(former, sight)| {
            !sight.is_before_boot
                && !former.said_goodbye()
                && began_after(summary, former, sight)
                && !self.is_counted_by_unit([former.pid, summary.pid])
        })
    }

    /// Whether systemd starts it again, and counts how often.
    fn is_counted_by_unit(&self, pids: [Option<u64>; 2]) -> bool {
        let counting = self.probes.unit().filter(|unit| unit.is_restarted);
        counting.and_then(|unit| unit.main_pid).is_some_and(|main| pids.contains(&Some(main.into())))
    }

    /// The last run, of the process that the report names, or else of the unit's main process.
    pub(crate) fn run_of<'a>(&'a self, subject: &'a Subject) -> Option<Run<'a>> {
        let unit = self.probes.unit();
        let Some(report) = &self.report else {
            let (pid, has_ended) = (unit?.main_pid?.into(), !unit?.runs());
            return Some(Run { subject, pid, start_ticks: None, has_ended, unit });
        };
        // A pid of another namespace is somebody else's here, and nothing is known of what was before the boot.
        if self.process == ProcessSight::NotLooked(NotLooked::OtherNamespace) {
            return None;
        }
        let pid = report.pid.filter(|_| self.sight.as_ref().is_some_and(|sight| !sight.is_before_boot))?;
        Some(Run { subject, pid, start_ticks: report.pid_start_ticks, has_ended: self.has_ended(), unit })
    }

    fn has_ended(&self) -> bool {
        let known = self.report.as_ref().zip(self.sight.as_ref());
        known.is_some_and(|(summary, sight)| matches!(self.fate(summary, sight), Fate::Ended { .. }))
    }

    /// What is known of the end of a process.
    pub(crate) fn ending_of(&self, pid: u64) -> Option<&Ending> {
        self.ending.as_deref().filter(|ending| ending.pid == Some(pid))
    }

    /// How a process ended can be seen only while it is a zombie, so it is kept.
    fn note_end(&mut self, oom: Option<&str>, changes: &[Change], now: &Now, room: Room<'_>) {
        let Some((summary, sight)) = self.report.as_deref().zip(self.sight.as_ref()) else { return };
        let status = match Fate::of(&self.process, summary.pid_start_ticks, sight) {
            Fate::Lives(_) => return (self.ending, self.was_alive) = (None, true),
            Fate::NotKnown(_) => return,
            Fate::Ended { wait_status, .. } => wait_status,
        };
        // Whose life was not seen may have ended at any time since the last beat.
        let beat = sight.written_boottime().unwrap_or_default();
        let ended = if self.was_alive { now.boottime } else { beat };
        let began = summary.began_boottime(beat);
        let pid = summary.pid;
        let ending = self.ending.get_or_insert_with(|| Box::new(Ending::of(pid, ended, now)));
        ending.exit = status.map(Exit::of_wait_status).or(ending.exit);
        if let Some(oom) = oom {
            ending.note_oom(oom, room.detail_bytes);
        }
        let span = Span { began, ended: ending.ended_boottime() };
        ending.note_changes(changes, span, now, room.detail_bytes);
    }

    /// What was found out about the end of the last run; of any other one it concerns nobody any more.
    fn learn_aftermath(&mut self, found: &Aftermath, subject: &Subject, now: &Now, room: Room<'_>) {
        if !self.run_of(subject).is_some_and(|run| run.has_ended && run.pid == found.pid) {
            return;
        }
        if self.ending_of(found.pid).is_none() {
            self.ending = Some(Box::new(Ending::of(Some(found.pid), now.boottime, now)));
        }
        self.ending.iter_mut().for_each(|ending| ending.learn(found, room.detail_bytes));
    }
}

/// Whether a run began when another one can no longer have reported: of two processes that take turns in writing one
/// report, none restarts.
fn began_after(summary: &Summary, former: &Summary, sight: &Sight) -> bool {
    if summary.pid.is_none() || former.pid.is_none() {
        return false;
    }
    let Some(ticks) = summary.pid_start_ticks else { return true };
    let began = Duration::from_millis(ticks.saturating_mul(10)).saturating_add(Duration::from_secs(1));
    let written = sight.written_boottime().filter(|_| sight.evidence == AgeEvidence::Written);
    former.pid_start_ticks.is_none_or(|former| ticks >= former)
        && written.is_none_or(|written| began >= written)
}

/// Whether the report claims a process of somebody else; root may write for anybody.
fn strangers_process(file: &ReportFile, process: &ProcessSight, sight: &Sight) -> Option<String> {
    let Fate::Lives(seen) = Fate::of(process, file.report.pid_start_ticks, sight) else { return None };
    let is_strange = file.owner_uid != 0 && file.owner_uid != seen.owner_uid;
    is_strange.then(|| {
        format!(
            "refused: the file belongs to user {}, its process to user {}",
            file.owner_uid, seen.owner_uid
        )
    })
}
