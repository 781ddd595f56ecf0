//! How the monitor learns: each fact is judged as soon as it is known.

use super::outside::{News, Planned};
use super::resources::Numbers;
use super::{Monitor, PORTION, Settings, TURN};
use crate::sources::journal;
use crate::sources::reports::{has_died, not_looked_for};
use crate::sources::systemd::Bus;
use crate::sources::systemd::follow::{News as UnitNews, Wanted};
use health_reporter::{ServiceName, clock};
use healthcheck_core::{
    Cause, Facts, FileSystem, Kind, Observation, ProcessSight, ServiceFacts, State, Subject, Transition, step,
};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::{info, warn};

impl Monitor {
    /// Judges one observation, and notes what changed.
    pub(super) fn observe(&mut self, observation: Observation) {
        let subject = observation.subject.clone();
        let is_beat = matches!(&observation.outcome, Ok(Facts::Service(_)));
        let (now, before) = (self.now(), self.state.process(&subject));
        let seen = self.see(&observation, now.wall);
        let state = std::mem::take(&mut self.state);
        let (state, transitions) = step(state, observation, &now, &self.settings.policy);
        self.state = state;
        let is_another_run = self.state.process(&subject).map(|it| it.0) != before.map(|it| it.0);
        if transitions.is_empty() && (!is_beat || is_another_run || self.state.record(&subject).is_none()) {
            self.ledger.touch(subject.clone(), now.boottime);
        }
        if is_another_run {
            // It may depend on others.
            self.alerts.look_at(&subject);
            self.find_unit_of(&subject);
        }
        self.note_turns(&transitions);
        if subject.kind == Kind::Host && !transitions.is_empty() {
            self.remember_machine(&subject);
        }
        self.remember(&subject, seen, transitions.last(), now.wall);
        self.news.extend(transitions);
        if self.news.len() >= PORTION {
            self.settle();
        }
    }

    /// Reads a report, looks at the process that it names, and judges both.
    pub(super) fn look_at(&mut self, name: &ServiceName) {
        self.look_with(name, false, None);
    }

    /// A look at one whose process is known to have ended before needs no second one.
    fn look_with(&mut self, name: &ServiceName, is_thorough: bool, ended: Option<u32>) {
        let (subject, began) = (Subject::from(name), Instant::now());
        let mut facts = self.facts(&subject, name, is_thorough);
        if has_died(&facts) && (ended.is_none() || pid_of(&facts) != ended) {
            // It may have said goodbye, or begun anew, since its report was read.
            facts = self.facts(&subject, name, true);
        }
        if has_died(&facts) {
            facts.changes = self.runs.changes(&subject, self.unit_files(&subject));
            facts.oom = self.oom_of(&subject, &facts);
        }
        let outcome = Ok(Facts::Service(Box::new(facts)));
        self.observe(Observation { subject, outcome, took: began.elapsed() });
    }

    fn facts(&mut self, subject: &Subject, name: &ServiceName, is_thorough: bool) -> ServiceFacts {
        let report = self.desk.read(name, clock::boottime());
        let process = match &report {
            Ok(file) if is_thorough => self.runs.fresh_sight(subject, file),
            Ok(file) => self.runs.sight(subject, file),
            Err(_) => ProcessSight::default(),
        };
        // Whoever has just written could write.
        let file_system = if is_thorough { self.file_system() } else { FileSystem::Free };
        ServiceFacts { process, file_system, ..ServiceFacts::of_report(report) }
    }

    /// Whether a report could be written; where we ourselves cannot, nobody can.
    fn file_system(&self) -> FileSystem {
        match self.desk.file_system() {
            FileSystem::Free if self.own.cannot_write() => FileSystem::Full,
            seen => seen,
        }
    }

    fn unit_files(&self, subject: &Subject) -> &[String] {
        self.state.run(subject).and_then(|run| run.unit).map_or(&[], |unit| &unit.files)
    }

    /// The kernel's word that memory ran out; where that may not be read, its count of such kills in the group.
    fn oom_of(&mut self, subject: &Subject, facts: &ServiceFacts) -> Option<String> {
        let pid = pid_of(facts)?;
        match &mut self.inputs.kernel {
            Some(kernel) => kernel.oom_of(pid),
            None => match self.runs.oom_kills(subject) {
                0 => None,
                _ => Some("its control group killed a process because memory ran out".to_owned()),
            },
        }
    }

    /// Processes have ended.
    pub(super) fn bury(&mut self, pids: &[u32]) {
        for pid in pids {
            for subject in self.runs.subjects_of(*pid) {
                if let Ok(name) = subject.name.parse() {
                    self.look_with(&name, true, Some(*pid));
                }
            }
            self.settle_soon();
        }
    }

    pub(super) fn take_hints(&mut self) {
        let hints = self.desk.hints();
        if hints.files {
            self.inputs.reload.notify_one();
        }
        self.desk.note(hints, clock::boottime(), &wanted(&self.settings, &self.state));
    }

