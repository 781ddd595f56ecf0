//! What the monitor hands over at once: everything that is to be remembered and is not in `state.db`.

use super::{Entry, MachineState, Record};
use healthcheck_core::history::{Beats, Bin, Window};
use healthcheck_core::{Gap, Subject};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One of the numbered batches of one run of a monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// The run of the monitor.
    pub(crate) run: String,
    /// Counted from 1 in that run.
    pub(crate) number: u64,
    /// The `state.db` that transitions are numbered in; empty where there is none.
    pub(crate) state: String,
    /// Transitions up to this number happened before it, all others after.
    pub(crate) after: i64,
    /// Until then everything was looked at.
    pub(crate) until: Timestamp,
    pub(crate) record: Record,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gaps: Vec<Gap>,
    /// Transitions of which more became known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) amended: Vec<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) maintenance: Vec<(Subject, Window)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) beats: Vec<Beats>,
    /// Of one minute each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) numbers: Vec<(Subject, String, Bin)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) forgotten: Vec<(Subject, Timestamp)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) machines: Vec<MachineState>,
}

impl Batch {
    /// What it tells, besides what it says of transitions.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        let gaps = self.gaps.into_iter().map(Entry::Gap);
        let maintenance = self.maintenance.into_iter();
        let maintenance = maintenance.map(|(subject, window)| Entry::Maintenance { subject, window });
        let beats = self.beats.into_iter().map(Entry::Beats);
        let numbers = self.numbers.into_iter();
        let numbers = numbers.map(|(subject, metric, bin)| Entry::Numbers { subject, metric, bin });
        let forgotten = self.forgotten.into_iter();
        let forgotten = forgotten.map(|(subject, at)| Entry::Forgotten { subject, at });
        let machines = self.machines.into_iter().map(Entry::Machine);
        let seen = std::iter::once(Entry::Seen(self.until));
        gaps.chain(maintenance).chain(beats).chain(numbers).chain(forgotten).chain(machines).chain(seen)
    }
}
