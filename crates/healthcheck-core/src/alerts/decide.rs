//! Whether a channel is told of a subject now: what its server last accepted beside what is true.

use super::clock::Clock;
use super::desk::Told;
use super::trouble::Trouble;
use super::{ChannelRules, Held, Incident, NoticeReason, Silence, World};
use crate::{Cause, Kind, Subject};
use health_reporter::Status;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Of what flaps there are at most three notices an hour.
const FLAPPING_PAUSE: Duration = Duration::from_secs(1_200);
const DAY: Duration = Duration::from_secs(86_400);

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
    /// Whether another watcher tells of machines.
    pub(super) leaves_hosts: bool,
}

impl Case<'_> {
    pub(super) fn decide(&self) -> Decision {
        let decision = self.by_rules();
        if self.subject.kind == Kind::Host { self.of_host(decision) } else { decision }
    }

    /// One watcher tells of machines, and only of what it has seen.
    fn of_host(&self, decision: Decision) -> Decision {
        let reason = match &decision {
            Decision::Nothing => return decision,
            Decision::Hold(Hold { held: Held::NotRouted | Held::BelowLevel, .. }) => return decision,
            Decision::Tell(reason) | Decision::Hold(Hold { reason, .. }) => *reason,
        };
        let held = match (self.leaves_hosts, reason) {
            (true, NoticeReason::Reminder) => Held::Told,
            (true, _) => Held::OtherTeller,
            (false, _) if self.is_unseen() && self.wanted() == Status::Healthy => Held::Unseen,
            (false, _) => return decision,
        };
        Decision::Hold(Hold { held, until: None, reason })
    }

    /// Whether nobody can say how it is: it may have been told by another watcher, which knew more.
    fn is_unseen(&self) -> bool {
        let verdict = self.world.state.verdict(self.subject);
        verdict.map_or(self.trouble.is_none(), |verdict| verdict.cause == Cause::NotObserved)
    }

    fn by_rules(&self) -> Decision {
        let wanted = self.wanted();
        let told = self.believed(wanted);
        if self.is_flapping(told) {
            return self.flapping(wanted, told);
        }
        match (wanted, told) {
            (Status::Healthy, Status::Healthy) => self.nothing_is_wrong(),
            (wanted, told) if wanted == told => self.reminder(wanted),
            (wanted, Status::Healthy) => self.unless(self.opening(wanted), NoticeReason::Opened),
            (Status::Healthy, _) => self.over(),
            (wanted, told) if wanted > told => self.unless(self.worsening(wanted), NoticeReason::Worse),
            (wanted, _) => self.unless(self.better(wanted), NoticeReason::Better),
        }
    }

    /// How it is, as far as the channel is to know; what it is not told of is healthy.
    fn wanted(&self) -> Status {
        self.heard(self.trouble.map_or(Status::Healthy, Trouble::status_now))
    }

    /// What its server has; where it may have either of two, the one that is not true.
    fn believed(&self, wanted: Status) -> Status {
        let told = self.heard(self.told.status);
        let unsure = self.told.unsure.map(|status| self.heard(status));
        unsure.filter(|_| told == wanted).unwrap_or(told)
    }

    /// A status as the channel hears it.
    fn heard(&self, status: Status) -> Status {
        if self.channel.hears(self.subject, status) { status } else { Status::Healthy }
    }

    fn is_open(&self) -> bool {
        self.trouble.is_some_and(Trouble::is_open)
    }

    fn nothing_is_wrong(&self) -> Decision {
        if self.told.owed.is_some() {
            return self.unless(
                self.passing(),
                if self.is_open() { NoticeReason::Better } else { NoticeReason::Passed },
            );
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
        if !self.channel.hears(self.subject, Status::Warning) {
            return Decision::Nothing;
        }
        let held = self.grace().or_else(|| self.mute(Status::Warning));
        let held = held.or_else(|| self.cooldown(Status::Unknown)).or_else(|| self.gathered());
        self.unless(held, NoticeReason::Healed)
    }

    /// It is told wherever the problem was, whoever muted it since.
    fn over(&self) -> Decision {
        let slot = self.trouble.map_or(Status::Healthy, Trouble::status_now);
        let held = self.grace().or_else(|| self.cooldown(slot)).or_else(|| self.gathered());
        let was_told = self.heard(self.told.status) != Status::Healthy;
        let reason = match (self.is_open(), was_told) {
            (true, _) => NoticeReason::Better,
            (false, true) => NoticeReason::Recovered,
            (false, false) => NoticeReason::Passed,
        };
        self.unless(held, reason)
    }

    /// It was due, never sent, and is over.
    fn passing(&self) -> Holding {
        let status = self.told.owed.as_ref().map_or(Status::Error, |owed| owed.status);
        let slot = self.trouble.map_or(Status::Healthy, Trouble::status_now);
        let held = self.grace().or_else(|| self.mute(status));
        held.or_else(|| self.cooldown(slot)).or_else(|| self.gathered())
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
        self.unless(held.or_else(|| self.cooldown(wanted)), NoticeReason::Reminder)
    }

    /// Whether it changes too often for each change to be told, and the channel is told of it at all.
    fn is_flapping(&self, told: Status) -> bool {
        let is_heard = self.trouble.is_some_and(|it| self.channel.hears(self.subject, it.status));
        (is_heard || told != Status::Healthy) && self.calm_at().is_some()
    }

    fn calm_at(&self) -> Option<Duration> {
        let calm = self.world.state.flapping_until(self.subject, self.world.now)?;
        Some(self.clock.at + calm.saturating_sub(self.world.now.boottime))
    }

    fn flapping(&self, wanted: Status, told: Status) -> Decision {
        let (reason, calm) = (NoticeReason::Flapping, self.calm_at());
        if self.told.is_flapping_told && wanted == told {
            return Decision::Hold(Hold { held: Held::Told, until: calm, reason });
        }
        // It never was bad for long enough to be told of, and is well just now.
        if wanted == Status::Healthy && told == Status::Healthy {
            return Decision::Hold(Hold { held: Held::Flapping, until: calm, reason });
        }
        let again = self.told.flapping_at.map(|at| at + FLAPPING_PAUSE);
        let again = self.wait(Held::Flapping, again).map(|(held, until)| (held, until.min(calm)));
        let held =
            again.or_else(|| if wanted == Status::Healthy { self.grace() } else { self.suppressed(wanted) });
        self.unless(held, reason)
    }

    /// What keeps a problem from being told for the first time. That it is gathered with others comes last: what is
    /// held by nothing else may go with them at once.
    pub(super) fn opening(&self, wanted: Status) -> Holding {
        let group = self.incident.map(|incident| incident.opened_at + self.group_wait());
        self.suppressed(wanted)
            .or_else(|| self.cooldown(wanted))
            .or_else(|| self.restart())
            .or_else(|| self.wait(Held::GroupWait, group))
    }

    fn worsening(&self, wanted: Status) -> Holding {
        self.suppressed(wanted).or_else(|| self.cooldown(wanted)).or_else(|| self.restart())
    }

    fn better(&self, wanted: Status) -> Holding {
        let last = self.told.at.map(|at| at + self.world.rules.cooldown);
        self.suppressed(wanted).or_else(|| self.wait(Held::Cooldown, last))
    }

    fn restart(&self) -> Holding {
        let crashed = self.trouble.filter(|trouble| trouble.may_heal());
        self.wait(Held::RestartWait, crashed.map(|trouble| trouble.fell + self.world.rules.restart_wait))
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
        self.wait(Held::Returning, freed)
    }

    /// Whether the channel is told of a cause, too.
    fn knows(&self, root: &Subject) -> bool {
        let verdict = self.world.state.verdict(root);
        verdict.is_some_and(|verdict| verdict.status.is_bad() && self.channel.hears(root, verdict.status))
    }

    fn mute(&self, status: Status) -> Holding {
        let (wall, rules) = (self.world.now.wall, self.world.rules);
        let until = |wall: Timestamp| Some(self.clock.at_wall(wall));
        let silences = self.silences.values().filter(|silence| silence.covers(self.subject, wall));
        if let Some(silence) = silences.max_by_key(|silence| silence.until) {
            return Some((Held::Silenced { id: silence.id }, until(silence.until)));
        }
        let mut windows = rules.maintenance.iter();
        if let Some(window) = windows.find(|window| window.covers(self.subject, wall, &rules.zone)) {
            return Some((Held::Maintenance, until(window.hours.end_after(wall, &rules.zone))));
        }
        let quiet = self.channel.quiet_until(self.subject, status, wall, &rules.zone);
        quiet.filter(|_| status < Status::Fatal).map(|end| (Held::Quiet, until(end)))
    }

    fn cooldown(&self, status: Status) -> Holding {
        self.wait(Held::Cooldown, self.told.cool_at(status, self.world.rules.cooldown))
    }

    /// What ends at the same time is gathered.
    fn gathered(&self) -> Holding {
        let ended = self.trouble.and_then(|trouble| trouble.end.as_ref());
        self.wait(Held::GroupWait, ended.map(|end| end.at + self.group_wait()))
    }

    fn group_wait(&self) -> Duration {
        let rules = self.world.rules;
        if self.subject.kind == Kind::Host { rules.host_wait } else { rules.group_wait }
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
