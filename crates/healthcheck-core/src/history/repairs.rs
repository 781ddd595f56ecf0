//! How often something broke, and how soon it was repaired.

use super::Window;
use crate::Subject;
use crate::alerts::Incident;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How often something broke in a window, and how soon it was repaired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repairs {
    /// Failures that reach into the window.
    pub number: usize,
    /// Those of them that have not ended.
    pub open: usize,
    /// MTTR: how long those that ended in the window lasted on average, from their own beginning on.
    pub mean_to_repair: Option<SignedDuration>,
    /// MTBF: the time in the window without any failure, for each failure that began in it.
    pub mean_between: Option<SignedDuration>,
    /// How long the longest lasted, from its own beginning on; one that has not ended, until the end of the window.
    pub longest: Option<SignedDuration>,
}

/// From when to when something was broken; without an end where it still is.
type Failure = (Timestamp, Option<Timestamp>);

impl Repairs {
    /// All of them taken together. The window ends where nothing more is known.
    #[must_use]
    pub fn of_all(incidents: &[Incident], window: Window) -> Self {
        Self::of(incidents.iter().map(|incident| (incident.opened, incident.resolved)), window)
    }

    /// Each subject that was ever part of one of them, for itself. One may join the same incident again.
    #[must_use]
    pub fn by_subject(incidents: &[Incident], window: Window) -> BTreeMap<Subject, Self> {
        let mut failures: BTreeMap<&Subject, BTreeSet<Failure>> = BTreeMap::new();
        for member in incidents.iter().flat_map(|incident| &incident.members) {
            failures.entry(&member.subject).or_default().insert((member.since, member.recovered));
        }
        let of =
            failures.into_iter().map(|(subject, it)| (subject.clone(), Self::of(it.into_iter(), window)));
        of.filter(|(_, repairs)| repairs.number > 0).collect()
    }

    fn of(failures: impl Iterator<Item = Failure>, window: Window) -> Self {
        let reaching: Vec<Failure> = failures.filter(|failure| reaches(*failure, window)).collect();
        let lasted = |(from, to): &Failure| to.unwrap_or(window.to).duration_since(*from).max(ZERO);
        let is_repaired = |(_, to): &&Failure| to.is_some_and(|to| to <= window.to);
        let repaired: Vec<_> = reaching.iter().filter(is_repaired).map(lasted).collect();
        let begun = reaching.iter().filter(|(from, _)| *from >= window.from).count();
        let broken = covered(reaching.iter().map(|(from, to)| (*from, to.unwrap_or(window.to))), window);
        Self {
            number: reaching.len(),
            open: reaching.iter().filter(|(_, to)| to.is_none()).count(),
            mean_to_repair: mean(repaired.iter().sum(), repaired.len()),
            mean_between: mean(window.length() - broken, begun),
            longest: reaching.iter().map(lasted).max(),
        }
    }
}

const ZERO: SignedDuration = SignedDuration::ZERO;

fn reaches((from, to): Failure, window: Window) -> bool {
    from < window.to && to.is_none_or(|to| to > window.from || from >= window.from)
}

fn mean(sum: SignedDuration, number: usize) -> Option<SignedDuration> {
    let number = i128::try_from(number).ok().filter(|number| *number > 0)?;
    Some(SignedDuration::from_nanos_i128(sum.as_nanos() / number))
}

/// How much of a window is covered by any of them; those that overlap count once.
fn covered(times: impl Iterator<Item = (Timestamp, Timestamp)>, window: Window) -> SignedDuration {
    let mut times: Vec<_> =
        times.filter_map(|(from, to)| Window { from, to: to.max(from) }.overlap(window)).collect();
    times.sort_unstable();
    let (mut sum, mut until) = (ZERO, window.from);
    for time in times {
        sum += time.to.duration_since(time.from.max(until)).max(ZERO);
        until = until.max(time.to);
    }
    sum
}
