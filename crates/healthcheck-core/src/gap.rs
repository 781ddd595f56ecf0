//! Time in which nobody looked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Time in which nobody looked: it counts neither as up nor as down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last instant at which somebody is known to have looked, wall time.
    pub from: Timestamp,
    /// When looking went on, wall time.
    pub to: Timestamp,
    /// Why nobody looked.
    pub reason: GapReason,
}

/// Why nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The monitor did not run.
    MonitorDown,
    /// The machine booted.
    Boot,
    /// The machine was suspended.
    Suspended,
    /// The wall clock was set forward: the time between never was.
    ClockSet,
    /// It is longer ago than anything is kept.
    NotKept,
}

impl GapReason {
    /// The word on disk, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MonitorDown => "monitor_down",
            Self::Boot => "boot",
            Self::Suspended => "suspended",
            Self::ClockSet => "clock_set",
            Self::NotKept => "not_kept",
        }
    }
}
