//! What is kept of a report: enough to judge and to show it, and bounded.

use crate::Exit;
use crate::saved;
use crate::wording;
use health_reporter::read::ReportFile;
use health_reporter::{Check, HealthReport, State as Life, Status, mask_credentials};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Checks of each sort (healthy, not healthy) that are kept.
const MAX_CHECKS_KEPT: usize = 16;
/// Dependencies that are kept.
const MAX_DEPENDENCIES_KEPT: usize = 32;
/// Bytes of a version that are kept.
const MAX_VERSION_BYTES: usize = 40;
/// The least that a text may have, in bytes.
const MIN_TEXT_BYTES: usize = 64;

/// What is kept of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    #[serde(deserialize_with = "saved::word")]
    pub(crate) worst: Status,
    /// Not-healthy ones first, the worst at the top.
    pub(crate) checks: Vec<CheckLine>,
    pub(crate) checks_left_out: usize,
    pub(crate) not_healthy: usize,
    #[serde(deserialize_with = "saved::word")]
    pub(crate) state: Life,
    pub(crate) current_task: Option<Box<str>>,
    pub(crate) depends_on: Vec<Box<str>>,
    pub(crate) name_inside: Option<Box<str>>,
    #[serde(default)]
    pub(crate) version: Option<Box<str>>,
    pub(crate) last_updated: Option<Timestamp>,
    pub(crate) deadline_s: Option<f64>,
    pub(crate) uptime_s: Option<f64>,
    pub(crate) restart_count: u64,
    pub(crate) error_count: u64,
    pub(crate) messages_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) pid: Option<u64>,
    pub(crate) pid_start_ticks: Option<u64>,
    pub(crate) silent_loop: Option<Box<SilentLoop>>,
    pub(crate) exit: Option<Exit>,
    pub(crate) last_words: Option<Box<str>>,
    /// Why it stopped, as it says.
    pub(crate) goodbye: Option<Box<str>>,
    pub(crate) write_failures: u64,
}

/// A check, in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckLine {
    pub(crate) name: Box<str>,
    #[serde(deserialize_with = "saved::word")]
    pub(crate) status: Status,
    pub(crate) message: Box<str>,
    pub(crate) since: Option<Timestamp>,
}

impl CheckLine {
    /// What it takes, with what the allocator adds, in bytes.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.message.len() + 32
    }
}

/// A watched loop that was silent for too long when the report was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SilentLoop {
    pub(crate) name: Box<str>,
    pub(crate) silence_s: f64,
    pub(crate) limit_s: f64,
}

/// What the message of a recorded panic begins with.
pub(crate) const PANIC: &str = "panicked at";
/// Errors this close to the last heartbeat may be what ended the process.
const LAST_WORDS_S: f64 = 60.0;

impl Summary {
    /// Keeps of a report what fits into about `budget` bytes of details.
    pub(crate) fn of(file: &ReportFile, name: &str, budget: usize) -> Self {
        let report = &file.report;
        let mut budget = Budget::of(budget);
        let checks = budget.checks(&report.checks);
        Self {
            worst: report.worst_status(),
            checks_left_out: report.checks.len() - checks.len(),
            checks,
            not_healthy: report.checks.iter().filter(|check| check.status != Status::Healthy).count(),
            state: report.state,
            current_task: report.current_task.as_deref().map(|task| budget.text(task)),
            depends_on: budget.dependencies(&report.depends_on),
            name_inside: name_inside(report, name),
            version: version(report),
            last_updated: report.last_updated,
            deadline_s: report.deadline_s,
            uptime_s: report.uptime,
            restart_count: report.restart_count,
            error_count: report.error_count,
            messages_sent: report.messages_sent,
            messages_received: report.messages_received,
            pid: report.pid,
            pid_start_ticks: report.pid_start_ticks,
            silent_loop: silent_loop(report).map(Box::new),
            exit: exit(&report.checks),
            goodbye: goodbye(report).map(|reason| budget.text(reason)),
            last_words: last_words(report).map(|words| budget.text(words)),
            write_failures: report.write_failures,
        }
    }

    /// Whether both are of one run of one process.
    pub(crate) fn is_same_run(&self, other: &Self) -> bool {
        self.pid.is_some() && (self.pid, self.pid_start_ticks) == (other.pid, other.pid_start_ticks)
    }

    /// Whether it said that it ends.
    pub(crate) const fn said_goodbye(&self) -> bool {
        matches!(self.state, Life::Stopped | Life::Finished)
    }

    /// What it takes on the heap, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let checks: usize = self.checks.iter().map(CheckLine::bytes).sum();
        let dependencies: usize = self.depends_on.iter().map(|name| size_of_val(name) + name.len()).sum();
        let texts = [&self.current_task, &self.name_inside, &self.version, &self.last_words, &self.goodbye];
        let texts: usize = texts.into_iter().flatten().map(|text| text.len() + 16).sum();
        let silent =
            self.silent_loop.as_ref().map_or(0, |silent| size_of::<SilentLoop>() + silent.name.len());
        checks + dependencies + texts + silent
    }

    /// When its run began, as boot time, where it says so; it was written at `written_boottime`.
    pub(crate) fn began_boottime(&self, written_boottime: Duration) -> Option<Duration> {
        let by_ticks = self.pid_start_ticks.map(|ticks| Duration::from_millis(ticks.saturating_mul(10)));
        by_ticks.or_else(|| written_boottime.checked_sub(self.uptime()?))
    }

    pub(crate) fn uptime(&self) -> Option<Duration> {
        self.uptime_s.map(wording::seconds)
    }
}