    /// However many reports there are to be read: soon, what changed is kept and told, and whatever else has happened
    /// is seen.
    pub(super) fn look_at_some(&mut self) {
        let end = Instant::now() + TURN;
        while let Some(name) = self.desk.next_ready() {
            self.look_at(&name);
            if Instant::now() >= end {
                return;
            }
        }
    }

    /// The slow look, which needs no event.
    pub(super) fn look_at_everything(&mut self) {
        let names = self.desk.rescan(&wanted(&self.settings, &self.state));
        names.iter().for_each(|name| self.look_at(name));
        let expected: Vec<Subject> = self.settings.policy.expected().collect();
        let absent = expected.iter().filter(|subject| self.state.verdict(subject).is_none());
        absent.cloned().collect::<Vec<_>>().iter().for_each(|subject| self.look_for(subject));
        self.forget_untroubled();
        self.settle();
    }

    /// Services that are known from before, and whose reports are not there any more.
    pub(super) fn look_for_the_known(&mut self) {
        let known = self.state.subjects(Kind::Service).filter(|subject| self.state.has_report(subject));
        let unread = known.filter(|subject| !self.desk.has_read(&subject.name));
        unread.cloned().collect::<Vec<_>>().iter().for_each(|subject| self.look_for(subject));
    }

    /// Looks for the report of a service of which nothing was read.
    fn look_for(&mut self, subject: &Subject) {
        match (self.desk.unreadable(), subject.name.parse::<ServiceName>()) {
            (Some((dir, error)), _) => {
                let observation = not_looked_for(&subject.name, dir, error);
                self.observe(observation);
            }
            (None, Ok(name)) => self.look_at(&name),
            (None, Err(_)) => {}
        }
    }

    /// A verdict may change by time alone: whatever else changed is seen before.
    pub(super) fn judge_at_its_deadline(&mut self, subject: &Subject) {
        let reports = subject.kind == Kind::Service && self.state.has_report(subject);
        match subject.name.parse::<ServiceName>() {
            Ok(name) if reports => self.look_with(&name, true, None),
            _ => self.observe(Observation::time_passed(subject.clone())),
        }
        if self.state.deadline_of(subject).is_some_and(|at| at <= clock::boottime()) {
            self.observe(Observation::time_passed(subject.clone()));
        }
    }

    pub(super) fn measure(&mut self, numbers: Numbers) {
        let seen: BTreeSet<Subject> = numbers.observations.iter().map(|it| it.subject.clone()).collect();
        self.resources = Some(numbers.resources);
        self.remember_costs(numbers.costs);
        numbers.observations.into_iter().for_each(|observation| self.observe(observation));
        let gone: Vec<Subject> =
            self.state.subjects(Kind::Resource).filter(|it| !seen.contains(it)).cloned().collect();
        if !gone.is_empty() {
            let now = self.now();
            let transitions = self.state.forget_gone(|subject| gone.contains(subject), &now);
            self.news.extend(transitions);
            gone.iter().for_each(|subject| self.alerts.look_at(subject));
            gone.iter().for_each(|subject| self.gathering.forget(subject, now.wall));
            gone.into_iter().for_each(|subject| self.ledger.touch(subject, now.boottime));
        }
    }

    /// Drops what is known of a subject. Whether anything was.
    pub(super) fn forget(&mut self, subject: &Subject) -> bool {
        self.runs.forget(subject);
        let was_known = self.state.forget(subject);
        if was_known {
            self.gathering.forget(subject, Timestamp::now());
            self.ledger.touch(subject.clone(), clock::boottime());
            let at = self.now().wall;
            self.alerts.forgot(subject, at);
            self.agree();
        }
        was_known
    }

    pub(super) fn learn(&mut self, news: News) {
        match news {
            News::Looked { observation, again } => self.judge_look(observation, again),
            News::Units(news) => self.learn_of_units(news),
            News::Aftermath { subject, aftermath: Ok(aftermath) } => {
                self.observe_end(Observation {
                    subject,
                    outcome: Ok(Facts::Aftermath(Box::new(aftermath))),
                    took: Duration::ZERO,
                });
            }
            News::Aftermath { aftermath: Err(error), .. } => self.own.note("journal", &error.to_string()),
        }
    }

    fn judge_look(&mut self, observation: Observation, again: oneshot::Sender<Duration>) {
        let subject = observation.subject.clone();
        let kind = kind_of(&observation);
        self.observe(observation);
        let is_retrying = kind.is_some_and(|kind| self.state.is_retrying(&subject, kind));
        // Whoever looked has been told to look at something else.
        let _ = again.send(self.settings.pause(&subject, is_retrying));
    }

    fn learn_of_units(&mut self, news: UnitNews) {
        match news {
            UnitNews::Looked(observation) if self.units.accept(&observation) => self.observe_end(observation),
            UnitNews::Looked(_) => {}
            UnitNews::Connected => self.units_problem = None,
            UnitNews::Lost(error) => self.units_problem = Some(error.to_string()),
            UnitNews::Troubled(units) => {
                self.units.note_troubled(&units, &self.settings.config);
                self.follow_units();
                self.forget_untroubled();
            }
        }
    }

