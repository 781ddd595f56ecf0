//! One subject, one verdict: what a report says, where the service lives, and what looks from outside showed.

use super::home::{Home, Life};
use super::{Case, Finding, Told, by_report, outside};
use crate::memory::Fate;
use crate::{Cause, ProbeKind, UnitLoad};
use health_reporter::State;
use std::time::Duration;

/// Clocks and writes are this far apart at most.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The verdict on everything that is known of a subject.
pub(super) fn judge(case: &Case<'_>) -> Option<Finding> {
    let reported = by_report(case);
    if case.memory.probes.is_empty() {
        return reported;
    }
    let settled = strangers_report(case).or_else(|| at_home(case, reported));
    let is_planned = settled.as_ref().is_some_and(|settled| settled.cause.is_planned());
    // Whatever was stopped on purpose does not answer either.
    let looks = if is_planned { Vec::new() } else { outside::findings(case) };
    let settled = settled.filter(|settled| looks.is_empty() || settled.cause != Cause::NotObserved);
    let worst = settled.into_iter().chain(looks).reduce(worse);
    worst.map(|worst| outside::proved(case, worst))
}

/// The first of two that are equally bad: it knows more.
fn worse(first: Finding, second: Finding) -> Finding {
    let until = [first.until, second.until].into_iter().flatten().min();
    let worse = if second.status > first.status { second } else { first };
    worse.until(until)
}

/// A report that another user wrote than the one as whom its unit runs.
fn strangers_report(case: &Case<'_>) -> Option<Finding> {
    let told = Told::new(case).filter(|_| case.memory.obstacle.is_none())?;
    let (file, unit) = (case.memory.owner_uid?, case.memory.probes.unit()?);
    let owner =
        unit.owner_uid.filter(|owner| file != 0 && *owner != file && unit.active.as_str() == "active")?;
    // Whose process is seen is judged by that.
    if matches!(told.fate(), Fate::Lives(_)) {
        return None;
    }
    let problem = format!("refused: the file belongs to user {file}, its unit to user {owner}");
    Some(
        Finding::new(health_reporter::Status::Unknown, Cause::NotPermitted, &problem)
            .because("the report may not be read or believed"),
    )
}

/// The report, or what its unit or container knows better.
fn at_home(case: &Case<'_>, reported: Option<Finding>) -> Option<Finding> {
    let Some(home) = Home::of(case) else { return homeless(case, reported) };
    let alone = home.finding(case);
    Some(match reported {
        Some(reported) if !knows_better(case, &home, &alone, &reported) => home.proved(reported),
        _ => alone,
    })
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

/// Whether the end of a unit or a container outweighs what the report says.
fn knows_better(case: &Case<'_>, home: &Home, alone: &Finding, reported: &Finding) -> bool {
    if home.has_ended() && is_of_a_later_run(case, home) {
        return false;
    }
    let says_nothing = reported.cause == Cause::NotObserved;
    match home.life {
        _ if home.loops_until.is_some() => alone.status > reported.status,
        Life::Up(_) | Life::Absent(_) | Life::NotStarted => says_nothing,
        Life::EndedWell => says_nothing || ended_with_it(case, reported),
        _ => alone.status > reported.status || says_nothing || is_vague(reported.cause),
    }
}

/// A report that was written after its unit ended is another run's: somebody started it by hand.
fn is_of_a_later_run(case: &Case<'_>, home: &Home) -> bool {
    let ages = Told::new(case).map(|told| told.age).zip(home.since);
    ages.is_some_and(|(report, home)| report + TOLERANCE < home)
}

/// Whether what the report says is nothing but the silence after a stop. A job's end and its deadline are its own.
fn ended_with_it(case: &Case<'_>, reported: &Finding) -> bool {
    let told = Told::new(case);
    if told.as_ref().is_some_and(|told| told.summary.state == State::Finished) {
        return false;
    }
    let lives = told.is_some_and(|told| matches!(told.fate(), Fate::Lives(_)));
    !lives && reported.cause != Cause::Stopped
}

/// Whether a unit that failed says more than this.
const fn is_vague(cause: Cause) -> bool {
    matches!(cause, Cause::NeverStarted | Cause::Missing | Cause::Overdue | Cause::Stopped)
}
