//! Another machine: rows `overdue` and `stopped` of its lease, and `not_observed` where nobody watches it.

use super::{Case, Finding};
use crate::leased::Leased;
use crate::memory::Obstacle;
use crate::{Cause, Farewell, HostAbout, HostSight, wording};
use health_reporter::Status;
use jiff::Timestamp;
use std::time::Duration;

/// How many services are named in a message.
const MAX_NAMED: usize = 5;

/// The verdict on another machine; none if nothing is known of it.
pub(super) fn judge(case: &Case<'_>) -> Option<Finding> {
    if let Some(obstacle) = &case.memory.obstacle {
        return Some(unwatched(obstacle));
    }
    let leased = case.memory.host.as_deref()?;
    let finding = match &leased.facts.sight {
        HostSight::Alive => alive(),
        HostSight::Lost { last_seen, .. } => lost(case, leased, *last_seen),
        HostSight::Stopped(farewell) => stopped(case, leased, farewell),
    };
    let about = leased.facts.about.as_ref();
    let known = |text: Option<&'_ String>| text.filter(|text| !text.is_empty()).cloned();
    Some(
        finding
            .maybe_with("hostname", known(about.map(|about| &about.hostname)).as_deref())
            .maybe_with("description", known(about.map(|about| &about.description)).as_deref()),
    )
}

/// Whoever cannot be watched may be well, and pages nobody.
fn unwatched(obstacle: &Obstacle) -> Finding {
    Finding::new(Status::Unknown, Cause::NotObserved, "nobody can watch it just now")
        .because("the watch on other machines is lost")
        .with("problem", &obstacle.problem)
}

fn alive() -> Finding {
    Finding::new(Status::Healthy, Cause::SelfReported, "").because("its lease is renewed")
}

/// Its lease ended without a goodbye.
fn lost(case: &Case<'_>, leased: &Leased, last_seen: Timestamp) -> Finding {
    let (now, policy) = (case.now, case.policy);
    let grace = leased.grace_left(now);
    let left = policy.host_offline_after.map(|limit| leased.left_of(limit, now)).unwrap_or_default();
    let finding = match (policy.once || grace.is_zero(), left.is_zero()) {
        (false, _) => in_grace().until(Some(now.boottime + grace)),
        (true, false) => tolerated(policy.host_offline_after).until(Some(now.boottime + left)),
        (true, true) => offline(leased, leased.unseen_for(last_seen, now))
            .since(Some(now.wall_before(leased.unseen_for(last_seen, now)))),
    };
    finding.with("last_seen", &last_seen.to_string())
}

fn in_grace() -> Finding {
    Finding::new(Status::Unknown, Cause::NotObserved, "its lease ended while nobody watched")
        .because("its lease ended while nobody watched: it has time to renew it")
}

fn tolerated(limit: Option<Duration>) -> Finding {
    let limit = wording::duration(limit.unwrap_or_default());
    Finding::new(Status::Healthy, Cause::SelfReported, "its lease ended a short while ago")
        .because("its lease ended without a goodbye")
        .because(format!("it may be offline for {limit} before that is an error"))
}

fn offline(leased: &Leased, unseen: Duration) -> Finding {
    let about = leased.facts.about.as_ref();
    let message = format!(
        "its lease ended, last seen {} ago{}{}",
        wording::duration(Duration::from_secs(unseen.as_secs())),
        about.map(place).unwrap_or_default(),
        about.map(ran).unwrap_or_default()
    );
    Finding::new(Status::Error, Cause::Overdue, &message).because("its lease ended without a goodbye")
}

/// It said goodbye; what was to be over by now worries.
fn stopped(case: &Case<'_>, leased: &Leased, farewell: &Farewell) -> Finding {
    let (now, limit) = (case.now, case.policy.stopped_after);
    // Its clock may be ahead of ours.
    let planned =
        farewell.expected_back.or_else(|| farewell.at.min(leased.seen_wall()).checked_add(limit).ok());
    let due = planned.unwrap_or(Timestamp::MAX);
    let why = if farewell.reason.is_empty() { String::new() } else { format!(" ({})", farewell.reason) };
    let finding = if now.wall < due {
        let left = Duration::try_from(due.duration_since(now.wall)).unwrap_or_default();
        Finding::new(Status::Healthy, Cause::Stopped, &format!("stopped{why}"))
            .because("it said goodbye before its lease ended")
            .until(Some(now.boottime + left))
    } else {
        let place = leased.facts.about.as_ref().map(place).unwrap_or_default();
        let late = late_in_words(farewell, limit);
        Finding::new(Status::Warning, Cause::Stopped, &format!("stopped{why}, {late}{place}"))
            .because("it said goodbye, and has not come back in time")
            .since(Some(due))
    };
    let back = farewell.expected_back.map(|back| back.to_string());
    finding.with("stopped", &farewell.at.to_string()).maybe_with("expected_back", back.as_deref())
}

fn late_in_words(farewell: &Farewell, limit: Duration) -> String {
    match farewell.expected_back {
        Some(back) => format!("was expected back by {}", back.strftime("%F %H:%M UTC")),
        None => format!("and not back within {}", wording::duration(limit)),
    }
}

/// What it is called, and what people wrote about it.
fn place(about: &HostAbout) -> String {
    let words = [&*about.hostname, &*about.description];
    let words: Vec<&str> = words.into_iter().filter(|text| !text.is_empty()).collect();
    if words.is_empty() { String::new() } else { format!("; {}", words.join(", ")) }
}

/// What is gone with it.
fn ran(about: &HostAbout) -> String {
    let mut named: Vec<String> = about.services.iter().take(MAX_NAMED).cloned().collect();
    let more = about.service_count.saturating_sub(named.len());
    if more > 0 {
        named.push(if named.is_empty() { format!("{more} services") } else { format!("{more} more") });
    }
    match named.split_last() {
        None => String::new(),
        Some((only, [])) => format!("; ran {only}"),
        Some((last, rest)) => format!("; ran {} and {last}", rest.join(", ")),
    }
}
