//! From transitions to notices: who is told what, when, and why not.
//!
//! [`Alerts`] holds incidents, mutes, what each channel's server last accepted, and what is on its way. [`Alerts::note`]
//! takes in transitions, [`Alerts::plan`] compares what is true with what each channel was told, and decides. Since it
//! compares states and follows no events, nothing that fails in between is lost: what was not told is still to be told.

mod act;
mod changes;
mod clock;
mod compose;
mod decide;
mod delivery;
mod desk;
mod incident;
mod looks;
mod mute;
mod notice;
mod operate;
mod plan;
mod replay;
mod rules;
mod standing;
mod teller;
mod trouble;
mod words;

pub use act::{Act, Deed};
pub use changes::{Changes, Saved};
pub use delivery::{Outcome, Outgoing, OutgoingState};
pub use desk::{DeskHead, Told};
pub use incident::{Acknowledgement, Incident, Member};
pub use mute::{Decided, Held, Hours, MaintenanceWindow, Route, Silence};
pub use notice::{Item, Machine, Notice, NoticeReason};
pub use operate::{ChannelView, NoSuchIncident};
pub use replay::{Fate, Hearing, Replayed, Step, Story, replay};
pub use rules::{ChannelRules, Rules};
pub use teller::Heard;
pub use trouble::Trouble;

use crate::{Cause, Kind, Now, Policy, State, Subject, Transition};
use changes::Dirty;
use clock::Clock;
use desk::Desk;
use health_reporter::Status;
use jiff::Timestamp;
use looks::Looks;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An incident that takes in everything is of no use to anybody.
const MAX_MEMBERS: usize = 1_000;
/// Machines that fall together have one cause, however many they are.
const MAX_HOSTS: usize = 100_000;

/// What a decision is made of.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// What is true.
    pub state: &'a State,
    /// What is expected, and what depends on what.
    pub policy: &'a Policy,
    /// When somebody is told.
    pub rules: &'a Rules,
    /// The instant.
    pub now: &'a Now,
}

/// Incidents, mutes, what each channel was told, and what is on its way to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alerts {
    head: AlertsHead,
    incidents: BTreeMap<u64, Incident>,
    troubles: BTreeMap<Subject, Trouble>,
    silences: BTreeMap<u64, Silence>,
    desks: BTreeMap<String, Desk>,
    /// What was really told, while a dry run goes on.
    shelved: Option<BTreeMap<String, Desk>>,
    dirty: Dirty,
    /// When time alone may change a decision.
    next: Option<Duration>,
    /// Causes may have changed since they were last looked for.
    is_stale: bool,
    /// Whom each cause keeps from being told of.
    affected: BTreeMap<Subject, Vec<String>>,
    /// What is bad and depends on anything.
    dependants: BTreeSet<Subject>,
    /// What the next plan looks at.
    looks: Looks,
    /// When it is looked again for what nobody needs to know any more.
    prune_at: Duration,
}

/// What holds the rest together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertsHead {
    /// What makes the numbers of one `state.db` unique: letters and digits.
    instance: String,
    clock: Clock,
    last_incident: u64,
    last_notice: u64,
    last_silence: u64,
    reboot: Option<Reboot>,
    /// When whoever kept this said goodbye, if he did.
    stopped: Option<Timestamp>,
    /// Another watcher tells of machines.
    leaves_hosts: bool,
}

/// How the machine came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// Until when it is known to have been there, wall time.
    pub down: Timestamp,
    /// Since when it is back, wall time.
    pub up: Timestamp,
    /// Whether it was shut down.
    pub was_clean: bool,
}

impl Alerts {
    /// Knows nothing, and calls itself by letters and digits that nobody else has.
    #[must_use]
    pub fn new(instance: &str) -> Self {
        let head = AlertsHead { instance: instance.to_owned(), ..AlertsHead::default() };
        Self { head, is_stale: true, ..Self::default() }
    }

