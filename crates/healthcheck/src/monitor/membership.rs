//! This machine as one of many: what the others are told of it, and what is learned of them. Machines are judged as
//! anything else is; only who tells people of them is agreed on with the other watchers.

use super::{Monitor, Settings, TURN};
use crate::commands::etcd_access::access;
use crate::config::EtcdSettings;
use crate::fleet::keys::{HostValue, ServiceValue, Told, Tombstone, Word};
use crate::fleet::{Fleet, Heard, Known, News, Part, Seen, Setup, Standing};
use crate::history::{MachineState, Presence};
use crate::render::Remark;
use crate::sources::machine;
use health_reporter::{Status, clock};
use healthcheck_core::alerts::Notice;
use healthcheck_core::history::Window;
use healthcheck_core::{Facts, HostAbout, HostFacts, HostSight, Kind, Observation, ProbeError, Subject};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;

/// An etcd that is away for so long is worth a warning, by those who watch.
const TROUBLED: Duration = Duration::from_secs(600);
/// What changes within this time of a publication is published with the next one.
const TOGETHER: Duration = Duration::from_millis(100);

/// The monitor's part in a fleet, where it takes part in one.
pub(super) struct Membership {
    fleet: Option<Fleet>,
    started: Timestamp,
    /// When anything was last looked at before this run.
    known_until: Timestamp,
    published_boottime: Duration,
    publish_at: Option<Duration>,
    /// Notices that are sent if this machine is still the one that tells.
    unconfirmed: BTreeMap<(String, String), Unconfirmed>,
    /// What all watchers know that people were told.
    shared: Told,
    publishing_problem: Option<String>,
    watching_problem: Option<String>,
    /// Since when etcd cannot be used, as boot time.
    troubled_since: Option<Duration>,
    /// What became of the goodbye for good.
    goodbye: Option<Heard>,
}

/// A notice of which it is asked whether it may be sent.
struct Unconfirmed {
    notice: Notice,
    attempt: u32,
    /// The answer is of no use any more at this boot time: this machine's lease may have ended.
    until: Duration,
}

impl Membership {
    pub(super) fn new(known_until: Timestamp) -> Self {
        Self {
            fleet: None,
            started: Timestamp::now(),
            known_until,
            published_boottime: Duration::ZERO,
            publish_at: None,
            unconfirmed: BTreeMap::new(),
            shared: Told::default(),
            publishing_problem: None,
            watching_problem: None,
            troubled_since: None,
            goodbye: None,
        }
    }

    /// When the others are to be told how it stands here.
    pub(super) const fn next_boottime(&self) -> Option<Duration> {
        self.publish_at
    }

    pub(super) const fn fleet(&self) -> Option<&Fleet> {
        self.fleet.as_ref()
    }

    /// Something changed that others should see soon.
    pub(super) fn note_change(&mut self, boottime: Duration) {
        if self.fleet.is_some() {
            let soon = boottime.max(self.published_boottime + TOGETHER);
            self.publish_at = Some(self.publish_at.map_or(soon, |at| at.min(soon)));
        }
    }

    /// What is wrong with it, for whoever looks at all machines.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        let about = [("lease", &self.publishing_problem), ("watch", &self.watching_problem)];
        let said = about.into_iter().filter_map(|(about, problem)| Some((about, problem.clone()?)));
        let remark = |(about, message): (&'static str, String)| Remark {
            about: about.into(),
            status: Status::Unknown,
            message,
            counts: false,
        };
        said.map(remark).collect()
    }

    fn note_trouble(&mut self) {
        let since = self.problem().map(|_| self.troubled_since.unwrap_or_else(clock::boottime));
        self.troubled_since = since;
    }

    /// What is wrong with it.
    fn problem(&self) -> Option<&str> {
        self.publishing_problem.as_deref().or(self.watching_problem.as_deref())
    }
}

impl Monitor {
    /// Until it is known who tells of other machines nobody is told of them here, whatever was on its way.
    pub(super) fn await_teller(&mut self) {
        if self.setup().is_some_and(|setup| setup.is_one_of_several()) {
            self.alerts.tell_hosts(false, Timestamp::now());
        }
    }

