//! What became of the attempts to deliver a notice, and when the next one is due.

use super::Notice;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What became of one attempt to deliver a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The channel's server has it.
    Accepted,
    /// It does not have it, or it is not known whether it has: to be tried again.
    Failed {
        /// Why, for people; without any secret.
        error: String,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Trying again would not help: wrong credentials, no such topic, a refusal.
    Refused {
        /// Why, for people; without any secret.
        error: String,
    },
}

impl Outcome {
    /// The word on disk.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
        }
    }

    /// Why it was not accepted.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Accepted => None,
            Self::Failed { error, .. } | Self::Refused { error } => Some(error),
        }
    }
}

/// A notice on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// What is told.
    pub notice: Notice,
    /// How it stands.
    pub state: OutgoingState,
    /// How many attempts were made.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it stopped being on its way.
    pub ended: Option<Timestamp>,
}

/// How it stands with a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutgoingState {
    /// It is to be sent, or is being sent.
    Waiting,
    /// The channel's server has it.
    Accepted,
    /// Before it could be delivered something else was to be told, and a later notice tells all of it.
    Replaced,
    /// The channel refused it; what it tells is told when the channel works again.
    Refused,
    /// Nothing was sent, since this is a dry run.
    DryRun,
}

impl OutgoingState {
    /// The word on disk, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Replaced => "replaced",
            Self::Refused => "refused",
            Self::DryRun => "dry_run",
        }
    }
}

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// The pause after so many failed attempts: a second, twice as long each time, give or take a fifth, so that not
/// everybody comes back at the same instant.
pub(crate) fn backoff(id: &str, attempts: u32) -> Duration {
    let doubled = Duration::from_secs(1 << attempts.saturating_sub(1).min(9)).min(MAX_PAUSE);
    let hash = id.bytes().chain(attempts.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let share = u32::try_from(hash >> 40 & 0xff).unwrap_or_default();
    doubled * (205 + share * 102 / 255) / 256
}
