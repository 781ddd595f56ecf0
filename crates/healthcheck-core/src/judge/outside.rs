//! Rows `probe_failed` and `probe_unavailable`, and probes that found nothing bad.

use super::{Case, Finding};
use crate::looked::look;
use crate::probed::{Doubt, Probed, is_keeper};
use crate::{Cause, ProbeFacts, ZmqFacts, ZmqSight, wording};
use health_reporter::Status;

/// The verdicts on the active looks, one for each.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let probes = &case.memory.probes;
    let looks = probes.iter().filter(|(kind, _)| !is_keeper(*kind)).map(|(_, probed)| finding(case, probed));
    let unbelieved = probes.doubts().filter(|(kind, _)| probes.get(*kind).is_none());
    looks.chain(unbelieved.map(|_| not_believed())).collect()
}

/// Nothing that is believed was seen yet.
fn not_believed() -> Finding {
    Finding::new(Status::Unknown, Cause::NotObserved, "not observed for long enough")
}

/// With what was seen and is not believed yet.
pub(super) fn doubted(case: &Case<'_>, finding: Finding) -> Finding {
    case.memory.probes.doubts().fold(finding, |finding, (kind, doubt)| {
        let Doubt { looks, wanted, shown, .. } = doubt;
        let why =
            format!("the last look was bad ({looks} of {wanted}): looked at again before it is believed");
        finding.because(why).with("last_look", &format!("{kind}: {shown}"))
    })
}

fn finding(case: &Case<'_>, probed: &Probed) -> Finding {
    match &probed.outcome {
        Err(problem) => blind(case, probed, problem),
        Ok(facts) => {
            let (status, message) = look(facts);
            let cause = if status == Status::Healthy { Cause::SelfReported } else { Cause::ProbeFailed };
            let why = if status == Status::Healthy {
                "it answers as it should"
            } else {
                "it was looked at, and is bad"
            };
            Finding::new(status, cause, &message).because(why)
        }
    }
}

/// Nobody could look; where it is expected, that is an error in the end.
pub(super) fn blind(case: &Case<'_>, probed: &Probed, problem: &str) -> Finding {
    let limit = case.policy.unknown_after;
    let end = probed.blind_since_awake.map(|since| since + limit).filter(|_| case.is_expected());
    let is_too_long = end.is_some_and(|end| case.now.awake() >= end);
    let status = if is_too_long { Status::Error } else { Status::Unknown };
    let too_long =
        is_too_long.then(|| format!("expected, and unknown for {} or longer", wording::duration(limit)));
    Finding::new(status, Cause::ProbeUnavailable, problem)
        .because("it could not be looked at")
        .maybe_because(too_long)
        .with("problem", problem)
        .until(end.filter(|_| !is_too_long).map(|end| case.now.boottime_of(end)))
}

/// On a machine without systemd nothing is bad because of that.
pub(super) fn no_systemd() -> Finding {
    Finding::new(Status::Unknown, Cause::ProbeUnavailable, "there is no systemd here to ask for its unit")
        .because("its unit could not be looked at")
}

/// With a line for each look: what it showed, and how long that took.
pub(super) fn proved(case: &Case<'_>, finding: Finding) -> Finding {
    case.memory.probes.iter().filter(|(kind, _)| !is_keeper(*kind)).fold(
        finding,
        |finding, (kind, probed)| {
            let shown = match &probed.outcome {
                Ok(facts) => look(facts).1,
                Err(problem) => problem.to_string(),
            };
            let shown = if shown.is_empty() { "well".to_owned() } else { shown };
            let finding = finding.with(kind.as_str(), &format!("{shown}, looked for {}", took(probed)));
            match &probed.outcome {
                Ok(ProbeFacts::Zmq(zmq)) => socket(zmq, finding.with("endpoint", &zmq.endpoint)),
                Ok(ProbeFacts::Http(http)) => finding
                    .maybe_with("certificate_left", http.certificate_left.map(wording::duration).as_deref()),
                _ => finding,
            }
        },
    )
}

fn socket(zmq: &ZmqFacts, finding: Finding) -> Finding {
    let ZmqSight::Alive { socket, mechanism } = &zmq.sight else { return finding };
    finding.maybe_with("socket", socket.as_deref()).with("mechanism", mechanism)
}

fn took(probed: &Probed) -> String {
    let micros = probed.took.as_micros();
    if micros < 10_000 {
        format!("{:.1} ms", probed.took.as_secs_f64() * 1e3)
    } else {
        wording::duration(probed.took)
    }
}
