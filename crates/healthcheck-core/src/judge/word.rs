//! Row `self_reported`.

use super::{Finding, Told};
use crate::Cause;
use crate::summary::{CheckLine, Summary};
use crate::wording;
use health_reporter::{State as Life, Status};
use jiff::Timestamp;

/// What the service says: the worse of its overall status and its checks.
pub(super) fn self_reported(told: &Told<'_>) -> Finding {
    let summary = told.summary;
    let message = complaint(summary).unwrap_or_else(|| activity(summary));
    let worst_check = summary.checks.first().filter(|check| check.status != Status::Healthy);
    Finding::new(summary.worst, Cause::SelfReported, &message)
        .because(match summary.worst {
            Status::Healthy => "it says that it is healthy",
            _ => "the service says so",
        })
        .maybe_because(told.sight.evidence.caveat())
        .maybe_with("check", worst_check.map(|check| &*check.name))
        .with("age", &told.age_in_words())
        .with("deadline", &wording::duration(told.deadline))
        .since(Some(began(told)))
        .until(told.late_at())
}

/// What a service that is not healthy complains of.
pub(super) fn complaint(summary: &Summary) -> Option<String> {
    let worst = match summary.worst {
        Status::Healthy => return None,
        worst => worst,
    };
    let check = summary.checks.first().filter(|check| check.status != Status::Healthy);
    let Some(check) = check else { return Some(format!("it reports {worst}")) };
    let more = match summary.not_healthy.saturating_sub(1) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let overall = if check.status < worst { format!("it reports {worst}, ") } else { String::new() };
    let line = wording::line(&in_words(check), wording::MAX_MESSAGE_BYTES - overall.len() - more.len());
    Some(format!("{overall}{line}{more}"))
}

/// What a job that failed said of it: with its exit, or else what it complains of.
pub(super) fn last_word(summary: &Summary) -> Option<String> {
    let exit = summary.checks.iter().find(|check| &*check.name == "exit");
    match (exit, summary.exit) {
        (Some(exit), Some(_)) => Some(exit.message.to_string()).filter(|message| !message.is_empty()),
        _ => complaint(summary),
    }
}

fn in_words(check: &CheckLine) -> String {
    match &*check.message {
        "" => format!("{}: {}", check.name, check.status),
        message => format!("{}: {message}", check.name),
    }
}

/// What a healthy service does.
fn activity(summary: &Summary) -> String {
    let state = Some(summary.state.as_str()).filter(|_| summary.state != Life::Running);
    summary.current_task.as_deref().or(state).unwrap_or_default().to_owned()
}

/// A bad status since the first check got it, a healthy one since the last did, or else since the service started.
fn began(told: &Told<'_>) -> Timestamp {
    let summary = told.summary;
    let of_worst =
        summary.checks.iter().filter(|check| check.status == summary.worst).filter_map(|check| check.since);
    let began = if summary.worst == Status::Healthy { of_worst.max() } else { of_worst.min() };
    began.unwrap_or_else(|| match summary.uptime() {
        Some(uptime) if summary.worst == Status::Healthy => told.case.now.wall_before(told.age + uptime),
        _ => told.case.now.wall,
    })
}
