//! Rows `crashed` and `oom_killed`.

use super::{Case, Finding, Told, aftermath};
use crate::memory::Fate;
use crate::summary::PANIC;
use crate::{Cause, Exit, wording};
use health_reporter::Status;

pub(super) const SIGKILL: i64 = 9;

/// The process ended, and its report has no goodbye.
pub(super) fn died(told: &Told<'_>) -> Option<Finding> {
    let Fate::Ended { how, .. } = told.fate() else { return None };
    let memory = told.case.memory;
    let oom = out_of_memory(told.case);
    let cause = if oom.is_some() { Cause::OomKilled } else { Cause::Crashed };
    let finding = Finding::new(Status::Error, cause, &message(told, oom.is_some()))
        .because(how)
        .because("its report has no goodbye")
        .with("state", told.summary.state.as_str())
        .with("last_beat", &format!("{} ago", told.age_in_words()))
        .maybe_with("exit", told.case.exit().map(Exit::in_words).as_deref())
        .maybe_with("oom", oom)
        .maybe_with(if is_panic(told) { "panic" } else { "last_error" }, told.summary.last_words.as_deref());
    let finding = told
        .case
        .ending()
        .into_iter()
        .fold(finding, |finding, ending| aftermath::proved(told.case, ending, finding));
    // Whose life was not seen may have ended at any time since the last beat.
    Some(finding.since((!memory.was_alive).then(|| told.last_beat())))
}

/// The kernel kills with SIGKILL when memory runs out: another end is not its doing.
fn out_of_memory<'a>(case: &Case<'a>) -> Option<&'a str> {
    let kernel = case.ending().and_then(|ending| ending.oom.as_deref());
    let may_be = case.exit().is_none_or(|exit| exit == Exit::Signal(SIGKILL));
    kernel.filter(|_| may_be).or_else(|| {
        let unit = case.units_own()?;
        (unit.result == "oom-kill").then_some("systemd: oom-kill")
    })
}

fn message(told: &Told<'_>, is_oom: bool) -> String {
    let blamed =
        told.case.ending().and_then(|ending| aftermath::blamed(told.case, ending)).unwrap_or_default();
    let how = match told.case.exit() {
        _ if is_oom => format!("killed{blamed}, out of memory"),
        Some(exit) => format!("crashed ({}){blamed}", exit.in_words()),
        None => format!("died{blamed}, exit unknown"),
    };
    let beat = told.age_in_words();
    let up =
        told.summary.uptime().map(|up| format!(", was up {}", wording::duration(up))).unwrap_or_default();
    let words = match told.summary.last_words.as_deref() {
        Some(panic) if is_panic(told) => format!(": {panic}"),
        Some(error) => format!("; last error: {error}"),
        None => String::new(),
    };
    format!("{how}, last beat {beat} ago{up}{words}")
}

fn is_panic(told: &Told<'_>) -> bool {
    told.summary.last_words.as_deref().is_some_and(|words| words.starts_with(PANIC))
}
