//! The monitor, as the real one behaves: it looks, judges, commits, and only then prints; and it may be killed between
//! any two of these.

use crate::files::File;
use crate::invariants::{Judged, Known, Shown, Sleep, View, of_gauge};
use crate::looks::{self, Asked};
use crate::script::{Level, MINUTE, Plan};
use crate::service::{Sign, Truth};
use crate::store::{Instant, Note, Store, Told};
use healthcheck_core::{Facts, Measure, Observation, Policy, ProbeError, State, Subject, Transition, step};
use std::collections::BTreeSet;
use std::time::Duration;

/// What changed without a transition is kept at most so much later.
const LAZY: Duration = Duration::from_secs(10);
/// Judging what is due may make others due, and these others, and no more than so often.
const MAX_ROUNDS: usize = 8;
/// What one subject may take.
const MAX_BYTES: usize = 12 * 1024;

pub(crate) struct Monitor {
    plan: Plan,
    policy: Policy,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) store: Store,
    mind: Option<Mind>,
    starts_at: Option<Duration>,
    fuse: Option<(u8, Duration)>,
    printed: Vec<Told>,
    /// When the machine slept, as far as was seen.
    sleeps: Vec<Sleep>,
    /// The last look at the clock.
    noted: Instant,
    pub(crate) broken: Option<String>,
    /// Nobody could tell that the machine has booted: what follows says nothing.
    pub(crate) is_lost: bool,
}

/// What is lost when it is killed.
struct Mind {
    state: State,
    notes: Vec<Note>,
    began: Duration,
    /// What was forgotten without a word since it was kept.
    forgotten: BTreeSet<usize>,
    /// What is not kept yet, and when it must be.
    dirty: BTreeSet<usize>,
    commit_at: Option<Duration>,
    full_rescan_at: Duration,
    /// When to look at each look and number.
    look_at: Vec<Duration>,
    /// When a verdict on a service should have changed at the latest.
    inspect_at: Vec<Option<Duration>>,
}

impl Monitor {
    pub(crate) fn new(plan: &Plan, t: Duration) -> Self {
        Self {
            plan: plan.clone(),
            policy: plan.policy(),
            subjects: plan.subjects(),
            store: Store::default(),
            mind: None,
            starts_at: Some(t),
            fuse: None,
            printed: Vec::new(),
            sleeps: Vec::new(),
            noted: Instant::default(),
            broken: None,
            is_lost: false,
        }
    }

    /// It is killed after so many more effects.
    pub(crate) fn light(&mut self, fuse: u8, down: Duration, t: Duration) {
        if self.mind.is_some() {
            self.fuse = Some((fuse, down));
            if fuse == 0 {
                self.die(t + down);
            }
        }
    }

    pub(crate) fn die(&mut self, starts_at: Duration) {
        (self.mind, self.fuse, self.starts_at) = (None, None, Some(starts_at));
    }

    /// It is started at once if it does not run, and killed no more.
    pub(crate) fn calm(&mut self, t: Duration) {
        self.fuse = None;
        self.starts_at = self.starts_at.map(|at| at.min(t));
    }

    /// Something happened that the kernel tells of.
    pub(crate) fn hear(&mut self, truth: &Truth, at: usize, sign: Sign) {
        let is_heard = sign.of_file || (sign.of_death && self.holds_its_process(at));
        if is_heard && self.mind.is_some() {
            self.look(truth, at);
        }
    }

    /// When it next has anything to do.
    pub(crate) fn next_instant(&self, truth: &Truth) -> Option<Duration> {
        let Some(mind) = &self.mind else { return self.starts_at };
        let deadline = mind.state.next_deadline().map(|at| truth.clock.booted.t + at);
        let rescan = (0..truth.services.len()).any(|at| mind.is_stale(truth, at)).then(|| {
            let since = truth.clock.t.saturating_sub(mind.began).as_secs() / 60;
            mind.began + MINUTE * u32::try_from(since + 1).unwrap()
        });
        let inspections = mind.inspect_at.iter().flatten().copied().min();
        let looks = mind.look_at.iter().copied().min();
        let all = [deadline, rescan, mind.commit_at, Some(mind.full_rescan_at), looks, inspections];
        all.into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, truth: &Truth) {
        let t = truth.clock.t;
        if self.starts_at.is_some_and(|at| at <= t) {
            self.start(truth);
        }
        self.pass(truth);
        self.rescan(truth);
        self.look_outside(truth);
        self.judge_due(truth);
        self.inspect(truth);
        if self.mind.as_ref().is_some_and(|mind| mind.commit_at.is_some_and(|at| at <= t)) {
            self.commit(truth, Vec::new());
            self.burns(t);
        }
    }

