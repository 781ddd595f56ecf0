//! A small generator of numbers: SplitMix64. The same seed gives the same world.

use std::time::Duration;

pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    pub(crate) fn before(&mut self, end: Duration) -> Duration {
        Duration::from_millis(self.below(u64::try_from(end.as_millis()).unwrap().max(1)))
    }

    /// A time of any order of magnitude from milliseconds to `longest`: most that goes wrong is short.
    pub(crate) fn span(&mut self, longest: Duration) -> Duration {
        const ENDS_MS: [u64; 8] = [20, 300, 5_000, 60_000, 240_000, 900_000, 7_200_000, 40_000_000];
        let end = self.pick(&ENDS_MS);
        Duration::from_millis(1 + self.below(end)).min(longest)
    }
}
