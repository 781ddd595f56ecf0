//! What is remembered of a number: how much it is, and since when it is beyond its limits.

use crate::{Limits, Measure};
use health_reporter::Status;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A number, and since when it is beyond its limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) measure: Measure,
    seen_awake: Duration,
    warning_since_awake: Option<Duration>,
    error_since_awake: Option<Duration>,
}

/// A limit that a number is beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Crossed {
    pub(crate) status: Status,
    pub(crate) limit: f64,
    pub(crate) since_awake: Duration,
}

impl Measured {
    pub(crate) fn after(former: Option<&Self>, measure: Measure, limits: &Limits, awake: Duration) -> Self {
        let since = |limit: Option<f64>, former_since: Option<Duration>| {
            let former = former.and_then(|former| Some((former_since?, former.seen_awake)));
            limits.crossed_since(measure.value, limit?, former, awake)
        };
        Self {
            measure,
            seen_awake: awake,
            warning_since_awake: since(limits.warning, former.and_then(|it| it.warning_since_awake)),
            error_since_awake: since(limits.error, former.and_then(|it| it.error_since_awake)),
        }
    }

    /// The limits that it is beyond, the worse one first, whether or not for long enough.
    pub(crate) fn crossed(&self, limits: &Limits) -> impl Iterator<Item = Crossed> {
        let crossed = |status, limit: Option<f64>, since: Option<Duration>| {
            Some(Crossed { status, limit: limit?, since_awake: since? })
        };
        let error = crossed(Status::Error, limits.error, self.error_since_awake);
        let warning = crossed(Status::Warning, limits.warning, self.warning_since_awake);
        error.into_iter().chain(warning)
    }
}

impl Limits {
    /// Since when the value is beyond a limit; `former` is since when it was, and when that was seen. Only what was
    /// beyond it for long enough stays so until it is clear of it: a short peak leaves nothing behind. Nor does time
    /// count in which nobody looked.
    fn crossed_since(
        &self,
        value: f64,
        limit: f64,
        former: Option<(Duration, Duration)>,
        awake: Duration,
    ) -> Option<Duration> {
        let was_raised = former.is_some_and(|(since, seen)| seen.saturating_sub(since) >= self.hold);
        let is_gap = |seen: Duration| awake.saturating_sub(seen) > self.hold;
        let since = former.filter(|(_, seen)| was_raised || !is_gap(*seen)).map(|(since, _)| since);
        let is_raised = since.is_some_and(|since| awake.saturating_sub(since) >= self.hold);
        let clear = self.clear.filter(|_| is_raised && self.warning.is_none_or(|warning| warning == limit));
        let is_beyond =
            self.is_beyond(value, limit) || clear.is_some_and(|clear| self.is_beyond(value, clear));
        is_beyond.then(|| since.unwrap_or(awake))
    }

    fn is_beyond(&self, value: f64, limit: f64) -> bool {
        if self.is_bad_below { value < limit } else { value > limit }
    }
}
