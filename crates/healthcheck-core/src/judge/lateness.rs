//! Rows `hung`, `overdue` and `reporter_cannot_write`.

use super::{Finding, Told};
use crate::memory::Fate;
use crate::summary::SilentLoop;
use crate::{Cause, FileSystem, NotLooked, ProcessFacts, ProcessState, wording};
use health_reporter::Status;

/// A loop was silent for too long when the report was written: the reporter lives, its service does not work.
pub(super) fn silent_loop(told: &Told<'_>) -> Option<Finding> {
    let SilentLoop { name, silence_s, limit_s } = told.summary.silent_loop.as_deref()?;
    let (silence, limit) = (wording::seconds(*silence_s), wording::seconds(*limit_s));
    let began = told.case.now.wall_before((told.age + silence).saturating_sub(limit));
    let (silence, limit) = (wording::duration(silence), wording::duration(limit));
    let message = format!("loop {name} silent for {silence}, its limit is {limit}");
    let finding = Finding::new(Status::Error, Cause::Hung, &message)
        .because("a watched loop is past its limit")
        .with("loop", name)
        .with("silence", &silence)
        .with("limit", &limit);
    Some(finding.since(Some(began)))
}

/// The report is past its deadline; what that means depends on what there is to look at.
pub(super) fn late(told: &Told<'_>) -> Option<Finding> {
    if !told.is_late() {
        return None;
    }
    let finding = match told.fate() {
        Fate::Lives(process) => cannot_write(told).unwrap_or_else(|| hung(told, process)),
        Fate::NotKnown(why) => overdue(told, why),
        Fate::Ended { .. } => return None,
    };
    let asleep = told.asleep().map(wording::duration);
    let failures = Some(told.summary.write_failures).filter(|failures| *failures > 0);
    let finding = finding
        .maybe_because(
            asleep.is_some().then_some("the time in which the machine was suspended does not count"),
        )
        .maybe_because(told.sight.evidence.caveat())
        .maybe_with("suspended", asleep.as_deref())
        .with("age", &told.age_in_words())
        .with("deadline", &wording::duration(told.deadline))
        .with("age_from", told.sight.evidence.as_str())
        .maybe_with("write_failures", failures.map(|failures| failures.to_string()).as_deref());
    Some(finding.since(Some(told.late_since())))
}

fn cannot_write(told: &Told<'_>) -> Option<Finding> {
    let problem = match told.case.memory.file_system {
        FileSystem::Free => return None,
        FileSystem::Full => "the file system is full",
        FileSystem::ReadOnly => "the file system is read-only",
    };
    let message = format!("cannot report: {problem}, last beat {} ago", told.age_in_words());
    let finding = Finding::new(Status::Error, Cause::ReporterCannotWrite, &message)
        .because("its process lives, its report is past the deadline")
        .because(problem);
    Some(finding.with("file_system", problem))
}

fn hung(told: &Told<'_>, process: &ProcessFacts) -> Finding {
    let held = match process.state {
        ProcessState::Stopped => Some("stopped by a signal (SIGSTOP)"),
        ProcessState::Traced => Some("stopped by a debugger"),
        _ => None,
    };
    let after = held.map(|held| format!(", {held}")).unwrap_or_default();
    let (age, deadline) = (told.age_in_words(), wording::duration(told.deadline));
    let message = format!("no beat for {age}, its deadline is {deadline}{after}");
    Finding::new(Status::Error, Cause::Hung, &message)
        .because("its process lives, its report is past the deadline")
        .maybe_because(held)
        .maybe_with("process", held)
}

fn overdue(told: &Told<'_>, why: NotLooked) -> Finding {
    let (age, deadline) = (told.age_in_words(), wording::duration(told.deadline));
    let message = format!("no beat for {age}, its deadline is {deadline}");
    Finding::new(Status::Error, Cause::Overdue, &message)
        .because("its report is past the deadline")
        .because(why.as_str())
        .with("process", why.as_str())
}
