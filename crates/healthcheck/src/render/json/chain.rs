//! How one verdict came about, with the keys of the snapshot.

use super::incidents::Disruption;
use super::looks::Look;
use super::{SCHEMA_VERSION, Service, Word};
use crate::render::why::{Chain, View};
use healthcheck_core::alerts::{ChannelView, Decided, Outgoing};
use healthcheck_core::{Evidence, Transition};
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema_version: u32,
    timestamp: Timestamp,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    monitor_pid: Option<u32>,
    kind: &'static str,
    name: &'a str,
    #[serde(flatten)]
    held: Held<'a>,
    /// The newest first.
    transitions: Vec<Step<'a>>,
    incident: Option<Disruption<'a>>,
    channels: Vec<Channel<'a>>,
    /// The newest first.
    notices: Vec<Delivery<'a>>,
}

/// What the snapshot has of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Held<'a> {
    Service(Box<Service<'a>>),
    Look(Look<'a>),
}

/// A change of the verdict.
#[derive(Debug, Serialize)]
struct Step<'a> {
    at: Timestamp,
    from: Word,
    to: Word,
    cause: &'static str,
    message: &'a str,
    since: Timestamp,
    reasons: &'a [Cow<'static, str>],
    evidence: &'a Evidence,
    is_healed_by_supervisor: bool,
    is_flapping: bool,
}

impl<'a> Document<'a> {
    pub(super) fn of(chain: &'a Chain) -> Self {
        let subject = chain.view.subject();
        Self {
            schema_version: SCHEMA_VERSION,
            timestamp: chain.at,
            source: chain.source.as_str(),
            monitor_pid: chain.source.monitor_pid(),
            kind: subject.kind.as_str(),
            name: &subject.name,
            held: match &chain.view {
                View::Service(service) => Held::Service(Box::new(Service::of(service))),
                View::Other(view) => Held::Look(Look::of(view)),
            },
            transitions: chain.past.transitions.iter().map(Step::of).collect(),
            incident: chain.past.people.incident.as_ref().map(Disruption::of),
            channels: chain.past.people.channels.iter().map(Channel::of).collect(),
            notices: chain.past.people.notices.iter().map(Delivery::of).collect(),
        }
    }
}

impl<'a> Step<'a> {
    fn of(transition: &'a Transition) -> Self {
        Self {
            at: transition.at,
            from: transition.from.into(),
            to: transition.to.into(),
            cause: transition.cause.as_str(),
            message: &transition.message,
            since: transition.since,
            reasons: &transition.reasons,
            evidence: &transition.evidence,
            is_healed_by_supervisor: transition.is_healed_by_supervisor,
            is_flapping: transition.is_flapping,
        }
    }
}

/// How it stands between it and one channel.
#[derive(Debug, Serialize)]
struct Channel<'a> {
    channel: &'a str,
    /// That it was told, or why not: `reason` is a word.
    decided: Option<&'a Decided>,
    /// In words.
    because: Option<String>,
    on_its_way: Option<Delivery<'a>>,
    problem: Option<&'a str>,
}

impl<'a> Channel<'a> {
    fn of(view: &'a ChannelView) -> Self {
        Self {
            channel: &view.channel,
            decided: view.decided.as_ref(),
            because: view.decided.as_ref().map(|decided| decided.held.to_string()),
            on_its_way: view.outgoing.as_ref().map(Delivery::of),
            problem: view.problem.as_deref(),
        }
    }
}

/// A notice, and what became of it.
#[derive(Debug, Serialize)]
struct Delivery<'a> {
    notice: &'a str,
    channel: &'a str,
    reason: &'static str,
    title: &'a str,
    at: Timestamp,
    state: &'static str,
    attempts: u32,
    ended: Option<Timestamp>,
    error: Option<&'a str>,
}

impl<'a> Delivery<'a> {
    fn of(outgoing: &'a Outgoing) -> Self {
        let notice = &outgoing.notice;
        Self {
            notice: &notice.id,
            channel: &notice.channel,
            reason: notice.reason.as_str(),
            title: &notice.title,
            at: notice.at,
            state: outgoing.state.as_str(),
            attempts: outgoing.attempts,
            ended: outgoing.ended,
            error: outgoing.last_error.as_deref(),
        }
    }
}
