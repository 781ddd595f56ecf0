//! Several watchers of the same machines: one of them tells, and it may be killed, paused or cut off between any two of
//! its effects.

use crate::host::everything;
use crate::random::Random;
use crate::store::Store;
use health_reporter::Status;
use healthcheck_core::alerts::{Alerts, Heard, Notice, NoticeReason, Outcome, Rules, World};
use healthcheck_core::{
    Facts, HostFacts, HostSight, Kind, Now, Observation, Policy, ProbeError, State, Subject, step,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SEEDS: u64 = 500;
const WATCHERS: usize = 3;
const MACHINES: [&str; 5] = ["io", "mars", "phobos", "titan", "venus"];
const LASTS_S: u64 = 1_200;
const SETTLES_S: u64 = 1_500;
/// A lease of the teller.
const LEASE_S: u64 = 10;
/// What is lost while a watcher does not watch.
const GRACE_S: u64 = 10;
/// Whoever is offline for so long is told of.
const LONG_S: u64 = 400;
/// What nobody's effects bring about happens all the same.
const PATIENCE_S: u64 = 20;
const PHONE: &str = "phone";

/// What becomes of a watcher, for so long.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Killed(u64),
    Paused(u64),
    CutOff(u64),
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Idle,
    Planned,
    Kept,
    Taken(Notice),
    /// All watchers know that it is going to be sent.
    Announced(Notice),
    Sent(Notice, Outcome, u64),
    Delivered,
    Told,
}

struct Watcher {
    id: usize,
    state: State,
    alerts: Alerts,
    store: Store,
    stage: Stage,
    is_down: bool,
    back_at: u64,
    paused_until: u64,
    cut_until: u64,
    /// As which teller it believes to be elected, and until when its lease lasts.
    token: Option<u64>,
    lease_until: u64,
    heard_revision: u64,
    /// What it knows of each machine's lease, while it watches.
    watched: Option<BTreeMap<&'static str, bool>>,
    /// After so many effects, and since when.
    fate: Option<(u32, Fate, u64)>,
    has_news: bool,
}

/// What all watchers share.
#[derive(Default)]
struct Etcd {
    teller: Option<(usize, u64)>,
    lease_until: u64,
    elections: u64,
    told: Vec<Heard>,
    revision: u64,
    /// Since when each machine is offline.
    offline: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Phone {
    is_down_until: u64,
    loses_until: u64,
    lost: u64,
    known: BTreeSet<String>,
    believes: BTreeMap<String, Status>,
    log: Vec<(u64, String, NoticeReason, Status)>,
}

struct Fleet {
    t: u64,
    random: Random,
    watchers: Vec<Watcher>,
    etcd: Etcd,
    phone: Phone,
    rules: Rules,
    policy: Policy,
    /// From when until when each machine was offline.
    deaths: Vec<(&'static str, u64, u64)>,
    story: Vec<String>,
}

fn machine(name: &str) -> Subject {
    Subject::new(Kind::Host, name)
}

impl Phone {
    fn take(&mut self, notice: &Notice, t: u64) -> Outcome {
        let failed = || Outcome::Failed { error: "refused".into(), retry_after: None };
        if t < self.is_down_until {
            return failed();
        }
        if self.known.insert(notice.id.clone()) {
            for item in &notice.items {
                self.believes.insert(item.subject.name.to_string(), item.status);
                self.log.push((t, item.subject.name.to_string(), item.reason, item.status));
            }
        }
        if t < self.loses_until {
            self.lost += 1;
            return failed();
        }
        Outcome::Accepted
    }
}

impl Watcher {
    fn new(id: usize) -> Self {
        let mut alerts = Alerts::new(&format!("w{id}"));
        alerts.tell_hosts(false, Timestamp::UNIX_EPOCH);
        Self {
            id,
            state: State::default(),
            alerts,
            store: Store::default(),
            stage: Stage::Planned,
            is_down: false,
            back_at: 0,
            paused_until: 0,
            cut_until: 0,
            token: None,
            lease_until: 0,
            heard_revision: 0,
            watched: None,
            fate: None,
            has_news: false,
        }
    }

