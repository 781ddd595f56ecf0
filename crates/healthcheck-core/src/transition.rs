//! Changes of verdict.

use crate::saved;
use crate::{Cause, Subject};
use health_reporter::Status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A change of a subject's status or cause. The first sight of a subject is one from `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Whose verdict changed.
    pub subject: Subject,
    /// The status before: the `to` of the transition before it.
    #[serde(deserialize_with = "saved::word")]
    pub from: Status,
    /// The status from now on.
    #[serde(deserialize_with = "saved::word")]
    pub to: Status,
    /// The cause from now on.
    pub cause: Cause,
    /// When it was judged, wall time.
    pub at: Timestamp,
    /// What is the matter, for people; one line of at most 256 bytes, part of it written by the service.
    pub message: String,
}
