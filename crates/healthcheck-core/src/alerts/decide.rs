//! Whether a channel is told of a subject now: what its server last accepted beside what is true.

use super::clock::Clock;
use super::desk::Told;
use super::trouble::Trouble;
use super::{ChannelRules, Held, Incident, NoticeReason, Silence, World};
use crate::Subject;
use health_reporter::Status;
use std::collections::BTreeMap;
use std::time::Duration;

/// Of what flaps there are at most three notices an hour.
const FLAPPING_PAUSE: Duration = Duration::from_secs(1_200);
const DAY: Duration = Duration::from_secs(86_400);
/// How often a mute by the hour is looked at again.
const MUTE_AGAIN: Duration = Duration::from_secs(60);

/// What is to be done about a subject.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// Nothing is the matter.
    Nothing,
    /// It is told now.
    Tell(NoticeReason),
    /// It is not told, or not before an instant.
    Hold(Hold),
}

/// What is not told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hold {
    pub(super) held: Held,
    pub(super) until: Option<Duration>,
    /// As what it would be told.
    pub(super) reason: NoticeReason,
}

type Holding = Option<(Held, Option<Duration>)>;

/// One subject, seen by one channel.
pub(super) struct Case<'a> {
    pub(super) subject: &'a Subject,
    pub(super) trouble: Option<&'a Trouble>,
    pub(super) incident: Option<&'a Incident>,
    pub(super) told: &'a Told,
    pub(super) channel: &'a ChannelRules,
    pub(super) silences: &'a BTreeMap<u64, Silence>,
    pub(super) world: &'a World<'a>,
    pub(super) clock: &'a Clock,
}