    /// Takes part in the fleet of the configuration from now on.
    pub(super) fn begin_membership(&mut self) {
        let is_watching = self.settings.config.fleet.etcd.as_ref().is_some_and(|etcd| etcd.watch);
        if !is_watching {
            self.forget_hosts();
        }
        let Some(setup) = self.setup() else {
            self.alerts.tell_hosts(true, Timestamp::now());
            return;
        };
        self.alerts.tell_hosts(!setup.is_one_of_several(), Timestamp::now());
        // What one found out of a fleet that was left does not reach the next.
        let (news, received) = mpsc::unbounded_channel();
        self.inputs.fleet = received;
        match Fleet::begin(setup, news) {
            Ok(fleet) => {
                self.membership.fleet = Some(fleet);
                self.membership.goodbye = None;
                self.publish();
            }
            Err(error) => {
                warn!("cannot take part in the fleet: {error}");
                self.membership.publishing_problem = Some(format!("cannot take part in the fleet: {error}"));
            }
        }
    }

    fn forget_hosts(&mut self) {
        let hosts: Vec<Subject> = self.state.subjects(Kind::Host).cloned().collect();
        for host in &hosts {
            self.forget(host);
        }
    }

    fn setup(&self) -> Option<Setup> {
        let Settings { config, rules, .. } = &self.settings;
        let etcd: &EtcdSettings = config.fleet.etcd.as_ref()?;
        let hosts = self.state.subjects(Kind::Host).map(|host| host.name.to_string()).collect();
        let known = Known { hosts, until: self.membership.known_until };
        Some(Setup {
            access: access(config, etcd),
            prefix: etcd.prefix.clone(),
            host: machine::host_name(),
            ttl: etcd.ttl,
            interval: etcd.interval,
            watch: etcd.watch.then_some(known),
            may_tell: !rules.dry_run && !config.channels.is_empty(),
        })
    }

    /// Another configuration is in force.
    pub(super) fn renew_membership(&mut self, former: &Settings) {
        if let (Some(fleet), Some(setup)) = (&self.membership.fleet, self.setup())
            && fleet.is_set_up_as(&setup)
        {
            return self.publish();
        }
        let place = |settings: &Settings| {
            let etcd = settings.config.fleet.etcd.clone();
            etcd.map(|etcd| (etcd.endpoints, etcd.prefix))
        };
        let is_left = place(&self.settings) != place(former);
        // Who stays gets another lease, under the same keys.
        if let Some(fleet) = self.membership.fleet.take().filter(|_| is_left) {
            fleet.leave(Tombstone { retired: true, ..self.tombstone("it left the fleet") });
        }
        self.recall_all();
        (self.membership.publishing_problem, self.membership.watching_problem) = (None, None);
        self.membership.known_until = Timestamp::now();
        self.begin_membership();
    }

    pub(super) fn end_membership(&mut self, why: &str) {
        if let Some(fleet) = self.membership.fleet.take() {
            fleet.stop(self.tombstone(why));
        }
    }

    /// Nobody is to miss this machine from now on, until its monitor begins anew.
    pub(super) fn leave_for_good(&mut self) -> Option<Heard> {
        let Some(fleet) = self.membership.fleet.take() else { return self.membership.goodbye.clone() };
        let heard =
            fleet.leave(Tombstone { retired: true, expected_back: None, ..self.tombstone("retired") });
        self.recall_all();
        // Nobody here sees how the others are any more.
        self.alerts.tell_hosts(false, Timestamp::now());
        self.forget_hosts();
        (self.membership.publishing_problem, self.membership.watching_problem) = (None, None);
        (self.membership.publish_at, self.membership.troubled_since) = (None, None);
        self.own.note("etcd", "this machine said goodbye for good");
        self.membership.goodbye = Some(heard.clone());
        Some(heard)
    }

    fn tombstone(&self, reason: &str) -> Tombstone {
        let at = Timestamp::now();
        Tombstone { at, reason: reason.to_owned(), expected_back: self.expected_back(at), retired: false }
    }

    /// The end of the planned work that this machine stops in.
    fn expected_back(&self, at: Timestamp) -> Option<Timestamp> {
        let rules = &self.settings.rules;
        let own = Subject::new(Kind::Host, &machine::host_name());
        let windows = rules.maintenance.iter().filter(|window| window.covers(&own, at, &rules.zone));
        let day = Window { from: at, to: at.checked_add(SignedDuration::from_hours(48)).ok()? };
        let ends = windows.filter_map(|window| Some(window.times(day, &rules.zone).first()?.to));
        ends.max()
    }

