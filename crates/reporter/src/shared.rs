//! What a reporter and its thread share: everything that goes into the report.

use crate::check::{Change, CheckHandle, Latest, OVERFLOW_CHECK};
use crate::errors::{ERRORS_CHECK, ErrorLog};
use crate::guarded::Guarded;
use crate::pulse::Pulse;
use crate::report::{
    Check, HealthReport, MAX_CHECKS, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, MAX_WATCHED_LOOPS, SCHEMA_VERSION,
    bounded,
};
use crate::watched::{LoopCell, LoopHandle};
use crate::{ServiceName, State, Status, clock};
use jiff::Timestamp;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What does not change while the service lives.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) service: ServiceName,
    pub(crate) service_name: String,
    pub(crate) service_version: Option<String>,
    pub(crate) dir: PathBuf,
    pub(crate) interval: Duration,
    pub(crate) deadline: Duration,
    pub(crate) depends_on: Vec<String>,
    pub(crate) host: Option<String>,
    pub(crate) pid: u32,
    pub(crate) pid_namespace: Option<u64>,
    pub(crate) pid_start_ticks: Option<u64>,
    pub(crate) boot_id: Option<String>,
    pub(crate) started_boottime: Duration,
}

/// What only counts up.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) errors: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct Life {
    state: State,
    deadline: Option<Duration>,
    current_task: Option<String>,
}

#[derive(Debug, Default)]
struct Checks {
    by_name: HashMap<Arc<str>, usize>,
    in_order: Vec<(Arc<str>, Arc<Guarded<Latest>>)>,
}

/// What the thread that writes knows by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) instance: Option<u64>,
    pub(crate) restart_count: u64,
    pub(crate) heartbeat_count: u64,
    pub(crate) write_failures: u64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) counters: Counters,
    pub(crate) pulse: Pulse,
    pub(crate) errors: Guarded<ErrorLog>,
    life: Guarded<Life>,
    checks: Guarded<Checks>,
    loops: Guarded<Vec<Arc<LoopCell>>>,
}

impl Shared {
    pub(crate) fn new(identity: Identity, state: State) -> Self {
        Self {
            identity,
            counters: Counters::default(),
            pulse: Pulse::new(),
            errors: Guarded::new(ErrorLog::default()),
            life: Guarded::new(Life { state, ..Life::default() }),
            checks: Guarded::new(Checks::default()),
            loops: Guarded::new(Vec::new()),
        }
    }

    pub(crate) fn changed(&self, change: Change) {
        self.pulse.changed(change);
    }

    /// Runs `then` with the check of this name, which must be there.
    fn existing<R>(&self, name: &str, then: impl FnOnce(&Guarded<Latest>) -> R) -> Option<R> {
        let look = |checks: &Checks| checks.by_name.get(name).map(|at| then(&checks.in_order[*at].1));
        self.checks.read(look).flatten()
    }

    /// The hot path by name: one look-up, nothing allocated if the check is there.
    pub(crate) fn record(self: &Arc<Self>, name: &str, status: Status, message: &str) {
        let now = clock::Tick::now();
        let update = |cell: &Guarded<Latest>| cell.write(|latest| latest.replace(status, message, now));
        match self.existing(name, update) {
            Some(change) => self.changed(change.unwrap_or(Change::Nothing)),
            None => self.check(name).record(status, message),
        }
    }

    pub(crate) fn check(self: &Arc<Self>, name: &str) -> CheckHandle {
        let wanted: Arc<str> = bounded(name, MAX_NAME_BYTES).into();
        let found = self.checks.write(|checks| checks.find_or_add(&wanted));
        let (cell, is_one_of_the_rest) = found.unwrap_or_default();
        CheckHandle { name: wanted, cell, shared: Arc::clone(self), is_one_of_the_rest }
    }

    pub(crate) fn note_error(&self, message: &str, fatal: bool, check: Option<&str>) {
        self.counters.errors.fetch_add(1, Ordering::Relaxed);
        let at = clock::coarse_wall();
        self.errors.write(|errors| errors.push(message, fatal, check, at));
        self.changed(Change::Detail);
    }

