//! A world that runs: virtual time jumps from one event to the next.

use crate::invariants::Judged;
use crate::monitor::Monitor;
use crate::script::{Event, HOUR, Script};
use crate::service::{Sign, Truth};
use crate::store::{Note, Told};
use std::time::Duration;

/// In the end nothing happens for so long: whatever is waited for has come.
const CALM: Duration = Duration::from_secs(3 * HOUR.as_secs());

pub(crate) struct Outcome {
    pub(crate) story: Vec<Told>,
    pub(crate) last: Vec<(Judged, Option<Note>)>,
    /// The judge's state, as it is saved.
    pub(crate) text: String,
    pub(crate) broken: Option<String>,
    pub(crate) is_lost: bool,
}

struct World<'a> {
    script: &'a Script,
    next: usize,
    truth: Truth,
    monitor: Monitor,
    /// Which events the kernel does not tell.
    deaf: Sign,
    /// When it ends, once nothing more happens.
    ends_at: Option<Duration>,
}

pub(crate) fn run(script: &Script) -> Outcome {
    let (truth, t) = (Truth::new(&script.plan), script.plan.uptime);
    let monitor = Monitor::new(&script.plan, t);
    let mut world = World { script, next: 0, truth, monitor, deaf: Sign::default(), ends_at: None };
    while world.monitor.broken.is_none() && !world.monitor.is_lost && world.goes_on() {}
    world.monitor.check_in_the_end(&world.truth);
    world.outcome()
}

impl World<'_> {
    /// Lets time pass until something happens; whether anything did.
    fn goes_on(&mut self) -> bool {
        let end = self.script.plan.uptime + self.script.length;
        let at = self.next_instant().unwrap_or(Duration::MAX);
        let now = self.truth.clock.t.max(at.min(end));
        match self.ends_at {
            None if now >= end => {
                self.ends_at = Some(now + CALM);
                self.truth.clock.t = now;
                self.monitor.calm(now);
            }
            Some(ends_at) if at >= ends_at => return false,
            _ => self.truth.clock.t = self.truth.clock.t.max(at),
        }
        self.happen();
        self.beat();
        self.monitor.tick(&self.truth);
        self.monitor.check_at_rest(&self.truth);
        true
    }

    fn next_instant(&self) -> Option<Duration> {
        let event = self.script.events.get(self.next).map(|(at, _)| self.script.plan.uptime + *at);
        let monitor = self.monitor.next_instant(&self.truth);
        [event, self.truth.next_beat(), monitor].into_iter().flatten().min()
    }

    fn happen(&mut self) {
        while let Some((at, event)) = self.script.events.get(self.next) {
            if self.script.plan.uptime + *at > self.truth.clock.t {
                return;
            }
            self.next += 1;
            self.one(*event);
        }
    }

    fn one(&mut self, event: Event) {
        let t = self.truth.clock.t;
        match event {
            Event::Service(at, act) => {
                let sign = self.truth.act(at, act);
                self.hear(at, sign);
            }
            Event::ClockStep(seconds) => self.truth.clock.step(seconds),
            Event::Boot { down, monitor_after } => {
                self.truth.clock.t += down;
                self.truth.boot();
                self.monitor.die(t + down + monitor_after);
            }
            Event::Suspend(lasts) => self.truth.suspend(lasts),
            Event::Kill { fuse, down } => self.monitor.light(fuse, down, t),
            Event::Deaf { files, deaths } => self.deaf = Sign { of_file: files, of_death: deaths },
            Event::Disk(disk) => self.truth.set_disk(disk),
            Event::Look(at, answer) => self.truth.answers[at] = answer,
            Event::Gauge(at, level) => self.truth.levels[at] = level,
        }
    }

    fn beat(&mut self) {
        for at in 0..self.truth.services.len() {
            if self.truth.services[at].next_beat.is_some_and(|next| next <= self.truth.clock.t) {
                let sign = self.truth.beat(at);
                self.hear(at, sign);
            }
        }
    }

    fn hear(&mut self, at: usize, sign: Sign) {
        let of_file = sign.of_file && !self.deaf.of_file;
        let of_death = sign.of_death && !self.deaf.of_death;
        self.monitor.hear(&self.truth, at, Sign { of_file, of_death });
    }

    fn outcome(self) -> Outcome {
        let last = (0..self.monitor.subjects.len()).map(|at| {
            let (judged, note) = self.monitor.last(at);
            (judged, note.cloned())
        });
        Outcome {
            last: last.collect(),
            text: self.monitor.text(),
            broken: self.monitor.broken,
            is_lost: self.monitor.is_lost,
            story: self.monitor.store.story,
        }
    }
}
