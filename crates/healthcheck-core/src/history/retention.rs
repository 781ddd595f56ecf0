//! What is dropped because it is too old, or too much in all.

use super::Window;
use crate::wording;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How long numbers by the minute are kept.
pub const MINUTES_KEPT: SignedDuration = SignedDuration::from_hours(48);

/// Gaps and maintenance are kept so much longer than the runs of their time, which would tell of it otherwise than it was.
const GAPS_OUTLAST: SignedDuration = SignedDuration::from_hours(24);

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// How subjects were, in runs of heartbeats.
    Runs,
    /// Numbers by the minute.
    Minutes,
    /// Numbers by the hour.
    Hours,
    /// Numbers by the day.
    Days,
    /// Gaps and maintenance.
    Gaps,
}

impl Kept {
    /// The word for it, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Gaps => "gaps",
        }
    }

    /// Of two that are as old as each other, that which says less goes first.
    const fn worth(self) -> u8 {
        match self {
            Self::Minutes => 0,
            Self::Hours => 1,
            Self::Days => 2,
            Self::Runs => 3,
            Self::Gaps => 4,
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What takes room, and can be dropped whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// What it is of.
    pub of: Kept,
    /// The time that it is of, from midnight to midnight UTC: a day, or a month where that is how it is stored.
    pub window: Window,
    /// How many rows.
    pub rows: u64,
    /// About so much.
    pub bytes: u64,
}

impl Slice {
    /// From when on its age counts, and what it is dropped by where there is too much.
    fn ages_from(&self) -> Timestamp {
        match self.of {
            Kept::Gaps => self.window.to.checked_add(GAPS_OUTLAST).unwrap_or(Timestamp::MAX),
            Kept::Runs | Kept::Minutes | Kept::Hours | Kept::Days => self.window.to,
        }
    }
}

/// Everything that there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// What all of it takes on the disk.
    pub bytes: u64,
    /// The oldest first.
    pub slices: Vec<Slice>,
}

/// How long what is kept, and how much in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long everything but numbers by the minute is kept.
    pub retention: SignedDuration,
    /// How long numbers by the minute are kept, where `retention` is not shorter.
    pub minutes: SignedDuration,
    /// Room for all of it; none where it may grow.
    pub max_bytes: Option<u64>,
}

impl Limits {
    /// So long, so much, and numbers by the minute as long as always.
    #[must_use]
    pub const fn new(retention: SignedDuration, max_bytes: Option<u64>) -> Self {
        Self { retention, minutes: MINUTES_KEPT, max_bytes }
    }

    fn kept_for(&self, what: Kept) -> SignedDuration {
        if what == Kept::Minutes { self.minutes.min(self.retention) } else { self.retention }
    }
}

/// Why something is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum PruneReason {
    /// Since then all of it is older than it is kept.
    TooOld {
        /// The instant.
        since: Timestamp,
    },
    /// It is the oldest of what is too much in all.
    TooMuch {
        /// What all took that was left at this step.
        bytes: u64,
        /// The room there is.
        max_bytes: u64,
    },
}

impl fmt::Display for PruneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld { since } => write!(f, "too old since {since:.0}"),
            Self::TooMuch { bytes, max_bytes } => {
                write!(f, "too much in all: {} of {}", size(*bytes), size(*max_bytes))
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "people are told two digits of it")]
fn size(bytes: u64) -> String {
    wording::bytes(bytes as f64)
}

/// One slice that is dropped, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneStep {
    /// What is dropped.
    #[serde(flatten)]
    pub slice: Slice,
    /// Why.
    #[serde(flatten)]
    pub reason: PruneReason,
}

impl fmt::Display for PruneStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Slice { of, window, rows, bytes } = &self.slice;
        write!(f, "{of} from {:.0} to {:.0}, {rows} rows, {}: ", window.from, window.to, size(*bytes))?;
        self.reason.fmt(f)
    }
}

/// What is to be dropped, in this order, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunePlan {
    /// The oldest first.
    pub steps: Vec<PruneStep>,
    /// What is left afterwards. It may still be too much: what now lies in, or comes later, is never dropped.
    pub bytes_left: u64,
}

impl PrunePlan {
    /// What is too old at `now`; then, while all is too much, the oldest of what is over.
    #[must_use]
    pub fn of(stock: &Stock, limits: &Limits, now: Timestamp) -> Self {
        let mut over: Vec<&Slice> = stock.slices.iter().filter(|slice| slice.window.to <= now).collect();
        over.sort_by_key(|slice| (slice.ages_from(), slice.of.worth(), slice.window.from));
        let mut plan = Self { steps: Vec::new(), bytes_left: stock.bytes };
        let too_old = |slice: &Slice| {
            let since = slice.ages_from().checked_add(limits.kept_for(slice.of)).ok()?;
            (since <= now).then_some(PruneReason::TooOld { since })
        };
        over.retain(|slice| too_old(slice).map(|reason| plan.drop_whole(slice, reason)).is_none());
        for slice in over {
            let too_much = limits.max_bytes.filter(|max_bytes| plan.bytes_left > *max_bytes);
            let Some(max_bytes) = too_much else { break };
            plan.drop_whole(slice, PruneReason::TooMuch { bytes: plan.bytes_left, max_bytes });
        }
        plan
    }

    fn drop_whole(&mut self, slice: &Slice, reason: PruneReason) {
        self.bytes_left = self.bytes_left.saturating_sub(slice.bytes);
        self.steps.push(PruneStep { slice: slice.clone(), reason });
    }
}