    pub(crate) fn record_error(self: &Arc<Self>, message: &str, fatal: bool) {
        self.note_error(message, fatal, None);
        let now = clock::boottime();
        let errors = self.check(ERRORS_CHECK);
        // Under the lock, as below: what is open and what the check says never disagree.
        self.errors.write(|log| errors.record(log.open(fatal, now), message));
    }

    pub(crate) fn recover(self: &Arc<Self>) {
        let errors = self.check(ERRORS_CHECK);
        self.errors.write(|log| log.clear().then(|| errors.record(Status::Healthy, "recovered")));
    }

    /// Lets an error of long ago be over.
    pub(crate) fn expire_errors(self: &Arc<Self>, now_boottime: Duration) {
        if self.quiet_at().is_none_or(|at| at > now_boottime) {
            return;
        }
        let (errors, interval) = (self.check(ERRORS_CHECK), self.identity.interval);
        self.errors.write(|log| {
            let is_over = log.clear_if_quiet(interval, now_boottime);
            is_over.then(|| errors.record(Status::Healthy, "no further error"))
        });
    }

    /// The machine slept, and no loop could beat.
    pub(crate) fn forgive_loops(&self, slept: Duration) {
        self.loops.read(|loops| loops.iter().for_each(|cell| cell.forgive(slept)));
    }

    pub(crate) fn watched_loop(self: &Arc<Self>, name: &str, limit: Duration) -> LoopHandle {
        let cell = Arc::new(LoopCell::new(bounded(name, MAX_NAME_BYTES), limit));
        self.loops.write(|loops| {
            loops.retain(|cell| !cell.is_retired());
            if loops.len() < MAX_WATCHED_LOOPS {
                loops.push(Arc::clone(&cell));
            }
        });
        self.changed(Change::Detail);
        LoopHandle { cell, shared: Arc::clone(self) }
    }

    /// A goodbye is the last word.
    pub(crate) fn set_state(&self, state: State) {
        let changed = self
            .life
            .write(|life| !life.state.is_goodbye() && std::mem::replace(&mut life.state, state) != state);
        if changed == Some(true) {
            self.changed(Change::Status);
        }
    }

    /// From now on the report is good for `deadline`; for a job that is done until it is due again.
    pub(crate) fn set_deadline(&self, deadline: Duration) {
        self.life.write(|life| life.deadline = Some(deadline));
    }

    pub(crate) fn state(&self) -> State {
        self.life.read(|life| life.state).unwrap_or_default()
    }

    pub(crate) fn set_current_task(&self, task: Option<&str>) {
        let changed = self.life.write(|life| {
            let is_same = life.current_task.as_deref() == task;
            if !is_same {
                life.current_task = task.map(|task| bounded(task, MAX_MESSAGE_BYTES));
            }
            !is_same
        });
        if changed == Some(true) {
            self.changed(Change::Detail);
        }
    }

    /// The worst of the latest record of each check.
    pub(crate) fn overall_status(&self) -> Status {
        let worst = |checks: &Checks| {
            let each = checks.in_order.iter().filter_map(|(_, cell)| cell.read(Latest::status).flatten());
            each.max().unwrap_or(Status::Healthy)
        };
        self.checks.read(worst).unwrap_or(Status::Unknown)
    }

    /// When time alone changes the report: a loop silent for too long, or an error that is over.
    pub(crate) fn next_change_at(&self) -> Option<Duration> {
        let limits = |loops: &Vec<Arc<LoopCell>>| loops.iter().filter_map(|cell| cell.limit_at()).min();
        let limit = self.loops.read(limits).flatten();
        [limit, self.quiet_at()].into_iter().flatten().min()
    }

    fn quiet_at(&self) -> Option<Duration> {
        self.errors.read(|errors| errors.quiet_at(self.identity.interval)).flatten()
    }

