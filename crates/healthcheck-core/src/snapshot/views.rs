//! What a snapshot shows of each subject.

use crate::judge::{Case, judge};
use crate::memory::Memory;
use crate::saved;
use crate::state::Record;
use crate::summary::{CheckLine, Summary};
use crate::{
    Cause, Evidence, Kind, Metric, Now, Policy, Priority, ProcessCost, ProcessSight, State, Subject, Verdict,
};
use health_reporter::{State as Life, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// The verdict on one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubjectView {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    #[serde(serialize_with = "saved::write_shared", deserialize_with = "saved::read_shared")]
    pub name: Arc<str>,
    /// How it is.
    #[serde(deserialize_with = "saved::word")]
    pub status: Status,
    /// Why, as a word.
    pub cause: Cause,
    /// What is the matter, for people, as of now; one line, part of it written by the service.
    pub message: String,
    /// Since when status and cause are what they are, wall time.
    pub since: Timestamp,
    /// Why, in sentences: the decisions that led here, in order.
    pub reasons: Vec<Cow<'static, str>>,
    /// What was seen.
    pub evidence: Evidence,
    /// Whether it changes so often that its verdict of the moment says little.
    pub is_flapping: bool,
    /// How long the last look took; nothing where nobody looked.
    pub took: Option<Duration>,
    /// The numbers that the last look brought.
    pub metrics: Vec<Metric>,
}

/// The verdict on one service, and the last report of it that could be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    /// The verdict.
    pub subject: SubjectView,
    /// How much it counts in the whole.
    pub priority: Priority,
    /// Where it says it is in its life.
    #[serde(deserialize_with = "saved::word_if_any")]
    pub state: Option<Life>,
    /// What it says it is doing.
    pub current_task: Option<String>,
    /// The name that its report gives it, where that is not its file's.
    pub name_inside: Option<String>,
    /// Its checks, those that are not healthy first.
    pub checks: Vec<CheckView>,
    /// How many more checks it has.
    pub checks_left_out: usize,
    /// The deadline in force, in seconds.
    pub deadline_s: Option<f64>,
    /// How old its report is, in seconds.
    pub age_s: Option<f64>,
    /// How long it had been up when it reported, in seconds.
    pub uptime_s: Option<f64>,
    /// When it says that it wrote its report.
    pub last_updated: Option<Timestamp>,
    /// Its own count of restarts.
    pub restart_count: u64,
    /// Its own count of errors.
    pub error_count: u64,
    /// Its own count of messages sent.
    pub messages_sent: u64,
    /// Its own count of messages received.
    pub messages_received: u64,
    /// The process that it names.
    pub pid: Option<u64>,
    /// What that process takes, where it could be looked at.
    pub process: Option<ProcessCost>,
    /// What it depends on, by its report and by configuration; in order.
    pub depends_on: Vec<String>,
    /// When it is bad: the dependency that is the root of it.
    pub root: Option<String>,
    /// When it is bad: who depends on it; the first of them, in order.
    pub affects: Vec<String>,
    /// How many more that are not named.
    pub affects_left_out: usize,
}

/// What is recorded of one subject at an instant that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Whose it is.
    pub subject: Subject,
    /// How it was judged.
    pub verdict: Verdict,
    /// What it said that it was doing.
    pub task: Option<String>,
}

/// One check of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckView {
    /// Its name.
    pub name: String,
    /// How it is.
    #[serde(deserialize_with = "saved::word")]
    pub status: Status,
    /// Why, for people; at most 256 bytes.
    pub message: String,
    /// Since when it is so, wall time.
    pub since: Option<Timestamp>,
}

/// What a view shows besides the record itself.
pub(super) struct Told {
    /// Whether it is shown at all, or the instances of it stand for it.
    pub(super) is_shown: bool,
    /// The verdict in words as of now, where they are others than those that are held.
    pub(super) verdict: Option<Verdict>,
    priority: Priority,
    deadline: Option<Duration>,
    age: Option<Duration>,
    configured: Vec<String>,
}

/// Of each record, in order, with words as of now ("last beat 3 s ago").
pub(super) fn told_now(state: &State, now: &Now, policy: &Policy) -> Vec<Told> {
    let told = |(subject, record): (&Subject, &Record)| {
        let case = Case::new(subject, &record.memory, now, policy, state);
        Told { verdict: words_now(&case, &record.verdict), ..Told::of(&case) }
    };
    here(state).map(told).collect()
}

/// What is of this machine: of the others there may be ten thousand.
pub(super) fn here(state: &State) -> impl Iterator<Item = (&Subject, &Record)> {
    state.records().filter(|(subject, _)| subject.kind != Kind::Host)
}

/// Of one record, with words as of now.
pub(super) fn verdict_now(
    state: &State,
    subject: &Subject,
    record: &Record,
    now: &Now,
    policy: &Policy,
) -> Verdict {
    let case = Case::new(subject, &record.memory, now, policy, state);
    words_now(&case, &record.verdict).unwrap_or_else(|| record.verdict.clone())
}

