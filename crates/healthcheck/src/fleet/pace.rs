//! When to try again: not everybody at the same instant.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
/// No pause is longer.
pub(super) const LONGEST: Duration = Duration::from_secs(3);

/// The pauses between attempts that fail: longer each time, and never the same.
#[derive(Debug, Default)]
pub(crate) struct Pace(u32);

impl Pace {
    pub(crate) const fn start_over(&mut self) {
        self.0 = 0;
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let doubled = FIRST * (1 << self.0.min(4));
        self.0 = self.0.saturating_add(1);
        let longest = doubled.min(LONGEST);
        longest / 2 + up_to(longest / 2)
    }
}

/// A time that nobody knows before, shorter than this one.
pub(super) fn up_to(longest: Duration) -> Duration {
    let drawn = RandomState::new().build_hasher().finish() >> 32;
    let share = u32::try_from(drawn).unwrap_or_default();
    longest.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ() {
        let mut pace = Pace::default();
        let pauses: Vec<_> = (0..50).map(|_| pace.pause()).collect();
        assert!(pauses[0] <= FIRST && pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses[10..].iter().all(|pause| *pause >= LONGEST / 2));
        assert!(pauses[10..].windows(2).any(|two| two[0] != two[1]));
        pace.start_over();
        assert!(pace.pause() <= FIRST);
    }
}
