//! All machines as they are shown: the verdict on each, and what it last said of itself.

use crate::config::EtcdSettings;
use crate::fleet::keys::{ServiceValue, Told};
use crate::fleet::mirror::{self, Machine, Mirror};
use crate::render::fleet::{FleetPicture, MachineView, Presence, ServiceView};
use crate::render::{Remark, Source};
use health_reporter::{Status, bounded};
use healthcheck_core::alerts::Heard;
use healthcheck_core::{
    Cause, Facts, HostFacts, HostSight, Kind, Now, Observation, Policy, State, Subject, Verdict, step,
    wording,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MAX_MESSAGE_BYTES: usize = 256;

/// Who looked, when, and where.
pub(crate) struct Seen<'a> {
    pub(crate) at: Timestamp,
    /// The machine that looked, by the name that it has in a key.
    pub(crate) host: String,
    pub(crate) etcd: &'a EtcdSettings,
    pub(crate) teller: Option<String>,
    pub(crate) remarks: Vec<Remark>,
}

/// Everything that is known of all machines but those that said goodbye for good.
pub(crate) fn fleet_picture(mirror: &Mirror, state: &State, seen: Seen<'_>) -> FleetPicture {
    let judged = state.subjects(Kind::Host).map(|subject| &*subject.name);
    let names: BTreeSet<&str> = mirror.machines().map(|(name, _)| &**name).chain(judged).collect();
    let unknown = Machine::default();
    let view = |name: &str| {
        let machine = mirror.machine(name).unwrap_or(&unknown);
        let is_gone = machine.presence() == mirror::Presence::Retired;
        let is_own = name == seen.host;
        (!is_gone).then(|| (name.to_owned(), view(name, machine, state, seen.at, is_own)))
    };
    FleetPicture {
        machines: names.into_iter().filter_map(view).collect(),
        source: Source::Direct,
        timestamp: seen.at,
        host: seen.host.clone(),
        prefix: seen.etcd.prefix.clone(),
        endpoints: seen.etcd.endpoints.iter().map(ToString::to_string).collect(),
        teller: seen.teller,
        remarks: seen.remarks,
    }
}

fn view(name: &str, machine: &Machine, state: &State, at: Timestamp, is_own: bool) -> MachineView {
    let subject = Subject::new(Kind::Host, name);
    let facts = state.host(&subject);
    // Nobody judges whether he lives himself.
    let verdict = state.verdict(&subject).filter(|_| !is_own || !machine.is_alive);
    let verdict = verdict.cloned().unwrap_or_else(|| not_judged(machine, at));
    let about = facts.and_then(|facts| facts.about.clone()).or_else(|| machine.about()).unwrap_or_default();
    let presence = presence(machine, facts, &verdict);
    // Of whom nobody can see how he is, only since when.
    let is_unseen = presence == Presence::Unknown && machine.is_alive;
    let last_seen = if is_unseen { Some(verdict.since) } else { last_seen(machine, facts, at) };
    let mut services = services(machine, presence, last_seen);
    if services.is_empty() && is_missed(presence) {
        let named =
            about.services.iter().map(|name| (name.clone(), missed_service(None, presence, last_seen)));
        services.extend(named);
    }
    let Verdict { status, cause, message, since, .. } = verdict;
    let message =
        last_seen.filter(|_| cause == Cause::Overdue).map_or(message.clone(), |it| aged(&message, it, at));
    MachineView {
        presence,
        status,
        cause,
        message,
        since,
        hostname: about.hostname,
        description: about.description,
        last_seen,
        version: machine.value.version.clone(),
        reported: machine.value.status.0,
        is_own,
        services,
    }
}

/// What was the matter when it was judged, with its age as it is now.
fn aged(message: &str, last_seen: Timestamp, at: Timestamp) -> String {
    let parts =
        message.split_once(", last seen ").and_then(|(what, rest)| Some((what, rest.split_once(" ago")?.1)));
    let age = Duration::try_from(at.duration_since(last_seen)).unwrap_or_default();
    let age = wording::duration(Duration::from_secs(age.as_secs()));
    parts.map_or_else(|| message.to_owned(), |(what, rest)| format!("{what}, last seen {age} ago{rest}"))
}

fn not_judged(machine: &Machine, at: Timestamp) -> Verdict {
    let (status, cause) = match machine.presence() {
        mirror::Presence::Alive => (Status::Healthy, Cause::SelfReported),
        mirror::Presence::Stopped(_) => (Status::Healthy, Cause::Stopped),
        _ => (Status::Unknown, Cause::NotObserved),
    };
    let since = machine.value.started.filter(|_| machine.is_alive).unwrap_or(at);
    let (message, reasons, evidence) = Default::default();
    Verdict { status, cause, message, reasons, evidence, since }
}

