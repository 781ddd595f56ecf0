//! A machine that exists as values only.

use health_reporter::read::{Dialect, ReadError, ReportFile, Unusable};
use health_reporter::{Check, HealthReport, Status};
use healthcheck_core::{
    Cause, Facts, FileSystem, Gap, Head, Kind, NotLooked, Now, Observation, Policy, ProbeError, ProcessCost,
    ProcessFacts, ProcessSight, ProcessState, Record, ServiceFacts, ServicePolicy, ServiceView, Snapshot,
    State, Subject, Transition, Verdict, step,
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

pub(crate) const MINUTE: f64 = 60.0;
pub(crate) const HOUR: f64 = 3_600.0;
pub(crate) const DAY: f64 = 86_400.0;
pub(crate) const UID: u32 = 1000;
pub(crate) const PID: u64 = 42;
/// The process of each report started 5,000 s after boot.
pub(crate) const TICKS: u64 = 500_000;

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) state: State,
    pub(crate) policy: Policy,
    /// All transitions so far.
    pub(crate) transitions: Vec<Transition>,
}

impl World {
    /// A machine that booted 10,000 s ago.
    pub(crate) fn new() -> Self {
        let now = Now {
            wall: "2025-06-01T12:00:00Z".parse().unwrap(),
            boottime: Duration::from_secs(10_000),
            suspended: Duration::ZERO,
            boot_id: Some("boot-1".into()),
        };
        Self { now, state: State::default(), policy: Policy::default(), transitions: Vec::new() }
    }

    pub(crate) fn once() -> Self {
        let mut world = Self::new();
        world.policy.once = true;
        world
    }

    pub(crate) fn expecting(mut self, name: &str) -> Self {
        self.policy.services.insert(name.into(), ServicePolicy::default());
        self
    }

    pub(crate) fn pass(&mut self, seconds: f64) {
        self.now.wall += SignedDuration::from_secs_f64(seconds);
        self.now.boottime += Duration::from_secs_f64(seconds);
    }

    /// Sleeps, and wakes up.
    pub(crate) fn suspend(&mut self, seconds: f64) {
        self.pass(seconds);
        self.now.suspended += Duration::from_secs_f64(seconds);
    }

    /// Notes that time has passed.
    pub(crate) fn tick(&mut self) -> Option<Gap> {
        let (state, gap) = std::mem::take(&mut self.state).pass(&self.now);
        self.state = state;
        gap
    }

    /// Another monitor goes on with what this one saved.
    pub(crate) fn restart(&mut self) -> Option<Gap> {
        let records = |state: &State, kind| -> Vec<_> {
            state.subjects(kind).map(|it| (it.clone(), state.record(it).unwrap().clone())).collect()
        };
        let kinds = [Kind::Service, Kind::Zmq, Kind::Probe, Kind::Resource, Kind::Host];
        let records: Vec<_> = kinds.into_iter().flat_map(|kind| records(&self.state, kind)).collect();
        let saved = serde_json::to_string(&(self.state.head(), records)).unwrap();
        let (head, records): (Head, Vec<(Subject, Record)>) = serde_json::from_str(&saved).unwrap();
        let (state, gap) = State::restored(head, records).unwrap().resume(&self.now);
        self.state = state;
        gap
    }

    pub(crate) fn set_clock(&mut self, seconds: i64) {
        self.now.wall += SignedDuration::from_secs(seconds);
    }

    /// Boots again; a minute passes meanwhile.
    pub(crate) fn boot(&mut self, boot_id: Option<&str>) {
        self.now.wall += SignedDuration::from_secs(60);
        self.now.boottime = Duration::from_secs(5);
        self.now.boot_id = boot_id.map(Into::into);
    }

    pub(crate) fn wall_ago(&self, seconds: f64) -> Timestamp {
        self.now.wall - SignedDuration::from_secs_f64(seconds)
    }

    /// A healthy report written `age` seconds ago by a living process.
    pub(crate) fn beat(&self, age: f64) -> ServiceFacts {
        let mut report = HealthReport::new(Status::Healthy);
        report.pid = Some(PID);
        report.pid_start_ticks = Some(TICKS);
        report.boot_id = self.now.boot_id.as_deref().map(str::to_owned);
        report.written_boottime_s = Some(self.now.boottime.as_secs_f64() - age);
        report.uptime = Some(4.0 * HOUR + 12.0 * MINUTE);
        report.last_updated = Some(self.wall_ago(age));
        ServiceFacts { process: alive(), ..self.file(report, age) }
    }

