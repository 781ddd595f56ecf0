//! Health files as they truly are, and what a look at one shows.

use crate::clock::{Clock, Stamp};
use crate::random::Random;
use crate::script::{Garble, ServicePlan, Writer};
use crate::service::Processes;
use health_reporter::read::{Dialect, ReadError, ReportFile, Unusable};
use health_reporter::{HealthReport, MAX_DEADLINE_S, State as Life, Status, WatchedLoop};
use healthcheck_core::{FileSystem, NotLooked, ProcessFacts, ProcessSight, ProcessState, ServiceFacts};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

pub(crate) const UID: u32 = 1000;
const AHEAD: Duration = Duration::from_secs(7_200);

/// The file of a service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum File {
    Missing,
    Unusable(Garble),
    Good(Content),
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Content {
    /// No two contents have the same.
    pub(crate) id: u64,
    /// When it was truly written.
    pub(crate) written: Stamp,
    pub(crate) boot: u32,
    wall: Timestamp,
    written_boottime_s: f64,
    pub(crate) pid: u64,
    ticks: u64,
    pub(crate) life: Life,
    pub(crate) status: Status,
    /// How long its loop has been silent.
    silence: Option<Duration>,
    pub(crate) is_silent: bool,
}

/// What a service writes just now.
pub(crate) struct Word {
    pub(crate) pid: u64,
    pub(crate) ticks: u64,
    pub(crate) life: Life,
    pub(crate) status: Status,
    pub(crate) silence: Option<Duration>,
}

impl Content {
    pub(crate) fn of(word: &Word, id: u64, plan: &ServicePlan, clock: &Clock) -> Self {
        let Word { pid, ticks, life, status, silence } = *word;
        Self {
            id,
            written: clock.stamp(),
            boot: clock.boot,
            wall: clock.wall(),
            written_boottime_s: clock.boottime_s(clock.t),
            pid,
            ticks,
            life,
            status,
            silence,
            is_silent: silence.zip(plan.loop_limit).is_some_and(|(silence, limit)| silence > limit),
        }
    }

    /// Whether its writer lives, where somebody could tell.
    pub(crate) fn lives(&self, plan: &ServicePlan, processes: &Processes) -> Option<bool> {
        let is_it = |process: &ProcessFacts| {
            process.start_ticks == self.ticks && process.state != ProcessState::Zombie
        };
        plan.writer.has_pid().then(|| processes.get(&self.pid).is_some_and(is_it))
    }

    fn report(&self, plan: &ServicePlan, clock: &Clock) -> HealthReport {
        let mut report = HealthReport::new(self.status);
        (report.state, report.deadline_s) = (self.life, plan.declared_s.map(f64::from));
        if plan.writer == Writer::Bare {
            return report;
        }
        report.boot_id = clock.boot_id().map(|_| format!("boot-{}", self.boot));
        report.written_boottime_s = Some(self.written_boottime_s);
        report.last_updated = Some(self.wall);
        if plan.writer != Writer::NoPid {
            report.pid = Some(self.pid);
            report.pid_start_ticks = Some(self.ticks).filter(|_| plan.writer != Writer::NoTicks);
        }
        report.watched_loops.extend(self.watched(plan));
        match plan.writer {
            Writer::Ahead => report.written_boottime_s = Some(self.written_boottime_s + AHEAD.as_secs_f64()),
            Writer::Wild => rave(&mut report, self.id),
            _ => {}
        }
        report
    }

    fn watched(&self, plan: &ServicePlan) -> Option<WatchedLoop> {
        let beat_boottime_s = self.written_boottime_s - self.silence?.as_secs_f64();
        Some(WatchedLoop { name: "work".into(), beat_boottime_s, limit_s: plan.loop_limit?.as_secs_f64() })
    }

    fn file(&self, plan: &ServicePlan, clock: &Clock) -> ReportFile {
        let is_ahead = plan.writer == Writer::Ahead;
        let ahead = if is_ahead { SignedDuration::from_hours(3) } else { SignedDuration::ZERO };
        ReportFile {
            report: self.report(plan, clock),
            dialect: Dialect::HealthReport,
            modified: self.wall + ahead,
            changed: self.wall,
            owner_uid: UID,
        }
    }
}

/// Whatever a writer can say that a reader lets through.
fn rave(report: &mut HealthReport, id: u64) {
    const NUMBERS: [f64; 9] = [0.0, -1.0, 1e-300, 0.01, 60.0, 3e6, 1e18, f64::MAX, f64::MIN];
    const DEADLINES: [f64; 4] = [f64::MIN_POSITIVE, 0.01, 60.0, MAX_DEADLINE_S];
    let random = &mut Random::new(id);
    let mut number = |now: Option<f64>| if random.percent(50) { Some(random.pick(&NUMBERS)) } else { now };
    report.written_boottime_s = number(report.written_boottime_s);
    report.uptime = number(report.uptime);
    let limit_s = number(None).unwrap_or(1.0);
    let beat_boottime_s = number(None).unwrap_or(1.0);
    let deadline_s = random.pick(&DEADLINES);
    report.watched_loops.push(WatchedLoop { name: "\u{1b}[2J".into(), beat_boottime_s, limit_s });
    report.deadline_s = random.pick(&[report.deadline_s, None, Some(deadline_s)]);
    report.pid = random.pick(&[report.pid, None, Some(1), Some(300), Some(u64::MAX)]);
    report.pid_start_ticks = random.pick(&[report.pid_start_ticks, None, Some(0), Some(u64::MAX)]);
    report.boot_id = random.pick(&[None, Some("boot-1"), Some("boot-7")]).map(str::to_owned);
    let times = [report.last_updated, None, Some(Timestamp::MIN), Some(Timestamp::MAX)];
    report.last_updated = random.pick(&times);
    report.current_task = Some("é\u{202e}".repeat(200));
}

/// What a look at a file and at the process that it names shows.
pub(crate) fn look(
    file: &File,
    plan: &ServicePlan,
    processes: &Processes,
    disk: FileSystem,
    clock: &Clock,
) -> ServiceFacts {
    let unusable = |error: ReadError| ServiceFacts::of_report(Err(Unusable { error, since: None }));
    let facts = match file {
        File::Missing => unusable(ReadError::Missing),
        File::Unusable(Garble::Torn) => unusable(ReadError::Unreadable("the text ends too early".into())),
        File::Unusable(Garble::Newer) => unusable(ReadError::NewerVersion(2.0)),
        File::Unusable(Garble::Forbidden) => unusable(ReadError::NotPermitted("permission denied".into())),
        File::Good(content) => {
            let file = content.file(plan, clock);
            let process = process(plan, file.report.pid, processes);
            ServiceFacts { process, ..ServiceFacts::of_report(Ok(file)) }
        }
    };
    ServiceFacts { file_system: disk, ..facts }
}

fn process(plan: &ServicePlan, pid: Option<u64>, processes: &Processes) -> ProcessSight {
    match pid {
        None => ProcessSight::NotLooked(NotLooked::NoPid),
        Some(_) if plan.writer == Writer::Foreign => ProcessSight::NotLooked(NotLooked::OtherNamespace),
        Some(pid) => processes.get(&pid).cloned().map_or(ProcessSight::Gone, ProcessSight::Seen),
    }
}
