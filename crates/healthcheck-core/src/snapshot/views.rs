//! What a snapshot shows of each subject.

use crate::judge::{Case, judge};
use crate::state::Record;
use crate::summary::CheckLine;
use crate::{
    Cause, Evidence, Kind, Now, Policy, Priority, ProcessCost, ProcessSight, State, Subject, Verdict,
};
use health_reporter::{State as Life, Status};
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The verdict on one subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubjectView {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    #[serde(serialize_with = "crate::saved::write_shared")]
    pub name: Arc<str>,
    /// How it is.
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
}

/// The verdict on one service, and the last report of it that could be used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceView {
    /// The verdict.
    #[serde(flatten)]
    pub subject: SubjectView,
    /// How much it counts in the whole.
    pub priority: Priority,
    /// Where it says it is in its life.
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
    /// When it is bad: who depends on it; in order.
    pub affects: Vec<String>,
}

/// One check of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckView {
    /// Its name.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// Why, for people; at most 256 bytes.
    pub message: String,
    /// Since when it is so, wall time.
    pub since: Option<Timestamp>,
}

/// Each service, but not one whose instances stand for it.
pub(super) fn services(state: &State, now: &Now, policy: &Policy) -> Vec<ServiceView> {
    let records = state.records().filter(|(subject, _)| subject.kind == Kind::Service);
    let views = records.filter_map(|(subject, record)| {
        let case = Case::new(subject, &record.memory, now, policy, state);
        (!case.is_represented()).then(|| service(&case, subject, record))
    });
    views.collect()
}

/// Each subject that is no service.
pub(super) fn others(state: &State, now: &Now, policy: &Policy) -> Vec<SubjectView> {
    let records = state.records().filter(|(subject, _)| subject.kind != Kind::Service);
    let view = |(subject, record): (&Subject, &Record)| {
        told_now(&Case::new(subject, &record.memory, now, policy, state), subject, record)
    };
    records.map(view).collect()
}

/// The verdict that is held. While it is still the right one its words are as of now ("last beat 3 s ago").
fn told_now(case: &Case<'_>, subject: &Subject, record: &Record) -> SubjectView {
    let held = &record.verdict;
    let finding = judge(case).filter(|finding| (finding.status, finding.cause) == (held.status, held.cause));
    let fresh = finding.map(|finding| finding.into_verdict(Some(held.since), case.now));
    let Verdict { status, cause, message, reasons, evidence, since } = fresh.unwrap_or_else(|| held.clone());
    SubjectView {
        kind: subject.kind,
        name: subject.name.clone(),
        status,
        cause,
        message,
        since,
        reasons,
        evidence,
    }
}

fn service(case: &Case<'_>, subject: &Subject, record: &Record) -> ServiceView {
    let summary = record.memory.report.as_deref();
    let text = |text: Option<&str>| text.map(str::to_owned);
    ServiceView {
        subject: told_now(case, subject, record),
        priority: case.settings.map(|settings| settings.priority).unwrap_or_default(),
        state: summary.map(|summary| summary.state),
        current_task: text(summary.and_then(|summary| summary.current_task.as_deref())),
        name_inside: text(summary.and_then(|summary| summary.name_inside.as_deref())),
        checks: summary.map(|summary| summary.checks.iter().map(check).collect()).unwrap_or_default(),
        checks_left_out: summary.map_or(0, |summary| summary.checks_left_out),
        deadline_s: case.deadline().map(in_seconds),
        age_s: record.memory.sight.as_ref().map(|sight| in_seconds(sight.age(case.now))),
        uptime_s: summary.and_then(|summary| summary.uptime_s),
        last_updated: summary.and_then(|summary| summary.last_updated),
        restart_count: summary.map_or(0, |summary| summary.restart_count),
        error_count: summary.map_or(0, |summary| summary.error_count),
        messages_sent: summary.map_or(0, |summary| summary.messages_sent),
        messages_received: summary.map_or(0, |summary| summary.messages_received),
        pid: summary.and_then(|summary| summary.pid),
        process: cost(&record.memory.process),
        depends_on: depends_on(case),
        root: None,
        affects: Vec::new(),
    }
}

fn check(line: &CheckLine) -> CheckView {
    CheckView {
        name: line.name.to_string(),
        status: line.status,
        message: line.message.to_string(),
        since: line.since,
    }
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

fn depends_on(case: &Case<'_>) -> Vec<String> {
    let reported =
        case.memory.report.iter().flat_map(|summary| summary.depends_on.iter().map(ToString::to_string));
    let configured = case.settings.iter().flat_map(|settings| settings.depends_on.iter().cloned());
    reported.chain(configured).collect::<BTreeSet<_>>().into_iter().collect()
}