impl Case<'_> {
    pub(super) fn decide(&self) -> Decision {
        let (wanted, told) = (self.wanted(), self.heard(self.told.status));
        if self.is_flapping() {
            return self.flapping(wanted, told);
        }
        match (wanted, told) {
            (Status::Healthy, Status::Healthy) => self.nothing_is_wrong(),
            (wanted, told) if wanted == told => self.reminder(wanted),
            (wanted, Status::Healthy) => {
                let held = self.opening(wanted);
                self.unless(held, NoticeReason::Opened)
            }
            (Status::Healthy, _) => self.over(),
            (wanted, told) if wanted > told => {
                let held = self.suppressed(wanted).or_else(|| self.cooldown(wanted));
                self.unless(held, NoticeReason::Worse)
            }
            (wanted, _) => {
                let last = self.told.at.map(|at| at + self.world.rules.cooldown);
                let held = self.wait(Held::Cooldown, last).or_else(|| self.suppressed(wanted));
                self.unless(held, NoticeReason::Better)
            }
        }
    }

    /// How it is, as far as the channel is to know; what it is not told of is healthy.
    fn wanted(&self) -> Status {
        self.heard(self.trouble.map_or(Status::Healthy, Trouble::status_now))
    }

    /// A status as the channel hears it.
    fn heard(&self, status: Status) -> Status {
        if self.is_heard(status) { status } else { Status::Healthy }
    }

    fn is_heard(&self, status: Status) -> bool {
        self.channel.hears(self.subject, status)
    }

    fn is_flapping(&self) -> bool {
        self.trouble.is_some_and(|trouble| self.is_heard(trouble.status))
            && self.world.state.is_flapping(self.subject, self.world.now)
    }

    fn nothing_is_wrong(&self) -> Decision {
        if self.told.owed.is_some() {
            return self.unless(self.gathered(), NoticeReason::Passed);
        }
        match self.trouble {
            Some(trouble) if trouble.is_open() => self.not_heard(),
            Some(trouble) if trouble.healed > self.told.healed => self.healed(),
            _ => Decision::Nothing,
        }
    }

    fn not_heard(&self) -> Decision {
        let is_routed = self.channel.routes.iter().any(|route| route.covers(self.subject));
        let held = if is_routed { Held::BelowLevel } else { Held::NotRouted };
        Decision::Hold(Hold { held, until: None, reason: NoticeReason::Opened })
    }

    fn healed(&self) -> Decision {
        if !self.is_heard(Status::Warning) {
            return Decision::Nothing;
        }
        let held = self.gathered().or_else(|| self.grace()).or_else(|| self.mute(Status::Warning));
        let held = held.or_else(|| self.cooldown(Status::Unknown));
        self.unless(held, NoticeReason::Healed)
    }

    /// It is told wherever the problem was.
    fn over(&self) -> Decision {
        let is_over = self.trouble.is_none_or(|trouble| !trouble.is_open());
        if !is_over {
            return self.unless(None, NoticeReason::Better);
        }
        let held = self.gathered().or_else(|| self.cooldown(Status::Healthy));
        self.unless(held, NoticeReason::Recovered)
    }

    fn reminder(&self, wanted: Status) -> Decision {
        let reminder = self.world.rules.reminder;
        let is_cared_for = self.incident.is_some_and(|incident| incident.acknowledged.is_some());
        if reminder.is_zero() || is_cared_for {
            let reason = NoticeReason::Reminder;
            return Decision::Hold(Hold { held: Held::Told, until: None, reason });
        }
        let pause = match wanted {
            Status::Warning => DAY.max(reminder),
            _ => reminder.saturating_mul(1 << self.told.reminders.min(16)).min(DAY.max(reminder)),
        };
        let due = self.told.at.map(|at| at + pause);
        let held = self.wait(Held::Told, due).or_else(|| self.suppressed(wanted));
        self.unless(held, NoticeReason::Reminder)
    }

    fn flapping(&self, wanted: Status, told: Status) -> Decision {
        if self.told.is_flapping_told && wanted == told {
            let reason = NoticeReason::Flapping;
            return Decision::Hold(Hold { held: Held::Told, until: None, reason });
        }
        let again = self.told.flapping_at.map(|at| at + FLAPPING_PAUSE);
        let held = self.wait(Held::Flapping, again);
        let held =
            held.or_else(|| if wanted == Status::Healthy { self.grace() } else { self.suppressed(wanted) });
        self.unless(held, NoticeReason::Flapping)
    }

    /// What keeps a problem from being told for the first time.
    fn opening(&self, wanted: Status) -> Holding {
        let rules = self.world.rules;
        let group = self.incident.map(|incident| incident.opened_at + rules.group_wait);
        let restart = self.trouble.filter(|trouble| trouble.may_heal());
        let restart = restart.map(|trouble| trouble.began + rules.restart_wait);
        self.grace()
            .or_else(|| self.wait(Held::GroupWait, group))
            .or_else(|| self.wait(Held::RestartWait, restart))
            .or_else(|| self.suppressed(wanted))
            .or_else(|| self.cooldown(wanted))
    }

    fn grace(&self) -> Holding {
        let left = self.world.rules.grace.saturating_sub(self.world.now.boottime);
        (!left.is_zero()).then(|| (Held::Grace, Some(self.clock.at + left)))
    }

    /// Mutes, and causes that are told already: never of what is over.
    fn suppressed(&self, wanted: Status) -> Holding {
        self.grace().or_else(|| self.inhibition()).or_else(|| self.mute(wanted))
    }

    fn inhibition(&self) -> Holding {
        let trouble = self.trouble?;
        let root = trouble.inhibited_by.as_ref().filter(|root| self.knows(root));
        if let Some(root) = root {
            return Some((Held::Inhibited { root: root.name.to_string() }, None));
        }
        // Whoever depended on it has as long to come back as anybody who is restarted.
        let rules = self.world.rules;
        let freed = trouble.freed.map(|freed| freed + rules.restart_wait.max(rules.group_wait));
        self.wait(Held::RestartWait, freed)
    }

    /// Whether the channel is told of a cause, too.
    fn knows(&self, root: &Subject) -> bool {
        let verdict = self.world.state.verdict(root);
        verdict.is_some_and(|verdict| verdict.status.is_bad() && self.channel.hears(root, verdict.status))
    }

    fn mute(&self, status: Status) -> Holding {
        let (now, rules) = (self.world.now, self.world.rules);
        let again = Some(self.clock.at + MUTE_AGAIN);
        let silences = self.silences.values().filter(|silence| silence.covers(self.subject, now.wall));
        if let Some(silence) = silences.max_by_key(|silence| silence.until) {
            return Some((Held::Silenced { id: silence.id }, Some(self.clock.at_wall(silence.until))));
        }
        if rules.maintenance.iter().any(|window| window.covers(self.subject, now.wall, &rules.zone)) {
            return Some((Held::Maintenance, again));
        }
        let time = rules.zone.to_datetime(now.wall).time();
        let is_quiet = status < Status::Fatal && self.channel.is_quiet(self.subject, status, time);
        is_quiet.then_some((Held::Quiet, again))
    }

    fn cooldown(&self, status: Status) -> Holding {
        self.wait(Held::Cooldown, self.told.cool_at(status, self.world.rules.cooldown))
    }

    /// What ends at the same time is gathered.
    fn gathered(&self) -> Holding {
        let ended = self.trouble.and_then(|trouble| trouble.end.as_ref());
        self.wait(Held::GroupWait, ended.map(|end| end.at + self.world.rules.group_wait))
    }

    fn wait(&self, held: Held, until: Option<Duration>) -> Holding {
        until.filter(|until| *until > self.clock.at).map(|until| (held, Some(until)))
    }

    fn unless(&self, held: Holding, reason: NoticeReason) -> Decision {
        match held {
            Some((held, until)) => Decision::Hold(Hold { held, until, reason }),
            None => Decision::Tell(reason),
        }
    }
}