/// What the details of one report may still take, in bytes.
struct Budget {
    left: usize,
    text_bytes: usize,
}

impl Budget {
    fn of(bytes: usize) -> Self {
        Self { left: bytes, text_bytes: (bytes / 4).clamp(MIN_TEXT_BYTES, wording::MAX_MESSAGE_BYTES) }
    }

    fn text(&self, text: &str) -> Box<str> {
        wording::line(text, self.text_bytes).into()
    }

    fn name(&self, name: &str) -> Box<str> {
        wording::line(name, self.text_bytes.min(wording::MAX_NAME_BYTES)).into()
    }

    /// Whether `bytes` are left; takes them.
    const fn takes(&mut self, bytes: usize) -> bool {
        let fits = self.left >= bytes;
        self.left = self.left.saturating_sub(bytes);
        fits
    }

    fn checks(&mut self, checks: &[Check]) -> Vec<CheckLine> {
        let mut not_healthy: Vec<_> = checks.iter().filter(|check| check.status != Status::Healthy).collect();
        not_healthy.sort_by_key(|check| std::cmp::Reverse(check.status));
        let healthy = checks.iter().filter(|check| check.status == Status::Healthy);
        let candidates = not_healthy.into_iter().take(MAX_CHECKS_KEPT).chain(healthy.take(MAX_CHECKS_KEPT));
        let mut kept = Vec::new();
        for check in candidates {
            let line = self.check(check);
            // The worst one is kept whatever it costs: it is what the verdict says.
            if !self.takes(line.bytes()) && !kept.is_empty() {
                break;
            }
            kept.push(line);
        }
        kept.shrink_to_fit();
        kept
    }

    fn check(&self, check: &Check) -> CheckLine {
        CheckLine {
            name: self.name(&check.name),
            status: check.status,
            message: self.text(check.message.as_deref().unwrap_or_default()),
            since: check.since,
        }
    }

    fn dependencies(&mut self, names: &[String]) -> Vec<Box<str>> {
        let names = names.iter().take(MAX_DEPENDENCIES_KEPT);
        let kept = names.map_while(|name| Some(self.name(name)).filter(|name| self.takes(name.len() + 32)));
        let mut kept: Vec<_> = kept.collect();
        kept.shrink_to_fit();
        kept
    }
}

/// The name that the report gives itself, where it is another one than its file's.
fn name_inside(report: &HealthReport, name: &str) -> Option<Box<str>> {
    let known = [name, crate::subject::service_type(name)];
    let mut said = [&report.service_type, &report.service_name].into_iter().flatten();
    said.find(|said| !known.contains(&said.as_str())).map(|said| wording::name(said))
}

/// A version is short.
fn version(report: &HealthReport) -> Option<Box<str>> {
    let version = mask_credentials(report.service_version.as_deref()?);
    Some(wording::line(&version, MAX_VERSION_BYTES).into())
}

/// The loop that is furthest beyond its limit.
fn silent_loop(report: &HealthReport) -> Option<SilentLoop> {
    let written = report.written_boottime_s?;
    let excess = |silent: &SilentLoop| silent.silence_s - silent.limit_s;
    let watched = report.watched_loops.iter().map(|watched| SilentLoop {
        name: wording::name(&watched.name),
        // The difference of two numbers may be none, and such a record could not be read again.
        silence_s: (written - watched.beat_boottime_s).clamp(f64::MIN, f64::MAX),
        limit_s: watched.limit_s,
    });
    watched.filter(|silent| excess(silent) > 0.0).max_by(|a, b| excess(a).total_cmp(&excess(b)))
}

/// What whoever ran the job recorded about its end.
fn exit(checks: &[Check]) -> Option<Exit> {
    let metadata = &checks.iter().find(|check| check.name == "exit")?.metadata;
    let number = |key: &str| metadata.get(key)?.as_i64();
    number("signal").map(Exit::Signal).or_else(|| number("code").map(Exit::Code))
}

/// The reporter keeps the reason in a check of this name.
fn goodbye(report: &HealthReport) -> Option<&str> {
    let goodbye = report.checks.iter().find(|check| check.name == "goodbye")?;
    goodbye.message.as_deref().filter(|_| report.state == Life::Stopped)
}

/// What is remembered of the errors of a run: the newest panic, else the newest error if it is among the last
/// words.
fn last_words(report: &HealthReport) -> Option<&str> {
    let updated = report.last_updated;
    let before = |seconds: Option<f64>| {
        let ago = SignedDuration::try_from(wording::seconds(seconds?)).ok()?;
        updated?.checked_sub(ago).ok()
    };
    let newest_since = |begin: Option<Timestamp>, is_wanted: fn(&str) -> bool| {
        let in_time = |at: Option<Timestamp>| at.zip(begin).is_none_or(|(at, begin)| at >= begin);
        let mut newest_first = report.recent_errors.iter().rev();
        newest_first.find(|error| is_wanted(&error.message) && in_time(error.timestamp))
    };
    let panic = newest_since(before(report.uptime), |message| message.starts_with(PANIC));
    let uptime_s = report.uptime.unwrap_or(LAST_WORDS_S).min(LAST_WORDS_S);
    panic.or_else(|| newest_since(before(Some(uptime_s)), |_| true)).map(|error| error.message.as_str())
}
