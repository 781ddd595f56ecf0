//! Incidents: from the first bad transition to recovery.

use crate::saved;
use crate::{Cause, Kind, Subject};
use health_reporter::Status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// From the first bad transition to recovery of everything that went bad together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Counted from 1 in one `state.db`.
    pub id: u64,
    /// When the first of its subjects went bad, wall time.
    pub opened: Timestamp,
    /// When the last of its subjects recovered, wall time.
    pub resolved: Option<Timestamp>,
    /// The worst status that any of them had.
    #[serde(deserialize_with = "saved::word")]
    pub worst: Status,
    /// Who said that somebody cares for it: no reminders any more.
    pub acknowledged: Option<Acknowledgement>,
    /// Its subjects, in the order in which they joined.
    pub members: Vec<Member>,
    /// When it opened, on the clock of [`Alerts`](super::Alerts).
    pub(crate) opened_at: Duration,
}

/// Who said that somebody cares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub author: String,
    /// When, wall time.
    pub at: Timestamp,
}

/// A subject of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Which one.
    pub subject: Subject,
    /// How it is, or was while it was bad.
    #[serde(deserialize_with = "saved::word")]
    pub status: Status,
    /// Why, as a word.
    pub cause: Cause,
    /// What is or was the matter.
    pub message: String,
    /// When it went bad, wall time.
    pub since: Timestamp,
    /// When it recovered, wall time.
    pub recovered: Option<Timestamp>,
}

impl Incident {
    /// Whether any of its subjects is still bad.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.resolved.is_none()
    }

    /// The same without its members, which are kept each by itself.
    #[must_use]
    pub fn without_members(&self) -> Self {
        let Self { id, opened, resolved, worst, opened_at, .. } = *self;
        let acknowledged = self.acknowledged.clone();
        Self { id, opened, resolved, worst, acknowledged, members: Vec::new(), opened_at }
    }

    pub(crate) fn placed_members(&self) -> impl Iterator<Item = (u64, usize, &Member)> {
        self.members.iter().enumerate().map(|(place, member)| (self.id, place, member))
    }

    /// Whether it is of machines: those are told of by one watcher, and so with nothing else.
    pub(crate) fn is_of_hosts(&self) -> bool {
        self.members.first().is_some_and(|member| member.subject.kind == Kind::Host)
    }
}
