//! Row `crash_looping`, where no supervisor counts.

use super::{Case, Finding};
use crate::{Cause, wording};
use health_reporter::Status;

/// Runs that are replaced again and again without a goodbye are one crash loop, whatever the present one says, and
/// also while there is none.
pub(super) fn held(case: &Case<'_>, mut finding: Finding) -> Finding {
    let end = case.memory.reruns.until(case.now.awake()).map(|end| case.now.boottime_of(end));
    let Some(end) = end.filter(|_| is_part_of_it(finding.cause)) else { return finding };
    let until = finding.until.map_or(end, |until| until.min(end));
    let message = match finding.cause {
        Cause::Crashed | Cause::OomKilled => format!("crash loop: 3 restarts in 10 min; {}", finding.message),
        _ => "crash loop: 3 restarts in 10 min".to_owned(),
    };
    finding.message = wording::line(&message, wording::MAX_MESSAGE_BYTES);
    (finding.status, finding.cause) = (Status::Fatal, Cause::CrashLooping);
    finding.reasons.insert(0, "it is started again and again, and says no goodbye".into());
    finding.with("restarts", "3 in 10 min").since(None).until(Some(until))
}

const fn is_part_of_it(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::SelfReported
            | Cause::Crashed
            | Cause::OomKilled
            | Cause::Hung
            | Cause::Overdue
            | Cause::ReporterCannotWrite
            | Cause::Missing
    )
}
