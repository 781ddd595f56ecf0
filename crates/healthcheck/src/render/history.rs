//! What changed, on a terminal: of all, or of one subject with everything that is known of it.

mod list;
#[cfg(test)]
mod tests;
mod timeline;

pub(crate) use list::write as write_changes;
pub(crate) use timeline::write as write_timeline;

use health_reporter::Status;
use healthcheck_core::history::trend::Trend;
use healthcheck_core::history::{Bin, Course, Window};
use healthcheck_core::{Cause, Gap, Subject, Transition};
use jiff::{SignedDuration, Timestamp};

/// The changes of all subjects in a window.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) host: String,
    /// The instant at which it is told.
    pub(crate) at: Timestamp,
    pub(crate) window: Window,
    /// The newest first.
    pub(crate) changes: Vec<Change>,
    /// How many older ones there are in it.
    pub(crate) more: u64,
}

/// A verdict changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) at: Timestamp,
    pub(crate) subject: Subject,
    /// Nothing where nothing is known from before.
    pub(crate) from: Option<Status>,
    pub(crate) to: Status,
    pub(crate) cause: Cause,
    /// For how long it was so; nothing where it still is.
    pub(crate) lasted: Option<SignedDuration>,
    /// All that was written down when it was judged, where that was done.
    pub(crate) transition: Option<Transition>,
    /// The heartbeats that confirmed it first.
    pub(crate) said: Option<Said>,
}

impl Change {
    fn message(&self) -> &str {
        self.transition.as_ref().map_or("", |transition| &transition.message)
    }

    /// What is the matter, with the cause where the message does not begin with it.
    fn why(&self) -> String {
        let cause = self.cause.as_str().replace('_', " ");
        match self.message() {
            "" => cause,
            message if message.starts_with(&cause) => message.to_owned(),
            message => format!("{cause}: {message}"),
        }
    }

    /// `healthy → error`
    fn step(&self) -> String {
        let Self { from, to, .. } = self;
        from.map_or_else(|| to.to_string(), |from| format!("{from} → {to}"))
    }

    /// For how long it was so, or is so by now.
    fn lasted_until(&self, now: Timestamp) -> SignedDuration {
        self.lasted.unwrap_or_else(|| now.duration_since(self.at)).max(SignedDuration::ZERO)
    }
}

/// Heartbeats, or looks, that found the same, and what it said it was doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) task: Option<String>,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) heartbeats: u64,
}

/// Everything that is known of one subject in a window.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) host: String,
    /// The instant at which it is told.
    pub(crate) at: Timestamp,
    pub(crate) window: Window,
    pub(crate) subject: Subject,
    /// How it is; nothing where it is no longer known.
    pub(crate) standing: Option<Standing>,
    pub(crate) course: Course,
    /// The newest first.
    pub(crate) entries: Vec<Entry>,
    /// How many older ones there are in the window.
    pub(crate) more: u64,
    /// By name.
    pub(crate) numbers: Vec<Number>,
}

/// How it is.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    pub(crate) cause: Cause,
    pub(crate) message: String,
    pub(crate) task: Option<String>,
    pub(crate) since: Timestamp,
    pub(crate) last_heartbeat: Option<Timestamp>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Change(Box<Change>),
    /// It went on to do something else.
    Said(Said),
    /// Nobody looked.
    Gap(Gap),
    /// It need not have worked.
    Maintenance(Window),
}

impl Entry {
    pub(crate) const fn at(&self) -> Timestamp {
        match self {
            Self::Change(change) => change.at,
            Self::Said(said) => said.first,
            Self::Gap(gap) => gap.from,
            Self::Maintenance(window) => window.from,
        }
    }
}

/// A number over the window.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) metric: String,
    /// All of them together.
    pub(crate) all: Bin,
    pub(crate) trend: Option<Trend>,
}
