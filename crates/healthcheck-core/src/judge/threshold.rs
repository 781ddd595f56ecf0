//! Row `threshold`, and mounts that are not as they should be.

use super::{Case, Finding, obstacle};
use crate::measured::{Crossed, Measured};
use crate::{Cause, Limits, Measure, MountSight, Quantity, wording};
use health_reporter::Status;

/// The verdict on a number, or on a mount; none on a number without limits.
pub(super) fn judge(case: &Case<'_>) -> Option<Finding> {
    let memory = case.memory;
    if let Some(obstacle) = &memory.obstacle {
        return Some(obstacle::unusable(case, obstacle));
    }
    if let Some(mount) = memory.mount {
        return mounted(mount, case.is_held);
    }
    let measured = memory.measured.as_deref()?;
    let limits = case.policy.limits.get(&measured.measure.quantity)?;
    Some(number(case, measured, limits))
}

fn number(case: &Case<'_>, measured: &Measured, limits: &Limits) -> Finding {
    let lasts = |crossed: &Crossed| case.now.awake().saturating_sub(crossed.since_awake);
    let is_due = |crossed: &Crossed| case.policy.once || lasts(crossed) >= limits.hold;
    let (due, waiting): (Vec<_>, Vec<_>) = measured.crossed(limits).partition(is_due);
    let until = waiting.iter().map(|crossed| case.now.boottime_of(crossed.since_awake + limits.hold)).min();
    let shown = in_words(measured.measure, measured.measure.value);
    let finding = match due.first() {
        None => Finding::new(Status::Healthy, Cause::SelfReported, &shown).because("within its limits"),
        Some(crossed) => beyond(case, measured.measure, crossed),
    };
    finding.with("value", &shown).until(until)
}

fn beyond(case: &Case<'_>, measure: Measure, crossed: &Crossed) -> Finding {
    let (value, limit) = (in_words(measure, measure.value), in_words(measure, crossed.limit));
    let lasted = case.now.awake().saturating_sub(crossed.since_awake);
    Finding::new(crossed.status, Cause::Threshold, &format!("{value}, limit {limit}"))
        .because("it is beyond its limit, for as long as the limit allows")
        .with("limit", &limit)
        .since(Some(case.now.wall_before(lasted)))
}

fn in_words(measure: Measure, value: f64) -> String {
    match measure.quantity {
        Quantity::Temperature => format!("{value:.0} °C"),
        Quantity::Load => format!("{value:.2} a processor"),
        Quantity::DiskFree => format!("{} free", wording::bytes(value)),
        _ => format!("{} %", wording::number(value * 100.0)),
    }
}

fn mounted(mount: MountSight, is_held: bool) -> Option<Finding> {
    let (status, message) = match mount {
        // What was never bad need not be shown.
        MountSight::AsExpected if !is_held => return None,
        MountSight::AsExpected => (Status::Healthy, "mounted"),
        MountSight::Vanished => (Status::Error, "not mounted, though /etc/fstab names it"),
        MountSight::VanishedOptional => (Status::Warning, "not mounted, though /etc/fstab names it (nofail)"),
        MountSight::ReadOnly => (Status::Error, "mounted read-only, though /etc/fstab wants it writable"),
    };
    let cause = if status == Status::Healthy { Cause::SelfReported } else { Cause::ProbeFailed };
    Some(Finding::new(status, cause, message).because("the table of file systems says how it should be"))
}