    /// Lets the others know how it stands here, where that is due.
    pub(super) fn publish_due(&mut self, boottime: Duration) {
        if self.membership.publish_at.is_some_and(|at| at <= boottime) {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let standing = self.standing();
        let Some(fleet) = &self.membership.fleet else { return };
        fleet.publish(standing);
        let boottime = clock::boottime();
        self.membership.published_boottime = boottime;
        let interval = self.settings.config.fleet.etcd.as_ref().map(|etcd| etcd.interval);
        self.membership.publish_at = interval.map(|interval| boottime + interval);
    }

    fn standing(&self) -> Standing {
        let fleet = &self.settings.config.fleet;
        let host = machine::host_name();
        let services: BTreeMap<String, ServiceValue> = self
            .state
            .subjects(Kind::Service)
            .filter_map(|subject| Some((subject.name.to_string(), self.service_value(subject)?)))
            .collect();
        let host = HostValue {
            hostname: fleet.hostname.clone().unwrap_or_else(|| host.clone()),
            host,
            description: fleet.description.clone().unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: self.boot_id.as_deref().map(str::to_owned),
            started: Some(self.membership.started),
            status: Word(self.state.overall_status(&self.settings.policy)),
            services: services.len(),
            ..HostValue::default()
        };
        Standing { host, services }
    }

    fn service_value(&self, subject: &Subject) -> Option<ServiceValue> {
        let verdict = self.state.verdict(subject)?;
        Some(ServiceValue {
            status: Word(verdict.status),
            cause: verdict.cause.as_str().to_owned(),
            message: verdict.message.clone(),
            since: Some(verdict.since),
            current_task: self.state.task(subject).map(str::to_owned),
        })
    }

    /// Takes in what the thread found out, and what else it found out by then: of a thousand machines that fall
    /// together each is told by itself.
    pub(super) fn take_news_of_fleet(&mut self, first: News) {
        let (end, mut next) = (clock::boottime() + TURN, Some(first));
        while let Some(news) = next {
            self.learn_of_fleet(news);
            next = if clock::boottime() < end { self.inputs.fleet.try_recv().ok() } else { None };
        }
        self.is_plan_due = true;
        self.settle();
    }

    fn learn_of_fleet(&mut self, news: News) {
        match news {
            News::Seen(seen) => self.see_hosts(seen),
            News::Blind(problem) => self.lose_sight(&problem),
            News::Teller(tells) => self.alerts.tell_hosts(tells, Timestamp::now()),
            News::Told(told) => self.hear(told),
            News::Confirmed { channel, notice, may_send } => {
                self.send_confirmed(&(channel, notice), may_send);
            }
            News::Health { part: Part::Publishing, problem } => {
                self.membership.publishing_problem = problem;
                self.membership.note_trouble();
                self.tell_health_of_fleet();
            }
            News::Health { part: Part::Watching, problem } => {
                self.membership.watching_problem = problem;
                self.membership.note_trouble();
                self.tell_health_of_fleet();
            }
        }
    }

    fn see_hosts(&mut self, seen: Vec<Seen>) {
        for Seen { host, sight, about } in seen {
            let subject = Subject::new(Kind::Host, &host);
            let Some(sight) = sight else {
                self.forget(&subject);
                continue;
            };
            let outcome = Ok(Facts::Host(Box::new(HostFacts { sight, about })));
            self.observe(Observation { subject: subject.clone(), outcome, took: Duration::ZERO });
            self.remember_machine(&subject);
        }
    }

    /// How a machine stands is kept in the history as well; of this one its own monitor says that.
    pub(super) fn remember_machine(&mut self, subject: &Subject) {
        let Some(HostFacts { sight, about }) = self.state.host(subject) else { return };
        if *subject.name == *machine::host_name() {
            return;
        }
        let is_bad = self.state.verdict(subject).is_some_and(|verdict| verdict.status.is_bad());
        let (status, last_seen) = match sight {
            HostSight::Alive => (Presence::Online, Timestamp::now()),
            HostSight::Lost { last_seen, .. } if is_bad => (Presence::Offline, *last_seen),
            HostSight::Lost { last_seen, .. } => (Presence::Unknown, *last_seen),
            HostSight::Stopped(farewell) => (Presence::Stopped, farewell.at),
        };
        let HostAbout { hostname, description, .. } = about.clone().unwrap_or_default();
        let name = subject.name.to_string();
        self.gathering.note_machine(MachineState { name, hostname, description, status, last_seen });
    }

    /// Nobody looks at the other machines any more: that is no outage of theirs.
    fn lose_sight(&mut self, problem: &str) {
        let hosts: Vec<Subject> = self.state.subjects(Kind::Host).cloned().collect();
        for subject in hosts {
            let outcome = Err(ProbeError::new(problem));
            self.observe(Observation { subject, outcome, took: Duration::ZERO });
        }
    }

    /// What the teller told counts as told.
    fn hear(&mut self, told: Told) {
        let now = self.now();
        let world = self.settings.world(&self.state, &now);
        for channel in self.settings.rules.channels.keys() {
            let mut heard = told.channels.get(channel).cloned().unwrap_or_default();
            heard.extend(self.alerts.unheard(channel, &heard, now.wall));
            self.alerts.heard(channel, &heard, &world);
        }
        self.membership.shared = told;
    }

    /// Sends a notice; one that tells of machines only after it was made sure that nobody else does.
    pub(super) fn send(&mut self, notice: Notice, attempt: u32) {
        let fleet = self.membership.fleet.as_ref().filter(|fleet| fleet.is_one_of_several());
        let Some(fleet) = fleet.filter(|_| notice.tells_hosts()) else {
            return self.posts.send(notice, attempt, None);
        };
        let told = self.told_of_hosts();
        let until = clock::boottime() + fleet.outlives();
        fleet.confirm(&notice.channel, &notice.id, told.clone());
        let key = (notice.channel.clone(), notice.id.clone());
        self.membership.shared = told;
        self.membership.unconfirmed.insert(key, Unconfirmed { notice, attempt, until });
    }

    fn send_confirmed(&mut self, key: &(String, String), may_send: bool) {
        match self.membership.unconfirmed.remove(key) {
            Some(Unconfirmed { notice, attempt, until }) if may_send && clock::boottime() < until => {
                self.posts.send(notice, attempt, Some(until));
            }
            _ => self.alerts.recall(&key.0, &key.1),
        }
    }

    fn recall_all(&mut self) {
        for (channel, notice) in std::mem::take(&mut self.membership.unconfirmed).into_keys() {
            self.alerts.recall(&channel, &notice);
        }
    }

    /// What our channels were told of machines, and those that only other watchers have.
    fn told_of_hosts(&self) -> Told {
        let own = &self.settings.rules.channels;
        let others =
            self.membership.shared.channels.iter().filter(|(channel, _)| !own.contains_key(*channel));
        let others = others.map(|(channel, heard)| (channel.clone(), heard.clone()));
        let ours = own.keys().map(|channel| (channel.clone(), self.alerts.shared(channel)));
        let all = others.chain(ours).filter(|(_, heard)| !heard.is_empty());
        Told { channels: all.collect() }
    }

    /// What a channel accepted all watchers are to know.
    pub(super) fn share_told(&mut self) {
        let is_one_of_several = self.membership.fleet().is_some_and(Fleet::is_one_of_several);
        if !is_one_of_several || !self.alerts.tells_hosts() {
            return;
        }
        let told = self.told_of_hosts();
        if let Some(fleet) = &self.membership.fleet
            && told != self.membership.shared
        {
            fleet.told(told.clone());
            self.membership.shared = told;
        }
    }

    /// One line in our own report. That etcd is away is no warning at once: each machine would tell of the same.
    pub(super) fn tell_health_of_fleet(&self) {
        let etcd = self.settings.config.fleet.etcd.as_ref().filter(|_| self.membership.fleet.is_some());
        let Some(etcd) = etcd else { return };
        let is_lasting = self.membership.troubled_since.is_some_and(|it| it + TROUBLED <= clock::boottime());
        if let Some(problem) = self.membership.problem().filter(|_| !(is_lasting && etcd.watch)) {
            return self.own.note("etcd", problem);
        }
        let hosts = self.state.subjects(Kind::Host).count();
        let well = match etcd.watch {
            true => format!("this machine's lease is renewed, {hosts} others are watched"),
            false => "this machine's lease is renewed".to_owned(),
        };
        self.own.tell("etcd", self.membership.problem(), &well);
    }
}
