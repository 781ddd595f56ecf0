//! What a row of the table decides.

use crate::{Cause, Evidence, Now, Verdict, wording};
use health_reporter::Status;
use jiff::Timestamp;
use std::borrow::Cow;
use std::time::Duration;

/// What a row of the table decides: a verdict without its place in time.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) status: Status,
    pub(crate) cause: Cause,
    pub(crate) message: String,
    pub(crate) reasons: Vec<Cow<'static, str>>,
    pub(crate) evidence: Evidence,
    /// When it began, as far as the evidence tells; nothing means now.
    began: Option<Timestamp>,
    /// The boot time at which time alone may change it.
    pub(crate) until: Option<Duration>,
}

impl Finding {
    pub(crate) fn new(status: Status, cause: Cause, message: &str) -> Self {
        Self {
            status,
            cause,
            message: wording::line(message, wording::MAX_MESSAGE_BYTES),
            reasons: Vec::new(),
            evidence: Evidence::default(),
            began: None,
            until: None,
        }
    }

    pub(crate) fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reasons.push(reason.into());
        self
    }

    pub(crate) fn maybe_because(self, reason: Option<impl Into<Cow<'static, str>>>) -> Self {
        match reason {
            Some(reason) => self.because(reason),
            None => self,
        }
    }

    pub(crate) fn with(mut self, key: &'static str, value: &str) -> Self {
        self.evidence.add(key, value);
        self
    }

    pub(crate) fn maybe_with(self, key: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    pub(crate) const fn since(mut self, began: Option<Timestamp>) -> Self {
        self.began = began;
        self
    }

    pub(crate) const fn until(mut self, boottime: Option<Duration>) -> Self {
        self.until = boottime;
        self
    }

    pub(crate) fn into_verdict(mut self, held_since: Option<Timestamp>, now: &Now) -> Verdict {
        // A verdict is kept, and there may be many.
        self.reasons.shrink_to_fit();
        self.evidence.shrink_to_fit();
        let began = self.began.map_or(now.wall, |began| began.min(now.wall));
        Verdict {
            status: self.status,
            cause: self.cause,
            message: self.message,
            reasons: self.reasons,
            evidence: self.evidence,
            since: held_since.unwrap_or(began),
        }
    }
}