fn presence(machine: &Machine, facts: Option<&HostFacts>, verdict: &Verdict) -> Presence {
    match (verdict.cause, facts.map(|facts| &facts.sight)) {
        (Cause::NotObserved, _) => Presence::Unknown,
        (Cause::Overdue, _) => Presence::Offline,
        (Cause::Stopped, _) => Presence::Stopped,
        // It is not there, and there is still time before that is an error.
        (_, Some(HostSight::Lost { .. })) if !machine.is_alive => Presence::Unknown,
        _ => Presence::Online,
    }
}

fn last_seen(machine: &Machine, facts: Option<&HostFacts>, at: Timestamp) -> Option<Timestamp> {
    if machine.is_alive {
        return Some(at);
    }
    match facts.map(|facts| &facts.sight) {
        Some(HostSight::Lost { last_seen, .. }) => Some(*last_seen),
        Some(HostSight::Stopped(farewell)) => Some(farewell.at),
        _ => machine.tombstone.as_ref().map(|tombstone| tombstone.at),
    }
}

const fn is_missed(presence: Presence) -> bool {
    matches!(presence, Presence::Offline | Presence::Unknown)
}

/// What stopped with its machine is not missed.
fn services(
    machine: &Machine,
    presence: Presence,
    last_seen: Option<Timestamp>,
) -> BTreeMap<String, ServiceView> {
    let view = |service: &ServiceValue| match presence {
        Presence::Online => mirrored(service),
        _ => missed_service(Some(service), presence, last_seen),
    };
    let shown = machine.services.iter().filter(|_| presence != Presence::Stopped);
    shown.map(|(name, service)| (name.clone(), view(service))).collect()
}

fn mirrored(service: &ServiceValue) -> ServiceView {
    let ServiceValue { status, cause, message, since, current_task } = service.clone();
    ServiceView { status: status.0, cause, message, since, current_task }
}

/// Nobody knows how it is; what it last was is said.
fn missed_service(
    service: Option<&ServiceValue>,
    presence: Presence,
    last_seen: Option<Timestamp>,
) -> ServiceView {
    let was = match service {
        None => String::new(),
        Some(service) if service.message.is_empty() => format!(", was {}", service.status.0),
        Some(service) => format!(", was {}: {}", service.status.0, service.message),
    };
    let how = if presence == Presence::Offline { "offline" } else { "not seen" };
    ServiceView {
        status: Status::Unknown,
        cause: Cause::NotObserved.as_str().to_owned(),
        message: bounded(&format!("its machine is {how}{was}"), MAX_MESSAGE_BYTES),
        since: last_seen,
        current_task: None,
    }
}

/// The machines that people were told are offline, and when; where there are several channels, when the first was.
pub(super) fn missed(told: &Told) -> BTreeMap<&str, Timestamp> {
    let mut missed = BTreeMap::new();
    let is_lost = |heard: &&Heard| heard.subject.kind == Kind::Host && heard.status >= Status::Error;
    for heard in told.channels.values().flatten().filter(is_lost) {
        let at = missed.entry(&*heard.subject.name).or_insert(heard.at);
        *at = heard.at.min(*at);
    }
    missed
}

/// The verdicts of a single look.
pub(super) fn judged(mirror: &Mirror, told: &Told, now: &Now, policy: Policy) -> State {
    // Whoever was told as lost had all the time that there is before that is an error.
    let policy = Policy { once: true, host_offline_after: None, ..policy };
    let mut missed = missed(told);
    let mut state = State::default();
    let mut judge = |name: &str, facts: HostFacts| {
        let outcome = Ok(Facts::Host(Box::new(facts)));
        let subject = Subject::new(Kind::Host, name);
        let seen = Observation { subject, outcome, took: Duration::ZERO };
        state = step(std::mem::take(&mut state), seen, now, &policy).0;
    };
    let lost = |at| HostSight::Lost { last_seen: at, grace: Duration::ZERO };
    for (name, machine) in mirror.machines() {
        let told_at = missed.remove(&**name);
        let sight = match machine.presence() {
            mirror::Presence::Alive => HostSight::Alive,
            mirror::Presence::Stopped(farewell) => HostSight::Stopped(farewell),
            mirror::Presence::Retired => continue,
            mirror::Presence::Gone => lost(told_at.unwrap_or(now.wall)),
        };
        judge(name, HostFacts { sight, about: machine.about() });
    }
    for (name, told_at) in missed {
        judge(name, HostFacts { sight: lost(told_at), about: None });
    }
    state
}