    /// A healthy report, written now by a process that started just before.
    pub(crate) fn run(&self, pid: u64) -> ServiceFacts {
        let ticks = u64::try_from(self.now.boottime.as_millis() / 10).unwrap();
        let seen = ProcessFacts { start_ticks: ticks, ..process(ProcessState::Sleeping) };
        let facts = self.beat(0.0).by(ProcessSight::Seen(seen));
        facts.says(|r| (r.pid, r.pid_start_ticks, r.uptime) = (Some(pid), Some(ticks), Some(0.0)))
    }

    /// A report as a shell script writes it, `age` seconds ago by the file's time.
    pub(crate) fn plain(&self, age: f64) -> ServiceFacts {
        self.file(HealthReport::new(Status::Healthy), age)
    }

    pub(crate) fn file(&self, report: HealthReport, age: f64) -> ServiceFacts {
        let modified = self.wall_ago(age);
        let dialect = Dialect::HealthReport;
        ServiceFacts::of_report(Ok(ReportFile {
            report,
            dialect,
            modified,
            changed: modified,
            owner_uid: UID,
        }))
    }

    pub(crate) fn see(&mut self, name: &str, facts: ServiceFacts) -> Vec<Transition> {
        self.observe(name, Ok(Facts::Service(Box::new(facts))))
    }

    pub(crate) fn fail_to_see(&mut self, name: &str) -> Vec<Transition> {
        self.observe(name, Err(ProbeError::new("too many open files")))
    }

    pub(crate) fn wait(&mut self, name: &str, seconds: f64) -> Vec<Transition> {
        self.pass(seconds);
        self.observe(name, Ok(Facts::TimePassed))
    }

    pub(crate) fn observe(&mut self, name: &str, outcome: Result<Facts, ProbeError>) -> Vec<Transition> {
        let observation = Observation { subject: Subject::service(name), outcome, took: Duration::ZERO };
        let state = std::mem::take(&mut self.state);
        let (state, transitions) = step(state, observation, &self.now, &self.policy);
        self.state = state;
        self.transitions.extend(transitions.clone());
        transitions
    }

    pub(crate) fn verdict(&self, name: &str) -> &Verdict {
        self.state.verdict(&Subject::service(name)).unwrap()
    }

    pub(crate) fn judged(&self, name: &str) -> (Status, Cause) {
        let verdict = self.verdict(name);
        (verdict.status, verdict.cause)
    }

    pub(crate) fn deadline(&self, name: &str) -> Option<f64> {
        let at = self.state.deadline_of(&Subject::service(name))?;
        Some(at.as_secs_f64() - self.now.boottime.as_secs_f64())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.state, &self.now, &self.policy)
    }

    pub(crate) fn view(&self, name: &str) -> ServiceView {
        self.snapshot().service(name).unwrap().clone()
    }
}

pub(crate) fn missing() -> ServiceFacts {
    unusable(ReadError::Missing, None)
}

pub(crate) fn torn() -> ServiceFacts {
    unusable(ReadError::Unreadable("the text ends too early (torn or empty)".into()), None)
}

pub(crate) fn unusable(error: ReadError, changed: Option<Timestamp>) -> ServiceFacts {
    ServiceFacts::of_report(Err(Unusable { error, since: changed }))
}

pub(crate) fn process(state: ProcessState) -> ProcessFacts {
    let cost = ProcessCost { cpu_s: 1.5, memory_bytes: 4096, descriptors: Some(7), threads: 2 };
    ProcessFacts { start_ticks: TICKS, state, exit: None, owner_uid: UID, cost }
}

pub(crate) fn alive() -> ProcessSight {
    ProcessSight::Seen(process(ProcessState::Sleeping))
}

pub(crate) fn zombie(wait_status: i32) -> ProcessSight {
    ProcessSight::Seen(ProcessFacts { exit: Some(wait_status), ..process(ProcessState::Zombie) })
}

pub(crate) fn elsewhere() -> ProcessSight {
    ProcessSight::NotLooked(NotLooked::OtherNamespace)
}

pub(crate) fn check(name: &str, status: Status, message: &str) -> Check {
    Check { message: Some(message.into()), ..Check::new(name, status) }
}

/// Changes to facts, to be chained.
pub(crate) trait Change: Sized {
    fn change(self, change: impl FnOnce(&mut ReportFile)) -> Self;
    fn says(self, change: impl FnOnce(&mut HealthReport)) -> Self {
        self.change(|file| change(&mut file.report))
    }
    fn by(self, process: ProcessSight) -> Self;
    fn on(self, file_system: FileSystem) -> Self;
}

impl Change for ServiceFacts {
    fn change(mut self, change: impl FnOnce(&mut ReportFile)) -> Self {
        change(self.report.as_mut().unwrap());
        self
    }

    fn by(self, process: ProcessSight) -> Self {
        Self { process, ..self }
    }

    fn on(self, file_system: FileSystem) -> Self {
        Self { file_system, ..self }
    }
}

/// A small generator of numbers; the seed is part of each test.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