    /// Its wall clock is a little wrong.
    fn now(&self, t: u64) -> Now {
        let skew = SignedDuration::from_secs(7 * i64::try_from(self.id).unwrap() - 7);
        let wall =
            Timestamp::constant(1_748_779_200, 0) + SignedDuration::try_from(Duration::from_secs(t)).unwrap();
        Now {
            wall: wall + skew,
            boottime: Duration::from_secs(t + 1_000),
            suspended: Duration::ZERO,
            boot_id: Some(format!("boot-{}", self.id).into()),
        }
    }
}

impl Fleet {
    fn new(seed: u64) -> Self {
        let mut rules = Rules {
            host: "deimos".into(),
            grace: Duration::ZERO,
            host_wait: Duration::from_secs(5),
            cooldown: Duration::from_secs(30),
            reminder: Duration::ZERO,
            ..Rules::default()
        };
        rules.channels.insert(PHONE.into(), everything(Status::Warning));
        Self {
            t: 0,
            random: Random::new(seed),
            watchers: (0..WATCHERS).map(Watcher::new).collect(),
            etcd: Etcd::default(),
            phone: Phone::default(),
            rules,
            policy: Policy::default(),
            deaths: Vec::new(),
            story: Vec::new(),
        }
    }

    fn tell(&mut self, line: impl std::fmt::Display) {
        self.story.push(format!("{:>5} {line}", self.t));
    }

    // What happens.

    fn event(&mut self) {
        match self.random.below(100) {
            0..35 => self.breaks_or_mends(),
            35..40 => self.mends_all(),
            40..46 => self.phone.is_down_until = self.t + self.random.below(60),
            46..52 => self.phone.loses_until = self.t + self.random.below(20),
            _ => self.strikes(),
        }
    }

    fn breaks_or_mends(&mut self) {
        let name = MACHINES[usize::try_from(self.random.below(MACHINES.len() as u64)).unwrap()];
        match self.etcd.offline.remove(name) {
            Some(since) => self.deaths.push((name, since, self.t)),
            None => drop(self.etcd.offline.insert(name, self.t)),
        }
        self.tell(format!("{name} offline: {}", self.etcd.offline.contains_key(name)));
    }

    fn mends_all(&mut self) {
        let t = self.t;
        self.deaths
            .extend(std::mem::take(&mut self.etcd.offline).into_iter().map(|(name, at)| (name, at, t)));
        self.tell("all are back");
    }

    /// Something becomes of a watcher, most often of the teller.
    fn strikes(&mut self) {
        let anybody = usize::try_from(self.random.below(WATCHERS as u64)).unwrap();
        let teller = self.etcd.teller.map(|(id, _)| id).filter(|_| self.random.below(4) > 0);
        let (effects, lasts) = (u32::try_from(self.random.below(9)).unwrap(), 3 + self.random.below(50));
        let fate = match self.random.below(3) {
            0 => Fate::Killed(lasts),
            1 => Fate::Paused(lasts),
            _ => Fate::CutOff(lasts),
        };
        let id = teller.unwrap_or(anybody);
        self.watchers[id].fate.get_or_insert((effects, fate, self.t));
        self.tell(format!("w{id} is to be {fate:?} after {effects} effects"));
    }

    fn second(&mut self) {
        if self.t >= self.etcd.lease_until {
            self.etcd.teller = None;
        }
        for id in 0..WATCHERS {
            self.live(id);
        }
        self.t += 1;
    }

    fn live(&mut self, id: usize) {
        let (t, watcher) = (self.t, &mut self.watchers[id]);
        if watcher.is_down {
            if t < watcher.back_at {
                return;
            }
            self.begins_again(id);
        }
        let watcher = &mut self.watchers[id];
        if t < watcher.paused_until {
            return;
        }
        if let Some((_, fate, since)) = watcher.fate
            && since + PATIENCE_S <= t
        {
            return self.suffers(id, fate);
        }
        // Whoever was interrupted goes on before he learns anything.
        if self.watchers[id].stage != Stage::Idle && !self.works(id) {
            return;
        }
        if t < self.watchers[id].cut_until {
            self.is_cut_off(id);
        } else {
            self.leads(id);
            self.watches(id);
            self.hears(id);
        }
        self.works(id);
    }