    /// By what its numbers are unique.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.head.instance
    }

    /// Takes in a transition: an incident opens, worsens or resolves. Whoever is to be told is decided by
    /// [`Alerts::plan`].
    pub fn note(&mut self, transition: &Transition, world: &World<'_>) {
        self.advance(world.now);
        self.look_at(&transition.subject);
        self.plan_at_once();
        match transition.to {
            Status::Healthy => self.end_trouble(transition, world),
            // Whoever cannot be looked at has not recovered; whoever is gone is found by `relate`.
            Status::Unknown => {}
            Status::Warning | Status::Error | Status::Fatal => self.suffer(transition, world),
        }
    }

    /// More became known of what was noted already: whoever is told from now on is told that. What is over stays so.
    pub fn amend(&mut self, transition: &Transition, world: &World<'_>) {
        let is_open = self.troubles.get(&transition.subject).is_some_and(Trouble::is_open);
        if is_open && transition.to > Status::Unknown {
            self.note(transition, world);
        }
    }

    /// Brings what is known into agreement with what is true: at the start, since either may have been lost.
    pub fn agree(&mut self, world: &World<'_>) {
        self.advance(world.now);
        self.is_stale = true;
        self.looks.touch_all();
        self.plan_at_once();
        let open = self.troubles.iter().filter(|(_, trouble)| trouble.is_open());
        let is_wrong = |subject: &Subject| {
            world.state.verdict(subject).is_some_and(|verdict| verdict.status == Status::Healthy)
        };
        let over: Vec<_> = open.map(|(subject, _)| subject.clone()).filter(|it| is_wrong(it)).collect();
        for subject in over {
            self.note(&as_transition(&subject, world), world);
        }
        for (subject, record) in world.state.records() {
            let status = record.verdict.status;
            let is_known = self.troubles.get(subject).is_some_and(|it| it.is_open() && it.status == status);
            if status > Status::Unknown && !(is_known && self.is_member(subject)) {
                self.note(&as_transition(subject, world), world);
            }
        }
    }

    /// Whether the incident of a subject knows of it: that may have been lost alone.
    fn is_member(&self, subject: &Subject) -> bool {
        let incident = self.incident_of(subject).and_then(|id| self.incidents.get(&id));
        incident.is_some_and(|incident| incident.members.iter().any(|member| member.subject == *subject))
    }

    /// The monitor stops because it was asked to.
    pub fn stop(&mut self, at: Timestamp) {
        self.head.stopped = Some(at);
        self.dirty.head = true;
        self.record(at, Deed::Stopped);
    }

    /// The monitor goes on; when the last one stopped, where it was asked to.
    pub fn start(&mut self) -> Option<Timestamp> {
        self.dirty.head = true;
        self.head.stopped.take()
    }

    /// The monitor has looked at everything once.
    pub fn started(&mut self, now: &Now) {
        self.record(now.wall, Deed::Started { boottime: now.boottime });
    }

    /// The machine is back; every channel is told when the grace is over.
    pub fn rebooted(&mut self, reboot: Reboot, rules: &Rules) {
        if !reboot.was_clean {
            let host = Subject::new(Kind::Host, &rules.host);
            let is_told = |channel: &ChannelRules| channel.hears(&host, Status::Warning);
            for (name, _) in rules.channels.iter().filter(|(_, channel)| is_told(channel)) {
                self.desks.entry(name.clone()).or_default().head.is_reboot_due = true;
                self.dirty.channels.insert(name.clone());
            }
        }
        self.record(reboot.up, Deed::Rebooted(reboot.clone()));
        self.head.reboot = Some(reboot);
        self.dirty.head = true;
        self.plan_at_once();
    }

    /// Something changed: what follows is decided by [`Alerts::plan`], and is due now.
    const fn plan_at_once(&mut self) {
        self.next = Some(self.head.clock.at);
    }

    fn suffer(&mut self, transition: &Transition, world: &World<'_>) {
        let at = self.head.clock.at;
        let subject = &transition.subject;
        let open = self.troubles.get(subject).filter(|trouble| trouble.is_open()).map(|it| it.incident);
        let incident = open.unwrap_or_else(|| self.incident_for(transition, world));
        let trouble = match self.troubles.remove(subject) {
            Some(mut former) if former.is_open() => {
                former.goes_on(transition, at);
                former
            }
            Some(former) => former.again(incident, transition, at),
            None => Trouble::new(incident, transition, at),
        };
        self.troubles.insert(subject.clone(), trouble);
        self.dirty.troubles.insert(subject.clone());
        self.join(incident, transition);
    }

    /// The incident of its cause, or the one that is just beginning, or a new one.
    fn incident_for(&mut self, transition: &Transition, world: &World<'_>) -> u64 {
        let at = self.head.clock.at;
        let kind = transition.subject.kind;
        let (wait, room) = match kind {
            Kind::Host => (world.rules.host_wait, MAX_HOSTS),
            _ => (world.rules.group_wait, MAX_MEMBERS),
        };
        let root = world.state.root_of(&transition.subject, world.policy);
        let of_root = root.and_then(|root| self.troubles.get(&root)).filter(|trouble| trouble.is_open());
        let has_room = |id: &u64| self.incidents.get(id).is_some_and(|it| it.members.len() < room);
        let mut of_kind =
            self.incidents.iter().rev().filter(|(_, it)| it.is_of_hosts() == (kind == Kind::Host));
        let beginning =
            of_kind.next().filter(|(_, incident)| incident.is_open() && incident.opened_at + wait > at);
        let known = of_root.map(|trouble| trouble.incident).or_else(|| beginning.map(|(id, _)| *id));
        if let Some(known) = known.filter(has_room) {
            return known;
        }
        self.head.last_incident += 1;
        let id = self.head.last_incident;
        let opened = transition.at;
        let incident = Incident {
            id,
            opened,
            resolved: None,
            worst: transition.to,
            acknowledged: None,
            members: Vec::new(),
            opened_at: at,
        };
        self.incidents.insert(id, incident);
        self.dirty.incidents.insert(id);
        self.dirty.head = true;
        id
    }

    fn join(&mut self, id: u64, transition: &Transition) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if transition.to > incident.worst {
            incident.worst = transition.to;
            self.dirty.incidents.insert(id);
        }
        let Transition { subject, to, cause, message, since, .. } = transition;
        let member = Member {
            subject: subject.clone(),
            status: *to,
            cause: *cause,
            message: message.clone(),
            since: *since,
            recovered: None,
        };
        let members = &mut incident.members;
        let known = members.iter().position(|member| member.subject == *subject);
        let place = known.unwrap_or(members.len());
        match members.get_mut(place) {
            Some(known) if known.recovered.is_none() => *known = Member { since: known.since, ..member },
            Some(known) => *known = member,
            None => members.push(member),
        }
        self.dirty.members.insert((id, place));
    }

    /// Whoever is not known any more is not bad any more either.
    fn end_gone(&mut self, world: &World<'_>) {
        let is_open = |subject: &&Subject| self.troubles.get(*subject).is_some_and(Trouble::is_open);
        let is_gone = |subject: &&Subject| is_open(subject) && world.state.verdict(subject).is_none();
        let gone: Vec<_> = match self.looks.touched() {
            Some(touched) => touched.iter().filter(is_gone).cloned().collect(),
            None => self.troubles.keys().filter(is_gone).cloned().collect(),
        };
        for subject in gone {
            self.end_trouble(&as_transition(&subject, world), world);
        }
    }

    fn end_trouble(&mut self, transition: &Transition, world: &World<'_>) {
        let at = self.head.clock.at;
        let Some(trouble) = self.troubles.get_mut(&transition.subject) else { return };
        if !trouble.is_open() {
            return;
        }
        trouble.end(transition, at);
        let is_in_time = at < trouble.fell + world.rules.restart_wait;
        let is_back = transition.to == Status::Healthy && !transition.cause.is_planned();
        if trouble.may_heal() && is_in_time && is_back {
            trouble.heal(at, world.now, &world.rules.zone);
        }
        let id = trouble.incident;
        self.dirty.troubles.insert(transition.subject.clone());
        self.leave(id, transition);
    }

    fn leave(&mut self, id: u64, transition: &Transition) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        let left = incident.members.iter().position(|member| member.subject == transition.subject);
        if let Some(member) = left.and_then(|place| incident.members.get_mut(place)) {
            member.recovered = Some(transition.at);
        }
        self.dirty.members.extend(left.map(|place| (id, place)));
        if incident.members.iter().all(|member| member.recovered.is_some()) {
            incident.resolved = Some(transition.at);
            self.dirty.incidents.insert(id);
        }
    }
}

/// The verdict that is held, as if it had just been reached.
fn as_transition(subject: &Subject, world: &World<'_>) -> Transition {
    let verdict = world.state.verdict(subject);
    Transition {
        subject: subject.clone(),
        from: Status::Unknown,
        to: verdict.map_or(Status::Unknown, |verdict| verdict.status),
        cause: verdict.map_or(Cause::NotObserved, |verdict| verdict.cause),
        at: world.now.wall,
        message: verdict.map(|verdict| verdict.message.clone()).unwrap_or_default(),
        since: verdict.map_or(world.now.wall, |verdict| verdict.since),
        reasons: Vec::new(),
        evidence: crate::Evidence::default(),
        is_healed_by_supervisor: false,
        is_flapping: false,
    }
}