    /// What may say more of an end that was told already.
    fn observe_end(&mut self, observation: Observation) {
        let subject = observation.subject.clone();
        self.observe(observation);
        self.settle();
        if let Some(kept) = self.ledger.amended(&self.state, &subject, clock::boottime()) {
            self.note_again(&kept.transition);
            kept.id.into_iter().for_each(|id| self.gathering.amend(id));
            self.voice.evidence(self.now().wall, kept.id, &kept.transition);
        }
    }

    /// Units in trouble are shown where nobody said what matters; those that are well again are nobody's.
    fn forget_untroubled(&mut self) {
        let well: Vec<Subject> = self.units.untroubled(|subject| {
            self.state.verdict(subject).is_some_and(|verdict| !verdict.status.is_bad())
        });
        for subject in well {
            self.units.drop_troubled(&subject);
            self.forget(&subject);
            self.follow_units();
        }
    }

    fn find_unit_of(&mut self, subject: &Subject) {
        let Some(bus) = self.settings.bus.clone() else { return };
        if self.units.learn(&self.state, &self.settings.config, &bus, subject) {
            self.follow_units();
        }
    }

    fn follow_units(&mut self) {
        let mut units = self.units.names();
        let configured = self.settings.planned.iter().filter_map(Planned::unit);
        units.extend(configured.map(|(subject, unit)| (subject.clone(), unit.to_owned())));
        let wanted = Wanted { units, troubled: self.settings.says_nothing() };
        if let Err(error) = self.outside.follow(&wanted) {
            self.last_error = Some(format!("cannot look at units: {error}"));
        }
    }

    /// Looks from outside begin, or begin anew.
    pub(super) fn plan(&mut self) {
        let planned = self.settings.planned.iter().filter(|planned| planned.unit().is_none()).cloned();
        if let Err(error) = self.outside.plan(planned.collect()) {
            warn!("cannot look from outside: {error}");
            self.last_error = Some(format!("cannot look from outside: {error}"));
        }
        if let Some(bus) = self.settings.bus.clone() {
            let expected: Vec<Subject> = self.settings.policy.expected().collect();
            for subject in expected {
                self.units.learn(&self.state, &self.settings.config, &bus, &subject);
            }
            self.follow_units();
        }
    }

    /// What nobody waits for when a run is judged to have ended.
    pub(super) fn look_up_end_of(&mut self, transition: &Transition) {
        let is_end = matches!(transition.cause, Cause::Crashed | Cause::OomKilled | Cause::CrashLooping);
        if !is_end || transition.subject.kind != Kind::Service {
            return;
        }
        if let Some(run) = self.run_of(&transition.subject)
            && let Err(error) = self.outside.look_up(transition.subject.clone(), run)
        {
            self.last_error = Some(format!("cannot look into the journal: {error}"));
        }
    }

    fn run_of(&self, subject: &Subject) -> Option<journal::Run> {
        let run = self.state.run(subject)?;
        let unit = run.unit;
        Some(journal::Run {
            pid: u32::try_from(run.pid).ok()?,
            invocation_id: unit.and_then(|unit| unit.invocation_id.clone()),
            unit: unit.map(|unit| unit.name.clone()),
            is_user: self.settings.bus != Some(Bus::System),
            owner_uid: unit.and_then(|unit| unit.owner_uid),
            started: self.runs.started(subject, &self.now()),
            asks_for_kernel: self.inputs.kernel.is_none(),
        })
    }

    /// A new configuration is in force; what it does not change goes on.
    pub(super) fn go_on_with(&mut self, settings: Settings) {
        info!("the configuration was read again: {}", settings.config.source);
        let former = std::mem::replace(&mut self.settings, settings);
        self.reopen_channels(&former);
        self.reopen_history(&former);
        self.renew_membership(&former);
        if former.dirs != self.settings.dirs {
            self.desk = super::Desk::watching(
                &self.settings.dirs,
                self.settings.file(),
                std::sync::Arc::clone(&self.inputs.bell),
            );
        }
        for subject in former.subjects().difference(&self.settings.subjects()) {
            if subject.kind != Kind::Service {
                self.forget(subject);
            }
        }
        let known: Vec<Subject> = self.state.all_subjects().cloned().collect();
        known.into_iter().for_each(|subject| self.observe(Observation::time_passed(subject)));
        self.look_at_everything();
        self.plan();
        self.own.tell("configuration", None, "in force");
    }
}

/// Which reports are read first.
fn wanted<'a>(settings: &'a Settings, state: &'a State) -> impl Fn(&ServiceName) -> bool + 'a {
    move |name| {
        settings.policy.service(name.as_str()).is_some() || state.verdict(&Subject::from(name)).is_some()
    }
}

/// The process that a report names.
fn pid_of(facts: &ServiceFacts) -> Option<u32> {
    u32::try_from(facts.report.as_ref().ok()?.report.pid?).ok()
}

/// The kind of look that an observation is of.
fn kind_of(observation: &Observation) -> Option<healthcheck_core::ProbeKind> {
    match &observation.outcome {
        Ok(Facts::Probe(facts)) => Some(facts.kind()),
        Err(error) => error.kind,
        _ => None,
    }
}