    fn suffers(&mut self, id: usize, fate: Fate) {
        self.tell(format!("w{id} is {fate:?} at {:?}", std::mem::discriminant(&self.watchers[id].stage)));
        let (t, watcher) = (self.t, &mut self.watchers[id]);
        watcher.fate = None;
        match fate {
            Fate::Killed(lasts) => (watcher.is_down, watcher.back_at) = (true, t + lasts),
            Fate::Paused(lasts) => watcher.paused_until = t + lasts,
            Fate::CutOff(lasts) => watcher.cut_until = t + lasts,
        }
    }

    fn begins_again(&mut self, id: usize) {
        let (t, watcher) = (self.t, &mut self.watchers[id]);
        let now = watcher.now(t);
        watcher.is_down = false;
        (watcher.token, watcher.watched, watcher.heard_revision) = (None, None, 0);
        watcher.alerts = watcher.store.alerts();
        watcher.state = watcher.store.state.clone().resume(&now).0;
        watcher.alerts.tell_hosts(false, now.wall);
        (watcher.stage, watcher.has_news) = (Stage::Idle, true);
        self.with_world(id, Alerts::agree);
    }

    fn with_world<T>(&mut self, id: usize, act: impl FnOnce(&mut Alerts, &World<'_>) -> T) -> T {
        let watcher = &mut self.watchers[id];
        let now = watcher.now(self.t);
        let world = World { state: &watcher.state, policy: &self.policy, rules: &self.rules, now: &now };
        act(&mut watcher.alerts, &world)
    }

    // What it knows.

    fn is_cut_off(&mut self, id: usize) {
        if self.watchers[id].watched.take().is_some() {
            for name in MACHINES {
                self.sees(id, name, Err(ProbeError::new("etcd does not answer")));
            }
        }
        if self.watchers[id].token.is_some() && self.t >= self.watchers[id].lease_until {
            self.resigns(id);
        }
    }

    fn watches(&mut self, id: usize) {
        let former = self.watchers[id].watched.take();
        let mut watched = BTreeMap::new();
        for name in MACHINES {
            let offline = self.etcd.offline.get(name).copied();
            let is_known = former.as_ref().is_some_and(|former| former.get(name) == Some(&offline.is_none()));
            if !is_known {
                let grace = Duration::from_secs(if former.is_some() { 0 } else { GRACE_S });
                let now = self.watchers[id].now(self.t);
                let sight = offline.map_or(HostSight::Alive, |at| HostSight::Lost {
                    last_seen: now.wall - SignedDuration::try_from(Duration::from_secs(self.t - at)).unwrap(),
                    grace,
                });
                self.sees(id, name, Ok(Facts::Host(Box::new(HostFacts { sight, about: None }))));
            }
            watched.insert(name, offline.is_none());
        }
        self.watchers[id].watched = Some(watched);
    }

    fn sees(&mut self, id: usize, name: &str, outcome: Result<Facts, ProbeError>) {
        let watcher = &mut self.watchers[id];
        let now = watcher.now(self.t);
        let observation = Observation { subject: machine(name), outcome, took: Duration::ZERO };
        let (state, news) = step(std::mem::take(&mut watcher.state), observation, &now, &self.policy);
        watcher.state = state;
        watcher.has_news |= !news.is_empty();
        self.with_world(id, |alerts, world| {
            news.iter().for_each(|transition| alerts.note(transition, world));
        });
    }

    /// It takes over all that was told.
    fn hears(&mut self, id: usize) {
        if self.watchers[id].heard_revision == self.etcd.revision || self.watchers[id].token.is_some() {
            return;
        }
        self.watchers[id].heard_revision = self.etcd.revision;
        self.watchers[id].has_news = true;
        let told = self.etcd.told.clone();
        self.with_world(id, |alerts, world| {
            let over = alerts.unheard(PHONE, &told, world.now.wall);
            alerts.heard(PHONE, &told, world);
            alerts.heard(PHONE, &over, world);
        });
    }

    // Who tells.

    fn leads(&mut self, id: usize) {
        let (t, watcher) = (self.t, &mut self.watchers[id]);
        match self.etcd.teller {
            Some((teller, token)) if teller == id && watcher.token == Some(token) => {
                self.etcd.lease_until = t + LEASE_S;
                watcher.lease_until = t + LEASE_S - 2;
            }
            Some((teller, _)) if teller == id => self.etcd.teller = None,
            Some(_) if watcher.token.is_some() => self.resigns(id),
            Some(_) => {}
            None if watcher.token.is_some() => self.resigns(id),
            None if watcher.stage == Stage::Idle => self.is_elected(id),
            None => {}
        }
    }

    fn is_elected(&mut self, id: usize) {
        self.etcd.elections += 1;
        self.etcd.teller = Some((id, self.etcd.elections));
        self.etcd.lease_until = self.t + LEASE_S;
        self.watchers[id].heard_revision = u64::MAX;
        self.hears(id);
        let watcher = &mut self.watchers[id];
        let now = watcher.now(self.t);
        (watcher.token, watcher.lease_until) = (Some(self.etcd.elections), self.t + LEASE_S - 2);
        watcher.alerts.tell_hosts(true, now.wall);
        watcher.has_news = true;
        self.tell(format!("w{id} is the teller"));
    }

    fn resigns(&mut self, id: usize) {
        let watcher = &mut self.watchers[id];
        let now = watcher.now(self.t);
        (watcher.token, watcher.has_news, watcher.heard_revision) = (None, true, u64::MAX);
        watcher.alerts.tell_hosts(false, now.wall);
        self.tell(format!("w{id} resigns"));
    }

    /// Writes what was told, if it is the teller.
    fn publishes(&mut self, id: usize) -> bool {
        let watcher = &self.watchers[id];
        let is_teller = watcher.token.is_some_and(|token| self.etcd.teller == Some((id, token)));
        if !is_teller || self.t < watcher.cut_until {
            return false;
        }
        self.etcd.told = watcher.alerts.shared(PHONE);
        self.etcd.revision += 1;
        true
    }

    fn recalls(&mut self, id: usize, notice: &Notice) -> Stage {
        self.resigns(id);
        self.watchers[id].alerts.recall(PHONE, &notice.id);
        Stage::Idle
    }

    // What it does, one effect after the other.

    /// Whether it came to an end by itself.
    fn works(&mut self, id: usize) -> bool {
        while let Some(next) = self.effect(id) {
            self.watchers[id].stage = next;
            if let Some((left, fate, since)) = self.watchers[id].fate {
                if left == 0 {
                    self.suffers(id, fate);
                    return false;
                }
                self.watchers[id].fate = Some((left - 1, fate, since));
            }
        }
        true
    }

    /// Where the next effect leads; nothing where there is none to do.
    fn effect(&mut self, id: usize) -> Option<Stage> {
        let t = self.t;
        match self.watchers[id].stage.clone() {
            Stage::Idle => self.plans(id).then_some(Stage::Planned),
            Stage::Planned => Some(self.keeps(id, Stage::Kept)),
            Stage::Kept => {
                let due = self.watchers[id].alerts.take_due().pop();
                Some(due.map_or(Stage::Idle, |(notice, _)| Stage::Taken(notice)))
            }
            Stage::Taken(notice) if self.publishes(id) => Some(Stage::Announced(notice)),
            Stage::Announced(notice)
                if self.watchers[id].token.is_some() && t < self.watchers[id].lease_until =>
            {
                let outcome = self.phone.take(&notice, t);
                self.tell(format!("w{id} sends {} {}: {outcome:?}", notice.id, notice.title));
                let latency = self.random.below(3);
                Some(Stage::Sent(notice, outcome, t + latency))
            }
            Stage::Taken(notice) | Stage::Announced(notice) => Some(self.recalls(id, &notice)),
            Stage::Sent(_, _, at) if t < at => None,
            Stage::Sent(notice, outcome, _) => {
                self.with_world(id, |alerts, world| alerts.delivered(PHONE, &notice.id, &outcome, world));
                Some(Stage::Delivered)
            }
            Stage::Delivered => Some(self.keeps(id, Stage::Told)),
            Stage::Told => {
                if !self.publishes(id) && self.watchers[id].token.is_some() {
                    self.resigns(id);
                }
                self.watchers[id].has_news = true;
                Some(Stage::Idle)
            }
        }
    }

    fn plans(&mut self, id: usize) -> bool {
        let now = self.watchers[id].now(self.t);
        let due: Vec<Subject> = self.watchers[id].state.due(now.boottime).cloned().collect();
        due.iter().for_each(|subject| self.sees(id, &subject.name, Ok(Facts::TimePassed)));
        let watcher = &mut self.watchers[id];
        let is_due = watcher.alerts.next_deadline().is_some_and(|at| at <= now.boottime);
        if !std::mem::take(&mut watcher.has_news) && !is_due {
            return false;
        }
        self.with_world(id, |alerts, world| drop(alerts.plan(world)));
        true
    }

    fn keeps(&mut self, id: usize, next: Stage) -> Stage {
        let watcher = &mut self.watchers[id];
        watcher.store.keep(&watcher.alerts.changes(), &watcher.state);
        watcher.alerts.kept();
        next
    }

    // What must hold.

    fn converges(&self, when: &str) -> Option<String> {
        MACHINES.iter().find_map(|name| {
            let truth = if self.etcd.offline.contains_key(name) { Status::Error } else { Status::Healthy };
            let believed = self.phone.believes.get(*name).copied().unwrap_or(Status::Healthy);
            (truth != believed).then(|| format!("{when}: {name} is {truth}, and believed to be {believed}"))
        })
    }

    fn openings<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u64> + 'a {
        let of_it = self.phone.log.iter().filter(move |(_, told, reason, status)| {
            told == name && *status == Status::Error && *reason == NoticeReason::Opened
        });
        of_it.map(|(at, ..)| *at)
    }

