//! The judge: one function from what is known and what was observed to what follows.
//!
//! Each module below decides some rows of the table of causes, each row in a function of its own.

mod absence;
mod aftermath;
mod case;
mod death;
mod finding;
mod goodbye;
mod home;
mod host;
mod join;
mod lateness;
mod looping;
mod obstacle;
mod outside;
mod threshold;
mod word;

pub(crate) use case::Case;
pub(crate) use finding::Finding;

use crate::fallen::{Fallen, Healer};
use crate::memory::{Hindrance, Memory};
use crate::state::{Record, State};
use crate::{Cause, Facts, Kind, Now, Observation, Policy, Subject, Transition, Verdict};
use case::Told;
use health_reporter::Status;

/// Judges one observation. The state is moved, not copied: a step costs what its one subject costs.
///
/// A transition follows when status or cause change, and when a subject is seen for the first time; a change of the
/// message alone is none. An instance of an expected service also settles the service that stands for all of them.
#[must_use]
pub fn step(
    mut state: State,
    observation: Observation,
    now: &Now,
    policy: &Policy,
) -> (State, Vec<Transition>) {
    state.enter_boot_of(now);
    let stand_in = state.stand_in(&observation.subject);
    let mut transitions = Vec::new();
    transitions.extend(observe(&mut state, observation, now, policy));
    if let Some(service) = stand_in {
        transitions.extend(observe(&mut state, Observation::time_passed(service), now, policy));
    }
    (state, transitions)
}

fn observe(state: &mut State, observation: Observation, now: &Now, policy: &Policy) -> Option<Transition> {
    let subject = observation.subject.clone();
    let (memory, held) = match state.take(&subject) {
        Some(mut record) if is_news(&observation, &record.memory) => {
            (std::mem::take(&mut record.memory), Some(record))
        }
        Some(record) => {
            state.keep(subject, record);
            return None;
        }
        None => (Memory::default(), None),
    };
    let memory = memory.after(observation, now, policy, state.room());
    let case = Case::new(&subject, &memory, now, policy, state).held(held.is_some());
    let finding = match judge(&case) {
        None if case.is_forgotten(held.as_ref().map(|record| &record.verdict)) => return None,
        finding => finding.unwrap_or_else(Finding::not_observed),
    };
    // Whoever looks only once never comes back.
    let due_boottime = finding.until.filter(|_| !policy.once);
    let (record, transition) = settle(&subject, held, memory, finding, now);
    state.keep(subject, Record { due_boottime, ..record });
    transition
}

/// Neither that time has passed nor what was before says anything of what nobody looked at in this boot.
fn is_news(observation: &Observation, memory: &Memory) -> bool {
    let is_look = !matches!(observation.outcome, Ok(Facts::TimePassed | Facts::Aftermath(_)));
    memory.is_looked_at || is_look
}

/// The verdict on what is remembered; none where nothing was promised and nothing is there.
pub(crate) fn judge(case: &Case<'_>) -> Option<Finding> {
    match case.kind {
        Kind::Resource => threshold::judge(case),
        Kind::Host => host::judge(case),
        _ => join::judge(case),
    }
}

/// The verdict on the report, and on the runs that wrote it.
fn by_report(case: &Case<'_>) -> Option<Finding> {
    by_last_report(case).map(|finding| looping::held(case, finding))
}

/// The verdict on the report alone.
fn by_last_report(case: &Case<'_>) -> Option<Finding> {
    match &case.memory.obstacle {
        Some(missing) if missing.hindrance == Hindrance::Missing => absence::missing(case),
        Some(obstacle) => {
            obstacle::held_reading(case, obstacle).or_else(|| Some(obstacle::unusable(case, obstacle)))
        }
        None => Told::new(case).map(|told| judge_report(&told)),
    }
}

/// The first row that fits.
fn judge_report(told: &Told<'_>) -> Finding {
    goodbye::finished(told)
        .or_else(|| absence::before_boot(told))
        .or_else(|| goodbye::stopped(told))
        .or_else(|| death::died(told))
        .or_else(|| lateness::silent_loop(told))
        .or_else(|| lateness::late(told))
        .unwrap_or_else(|| word::self_reported(told))
}

/// The record with its new verdict, and the transition if that is another one.
fn settle(
    subject: &Subject,
    held: Option<Record>,
    memory: Memory,
    finding: Finding,
    now: &Now,
) -> (Record, Option<Transition>) {
    let (former, mut changes, fallen) =
        held.map_or_else(Default::default, |held| (Some(held.verdict), held.changes, held.fallen));
    let is_same =
        former.as_ref().is_some_and(|held| (held.status, held.cause) == (finding.status, finding.cause));
    let since = former.as_ref().filter(|_| is_same).map(|held| held.since);
    let verdict = finding.into_verdict(since, now);
    let transition = (!is_same).then(|| {
        let mut transition = transition(subject, former.as_ref(), &verdict, now);
        if transition.is_change() {
            changes.push(now.awake());
        }
        transition.is_flapping = changes.until(now.awake()).is_some();
        tell_healer(&mut transition, former.as_ref().zip(fallen.as_deref()), &memory);
        transition
    });
    let fallen = Fallen::after(fallen, verdict.cause, &memory);
    (Record { memory, verdict, due_boottime: None, changes, fallen }, transition)
}

fn transition(subject: &Subject, former: Option<&Verdict>, verdict: &Verdict, now: &Now) -> Transition {
    Transition {
        subject: subject.clone(),
        from: former.map_or(Status::Unknown, |former| former.status),
        to: verdict.status,
        cause: verdict.cause,
        at: now.wall,
        message: verdict.message.clone(),
        since: verdict.since,
        reasons: verdict.reasons.clone(),
        evidence: verdict.evidence.clone(),
        is_healed_by_supervisor: false,
        is_flapping: false,
    }
}

/// What had ended badly and is back was started by somebody.
fn tell_healer(transition: &mut Transition, down: Option<(&Verdict, &Fallen)>, memory: &Memory) {
    let is_back = transition.cause == Cause::SelfReported || transition.to == Status::Healthy;
    let healer = down.filter(|_| is_back).and_then(|(held, fallen)| fallen.healer(held.cause, memory));
    if let Some(healer) = healer {
        transition.is_healed_by_supervisor = healer == Healer::Supervisor;
        transition.reasons.push(healer.as_str().into());
    }
}

/// What is said of what is known no more.
const GONE: &str = "it is no longer there";

/// Whether nothing is known of a subject after a transition.
pub(crate) fn is_gone(transition: &Transition) -> bool {
    (transition.to, transition.cause, &*transition.message) == (Status::Unknown, Cause::NotObserved, GONE)
}

/// Nobody can look any more at what was bad.
pub(crate) fn gone(subject: &Subject, record: &Record, now: &Now) -> Transition {
    let finding = Finding::new(Status::Unknown, Cause::NotObserved, GONE)
        .because("it is no longer there, so nobody looks at it");
    let verdict = finding.into_verdict(None, now);
    let is_flapping = record.is_flapping(now);
    Transition { is_flapping, ..transition(subject, Some(&record.verdict), &verdict, now) }
}

impl Finding {
    /// Nothing promises anything of the subject any more.
    fn not_observed() -> Self {
        Self::new(Status::Unknown, Cause::NotObserved, "not observed").because("nobody looked at it")
    }
}
