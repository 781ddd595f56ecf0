//! Which subjects are to be looked at again: whatever did not change, and whose time has not come, is as it was decided.

use super::{Route, Rules, World};
use crate::Subject;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the next plan looks at. Nothing of it is kept: whoever begins looks at everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Looks {
    /// Whether everything else was looked at.
    is_rest_known: bool,
    touched: BTreeSet<Subject>,
    /// When time alone may change what was decided of a subject, on the clock of the alerts.
    times: BTreeMap<Subject, Duration>,
    in_time: BTreeSet<(Duration, Subject)>,
    under: Option<Under>,
}

/// What everything is decided under.
#[derive(Debug, Clone, PartialEq)]
struct Under {
    rules: Rules,
    /// Which maintenance windows and quiet hours it is the time of.
    hours: Vec<bool>,
    today: Date,
}

impl Looks {
    /// What is known of a subject changed.
    pub(super) fn touch(&mut self, subject: &Subject) {
        if self.is_rest_known && !self.touched.contains(subject) {
            self.touched.insert(subject.clone());
        }
    }

    /// Anything may have changed.
    pub(super) fn touch_all(&mut self) {
        *self = Self { under: self.under.take(), ..Self::default() };
    }

    /// Looks at everything where it is decided under something else than it was.
    pub(super) fn decide_under(&mut self, world: &World<'_>) {
        let hours = hours(world);
        let today = super::plan::today(world);
        let is_same =
            |under: &Under| under.today == today && under.hours == hours && under.rules == *world.rules;
        if !self.under.as_ref().is_some_and(is_same) {
            self.touch_all();
            self.under = Some(Under { rules: world.rules.clone(), hours, today });
        }
    }

    /// What changed since the last plan; nothing where anything may have.
    pub(super) fn touched(&self) -> Option<&BTreeSet<Subject>> {
        self.is_rest_known.then_some(&self.touched)
    }

    /// What changed, and what the time has come for; nothing where everything is to be looked at. From now on it was.
    pub(super) fn take(&mut self, at: Duration) -> Option<BTreeSet<Subject>> {
        let mut looked = std::mem::take(&mut self.touched);
        while self.in_time.first().is_some_and(|(time, _)| *time <= at) {
            let Some((_, subject)) = self.in_time.pop_first() else { break };
            self.times.remove(&subject);
            looked.insert(subject);
        }
        std::mem::replace(&mut self.is_rest_known, true).then_some(looked)
    }

    /// When time alone may change what was just decided.
    pub(super) fn again(&mut self, subject: &Subject, time: Option<Duration>) {
        if self.times.get(subject).copied() == time {
            return;
        }
        if let Some(former) = self.times.remove(subject) {
            self.in_time.remove(&(former, subject.clone()));
        }
        if let Some(time) = time {
            self.times.insert(subject.clone(), time);
            self.in_time.insert((time, subject.clone()));
        }
    }

    /// Whose time comes until then.
    pub(super) fn until(&self, time: Duration) -> impl Iterator<Item = &Subject> {
        self.in_time.iter().take_while(move |(at, _)| *at <= time).map(|(_, subject)| subject)
    }

    /// When the next time comes.
    pub(super) fn next(&self) -> Option<Duration> {
        self.in_time.first().map(|(time, _)| *time)
    }

    /// Whether it is the time of any maintenance window or quiet hours.
    pub(super) fn is_any_hour(&self) -> bool {
        self.under.as_ref().is_some_and(|under| under.hours.contains(&true))
    }
}

fn hours(world: &World<'_>) -> Vec<bool> {
    let World { rules, now, .. } = world;
    let routes = rules.channels.values().flat_map(|channel| &channel.routes);
    let quiet =
        |route: &Route| route.quiet.is_some_and(|it| it.contains(rules.zone.to_datetime(now.wall).time()));
    let maintenance = rules.maintenance.iter().map(|window| window.is_at(now.wall, &rules.zone));
    maintenance.chain(routes.map(quiet)).collect()
}
