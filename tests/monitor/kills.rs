//! The monitor is killed at random moments under load: its story equals what happened.

use crate::support::{Dice, Machine, Monitor, Process, beat_of, eventually};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Services at one time; whoever has been through enough makes room for another one.
const SERVICES: usize = 6;
/// Ends of one service: four runs without a goodbye would be a crash loop.
const MAX_ENDS: u32 = 3;
/// How long after a fact its verdict may be given, on a machine that is busy with other tests.
const LATE: SignedDuration = SignedDuration::from_secs(1);

/// How a service is: status and cause.
type How = (&'static str, &'static str);
const HEALTHY: How = ("healthy", "self_reported");
const WARNING: How = ("warning", "self_reported");
const CRASHED: How = ("error", "crashed");
const STOPPED: How = ("healthy", "stopped");
const MISSING: How = ("error", "missing");

/// What was done to a service, and when: how it is from then on.
#[derive(Debug)]
struct Act {
    begun: Timestamp,
    done: Timestamp,
    how: How,
}

/// A service, its process, and all that it went through.
struct Service {
    name: String,
    process: Option<Process>,
    acts: Vec<Act>,
    ends: u32,
}

impl Service {
    fn begin(machine: &Machine, name: String) -> Self {
        let mut service = Self { name, process: None, acts: Vec::new(), ends: 0 };
        service.returns(machine);
        service
    }

    fn how(&self) -> How {
        self.acts.last().unwrap().how
    }

    fn act(&mut self, how: How, act: impl FnOnce(&mut Self)) {
        let begun = Timestamp::now();
        act(self);
        self.acts.push(Act { begun, done: Timestamp::now(), how });
    }

    fn reports(&self, machine: &Machine, (status, cause): How) {
        let mut report = beat_of(self.process.as_ref().unwrap().pid());
        report["overall_status"] = json!(status);
        report["state"] = json!(if cause == "stopped" { "stopped" } else { "running" });
        report["deadline_s"] = json!(3_600);
        machine.reports(&self.name, &report);
    }

    fn returns(&mut self, machine: &Machine) {
        self.act(HEALTHY, |service| {
            service.process = Some(Process::start(&mut machine.any_command("sleep", &["600"])));
            service.reports(machine, HEALTHY);
        });
    }

    fn says(&mut self, machine: &Machine, how: How) {
        self.act(how, |service| service.reports(machine, how));
    }

    fn crashes(&mut self) {
        self.act(CRASHED, |service| service.process.take().unwrap().kill());
    }

    fn says_goodbye(&mut self, machine: &Machine) {
        self.says(machine, STOPPED);
        self.process.take().unwrap().kill();
    }

    fn vanishes(&mut self, machine: &Machine) {
        let file = machine.health_dir().join(format!("{}.json", self.name));
        self.act(MISSING, |_| std::fs::remove_file(file).unwrap());
    }

    fn goes_on(&mut self, machine: &Machine, dice: &mut Dice) {
        match (self.how(), dice.below(6)) {
            (CRASHED | STOPPED, _) => self.returns(machine),
            (MISSING, _) => self.says(machine, HEALTHY),
            (_, 0 | 1) => {
                self.ends += 1;
                self.crashes();
            }
            (_, 2) => {
                self.ends += 1;
                self.says_goodbye(machine);
            }
            (_, 3) => self.vanishes(machine),
            (HEALTHY, 4) => self.says(machine, WARNING),
            (_, 4) => self.says(machine, HEALTHY),
            (how, _) => self.reports(machine, how),
        }
    }

    /// Whether nothing more happens to it.
    fn is_through(&self) -> bool {
        self.ends == MAX_ENDS || self.acts.len() > 12
    }

    /// How it was all the time between two instants, where that is certain.
    fn how_within(&self, from: Timestamp, to: Timestamp) -> Option<How> {
        let at = self.acts.iter().rposition(|act| act.done <= from)?;
        self.acts.get(at + 1).is_none_or(|next| next.begun >= to).then(|| self.acts[at].how)
    }

    /// Whether it was so once, later than the act that was told before, and shortly before it was told.
    fn was(&self, how: (&str, &str), told: Timestamp, after: Option<usize>) -> Option<usize> {
        let from = after.map_or(0, |after| after + 1);
        let is_in_time = |at: usize| {
            let end = self.acts.get(at + 1).map(|next| next.done + LATE);
            self.acts[at].begun <= told && end.is_none_or(|end| told <= end)
        };
        (from..self.acts.len()).find(|at| self.acts[*at].how == how && is_in_time(*at))
    }
}

/// All services, and what the monitors said and were.
struct World {
    machine: Machine,
    services: Vec<Service>,
    dice: Dice,
    told: Vec<Value>,
    lives: Vec<Life>,
}

/// A monitor that was killed.
#[derive(Debug)]
struct Life {
    spawned: Timestamp,
    ready: Option<Timestamp>,
    killed: Timestamp,
}

impl World {
    fn new() -> Self {
        let (machine, dice) = (Machine::new(), Dice::new("kills"));
        Self { machine, services: Vec::new(), dice, told: Vec::new(), lives: Vec::new() }
    }

    fn live(&mut self) -> Vec<usize> {
        let mut live: Vec<_> =
            (0..self.services.len()).filter(|at| !self.services[*at].is_through()).collect();
        while live.len() < SERVICES {
            live.push(self.services.len());
            let name = format!("service{}", self.services.len());
            self.services.push(Service::begin(&self.machine, name));
        }
        live
    }

