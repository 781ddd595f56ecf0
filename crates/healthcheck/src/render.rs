//! What people and programs see of a snapshot. Nothing here looks at anything, and nothing judges.

mod availability;
pub(crate) mod checkmk;
pub(crate) mod fleet;
mod gauges;
mod headline;
pub(crate) mod health_json;
pub(crate) mod history;
pub(crate) mod incidents;
mod issues;
pub(crate) mod json;
#[cfg(test)]
mod judged;
pub(crate) mod nagios;
#[cfg(test)]
mod passed_on;
mod plug_in;
pub(crate) mod prometheus;
pub(crate) mod replay;
#[cfg(test)]
mod samples;
pub(crate) mod silences;
pub(crate) mod table;
mod text;
pub(crate) mod uptime;
pub(crate) mod why;

use health_reporter::Status;
use healthcheck_core::{Kind, Limits, Quantity, Resources, Snapshot, SubjectView};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Everything that is shown, at one instant. Serialised, it goes from the monitor to whoever shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Picture {
    /// Whoever shows it knows whom it was taken by, and need not be told.
    #[serde(skip)]
    pub(crate) source: Source,
    pub(crate) host: String,
    pub(crate) project: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) snapshot: Snapshot,
    pub(crate) resources: Option<Resources>,
    /// The limits by which the resources were judged.
    pub(crate) limits: BTreeMap<Quantity, Limits>,
    /// What is wrong with the looking itself: directories, rejected files, reports left out.
    pub(crate) remarks: Vec<Remark>,
}

/// Who looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// This very process.
    #[default]
    Direct,
    /// A monitor that runs.
    Monitor { pid: u32 },
    /// Nobody, now: it is out of the history.
    History,
}

/// How services are run on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Systemd,
    Processes,
}

impl Mode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Processes => "processes",
        }
    }
}

/// Something that cannot be said of any one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remark {
    /// What it is about, as a word.
    pub(crate) about: Cow<'static, str>,
    #[serde(deserialize_with = "status")]
    pub(crate) status: Status,
    pub(crate) message: String,
    /// Whether the whole is as bad as this; a report suffices where its unit could not be looked at.
    pub(crate) counts: bool,
}

/// Reads a status. The reporter, whose word it is, only writes them with serde.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
    Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

impl Source {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Monitor { .. } => "monitor",
            Self::History => "history",
        }
    }

    /// Where no monitor runs, what one left behind is shown.
    const fn of_kept(self) -> &'static str {
        match self {
            Self::Direct | Self::History => "state.db",
            Self::Monitor { .. } => "monitor",
        }
    }

    pub(crate) const fn monitor_pid(self) -> Option<u32> {
        match self {
            Self::Direct | Self::History => None,
            Self::Monitor { pid } => Some(pid),
        }
    }
}

impl Picture {
    /// The whole: the worst of the subjects and the remarks. Unknown where there is nothing to judge.
    pub(crate) fn overall_status(&self) -> Status {
        let judged = self.snapshot.overall_status;
        if self.snapshot.has_nothing_to_judge() {
            return Status::Unknown;
        }
        self.remarks
            .iter()
            .filter(|remark| remark.counts)
            .map(|remark| remark.status)
            .fold(judged, Status::max)
    }

    /// The subjects of one kind that are no services.
    fn others(&self, kind: Kind) -> impl Iterator<Item = &SubjectView> {
        self.snapshot.others.iter().filter(move |view| view.kind == kind)
    }

    /// What is counted in the head: services and probes.
    fn counted(&self) -> impl Iterator<Item = &SubjectView> {
        self.snapshot.services.iter().map(|view| &view.subject).chain(self.others(Kind::Probe))
    }
}

/// What is the matter, for people; never empty.
fn message_of(view: &SubjectView) -> &str {
    if view.message.is_empty() { view.cause.as_str() } else { &view.message }
}

/// The name of a subject among those of all kinds.
fn full_name(view: &SubjectView) -> String {
    named(view.kind, &view.name)
}

/// The name of a subject, with its kind where it is no service.
pub(crate) fn named(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Service => name.to_owned(),
        kind => format!("{kind} {name}"),
    }
}