    /// The verdict on a subject, and whether it is one that can be compared.
    pub(crate) fn last(&self, at: usize) -> (Judged, Option<&Note>) {
        let Some(mind) = &self.mind else { return (None, None) };
        (mind.judged(&self.subjects[at]), Some(&mind.notes[at]))
    }

    /// All that it knows.
    pub(crate) fn text(&self) -> String {
        self.mind.as_ref().map(|mind| serde_json::to_string(&mind.state).unwrap()).unwrap_or_default()
    }

    fn start(&mut self, truth: &Truth) {
        let t = truth.clock.t;
        let (state, notes) = self.resumed(truth);
        // Time in which nobody looked changes what is kept of everything.
        let dirty = (0..notes.len()).filter(|at| state.record(&self.subjects[*at]).is_some()).collect();
        let services = truth.services.len();
        self.mind = Some(Mind {
            state,
            notes,
            began: t,
            forgotten: BTreeSet::new(),
            dirty,
            commit_at: None,
            full_rescan_at: t,
            look_at: vec![t; self.subjects.len() - services],
            inspect_at: vec![None; services],
        });
        self.starts_at = None;
    }

    /// What was kept, or nothing.
    fn resumed(&mut self, truth: &Truth) -> (State, Vec<Note>) {
        let (clock, mut notes) = (&truth.clock, self.blank());
        let Some((kept, known)) = self.store.restored(&self.subjects) else {
            self.is_lost |= !clock.suspended.is_zero();
            self.noted = Instant::now(clock);
            return (State::default(), notes);
        };
        let is_due_as_before = kept.next_deadline() == self.store.next_deadline();
        self.expect(is_due_as_before, || "d: what was due is not due any more".into());
        let Instant { boot, boottime, at, .. } = self.store.committed;
        let is_same_boot = boot == clock.boot;
        let could_be_same = boottime <= clock.boottime() + Duration::from_secs(10);
        self.is_lost |= !is_same_boot && !clock.has_boot_id() && could_be_same;
        let (state, gap) = kept.resume(&clock.now());
        let is_gap = !is_same_boot || clock.t > at.t;
        self.expect(gap.is_some() == is_gap, || format!("d: not observed was {gap:?}"));
        self.noted = self.store.committed;
        if !is_same_boot {
            self.store.begin_boot();
            let sleeps = clock.sleeps - u32::from(!clock.suspended.is_zero());
            self.noted = Instant { at: clock.booted, sleeps, ..Instant::now(clock) };
        }
        self.note_sleep(truth);
        let lasted = clock.stamp().awake.saturating_sub(at.awake);
        known.into_iter().for_each(|(at, note)| notes[at] = note.restored(truth, lasted, is_same_boot));
        (state, notes)
    }

    /// Time has passed: what the machine slept of it is told once.
    fn pass(&mut self, truth: &Truth) {
        if self.mind.is_none() || self.noted.sleeps == truth.clock.sleeps {
            return;
        }
        self.note_sleep(truth);
        let Some(mind) = self.mind.as_mut() else { return };
        let (state, gap) = std::mem::take(&mut mind.state).pass(&truth.clock.now());
        mind.state = state;
        let was_nothing_seen = mind.state.is_empty();
        self.expect(gap.is_some() || was_nothing_seen, || "d: nobody is told that the machine slept".into());
    }

    /// Takes note of what a look at the clock shows.
    fn note_sleep(&mut self, truth: &Truth) {
        let former = std::mem::replace(&mut self.noted, Instant::now(&truth.clock));
        if former.sleeps == truth.clock.sleeps {
            return;
        }
        self.sleeps.push(Sleep { from: former.at.t, to: truth.clock.t });
        for note in self.mind.iter_mut().flat_map(|mind| &mut mind.notes) {
            if let Note::Look(asked) = note {
                asked.forget_doubts();
            }
        }
    }

