//! The newest errors, and whether the check `errors` is still on.

use crate::Status;
use crate::report::{MAX_MESSAGE_BYTES, MAX_NAME_BYTES, MAX_RECENT_ERRORS, RecentError, bounded};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// The check of the errors that belong to no other.
pub(crate) const ERRORS_CHECK: &str = "errors";
/// Intervals without another error after which one that is not fatal counts as over.
pub(crate) const QUIET_INTERVALS: u32 = 3;

#[derive(Debug, Default)]
pub(crate) struct ErrorLog {
    recent: VecDeque<RecentError>,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    fatal: bool,
    last_boottime: Duration,
}

impl ErrorLog {
    pub(crate) fn push(&mut self, message: &str, fatal: bool, check: Option<&str>, at: Timestamp) {
        self.recent.push_back(RecentError {
            message: bounded(message, MAX_MESSAGE_BYTES),
            timestamp: Some(at),
            fatal,
            check: check.map(|check| bounded(check, MAX_NAME_BYTES)),
        });
        while self.recent.len() > MAX_RECENT_ERRORS {
            self.recent.pop_front();
        }
    }

    /// Puts what an earlier run recorded before what this one has.
    pub(crate) fn remember(&mut self, earlier: &[RecentError]) {
        for error in earlier.iter().rev() {
            if self.recent.len() < MAX_RECENT_ERRORS {
                self.recent.push_front(error.clone());
            }
        }
    }

    /// An error without a check began or went on; its status, in which a fatal one is not softened by others.
    pub(crate) fn open(&mut self, fatal: bool, now_boottime: Duration) -> Status {
        let fatal = fatal || self.open.is_some_and(|open| open.fatal);
        self.open = Some(Open { fatal, last_boottime: now_boottime });
        if fatal { Status::Fatal } else { Status::Error }
    }

    /// Whether there was something to clear.
    pub(crate) const fn clear(&mut self) -> bool {
        self.open.take().is_some()
    }

    /// Clears an error that has been quiet for long enough; whether there was one.
    pub(crate) fn clear_if_quiet(&mut self, interval: Duration, now_boottime: Duration) -> bool {
        self.quiet_at(interval).is_some_and(|at| at <= now_boottime) && self.clear()
    }

    /// When the open error will count as over by itself; a fatal one never does.
    pub(crate) fn quiet_at(&self, interval: Duration) -> Option<Duration> {
        let open = self.open.filter(|open| !open.fatal)?;
        Some(open.last_boottime + interval * QUIET_INTERVALS)
    }

    pub(crate) fn recent(&self) -> Vec<RecentError> {
        self.recent.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn only_the_newest_errors_are_kept_and_those_of_earlier_runs_give_way_first() {
        let mut earlier = ErrorLog::default();
        for number in 0..30 {
            earlier.push(&format!("old {number}"), false, None, Timestamp::default());
        }
        let mut log = ErrorLog::default();
        for number in 0..15 {
            log.push(&format!("new {number}"), false, None, Timestamp::default());
        }
        log.remember(&earlier.recent());
        let recent: Vec<_> = log.recent().into_iter().map(|error| error.message).collect();
        assert_eq!(recent.len(), MAX_RECENT_ERRORS);
        assert_eq!(
            (&*recent[0], &*recent[4], &*recent[5], &*recent[19]),
            ("old 25", "old 29", "new 0", "new 14")
        );
    }

    #[test]
    fn an_error_is_over_after_three_quiet_intervals_counted_from_the_last() {
        let mut log = ErrorLog::default();
        assert_eq!(log.quiet_at(INTERVAL), None);
        assert_eq!(log.open(false, Duration::from_secs(100)), Status::Error);
        log.open(false, Duration::from_secs(120));
        assert_eq!(log.quiet_at(INTERVAL), Some(Duration::from_secs(150)));
        assert!(log.clear() && !log.clear());
    }

    #[test]
    fn a_fatal_error_is_not_softened_by_a_later_one_and_never_over_by_itself() {
        let mut log = ErrorLog::default();
        assert_eq!(log.open(true, Duration::ZERO), Status::Fatal);
        assert_eq!(log.open(false, Duration::from_secs(1)), Status::Fatal);
        assert_eq!(log.quiet_at(INTERVAL), None);
        log.clear();
        assert_eq!(log.open(false, Duration::from_secs(2)), Status::Error);
    }
}
