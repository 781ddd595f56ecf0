//! When somebody is told: the configuration in the terms of the decision.

use super::mute::{MaintenanceWindow, Route};
use crate::Subject;
use health_reporter::Status;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::time::Duration;

/// The settings of the decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The name of the machine, which comes first in everything that is told.
    pub host: String,
    /// Nothing is told before so much time has passed since boot.
    pub grace: Duration,
    /// How long simultaneous events are gathered into one notice, from the first.
    pub group_wait: Duration,
    /// The same of machines: their leases end up to an interval apart.
    pub host_wait: Duration,
    /// How long a supervisor has to bring back what crashed before that is told.
    pub restart_wait: Duration,
    /// The least time between two notices that tell a channel the same of the same subject.
    pub cooldown: Duration,
    /// How long until what lasts is told again, twice as long each time; zero for never.
    pub reminder: Duration,
    /// The channels by name, and whom each is told of.
    pub channels: BTreeMap<String, ChannelRules>,
    /// When what is planned.
    pub maintenance: Vec<MaintenanceWindow>,
    /// Everything is decided, and nothing sent.
    pub dry_run: bool,
    /// The zone in which hours are meant.
    pub zone: TimeZone,
}

/// Whom a channel is told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelRules {
    /// Its routes; it is told of what any of them covers.
    pub routes: Vec<Route>,
    /// How many notices a day it takes, a reserve apart; beyond that only a digest now and then.
    pub daily_budget: Option<u32>,
}

impl Default for Rules {
    /// The defaults of the configuration, and no channels.
    fn default() -> Self {
        Self {
            host: String::new(),
            grace: Duration::from_secs(60),
            group_wait: Duration::from_secs(2),
            host_wait: Duration::from_secs(12),
            restart_wait: Duration::from_secs(15),
            cooldown: Duration::from_secs(300),
            reminder: Duration::from_secs(3_600),
            channels: BTreeMap::new(),
            maintenance: Vec::new(),
            dry_run: false,
            zone: TimeZone::UTC,
        }
    }
}

impl ChannelRules {
    /// Whether the channel is told of a subject that is like this.
    #[must_use]
    pub fn hears(&self, subject: &Subject, status: Status) -> bool {
        status > Status::Unknown && self.routes.iter().any(|it| it.level <= status && it.covers(subject))
    }

    /// Until when all routes that lead there rest, where they do.
    pub(crate) fn quiet_until(
        &self,
        subject: &Subject,
        status: Status,
        at: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let time = zone.to_datetime(at).time();
        let routes = self.routes.iter().filter(|it| it.level <= status && it.covers(subject));
        let ends = routes.map(|route| {
            let quiet = route.quiet.filter(|quiet| quiet.contains(time))?;
            Some(quiet.end_after(at, zone))
        });
        ends.reduce(|one, other| one.zip(other).map(|(one, other)| one.min(other))).flatten()
    }
}
