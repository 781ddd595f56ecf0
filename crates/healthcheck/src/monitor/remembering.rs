//! What the loop does so that what happens is remembered: it gathers, and hands over; it never waits.

use super::gathering::{Beat, Ledgered, Newness};
use super::historian::Historian;
use super::{Monitor, Settings};
use crate::commands::store;
use crate::history::{MachineState, Presence};
use crate::sources::machine;
use health_reporter::clock;
use healthcheck_core::{Facts, Observation, ProcessFacts, Subject, Transition};
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::warn;

/// What of an observation is remembered, apart from the verdict on it.
pub(super) struct Seen {
    /// That it was a heartbeat, or a look.
    beat: Option<Beat>,
    numbers: Vec<(String, f64)>,
}

impl Monitor {
    /// Begins to write history, where the system gives a thread for it.
    pub(super) fn begin_history(&mut self) {
        let state_dir = &self.settings.config.state_dir;
        let begun = Historian::begin(store::keeper(&self.settings.config), state_dir, &machine::host_name());
        self.historian = begun
            .inspect_err(|error| warn!("no history is written, the system gives no thread: {error}"))
            .ok();
    }

    /// How it stands with this machine.
    pub(super) fn note_own_machine(&mut self, status: Presence) {
        let (name, fleet) = (machine::host_name(), &self.settings.config.fleet);
        let hostname = fleet.hostname.clone().unwrap_or_else(|| name.clone());
        let description = fleet.description.clone().unwrap_or_default();
        let last_seen = Timestamp::now();
        self.gathering.note_machine(MachineState { name, hostname, description, status, last_seen });
    }

    /// What is to be remembered of an observation, before it is judged.
    pub(super) fn see(&mut self, observation: &Observation, wall: Timestamp) -> Seen {
        let subject = &observation.subject;
        let beat = match &observation.outcome {
            Ok(Facts::Service(facts)) => facts.report.as_ref().ok().map(|file| file.changed),
            Ok(Facts::Probe(_) | Facts::Measure(_) | Facts::Mount(_)) => Some(wall),
            Ok(Facts::Aftermath(_) | Facts::Host(_) | Facts::TimePassed) | Err(_) => None,
        };
        let is_report = matches!(&observation.outcome, Ok(Facts::Service(_)));
        let newness = beat.map(|at| match is_report {
            true => self.gathering.newness(subject, at),
            false => Newness::New,
        });
        let beat = newness.filter(|newness| *newness != Newness::Known).zip(beat);
        let beat = beat.map(|(newness, at)| Beat { at, may_be_known: newness == Newness::First });
        let numbers =
            if beat.is_some() { self.gathering.meter.read(observation, awake()) } else { Vec::new() };
        Seen { beat, numbers }
    }

    /// A verdict changes: what was gathered so far is of the former one. Where it changes twice before the first change
    /// is kept, that is kept at once.
    pub(super) fn note_turns(&mut self, transitions: &[Transition]) {
        let is_waiting = |subject: &Subject| self.news.iter().any(|it| it.subject == *subject);
        if transitions.iter().any(|transition| is_waiting(&transition.subject)) {
            self.settle();
        }
        transitions.iter().for_each(|transition| self.gathering.turn(&transition.subject));
    }

    /// Remembers what was seen, under the verdict that followed from it; a heartbeat that changed the verdict did so when
    /// it was judged, not before.
    pub(super) fn remember(
        &mut self,
        subject: &Subject,
        seen: Seen,
        transition: Option<&Transition>,
        wall: Timestamp,
    ) {
        self.gathering.measure(subject, seen.numbers, wall);
        if let Some((mut beat, verdict)) = seen.beat.zip(self.state.verdict(subject)) {
            beat.at = transition.map_or(beat.at, |transition| beat.at.max(transition.at));
            self.gathering.beat(subject, verdict, self.state.task(subject), beat);
        }
    }

    /// What processes take, by now.
    pub(super) fn remember_costs(&mut self, costs: Vec<(Subject, ProcessFacts)>) {
        let (wall, awake) = (Timestamp::now(), awake());
        for (subject, process) in costs {
            let numbers = self.gathering.meter.read_process(&subject, &process, awake);
            self.gathering.measure(&subject, numbers, wall);
        }
    }

    /// Hands over what happened before transitions that were just committed, and then with them.
    pub(super) fn hand_over(&mut self, before: &Ledgered) {
        let (wall, ledgered) = (Timestamp::now(), self.ledger.ledgered());
        let former = self.gathering.cut_before(before, wall);
        let batches = former.into_iter().chain([self.gathering.cut(&ledgered, wall)]);
        // Without a thread to take it nothing is remembered, and nothing piles up.
        if let Some(historian) = &self.historian {
            batches.for_each(|batch| historian.hand(batch));
        }
        self.tell_health_of_history();
    }

    /// Hands over everything; what changed is kept before what was said after it.
    pub(super) fn hand_over_all(&mut self) {
        self.settle();
        if self.historian.is_none() {
            self.begin_history();
        }
        let (now, ledgered) = (self.now(), self.ledger.ledgered());
        let rules = &self.settings.rules;
        let batch = self.gathering.cut_all(&ledgered, &now, self.state.all_subjects(), rules);
        if let Some(historian) = &self.historian {
            historian.hand(batch);
        }
        self.tell_health_of_history();
    }

    /// Hands over what was gathered where each heartbeat is wanted soon.
    pub(super) fn hand_over_due(&mut self, boottime: Duration) {
        if self.gathering.next_boottime(boottime).is_some_and(|at| at <= boottime) {
            self.settle();
            self.hand_over(&self.ledger.ledgered());
        }
    }

    /// Goes on with another history, where the configuration names one.
    pub(super) fn reopen_history(&mut self, former: &Settings) {
        if former.config.history == self.settings.config.history {
            return;
        }
        self.hand_over_all();
        self.note_own_machine(Presence::Online);
        self.gathering.record(store::record(&self.settings.config.history));
        if let Some(historian) = &self.historian {
            historian.change(store::keeper(&self.settings.config));
        }
    }

    /// Whoever looks at history sees what has happened until now.
    pub(super) fn flush_history(&mut self, done: oneshot::Sender<Option<String>>) {
        self.hand_over_all();
        if let Some(historian) = &self.historian {
            historian.flush(done);
        }
    }

    /// The processes whose cost is asked for from now on.
    pub(super) fn measure_processes(&self) {
        if let Some(measuring) = &self.inputs.measuring {
            measuring.watch(self.runs.processes());
        }
    }

    pub(super) fn tell_health_of_history(&self) {
        let Some(historian) = &self.historian else {
            return self.own.tell("history", Some("the system gives no thread for it"), "");
        };
        self.own.tell("history", historian.problem().as_deref(), &historian.how());
    }

    pub(super) fn end_history(&mut self) {
        self.note_own_machine(Presence::Stopped);
        self.hand_over_all();
        if let Some(historian) = self.historian.take() {
            historian.stop();
        }
    }
}

/// How long the machine has been awake since boot.
fn awake() -> Duration {
    clock::boottime().saturating_sub(clock::suspended())
}
