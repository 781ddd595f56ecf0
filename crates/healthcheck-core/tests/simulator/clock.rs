//! The clocks of a machine. True time, which nobody there can read, is the time since the world began.

use healthcheck_core::Now;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// An instant: its true time, and how much of that the machine was awake.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Stamp {
    pub(crate) t: Duration,
    pub(crate) awake: Duration,
}

impl Stamp {
    pub(crate) fn later(self, by: Duration) -> Self {
        Self { t: self.t + by, awake: self.awake + by }
    }

    pub(crate) fn earlier(self, by: Duration) -> Self {
        Self { t: self.t.saturating_sub(by), awake: self.awake.saturating_sub(by) }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// True time, the first uptime included: at zero the machine booted first.
    pub(crate) t: Duration,
    /// When it booted.
    pub(crate) booted: Stamp,
    /// How long it was suspended in this boot, and in all.
    pub(crate) suspended: Duration,
    slept: Duration,
    /// How often it was suspended.
    pub(crate) sleeps: u32,
    /// Which boot it is.
    pub(crate) boot: u32,
    boot_id: Option<Arc<str>>,
    /// How far the wall clock was set.
    stepped: SignedDuration,
    /// Whether it was ever set.
    pub(crate) has_stepped: bool,
}

impl Clock {
    pub(crate) fn new(uptime: Duration, has_boot_id: bool) -> Self {
        let boot_id = has_boot_id.then(|| "boot-1".into());
        Self {
            t: uptime,
            booted: Stamp::default(),
            suspended: Duration::ZERO,
            slept: Duration::ZERO,
            sleeps: 0,
            boot: 1,
            boot_id,
            stepped: SignedDuration::ZERO,
            has_stepped: false,
        }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { t: self.t, awake: self.t - self.slept }
    }

    /// The machine sleeps for so long.
    pub(crate) fn suspend(&mut self, lasts: Duration) {
        self.t += lasts;
        self.suspended += lasts;
        self.slept += lasts;
        self.sleeps += 1;
    }

    pub(crate) fn now(&self) -> Now {
        let (boottime, suspended) = (self.boottime(), self.suspended);
        Now { wall: self.wall(), boottime, suspended, boot_id: self.boot_id.clone() }
    }

    pub(crate) fn boottime(&self) -> Duration {
        self.t - self.booted.t
    }

    pub(crate) fn boot_id(&self) -> Option<String> {
        self.boot_id.as_deref().map(str::to_owned)
    }

    pub(crate) const fn has_boot_id(&self) -> bool {
        self.boot_id.is_some()
    }

    pub(crate) fn wall(&self) -> Timestamp {
        const BEGAN_S: i64 = 1_748_779_200;
        let began = Timestamp::constant(BEGAN_S, 0);
        began + SignedDuration::try_from(self.t).unwrap() + self.stepped
    }

    /// Nobody sets a clock to the nanosecond: no two writes an hour apart have the same time for that.
    pub(crate) fn step(&mut self, seconds: i64) {
        self.stepped += SignedDuration::new(seconds, 1_234_567);
        self.has_stepped = true;
    }

    /// The machine comes up now.
    pub(crate) fn boot(&mut self) {
        (self.booted, self.suspended, self.boot) = (self.stamp(), Duration::ZERO, self.boot + 1);
        self.boot_id = self.boot_id.take().map(|_| format!("boot-{}", self.boot).into());
    }

    /// The boot time of a true time, in seconds.
    pub(crate) fn boottime_s(&self, t: Duration) -> f64 {
        t.saturating_sub(self.booted.t).as_secs_f64()
    }
}
