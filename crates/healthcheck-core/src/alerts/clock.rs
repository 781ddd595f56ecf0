//! A clock that goes on across boots, so that no wait begins anew and none is lost.

use crate::Now;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A machine that was away for longer was away for so long: the wall clock may have been set.
const MAX_AWAY: Duration = Duration::from_secs(30 * 86_400);

/// No clock differs by more from another one between two looks, unless it was set.
const DRIFT: Duration = Duration::from_millis(100);

/// How long it has been since the very first instant: by boot time within a boot, by wall time from one to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clock {
    boot_id: Option<String>,
    boottime: Duration,
    wall: Timestamp,
    pub(crate) at: Duration,
}

impl Clock {
    /// Whether the wall clock was set since: what was kept of it does not lead across a boot any more.
    pub(crate) fn was_set(&self, now: &Now) -> bool {
        let (awake, wall) = (self.passed(now), now.wall.duration_since(self.wall));
        let drift = Duration::try_from(wall).map(|wall| wall.abs_diff(awake));
        drift.is_err() || drift.is_ok_and(|drift| drift > DRIFT)
    }

    /// What the wall clock would show now if nobody had set it within this boot, where somebody did.
    pub(crate) fn would_show(&self, now: &Now) -> Option<Timestamp> {
        let is_known = self.wall != Timestamp::default() && self.boot_id.as_deref() == now.boot_id.as_deref();
        let shown = self.wall.checked_add(self.passed(now)).ok();
        shown.filter(|_| is_known && self.was_set(now))
    }

    /// Whether the machine was started since.
    pub(crate) fn is_of_another_boot(&self, now: &Now) -> bool {
        self.boot_id.as_deref() != now.boot_id.as_deref() || now.boottime < self.boottime
    }

    /// Goes on to an instant.
    pub(crate) fn advance(&mut self, now: &Now) -> Duration {
        self.at += self.passed(now);
        if self.boot_id.as_deref() != now.boot_id.as_deref() {
            self.boot_id = now.boot_id.as_deref().map(str::to_owned);
        }
        (self.boottime, self.wall) = (now.boottime, now.wall);
        self.at
    }

    fn passed(&self, now: &Now) -> Duration {
        let is_same_boot = self.boot_id.as_deref() == now.boot_id.as_deref() && now.boottime >= self.boottime;
        if is_same_boot {
            return now.boottime - self.boottime;
        }
        let away = Duration::try_from(now.wall.duration_since(self.wall)).unwrap_or_default();
        // The wall clock may lie; that it has been up for so long is certain.
        away.min(MAX_AWAY).max(now.boottime.min(MAX_AWAY))
    }

    /// The boot time of an instant to come.
    pub(crate) fn boottime_of(&self, at: Duration) -> Duration {
        self.boottime + at.saturating_sub(self.at)
    }

    /// The instant of a wall time to come.
    pub(crate) fn at_wall(&self, wall: Timestamp) -> Duration {
        self.at + Duration::try_from(wall.duration_since(self.wall)).unwrap_or_default()
    }

    /// The wall time of an instant that is over.
    pub(crate) fn wall_before(&self, at: Duration) -> Timestamp {
        self.wall.checked_sub(self.at.saturating_sub(at)).unwrap_or(Timestamp::MIN)
    }

    /// The wall time of an instant to come.
    pub(crate) fn wall_of(&self, at: Duration) -> Timestamp {
        self.wall.checked_add(at.saturating_sub(self.at)).unwrap_or(Timestamp::MAX)
    }
}
