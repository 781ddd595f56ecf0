//! What is told of a time that is over: how long a subject was how, whether a number grows, and what is kept for how long.

mod course;
pub mod numbers;
mod repairs;
pub mod retention;
pub mod trend;

pub use course::{Availability, Course, Span};
pub use repairs::Repairs;

use crate::{Cause, Subject};
use health_reporter::Status;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Time from one instant up to, and without, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// The first instant.
    pub from: Timestamp,
    /// The first that is no more in it; not before `from`.
    pub to: Timestamp,
}

impl Window {
    /// How long it is.
    #[must_use]
    pub fn length(self) -> SignedDuration {
        self.to.duration_since(self.from)
    }

    /// What both have in common, if that is any time at all.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from < to).then_some(Self { from, to })
    }
}

/// What an instant counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// It was well.
    Up,
    /// It did its work, and something worried: a warning.
    Degraded,
    /// It was bad: an error, or fatal.
    Down,
    /// It was not meant to work: it had stopped or finished, or there was maintenance.
    Planned,
    /// Nobody looked, or could.
    NotObserved,
}

impl Bucket {
    /// The word on disk, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Planned => "planned",
            Self::NotObserved => "not_observed",
        }
    }

    /// What time under a verdict counts as.
    #[must_use]
    pub const fn of(status: Status, cause: Cause) -> Self {
        match status {
            _ if matches!(cause, Cause::NotObserved) => Self::NotObserved,
            Status::Unknown => Self::NotObserved,
            Status::Healthy if cause.is_planned() => Self::Planned,
            Status::Healthy => Self::Up,
            Status::Warning => Self::Degraded,
            Status::Error | Status::Fatal => Self::Down,
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// From an instant on, a subject was judged so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The instant, wall time.
    pub at: Timestamp,
    /// How it was.
    #[serde(deserialize_with = "crate::saved::word")]
    pub status: Status,
    /// Why.
    pub cause: Cause,
}

/// Heartbeats of one subject, or looks at it, that found it the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beats {
    /// Of whom.
    pub subject: Subject,
    /// How it was judged.
    #[serde(deserialize_with = "crate::saved::word")]
    pub status: Status,
    /// Why.
    pub cause: Cause,
    /// What it said it was doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The first of them, wall time.
    pub first: Timestamp,
    /// The last of them, wall time.
    pub last: Timestamp,
    /// How many they are; at least one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
    /// The first of them is the first that this run of the monitor read: a former one may have read it too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_be_known: bool,
}

impl Beats {
    /// All of them but the first where that is known, since the last known one is not older; nothing if that is all.
    #[must_use]
    pub fn unknown(&self, last_known: Option<Timestamp>) -> Option<Cow<'_, Self>> {
        let is_known = |last: Timestamp| self.first.as_microsecond() <= last.as_microsecond();
        if !self.may_be_known || !last_known.is_some_and(is_known) {
            return Some(Cow::Borrowed(self));
        }
        let count = self.count.checked_sub(1).filter(|count| *count > 0)?;
        Some(Cow::Owned(Self { count, first: self.last, may_be_known: false, ..self.clone() }))
    }
}

const fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
const fn is_one(count: &u64) -> bool {
    *count == 1
}

/// Over which time numbers are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Each minute.
    Minute,
    /// Each hour, UTC.
    Hour,
    /// Each day, UTC.
    Day,
}

impl Resolution {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The beginning of the one that an instant lies in.
    #[must_use]
    pub fn begin_of(self, at: Timestamp) -> Timestamp {
        let second = at.as_second().div_euclid(self.seconds()) * self.seconds();
        Timestamp::from_second(second).unwrap_or(Timestamp::MIN)
    }
}

/// Numbers of one time, put together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// When that time begins: [`Resolution::begin_of`].
    pub at: Timestamp,
    /// How many numbers; at least one.
    pub count: u64,
    /// All of them together.
    pub sum: f64,
    /// The least.
    pub minimum: f64,
    /// The greatest.
    pub maximum: f64,
}

impl Bin {
    /// One number.
    #[must_use]
    pub const fn of(at: Timestamp, value: f64) -> Self {
        Self { at, count: 1, sum: value, minimum: value, maximum: value }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            at: self.at,
            count: self.count.saturating_add(other.count),
            sum: self.sum + other.sum,
            minimum: self.minimum.min(other.minimum),
            maximum: self.maximum.max(other.maximum),
        }
    }

    /// The mean.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody counts 2^53 numbers in a day")]
    pub const fn mean(self) -> f64 {
        self.sum / self.count as f64
    }
}
