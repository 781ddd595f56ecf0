//! What is remembered of looks from outside.

use crate::looked::look;
use crate::recent::Recent;
use crate::{Metric, ProbeFacts, ProbeKind, UnitFacts, perfdata, wording};
use health_reporter::Status;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many restarts within the window are a crash loop.
pub(crate) const LOOP_RESTARTS: usize = 3;
/// Whoever did not look for so long does not know when a counter went up.
const COUNTER_IS_OLD: Duration = Duration::from_secs(600);

/// What each kind of look showed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Probes(BTreeMap<ProbeKind, Looks>);

/// The last look of a kind that is believed, and the bad ones since that are not believed yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Looks {
    believed: Option<Probed>,
    doubt: Option<Doubt>,
}

/// Looks in a row that were worse than what is believed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Doubt {
    pub(crate) looks: u16,
    /// So many in a row are believed.
    pub(crate) wanted: u16,
    /// What the last one showed.
    pub(crate) shown: Box<str>,
    took: Duration,
}

/// One look, as it was made.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) kind: ProbeKind,
    pub(crate) outcome: Result<ProbeFacts, String>,
    pub(crate) took: Duration,
}

/// Whether it keeps what is looked at: its word is believed at once.
pub(crate) const fn is_keeper(kind: ProbeKind) -> bool {
    matches!(kind, ProbeKind::Unit | ProbeKind::Container)
}

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
        self.0.get(&kind)?.believed.as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ProbeKind, &Probed)> {
        self.0.iter().filter_map(|(kind, looks)| Some((*kind, looks.believed.as_ref()?)))
    }

    /// What is not believed yet.
    pub(crate) fn doubts(&self) -> impl Iterator<Item = (ProbeKind, &Doubt)> {
        self.0.iter().filter_map(|(kind, looks)| Some((*kind, looks.doubt.as_ref()?)))
    }

    pub(crate) fn is_doubted(&self, kind: ProbeKind) -> bool {
        self.0.get(&kind).is_some_and(|looks| looks.doubt.is_some())
    }

    /// Nobody looked for a while: what was doubted before is no part of a row any more.
    pub(crate) fn forget_doubts(&mut self) {
        self.0.values_mut().for_each(|looks| looks.doubt = None);
        self.0.retain(|_, looks| looks.believed.is_some());
    }

    pub(crate) fn unit(&self) -> Option<&UnitFacts> {
        match &self.get(ProbeKind::Unit)?.outcome {
            Ok(ProbeFacts::Unit(unit)) => Some(unit),
            _ => None,
        }
    }

    /// When a keeper last started it again, as time awake.
    pub(crate) fn last_restart(&self) -> Option<Duration> {
        self.iter().filter_map(|(_, probed)| probed.restarts.recent.last()).max()
    }

    /// How long the slowest of them took.
    pub(crate) fn took(&self) -> Option<Duration> {
        let doubts = self.doubts().map(|(_, doubt)| doubt.took);
        self.iter().map(|(_, probed)| probed.took).chain(doubts).max()
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

    /// Takes in another look; a bad one is believed after so many retries.
    pub(crate) fn learn(&mut self, look: Look, retries: u8, awake: Duration) {
        let looks = self.0.entry(look.kind).or_default();
        looks.doubt = looks.doubted(&look, retries);
        if looks.doubt.is_none() {
            looks.believed = Some(Probed::after(looks.believed.take(), look, awake));
        }
    }

    /// Nobody looked for so long: that counts against nobody.
    pub(crate) fn after_gap(&mut self, lasted: Duration) {
        self.forget_doubts();
        let believed = self.0.values_mut().filter_map(|looks| looks.believed.as_mut());
        let blind = believed.filter_map(|probed| probed.blind_since_awake.as_mut());
        blind.for_each(|since| *since += lasted);
    }

    /// What it takes on the heap, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let doubts = self.doubts().map(|(_, doubt)| size_of::<Looks>() + doubt.shown.len());
        self.iter().map(|(_, probed)| probed.bytes()).chain(doubts).sum()
    }
}

impl Looks {
    fn doubted(&self, look: &Look, retries: u8) -> Option<Doubt> {
        let held = self.believed.as_ref().map_or(Status::Healthy, |probed| shown(&probed.outcome).0);
        let (status, shown) = shown(&look.outcome);
        let looks = self.doubt.as_ref().map_or(0, |doubt| doubt.looks).saturating_add(1);
        let is_doubted = status > held && looks <= u16::from(retries) && !is_keeper(look.kind);
        let (shown, wanted) = (wording::message(&shown), u16::from(retries) + 1);
        is_doubted.then_some(Doubt { looks, wanted, shown, took: look.took })
    }
}

/// How it is, and in words what it is.
fn shown<E: ToString>(outcome: &Result<ProbeFacts, E>) -> (Status, String) {
    outcome.as_ref().map_or_else(|problem| (Status::Unknown, problem.to_string()), look)
}

/// What is kept of it: of what a program wrote, its first line and its numbers.
fn reduced(mut facts: ProbeFacts) -> ProbeFacts {
    if let ProbeFacts::Command(command) = &mut facts {
        command.output = perfdata::reduced(&command.output);
    }
    facts
}

impl Probed {
    fn after(former: Option<Self>, look: Look, awake: Duration) -> Self {
        let Look { outcome, took, .. } = look;
        let blind_since = former.as_ref().and_then(|former| former.blind_since_awake);
        let mut restarts = former.map(|former| former.restarts).unwrap_or_default();
        match &outcome {
            Ok(ProbeFacts::Unit(unit)) => restarts.count(unit.restarts, awake),
            Ok(ProbeFacts::Container(container)) => restarts.count(container.restarts, awake),
            _ => {}
        }
        let blind_since_awake = outcome.is_err().then(|| blind_since.unwrap_or(awake));
        let outcome = outcome.map(reduced).map_err(|problem| wording::message(&problem));
        Self { outcome, took, seen_awake: awake, blind_since_awake, restarts }
    }

    fn bytes(&self) -> usize {
        // The sources bound each text; an exact count is not worth its code.
        const FACTS: usize = 1_024;
        size_of::<Self>() + FACTS + self.restarts.recent.heap_bytes()
    }
}

/// Restarts as differences of a counter that its owner may set back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restarts {
    counter: Option<u64>,
    /// When the counter was last seen, as time awake.
    counted_awake: Duration,
    /// When the last ones were seen.
    recent: Recent<LOOP_RESTARTS>,
}

impl Restarts {
    /// A counter that went down is a new base line, and so is one that nobody looked at for long: when it went up
    /// meanwhile is not known.
    fn count(&mut self, counter: u64, awake: Duration) {
        let former = self.counter.replace(counter);
        let is_old = awake.saturating_sub(self.counted_awake) >= COUNTER_IS_OLD;
        self.counted_awake = awake;
        let Some(former) = former.filter(|former| *former <= counter && !is_old) else {
            return self.recent.clear();
        };
        let more = usize::try_from(counter - former).map_or(LOOP_RESTARTS, |more| more.min(LOOP_RESTARTS));
        (0..more).for_each(|_| self.recent.push(awake));
    }

    /// Until which time awake it is a crash loop, where it is one.
    pub(crate) fn loops_until(&self, awake: Duration) -> Option<Duration> {
        self.recent.until(awake)
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
