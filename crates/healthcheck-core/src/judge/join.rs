//! One subject, one verdict: what a report says, where the service lives, and what looks from outside showed.

use super::home::{Home, Life};
use super::{Case, Finding, Told, by_report, obstacle, outside};
use crate::memory::Fate;
use crate::{Cause, ProbeKind, UnitLoad, wording};
use health_reporter::{State, Status};
use std::time::Duration;

/// The verdict on everything that is known of a subject.
pub(super) fn judge(case: &Case<'_>) -> Option<Finding> {
    if case.memory.probes.is_empty() {
        return by_report(case);
    }
    let settled = at_home(case, strangers_report(case).or_else(|| by_report(case)));
    let is_planned = settled.as_ref().is_some_and(|settled| settled.cause.is_planned());
    // Whatever was stopped on purpose does not answer either.
    let looks = if is_planned { Vec::new() } else { outside::findings(case) };
    let until = earliest(settled.iter().chain(&looks));
    let worst = worst_observed(settled.into_iter().chain(looks).collect())?;
    let worst = if is_planned { worst } else { outside::doubted(case, worst) };
    Some(outside::proved(case, worst).until(until))
}

/// What nobody observed says nothing beside what somebody did.
fn worst_observed(findings: Vec<Finding>) -> Option<Finding> {
    let is_observed = |finding: &Finding| finding.cause != Cause::NotObserved;
    let is_any_observed = findings.iter().any(is_observed);
    findings.into_iter().filter(|finding| !is_any_observed || is_observed(finding)).reduce(worse)
}

/// When the first of them may change by time alone: whichever is shown now, that one may be shown then.
fn earliest<'a>(findings: impl Iterator<Item = &'a Finding>) -> Option<Duration> {
    findings.filter_map(|finding| finding.until).min()
}

/// The first of two that are equally bad: it knows more.
fn worse(first: Finding, second: Finding) -> Finding {
    if second.status > first.status { second } else { first }
}

/// A report that another user wrote than the one as whom its unit runs.
fn strangers_report(case: &Case<'_>) -> Option<Finding> {
    let stranger = case.memory.stranger.as_ref().filter(|_| case.memory.obstacle.is_none())?;
    Some(obstacle::unusable(case, stranger))
}

/// The report, or what its unit or container knows better.
fn at_home(case: &Case<'_>, reported: Option<Finding>) -> Option<Finding> {
    let Some(home) = Home::of(case) else { return homeless(case, reported) };
    let alone = home.finding(case);
    let until = earliest(reported.iter().chain([&alone]));
    let told = match reported {
        Some(_) if is_old_goodbye(case, &home) => since_its_start(case, &home, alone),
        Some(reported) if !knows_better(case, &home, &alone, &reported) => {
            home.proved(runs_without_report(&home, reported))
        }
        _ => alone,
    };
    let until = until.into_iter().chain(told.until).min();
    Some(told.until(until))
}

/// Who is expected to report is not excused by a unit that runs.
fn runs_without_report(home: &Home, mut reported: Finding) -> Finding {
    if reported.cause == Cause::NeverStarted && matches!(home.life, Life::Up(_)) {
        reported.message = format!("no report since boot, though {} runs", home.what);
    }
    reported
}

/// Whether it said goodbye, and was started again since.
fn is_old_goodbye(case: &Case<'_>, home: &Home) -> bool {
    let told =
        Told::new(case).filter(|told| told.summary.state == State::Stopped && case.memory.stranger.is_none());
    matches!(home.life, Life::Up(_)) && told.is_some_and(|told| home.began_after(told.age))
}

/// It runs again, and has as long for its first report as for any other.
fn since_its_start(case: &Case<'_>, home: &Home, alone: Finding) -> Finding {
    let (Some(deadline), Some(up)) = (case.deadline(), home.since) else { return alone };
    let left = deadline.saturating_sub(up);
    if alone.status.is_bad() || !left.is_zero() {
        let until = (!left.is_zero()).then(|| case.now.boottime + left);
        return alone.because("its goodbye is of an earlier run").until(until);
    }
    let limit = wording::duration(deadline);
    let message =
        format!("no report since it was started {} ago, its deadline is {limit}", wording::duration(up));
    let silent = Finding::new(Status::Error, Cause::Hung, &message)
        .because("its goodbye is of an earlier run")
        .because("it runs, and has not reported since its start");
    home.proved(silent).since(Some(case.now.wall_before(up.saturating_sub(deadline))))
}

/// Its home cannot be looked at: a report suffices without.
fn homeless(case: &Case<'_>, reported: Option<Finding>) -> Option<Finding> {
    let blind = [ProbeKind::Unit, ProbeKind::Container].into_iter().find_map(|kind| {
        let probed = case.memory.probes.get(kind)?;
        match &probed.outcome {
            Err(problem) => Some(outside::blind(case, probed, problem)),
            Ok(_) if case.memory.probes.unit().is_some_and(|unit| unit.load == UnitLoad::NoSystemd) => {
                Some(outside::no_systemd())
            }
            Ok(_) => None,
        }
    });
    match (reported, blind) {
        (Some(reported), Some(blind)) if reported.cause != Cause::NotObserved => {
            Some(reported.because(format!("beside its report: {}", blind.message)))
        }
        (reported, blind) => blind.or(reported),
    }
}

/// Whether what became of a unit or a container outweighs what the report says.
fn knows_better(case: &Case<'_>, home: &Home, alone: &Finding, reported: &Finding) -> bool {
    if case.memory.stranger.is_some() && reported.cause == Cause::NotPermitted {
        return !matches!(home.life, Life::Up(_));
    }
    // A report that was written after its unit ended is another run's: somebody started it by hand.
    if home.has_ended() && Told::new(case).is_some_and(|told| home.may_have_begun_before(told.age)) {
        return false;
    }
    let (says_nothing, is_worse) = (reported.cause == Cause::NotObserved, alone.status > reported.status);
    match home.life {
        Life::Up(_) => says_nothing || (is_worse && alone.cause == Cause::CrashLooping),
        Life::Absent(_) | Life::NotStarted => says_nothing,
        Life::EndedWell => says_nothing || ended_with_it(case, home, reported),
        _ => is_worse || says_nothing || is_vague(reported.cause),
    }
}

/// Whether what the report says is nothing but the silence after a stop. A job's end and its deadline are its own.
fn ended_with_it(case: &Case<'_>, home: &Home, reported: &Finding) -> bool {
    let told = Told::new(case);
    let is_late_job = home.is_oneshot() && reported.cause == Cause::Overdue;
    if is_late_job || told.as_ref().is_some_and(|told| told.summary.state == State::Finished) {
        return false;
    }
    let lives = told.is_some_and(|told| matches!(told.fate(), Fate::Lives(_)));
    !lives && reported.cause != Cause::Stopped
}

/// Whether a unit that failed says more than this.
const fn is_vague(cause: Cause) -> bool {
    matches!(cause, Cause::NeverStarted | Cause::Missing | Cause::Overdue | Cause::Stopped)
}
