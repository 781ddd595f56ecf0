//! What of the alerts is to be kept, piece by piece, and how they are made of that again.

use super::desk::Desk;
use super::{
    Act, Alerts, AlertsHead, DeskHead, Incident, Member, Outgoing, OutgoingState, Silence, Told, Trouble,
};
use crate::Subject;
use std::collections::{BTreeMap, BTreeSet};

/// What changed since it was last kept. Each part replaces what was kept under the same name; nothing in its place
/// means that it is to be dropped.
#[derive(Debug, Default, PartialEq)]
pub struct Changes<'a> {
    /// What holds the rest together.
    pub head: Option<&'a AlertsHead>,
    /// Incidents by number, without their members; those that are over stay as they are.
    pub incidents: Vec<&'a Incident>,
    /// Members of incidents, each with the number of its incident and its place in it.
    pub members: Vec<(u64, usize, &'a Member)>,
    /// What is the matter with a subject.
    pub troubles: Vec<(&'a Subject, Option<&'a Trouble>)>,
    /// How it stands with a channel.
    pub channels: Vec<(&'a str, Option<&'a DeskHead>)>,
    /// What a channel was told of a subject.
    pub told: Vec<(&'a str, &'a Subject, Option<&'a Told>)>,
    /// Notices, by their id.
    pub outbox: Vec<&'a Outgoing>,
    /// Silences by number.
    pub silences: Vec<(u64, Option<&'a Silence>)>,
    /// What was done, in order. Each is to be added, but for one whose [`Act::key`] is there: of that only what was done
    /// changes, not when.
    pub acts: Vec<&'a Act>,
}

impl Changes<'_> {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }
}

/// What was kept.
#[derive(Debug, Default)]
pub struct Saved {
    /// What holds the rest together; without it there is nothing.
    pub head: AlertsHead,
    /// The incidents that are not over.
    pub incidents: Vec<Incident>,
    /// What is or was the matter with each subject.
    pub troubles: Vec<(Subject, Trouble)>,
    /// How it stands with each channel.
    pub channels: Vec<(String, DeskHead)>,
    /// What each channel was told of each subject.
    pub told: Vec<(String, Subject, Told)>,
    /// The notices that are on their way.
    pub outbox: Vec<Outgoing>,
    /// The silences.
    pub silences: Vec<Silence>,
}

/// What is to be kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Dirty {
    pub(super) head: bool,
    pub(super) incidents: BTreeSet<u64>,
    /// By incident, and by the place in it: a member costs what it is, not what its incident is.
    pub(super) members: BTreeSet<(u64, usize)>,
    pub(super) troubles: BTreeSet<Subject>,
    pub(super) channels: BTreeSet<String>,
    pub(super) told: BTreeSet<(String, Subject)>,
    outbox: BTreeMap<String, Outgoing>,
    pub(super) silences: BTreeSet<u64>,
    pub(super) acts: Vec<Act>,
}

impl Dirty {
    pub(super) fn outgoing(&mut self, outgoing: &Outgoing) {
        self.outbox.insert(outgoing.notice.id.clone(), outgoing.clone());
    }

    fn is_clean(&self) -> bool {
        !self.head
            && self.incidents.is_empty()
            && self.members.is_empty()
            && self.troubles.is_empty()
            && self.channels.is_empty()
            && self.told.is_empty()
            && self.outbox.is_empty()
            && self.silences.is_empty()
            && self.acts.is_empty()
    }
}

impl Alerts {
    /// What changed since [`Alerts::kept`].
    #[must_use]
    pub fn changes(&self) -> Changes<'_> {
        let dirty = &self.dirty;
        let desks = self.real_desks();
        let told = |(channel, subject): &(String, Subject)| desks.get(channel)?.told.get(subject);
        Changes {
            head: (!dirty.is_clean()).then_some(&self.head),
            incidents: dirty.incidents.iter().filter_map(|id| self.incidents.get(id)).collect(),
            members: dirty.members.iter().filter_map(|at| self.member(*at)).collect(),
            troubles: dirty.troubles.iter().map(|it| (it, self.troubles.get(it))).collect(),
            channels: dirty
                .channels
                .iter()
                .map(|name| (name.as_str(), desks.get(name).map(|desk| &desk.head)))
                .collect(),
            told: dirty.told.iter().map(|it| (it.0.as_str(), &it.1, told(it))).collect(),
            outbox: dirty.outbox.values().collect(),
            silences: dirty.silences.iter().map(|id| (*id, self.silences.get(id))).collect(),
            acts: dirty.acts.iter().collect(),
        }
    }

    fn member(&self, (id, place): (u64, usize)) -> Option<(u64, usize, &Member)> {
        Some((id, place, self.incidents.get(&id)?.members.get(place)?))
    }

    /// What was really told.
    pub(super) fn real_desks(&self) -> &BTreeMap<String, Desk> {
        self.shelved.as_ref().unwrap_or(&self.desks)
    }

    /// Everything that is known, for a database that knows nothing; what was done is no part of it, and added once.
    #[must_use]
    pub fn everything(&self) -> Changes<'_> {
        let desks = self.real_desks();
        let outgoing = desks.values().filter_map(|desk| desk.outgoing.as_ref());
        Changes {
            head: Some(&self.head),
            incidents: self.incidents.values().collect(),
            members: self.incidents.values().flat_map(Incident::placed_members).collect(),
            troubles: self.troubles.iter().map(|(subject, it)| (subject, Some(it))).collect(),
            channels: desks.iter().map(|(name, desk)| (name.as_str(), Some(&desk.head))).collect(),
            told: desks
                .iter()
                .flat_map(|(name, desk)| {
                    desk.told.iter().map(move |(it, told)| (name.as_str(), it, Some(told)))
                })
                .collect(),
            outbox: outgoing.chain(self.dirty.outbox.values()).collect(),
            silences: self.silences.iter().map(|(id, silence)| (*id, Some(silence))).collect(),
            acts: Vec::new(),
        }
    }

    /// What changed is kept; incidents that are over are known no more.
    pub fn kept(&mut self) {
        self.dirty = Dirty::default();
        self.incidents.retain(|_, incident| incident.is_open());
    }

    /// The alerts that were kept. What was on its way is tried again, whether or not its server has it already.
    #[must_use]
    pub fn restored(saved: Saved) -> Self {
        let mut desks: BTreeMap<String, Desk> = BTreeMap::new();
        for (name, head) in saved.channels {
            desks.entry(name).or_default().head = head;
        }
        for (name, subject, told) in saved.told {
            desks.entry(name).or_default().told.insert(subject, told);
        }
        for outgoing in saved.outbox.into_iter().filter(|it| it.state == OutgoingState::Waiting) {
            let desk = desks.entry(outgoing.notice.channel.clone()).or_default();
            desk.outgoing = Some(outgoing);
        }
        Self {
            head: saved.head,
            incidents: saved.incidents.into_iter().map(|incident| (incident.id, incident)).collect(),
            troubles: saved.troubles.into_iter().collect(),
            silences: saved.silences.into_iter().map(|silence| (silence.id, silence)).collect(),
            desks,
            is_stale: true,
            ..Self::default()
        }
    }
}
