//! A machine, its monitor and the servers of its channels, as values only.

use crate::invariants::check_looks;
use crate::server::Server;
use crate::store::Store;
use health_reporter::read::{Dialect, ReportFile};
use health_reporter::{Check, HealthReport, State as Life, Status};
use healthcheck_core::alerts::{
    Alerts, ChannelRules, Deed, Held, Notice, Outcome, Reboot, Route, Rules, Silence, Step, World,
};
use healthcheck_core::{
    CommandEnd, CommandFacts, Facts, Gap, GapReason, HostAbout, HostFacts, HostSight, Kind, Now, Observation,
    Policy, ProbeError, ProbeFacts, ProcessCost, ProcessFacts, ProcessSight, ProcessState, ServiceFacts,
    ServicePolicy, State, Subject, Transition, step,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const HOUR: f64 = 3_600.0;
pub(crate) const DAY: f64 = 86_400.0;
const UID: u32 = 1000;
/// 2025-06-01T12:00:00Z, a Sunday.
const BEGAN_S: i64 = 1_748_779_200;
/// Longer than any test.
const DEADLINE_S: f64 = 30.0 * 86_400.0;

/// Says what is wrong with what was just planned.
pub(crate) type Watch = fn(&Host, &[Notice]) -> Option<String>;

#[derive(Clone)]
pub(crate) struct Host {
    /// True time since the world began.
    pub(crate) t: Duration,
    booted: Duration,
    boot: u32,
    stepped: SignedDuration,
    pub(crate) state: State,
    pub(crate) policy: Policy,
    pub(crate) rules: Rules,
    pub(crate) alerts: Alerts,
    pub(crate) store: Store,
    pub(crate) servers: BTreeMap<String, Server>,
    /// What is being sent, and when its answer comes.
    flying: Vec<(Duration, String, String, Outcome)>,
    /// What the services last wrote, and how they live.
    files: BTreeMap<String, ServiceFacts>,
    runs: u64,
    /// The monitor is killed after so many effects.
    pub(crate) killed_in: Option<u32>,
    pub(crate) kills: u32,
    /// Every notice that was decided.
    pub(crate) decided: Vec<Notice>,
    /// How each subject is, as last judged by looking.
    pub(crate) truth: BTreeMap<Subject, Status>,
    /// What changed last.
    pub(crate) last_news: Vec<Transition>,
    /// Looks at each plan.
    pub(crate) watch: Option<Watch>,
    /// What is wrong first.
    pub(crate) problem: Option<String>,
    /// It plans each second, as if there were no deadlines.
    pub(crate) is_restless: bool,
    /// What happened, as it is kept.
    pub(crate) story: Vec<Step>,
    /// What of it is not kept yet.
    unkept: Vec<Transition>,
}

impl Host {
    /// A machine that booted 10,000 s ago, with one channel that is told of everything at once.
    pub(crate) fn new() -> Self {
        let mut rules = Rules { host: "deimos".into(), ..Rules::default() };
        rules.channels.insert("phone".into(), everything(Status::Warning));
        Self {
            t: Duration::from_secs(10_000),
            booted: Duration::ZERO,
            boot: 1,
            stepped: SignedDuration::ZERO,
            state: State::default(),
            policy: Policy::default(),
            rules,
            alerts: Alerts::new("x"),
            store: Store::default(),
            servers: BTreeMap::new(),
            flying: Vec::new(),
            files: BTreeMap::new(),
            runs: 0,
            killed_in: None,
            kills: 0,
            decided: Vec::new(),
            truth: BTreeMap::new(),
            last_news: Vec::new(),
            watch: None,
            problem: None,
            is_restless: false,
            story: Vec::new(),
            unkept: Vec::new(),
        }
    }

    /// With these services, which are well and depend on each other.
    pub(crate) fn running(services: &[(&str, &[&str])]) -> Self {
        let mut host = Self::new();
        for (name, parents) in services {
            let depends_on = parents.iter().map(|it| (*it).to_owned()).collect();
            host.policy
                .services
                .insert((*name).into(), ServicePolicy { depends_on, ..ServicePolicy::default() });
        }
        for (name, _) in services {
            host.starts(name);
        }
        host
    }

    pub(crate) fn now(&self) -> Now {
        let wall = Timestamp::constant(BEGAN_S, 0) + SignedDuration::try_from(self.t).unwrap() + self.stepped;
        let boot_id: Arc<str> = format!("boot-{}", self.boot).into();
        Now { wall, boottime: self.t - self.booted, suspended: Duration::ZERO, boot_id: Some(boot_id) }
    }

    pub(crate) fn server(&mut self, name: &str) -> &mut Server {
        self.servers.entry(name.to_owned()).or_default()
    }

    // What services do.

    pub(crate) fn starts(&mut self, name: &str) {
        self.runs += 1;
        let now = self.now();
        let ticks = u64::try_from(now.boottime.as_millis() / 10).unwrap();
        let mut report = HealthReport::new(Status::Healthy);
        report.pid = Some(100 + self.runs);
        report.pid_start_ticks = Some(ticks);
        report.boot_id = now.boot_id.as_deref().map(str::to_owned);
        report.uptime = Some(0.0);
        report.deadline_s = Some(DEADLINE_S);
        let process = ProcessSight::Seen(ProcessFacts {
            start_ticks: ticks,
            state: ProcessState::Sleeping,
            exit: None,
            owner_uid: UID,
            cost: ProcessCost { cpu_s: 1.5, memory_bytes: 4096, descriptors: Some(7), threads: 2 },
        });
        let file = ReportFile {
            report,
            dialect: Dialect::HealthReport,
            modified: now.wall,
            changed: now.wall,
            owner_uid: UID,
        };
        self.files.insert(name.to_owned(), ServiceFacts { process, ..ServiceFacts::of_report(Ok(file)) });
        self.writes(name, |_| ());
    }

    /// The service writes its report anew.
    pub(crate) fn writes(&mut self, name: &str, change: impl FnOnce(&mut HealthReport)) {
        let now = self.now();
        let Some(facts) = self.files.get_mut(name) else { return };
        let Ok(file) = facts.report.as_mut() else { return };
        file.report.written_boottime_s = Some(now.boottime.as_secs_f64());
        file.report.last_updated = Some(now.wall);
        (file.modified, file.changed) = (now.wall, now.wall);
        if file.report.state != Life::Stopped {
            file.report.uptime = Some(file.report.pid_start_ticks.map_or(0.0, |ticks| {
                #[expect(clippy::cast_precision_loss, reason = "it is a short time")]
                let started = ticks as f64 / 100.0;
                now.boottime.as_secs_f64() - started
            }));
        }
        change(&mut file.report);
        self.looks_at(name);
    }

    pub(crate) fn says(&mut self, name: &str, status: Status, message: &str) {
        self.writes(name, |report| {
            report.overall_status = status;
            let check = Check { message: Some(message.into()), ..Check::new("work", status) };
            report.checks = vec![check];
        });
    }

    pub(crate) fn warns(&mut self, name: &str) {
        self.says(name, Status::Warning, "queue 812 of 1000");
    }

    pub(crate) fn errs(&mut self, name: &str) {
        self.says(name, Status::Error, "no frames");
    }

    pub(crate) fn heals(&mut self, name: &str) {
        self.says(name, Status::Healthy, "well");
    }

    pub(crate) fn is_now(&mut self, name: &str, is_bad: bool) {
        if is_bad {
            self.errs(name);
        } else {
            self.heals(name);
        }
    }

    /// Its process is killed.
    pub(crate) fn crashes(&mut self, name: &str) {
        let Some(facts) = self.files.get_mut(name) else { return };
        if let ProcessSight::Seen(process) = &mut facts.process {
            (process.state, process.exit) = (ProcessState::Zombie, Some(9));
            self.looks_at(name);
        }
    }

    pub(crate) fn stops(&mut self, name: &str) {
        self.writes(name, |report| {
            report.state = Life::Stopped;
            report.overall_status = Status::Healthy;
            report.checks = Vec::new();
        });
        if let Some(facts) = self.files.get_mut(name) {
            facts.process = ProcessSight::Gone;
        }
        self.looks_at(name);
    }

    pub(crate) fn loses_its_file(&mut self, name: &str) {
        let unusable =
            health_reporter::read::Unusable { error: health_reporter::read::ReadError::Missing, since: None };
        self.files.insert(name.to_owned(), ServiceFacts::of_report(Err(unusable)));
        self.looks_at(name);
    }

    /// Its file is torn.
    pub(crate) fn tears(&mut self, name: &str) {
        let error = health_reporter::read::ReadError::Unreadable("torn".into());
        let unusable = health_reporter::read::Unusable { error, since: None };
        self.files.insert(name.to_owned(), ServiceFacts::of_report(Err(unusable)));
        self.looks_at(name);
    }

    fn looks_at(&mut self, name: &str) {
        let Some(facts) = self.files.get(name).cloned() else { return };
        self.observe(name, Facts::Service(Box::new(facts)));
    }

    pub(crate) fn observe(&mut self, name: &str, facts: Facts) {
        let news = self.judge(Subject::service(name), facts);
        self.turn(&news);
    }

    fn judge(&mut self, subject: Subject, facts: Facts) -> Vec<Transition> {
        self.judge_outcome(subject, Ok(facts))
    }

    fn judge_outcome(&mut self, subject: Subject, outcome: Result<Facts, ProbeError>) -> Vec<Transition> {
        let observation = Observation { subject, outcome, took: Duration::ZERO };
        let (state, news) = step(std::mem::take(&mut self.state), observation, &self.now(), &self.policy);
        self.state = state;
        for transition in news.iter().filter(|transition| transition.to != Status::Unknown) {
            self.truth.insert(transition.subject.clone(), transition.to);
        }
        news
    }

    /// What the fleet shows of another machine.
    pub(crate) fn sees_machine(&mut self, name: &str, sight: HostSight) {
        let about = HostAbout {
            hostname: format!("{name}.lan"),
            description: "rack 2".into(),
            services: ["camera", "core", "db"].map(str::to_owned).into(),
            service_count: 3,
        };
        let facts = Facts::Host(Box::new(HostFacts { sight, about: Some(about) }));
        let news = self.judge(Subject::new(Kind::Host, name), facts);
        self.turn(&news);
    }

    /// The same, before anything is decided.
    pub(crate) fn notes_machine(&mut self, name: &str, sight: HostSight) {
        let facts = Facts::Host(Box::new(HostFacts { sight, about: None }));
        let news = self.judge(Subject::new(Kind::Host, name), facts);
        self.with_world(|alerts, world| news.iter().for_each(|transition| alerts.note(transition, world)));
    }

    pub(crate) fn loses_machine(&mut self, name: &str) {
        let last_seen = self.now().wall - SignedDuration::from_secs(31);
        self.sees_machine(name, HostSight::Lost { last_seen, grace: Duration::ZERO });
    }

    /// Nobody watches other machines any more.
    pub(crate) fn loses_sight(&mut self, name: &str) {
        let outcome = Err(ProbeError::new("etcd does not answer"));
        let news = self.judge_outcome(Subject::new(Kind::Host, name), outcome);
        self.turn(&news);
    }

    /// Several of them at the same instant, judged in one turn each, before any time passes.
    pub(crate) fn all(&mut self, names: &[&str], act: impl Fn(&mut Self, &str)) {
        names.iter().for_each(|name| act(self, name));
    }

    // What the monitor does.

    pub(crate) fn with_world<T>(&mut self, act: impl FnOnce(&mut Alerts, &World<'_>) -> T) -> T {
        let mut alerts = std::mem::take(&mut self.alerts);
        let done = self.with_other(&mut alerts, act);
        self.alerts = alerts;
        done
    }

    /// The same world, seen by other alerts.
    pub(crate) fn with_other<T>(
        &self,
        alerts: &mut Alerts,
        act: impl FnOnce(&mut Alerts, &World<'_>) -> T,
    ) -> T {
        let now = self.now();
        let world = World { state: &self.state, policy: &self.policy, rules: &self.rules, now: &now };
        act(alerts, &world)
    }

    /// One effect more; whether the monitor is killed after it.
    fn dies(&mut self) -> bool {
        let Some(left) = self.killed_in else { return false };
        self.killed_in = left.checked_sub(1);
        if left > 0 {
            return false;
        }
        self.kill();
        true
    }

    /// The monitor is killed, and another one goes on with what it kept.
    pub(crate) fn kill(&mut self) {
        self.begins_again(None);
    }

    fn begins_again(&mut self, reboot: Option<Reboot>) {
        (self.kills, self.killed_in) = (self.kills + 1, None);
        self.flying.clear();
        self.unkept.clear();
        self.alerts = self.store.alerts();
        let (state, gap) = self.store.state.clone().resume(&self.now());
        self.state = state;
        let gap = reboot.as_ref().map_or(gap, |reboot| {
            Some(Gap { from: reboot.down, to: self.now().wall, reason: GapReason::Boot })
        });
        self.story.extend(gap.map(Step::Gap));
        if let Some(reboot) = reboot {
            self.alerts.rebooted(reboot, &self.rules);
        }
        self.truth.clone_from(&self.store.truth);
        let names: Vec<String> = self.files.keys().chain(self.policy.services.keys()).cloned().collect();
        let mut news = Vec::new();
        for name in names {
            let facts = self.files.get(&name).cloned();
            let facts = facts.map_or(Facts::TimePassed, |facts| Facts::Service(Box::new(facts)));
            news.extend(self.judge(Subject::service(&name), facts));
        }
        self.with_world(|alerts, world| {
            news.iter().for_each(|transition| alerts.note(transition, world));
            alerts.agree(world);
            alerts.started(world.now);
        });
        self.unkept = news;
        self.turn(&[]);
    }

    /// The alerts are made again of what was kept, and everything else goes on.
    pub(crate) fn restarts_alerts(&mut self) {
        self.alerts = self.store.alerts();
        self.with_world(Alerts::agree);
        self.turn(&[]);
    }

    /// Takes in, decides, keeps, sends.
    pub(crate) fn turn(&mut self, news: &[Transition]) {
        if !news.is_empty() {
            self.last_news = news.to_vec();
            self.unkept = news.to_vec();
        }
        self.with_world(|alerts, world| news.iter().for_each(|transition| alerts.note(transition, world)));
        if self.dies() {
            return;
        }
        let before = self.watch.map(|_| self.alerts.clone());
        let notices = self.with_world(Alerts::plan);
        if let Some((watch, before)) = self.watch.zip(before) {
            let problem = watch(self, &notices).or_else(|| check_looks(self, before, &notices));
            self.problem = self.problem.take().or(problem);
        }
        self.decided.extend(notices);
        if self.dies() {
            return;
        }
        self.keep();
        if self.dies() {
            return;
        }
        for (notice, _) in self.alerts.take_due() {
            self.send(notice);
            if self.dies() {
                return;
            }
        }
        self.arrive();
    }

    fn keep(&mut self) {
        let is_start =
            |step: &Step| matches!(step, Step::Act(act) if matches!(act.deed, Deed::Started { .. }));
        let acts = self.alerts.changes().acts.into_iter().map(|act| Step::Act(act.clone()));
        let (starts, acts): (Vec<Step>, Vec<Step>) = acts.partition(is_start);
        let news = std::mem::take(&mut self.unkept);
        let together = (!news.is_empty()).then_some(Step::Together(news));
        self.story.extend(acts.into_iter().chain(together).chain(starts));
        self.store.keep(&self.alerts.changes(), &self.state);
        self.store.truth.clone_from(&self.truth);
        self.alerts.kept();
    }

    fn send(&mut self, notice: Notice) {
        let (t, channel, id) = (self.t, notice.channel.clone(), notice.id.clone());
        let (outcome, after) = self.server(&channel).take(notice, t);
        self.flying.push((t + after, channel, id, outcome));
    }

    /// Answers come.
    fn arrive(&mut self) {
        while let Some(at) = self.flying.iter().position(|(at, ..)| *at <= self.t) {
            let (_, channel, notice, outcome) = self.flying.remove(at);
            self.with_world(|alerts, world| alerts.delivered(&channel, &notice, &outcome, world));
            if self.dies() {
                return;
            }
            self.keep();
            self.server(&channel).answered(&notice, &outcome);
            if self.dies() {
                return;
            }
            self.turn(&[]);
        }
    }

    /// Time passes, and whatever it makes due happens.
    pub(crate) fn pass(&mut self, seconds: f64) {
        self.pass_until(self.t + Duration::from_secs_f64(seconds));
    }

    pub(crate) fn pass_until(&mut self, end: Duration) {
        let mut idle = 0;
        while let Some(next) = self.next(end) {
            idle = if next > self.t { 0 } else { idle + 1 };
            if idle > 200 {
                self.problem = Some("it plans again and again".into());
                break;
            }
            self.t = next.max(self.t);
            let boottime = self.t - self.booted;
            let due: Vec<Subject> = self.state.due(boottime).cloned().collect();
            let news: Vec<_> = due.into_iter().flat_map(|it| self.judge(it, Facts::TimePassed)).collect();
            self.arrive();
            self.turn(&news);
        }
        self.t = self.t.max(end);
    }

    fn next(&self, end: Duration) -> Option<Duration> {
        let boottimes = self.alerts.next_deadline().into_iter().chain(self.state.next_deadline());
        let answers = self.flying.iter().map(|(at, ..)| *at);
        let second = self.is_restless.then(|| Duration::from_secs(self.t.as_secs() + 1));
        let next = boottimes.map(|at| at + self.booted).chain(answers).chain(second).min();
        next.filter(|next| *next < end)
    }

    // What else happens.

    pub(crate) fn step_clock(&mut self, seconds: i64) {
        self.stepped += SignedDuration::from_secs(seconds);
        self.turn(&[]);
    }

    /// The power fails, and comes back.
    pub(crate) fn reboots(&mut self, was_clean: bool, away: f64) {
        let down = self.now().wall;
        self.t += Duration::from_secs_f64(away);
        (self.booted, self.boot) = (self.t, self.boot + 1);
        self.t += Duration::from_secs(5);
        for facts in self.files.values_mut() {
            facts.process = ProcessSight::Gone;
        }
        let up = self.now().wall - SignedDuration::from_secs(5);
        self.begins_again(Some(Reboot { down, up, was_clean }));
        // What happens next happens later.
        self.t += Duration::from_millis(1);
    }

    pub(crate) fn silence(&mut self, pattern: &str, seconds: f64) -> u64 {
        let created = self.now().wall;
        let id = self.alerts.silence(Silence {
            id: 0,
            pattern: pattern.into(),
            until: created + SignedDuration::from_secs_f64(seconds),
            while_command: None,
            reason: "work".into(),
            author: "me".into(),
            created,
        });
        self.turn(&[]);
        id
    }

    pub(crate) fn unsilence(&mut self, id: u64) {
        let at = self.now().wall;
        self.alerts.unsilence(id, at);
        self.turn(&[]);
    }

    pub(crate) fn acknowledges(&mut self) {
        let ids: Vec<u64> = self.alerts.open_incidents().map(|incident| incident.id).collect();
        let at = self.now().wall;
        ids.into_iter().for_each(|id| self.alerts.acknowledge(id, "me", at).unwrap());
        self.turn(&[]);
    }

    pub(crate) fn changes_its_configuration(&mut self) {
        let now = self.now();
        self.alerts.give_another_chance(&now);
        self.turn(&[]);
        self.pass(0.01);
    }

    /// Somebody feeds the judge with how the channels are.
    pub(crate) fn looks_at_channels(&mut self) {
        let problems: Vec<(String, Option<String>)> = self
            .alerts
            .channel_problems()
            .map(|(name, problem)| (name.to_owned(), problem.map(str::to_owned)))
            .collect();
        for (name, problem) in problems {
            let facts = look(problem);
            let news = self.judge(Subject::new(Kind::Channel, &name), facts);
            self.turn(&news);
        }
    }

    /// It is well again while nobody looks.
    pub(crate) fn recovers_unseen(&mut self, name: &str) {
        let Some(Ok(file)) = self.files.get_mut(name).map(|facts| facts.report.as_mut()) else { return };
        file.report.overall_status = Status::Healthy;
        file.report.checks = Vec::new();
    }

    pub(crate) fn forgets(&mut self, name: &str) {
        let now = self.now();
        let gone = Subject::service(name);
        self.files.remove(name);
        self.policy.services.remove(name);
        let news = self.state.forget_gone(|subject| *subject == gone, &now);
        self.truth.remove(&gone);
        self.turn(&news);
    }

    // What is seen.

    pub(crate) fn truth_of(&self, name: &str) -> Status {
        self.truth.get(&Subject::service(name)).copied().unwrap_or(Status::Unknown)
    }

    /// Time passes up to the next deadline, and whatever it makes due happens; a second where there is none.
    pub(crate) fn waits(&mut self) {
        let next = self.next(self.t + Duration::from_secs(3_600));
        let next = next.unwrap_or(self.t + Duration::from_secs(1));
        self.pass_until(next.max(self.t) + Duration::from_millis(1));
    }

    /// Everything that what comes depends on.
    pub(crate) fn fingerprint(&self) -> String {
        let Self { t, alerts, store, servers, flying, truth, killed_in, kills, .. } = self;
        format!("{t:?} {alerts:?} {store:?} {servers:?} {flying:?} {truth:?} {killed_in:?} {kills}")
    }

    /// The titles that a channel's server has, without those that came twice.
    pub(crate) fn titles(&mut self, channel: &str) -> Vec<String> {
        self.server(channel).titles()
    }

    /// The same, of what came since it was last asked.
    pub(crate) fn news(&mut self) -> Vec<String> {
        self.server("phone").news()
    }

    pub(crate) fn held(&self, name: &str) -> Option<Held> {
        self.held_of("phone", &Subject::service(name))
    }

    pub(crate) fn held_of(&self, channel: &str, subject: &Subject) -> Option<Held> {
        let views = self.alerts.channels_of(subject);
        let view = views.into_iter().find(|view| view.channel == channel)?;
        Some(view.decided?.held)
    }

    pub(crate) fn channel(&mut self) -> &mut ChannelRules {
        self.rules.channels.get_mut("phone").unwrap()
    }
}

/// A channel that is told of everything from a level on.
pub(crate) fn everything(level: Status) -> ChannelRules {
    let route = Route { kinds: Vec::new(), subjects: Vec::new(), level, quiet: None };
    ChannelRules { routes: vec![route], daily_budget: None }
}

/// A look from outside that is bad where there is a problem.
fn look(problem: Option<String>) -> Facts {
    let (code, output) = problem.map_or((0, String::new()), |problem| (2, problem));
    let end = CommandEnd::Exited(code);
    Facts::Probe(ProbeFacts::Command(CommandFacts { program: "send".into(), end, output }))
}
