//! What becomes of each incident: who was told of it, and why somebody was not.

use crate::alerts::{Alerts, Held, Incident, Notice, NoticeReason, Told};
use health_reporter::Status;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What became of an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Fate {
    /// The incident, as far as it went.
    pub incident: Incident,
    /// What each channel heard of it, by name.
    pub heard: BTreeMap<String, Hearing>,
}

/// What a channel heard of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hearing {
    /// When it was first told of it, wall time.
    pub told: Option<Timestamp>,
    /// What last held it back, where it was never told.
    pub held: Option<Held>,
}

impl Fate {
    /// When anybody was first told of it.
    #[must_use]
    pub fn told(&self) -> Option<Timestamp> {
        self.heard.values().filter_map(|hearing| hearing.told).min()
    }
}

/// What keeps a channel from being told of a subject.
fn why_not(told: &Told) -> Option<&Held> {
    told.decision.as_ref().map(|decided| &decided.held).filter(|held| **held != Held::Told)
}

/// All of them, by number.
#[derive(Debug, Default)]
pub(super) struct Fates(BTreeMap<u64, Fate>);

impl Fates {
    pub(super) fn of(self, is_meant: impl Fn(Timestamp) -> bool) -> Vec<Fate> {
        self.0.into_values().filter(|fate| is_meant(fate.incident.opened)).collect()
    }

    /// Takes in a plan before what is over is forgotten.
    pub(super) fn note(&mut self, alerts: &Alerts, notices: &[Notice]) {
        let joined = alerts.dirty.members.iter().map(|(id, _)| id);
        let changed: BTreeSet<_> = alerts.dirty.incidents.iter().chain(joined).collect();
        for incident in changed.into_iter().filter_map(|id| alerts.incidents.get(id)) {
            let heard = self.0.remove(&incident.id).map(|fate| fate.heard).unwrap_or_default();
            self.0.insert(incident.id, Fate { incident: incident.clone(), heard });
        }
        notices.iter().for_each(|notice| self.note_told(notice));
        alerts.incidents.values().for_each(|incident| self.note_held(alerts, incident));
    }

    fn note_told(&mut self, notice: &Notice) {
        let news = notice.items.iter().filter(|item| item.reason != NoticeReason::Rebooted);
        for incident in news.filter_map(|item| item.incident) {
            let Some(fate) = self.0.get_mut(&incident) else { continue };
            let hearing = fate.heard.entry(notice.channel.clone()).or_default();
            hearing.told.get_or_insert(notice.at);
            hearing.held = None;
        }
    }

    fn note_held(&mut self, alerts: &Alerts, incident: &Incident) {
        let Some(fate) = self.0.get_mut(&incident.id) else { return };
        for (name, desk) in &alerts.desks {
            if fate.heard.get(name).is_some_and(|hearing| hearing.told.is_some()) {
                continue;
            }
            let bad = incident.members.iter().filter(|member| member.recovered.is_none());
            let mut told = bad.filter_map(|member| desk.told.get(&member.subject));
            let hearing = fate.heard.entry(name.clone()).or_default();
            if told.clone().any(|told| told.status != Status::Healthy) {
                // It was told of another one before, and never that it was over.
                (hearing.told, hearing.held) = (Some(incident.opened), None);
            } else if let Some(held) = told.find_map(|told| why_not(told))
                && hearing.held.as_ref() != Some(held)
            {
                hearing.held = Some(held.clone());
            }
        }
    }
}
