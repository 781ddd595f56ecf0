//! What is to be remembered and is not in `state.db`, put together until it is handed over: heartbeats that say the
//! same, numbers of a minute, planned work, and time that never was.

use crate::history::batch::Batch;
use crate::history::{MachineState, Record};
use healthcheck_core::alerts::Rules;
use healthcheck_core::history::numbers::Meter;
use healthcheck_core::history::{Beats, Bin, Resolution, Window};
use healthcheck_core::{Gap, GapReason, Now, Subject, Verdict};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// The wall clock was set if it went further than this beyond the time that has passed.
const SET_FORWARD: SignedDuration = SignedDuration::from_secs(2);
/// Heartbeats that are gathered, each by itself, before they are handed over.
const MAX_BEATS: usize = 4_096;
/// How long heartbeats are gathered where each of them is wanted.
const EACH_WITHIN: Duration = Duration::from_secs(1);

/// Where in `state.db` transitions are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ledgered {
    /// The database, where there is one.
    pub(super) state: String,
    /// The last number that was given.
    pub(super) last: i64,
}

/// Whether a report was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Newness {
    /// In this run.
    Known,
    New,
    /// It is the first of its service in this run; a former run may have seen it.
    First,
}

/// A heartbeat of a subject, or a look at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat {
    /// Wall time.
    pub(super) at: Timestamp,
    /// A former run of the monitor may have seen it.
    pub(super) may_be_known: bool,
}

/// What is gathered.
#[derive(Debug)]
pub(super) struct Gathering {
    run: String,
    number: u64,
    record: Record,
    beats: BTreeMap<Subject, Vec<Beats>>,
    count: usize,
    /// Of verdicts that have changed since, and are not committed yet.
    closed: Vec<Beats>,
    numbers: BTreeMap<(Subject, String), Bin>,
    full: Vec<(Subject, String, Bin)>,
    amended: Vec<i64>,
    forgotten: Vec<(Subject, Timestamp)>,
    /// By name.
    machines: BTreeMap<String, MachineState>,
    gaps: Vec<Gap>,
    /// The last heartbeat of each service, as the kernel stamped its file.
    stamps: BTreeMap<Subject, Timestamp>,
    pub(super) meter: Meter,
    /// The last round of the loop: wall time, and boot time.
    clock: Option<(Timestamp, Duration)>,
    /// When the last batch was made.
    cut_boottime: Option<Duration>,
    due_boottime: Option<Duration>,
}

impl Gathering {
    /// Of one run of the monitor, which is called so.
    pub(super) fn of(run: String, record: Record) -> Self {
        Self {
            run,
            number: 0,
            record,
            beats: BTreeMap::new(),
            count: 0,
            closed: Vec::new(),
            numbers: BTreeMap::new(),
            full: Vec::new(),
            amended: Vec::new(),
            forgotten: Vec::new(),
            machines: BTreeMap::new(),
            gaps: Vec::new(),
            stamps: BTreeMap::new(),
            meter: Meter::default(),
            clock: None,
            cut_boottime: None,
            due_boottime: None,
        }
    }

    /// From now on each heartbeat is kept by itself, or not.
    pub(super) const fn record(&mut self, record: Record) {
        self.record = record;
    }

    /// Whether a report is another one than was last seen; `stamp` is the kernel's of its file.
    pub(super) fn newness(&mut self, subject: &Subject, stamp: Timestamp) -> Newness {
        match self.stamps.get_mut(subject) {
            Some(known) if *known == stamp => Newness::Known,
            Some(known) => {
                *known = stamp;
                Newness::New
            }
            None => {
                self.stamps.insert(subject.clone(), stamp);
                Newness::First
            }
        }
    }

    /// The verdict on a subject has changed: what was gathered of it before was said of the former one.
    pub(super) fn turn(&mut self, subject: &Subject) {
        self.closed.extend(self.beats.remove(subject).unwrap_or_default());
    }

    /// A heartbeat of a subject, or a look at it, under the verdict that it led to.
    pub(super) fn beat(&mut self, subject: &Subject, verdict: &Verdict, task: Option<&str>, beat: Beat) {
        let Beat { at, may_be_known } = beat;
        let of_subject = self.beats.entry(subject.clone()).or_default();
        let Verdict { status, cause, .. } = *verdict;
        match of_subject.last_mut() {
            Some(last)
                if self.record == Record::Changes
                    && (last.status, last.cause, last.task.as_deref()) == (status, cause, task) =>
            {
                last.count += 1;
                last.last = last.last.max(at);
            }
            _ => {
                let (subject, task) = (subject.clone(), task.map(str::to_owned));
                let count = 1;
                of_subject.push(Beats {
                    subject,
                    status,
                    cause,
                    task,
                    first: at,
                    last: at,
                    count,
                    may_be_known,
                });
                self.count += 1;
            }
        }
    }

    /// Numbers that were measured at an instant.
    pub(super) fn measure(&mut self, subject: &Subject, numbers: Vec<(String, f64)>, at: Timestamp) {
        let minute = Resolution::Minute.begin_of(at);
        for (metric, value) in numbers {
            let bin = Bin::of(minute, value);
            let key = (subject.clone(), metric);
            match self.numbers.get_mut(&key) {
                Some(known) if known.at == minute => *known = known.and(bin),
                Some(known) => {
                    let over = std::mem::replace(known, bin);
                    self.full.push((key.0, key.1, over));
                }
                None => drop(self.numbers.insert(key, bin)),
            }
        }
    }

