//! The instant at which something is judged.

use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Clocks are read one after the other, so a time may lie this far ahead without being in the future.
const READ_TOLERANCE: Duration = Duration::from_secs(1);

/// The instant at which something is judged, on the clocks of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Now {
    /// The time for people. It may be set to anything at any moment.
    pub wall: Timestamp,
    /// `CLOCK_BOOTTIME`: the time since boot, which cannot be set.
    pub boottime: Duration,
    /// How much of it the machine was suspended: `CLOCK_BOOTTIME` less `CLOCK_MONOTONIC`.
    pub suspended: Duration,
    /// The id of this boot, where the kernel tells it.
    pub boot_id: Option<Arc<str>>,
}

impl Now {
    /// How long the machine has been awake since boot: time in which it was suspended makes nothing late.
    pub(crate) fn awake(&self) -> Duration {
        self.boottime.saturating_sub(self.suspended)
    }

    /// The boot time at which it will have been awake for so long, if it is not suspended until then.
    pub(crate) fn boottime_of(&self, awake: Duration) -> Duration {
        awake + self.suspended
    }

    /// The wall time `age` ago.
    pub(crate) fn wall_before(&self, age: Duration) -> Timestamp {
        self.wall.checked_sub(age).unwrap_or(Timestamp::MIN)
    }

    /// How long ago a wall time was; nothing if it lies in the future.
    pub(crate) fn since_wall(&self, then: Timestamp) -> Option<Duration> {
        let elapsed = self.wall.duration_since(then);
        Duration::try_from(elapsed)
            .ok()
            .or_else(|| (elapsed.unsigned_abs() <= READ_TOLERANCE).then_some(Duration::ZERO))
    }

    /// How long ago a boot time was; nothing if it lies in the future.
    pub(crate) fn since_boottime(&self, then: Duration) -> Option<Duration> {
        self.boottime
            .checked_sub(then)
            .or_else(|| (then <= self.boottime + READ_TOLERANCE).then_some(Duration::ZERO))
    }

    /// Whether a wall time was before this boot, as far as the wall clock can tell.
    pub(crate) fn is_before_boot(&self, then: Timestamp) -> bool {
        then < self.wall_before(self.boottime + READ_TOLERANCE)
    }
}
