//! Changes of verdict.

use crate::saved;
use crate::{Cause, Evidence, Kind, Subject};
use health_reporter::Status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

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
    /// Since when it is so, as far as the evidence tells: at or before `at`.
    pub since: Timestamp,
    /// Why, in sentences: the decisions that led here, in order.
    pub reasons: Vec<Cow<'static, str>>,
    /// What was seen.
    pub evidence: Evidence,
    /// Whether a supervisor started it again after it had crashed: nobody had to do anything.
    pub is_healed_by_supervisor: bool,
    /// Whether the subject changes so often that one change says little.
    pub is_flapping: bool,
}

impl Transition {
    /// Whether its subject changed: that nobody watches other machines for a while is no change of any of them.
    pub(crate) fn is_change(&self) -> bool {
        self.subject.kind != Kind::Host || (self.from != Status::Unknown && self.to != Status::Unknown)
    }
}
