//! Rows `finished` and `stopped`, and a job that ended in an error or is due again.

use super::{Finding, Told, aftermath};
use crate::{Cause, Exit, wording};
use health_reporter::{State as Life, Status};

/// A job's end holds until its deadline, in whatever way it ended, and across boots.
pub(super) fn finished(told: &Told<'_>) -> Option<Finding> {
    if told.summary.state != Life::Finished {
        return None;
    }
    if told.is_late() {
        return Some(due_again(told));
    }
    let finding = match told.summary.worst {
        Status::Error | Status::Fatal => failed(told),
        Status::Warning | Status::Unknown => super::word::self_reported(told),
        Status::Healthy => Finding::new(Status::Healthy, Cause::Finished, "finished")
            .because("its job is done")
            .since(Some(told.updated())),
    };
    Some(finding.maybe_because(told.sight.evidence.caveat()).until(told.late_at()))
}

/// Having stopped is planned; an expected service should not stay so for ever.
pub(super) fn stopped(told: &Told<'_>) -> Option<Finding> {
    if told.summary.state != Life::Stopped {
        return None;
    }
    let limit = told.case.policy.stopped_after;
    let is_too_long = told.case.is_expected() && told.counted_age >= limit;
    let status = if is_too_long { Status::Warning } else { Status::Healthy };
    let too_long =
        is_too_long.then(|| format!("expected, and stopped for {} or longer", wording::duration(limit)));
    let may_change = told.case.is_expected() && !is_too_long;
    let reason = told.summary.goodbye.as_deref();
    let message = reason.map_or_else(|| "stopped".to_owned(), |reason| format!("stopped: {reason}"));
    let finding = Finding::new(status, Cause::Stopped, &message)
        .because("it said goodbye")
        .maybe_because(too_long)
        .maybe_because(told.sight.evidence.caveat())
        .with("stopped_for", &told.age_in_words())
        .since(Some(told.updated()))
        .until(may_change.then(|| told.at_age(limit)));
    Some(finding)
}

fn due_again(told: &Told<'_>) -> Finding {
    let (age, deadline) = (told.age_in_words(), wording::duration(told.deadline));
    Finding::new(Status::Error, Cause::Overdue, &format!("last finished {age} ago, due each {deadline}"))
        .because("its job was done, and is past its deadline")
        .maybe_because(told.sight.evidence.caveat())
        .with("age", &age)
        .with("deadline", &deadline)
        .with("age_from", told.sight.evidence.as_str())
        .since(Some(told.late_since()))
}

fn failed(told: &Told<'_>) -> Finding {
    let message = match told.summary.exit {
        Some(Exit::Signal(signal)) => format!("killed by signal {signal}"),
        Some(Exit::Code(code)) => format!("failed (exit {code})"),
        None => "failed".to_owned(),
    };
    let says = super::word::last_word(told.summary);
    let message = says.map_or_else(|| message.clone(), |says| format!("{message}: {says}"));
    let finding = Finding::new(Status::Error, Cause::Crashed, &message)
        .because("it says that it finished with an error")
        .maybe_with("exit", told.summary.exit.map(Exit::in_words).as_deref())
        .with("reported", told.summary.worst.as_str())
        .since(Some(told.updated()));
    told.case
        .ending()
        .into_iter()
        .fold(finding, |finding, ending| aftermath::proved(told.case, ending, finding))
}