    /// More became known of a transition.
    pub(super) fn amend(&mut self, id: i64) {
        self.amended.push(id);
    }

    /// Nobody looks at a subject any more.
    pub(super) fn forget(&mut self, subject: &Subject, at: Timestamp) {
        self.beats.remove(subject);
        self.stamps.remove(subject);
        self.meter.retain(|known| known != subject);
        self.forgotten.push((subject.clone(), at));
    }

    /// How it stands with a machine, this one or another: of each, what is said last is handed over.
    pub(super) fn note_machine(&mut self, machine: MachineState) {
        self.machines.insert(machine.name.clone(), machine);
    }

    /// When the next batch is due by what was gathered; nothing where it may wait for the next pulse.
    pub(super) fn next_boottime(&mut self, boottime: Duration) -> Option<Duration> {
        if self.count == 0 || self.record == Record::Changes && self.count < MAX_BEATS {
            self.due_boottime = None;
        } else if self.count >= MAX_BEATS {
            self.due_boottime = Some(boottime);
        } else {
            self.due_boottime.get_or_insert(boottime + EACH_WITHIN);
        }
        self.due_boottime
    }

    /// After transitions were committed: what was said before them, if anything was.
    pub(super) fn cut_before(&mut self, before: &Ledgered, wall: Timestamp) -> Option<Batch> {
        let beats = std::mem::take(&mut self.closed);
        (!beats.is_empty()).then(|| Batch { beats, ..self.empty(before, wall) })
    }

    /// Everything but the numbers, after transitions were committed.
    pub(super) fn cut(&mut self, ledgered: &Ledgered, wall: Timestamp) -> Batch {
        let mut beats = std::mem::take(&mut self.closed);
        beats.extend(std::mem::take(&mut self.beats).into_values().flatten());
        (self.count, self.due_boottime) = (0, None);
        Batch {
            beats,
            gaps: std::mem::take(&mut self.gaps),
            amended: std::mem::take(&mut self.amended),
            forgotten: std::mem::take(&mut self.forgotten),
            machines: std::mem::take(&mut self.machines).into_values().collect(),
            ..self.empty(ledgered, wall)
        }
    }

    /// Everything, at the end of a minute or so: also numbers, and what was planned meanwhile.
    pub(super) fn cut_all<'a>(
        &mut self,
        ledgered: &Ledgered,
        now: &Now,
        subjects: impl Iterator<Item = &'a Subject>,
        rules: &Rules,
    ) -> Batch {
        let since = self.note_time(now);
        let maintenance = since.map(|since| planned(since, subjects, rules)).unwrap_or_default();
        let mut numbers = std::mem::take(&mut self.full);
        let begun = std::mem::take(&mut self.numbers).into_iter();
        numbers.extend(begun.map(|((subject, metric), bin)| (subject, metric, bin)));
        Batch { maintenance, numbers, ..self.cut(ledgered, now.wall) }
    }

    /// A wall clock that was set forward since this was last called makes a gap. It is called in each round of the loop,
    /// so that the gap is where the step was.
    pub(super) fn note_clock(&mut self, now: &Now) {
        let Some((wall, boottime)) = self.clock.replace((now.wall, now.boottime)) else { return };
        let jumped = now.wall.duration_since(wall) - passed(boottime, now);
        if let Ok(from) = now.wall.checked_sub(jumped)
            && jumped > SET_FORWARD
        {
            self.gaps.push(Gap { from, to: now.wall, reason: GapReason::ClockSet });
        }
    }

    /// The time since the last batch.
    fn note_time(&mut self, now: &Now) -> Option<Window> {
        let boottime = self.cut_boottime.replace(now.boottime)?;
        let from = now.wall.checked_sub(passed(boottime, now)).ok()?;
        Some(Window { from, to: now.wall })
    }

    fn empty(&mut self, ledgered: &Ledgered, until: Timestamp) -> Batch {
        self.number += 1;
        Batch {
            run: self.run.clone(),
            number: self.number,
            state: ledgered.state.clone(),
            after: ledgered.last,
            until,
            record: self.record,
            gaps: Vec::new(),
            amended: Vec::new(),
            maintenance: Vec::new(),
            beats: Vec::new(),
            numbers: Vec::new(),
            forgotten: Vec::new(),
            machines: Vec::new(),
        }
    }
}

fn passed(since_boottime: Duration, now: &Now) -> SignedDuration {
    SignedDuration::try_from(now.boottime.saturating_sub(since_boottime)).unwrap_or_default()
}

/// When each subject need not work.
fn planned<'a>(
    since: Window,
    subjects: impl Iterator<Item = &'a Subject>,
    rules: &Rules,
) -> Vec<(Subject, Window)> {
    let times: Vec<_> = rules
        .maintenance
        .iter()
        .map(|window| (window, window.times(since, &rules.zone)))
        .filter(|(_, times)| !times.is_empty())
        .collect();
    if times.is_empty() {
        return Vec::new();
    }
    let of = |subject: &Subject| -> Vec<(Subject, Window)> {
        let meant = times.iter().filter(|(window, _)| window.is_meant_for(subject));
        meant.flat_map(|(_, times)| times.iter().map(|time| (subject.clone(), *time))).collect()
    };
    subjects.flat_map(of).collect()
}

#[cfg(test)]
mod tests;