    /// Whether a watched loop is silent for too long.
    #[cfg(feature = "sd-notify")]
    pub(crate) fn has_late_loop(&self, now_boottime: Duration) -> bool {
        let late = |loops: &Vec<Arc<LoopCell>>| {
            loops.iter().filter(|cell| !cell.is_retired()).any(|cell| cell.is_late(now_boottime))
        };
        self.loops.read(late).unwrap_or(false)
    }

    fn told_of_late_loops(&self, now_boottime: Duration) {
        self.loops.read(|loops| loops.iter().for_each(|cell| cell.told_at(now_boottime)));
    }

    /// The report as of now.
    pub(crate) fn report(&self, tally: Tally) -> HealthReport {
        let (checks, last_check) = self.checks();
        let overall_status = checks.iter().map(|check| check.status).max().unwrap_or(Status::Healthy);
        let (identity, counters) = (&self.identity, &self.counters);
        let (state, deadline, current_task) =
            self.life.read(|life| (life.state, life.deadline, life.current_task.clone())).unwrap_or_default();
        let now = clock::boottime();
        self.told_of_late_loops(now);
        HealthReport {
            schema_version: Some(SCHEMA_VERSION),
            service_name: Some(identity.service_name.clone()),
            service_type: Some(identity.service.to_string()),
            instance: tally.instance,
            host: identity.host.clone(),
            service_version: identity.service_version.clone(),
            overall_status,
            checks,
            recent_errors: self.errors.read(ErrorLog::recent).unwrap_or_default(),
            state,
            current_task,
            depends_on: identity.depends_on.clone(),
            last_updated: Some(clock::coarse_wall()),
            last_check,
            interval_s: Some(identity.interval.as_secs_f64()),
            deadline_s: Some(deadline.unwrap_or(identity.deadline).as_secs_f64()),
            uptime: Some(milliseconds(now.saturating_sub(identity.started_boottime))),
            restart_count: tally.restart_count,
            error_count: counters.errors.load(Ordering::Relaxed),
            messages_sent: counters.sent.load(Ordering::Relaxed),
            messages_received: counters.received.load(Ordering::Relaxed),
            heartbeat_count: tally.heartbeat_count,
            pid: Some(u64::from(identity.pid)),
            pid_namespace: identity.pid_namespace,
            pid_start_ticks: identity.pid_start_ticks,
            boot_id: identity.boot_id.clone(),
            written_boottime_s: Some(now.as_secs_f64()),
            watched_loops: self.watched_loops(),
            write_failures: tally.write_failures,
        }
    }

    fn checks(&self) -> (Vec<Check>, Option<Timestamp>) {
        let copy = |checks: &Checks| {
            let mut last = None;
            let each = checks.in_order.iter().filter_map(|(name, cell)| {
                let check = cell.read(|latest| latest.to_check(name))??;
                last = last.max(check.timestamp);
                Some(check)
            });
            (each.collect(), last)
        };
        self.checks.read(copy).unwrap_or_default()
    }

    fn watched_loops(&self) -> Vec<crate::WatchedLoop> {
        let copy = |loops: &Vec<Arc<LoopCell>>| {
            let live = loops.iter().filter(|cell| !cell.is_retired());
            live.map(|cell| cell.to_watched_loop()).collect()
        };
        self.loops.read(copy).unwrap_or_default()
    }
}

/// Seconds, to the millisecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

