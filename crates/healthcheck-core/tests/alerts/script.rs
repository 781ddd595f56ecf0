//! What happens in a random world, drawn from its seed.

use crate::host::{Host, everything};
use crate::random::Random;
use crate::server::Weather;
use health_reporter::Status;
use healthcheck_core::ServicePolicy;
use healthcheck_core::alerts::{ChannelRules, Hours, MaintenanceWindow};
use jiff::civil::time;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    pub(crate) events: Vec<Event>,
    /// The monitor starts again after each event at which nothing is on its way.
    pub(crate) restarts: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) services: Vec<Service>,
    pub(crate) channels: Vec<Channel>,
    group_wait: u64,
    restart_wait: u64,
    cooldown: u64,
    reminder: u64,
    has_maintenance: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    depends_on: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) name: String,
    level: Status,
    is_quiet: bool,
    only: Option<String>,
    budget: Option<u32>,
    latency_ms: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) act: Act,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Starts(usize),
    Crashes(usize),
    Says(usize, Status),
    Stops(usize),
    Tears(usize),
    LosesFile(usize),
    Weather(usize, Weather),
    Silence(String, f64),
    Unsilence,
    Acknowledges,
    Kill(u32),
    Reboots(bool, f64),
    StepsClock(i64),
}

impl Script {
    /// A day in which everything happens.
    pub(crate) fn day(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let count = 6 + random.below(40);
        let mut draw = Draw { random, events: Vec::new(), plan: &plan };
        for _ in 0..count {
            draw.anything(DAY);
        }
        let events = draw.done();
        Self { seed, plan, events, restarts: false }
    }

    /// A few hours in which clocks and monitors go on.
    pub(crate) fn hours(seed: u64) -> Self {
        Self::quietly(seed, Duration::from_secs(7_200), 10)
    }

    pub(crate) fn calm_day(seed: u64) -> Self {
        Self::quietly(seed, DAY, 20)
    }

    fn quietly(seed: u64, length: Duration, count: u64) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let mut draw = Draw { random, events: Vec::new(), plan: &plan };
        for _ in 0..count {
            let at = draw.random.before(length);
            match draw.random.below(10) {
                0 => draw.weather(at),
                1 => draw.operator(at),
                _ => draw.service(at),
            }
        }
        let events = draw.done();
        Self { seed, plan, events, restarts: false }
    }

    pub(crate) fn host(&self) -> Host {
        let plan = &self.plan;
        let mut host = Host::new();
        host.rules.channels = plan.channels.iter().map(|it| (it.name.clone(), it.rules())).collect();
        host.rules.group_wait = Duration::from_secs(plan.group_wait);
        host.rules.restart_wait = Duration::from_secs(plan.restart_wait);
        host.rules.cooldown = Duration::from_secs(plan.cooldown);
        host.rules.reminder = Duration::from_secs(plan.reminder);
        if plan.has_maintenance {
            let hours = Hours { from: time(23, 0, 0, 0), until: time(1, 30, 0, 0) };
            host.rules.maintenance =
                vec![MaintenanceWindow { subjects: vec!["s0".into()], days: Vec::new(), hours }];
        }
        for channel in &plan.channels {
            host.server(&channel.name).latency = Duration::from_millis(channel.latency_ms);
        }
        for service in &plan.services {
            let depends_on = service.depends_on.clone();
            host.policy
                .services
                .insert(service.name.clone(), ServicePolicy { depends_on, ..ServicePolicy::default() });
        }
        plan.services.iter().for_each(|service| host.starts(&service.name));
        host
    }
}

impl Plan {
    fn draw(random: &mut Random) -> Self {
        let count = 3 + random.below(6);
        let services = (0..count).map(|at| {
            let parents = (0..at).filter(|_| random.percent(20)).map(|parent| format!("s{parent}"));
            Service { name: format!("s{at}"), depends_on: parents.collect() }
        });
        let services = services.collect();
        let channels = (0..1 + random.below(3)).map(|at| Channel {
            name: format!("c{at}"),
            level: random.pick(&[Status::Warning, Status::Warning, Status::Error, Status::Fatal]),
            is_quiet: random.percent(25),
            only: random.percent(20).then(|| "s1".to_owned()),
            budget: random.percent(15).then(|| 4 + u32::try_from(random.below(30)).unwrap()),
            latency_ms: random.pick(&[0, 0, 20, 3_000]),
        });
        let channels = channels.collect();
        Self {
            services,
            channels,
            group_wait: random.pick(&[0, 2, 2, 30]),
            restart_wait: random.pick(&[0, 15, 15, 60]),
            cooldown: random.pick(&[0, 60, 300, 300, 3_600]),
            reminder: random.pick(&[0, 600, 3_600, 3_600]),
            has_maintenance: random.percent(20),
        }
    }
}

