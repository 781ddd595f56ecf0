//! When the machine was suspended lately.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The clocks are read one after the other: less than this is no sleep.
const TOLERANCE: Duration = Duration::from_secs(1);
/// How many are remembered: those that what is written now may lie behind.
const MAX_SLEEPS: usize = 8;

/// When the machine was suspended lately, in order, in this boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sleeps(Vec<Sleep>);

/// Somewhere between two looks at the clock the machine was suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Sleep {
    from_boottime: Duration,
    to_boottime: Duration,
    lasted: Duration,
}

impl Sleeps {
    /// Notes what two looks at the clock show, and tells whether the machine slept between them.
    pub(crate) fn note(&mut self, from_boottime: Duration, to_boottime: Duration, lasted: Duration) -> bool {
        let is_sleep = lasted > TOLERANCE;
        if is_sleep {
            self.0.push(Sleep { from_boottime, to_boottime, lasted });
            self.0.drain(..self.0.len().saturating_sub(MAX_SLEEPS));
        }
        is_sleep
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// How much of the time between two boot times the machine slept, at most.
    pub(crate) fn within(&self, from_boottime: Duration, to_boottime: Duration) -> Duration {
        let shared = |sleep: &Sleep| {
            let end = to_boottime.min(sleep.to_boottime);
            end.saturating_sub(from_boottime.max(sleep.from_boottime)).min(sleep.lasted)
        };
        self.0.iter().map(shared).sum()
    }

    /// When a thing is due that could not be done while the machine slept: what became due meanwhile, or just after,
    /// is granted a time of being awake. What was due before stays due.
    pub(crate) fn put_off(&self, due_boottime: Duration, grace: Duration) -> Duration {
        self.0.iter().fold(due_boottime, |due, sleep| {
            let end = sleep.to_boottime + grace;
            if sleep.from_boottime < due && due < end { end } else { due }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn slept() -> Sleeps {
        let mut sleeps = Sleeps::default();
        assert!(!sleeps.note(at(10), at(20), TOLERANCE));
        assert!(sleeps.note(at(100), at(200), at(90)));
        sleeps
    }

    #[test]
    fn only_what_was_slept_is_slept() {
        let sleeps = slept();
        assert_eq!(sleeps.within(at(0), at(99)), at(0));
        assert_eq!(sleeps.within(at(0), at(1_000)), at(90));
        assert_eq!(sleeps.within(at(150), at(1_000)), at(50));
        assert_eq!(sleeps.within(at(200), at(1_000)), at(0));
    }

    #[test]
    fn what_became_due_in_a_sleep_has_its_grace() {
        let sleeps = slept();
        for (due, put_off) in [(99, 99), (100, 100), (101, 260), (259, 260), (260, 260), (300, 300)] {
            assert_eq!(sleeps.put_off(at(due), at(60)), at(put_off));
        }
    }

    #[test]
    fn a_machine_that_sleeps_all_the_time_fills_no_memory() {
        let mut sleeps = Sleeps::default();
        for night in 0..1_000 {
            sleeps.note(at(night * 100), at(night * 100 + 50), at(40));
        }
        assert_eq!(sleeps.0.len(), MAX_SLEEPS);
        assert_eq!(sleeps.within(at(0), at(100_000)), at(320));
    }
}
