//! From transitions to people: what is decided is kept with what it follows from, and only then told.

use super::dead_man::DeadMan;
use super::posts::Delivered;
use super::{Monitor, Settings};
use crate::commands::telling::{channels, switch};
use crate::config::ChannelSettings;
use health_reporter::clock;
use healthcheck_core::alerts::{Notice, Reboot};
use healthcheck_core::{Delivery, Facts, Gap, GapReason, Kind, Observation, ProbeFacts, Subject, Transition};
use std::time::Duration;

/// Of what was there before the configuration changed.
const GONE: &str = "not there any more";

impl Monitor {
    /// Takes in what changed, decides who is to be told, keeps both together, and then says and sends it.
    pub(super) fn tell_people(&mut self, news: Vec<Transition>) {
        let notices = self.decide(&news);
        let boottime = clock::boottime();
        let (before, is_news) = (self.ledger.ledgered(), !news.is_empty());
        for kept in self.ledger.keep(&self.state, &mut self.alerts, news, boottime) {
            self.voice.transition(kept.id, &kept.transition);
            self.look_up_end_of(&kept.transition);
        }
        notices.iter().for_each(|notice| self.voice.notice(notice));
        for (notice, attempt) in self.alerts.take_due() {
            self.send(notice, attempt);
        }
        if is_news {
            self.hand_over(&before);
            self.membership.note_change(boottime);
        }
    }

    fn decide(&mut self, news: &[Transition]) -> Vec<Notice> {
        self.is_plan_due = false;
        let now = self.now();
        let world = self.settings.world(&self.state, &now);
        news.iter().for_each(|transition| self.alerts.note(transition, &world));
        self.alerts.plan(&world)
    }

    /// The monitor begins after a time in which nobody looked; it may be that the machine was away.
    pub(super) fn note_start(&mut self, gap: Option<&Gap>) {
        let stopped = self.alerts.start();
        let Some(gap) = gap else { return };
        let now = self.now();
        self.ledger.note_gap(gap.clone(), now.boottime);
        if gap.reason == GapReason::Boot {
            let up = now.wall.checked_sub(now.boottime).unwrap_or(now.wall).max(gap.from);
            let reboot = Reboot { down: gap.from, up, was_clean: stopped.is_some() };
            self.alerts.rebooted(reboot, &self.settings.rules);
        }
    }

    /// What was told and what is known are brought into agreement, after either may have been lost or changed.
    pub(super) fn agree(&mut self) {
        let now = self.now();
        let world = self.settings.world(&self.state, &now);
        self.alerts.agree(&world);
        self.is_plan_due = true;
    }

    /// Whoever changed how people are told may have mended what did not work.
    pub(super) fn reopen_channels(&mut self, former: &Settings) {
        if former.config.channels != self.settings.config.channels {
            self.posts.open(channels(&self.settings.config, &self.env));
        }
        let had_switch = self.dead_man.is_there();
        if keeper(former) != keeper(&self.settings) {
            std::mem::take(&mut self.dead_man).leave();
            self.begin_dead_man();
        } else if former.config.dead_man != self.settings.config.dead_man
            || former.config.channels != self.settings.config.channels
        {
            self.begin_dead_man();
        }
        self.tell_who_is_gone(former, had_switch);
        let gone: Vec<Subject> = self
            .state
            .subjects(Kind::Channel)
            .filter(|subject| !self.settings.rules.channels.contains_key(&*subject.name))
            .cloned()
            .collect();
        for subject in &gone {
            self.forget(subject);
        }
        let now = self.now();
        self.alerts.give_another_chance(&now);
        self.is_plan_due = true;
    }

    /// Whatever our own report last said of what the configuration names no more, nobody would ever take back.
    fn tell_who_is_gone(&self, former: &Settings, had_switch: bool) {
        let channels = &self.settings.rules.channels;
        for channel in former.rules.channels.keys().filter(|it| !channels.contains_key(*it)) {
            self.own.note(&format!("channel_{channel}"), GONE);
        }
        if had_switch && !self.dead_man.is_there() {
            self.own.note("dead_man", GONE);
        }
    }

    /// Begins to move the dead-man's message on.
    pub(super) fn begin_dead_man(&mut self) {
        let sequence = format!("{}-alive", self.alerts.instance());
        self.dead_man = DeadMan::begin(switch(&self.settings.config, &self.env, sequence));
    }

    /// More became known of what was told: who is told from now on is told that.
    pub(super) fn note_again(&mut self, transition: &Transition) {
        let now = self.now();
        let world = self.settings.world(&self.state, &now);
        self.alerts.amend(transition, &world);
    }

    /// Keeps how an attempt ended, and says it.
    pub(super) fn note_delivered(&mut self, delivered: &Delivered) {
        let now = self.now();
        if self.note_drilled(delivered) {
            return self.voice.delivery(now.wall, delivered);
        }
        self.posts.note(delivered);
        let world = self.settings.world(&self.state, &now);
        self.alerts.delivered(&delivered.channel, &delivered.notice, &delivered.outcome, &world);
        self.share_told();
        self.is_plan_due = true;
        self.look_at_channels();
        self.settle();
        self.tell_health_of_channels();
        self.voice.delivery(now.wall, delivered);
    }

    /// A channel that failed for good is bad, as anything else is.
    pub(super) fn look_at_channels(&mut self) {
        let changed: Vec<(Subject, Option<String>)> = self
            .alerts
            .channel_problems()
            .map(|(name, problem)| (Subject::new(Kind::Channel, name), problem.map(str::to_owned)))
            .filter(|(subject, problem)| {
                let is_bad = self.state.verdict(subject).is_some_and(|verdict| verdict.status.is_bad());
                is_bad != problem.is_some()
            })
            .collect();
        for (subject, problem) in changed {
            let outcome = Ok(Facts::Probe(ProbeFacts::Delivery(Delivery { problem })));
            self.observe(Observation { subject, outcome, took: Duration::ZERO });
        }
    }
}

/// Where the dead-man's message waits, if it does.
fn keeper(settings: &Settings) -> Option<&ChannelSettings> {
    let Settings { config, .. } = settings;
    let name = config.dead_man.channel.as_ref().filter(|_| !config.dead_man.window.is_zero())?;
    config.channels.get(name).filter(|_| !config.alerts.dry_run)
}
