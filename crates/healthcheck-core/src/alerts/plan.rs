//! The plan: for each channel, what is due, what is held back and why, and the notice that follows. Only what changed or
//! what the time has come for is decided again.

use super::decide::{Case, Decision, Hold};
use super::desk::{Desk, Told};
use super::standing::{Due, Standing};
use super::{Alerts, Decided, Held, Notice, NoticeReason, Outcome, Outgoing, OutgoingState, Trouble, World};
use crate::{Kind, Subject};
use health_reporter::Status;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::time::Duration;

/// A trouble that is over is remembered for so long.
const KEPT_FOR: Duration = Duration::from_secs(3_600);
/// What nobody needs to know any more is looked for no sooner again.
const PRUNE_AGAIN: Duration = Duration::from_secs(60);
/// How often a mute by the wall clock is looked at again: the clock may have been set.
const MUTE_AGAIN: Duration = Duration::from_secs(60);
/// What the wall clock says of the end of a mute is asked again no sooner.
const SOON: Duration = Duration::from_secs(1);

impl Alerts {
    /// Decides who is told what now, and returns the notices that were decided. They are to be kept with
    /// [`Alerts::changes`], and then handed out by [`Alerts::take_due`].
    pub fn plan(&mut self, world: &World<'_>) -> Vec<Notice> {
        self.dirty.head |= self.head.clock.was_set(world.now);
        self.advance(world.now);
        self.expire_silences(world);
        self.next = None;
        self.looks.decide_under(world);
        self.relate(world);
        self.drop_channels(world);
        let looked = self.take_looks();
        let names: Vec<String> = world.rules.channels.keys().cloned().collect();
        let notices = names.into_iter().filter_map(|name| self.plan_channel(&name, &looked, world)).collect();
        self.look_again(&looked, world);
        self.prune(world);
        notices
    }

    /// The next plan looks at everything, and decides nothing else by that: for whoever doubts it.
    pub fn look_at_everything(&mut self) {
        self.looks.touch_all();
    }

    /// What no transition tells of may have changed: nobody looks at a subject any more, or it depends on others.
    pub fn look_at(&mut self, subject: &Subject) {
        self.looks.touch(subject);
        self.is_stale = true;
    }

    /// The subjects that are decided again.
    fn take_looks(&mut self) -> BTreeSet<Subject> {
        if let Some(mut looked) = self.looks.take(self.head.clock.at) {
            looked.extend(self.desks.values().flat_map(|desk| desk.standing.pulled.iter().cloned()));
            return looked;
        }
        self.desks.values_mut().for_each(|desk| desk.standing = Standing::default());
        let told = self.desks.values().flat_map(|desk| desk.told.keys());
        self.troubles.keys().chain(told).cloned().collect()
    }

    /// When time alone may change what was just decided.
    fn look_again(&mut self, looked: &BTreeSet<Subject>, world: &World<'_>) {
        let soon = self.head.clock.at + SOON;
        for subject in looked {
            let holds = self.desks.values().filter_map(|desk| desk.standing.held.get(subject));
            let until = |hold: &Hold| {
                if hold.held.is_mute() { hold.until.map(|until| until.max(soon)) } else { hold.until }
            };
            let again = holds.filter_map(until).chain(self.calm_at(subject, world)).min();
            self.looks.again(subject, again);
        }
        let is_muted = |desk: &Desk| desk.standing.held.values().any(|hold| hold.held.is_mute());
        if (self.looks.is_any_hour() || !self.silences.is_empty()) && self.desks.values().any(is_muted) {
            self.wake_at(Some(self.head.clock.at + MUTE_AGAIN));
        }
        self.wake_at(self.looks.next());
    }

