/// Pseudo-random numbers (xorshift), the same for the same seed.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Thrown as the environment's `DICE` says, or as never before; says which it was.
    pub(crate) fn new(story: &str) -> Self {
        let given = std::env::var("DICE").ok().and_then(|seed| seed.parse().ok());
        let now = || u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
        let seed = given.unwrap_or_else(now) | 1;
        println!("{story}: DICE={seed}");
        Self(seed)
    }

    /// Thrown as this number says.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// One of so many.
    pub(crate) fn one_of(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
