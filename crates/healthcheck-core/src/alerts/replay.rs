//! What other rules would have told of what happened: the alerts themselves, under a clock that is only thought of.

mod fates;
mod story;

pub use fates::{Fate, Hearing};
pub use story::{Step, Story};

use super::{Act, Alerts, Deed, Notice, Outcome, Rules, World};
use crate::history::Window;
use crate::{Gap, GapReason, Kind, Now, Policy, State, Transition};
use fates::Fates;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long the machine is taken to have been up before it is known when it booted.
const LONG: Duration = Duration::from_secs(30 * 86_400);
/// Who begins and says nothing of it has looked at everything after so much time.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// Plans at one instant; beyond, the clock is moved on.
const MAX_IDLE: u32 = 200;

/// What would have been told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replayed {
    /// The notices that would have been sent in the window, in order.
    pub notices: Vec<Notice>,
    /// What became of each incident that opened in the window, in order.
    pub fates: Vec<Fate>,
}

/// What would have been told in a window. Everything in the story before it is lived through as well, so that what was
/// open and told then is known. Each channel accepts at once, and a dry run is none.
#[must_use]
pub fn replay(story: &Story, policy: &Policy, rules: &Rules, window: Window) -> Replayed {
    let rules = Rules { dry_run: false, ..rules.clone() };
    let mut life = Life::new(story, policy, &rules);
    story.steps.iter().for_each(|step| life.take(step));
    life.reach(window.to);
    let is_in = |at: Timestamp| window.from <= at && at < window.to;
    let mut notices = life.notices;
    notices.retain(|notice| is_in(notice.at));
    Replayed { notices, fates: life.fates.of(is_in) }
}

/// The machine as it is lived through again.
struct Life<'a> {
    policy: &'a Policy,
    rules: &'a Rules,
    /// What is known of subjects by now, of which their dependencies are of use.
    known: &'a State,
    now: Now,
    boots: u32,
    /// Nobody looks, and nobody is told.
    is_down: bool,
    /// By then somebody looks again.
    up_at: Option<Timestamp>,
    state: State,
    alerts: Alerts,
    notices: Vec<Notice>,
    fates: Fates,
}