    fn blank(&self) -> Vec<Note> {
        let services = self.plan.services.iter().map(|_| Note::Service(Box::default()));
        let looks = self.plan.looks.iter().map(|_| Note::Look(Asked::default()));
        services.chain(looks).chain(self.plan.gauges.iter().map(|_| Note::Gauge(None))).collect()
    }

    /// The truth, however little was heard.
    fn rescan(&mut self, truth: &Truth) {
        let t = truth.clock.t;
        let Some(mind) = self.mind.as_mut() else { return };
        let is_full = mind.full_rescan_at <= t;
        if is_full {
            mind.full_rescan_at = t + self.plan.full_rescan;
        }
        let is_round = t.saturating_sub(mind.began).as_nanos().is_multiple_of(MINUTE.as_nanos());
        for at in 0..truth.services.len() {
            let is_stale = self.mind.as_ref().is_some_and(|mind| mind.is_stale(truth, at));
            if is_full || (is_round && is_stale) {
                self.look(truth, at);
            }
        }
    }

    fn look(&mut self, truth: &Truth, at: usize) {
        self.note_sleep(truth);
        let Some(mind) = self.mind.as_mut() else { return };
        let Note::Service(known) = &mut mind.notes[at] else { return };
        let is_known = mind.state.verdict(&self.subjects[at]).is_some();
        if truth.services[at].file == File::Missing && !self.plan.services[at].is_listed && !is_known {
            known.version = truth.services[at].version;
            return;
        }
        known.look(truth, at, &self.sleeps);
        self.observe(truth, at, Ok(Facts::Service(Box::new(truth.facts(at)))));
    }

    fn look_outside(&mut self, truth: &Truth) {
        for which in 0..self.subjects.len() - truth.services.len() {
            let at = which + truth.services.len();
            if self.mind.as_ref().is_some_and(|mind| mind.look_at[which] <= truth.clock.t) {
                match which.checked_sub(self.plan.looks.len()) {
                    None => self.ask(truth, which, at),
                    Some(gauge) => self.measure(truth, gauge, at),
                }
            }
        }
    }

    fn ask(&mut self, truth: &Truth, which: usize, at: usize) {
        const RETRY: Duration = Duration::from_secs(5);
        self.note_sleep(truth);
        let (t, answer, plan) = (truth.clock.t, truth.answers[which], &self.plan.looks[which]);
        let (kind, interval) = (plan.kind, plan.interval);
        let Some(mind) = self.mind.as_mut() else { return };
        let Note::Look(asked) = &mut mind.notes[at] else { return };
        asked.learn(answer, plan, truth.clock.stamp().awake);
        self.observe(truth, at, looks::look(kind, answer));
        let Some(mind) = self.mind.as_mut() else { return };
        let is_retrying = mind.state.is_retrying(&self.subjects[at], kind);
        mind.look_at[which] = t + if is_retrying { RETRY.min(interval) } else { interval };
    }

    fn measure(&mut self, truth: &Truth, gauge: usize, at: usize) {
        let (t, level, plan) = (truth.clock.t, truth.levels[gauge], &self.plan.gauges[gauge]);
        let Some(mind) = self.mind.as_mut() else { return };
        mind.look_at[self.plan.looks.len() + gauge] = t + plan.interval();
        let Note::Gauge(former) = &mut mind.notes[at] else { return };
        let awake = truth.clock.stamp().awake;
        let since = former.filter(|former| former.what == level).map_or(awake, |former| former.since);
        *former = Some(Shown::<Level> { what: level, since });
        let measure = Measure { quantity: plan.quantity, value: level.value() };
        self.observe(truth, at, Ok(Facts::Measure(measure)));
    }

    /// Judges each subject whose deadline is reached: where something new can be seen, by a look.
    fn judge_due(&mut self, truth: &Truth) {
        let boottime = truth.clock.boottime();
        for _ in 0..MAX_ROUNDS {
            let Some(mind) = &self.mind else { return };
            let due: Vec<Subject> = mind.state.due(boottime).cloned().collect();
            if due.is_empty() {
                return;
            }
            for subject in due {
                let at = self.subjects.iter().position(|other| *other == subject).unwrap();
                if self.mind.as_ref().is_some_and(|mind| mind.is_stale(truth, at)) {
                    self.look(truth, at);
                } else {
                    self.observe(truth, at, Ok(Facts::TimePassed));
                }
            }
        }
        self.break_(truth, "e: what was judged is due again and again");
    }

