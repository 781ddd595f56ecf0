//! All machines: how it stands with each, and with what runs there.

mod face;
#[cfg(test)]
pub(super) mod tests;

pub(crate) use face::write;

use super::{Remark, Source};
use health_reporter::Status;
use healthcheck_core::Cause;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All machines at one instant. Serialised, it goes from the monitor to whoever shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FleetPicture {
    /// Whoever shows it knows whom it was taken by, and need not be told.
    #[serde(skip)]
    pub(crate) source: Source,
    pub(crate) timestamp: Timestamp,
    /// The machine that looked.
    pub(crate) host: String,
    /// Where in etcd they are.
    pub(crate) prefix: String,
    /// The members of etcd, without what may be secret.
    pub(crate) endpoints: Vec<String>,
    /// The watcher that tells people, where there is one.
    pub(crate) teller: Option<String>,
    /// What is wrong with the looking itself.
    pub(crate) remarks: Vec<Remark>,
    /// By name.
    pub(crate) machines: BTreeMap<String, MachineView>,
}

/// How it stands with a machine. All texts are written by the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MachineView {
    pub(crate) presence: Presence,
    /// Whether it lives, as the watcher judges it.
    #[serde(deserialize_with = "super::status")]
    pub(crate) status: Status,
    pub(crate) cause: Cause,
    pub(crate) message: String,
    pub(crate) since: Timestamp,
    pub(crate) hostname: String,
    pub(crate) description: String,
    pub(crate) last_seen: Option<Timestamp>,
    /// Of the program that holds its lease.
    pub(crate) version: String,
    /// The worst of everything there, as it says itself.
    #[serde(deserialize_with = "super::status")]
    pub(crate) reported: Status,
    /// Whether it is the machine that looked.
    pub(crate) is_own: bool,
    /// As their own machine judged them; unknown where it is lost.
    pub(crate) services: BTreeMap<String, ServiceView>,
}

/// Whether a machine is there, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    Online,
    Offline,
    Stopped,
    Unknown,
}

/// A service, as it was judged where it runs. All texts are written by its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceView {
    #[serde(deserialize_with = "super::status")]
    pub(crate) status: Status,
    pub(crate) cause: String,
    pub(crate) message: String,
    pub(crate) since: Option<Timestamp>,
    pub(crate) current_task: Option<String>,
}

impl Presence {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }
}

impl FleetPicture {
    /// The worst of all machines, of what runs on them, and of the remarks. Unknown where there is none.
    pub(crate) fn overall_status(&self) -> Status {
        let machines = self.machines.values().map(MachineView::worst).reduce(Status::max);
        let remarks = self.remarks.iter().filter(|remark| remark.counts).map(|remark| remark.status);
        remarks.fold(machines.unwrap_or(Status::Unknown), Status::max)
    }
}

impl MachineView {
    /// The worst of the machine and what runs there. Of one that is not there nothing more is known.
    pub(crate) fn worst(&self) -> Status {
        if self.presence != Presence::Online {
            return self.status;
        }
        // Whoever says nothing of himself may have nothing to judge.
        let reported = Some(self.reported).filter(|status| *status > Status::Unknown);
        self.services.values().map(|service| service.status).chain(reported).fold(self.status, Status::max)
    }

    /// The services that are not healthy, the worst first.
    fn troubled(&self) -> Vec<(&String, &ServiceView)> {
        let is_there = self.presence == Presence::Online;
        let bad = self.services.iter().filter(|(_, service)| is_there && service.status != Status::Healthy);
        let mut bad: Vec<_> = bad.collect();
        bad.sort_by_key(|(_, service)| std::cmp::Reverse(service.status));
        bad
    }
}