impl<'a> Life<'a> {
    fn new(story: &'a Story, policy: &'a Policy, rules: &'a Rules) -> Self {
        let wall = story.steps.first().map_or(Timestamp::UNIX_EPOCH, Step::at);
        let mut life = Self {
            policy,
            rules,
            known: &story.known,
            now: Now { wall, boottime: LONG, ..Now::default() },
            boots: 0,
            is_down: false,
            up_at: None,
            state: State::default(),
            alerts: Alerts::new("replay"),
            notices: Vec::new(),
            fates: Fates::default(),
        };
        life.boots(story.first_boottime().unwrap_or(LONG));
        life
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Together(transitions) => self.see(transitions),
            Step::Act(act) => self.act(act),
            Step::Gap(gap) => self.skip(gap),
        }
    }

    /// What was seen together is decided together.
    fn see(&mut self, transitions: &[Transition]) {
        let Some(last) = transitions.last() else { return };
        self.reach(transitions[0].at);
        self.move_to(last.at);
        self.wake();
        let Self { alerts, state, now, policy, rules, .. } = self;
        for transition in transitions {
            state.show(transition, self.known, now);
        }
        let world = World { state, policy, rules, now };
        let is_there = |it: &&Transition| {
            it.subject.kind != Kind::Channel || rules.channels.contains_key(&*it.subject.name)
        };
        transitions.iter().filter(is_there).for_each(|transition| alerts.note(transition, &world));
        self.decide();
    }

    fn act(&mut self, act: &Act) {
        match &act.deed {
            Deed::ClockSet { from } => {
                self.reach(*from);
                self.now.wall = act.at;
            }
            Deed::Rebooted(reboot) => {
                // The gap before it began another boot; when that was is known now.
                let up = self.now.wall.duration_since(reboot.up);
                self.now.boottime = Duration::try_from(up).unwrap_or_default();
                self.alerts.rebooted(reboot.clone(), self.rules);
                return;
            }
            _ => self.reach(act.at),
        }
        self.do_deed(&act.deed);
        if !self.is_down {
            self.decide();
        }
    }

    fn do_deed(&mut self, deed: &Deed) {
        let wall = self.now.wall;
        match deed {
            Deed::Started { .. } => self.wake(),
            Deed::Stopped => (self.is_down, self.up_at) = (true, None),
            Deed::Silenced(silence) => self.alerts.mute(silence.clone()),
            Deed::Unsilenced { silence } => drop(self.alerts.unsilence(*silence, wall)),
            Deed::Acknowledged { subjects, author, .. } => {
                let incidents = subjects.iter().filter_map(|subject| self.alerts.incident_of(subject));
                for incident in incidents.collect::<Vec<_>>() {
                    // What is over by these rules needs nobody to care.
                    let _ = self.alerts.acknowledge(incident, author, wall);
                }
            }
            Deed::Forgotten { subject } => {
                self.state.forget(subject);
                let Self { alerts, state, now, policy, rules, .. } = self;
                alerts.agree(&World { state, policy, rules, now });
            }
            Deed::TellsHosts { tells } => self.alerts.tell_hosts(*tells, wall),
            Deed::Heard { channel, heard } => {
                let Self { alerts, state, now, policy, rules, .. } = self;
                alerts.heard(channel, heard, &World { state, policy, rules, now });
            }
            Deed::ClockSet { .. } | Deed::Rebooted(_) => {}
        }
    }

    /// Nobody looked for a time.
    fn skip(&mut self, gap: &Gap) {
        if matches!(gap.reason, GapReason::ClockSet | GapReason::NotKept) {
            return;
        }
        self.reach(gap.from);
        let lasted = Duration::try_from(gap.to.duration_since(self.now.wall)).unwrap_or_default();
        self.move_to(gap.to);
        match gap.reason {
            GapReason::Suspended => self.now.suspended += lasted,
            GapReason::Boot => self.boots(Duration::ZERO),
            GapReason::MonitorDown | GapReason::ClockSet | GapReason::NotKept => {}
        }
        if gap.reason == GapReason::Suspended {
            return self.decide();
        }
        (self.is_down, self.up_at) = (true, gap.to.checked_add(FIRST_LOOK).ok());
    }

    /// Another boot began so long ago.
    fn boots(&mut self, boottime: Duration) {
        self.boots += 1;
        let boot_id: Arc<str> = format!("boot-{}", self.boots).into();
        self.now = Now { wall: self.now.wall, boottime, suspended: Duration::ZERO, boot_id: Some(boot_id) };
    }

    const fn wake(&mut self) {
        (self.is_down, self.up_at) = (false, None);
    }

    /// Lives until an instant: whatever is due by time alone is told.
    fn reach(&mut self, wall: Timestamp) {
        if self.is_down {
            let Some(up_at) = self.up_at.filter(|up_at| *up_at < wall) else { return self.move_to(wall) };
            self.move_to(up_at);
            self.wake();
            self.decide();
        }
        let mut idle = 0;
        while let Some(next) = self.next().filter(|next| *next < wall) {
            idle = if next > self.now.wall { 0 } else { idle + 1 };
            let slip = if idle > MAX_IDLE { SignedDuration::from_millis(1) } else { SignedDuration::ZERO };
            self.move_to(next.max(self.now.wall).checked_add(slip).unwrap_or(wall));
            self.decide();
        }
        self.move_to(wall);
    }

    /// When something may be due by time alone.
    fn next(&self) -> Option<Timestamp> {
        let boottime = self.alerts.next_deadline()?;
        self.now.wall.checked_add(boottime.saturating_sub(self.now.boottime)).ok()
    }

    /// Time passes, and nobody does anything. It never goes back: what is older than now is of now.
    fn move_to(&mut self, wall: Timestamp) {
        if let Ok(passed) = Duration::try_from(wall.duration_since(self.now.wall)) {
            self.now.boottime += passed;
            self.now.wall = wall;
        }
    }

    /// Decides who is told, and has each channel accept it.
    fn decide(&mut self) {
        self.plan();
        loop {
            let due = self.alerts.take_due();
            if due.is_empty() {
                return;
            }
            due.iter().for_each(|(notice, _)| self.deliver(notice));
        }
    }

    fn deliver(&mut self, notice: &Notice) {
        let Self { alerts, state, now, policy, rules, .. } = self;
        let world = World { state, policy, rules, now };
        alerts.delivered(&notice.channel, &notice.id, &Outcome::Accepted, &world);
        self.plan();
    }

    fn plan(&mut self) {
        let Self { alerts, state, now, policy, rules, .. } = self;
        let notices = alerts.plan(&World { state, policy, rules, now });
        self.fates.note(&self.alerts, &notices);
        self.alerts.kept();
        self.notices.extend(notices);
    }
}
