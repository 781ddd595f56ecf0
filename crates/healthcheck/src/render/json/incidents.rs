//! Incidents and silences, with the keys of the snapshot.

use super::{SCHEMA_VERSION, Word};
use crate::render::incidents::{self, Incidents};
use crate::render::silences::Silences;
use healthcheck_core::Subject;
use healthcheck_core::alerts::{Acknowledgement, Incident, Member, Silence};
use healthcheck_core::history::Repairs;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct IncidentList<'a> {
    schema_version: u32,
    timestamp: Timestamp,
    /// `monitor`, or `state.db` where none runs.
    source: &'static str,
    incidents: Vec<Disruption<'a>>,
    repairs: Repaired<'a>,
}

/// How often something broke in a window, and how soon it was repaired.
#[derive(Debug, Serialize)]
struct Repaired<'a> {
    from: Timestamp,
    to: Timestamp,
    #[serde(flatten)]
    all: Times,
    by_subject: Vec<SubjectTimes<'a>>,
}

#[derive(Debug, Serialize)]
struct SubjectTimes<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(flatten)]
    times: Times,
}

#[derive(Debug, Serialize)]
struct Times {
    /// How many reach into the window.
    count: usize,
    open: usize,
    /// The mean of how long those lasted that ended in the window.
    mttr_s: Option<f64>,
    /// The time in the window without any, for each that began in it.
    mtbf_s: Option<f64>,
    longest_s: Option<f64>,
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
    /// How long it lasted; nothing where it is open.
    duration_s: Option<f64>,
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
        Self {
            schema_version: SCHEMA_VERSION,
            timestamp: list.at,
            source: list.source.of_kept(),
            incidents,
            repairs: Repaired::of(&list.repairs),
        }
    }
}

impl<'a> Repaired<'a> {
    fn of(repaired: &'a incidents::Repaired) -> Self {
        let of_subject = |(subject, repairs): (&'a Subject, &Repairs)| SubjectTimes {
            kind: subject.kind.as_str(),
            name: &subject.name,
            times: Times::of(repairs),
        };
        Self {
            from: repaired.window.from,
            to: repaired.window.to,
            all: Times::of(&repaired.all),
            by_subject: repaired.by_subject.iter().map(of_subject).collect(),
        }
    }
}

impl Times {
    fn of(repairs: &Repairs) -> Self {
        let seconds = |time: Option<SignedDuration>| time.map(|time| time.as_secs_f64());
        Self {
            count: repairs.number,
            open: repairs.open,
            mttr_s: seconds(repairs.mean_to_repair),
            mtbf_s: seconds(repairs.mean_between),
            longest_s: seconds(repairs.longest),
        }
    }
}

/// Where the clock was set back in between, no time at all.
fn lasted(opened: Timestamp, resolved: Timestamp) -> SignedDuration {
    resolved.duration_since(opened).max(SignedDuration::ZERO)
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
            duration_s: incident.resolved.map(|resolved| lasted(incident.opened, resolved).as_secs_f64()),
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