impl Channel {
    fn rules(&self) -> ChannelRules {
        let mut rules = everything(self.level);
        rules.daily_budget = self.budget;
        rules.routes[0].subjects = self.only.iter().cloned().collect();
        if self.is_quiet {
            rules.routes[0].quiet = Some(Hours { from: time(22, 0, 0, 0), until: time(7, 0, 0, 0) });
        }
        rules
    }
}

struct Draw<'a> {
    random: Random,
    events: Vec<Event>,
    plan: &'a Plan,
}

impl Draw<'_> {
    fn done(mut self) -> Vec<Event> {
        self.events.sort_by_key(|event| event.at);
        self.events
    }

    fn add(&mut self, at: Duration, act: Act) {
        self.events.push(Event { at, act });
    }

    fn anything(&mut self, length: Duration) {
        let at = self.random.before(length);
        match self.random.below(20) {
            0..10 => self.service(at),
            10..13 => self.weather(at),
            13 | 14 => self.operator(at),
            15..18 => self.kill(at),
            18 => self.reboot(at),
            _ => {
                let seconds = self.random.pick(&[-7_200, -60, -1, 1, 60, 3_600]);
                self.add(at, Act::StepsClock(seconds));
            }
        }
    }

    fn one(&mut self) -> usize {
        usize::try_from(self.random.below(self.plan.services.len() as u64)).unwrap()
    }

    fn span(&mut self) -> Duration {
        self.random.span(Duration::from_secs(20_000))
    }

    fn service(&mut self, at: Duration) {
        match self.random.below(10) {
            0 => self.flaps(at),
            1 => {
                let count = 1 + self.random.below(self.plan.services.len() as u64);
                (0..count).for_each(|_| self.trouble(at));
            }
            _ => self.trouble(at),
        }
    }

    /// One is bad, and well again after a while.
    fn trouble(&mut self, at: Duration) {
        const BAD: [Status; 4] = [Status::Warning, Status::Error, Status::Error, Status::Fatal];
        let (one, lasts) = (self.one(), self.span());
        let act = match self.random.below(12) {
            0..4 => Act::Crashes(one),
            4 => Act::Stops(one),
            5 => Act::Tears(one),
            6 => Act::LosesFile(one),
            _ => Act::Says(one, self.random.pick(&BAD)),
        };
        self.add(at, act);
        if self.random.percent(30) {
            let (later, worse) = (self.random.before(lasts), self.random.pick(&BAD));
            self.add(at + later, Act::Says(one, worse));
        }
        if self.random.percent(85) {
            self.add(at + lasts, Act::Starts(one));
        }
    }

    fn flaps(&mut self, at: Duration) {
        let (one, bad) = (self.one(), self.random.pick(&[Status::Warning, Status::Error]));
        let period = Duration::from_millis(500 + self.random.below(90_000));
        for turn in 0..u32::try_from(6 + self.random.below(20)).unwrap() {
            let status = if turn % 2 == 0 { bad } else { Status::Healthy };
            self.add(at + period * turn, Act::Says(one, status));
        }
    }

    fn weather(&mut self, at: Duration) {
        const BAD: [Weather; 5] =
            [Weather::Down, Weather::Loses, Weather::Refuses, Weather::Later(30), Weather::Later(100_000)];
        let channel = usize::try_from(self.random.below(self.plan.channels.len() as u64)).unwrap();
        let (weather, lasts) = (self.random.pick(&BAD), self.span());
        self.add(at, Act::Weather(channel, weather));
        self.add(at + lasts, Act::Weather(channel, Weather::Works));
    }

    fn operator(&mut self, at: Duration) {
        let one = self.one();
        let pattern = if self.random.percent(50) { "*".to_owned() } else { format!("s{one}") };
        match self.random.below(4) {
            0 => self.add(at, Act::Acknowledges),
            1 => self.add(at, Act::Unsilence),
            _ => {
                let lasts = self.span().as_secs_f64();
                self.add(at, Act::Silence(pattern, lasts));
            }
        }
    }

    /// Just when something is going on.
    fn kill(&mut self, at: Duration) {
        let effects = u32::try_from(self.random.below(9)).unwrap();
        let at = match self.random.below(3) {
            0 => at,
            _ if self.events.is_empty() => at,
            _ => {
                let any = self.random.below(self.events.len() as u64);
                self.events[usize::try_from(any).unwrap()].at.saturating_sub(Duration::from_millis(1))
            }
        };
        self.add(at, Act::Kill(effects));
    }

    fn reboot(&mut self, at: Duration) {
        let away = self.span().as_secs_f64();
        let was_clean = self.random.percent(30);
        self.add(at, Act::Reboots(was_clean, away));
        for one in 0..self.plan.services.len() {
            if self.random.percent(90) {
                let later =
                    Duration::from_secs_f64(away) + Duration::from_millis(6_000 + self.random.below(60_000));
                self.add(at + later, Act::Starts(one));
            }
        }
    }
}
