//! Watched loops: a beat that comes from the loop itself.

use crate::clock;
use crate::report::WatchedLoop;
use crate::shared::Shared;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// One loop's last beat, on `CLOCK_BOOTTIME`.
#[derive(Debug)]
pub(crate) struct LoopCell {
    name: String,
    limit: Duration,
    beat_ns: AtomicU64,
    late: AtomicBool,
    retired: AtomicBool,
}

/// What a limit may be: a report with another one would be refused, or never be late.
const LIMITS: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(35 * 24);

impl LoopCell {
    pub(crate) fn new(name: String, limit: Duration) -> Self {
        let limit = limit.clamp(*LIMITS.start(), *LIMITS.end());
        let (late, retired) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { name, limit, beat_ns: AtomicU64::new(nanos(clock::boottime())), late, retired }
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// When it will have been silent for too long, unless that was already told.
    pub(crate) fn limit_at(&self) -> Option<Duration> {
        let told = self.late.load(Ordering::Relaxed);
        (!told && !self.is_retired()).then(|| self.last_beat() + self.limit)
    }

    /// Whether it is silent for too long at `now`.
    pub(crate) fn is_late(&self, now: Duration) -> bool {
        now > self.last_beat() + self.limit
    }

    /// Its silence, if it is one, is told by a report as of `now`: from then on its next beat is news.
    pub(crate) fn told_at(&self, now: Duration) {
        self.late.store(self.is_late(now), Ordering::Relaxed);
    }

    /// The machine slept: that silence is not the loop's.
    pub(crate) fn forgive(&self, slept: Duration) {
        self.beat_ns.fetch_add(nanos(slept), Ordering::Relaxed);
    }

    pub(crate) fn to_watched_loop(&self) -> WatchedLoop {
        WatchedLoop {
            name: self.name.clone(),
            beat_boottime_s: self.last_beat().as_secs_f64(),
            limit_s: self.limit.as_secs_f64(),
        }
    }

    fn last_beat(&self) -> Duration {
        Duration::from_nanos(self.beat_ns.load(Ordering::Relaxed))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A loop that promises to [`beat`](LoopHandle::beat); dropping it ends the promise.
///
/// ```
/// use health_reporter::Reporter;
/// use std::time::Duration;
///
/// let dir = tempfile::tempdir().unwrap();
/// let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
/// let frames = health.watched_loop("frames", Duration::from_secs(2));
/// for _frame in 0..3 {
///     frames.beat(); // silence for more than 2 s means that the service hangs
/// }
/// ```
#[derive(Debug)]
pub struct LoopHandle {
    pub(crate) cell: Arc<LoopCell>,
    pub(crate) shared: Arc<Shared>,
}

impl LoopHandle {
    /// Says that the loop goes on. Costs one look at the clock.
    pub fn beat(&self) {
        self.cell.beat_ns.store(nanos(clock::boottime()), Ordering::Relaxed);
        if self.cell.late.swap(false, Ordering::Relaxed) {
            self.shared.changed(crate::check::Change::Status);
        }
    }
}

impl Drop for LoopHandle {
    fn drop(&mut self) {
        self.cell.retired.store(true, Ordering::Relaxed);
        self.shared.changed(crate::check::Change::Detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_by_a_report_and_not_by_whoever_looks() {
        let cell = LoopCell::new("frames".to_owned(), Duration::from_secs(2));
        let (beat, late) = (cell.last_beat(), cell.last_beat() + Duration::from_secs(3));
        assert!(!cell.is_late(beat + Duration::from_secs(2)) && cell.is_late(late));
        assert_eq!(cell.limit_at(), Some(beat + Duration::from_secs(2)), "still to be told");
        cell.told_at(late);
        assert_eq!(cell.limit_at(), None);
        cell.told_at(beat);
        assert!(cell.limit_at().is_some());
        cell.retired.store(true, Ordering::Relaxed);
        assert_eq!(cell.limit_at(), None);
    }

    #[test]
    fn a_limit_is_held_to_what_a_reader_takes() {
        for (limit, held) in [(Duration::ZERO, LIMITS.start()), (Duration::MAX, LIMITS.end())] {
            let cell = LoopCell::new("frames".to_owned(), limit);
            assert_eq!(cell.limit_at(), Some(cell.last_beat() + *held));
        }
    }

    #[test]
    fn the_sleep_of_the_machine_is_not_the_silence_of_a_loop() {
        let cell = LoopCell::new("frames".to_owned(), Duration::from_secs(2));
        let after = cell.last_beat() + Duration::from_secs(3_601);
        assert!(cell.is_late(after));
        cell.forgive(Duration::from_secs(3_600));
        assert!(!cell.is_late(after) && cell.is_late(after + Duration::from_secs(2)));
    }
}