    /// Each death once, and at most once more whenever the teller changed or an answer was lost.
    fn is_too_often(&self) -> Option<String> {
        MACHINES.iter().find_map(|name| {
            let deaths = self.deaths.iter().filter(|(dead, ..)| dead == name).count() as u64;
            let (told, most) =
                (self.openings(name).count() as u64, deaths + self.etcd.elections - 1 + self.phone.lost);
            (told > most).then(|| format!("{name} fell {deaths} times, and that was told {told} times"))
        })
    }

    /// Of who was offline for long people know it.
    fn is_lost(&self) -> Option<String> {
        let mut long = self.deaths.iter().filter(|(_, from, to)| from + LONG_S <= *to);
        long.find_map(|(name, from, to)| {
            let mut told =
                self.phone.log.iter().rev().filter(|(at, told, ..)| told == name && *at <= from + LONG_S);
            let is_told = told.next().is_some_and(|(.., status)| *status == Status::Error);
            (!is_told).then(|| format!("{name} was offline from {from} to {to}, and nobody was told"))
        })
    }

    fn settles(&mut self) {
        (self.phone.is_down_until, self.phone.loses_until) = (0, 0);
        self.watchers.iter_mut().for_each(|watcher| watcher.fate = None);
        (0..SETTLES_S).for_each(|_| self.second());
    }
}

/// What breaks in one world, with its story.
fn world(seed: u64) -> Result<Fleet, String> {
    let mut fleet = Fleet::new(seed);
    let pause = 10 + fleet.random.below(60);
    while fleet.t < LASTS_S {
        if fleet.random.below(pause) == 0 {
            fleet.event();
        }
        fleet.second();
    }
    fleet.settles();
    let settled = fleet.converges("settled");
    fleet.mends_all();
    fleet.settles();
    let problem = settled
        .or_else(|| fleet.converges("mended"))
        .or_else(|| fleet.is_too_often())
        .or_else(|| fleet.is_lost());
    problem.map_or(Ok(()), |problem| Err(format!("seed {seed}: {problem}\n{}", fleet.story.join("\n"))))?;
    Ok(fleet)
}

#[test]
fn f28_each_death_is_told_whatever_becomes_of_the_tellers() {
    let (mut deaths, mut elections, mut told) = (0, 0, 0);
    for seed in 0..SEEDS {
        let fleet = world(seed).unwrap_or_else(|problem| panic!("{problem}"));
        deaths += fleet.deaths.len();
        elections += fleet.etcd.elections;
        told += MACHINES.iter().map(|name| fleet.openings(name).count()).sum::<usize>();
    }
    println!("{deaths} deaths, {elections} elections, {told} told");
    assert!(deaths > 2_000 && elections > 2_000 && told > 2_000, "{deaths} {elections} {told}");
}
