//! What the judge knows: one record a subject.

use crate::fallen::Fallen;
use crate::memory::{Memory, Room};
use crate::recent::Recent;
use crate::sleeps::Sleeps;
use crate::{
    Evidence, Gap, GapReason, HostFacts, Kind, Now, ProbeKind, Run, Subject, Transition, Verdict, judge,
};
use health_reporter::Status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// The version in which a state is saved, and the newest that is read.
const VERSION: u32 = 1;
/// What all details of all subjects may take together, in bytes.
const DETAIL_BYTES: usize = 4 * 1024 * 1024;
/// What the details of one subject may take, in bytes.
const MAX_DETAIL_BYTES: usize = 8 * 1024;
const MIN_DETAIL_BYTES: usize = 256;
/// So many changes in ten minutes are flapping.
const FLAPPING_CHANGES: usize = 6;
/// Without boot ids, a boot time this far behind the last one is that of another boot.
const BOOTTIME_TOLERANCE: Duration = Duration::from_secs(10);

/// What the judge knows. It is bounded in size for each subject, and serialises.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct State {
    version: Version,
    boot_id: Option<String>,
    boottime: Duration,
    suspended: Duration,
    /// When anything was last looked at.
    wall: Timestamp,
    sleeps: Sleeps,
    /// Time in which the machine was suspended, and of which nobody was told yet.
    untold_sleep: Option<Gap>,
    #[serde(serialize_with = "as_pairs")]
    subjects: BTreeMap<Subject, Box<Record>>,
    /// How many subjects share the room for details, where more are to come than there are.
    #[serde(skip)]
    announced: usize,
    /// When time alone may change a verdict, as boot time.
    #[serde(skip)]
    due: BTreeSet<(Duration, Subject)>,
}

/// What is known of one subject, to be kept and restored as it is: what is in it is the judge's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub(crate) memory: Memory,
    pub(crate) verdict: Verdict,
    /// When time alone may change the verdict, as boot time.
    pub(crate) due_boottime: Option<Duration>,
    /// When the last changes of the verdict were.
    #[serde(default)]
    pub(crate) changes: Recent<FLAPPING_CHANGES>,
    /// The run that ended badly, as long as it is down.
    #[serde(default)]
    pub(crate) fallen: Option<Box<Fallen>>,
}

impl Record {
    pub(crate) fn is_flapping(&self, now: &Now) -> bool {
        self.changes.until(now.awake()).is_some()
    }

    fn after_boot(&mut self, until: Duration, awake: Duration) {
        self.memory.after_boot(until, awake);
        self.changes.clear();
        (self.due_boottime, self.fallen) = (None, None);
    }
}

/// What a state is besides its records: to which time all of it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    version: Version,
    boot_id: Option<String>,
    boottime: Duration,
    #[serde(default)]
    suspended: Duration,
    /// The last instant at which anything was looked at.
    #[serde(default)]
    wall: Timestamp,
    #[serde(default)]
    sleeps: Sleeps,
    #[serde(default)]
    untold_sleep: Option<Gap>,
}