/// Of each record, in order, as it was judged.
pub(super) fn as_judged(state: &State, now: &Now, policy: &Policy) -> Vec<Told> {
    let told = |(subject, record): (&Subject, &Record)| {
        Told::of(&Case::new(subject, &record.memory, now, policy, state))
    };
    state.records().map(told).collect()
}

impl Told {
    fn of(case: &Case<'_>) -> Self {
        Self {
            is_shown: !case.is_represented() && case.kind != Kind::Host,
            verdict: None,
            priority: case.settings.map(|settings| settings.priority).unwrap_or_default(),
            deadline: case.deadline(),
            age: case.memory.sight.as_ref().map(|sight| sight.age(case.now)),
            configured: case.settings.map(|settings| settings.depends_on.clone()).unwrap_or_default(),
        }
    }
}

/// The held verdict as of now, while it is still the right one.
fn words_now(case: &Case<'_>, held: &Verdict) -> Option<Verdict> {
    let finding = judge(case).filter(|finding| (finding.status, finding.cause) == (held.status, held.cause));
    finding.map(|finding| finding.into_verdict(Some(held.since), case.now))
}

pub(super) fn subject(subject: Subject, verdict: Verdict, memory: &Memory, is_flapping: bool) -> SubjectView {
    let Verdict { status, cause, message, reasons, evidence, since } = verdict;
    let (took, metrics) = (memory.probes.took(), memory.probes.metrics());
    let (kind, name) = (subject.kind, subject.name);
    SubjectView { kind, name, status, cause, message, since, reasons, evidence, is_flapping, took, metrics }
}

pub(super) fn service(told: Told, name: Subject, record: Record, is_flapping: bool) -> ServiceView {
    let verdict = subject(name, told.verdict.unwrap_or(record.verdict), &record.memory, is_flapping);
    let summary = record.memory.report.map(|summary| *summary);
    let mut view = ServiceView {
        priority: told.priority,
        deadline_s: told.deadline.map(in_seconds),
        age_s: told.age.map(in_seconds),
        process: cost(&record.memory.process),
        depends_on: told.configured,
        ..ServiceView::without_report(verdict)
    };
    if let Some(summary) = summary {
        view.tell(summary);
    }
    view.depends_on.sort_unstable();
    view.depends_on.dedup();
    view
}

/// The view, and what it was doing.
pub(super) fn recorded(recorded: Recorded) -> (SubjectView, Option<String>) {
    let Recorded { subject, verdict, task } = recorded;
    let Verdict { status, cause, message, reasons, evidence, since } = verdict;
    let (kind, name) = (subject.kind, subject.name);
    let (is_flapping, took, metrics) = (false, None, Vec::new());
    let view = SubjectView {
        kind,
        name,
        status,
        cause,
        message,
        since,
        reasons,
        evidence,
        is_flapping,
        took,
        metrics,
    };
    (view, task)
}

pub(super) fn recorded_service(recorded: Recorded, policy: &Policy) -> ServiceView {
    let settings = policy.service(&recorded.subject.name);
    let (view, current_task) = self::recorded(recorded);
    ServiceView {
        priority: settings.map(|settings| settings.priority).unwrap_or_default(),
        depends_on: settings.map(|settings| settings.depends_on.clone()).unwrap_or_default(),
        current_task,
        ..ServiceView::without_report(view)
    }
}

impl ServiceView {
    const fn without_report(subject: SubjectView) -> Self {
        Self {
            subject,
            priority: Priority::Critical,
            state: None,
            current_task: None,
            name_inside: None,
            checks: Vec::new(),
            checks_left_out: 0,
            deadline_s: None,
            age_s: None,
            uptime_s: None,
            last_updated: None,
            restart_count: 0,
            error_count: 0,
            messages_sent: 0,
            messages_received: 0,
            pid: None,
            process: None,
            depends_on: Vec::new(),
            root: None,
            affects: Vec::new(),
            affects_left_out: 0,
        }
    }

    /// What the report says.
    fn tell(&mut self, summary: Summary) {
        self.state = Some(summary.state);
        self.current_task = summary.current_task.map(Into::into);
        self.name_inside = summary.name_inside.map(Into::into);
        self.checks = summary.checks.into_iter().map(check).collect();
        self.checks_left_out = summary.checks_left_out;
        self.uptime_s = summary.uptime_s;
        self.last_updated = summary.last_updated;
        self.restart_count = summary.restart_count;
        self.error_count = summary.error_count;
        self.messages_sent = summary.messages_sent;
        self.messages_received = summary.messages_received;
        self.pid = summary.pid;
        self.depends_on.extend(summary.depends_on.into_iter().map(String::from));
    }
}

fn check(line: CheckLine) -> CheckView {
    let CheckLine { name, status, message, since } = line;
    CheckView { name: name.into(), status, message: message.into(), since }
}

/// Seconds to the millisecond: more is noise.
fn in_seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}

const fn cost(process: &ProcessSight) -> Option<ProcessCost> {
    match process {
        ProcessSight::Seen(seen) if !seen.state.has_ended() => Some(seen.cost),
        _ => None,
    }
}
