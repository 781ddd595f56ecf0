//! What was done to the alerts and is no transition: kept, so that a day can be lived through again.

use super::{Alerts, Heard, Reboot, Silence};
use crate::{Now, Subject};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So many wait for a store that takes nothing; the oldest are dropped beyond.
const MAX_UNKEPT: usize = 1_000;

/// Something that was done, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// When, wall time.
    pub at: Timestamp,
    /// What.
    pub deed: Deed,
}

/// What an operator asked for, or what the machine did, that is no transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Deed {
    /// The monitor began, and has looked at everything once.
    Started {
        /// So long after the machine did.
        boottime: Duration,
    },
    /// The monitor was asked to stop.
    Stopped,
    /// The machine came back.
    Rebooted(Reboot),
    /// The wall clock was set, or the machine found out late how wrong it was.
    ClockSet {
        /// What it would have shown otherwise.
        from: Timestamp,
    },
    /// Somebody muted something; that it was moved on changes this one.
    Silenced(Silence),
    /// Somebody ended a silence.
    Unsilenced {
        /// Its number.
        silence: u64,
    },
    /// Somebody cares.
    Acknowledged {
        /// For which incident.
        incident: u64,
        /// Those of its subjects that were bad then.
        subjects: Vec<Subject>,
        /// Who.
        author: String,
    },
    /// Nothing promises a subject any more, and nobody looks at it.
    Forgotten {
        /// Which one.
        subject: Subject,
    },
    /// Machines are told of here from now on, or by another watcher.
    TellsHosts {
        /// Whether it is here.
        tells: bool,
    },
    /// The watcher that tells of machines told of some.
    Heard {
        /// The channel that accepted it.
        channel: String,
        /// What.
        heard: Vec<Heard>,
    },
}

impl Act {
    /// What it takes the place of, where it is not by itself.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        match &self.deed {
            Deed::Silenced(silence) => Some(format!("silence {} of {}", silence.id, silence.created)),
            _ => None,
        }
    }
}

impl Alerts {
    /// A subject is known no more, without a transition; what follows is found by [`Alerts::agree`].
    pub fn forgot(&mut self, subject: &Subject, at: Timestamp) {
        self.record(at, Deed::Forgotten { subject: subject.clone() });
    }

    pub(super) fn record(&mut self, at: Timestamp, deed: Deed) {
        let act = Act { at, deed };
        let acts = &mut self.dirty.acts;
        let same = act.key().and_then(|key| acts.iter_mut().find(|it| it.key().as_ref() == Some(&key)));
        match same {
            Some(same) => same.deed = act.deed,
            None => acts.push(act),
        }
        acts.drain(..acts.len().saturating_sub(MAX_UNKEPT));
    }

    /// Goes on to an instant, and notes if the wall clock was set meanwhile.
    pub(super) fn advance(&mut self, now: &Now) -> Duration {
        if let Some(from) = self.head.clock.would_show(now) {
            self.record(now.wall, Deed::ClockSet { from });
            self.looks.touch_all();
        }
        if self.head.clock.is_of_another_boot(now) {
            self.looks.touch_all();
        }
        self.head.clock.advance(now)
    }
}