    /// When a subject that somebody may be told of flaps no more.
    fn calm_at(&self, subject: &Subject, world: &World<'_>) -> Option<Duration> {
        let calm = world.state.flapping_until(subject, world.now)?;
        let is_told = || self.desks.values().any(|desk| desk.told.contains_key(subject));
        let is_known = self.troubles.contains_key(subject) || is_told();
        is_known.then(|| self.head.clock.at + calm.saturating_sub(world.now.boottime))
    }

    /// When, as boot time, something is to be planned or sent by time alone. After anything was noted that is now.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let at = self.head.clock.at;
        let waiting = self.desks.values().filter(|desk| desk.outgoing.is_some() && !desk.is_sending);
        let attempts = waiting.map(|desk| desk.head.next_attempt);
        let broken = self.desks.values().filter_map(Desk::broken_at).filter(|broken| *broken > at);
        let next = self.next.into_iter().chain(attempts).chain(broken).min();
        next.map(|at| self.head.clock.boottime_of(at))
    }

    /// What is to be sent now; nothing else is handed out for a channel until [`Alerts::delivered`] says how it ended.
    pub fn take_due(&mut self) -> Vec<(Notice, u32)> {
        let at = self.head.clock.at;
        let due = self.desks.values_mut().filter(|desk| !desk.is_sending && desk.head.next_attempt <= at);
        due.filter_map(|desk| {
            let outgoing = desk.outgoing.as_ref()?;
            desk.is_sending = true;
            Some((outgoing.notice.clone(), outgoing.attempts + 1))
        })
        .collect()
    }

    /// Takes in how an attempt ended. What is not on its way any more, because it was replaced, changes nothing.
    pub fn delivered(&mut self, channel: &str, notice: &str, outcome: &Outcome, world: &World<'_>) {
        let at = self.advance(world.now);
        self.swap_shelved();
        self.settle(channel, notice, outcome, at, world);
        self.swap_shelved();
        self.plan_at_once();
    }

    /// Only what was really sent is heard of again.
    pub(super) fn swap_shelved(&mut self) {
        if let Some(shelved) = &mut self.shelved {
            std::mem::swap(shelved, &mut self.desks);
        }
    }

    fn settle(&mut self, channel: &str, notice: &str, outcome: &Outcome, at: Duration, world: &World<'_>) {
        let Some(desk) = self.desks.get_mut(channel) else { return };
        if desk.outgoing.as_ref().is_none_or(|outgoing| outgoing.notice.id != notice) {
            return;
        }
        desk.settle(outcome, at, world.now.wall, today(world));
        self.note_settled(channel, world);
    }

    /// What is settled leaves the desk, and everything that it changed is to be kept.
    fn note_settled(&mut self, channel: &str, world: &World<'_>) {
        let Some(desk) = self.desks.get_mut(channel) else { return };
        let Some(outgoing) = &desk.outgoing else { return };
        let is_told = matches!(outgoing.state, OutgoingState::Accepted | OutgoingState::DryRun);
        let notice = &outgoing.notice;
        for item in notice.items.iter().chain(&notice.still_bad) {
            if let Some(told) = desk.told.get_mut(&item.subject).filter(|_| is_told) {
                // Who is healthy was told last of that, and it is shown as such.
                let (at, notice) = (world.now.wall, Some(notice.id.clone()));
                told.decision = Some(Decided { held: Held::Told, at, until: None, notice });
                told.healed = self.troubles.get(&item.subject).and_then(|trouble| trouble.healed);
            }
            self.looks.touch(&item.subject);
            self.dirty.told.insert((channel.to_owned(), item.subject.clone()));
        }
        self.dirty.channels.insert(channel.to_owned());
        self.dirty.outgoing(outgoing);
        if outgoing.state != OutgoingState::Waiting {
            (desk.outgoing, desk.is_tried) = (None, false);
        }
    }

    /// Asks again whether what is bad has a cause that is told already.
    fn relate(&mut self, world: &World<'_>) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        self.end_gone(world);
        let related = self.take_related();
        let at = self.head.clock.at;
        for subject in related {
            let Some(trouble) = self.troubles.get_mut(&subject).filter(|it| it.is_open()) else { continue };
            let root = world.state.root_of(&subject, world.policy);
            if let Some(root) = &root {
                self.affected.entry(root.clone()).or_default().push(subject.name.to_string());
            }
            let is_touched = |root: &Subject| self.looks.touched().is_none_or(|it| it.contains(root));
            if root.as_ref().is_some_and(is_touched) {
                self.looks.touch(&subject);
            }
            if root != trouble.inhibited_by {
                trouble.freed = if root.is_none() { Some(at) } else { trouble.freed };
                trouble.inhibited_by = root;
                self.looks.touch(&subject);
                self.dirty.troubles.insert(subject.clone());
            }
            if world.state.depends_on_any(&subject, world.policy) {
                self.dependants.insert(subject);
            }
        }
    }

    /// Whose cause may be another one by now: who changed, and all that depend on anything.
    fn take_related(&mut self) -> BTreeSet<Subject> {
        self.affected.clear();
        let dependants = std::mem::take(&mut self.dependants);
        match self.looks.touched() {
            Some(touched) => dependants.union(touched).cloned().collect(),
            None => self.troubles.keys().cloned().collect(),
        }
    }

    /// What was told to a channel that is not there any more nobody has. In a dry run other desks are used, of which
    /// nothing is kept: what was really told is put aside until it is over.
    fn drop_channels(&mut self, world: &World<'_>) {
        match (world.rules.dry_run, self.shelved.take()) {
            (true, None) => self.shelved = Some(std::mem::take(&mut self.desks)),
            (true, shelved) => self.shelved = shelved,
            (false, Some(desks)) => self.desks = desks,
            (false, None) => {}
        }
        let is_gone = |name: &&String| !world.rules.channels.contains_key(*name);
        let gone: Vec<String> = self.desks.keys().filter(is_gone).cloned().collect();
        for name in gone {
            let Some(mut desk) = self.desks.remove(&name) else { continue };
            self.withdraw(&mut desk, world);
            self.dirty.told.extend(desk.told.into_keys().map(|subject| (name.clone(), subject)));
            self.dirty.channels.insert(name);
        }
    }

    fn plan_channel(&mut self, name: &str, looked: &BTreeSet<Subject>, world: &World<'_>) -> Option<Notice> {
        let mut desk = self.desks.remove(name).unwrap_or_default();
        self.leave_to_teller(name, &mut desk, world);
        let mut standing = std::mem::take(&mut desk.standing);
        self.decide(name, &desk, looked, &mut standing, world);
        let soon = self.head.clock.at + world.rules.group_wait;
        let gathered = self.head.clock.at + world.rules.group_wait.max(world.rules.host_wait);
        let waiting = looked.iter().chain(self.looks.until(gathered));
        standing.pull_in(waiting, soon, |subject| self.thread_of(&desk, subject));
        self.note_held(name, &mut desk, looked, &standing, world);
        let obstacle = self.obstacle(name, &desk, &standing.due, world);
        let notice = match obstacle {
            None => self.replan(name, &mut desk, &standing.due, world),
            Some(_) => None,
        };
        let rest = obstacle.unwrap_or((Held::Busy, None));
        self.hold_rest(name, &mut desk, looked, &mut standing, rest, world);
        desk.standing = standing;
        self.desks.insert(name.to_owned(), desk);
        if notice.is_some() {
            self.dirty.channels.insert(name.to_owned());
        }
        self.accept_in_dry_run(name, world);
        notice
    }

    /// What is to be told now takes the place of what failed to be delivered.
    fn replan(&mut self, name: &str, desk: &mut Desk, due: &Due, world: &World<'_>) -> Option<Notice> {
        let notice = self.notice(name, desk, due, world);
        if notice.is_none() && desk.outgoing.is_some() {
            desk.give_up();
            self.dirty.channels.insert(name.to_owned());
            self.withdraw(desk, world);
        }
        notice.filter(|notice| self.put(desk, notice, world))
    }

    fn withdraw(&mut self, desk: &mut Desk, world: &World<'_>) {
        if let Some(mut outgoing) = desk.outgoing.take() {
            (outgoing.state, outgoing.ended) = (OutgoingState::Replaced, Some(world.now.wall));
            self.dirty.outgoing(&outgoing);
        }
    }

    /// What is due to a channel, and what is held back.
    fn decide(
        &self,
        name: &str,
        desk: &Desk,
        looked: &BTreeSet<Subject>,
        standing: &mut Standing,
        world: &World<'_>,
    ) {
        let nobody = Told::default();
        let is_itself = |subject: &Subject| subject.kind == Kind::Channel && &*subject.name == name;
        for subject in looked.iter().filter(|subject| !is_itself(subject)) {
            let told = desk.told.get(subject);
            let is_known = told.is_some() || self.troubles.contains_key(subject);
            let case = self.case(name, subject, told.unwrap_or(&nobody), world).filter(|_| is_known);
            let decision = case.map_or(Decision::Nothing, |case| case.decide());
            standing.set(subject, decision, || self.thread_of(desk, subject));
        }
    }

    fn case<'a>(
        &'a self,
        channel: &str,
        subject: &'a Subject,
        told: &'a Told,
        world: &'a World<'a>,
    ) -> Option<Case<'a>> {
        let trouble = self.troubles.get(subject);
        Some(Case {
            subject,
            trouble,
            incident: trouble.and_then(|trouble| self.incidents.get(&trouble.incident)),
            told,
            channel: world.rules.channels.get(channel)?,
            silences: &self.silences,
            world,
            clock: &self.head.clock,
            leaves_hosts: self.head.leaves_hosts,
        })
    }

    /// When a channel is told that the machine is back, where it is to be.
    pub(super) fn reboot_at(&self, name: &str, desk: &Desk, world: &World<'_>) -> Option<Duration> {
        self.head.reboot.as_ref().filter(|_| desk.head.is_reboot_due)?;
        let (host, nobody) = (Subject::new(Kind::Host, &world.rules.host), Told::default());
        let held = self.case(name, &host, &nobody, world)?.opening(Status::Warning);
        Some(held.and_then(|(_, until)| until).unwrap_or_default().max(self.boot_gathered(world)))
    }

    /// When it is known who has come back after a boot, and who has not: they are told of together.
    fn boot_gathered(&self, world: &World<'_>) -> Duration {
        let rules = world.rules;
        self.head.clock.at + (rules.grace + rules.group_wait).saturating_sub(world.now.boottime)
    }

    /// Keeps why something is not told, where that is news.
    fn note_held(
        &mut self,
        name: &str,
        desk: &mut Desk,
        looked: &BTreeSet<Subject>,
        standing: &Standing,
        world: &World<'_>,
    ) {
        for subject in looked {
            if let Some(hold) = standing.held.get(subject).filter(|_| !standing.due.contains_key(subject)) {
                self.forget_healing(name, desk, subject, hold);
                self.explain(name, desk, subject, &hold.held, hold.until, world);
            }
            let told = desk.told.get_mut(subject).filter(|told| told.is_flapping_told);
            if let Some(told) = told.filter(|_| !world.state.is_flapping(subject, world.now)) {
                told.is_flapping_told = false;
                self.looks.touch(subject);
                self.dirty.told.insert((name.to_owned(), subject.clone()));
            }
        }
    }

    /// A quiet line that is muted is not told later: what is not wrong any more is no news then.
    fn forget_healing(&mut self, name: &str, desk: &mut Desk, subject: &Subject, hold: &Hold) {
        if hold.reason == NoticeReason::Healed && hold.held.is_mute() {
            let healed = self.troubles.get(subject).and_then(|trouble| trouble.healed);
            desk.told.entry(subject.clone()).or_default().healed = healed;
            self.looks.touch(subject);
            self.dirty.told.insert((name.to_owned(), subject.clone()));
        }
    }

    fn explain(
        &mut self,
        name: &str,
        desk: &mut Desk,
        subject: &Subject,
        held: &Held,
        until: Option<Duration>,
        world: &World<'_>,
    ) {
        if !desk.told.contains_key(subject) {
            desk.told.insert(subject.clone(), Told::default());
        }
        let Some(told) = desk.told.get_mut(subject) else { return };
        if told.decision.as_ref().is_some_and(|decided| decided.held == *held) {
            return;
        }
        let until = until.map(|until| self.head.clock.wall_of(until));
        told.decision = Some(Decided { held: held.clone(), at: world.now.wall, until, notice: None });
        self.dirty.told.insert((name.to_owned(), subject.clone()));
    }

    /// What keeps a channel from being sent anything new just now.
    fn obstacle(
        &self,
        name: &str,
        desk: &Desk,
        due: &Due,
        world: &World<'_>,
    ) -> Option<(Held, Option<Duration>)> {
        let at = self.head.clock.at;
        let is_later = desk.head.next_attempt > at;
        let until = is_later.then_some(desk.head.next_attempt);
        match &desk.outgoing {
            Some(_) => (desk.is_sending || is_later || !desk.is_tried).then_some((Held::Busy, until)),
            None if is_later => Some((Held::Broken, until)),
            None if due.is_empty() => None,
            None if desk.head.is_reboot_due && self.boot_gathered(world) > at => {
                Some((Held::Grace, Some(self.boot_gathered(world))))
            }
            None => {
                let budget = world.rules.channels.get(name).and_then(|channel| channel.daily_budget);
                let budget = budget.filter(|_| !self.is_any_fatal(due));
                let limited = desk.rate_limited_until(at, budget, left_of_day(world), today(world));
                limited.map(|until| (Held::TooMany, Some(until)))
            }
        }
    }

    /// What may wake people does not wait for tomorrow's budget.
    fn is_any_fatal(&self, due: &Due) -> bool {
        let status = |subject| self.troubles.get(subject).map(Trouble::status_now);
        due.keys().any(|subject| status(subject) == Some(Status::Fatal))
    }

    /// What is due and not on its way. What could not be sent is owed, so that it is told even when it is over.
    fn hold_rest(
        &mut self,
        name: &str,
        desk: &mut Desk,
        looked: &BTreeSet<Subject>,
        standing: &mut Standing,
        (held, until): (Held, Option<Duration>),
        world: &World<'_>,
    ) {
        let outgoing = desk.outgoing.take();
        let sent = outgoing.as_ref().map(|outgoing| &outgoing.notice);
        let on_its_way: BTreeSet<&Subject> =
            sent.iter().flat_map(|notice| &notice.items).map(|item| &item.subject).collect();
        self.wake_at(until.filter(|_| standing.is_more_due(&on_its_way)));
        let unexplained = standing.unexplained(&held, sent.map(|notice| &*notice.id), looked);
        for (subject, reason) in unexplained.iter().filter(|(subject, _)| !on_its_way.contains(subject)) {
            self.explain(name, desk, subject, &held, until, world);
            if matches!(held, Held::Busy | Held::Broken) {
                self.owe(name, desk, subject, *reason, world);
            }
        }
        desk.outgoing = outgoing;
        let reboot = self.reboot_at(name, desk, world).filter(|at| *at > self.head.clock.at);
        self.wake_at(reboot);
    }

    fn owe(
        &mut self,
        name: &str,
        desk: &mut Desk,
        subject: &Subject,
        reason: NoticeReason,
        world: &World<'_>,
    ) {
        if desk.told.get(subject).is_none_or(|told| told.owed.is_none()) {
            let item = self.item(desk, subject, reason, world);
            desk.told.entry(subject.clone()).or_default().owe(&item);
            self.looks.touch(subject);
            self.dirty.told.insert((name.to_owned(), subject.clone()));
        }
    }

    /// Puts a notice on its way, unless what is on its way already says the same. What it replaces failed,
    /// and is owed.
    fn put(&mut self, desk: &mut Desk, notice: &Notice, world: &World<'_>) -> bool {
        if let Some(outgoing) = &desk.outgoing {
            if says_the_same(&outgoing.notice, notice) {
                return false;
            }
            self.withdraw(desk, world);
        }
        self.head.last_notice += 1;
        self.dirty.head = true;
        let outgoing = Outgoing {
            notice: notice.clone(),
            state: OutgoingState::Waiting,
            attempts: 0,
            last_error: None,
            ended: None,
        };
        self.dirty.outgoing(&outgoing);
        let told = notice.items.iter().map(|item| (notice.channel.clone(), item.subject.clone()));
        self.dirty.told.extend(told);
        (desk.outgoing, desk.is_tried) = (Some(outgoing), false);
        true
    }

    /// What would have been sent counts as accepted.
    fn accept_in_dry_run(&mut self, name: &str, world: &World<'_>) {
        let at = self.head.clock.at;
        let desk = self.desks.get_mut(name).filter(|desk| world.rules.dry_run && !desk.is_sending);
        let Some(desk) = desk.filter(|desk| desk.outgoing.is_some()) else { return };
        desk.accept(at, world.now.wall, today(world));
        if let Some(outgoing) = &mut desk.outgoing {
            (outgoing.state, outgoing.ended) = (OutgoingState::DryRun, Some(world.now.wall));
        }
        self.note_settled(name, world);
        self.plan_at_once();
    }

    fn wake_at(&mut self, at: Option<Duration>) {
        self.next = self.next.into_iter().chain(at).min();
    }

    /// What nobody needs to know any more is forgotten.
    fn prune(&mut self, world: &World<'_>) {
        let (at, today, cooldown) = (self.head.clock.at, today(world), world.rules.cooldown);
        if at < self.prune_at {
            return;
        }
        self.prune_at = at + PRUNE_AGAIN;
        let Self { troubles, desks, dirty, looks, .. } = self;
        troubles.retain(|subject, trouble| {
            let is_over = trouble.end.as_ref().is_some_and(|end| end.at + KEPT_FOR.max(cooldown) < at);
            let is_untold = || desks.values().filter_map(|desk| desk.told.get(subject)).any(Told::is_open);
            let is_kept = !is_over || trouble.healed_today.0 == today || is_untold();
            if !is_kept {
                looks.touch(subject);
                dirty.troubles.insert(subject.clone());
            }
            is_kept
        });
        for (name, desk) in desks {
            desk.told.retain(|subject, told| {
                let is_kept = troubles.contains_key(subject) || told.is_kept(at, cooldown);
                if !is_kept {
                    looks.touch(subject);
                    dirty.told.insert((name.clone(), subject.clone()));
                }
                is_kept
            });
        }
    }
}

fn says_the_same(one: &Notice, other: &Notice) -> bool {
    let news = |notice: &Notice| -> Vec<(Subject, NoticeReason, Status)> {
        notice.items.iter().map(|item| (item.subject.clone(), item.reason, item.status)).collect()
    };
    news(one) == news(other)
}

pub(super) fn today(world: &World<'_>) -> Date {
    world.rules.zone.to_datetime(world.now.wall).date()
}

fn left_of_day(world: &World<'_>) -> Duration {
    let midnight = today(world).tomorrow().and_then(|day| day.to_zoned(world.rules.zone.clone()));
    let left = midnight.map(|midnight| midnight.timestamp().duration_since(world.now.wall));
    left.ok().and_then(|left| Duration::try_from(left).ok()).unwrap_or_default()
}
