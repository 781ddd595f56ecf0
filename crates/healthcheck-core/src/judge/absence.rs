//! Rows `missing`, `never_started`, and `not_observed` while grace lasts.

use super::{Case, Finding, Told};
use crate::{Cause, wording};
use health_reporter::Status;

/// There is no file.
pub(super) fn missing(case: &Case<'_>) -> Option<Finding> {
    if case.memory.has_reported {
        return Some(gone(case));
    }
    if let Some(instance) = case.instance {
        return Some(represented(&instance.name)).filter(|_| case.is_held);
    }
    case.is_expected().then(|| no_report_since_boot(case))
}

/// There is a file, of an earlier boot.
pub(super) fn before_boot(told: &Told<'_>) -> Option<Finding> {
    if !told.sight.is_before_boot {
        return None;
    }
    let beat = format!("{} ago", told.age_in_words());
    let finding = no_report_since_boot(told.case).because("its report is from before the boot");
    Some(finding.with("state_before_boot", told.summary.state.as_str()).with("last_beat", &beat))
}

fn gone(case: &Case<'_>) -> Finding {
    let beat = case.memory.sight.as_ref().map(|sight| sight.age(case.now));
    let beat = beat.map(|age| format!("{} ago", wording::duration(age)));
    Finding::new(Status::Error, Cause::Missing, "its report is gone")
        .because("it reported since boot, and its file is gone")
        .maybe_with("last_beat", beat.as_deref())
}

fn represented(instance: &str) -> Finding {
    Finding::new(Status::Healthy, Cause::SelfReported, &format!("present as {instance}"))
        .because("an instance of it reports, and is judged by itself")
        .with("instance", instance)
}

/// Where it is looked at in another way too, a report is optional, and its absence says nothing.
fn no_report_since_boot(case: &Case<'_>) -> Finding {
    if case.settings.is_some_and(|settings| settings.looked_at_from_outside) {
        return Finding::new(
            Status::Unknown,
            Cause::NotObserved,
            "no report, and nobody looked from outside",
        )
        .because("it is to be looked at from outside, so a report is optional");
    }
    never_started(case)
}

fn never_started(case: &Case<'_>) -> Finding {
    let why = if case.settings.is_some() {
        "expected by configuration"
    } else {
        "expected because it reported once"
    };
    let up = wording::duration(case.now.boottime);
    let finding = match case.grace() {
        Some(end) => {
            Finding::new(Status::Unknown, Cause::NotObserved, "no report since boot, grace is not over")
                .until(Some(end))
        }
        None => Finding::new(Status::Error, Cause::NeverStarted, "no report since boot"),
    };
    finding.because(why).with("boot", &format!("{up} ago"))
}