    /// Checks the verdicts that should have changed by now.
    fn inspect(&mut self, truth: &Truth) {
        for at in 0..truth.services.len() {
            let is_due = |mind: &Mind| mind.inspect_at[at].is_some_and(|due| due <= truth.clock.t);
            if self.mind.as_ref().is_some_and(is_due) {
                self.check(truth, at);
            }
        }
    }

    fn observe(&mut self, truth: &Truth, at: usize, outcome: Result<Facts, ProbeError>) {
        let t = truth.clock.t;
        self.note_sleep(truth);
        let Some(mind) = self.mind.as_mut() else { return };
        let subject = self.subjects[at].clone();
        let observation = Observation { subject, outcome, took: Duration::ZERO };
        let state = std::mem::take(&mut mind.state);
        let (state, transitions) = step(state, observation, &truth.clock.now(), &self.policy);
        mind.state = state;
        mind.dirty.insert(at);
        if mind.state.record(&self.subjects[at]).is_none() {
            mind.forgotten.insert(at);
        }
        mind.commit_at = Some(mind.commit_at.unwrap_or(t + LAZY));
        self.check(truth, at);
        if self.burns(t) || transitions.is_empty() {
            return;
        }
        let told = self.commit(truth, transitions);
        for told in told {
            if self.burns(t) {
                return;
            }
            self.printed.push(told);
        }
        self.burns(t);
    }

    /// Keeps everything that changed, together with what follows from it.
    fn commit(&mut self, truth: &Truth, transitions: Vec<Transition>) -> Vec<Told> {
        let told: Vec<Told> = transitions.into_iter().map(|it| self.told(truth, it)).collect();
        told.iter().for_each(|told| self.check(truth, told.subject));
        let Some(mind) = self.mind.as_mut() else { return told };
        mind.dirty.extend(told.iter().map(|told| told.subject));
        mind.commit_at = None;
        self.store.head = Some(mind.state.head());
        self.store.committed = self.noted;
        let mut problem = None;
        std::mem::take(&mut mind.forgotten).into_iter().for_each(|at| self.store.forget(at));
        for told in &told {
            problem = problem.or(self.store.tell(*told).err());
        }
        for at in std::mem::take(&mut mind.dirty) {
            self.store.put(at, &self.subjects[at], &mind.state, &mind.notes[at]);
        }
        if let Some(problem) = problem {
            self.break_(truth, &problem);
        }
        told
    }

    fn told(&mut self, truth: &Truth, transition: Transition) -> Told {
        let Transition { subject, from, to, cause, .. } = transition;
        let is_explained = !transition.reasons.is_empty()
            && transition.since <= transition.at
            && !transition.is_healed_by_supervisor;
        let is_flapping = transition.is_flapping;
        self.expect(is_explained, || format!("b: nothing speaks for {subject} {to} {cause}"));
        let subject = self.subjects.iter().position(|other| *other == subject).unwrap();
        let (t, awake) = (truth.clock.t, truth.clock.stamp().awake);
        Told { t, awake, subject, from, to, cause, is_flapping }
    }

