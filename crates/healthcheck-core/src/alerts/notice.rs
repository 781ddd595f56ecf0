//! The decision that somebody must be told, and what is told.

use crate::saved;
use crate::{Cause, HostAbout, HostFacts, HostSight, State, Subject};
use health_reporter::Status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is told to one channel, and why. It is whole: a channel looks nothing up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Unique for ever: each attempt to deliver it carries the same. Letters, digits and `-`.
    pub id: String,
    /// The name of the channel.
    pub channel: String,
    /// The machine that tells.
    pub host: String,
    /// When it was decided, wall time.
    pub at: Timestamp,
    /// Why it is told.
    pub reason: NoticeReason,
    /// How urgent it is: the worst status that is news, `healthy` for a recovery, `unknown` for a quiet line.
    #[serde(deserialize_with = "saved::word")]
    pub status: Status,
    /// The incident that it is about; the first of them in a digest.
    pub incident: Option<u64>,
    /// What belongs together for people: each notice of a thread replaces the one before it, where a channel can do
    /// that. Letters, digits and `-`.
    pub thread: String,
    /// The first line, with the host: `deimos: camera is down`.
    pub title: String,
    /// Everything, in lines; the first one alone says what matters, with the host in it. Part of it was written by services.
    pub text: String,
    /// What is news of each subject, the root first.
    pub items: Vec<Item>,
    /// Who else of the same thread is still bad.
    pub still_bad: Vec<Item>,
    /// How many there are that the text does not tell of one by one.
    pub left_out: usize,
}

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeReason {
    /// An incident began, or somebody joined it.
    Opened,
    /// It became worse.
    Worse,
    /// It became better, and is not over.
    Better,
    /// It is over.
    Recovered,
    /// It began and ended while nothing could be told.
    Passed,
    /// It still lasts.
    Reminder,
    /// A supervisor brought it back before anybody had to be told.
    Healed,
    /// It changes too often for each change to be told.
    Flapping,
    /// Several incidents at once.
    Digest,
    /// The machine is back.
    Rebooted,
    /// Somebody wants to know whether the channel works.
    Drill,
}

impl NoticeReason {
    /// The word on disk, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Recovered => "recovered",
            Self::Passed => "passed",
            Self::Reminder => "reminder",
            Self::Healed => "healed",
            Self::Flapping => "flapping",
            Self::Digest => "digest",
            Self::Rebooted => "rebooted",
            Self::Drill => "drill",
        }
    }
}

impl fmt::Display for NoticeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a notice tells of one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Of whom.
    pub subject: Subject,
    /// The incident that it belongs to.
    pub incident: Option<u64>,
    /// What is told of it.
    pub reason: NoticeReason,
    /// How it is.
    #[serde(deserialize_with = "saved::word")]
    pub status: Status,
    /// How the channel was last told that it is.
    #[serde(deserialize_with = "saved::word")]
    pub was: Status,
    /// Why it is so, as a word; of what is over, why it was bad.
    pub cause: Cause,
    /// What is or was the matter; one line, part of it written by the service.
    pub message: String,
    /// Since when it is as it is; of what is over, since when it was bad.
    pub since: Timestamp,
    /// When it was over, of what is over.
    pub until: Option<Timestamp>,
    /// The services that are bad because of it, and are not told of by themselves.
    pub affected: Vec<String>,
    /// What it is now, of what is over and not simply well again.
    #[serde(default)]
    pub ended: Option<Cause>,
    /// How many times today a supervisor brought it back.
    pub times_today: u32,
    /// The machine, where the subject is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
}

/// What is known of another machine; the texts are its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// What it calls itself in the network.
    pub hostname: String,
    /// What people wrote about it.
    pub description: String,
    /// When it was last seen, wall time, where it is lost.
    pub last_seen: Option<Timestamp>,
    /// The names of some services that run there.
    pub services: Vec<String>,
}

impl Machine {
    /// What a state knows of a machine.
    pub(super) fn of(subject: &Subject, state: &State) -> Option<Self> {
        let HostFacts { sight, about } = state.host(subject)?;
        let HostAbout { hostname, description, services, .. } = about.clone().unwrap_or_default();
        let last_seen = match sight {
            HostSight::Lost { last_seen, .. } => Some(*last_seen),
            HostSight::Alive | HostSight::Stopped(_) => None,
        };
        Some(Self { hostname, description, last_seen, services })
    }
}