    fn go_on_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let live = self.live();
            let one = live[self.dice.one_of(live.len())];
            self.services[one].goes_on(&self.machine, &mut self.dice);
            sleep(Duration::from_millis(self.dice.below(40)));
        }
    }

    /// Most monitors do not live long; some live long enough to be held to what they should have seen.
    fn lifetime(&mut self) -> Duration {
        let most = if self.dice.below(8) == 0 { 2_500 } else { 400 };
        Duration::from_millis(self.dice.below(most))
    }

    fn kill_one(&mut self) {
        let spawned = Timestamp::now();
        let monitor = Monitor::starting(&mut self.machine.command(&["monitor"]));
        let lifetime = self.lifetime();
        self.go_on_for(lifetime);
        let killed = Timestamp::now();
        let told = monitor.killed();
        let started = told.iter().find(|event| event["type"] == "started");
        self.lives.push(Life { spawned, ready: started.map(|event| at(&event["at"])), killed });
        self.told.extend(told);
        let pause = self.dice.below(60);
        self.go_on_for(Duration::from_millis(pause));
    }

    /// Nothing more happens, and the last monitor has seen all of it.
    fn comes_to_rest(&mut self) {
        let missing = self.services.iter_mut().filter(|service| service.how() == MISSING);
        missing.for_each(|service| service.says(&self.machine, HEALTHY));
        let mut monitor = self.machine.monitors();
        eventually("the last monitor to know how all are", || {
            let snapshot = self.machine.snapshot();
            self.services.iter().all(|service| snapshot.verdict(&service.name) == service.how()).then_some(())
        });
        monitor.stop();
        self.told.extend(monitor.told());
    }
}

fn at(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

fn how(row: &Value) -> (&str, &str) {
    (row["to_status"].as_str().unwrap(), row["cause"].as_str().unwrap())
}

/// What was told is kept, once, as it was told.
fn is_kept_as_told(told: &[Value], kept: &BTreeMap<i64, &Value>) {
    let mut ids = BTreeSet::new();
    for event in told.iter().filter(|event| event["type"] == "transition") {
        let id = event["id"].as_i64().unwrap_or_else(|| panic!("not kept: {event}"));
        assert!(ids.insert(id), "told twice: {event}");
        let row = kept.get(&id).unwrap_or_else(|| panic!("told, and not kept: {event}"));
        let keys = [("subject", "name"), ("from", "from_status"), ("to", "to_status"), ("cause", "cause")];
        keys.iter().for_each(|(told, kept)| assert_eq!(event[told], row[kept], "{event} was kept as {row}"));
    }
}

/// Each change follows the one before, none is there twice, none is invented, and the last is the truth.
fn is_true(service: &Service, story: &[&Value]) {
    let tale = || format!("{}: {:#?}\nis told as {story:#?}", service.name, service.acts);
    let (mut former, mut after) = (("unknown", ""), None);
    for row in story {
        assert_eq!(row["from_status"], former.0, "no chain: {}", tale());
        assert_ne!(how(row), former, "twice: {}", tale());
        after = service.was(how(row), at(&row["at"]), after);
        assert!(after.is_some(), "invented: {row}\n{}", tale());
        former = how(row);
    }
    assert_eq!(former, service.how(), "not the truth: {}", tale());
}

/// How a service was held to be at an instant.
fn held<'a>(story: &[&'a Value], instant: Timestamp) -> Option<(&'a str, &'a str)> {
    story.iter().rev().find(|row| at(&row["at"]) <= instant).map(|row| how(row))
}

/// What lasted from before a monitor began until it was ready is in the story, and what lasted a second while it
/// watched. Returns how often that was so.
fn is_complete(service: &Service, story: &[&Value], lives: &[Life]) -> usize {
    let mut shown = 0;
    for life in lives {
        let Some(ready) = life.ready else { continue };
        let mut instants = vec![(life.spawned, ready)];
        let ends = service.acts.iter().map(|act| act.begun).chain([life.killed]);
        let watched = ends.filter(|end| ready + LATE <= *end && *end <= life.killed);
        instants.extend(watched.map(|end| (end - LATE, end)));
        for (from, to) in instants {
            let Some(how) = service.how_within(from, to) else { continue };
            // Nobody knows of a report that was gone before anybody saw it.
            if how == MISSING && held(story, to).is_none() {
                continue;
            }
            let context =
                || format!("{} within {from} and {to}: {story:#?}\n{:#?}", service.name, service.acts);
            assert_eq!(held(story, to), Some(how), "{}", context());
            shown += 1;
        }
    }
    shown
}

#[test]
fn killed_at_any_moment_it_loses_nothing_and_invents_nothing() {
    let kills = std::env::var("MONITOR_KILLS").map_or(40, |kills| kills.parse().unwrap());
    let mut world = World::new();
    for _ in 0..kills {
        world.kill_one();
    }
    world.comes_to_rest();
    let rows = world.machine.kept("transitions");
    let kept = rows.iter().map(|row| (row["id"].as_i64().unwrap(), row)).collect();
    is_kept_as_told(&world.told, &kept);
    let (mut shown, mut crashes) = (0, 0);
    for service in &world.services {
        let story: Vec<_> = rows.iter().filter(|row| row["name"] == service.name.as_str()).collect();
        is_true(service, &story);
        shown += is_complete(service, &story, &world.lives);
        crashes += story.iter().filter(|row| how(row) == CRASHED).count();
    }
    let ready = world.lives.iter().filter(|life| life.ready.is_some()).count();
    println!(
        "{kills} kills, {ready} of them after it was ready; {} services, {crashes} crashes kept, {} transitions, \
         {shown} times held to the truth",
        world.services.len(),
        rows.len()
    );
    assert!(shown > kills && crashes > 0, "this shows nothing");
}