impl Checks {
    /// The check of this name, or the one for those that are too many, and whether it is the latter.
    fn find_or_add(&mut self, name: &Arc<str>) -> (Arc<Guarded<Latest>>, bool) {
        if let Some(at) = self.by_name.get(name) {
            return (Arc::clone(&self.in_order[*at].1), false);
        }
        let is_one_too_many = self.in_order.len() >= MAX_CHECKS - 1 && &**name != ERRORS_CHECK;
        if is_one_too_many && &**name != OVERFLOW_CHECK {
            return (self.find_or_add(&OVERFLOW_CHECK.into()).0, true);
        }
        let cell = Arc::new(Guarded::new(Latest::default()));
        self.by_name.insert(Arc::clone(name), self.in_order.len());
        self.in_order.push((Arc::clone(name), Arc::clone(&cell)));
        (cell, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, Reporter};

    fn reporter(dir: &tempfile::TempDir) -> Reporter {
        Reporter::builder("camera").dir(dir.path()).record_panics(false).start().unwrap()
    }

    #[test]
    fn checks_beyond_the_limit_share_one_in_which_each_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let health = reporter(&dir);
        for number in 0..1_000 {
            health.record(&format!("check {number}"), Status::Healthy, "fine");
        }
        health.record_error("still told");
        health.record("check 999", Status::Warning, "not so fine");
        let report = health.shared.report(Tally::default());
        assert_eq!(report.checks.len(), MAX_CHECKS + 1, "and the one for errors");
        let rest = report.checks.iter().find(|check| check.name == OVERFLOW_CHECK).unwrap();
        assert_eq!((rest.status, rest.message.as_deref()), (Status::Warning, Some("check 999: not so fine")));
        assert_eq!(report.overall_status, Status::Error);
    }

    #[test]
    fn the_largest_report_that_can_be_recorded_can_be_written_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let health = reporter(&dir);
        let long = "\u{1}\"\\".repeat(2_000);
        let loops: Vec<_> = (0..100).map(|_| health.watched_loop(&long, Duration::from_secs(1))).collect();
        for number in 0..200 {
            let mut record = Record::new(Status::Error).message(&*long);
            for key in 0..32 {
                record = record.metadata(format!("{key}"), &*long);
            }
            health.record_with(&format!("{number}{long}"), record);
            health.record_error(&long);
            health.check("x").error(&long);
        }
        health.set_current_task(&long);
        health.flush().unwrap();
        let report = crate::read::one(dir.path(), &"camera".parse().unwrap()).unwrap().report;
        assert_eq!((report.watched_loops.len(), report.recent_errors.len()), (MAX_WATCHED_LOOPS, 20));
        assert!(report.checks.len() >= MAX_CHECKS);
        let is_told =
            |check: &Check| check.status == Status::Error && check.metadata.contains_key("left_out");
        assert!(report.checks.iter().all(is_told), "all but the metadata is told");
        drop(loops);
        assert_eq!(health.shared.report(Tally::default()).watched_loops, []);
    }

    #[test]
    fn the_overall_status_is_the_worst_of_the_latest() {
        let dir = tempfile::tempdir().unwrap();
        let health = reporter(&dir);
        assert_eq!(health.overall_status(), Status::Healthy);
        for (status, overall) in [
            (Status::Unknown, Status::Unknown),
            (Status::Fatal, Status::Fatal),
            (Status::Warning, Status::Warning),
            (Status::Healthy, Status::Healthy),
        ] {
            health.record("a", Status::Healthy, "");
            health.record("b", status, "");
            assert_eq!(
                (health.overall_status(), health.shared.report(Tally::default()).overall_status),
                (overall, overall)
            );
        }
    }

    #[test]
    fn time_alone_changes_the_report_at_the_earliest_limit() {
        let dir = tempfile::tempdir().unwrap();
        let health = reporter(&dir);
        assert_eq!(health.shared.next_change_at(), None);
        let late = health.watched_loop("late", Duration::from_secs(500));
        let early = health.watched_loop("early", Duration::from_secs(50));
        let next = health.shared.next_change_at().unwrap() - clock::boottime();
        assert!((Duration::from_secs(49)..=Duration::from_secs(50)).contains(&next), "{next:?}");
        drop(early);
        assert!(health.shared.next_change_at().unwrap() > clock::boottime() + Duration::from_secs(400));
        health.record_error("quiet in three intervals of 10 s");
        assert!(health.shared.next_change_at().unwrap() <= clock::boottime() + Duration::from_secs(30));
        drop(late);
    }
}
