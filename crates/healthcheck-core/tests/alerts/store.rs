//! What a monitor kept: texts by name, as a database has them.

use health_reporter::Status;
use healthcheck_core::alerts::{Alerts, Changes, Incident, Member, Outgoing, Saved};
use healthcheck_core::{State, Subject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    head: Option<String>,
    incidents: BTreeMap<u64, String>,
    members: BTreeMap<(u64, usize), String>,
    troubles: BTreeMap<Subject, String>,
    channels: BTreeMap<String, String>,
    told: BTreeMap<(String, Subject), String>,
    outbox: BTreeMap<String, String>,
    silences: BTreeMap<u64, String>,
    /// The judge's state of the same moment.
    pub(crate) state: State,
    /// How each subject was then.
    pub(crate) truth: BTreeMap<Subject, Status>,
}

impl Store {
    pub(crate) fn keep(&mut self, changes: &Changes<'_>, state: &State) {
        self.state = state.clone();
        if changes.is_empty() {
            return;
        }
        self.head = changes.head.map(text);
        for incident in &changes.incidents {
            let incident = incident.without_members();
            put(&mut self.incidents, incident.id, Some(&incident).filter(|it| it.is_open()));
        }
        for (incident, place, member) in &changes.members {
            put(&mut self.members, (*incident, *place), Some(member));
        }
        self.members.retain(|(incident, _), _| self.incidents.contains_key(incident));
        for (subject, trouble) in &changes.troubles {
            put(&mut self.troubles, (*subject).clone(), trouble.as_ref());
        }
        for (name, head) in &changes.channels {
            put(&mut self.channels, (*name).to_owned(), head.as_ref());
        }
        for (name, subject, told) in &changes.told {
            put(&mut self.told, ((*name).to_owned(), (*subject).clone()), told.as_ref());
        }
        for outgoing in &changes.outbox {
            put(&mut self.outbox, outgoing.notice.id.clone(), is_waiting(outgoing).then_some(outgoing));
        }
        for (id, silence) in &changes.silences {
            put(&mut self.silences, *id, silence.as_ref());
        }
    }

    /// What a new monitor knows.
    pub(crate) fn alerts(&self) -> Alerts {
        let Some(head) = &self.head else { return Alerts::new("x") };
        Alerts::restored(Saved {
            head: value(head),
            incidents: self.incidents.values().map(|it| self.incident(it)).collect(),
            troubles: self.troubles.iter().map(|(subject, it)| (subject.clone(), value(it))).collect(),
            channels: self.channels.iter().map(|(name, it)| (name.clone(), value(it))).collect(),
            told: self
                .told
                .iter()
                .map(|((name, it), told)| (name.clone(), it.clone(), value(told)))
                .collect(),
            outbox: self.outbox.values().map(|it| value(it)).collect(),
            silences: self.silences.values().map(|it| value(it)).collect(),
        })
    }

    fn incident(&self, kept: &str) -> Incident {
        let mut incident: Incident = value(kept);
        let members = self.members.range((incident.id, 0)..(incident.id + 1, 0));
        let members = members.map(|(_, it)| value::<Member>(it));
        incident.members.extend(members);
        incident
    }

    /// Whether anything is on its way.
    pub(crate) fn is_sending(&self) -> bool {
        !self.outbox.is_empty()
    }
}

fn is_waiting(outgoing: &Outgoing) -> bool {
    outgoing.state == healthcheck_core::alerts::OutgoingState::Waiting
}

fn put<K: Ord, V: Serialize>(map: &mut BTreeMap<K, String>, key: K, value: Option<&V>) {
    match value {
        Some(value) => map.insert(key, text(value)),
        None => map.remove(&key),
    };
}

fn text<T: Serialize>(value: T) -> String {
    serde_json::to_string(&value).unwrap()
}

fn value<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}
