//! Rows `report_unreadable`, `newer_version`, `not_permitted` and `probe_unavailable`.

use super::{Case, Finding, Told, judge_report};
use crate::memory::{Hindrance, Obstacle};
use crate::wording;
use health_reporter::Status;
use std::time::Duration;

/// A writer that does not replace its file atomically may be met in the middle of it.
const TORN_FOR: Duration = Duration::from_millis(100);

/// The last good reading is held while the file may only be half written.
pub(super) fn held_reading(case: &Case<'_>, obstacle: &Obstacle) -> Option<Finding> {
    let end = obstacle.since_awake + TORN_FOR;
    if case.policy.once || obstacle.hindrance != Hindrance::Unreadable || case.now.awake() >= end {
        return None;
    }
    let mut finding = judge_report(&Told::new(case)?);
    let end = case.now.boottime_of(end);
    finding.until = Some(finding.until.map_or(end, |until| until.min(end)));
    Some(finding.because("the report is torn: the last good reading holds for 100 ms"))
}

/// Nobody can tell how it is; where it is expected, that is an error in the end.
pub(super) fn unusable(case: &Case<'_>, obstacle: &Obstacle) -> Finding {
    let waited = waited(case, obstacle);
    let limit = case.policy.unknown_after;
    let is_too_long = case.is_expected() && waited.is_some_and(|waited| waited >= limit);
    let status = if is_too_long { Status::Error } else { Status::Unknown };
    let too_long =
        is_too_long.then(|| format!("expected, and unknown for {} or longer", wording::duration(limit)));
    let may_change = case.is_expected() && !is_too_long && !case.policy.once;
    let waited = waited.map(wording::duration);
    let message = match obstacle.hindrance {
        Hindrance::Unreadable => format!("unreadable report: {}", obstacle.problem),
        _ => obstacle.problem.to_string(),
    };
    Finding::new(status, obstacle.hindrance.cause(), &message)
        .because(match obstacle.hindrance {
            Hindrance::NewerVersion => "the report is of a newer version",
            Hindrance::NotPermitted => "the report may not be read or believed",
            Hindrance::Unavailable => "it could not be looked at",
            Hindrance::Missing | Hindrance::Unreadable => "the report cannot be read",
        })
        .maybe_because(too_long)
        .with("problem", &obstacle.problem)
        .maybe_with("unknown_for", waited.as_deref())
        .since(obstacle.changed)
        .until(may_change.then(|| case.now.boottime_of(obstacle.since_awake + limit)))
}

/// How long it has been so: by our own observation, or for a single look by the time of the file.
fn waited(case: &Case<'_>, obstacle: &Obstacle) -> Option<Duration> {
    if case.policy.once {
        return case.now.since_wall(obstacle.changed?);
    }
    Some(case.now.awake().saturating_sub(obstacle.since_awake))
}