impl State {
    /// To which time the state belongs. It is kept beside the records, and with them.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            version: self.version,
            boot_id: self.boot_id.clone(),
            boottime: self.boottime,
            suspended: self.suspended,
            wall: self.wall,
            sleeps: self.sleeps.clone(),
            untold_sleep: self.untold_sleep.clone(),
        }
    }

    /// The last instant at which anything is known to have been looked at, wall time.
    #[must_use]
    pub const fn last_look(&self) -> Timestamp {
        self.wall
    }

    /// What is known of a subject, to be kept.
    #[must_use]
    pub fn record(&self, subject: &Subject) -> Option<&Record> {
        self.subjects.get(subject).map(|record| &**record)
    }

    /// The state that was kept.
    ///
    /// # Errors
    ///
    /// A newer program kept it.
    pub fn restored(
        head: Head,
        records: impl IntoIterator<Item = (Subject, Record)>,
    ) -> Result<Self, NewerState> {
        if head.version.0 > VERSION {
            return Err(NewerState(head.version.0));
        }
        let subjects: BTreeMap<_, _> =
            records.into_iter().map(|(subject, record)| (subject, Box::new(record))).collect();
        Ok(Self::of(head, subjects))
    }

    fn of(head: Head, subjects: BTreeMap<Subject, Box<Record>>) -> Self {
        let Head { version, boot_id, boottime, suspended, wall, sleeps, untold_sleep } = head;
        let due = due_of(subjects.iter());
        let announced = 0;
        Self { version, boot_id, boottime, suspended, wall, sleeps, untold_sleep, subjects, announced, due }
    }

    /// Goes on with a state that was kept, and tells of the time in which nobody looked; there is none before the
    /// very first look. Nobody becomes late by that time before he was looked at again.
    #[must_use]
    pub fn resume(mut self, now: &Now) -> (Self, Option<Gap>) {
        if !self.has_begun() {
            return (self, None);
        }
        let (from, awake) = (self.wall.min(now.wall), self.boottime.saturating_sub(self.suspended));
        let reason = if self.is_of_another_boot(now) { GapReason::Boot } else { GapReason::MonitorDown };
        let is_gap = reason == GapReason::Boot || now.boottime > self.boottime;
        self.enter_boot_of(now);
        self.untold_sleep = None;
        let lasted = now.awake().saturating_sub(awake);
        self.subjects.values_mut().for_each(|record| record.memory.after_gap(lasted));
        (self, is_gap.then_some(Gap { from, to: now.wall, reason }))
    }

    /// Notes that time has passed, and tells of the time in which the machine was suspended since the last time.
    #[must_use]
    pub fn pass(mut self, now: &Now) -> (Self, Option<Gap>) {
        self.enter_boot_of(now);
        let gap = self.untold_sleep.take();
        (self, gap)
    }

    /// Whether a look of this kind at a subject was bad, and is to be repeated soon before it is believed.
    #[must_use]
    pub fn is_retrying(&self, subject: &Subject, kind: ProbeKind) -> bool {
        self.subjects.get(subject).is_some_and(|record| record.memory.probes.is_doubted(kind))
    }

    /// Knows nothing, and that it is going to share the room for details with others: `subjects` in all.
    #[must_use]
    pub fn announcing(subjects: usize) -> Self {
        Self { announced: subjects, ..Self::default() }
    }

    /// Both together: what was learned of different subjects, at one instant. Of a subject that is in both, the
    /// record of `other` is kept.
    #[must_use]
    pub fn merge(mut self, mut other: Self) -> Self {
        if self.subjects.is_empty() {
            return Self { announced: self.announced.max(other.announced), ..other };
        }
        self.subjects.append(&mut other.subjects);
        if !(self.due.is_empty() && other.due.is_empty()) {
            self.due = due_of(self.subjects.iter());
        }
        self.announced = self.announced.max(other.announced);
        self
    }

    /// The verdict that is held on a subject.
    #[must_use]
    pub fn verdict(&self, subject: &Subject) -> Option<&Verdict> {
        self.subjects.get(subject).map(|record| &record.verdict)
    }

    /// Whether a subject changed so often in the last ten minutes that one change says little.
    #[must_use]
    pub fn is_flapping(&self, subject: &Subject, now: &Now) -> bool {
        self.subjects.get(subject).is_some_and(|record| record.is_flapping(now))
    }

    /// The boot time until which a subject counts as flapping, where it does and changes no more.
    #[must_use]
    pub fn flapping_until(&self, subject: &Subject, now: &Now) -> Option<Duration> {
        let calm = self.subjects.get(subject)?.changes.until(now.awake())?;
        Some(now.boottime_of(calm))
    }

    /// The process that the last report of a subject names, and whether it was seen alive.
    #[must_use]
    pub fn process(&self, subject: &Subject) -> Option<(u64, bool)> {
        let memory = &self.subjects.get(subject)?.memory;
        Some((memory.report.as_ref()?.pid?, memory.was_alive))
    }

    /// What a subject last said that it was doing.
    #[must_use]
    pub fn task(&self, subject: &Subject) -> Option<&str> {
        self.subjects.get(subject)?.memory.report.as_ref()?.current_task.as_deref()
    }

    /// The last run of a subject, where its process is known.
    #[must_use]
    pub fn run(&self, subject: &Subject) -> Option<Run<'_>> {
        let (subject, record) = self.subjects.get_key_value(subject)?;
        record.memory.run_of(subject)
    }

    /// The last run of each subject whose process is known, in the order of subjects.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        self.records().filter_map(|(subject, record)| record.memory.run_of(subject))
    }

    /// Whether the last run of a subject is known to have ended.
    #[must_use]
    pub fn has_ended(&self, subject: &Subject) -> bool {
        self.run(subject).is_some_and(|run| run.has_ended)
    }

    /// How another machine was last seen, with what it said of itself.
    #[must_use]
    pub fn host(&self, subject: &Subject) -> Option<&HostFacts> {
        Some(&self.subjects.get(subject)?.memory.host.as_ref()?.facts)
    }

    /// Whether a report of a subject was ever read.
    #[must_use]
    pub fn has_report(&self, subject: &Subject) -> bool {
        self.subjects.get(subject).is_some_and(|record| record.memory.report.is_some())
    }

    /// Each known subject, by kind and name.
    pub fn all_subjects(&self) -> impl Iterator<Item = &Subject> {
        self.subjects.keys()
    }

    /// Each known subject of a kind, in order: what disappeared is to be observed as missing.
    pub fn subjects(&self, kind: Kind) -> impl Iterator<Item = &Subject> {
        self.subjects.keys().filter(move |subject| subject.kind == kind)
    }

    /// The number of known subjects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Drops what is known of a subject: it is no longer expected because it reported once. Whether it was known.
    pub fn forget(&mut self, subject: &Subject) -> bool {
        self.take(subject).is_some()
    }

    /// Drops the subjects that are gone from the machine, such as file systems and units that nobody named. Whoever
    /// was told that one of them is bad is told that nobody looks at it any more.
    pub fn forget_gone(&mut self, is_gone: impl Fn(&Subject) -> bool, now: &Now) -> Vec<Transition> {
        let gone: Vec<_> = self.subjects.keys().filter(|subject| is_gone(subject)).cloned().collect();
        let records = gone.into_iter().filter_map(|subject| Some((self.take(&subject)?, subject)));
        let bad =
            records.filter(|(record, _)| !matches!(record.verdict.status, Status::Healthy | Status::Unknown));
        bad.map(|(record, subject)| judge::gone(&subject, &record, now)).collect()
    }

    /// The earliest boot time at which some verdict could change by time alone.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The boot time at which the verdict on a subject could change by time alone.
    #[must_use]
    pub fn deadline_of(&self, subject: &Subject) -> Option<Duration> {
        self.subjects.get(subject)?.due_boottime
    }

    /// The subjects whose deadline is reached at `boottime`, the earliest first: each is to be judged again, with
    /// [`Observation::time_passed`](crate::Observation::time_passed) if there is nothing new to see.
    pub fn due(&self, boottime: Duration) -> impl Iterator<Item = &Subject> {
        self.due.iter().take_while(move |(at, _)| *at <= boottime).map(|(_, subject)| subject)
    }

    /// What the state takes, estimated, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        // The nodes of a B-tree are half full where names come in order.
        let nodes = (size_of::<(Subject, Box<Record>)>() + size_of::<(Duration, Subject)>()) * 2;
        let heap = |(subject, record): (&Subject, &Record)| {
            size_of::<Record>()
                + subject.name.len()
                + 32
                + record.memory.heap_bytes()
                + record.verdict.heap_bytes()
                + record.changes.heap_bytes()
                + record.fallen.as_ref().map_or(0, |_| size_of::<Fallen>())
        };
        self.subjects.len() * nodes + self.records().map(heap).sum::<usize>()
    }

    /// Each subject with what is known of it, in order.
    pub fn records(&self) -> impl Iterator<Item = (&Subject, &Record)> {
        self.subjects.iter().map(|(subject, record)| (subject, &**record))
    }

    /// Each subject with its record, in order.
    pub(crate) fn into_records(self) -> impl Iterator<Item = (Subject, Record)> {
        self.subjects.into_iter().map(|(subject, record)| (subject, *record))
    }

    /// Holds the verdict of a transition, as who judged held it; what services say they depend on is as in `known`.
    pub(crate) fn show(&mut self, transition: &Transition, known: &Self, now: &Now) {
        self.enter_boot_of(now);
        let former = self.take(&transition.subject);
        if judge::is_gone(transition) {
            return;
        }
        let mut changes = former.map(|former| former.changes).unwrap_or_default();
        if transition.is_change() {
            changes.push(now.awake());
        }
        let memory = known.record(&transition.subject).map(|record| record.memory.clone());
        let verdict = Verdict {
            status: transition.to,
            cause: transition.cause,
            message: transition.message.clone(),
            reasons: Vec::new(),
            evidence: Evidence::default(),
            since: transition.since,
        };
        let memory = memory.unwrap_or_default();
        let record = Record { memory, verdict, due_boottime: None, changes, fallen: None };
        self.keep(transition.subject.clone(), record);
    }

    pub(crate) fn take(&mut self, subject: &Subject) -> Option<Record> {
        let record = self.subjects.remove(subject)?;
        if let Some(at) = record.due_boottime {
            self.due.remove(&(at, subject.clone()));
        }
        Some(*record)
    }

    pub(crate) fn keep(&mut self, subject: Subject, record: Record) {
        if let Some(at) = record.due_boottime {
            self.due.insert((at, subject.clone()));
        }
        self.subjects.insert(subject, Box::new(record));
    }

    /// Each known service from a name on, in order.
    pub(crate) fn subjects_from(&self, first: &Subject) -> impl Iterator<Item = &Subject> {
        let of_kind = first.kind;
        self.subjects.range(first.clone()..).map(|(subject, _)| subject).filter(move |it| it.kind == of_kind)
    }

    /// An instance of a service that reported, if the service itself is not among them.
    pub(crate) fn reporting_instance(&self, subject: &Subject) -> Option<&Subject> {
        let first = Subject::new(subject.kind, &format!("{}@", subject.name));
        let instances = self.subjects.range(first..).take_while(|(other, _)| {
            other.kind == subject.kind
                && other.name.strip_prefix(&*subject.name).is_some_and(|rest| rest.starts_with('@'))
        });
        let mut reporting = instances.filter(|(other, record)| {
            record.memory.report.is_some() && other.service_type() == &*subject.name
        });
        reporting.next().map(|(other, _)| other)
    }

    /// The service that stands for all its instances, where it is known only because it is expected.
    pub(crate) fn stand_in(&self, instance: &Subject) -> Option<Subject> {
        let service_type = instance.service_type();
        if instance.kind != Kind::Service || service_type == &*instance.name {
            return None;
        }
        let service = Subject::service(service_type);
        self.subjects.get(&service).filter(|record| record.memory.report.is_none())?;
        Some(service)
    }

    /// What the details of one subject may take, so that all together stay bounded.
    pub(crate) fn detail_bytes(&self) -> usize {
        let sharing = self.subjects.len().max(self.announced).max(1);
        (DETAIL_BYTES / sharing).clamp(MIN_DETAIL_BYTES, MAX_DETAIL_BYTES)
    }

    pub(crate) fn room(&self) -> Room<'_> {
        Room { detail_bytes: self.detail_bytes(), sleeps: &self.sleeps }
    }

    pub(crate) const fn sleeps(&self) -> &Sleeps {
        &self.sleeps
    }

    /// Boot times are of one boot only, and so is what was seen of processes.
    pub(crate) fn enter_boot_of(&mut self, now: &Now) {
        if self.is_of_another_boot(now) {
            let awake = self.boottime.saturating_sub(self.suspended);
            self.subjects.values_mut().for_each(|record| record.after_boot(self.boottime, awake));
            self.due.clear();
            // Who was not looked at yet may have slept through all of it; the gap of the boot tells of it.
            self.sleeps.clear();
            self.sleeps.note(Duration::ZERO, now.boottime, now.suspended);
            self.untold_sleep = None;
        } else if self.has_begun() {
            self.note_sleep(now);
        }
        if self.boot_id.as_deref() != now.boot_id.as_deref() {
            self.boot_id = now.boot_id.as_deref().map(str::to_owned);
        }
        (self.boottime, self.suspended, self.wall) = (now.boottime, now.suspended, now.wall);
    }

    /// Whether anything was ever looked at.
    fn has_begun(&self) -> bool {
        !self.boottime.is_zero() || self.wall != Timestamp::default()
    }

    fn note_sleep(&mut self, now: &Now) {
        let lasted = now.suspended.saturating_sub(self.suspended);
        if self.sleeps.note(self.boottime, now.boottime, lasted) {
            let from = self.untold_sleep.as_ref().map_or(self.wall, |gap| gap.from).min(now.wall);
            self.untold_sleep = Some(Gap { from, to: now.wall, reason: GapReason::Suspended });
            self.subjects.values_mut().for_each(|record| record.memory.probes.forget_doubts());
        }
    }

    fn is_of_another_boot(&self, now: &Now) -> bool {
        match (self.boot_id.as_deref(), now.boot_id.as_deref()) {
            (Some(former), Some(current)) => former != current,
            _ => now.boottime + BOOTTIME_TOLERANCE < self.boottime,
        }
    }
}

fn due_of<'a>(
    subjects: impl Iterator<Item = (&'a Subject, &'a Box<Record>)>,
) -> BTreeSet<(Duration, Subject)> {
    subjects.filter_map(|(subject, record)| Some((record.due_boottime?, subject.clone()))).collect()
}

fn as_pairs<S: Serializer>(
    subjects: &BTreeMap<Subject, Box<Record>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(subjects)
}

/// A state as it is read.
#[derive(Deserialize)]
struct Saved {
    #[serde(flatten)]
    head: Head,
    subjects: Vec<(Subject, Box<Record>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Version(u32);

impl Default for Version {
    fn default() -> Self {
        Self(VERSION)
    }
}

impl TryFrom<Saved> for State {
    type Error = NewerState;

    fn try_from(saved: Saved) -> Result<Self, NewerState> {
        if saved.head.version.0 > VERSION {
            return Err(NewerState(saved.head.version.0));
        }
        Ok(Self::of(saved.head, saved.subjects.into_iter().collect()))
    }
}

/// A newer program saved the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewerState(u32);

impl std::error::Error for NewerState {}

impl fmt::Display for NewerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "saved in version {}, this program knows version {VERSION}: update it", self.0)
    }
}