    /// Whether it was killed just now.
    fn burns(&mut self, t: Duration) -> bool {
        match self.fuse.as_mut() {
            Some((0, down)) => {
                let starts_at = t + *down;
                self.die(starts_at);
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        self.mind.is_none()
    }

    /// Whether it waits for the end of the process that a report names.
    fn holds_its_process(&self, at: usize) -> bool {
        let known = self.mind.as_ref().map(|mind| &mind.notes[at]);
        matches!(known, Some(Note::Service(known)) if known.is_seen_alive())
    }

    /// Whether the verdict is what the truth demands.
    fn check(&mut self, truth: &Truth, at: usize) {
        let awake = truth.clock.stamp().awake;
        let Some(mind) = self.mind.as_mut() else { return };
        let judged = mind.judged(&self.subjects[at]);
        let candidates: Vec<Judged> = match &mind.notes[at] {
            Note::Service(known) => {
                let has_instance = mind.has_instance(&self.plan, at);
                let plan = &self.plan.services[at];
                let view = View { plan, known, clock: &truth.clock, has_instance, sleeps: &self.sleeps };
                mind.inspect_at[at] = view.next_change();
                if view.allows(judged) {
                    return;
                }
                view.candidates().collect()
            }
            Note::Look(asked) => asked.candidates(self.plan.looks[at - self.plan.services.len()].kind, awake),
            Note::Gauge(shown) => {
                let gauge = at - self.plan.services.len() - self.plan.looks.len();
                shown.map_or(vec![None], |shown| of_gauge(shown, &self.plan.gauges[gauge], awake))
            }
        };
        if !candidates.contains(&judged) {
            let problem = format!("a: {} is {judged:?}, not {candidates:?}", self.subjects[at]);
            self.break_(truth, &problem);
        }
    }

    fn expect(&mut self, is_so: bool, otherwise: impl Fn() -> String) {
        if !is_so && self.broken.is_none() {
            self.broken = Some(otherwise());
        }
    }

    fn break_(&mut self, truth: &Truth, problem: &str) {
        if self.broken.is_none() && !self.is_lost {
            self.broken = Some(format!("{problem} (at {:?})", truth.clock.t));
        }
    }

    /// What holds whenever nothing is to be done just now.
    pub(crate) fn check_at_rest(&mut self, truth: &Truth) {
        let Some(mind) = &self.mind else { return };
        if mind.state.next_deadline().is_some_and(|at| at <= truth.clock.boottime()) {
            self.break_(truth, "e: the next deadline lies in the past");
        }
    }

    /// What holds in the end.
    pub(crate) fn check_in_the_end(&mut self, truth: &Truth) {
        let Some(mind) = &self.mind else { return };
        let size = mind.state.size_bytes();
        if size > MAX_BYTES * self.subjects.len() {
            return self.break_(truth, &format!("e: the state takes {size} bytes"));
        }
        let mut story = self.store.story.iter();
        if !self.printed.iter().all(|printed| story.any(|told| told == printed)) {
            return self.break_(truth, "d: something was printed that is not in the story");
        }
        let is_last = |at: &usize| {
            let last = self.store.story.iter().rev().find(|told| told.subject == *at);
            let judged = mind.judged(&self.subjects[*at]);
            judged.is_none() || last.map(|told| (told.to, told.cause)) == judged
        };
        if let Some(at) = (0..self.subjects.len()).find(|at| !is_last(at)) {
            self.break_(truth, &format!("b: the story does not end at the verdict on {}", self.subjects[at]));
        }
    }
}

impl Mind {
    fn judged(&self, subject: &Subject) -> Judged {
        self.state.verdict(subject).map(|verdict| (verdict.status, verdict.cause))
    }

    /// Whether there is something to see of a service that was not looked at.
    fn is_stale(&self, truth: &Truth, at: usize) -> bool {
        matches!(&self.notes[at], Note::Service(known) if known.version != truth.services[at].version)
    }

    fn has_instance(&self, plan: &Plan, at: usize) -> bool {
        let of_it =
            |name: &str| name.strip_prefix(plan.services[at].name).is_some_and(|rest| rest.starts_with('@'));
        let has_ever = |note: &Note| matches!(note, Note::Service(known) if known.has_ever);
        plan.services.iter().zip(&self.notes).any(|(service, note)| of_it(service.name) && has_ever(note))
    }
}

impl Note {
    /// As it is known after a restart: what nobody looked at meanwhile begins anew.
    fn restored(self, truth: &Truth, lasted: Duration, is_same_boot: bool) -> Self {
        match self {
            Self::Service(mut known) => {
                known.enter(&truth.clock);
                known.after_gap(lasted);
                known.version = 0;
                Self::Service(known)
            }
            Self::Look(mut asked) if is_same_boot => {
                asked.after_gap(lasted);
                Self::Look(asked)
            }
            Self::Look(_) => Self::Look(Asked::default()),
            Self::Gauge(_) => Self::Gauge(None),
        }
    }
}

impl Known {
    fn is_seen_alive(&self) -> bool {
        self.lives() == Some(true)
    }
}
