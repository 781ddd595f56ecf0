//! What was judged, and why.

use crate::saved;
use crate::wording;
use health_reporter::Status;
use jiff::Timestamp;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Why something is as it is. The set is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The service says so.
    SelfReported,
    /// Its process ended without a goodbye, or it finished with an error.
    Crashed,
    /// Its process ended because memory ran out.
    OomKilled,
    /// It restarts again and again.
    CrashLooping,
    /// The process lives, and is silent.
    Hung,
    /// The deadline passed, and there is no process to look at.
    Overdue,
    /// The process lives, and the file system takes no report of it.
    ReporterCannotWrite,
    /// It was expected, and has not reported since boot.
    NeverStarted,
    /// It reported since boot, and its report is gone.
    Missing,
    /// It said goodbye.
    Stopped,
    /// Its job is done.
    Finished,
    /// A probe looked, and it is bad.
    ProbeFailed,
    /// A number is beyond its limit.
    Threshold,
    /// There is a report, and it cannot be read.
    ReportUnreadable,
    /// There is a report, and a newer program wrote it.
    NewerVersion,
    /// There is a report, and it may not be read or believed.
    NotPermitted,
    /// It could not be looked at.
    ProbeUnavailable,
    /// Nobody looked.
    NotObserved,
}

impl Cause {
    /// The word on disk, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SelfReported => "self_reported",
            Self::Crashed => "crashed",
            Self::OomKilled => "oom_killed",
            Self::CrashLooping => "crash_looping",
            Self::Hung => "hung",
            Self::Overdue => "overdue",
            Self::ReporterCannotWrite => "reporter_cannot_write",
            Self::NeverStarted => "never_started",
            Self::Missing => "missing",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::ProbeFailed => "probe_failed",
            Self::Threshold => "threshold",
            Self::ReportUnreadable => "report_unreadable",
            Self::NewerVersion => "newer_version",
            Self::NotPermitted => "not_permitted",
            Self::ProbeUnavailable => "probe_unavailable",
            Self::NotObserved => "not_observed",
        }
    }

    /// Whether time under this cause is planned: neither up nor down.
    #[must_use]
    pub const fn is_planned(self) -> bool {
        matches!(self, Self::Stopped | Self::Finished)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Status and cause of one subject, and what they rest on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How it is.
    #[serde(deserialize_with = "saved::word")]
    pub status: Status,
    /// Why, as a word.
    pub cause: Cause,
    /// What is the matter, for people; one line of at most 256 bytes, part of it written by the service. Empty
    /// where there is nothing to say.
    pub message: String,
    /// Why, in sentences: the decisions that led here, in order.
    pub reasons: Vec<Cow<'static, str>>,
    /// What was seen.
    pub evidence: Evidence,
    /// Since when status and cause are what they are, wall time.
    pub since: Timestamp,
}

impl Verdict {
    /// What it takes on the heap, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let reasons: usize = self.reasons.iter().map(|reason| size_of_val(reason) + reason.len()).sum();
        let evidence: usize =
            self.evidence.0.iter().map(|entry| size_of_val(entry) + entry.1.len() + 24).sum();
        self.message.len() + reasons + evidence + 32
    }
}

/// What was seen: a few named short texts, in the order in which they were found. Serialises as a map.
///
/// ```
/// use healthcheck_core::Evidence;
///
/// let evidence: Evidence = [("age", "3 s")].into_iter().collect();
/// assert_eq!(evidence.get("age"), Some("3 s"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence(Vec<(Cow<'static, str>, Box<str>)>);

impl Evidence {
    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Each key with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    pub(crate) fn add(&mut self, key: &'static str, value: &str) {
        self.0.push((Cow::Borrowed(key), wording::message(value)));
    }
}

impl<'a> FromIterator<(&'static str, &'a str)> for Evidence {
    fn from_iter<I: IntoIterator<Item = (&'static str, &'a str)>>(entries: I) -> Self {
        let mut evidence = Self::default();
        entries.into_iter().for_each(|(key, value)| evidence.add(key, value));
        evidence
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

/// Reads the map in its own order.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Evidence;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Evidence, A::Error> {
        let mut evidence = Evidence::default();
        while let Some((key, value)) = access.next_entry::<String, Box<str>>()? {
            evidence.0.push((Cow::Owned(key), value));
        }
        Ok(evidence)
    }
}
