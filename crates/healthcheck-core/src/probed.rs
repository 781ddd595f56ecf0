//! What is remembered of looks from outside.

use crate::{Metric, ProbeFacts, ProbeKind, UnitFacts, perfdata, wording};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many restarts within the window are a crash loop.
pub(crate) const LOOP_RESTARTS: usize = 3;
pub(crate) const LOOP_WINDOW: Duration = Duration::from_secs(600);

/// The last look of each kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Probes(BTreeMap<ProbeKind, Probed>);

/// What one look showed, and what the looks before it mean for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probed {
    pub(crate) outcome: Result<ProbeFacts, Box<str>>,
    pub(crate) took: Duration,
    pub(crate) seen_awake: Duration,
    /// Since when it could not be looked at, as time awake.
    pub(crate) blind_since_awake: Option<Duration>,
    pub(crate) restarts: Restarts,
}

impl Probes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, kind: ProbeKind) -> Option<&Probed> {
        self.0.get(&kind)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ProbeKind, &Probed)> {
        self.0.iter().map(|(kind, probed)| (*kind, probed))
    }

    pub(crate) fn unit(&self) -> Option<&UnitFacts> {
        match &self.get(ProbeKind::Unit)?.outcome {
            Ok(ProbeFacts::Unit(unit)) => Some(unit),
            _ => None,
        }
    }

    /// How long the slowest of them took.
    pub(crate) fn took(&self) -> Option<Duration> {
        self.0.values().map(|probed| probed.took).max()
    }

    /// The numbers that a command brought, or how long a certificate is still valid.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        match self.get(ProbeKind::Command).map(|probed| &probed.outcome) {
            Some(Ok(ProbeFacts::Command(command))) => perfdata::metrics(&command.output),
            _ => self.certificate().into_iter().collect(),
        }
    }

    fn certificate(&self) -> Option<Metric> {
        let Ok(ProbeFacts::Http(http)) = &self.get(ProbeKind::Http)?.outcome else { return None };
        let value = http.certificate_left?.as_secs_f64();
        Some(Metric { label: "certificate_left".to_owned(), value, unit: "s".to_owned() })
    }

    /// Takes in another look.
    pub(crate) fn learn(
        &mut self,
        kind: ProbeKind,
        outcome: Result<ProbeFacts, String>,
        took: Duration,
        awake: Duration,
    ) {
        let former = self.0.remove(&kind);
        let blind_since = former.as_ref().and_then(|former| former.blind_since_awake);
        let mut restarts = former.map(|former| former.restarts).unwrap_or_default();
        match &outcome {
            Ok(ProbeFacts::Unit(unit)) => restarts.count(unit.restarts, awake),
            Ok(ProbeFacts::Container(container)) => restarts.count(container.restarts, awake),
            _ => {}
        }
        let blind_since_awake = outcome.is_err().then(|| blind_since.unwrap_or(awake));
        let outcome = outcome.map(reduced).map_err(|problem| wording::message(&problem));
        self.0.insert(kind, Probed { outcome, took, seen_awake: awake, blind_since_awake, restarts });
    }

    /// Nobody looked for so long: that counts against nobody.
    pub(crate) fn after_gap(&mut self, lasted: Duration) {
        let blind = self.0.values_mut().filter_map(|probed| probed.blind_since_awake.as_mut());
        blind.for_each(|since| *since += lasted);
    }

    /// What it takes on the heap, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.values().map(Probed::bytes).sum()
    }
}

/// What is kept of it: of what a program wrote, its first line and its numbers.
fn reduced(mut facts: ProbeFacts) -> ProbeFacts {
    if let ProbeFacts::Command(command) = &mut facts {
        command.output = perfdata::reduced(&command.output);
    }
    facts
}

impl Probed {
    fn bytes(&self) -> usize {
        // The sources bound each text; an exact count is not worth its code.
        const FACTS: usize = 1_024;
        size_of::<Self>() + FACTS + self.restarts.recent.len() * size_of::<Duration>()
    }
}

/// Restarts as differences of a counter that its owner may set back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restarts {
    counter: Option<u64>,
    /// When the counter was last seen, as time awake.
    counted_awake: Duration,
    /// When the last ones were seen, as times awake.
    recent: Vec<Duration>,
}

impl Restarts {
    /// A counter that went down is a new base line, and so is one that nobody looked at for long: when it went up
    /// meanwhile is not known.
    fn count(&mut self, counter: u64, awake: Duration) {
        let former = self.counter.replace(counter);
        let is_old = awake.saturating_sub(self.counted_awake) >= LOOP_WINDOW;
        self.counted_awake = awake;
        let Some(former) = former.filter(|former| *former <= counter && !is_old) else {
            return self.recent.clear();
        };
        let more = usize::try_from(counter - former).map_or(LOOP_RESTARTS, |more| more.min(LOOP_RESTARTS));
        self.recent.extend(std::iter::repeat_n(awake, more));
        let excess = self.recent.len().saturating_sub(LOOP_RESTARTS);
        self.recent.drain(..excess);
    }

    /// Until which time awake it is a crash loop, where it is one.
    pub(crate) fn loops_until(&self, awake: Duration) -> Option<Duration> {
        let first = self.recent.first().filter(|_| self.recent.len() >= LOOP_RESTARTS)?;
        Some(*first + LOOP_WINDOW).filter(|end| *end > awake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn f14_a_restart_counter_counts_by_its_differences() {
        let mut restarts = Restarts::default();
        restarts.count(500, at(0));
        assert_eq!(restarts.loops_until(at(0)), None, "those were before anybody looked");
        restarts.count(501, at(10));
        restarts.count(502, at(20));
        restarts.count(0, at(30));
        restarts.count(1, at(40));
        assert_eq!(restarts.loops_until(at(40)), None, "it was set back");
        restarts.count(3, at(50));
        assert_eq!(restarts.loops_until(at(50)), Some(at(640)));
        assert_eq!(restarts.loops_until(at(640)), None);
        restarts.count(u64::MAX, at(649));
        assert_eq!(restarts.loops_until(at(649)), Some(at(1_249)));
        restarts.count(7, at(700));
        restarts.count(500, at(1_300));
        assert_eq!(restarts.loops_until(at(1_300)), None, "nobody knows when in those ten minutes");
    }
}
