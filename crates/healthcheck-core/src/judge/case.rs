//! What the rows of the table look at.

use crate::ending::Ending;
use crate::memory::{Fate, Hindrance, Memory, Obstacle};
use crate::sight::Sight;
use crate::sleeps::Sleeps;
use crate::state::State;
use crate::summary::Summary;
use crate::{Exit, Kind, Now, Policy, ServicePolicy, Subject, UnitFacts, Verdict, wording};
use health_reporter::{State as Life, Status};
use jiff::Timestamp;
use std::time::Duration;

/// All that bears on one subject.
pub(crate) struct Case<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) now: &'a Now,
    pub(crate) policy: &'a Policy,
    pub(crate) settings: Option<&'a ServicePolicy>,
    /// An instance that reports in the place of a service that itself does not.
    pub(crate) instance: Option<&'a Subject>,
    /// Whether it has a verdict already.
    pub(crate) is_held: bool,
    pub(crate) kind: Kind,
    pub(crate) sleeps: &'a Sleeps,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        subject: &Subject,
        memory: &'a Memory,
        now: &'a Now,
        policy: &'a Policy,
        state: &'a State,
    ) -> Self {
        let is_service = subject.kind == Kind::Service;
        let settings = policy.service(&subject.name).filter(|_| is_service);
        let instance = match memory.report {
            None if is_service => state.reporting_instance(subject),
            _ => None,
        };
        let (kind, sleeps) = (subject.kind, state.sleeps());
        Self { memory, now, policy, settings, instance, is_held: true, kind, sleeps }
    }

    /// The same for a subject without a verdict yet.
    pub(crate) const fn held(self, is_held: bool) -> Self {
        Self { is_held, ..self }
    }

    /// Whether somebody counts on it: by configuration, or because it reported once.
    pub(crate) const fn is_expected(&self) -> bool {
        match self.kind {
            Kind::Service => self.settings.is_some() || self.memory.report.is_some(),
            Kind::Zmq | Kind::Probe => true,
            Kind::Resource | Kind::Host | Kind::Channel => false,
        }
    }

    /// Whether it has no file, and an instance of it reports in its place.
    pub(crate) fn is_represented(&self) -> bool {
        let is_missing = |obstacle: &Obstacle| obstacle.hindrance == Hindrance::Missing;
        self.instance.is_some()
            && self.memory.probes.is_empty()
            && self.memory.obstacle.as_deref().is_some_and(is_missing)
    }

    /// Whether nothing need be kept of what has no verdict: nobody was told anything that must be taken back.
    pub(crate) fn is_forgotten(&self, held: Option<&Verdict>) -> bool {
        self.memory.report.is_none() && held.is_none_or(|held| held.status == Status::Unknown)
    }

    /// The deadline of the last report.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let configured = self.settings.and_then(|settings| settings.deadline);
        let declared = self.memory.report.as_deref()?.deadline_s.map(wording::seconds);
        let default = || wording::seconds(health_reporter::DEFAULT_DEADLINE_S);
        Some(declared.or(configured).unwrap_or_else(default))
    }

    /// The unit whose main process wrote the report, where systemd says so.
    pub(crate) fn units_own(&self) -> Option<&UnitFacts> {
        let pid = self.memory.report.as_ref()?.pid?;
        self.memory.probes.unit().filter(|unit| unit.main_pid.is_some_and(|main| u64::from(main) == pid))
    }

    /// What is known of the end of the process that wrote the report.
    pub(crate) fn ending(&self) -> Option<&'a Ending> {
        self.memory.ending_of(self.memory.report.as_ref()?.pid?)
    }

    /// How the process that wrote the report ended, where somebody knows.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.ending().and_then(|ending| ending.exit).or_else(|| self.units_own()?.exit)
    }

    /// The end of the grace, as boot time, while it lasts.
    pub(crate) fn grace(&self) -> Option<Duration> {
        let left = Some(self.policy.grace).filter(|grace| !self.policy.once && self.now.awake() < *grace);
        left.map(|grace| self.now.boottime_of(grace))
    }
}

/// A report that can be used, and when it was written.
pub(crate) struct Told<'a> {
    pub(crate) case: &'a Case<'a>,
    pub(crate) summary: &'a Summary,
    pub(crate) sight: &'a Sight,
    pub(crate) age: Duration,
    /// How much of its age its writer had to write another one: all of it for a job, which is due by the calendar.
    pub(crate) counted_age: Duration,
    pub(crate) deadline: Duration,
    /// When it is late: what became due while the machine was suspended has a grace.
    limit: Duration,
}

impl<'a> Told<'a> {
    /// The last report, if one was read in this boot.
    pub(crate) fn new(case: &'a Case<'a>) -> Option<Self> {
        let (summary, sight) = (case.memory.report.as_deref()?, case.memory.sight.as_ref()?);
        let (age, deadline) = (sight.age(case.now), case.deadline()?);
        let (counted_age, limit) = match summary.state {
            Life::Finished => (age, deadline + put_off(case, sight.instant_of_age(deadline))),
            _ => (sight.counted_age(case.now), deadline),
        };
        Some(Self { case, summary, sight, age, counted_age, deadline, limit })
    }

    pub(crate) fn is_late(&self) -> bool {
        self.counted_age >= self.limit
    }

    /// The boot time at which it becomes late, if it is not yet.
    pub(crate) fn late_at(&self) -> Option<Duration> {
        (!self.is_late()).then(|| self.at_age(self.limit))
    }

    /// The boot time at which it reaches an age that it has not yet, if the machine is not suspended until then.
    pub(crate) fn at_age(&self, age: Duration) -> Duration {
        self.case.now.boottime + age.saturating_sub(self.counted_age)
    }

    /// How much of its age the machine slept, where that counts for nothing.
    pub(crate) fn asleep(&self) -> Option<Duration> {
        Some(self.sight.asleep(self.case.now)).filter(|asleep| !asleep.is_zero())
    }

    /// The wall time of the last beat, by the clock that cannot be set.
    pub(crate) fn last_beat(&self) -> Timestamp {
        self.case.now.wall_before(self.age)
    }

    /// The wall time at which it became late.
    pub(crate) fn late_since(&self) -> Timestamp {
        self.case.now.wall_before(self.counted_age.saturating_sub(self.limit))
    }

    /// When it says that it was written, or when its file was.
    pub(crate) fn updated(&self) -> Timestamp {
        self.summary.last_updated.unwrap_or_else(|| self.sight.modified())
    }

    pub(crate) fn fate(&self) -> Fate<'a> {
        self.case.memory.fate(self.summary, self.sight)
    }

    pub(crate) fn age_in_words(&self) -> String {
        wording::duration(self.age)
    }
}

/// How much later it is due because the machine slept.
fn put_off(case: &Case<'_>, due_boottime: Duration) -> Duration {
    case.sleeps.put_off(due_boottime, case.policy.grace).saturating_sub(due_boottime)
}
