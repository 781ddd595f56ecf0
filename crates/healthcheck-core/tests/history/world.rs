//! Instants, marks and windows, and a small generator of numbers: SplitMix64. The same seed gives the same world.

use health_reporter::Status;
use healthcheck_core::history::{Bucket, Course, Mark, Span, Window};
use healthcheck_core::{Cause, Gap, GapReason};
use jiff::Timestamp;

/// So many seconds after noon.
pub(crate) fn at(seconds: i64) -> Timestamp {
    "2025-06-01T12:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds)
}

pub(crate) fn window(from: i64, to: i64) -> Window {
    Window { from: at(from), to: at(to) }
}

pub(crate) fn mark(seconds: i64, status: Status) -> Mark {
    Mark { at: at(seconds), status, cause: Cause::SelfReported }
}

pub(crate) fn gap(from: i64, to: i64, reason: GapReason) -> Gap {
    Gap { from: at(from), to: at(to), reason }
}

/// Seconds after noon, and what they count as.
pub(crate) fn told(course: &Course, of: Window) -> Vec<(i64, i64, Bucket)> {
    let seconds = |instant: Timestamp| instant.duration_since(at(0)).as_secs();
    let told = |span: Span| (seconds(span.window.from), seconds(span.window.to), span.bucket);
    course.spans(of).into_iter().map(told).collect()
}

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

    pub(crate) fn second(&mut self, limit: i64) -> i64 {
        i64::try_from(self.below(limit.unsigned_abs())).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}
