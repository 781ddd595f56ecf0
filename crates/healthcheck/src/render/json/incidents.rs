//! Incidents and silences, with the keys of the snapshot.

use super::{SCHEMA_VERSION, Word};
use crate::render::incidents::Incidents;
use crate::render::silences::Silences;
use healthcheck_core::alerts::{Acknowledgement, Incident, Member, Silence};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct IncidentList<'a> {
    schema_version: u32,
    timestamp: Timestamp,
    /// `monitor`, or `state.db` where none runs.
    source: &'static str,
    incidents: Vec<Disruption<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct SilenceList<'a> {
    schema_version: u32,
    timestamp: Timestamp,
    source: &'static str,
    silences: &'a [Silence],
}

/// An incident.
#[derive(Debug, Serialize)]
pub(super) struct Disruption<'a> {
    id: u64,
    opened: Timestamp,
    resolved: Option<Timestamp>,
    worst: Word,
    acknowledged: Option<&'a Acknowledgement>,
    subjects: Vec<Affected<'a>>,
}

#[derive(Debug, Serialize)]
struct Affected<'a> {
    kind: &'static str,
    name: &'a str,
    status: Word,
    cause: &'static str,
    message: &'a str,
    since: Timestamp,
    recovered: Option<Timestamp>,
}

impl<'a> IncidentList<'a> {
    pub(super) fn of(list: &'a Incidents) -> Self {
        let incidents = list.incidents.iter().map(Disruption::of).collect();
        Self { schema_version: SCHEMA_VERSION, timestamp: list.at, source: list.source.of_kept(), incidents }
    }
}

impl<'a> SilenceList<'a> {
    pub(super) fn of(list: &'a Silences) -> Self {
        let silences = &list.silences;
        Self { schema_version: SCHEMA_VERSION, timestamp: list.at, source: list.source.of_kept(), silences }
    }
}

impl<'a> Disruption<'a> {
    pub(super) fn of(incident: &'a Incident) -> Self {
        Self {
            id: incident.id,
            opened: incident.opened,
            resolved: incident.resolved,
            worst: incident.worst.into(),
            acknowledged: incident.acknowledged.as_ref(),
            subjects: incident.members.iter().map(Affected::of).collect(),
        }
    }
}

impl<'a> Affected<'a> {
    fn of(member: &'a Member) -> Self {
        Self {
            kind: member.subject.kind.as_str(),
            name: &member.subject.name,
            status: member.status.into(),
            cause: member.cause.as_str(),
            message: &member.message,
            since: member.since,
            recovered: member.recovered,
        }
    }
}
