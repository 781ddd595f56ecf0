//! Machines and an etcd of three members, while the members and the network between them fail.

use super::leases::at;
use crate::support::members::{Cut, Members};
use crate::support::{Dice, Host, Monitor, eventually};
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

const LEASE: &str = "ttl = \"10s\"\ninterval = \"3s\"\n";
const TTL: Duration = Duration::from_secs(10);
const AT_ONCE: &str =
    "[alerts]\ngrace = \"0s\"\ncooldown = \"0s\"\n[channels.file]\nkind = \"log\"\npath = \"told.jsonl\"\n";

/// What happens to the members, and to the one that watches.
#[derive(Debug, Clone, Copy)]
enum Fault {
    LeaderDies,
    LeaderHangs,
    LeaderIsCutOff,
    FollowerIsCutOff,
    /// The member that the watcher asks is cut off from the others, and still there for the watcher.
    WatchersMemberIsAlone,
    WatcherIsCutOff,
    AllBeginAnew,
    AllAreAway,
    AllHang,
    PacketsAreLost,
}

const FAULTS: [Fault; 10] = [
    Fault::LeaderDies,
    Fault::LeaderHangs,
    Fault::LeaderIsCutOff,
    Fault::FollowerIsCutOff,
    Fault::WatchersMemberIsAlone,
    Fault::WatcherIsCutOff,
    Fault::AllBeginAnew,
    Fault::AllAreAway,
    Fault::AllHang,
    Fault::PacketsAreLost,
];

/// Those that happen in each run.
const USUAL: [Fault; 6] = [
    Fault::LeaderDies,
    Fault::LeaderIsCutOff,
    Fault::WatchersMemberIsAlone,
    Fault::AllBeginAnew,
    Fault::AllHang,
    Fault::PacketsAreLost,
];

struct Story {
    members: Members,
    deimos: Host,
    watcher: Monitor,
    publishers: [(Host, Monitor); 2],
    /// How many of them have died until now.
    deaths: usize,
}

impl Story {
    fn new() -> Self {
        let members = Members::start(&["deimos", "phobos", "europa"]);
        let publishers = ["phobos", "europa"].map(|name| {
            let host = members.host(name);
            host.joins(&Members::endpoints(), LEASE, "");
            let monitor = host.monitors();
            (host, monitor)
        });
        let deimos = members.host("deimos");
        deimos.joins(&Members::endpoints(), &format!("{LEASE}watch = true\n"), AT_ONCE);
        let watcher = deimos.monitors();
        let story = Self { members, deimos, watcher, publishers, deaths: 0 };
        story.is_well();
        story
    }

    #[track_caller]
    fn is_well(&self) {
        for (host, _) in &self.publishers {
            self.deimos.sees(&host.name, "online");
        }
    }

    fn told(&self) -> String {
        fs::read_to_string(self.deimos.machine.root().join("told.jsonl")).unwrap_or_default()
    }

    /// How often somebody was told that a host is offline, or that it falls again and again.
    fn told_offline(&self) -> usize {
        let told = self.told();
        let words = |line: &&str| {
            line.contains(": host ") && (line.contains(" is offline") || line.contains("flapping"))
        };
        told.lines().filter(words).count()
    }

    #[track_caller]
    fn leader(&self) -> usize {
        eventually("a leader", || self.members.leader())
    }

    /// A host dies, it may be together with the leader. It is seen after its lease, and soon after that.
    #[track_caller]
    fn dies(&mut self, which: usize, with_leader: bool) {
        // Nobody is given time any more to come back after what was before.
        sleep(TTL);
        let (host, monitor) = &self.publishers[which];
        let (name, mut begins) = (host.name.clone(), Timestamp::now());
        monitor.signal(Signal::KILL);
        if with_leader {
            let leader = self.leader();
            self.members.kill(leader);
            self.leader();
            begins = Timestamp::now();
            self.members.go(leader);
        }
        let seen = at(&self.watcher.transition(&name, "error", "overdue")).duration_since(begins);
        let since = if with_leader { "the change of the leader" } else { "its death" };
        println!("{name} died: seen {:.1} s after {since}", seen.as_secs_f64());
        assert!(seen.as_secs_f64() < TTL.as_secs_f64() + 1.0, "{seen}");
        self.deaths += 1;
        eventually("somebody to be told", || (self.told_offline() == self.deaths).then_some(()));
        self.publishers[which].1 = self.publishers[which].0.monitors();
        self.is_well();
    }

    /// A host stops as planned while the member that it asks, which does not lead, says nothing.
    #[track_caller]
    fn says_goodbye_past_a_member_that_hangs(&mut self, which: usize) {
        let (host, monitor) = &mut self.publishers[which];
        let asked = || self.members.asked_by(&host.name).first().copied();
        let led = |members: &Members| eventually("a leader", || members.leader());
        let mut hangs = eventually("a member that is asked", asked);
        while hangs == led(&self.members) {
            self.members.kill(hangs);
            led(&self.members);
            // As soon as the first one is back, it may be the one that is asked.
            let asked = || self.members.asked_by(&host.name).into_iter().find(|now| *now != hangs);
            let another = eventually("another member that is asked", asked);
            self.members.go(hangs);
            hangs = another;
        }
        self.members.signal(hangs, Signal::STOP);
        assert!(monitor.stop() < Duration::from_secs(1));
        let told = |it: &Value| it["type"] == "transition" && it["subject"] == *host.name;
        let seen = self.watcher.event("the goodbye", told);
        assert_eq!((&seen["to"], &seen["cause"]), (&"healthy".into(), &"stopped".into()), "{seen}");
        self.members.signal(hangs, Signal::CONT);
        println!("{} said goodbye while its member hung", host.name);
    }

    /// Lets it happen, for so long, and mends it.
    #[track_caller]
    fn befalls(&mut self, fault: Fault, lasting: Duration) {
        let leader = self.leader();
        match fault {
            Fault::LeaderDies => self.members.kill(leader),
            Fault::LeaderHangs => self.members.signal(leader, Signal::STOP),
            Fault::LeaderIsCutOff => self.members.cut(leader, Cut::Everything),
            Fault::FollowerIsCutOff => self.members.cut((leader + 1) % 3, Cut::Everything),
            Fault::WatchersMemberIsAlone => {
                let asked = self.members.asked_by("deimos");
                self.members.cut(*asked.first().unwrap(), Cut::Members);
            }
            Fault::AllHang => (0..3).for_each(|n| self.members.signal(n, Signal::STOP)),
            Fault::WatcherIsCutOff => self.members.cut_off("deimos", Cut::Everything),
            Fault::AllBeginAnew | Fault::AllAreAway => (0..3).for_each(|n| self.members.kill(n)),
            Fault::PacketsAreLost => (0..3).for_each(|n| self.members.cut(n, Cut::Loss)),
        }
        if !matches!(fault, Fault::AllBeginAnew) {
            sleep(lasting);
        }
        match fault {
            Fault::LeaderDies => self.members.go(leader),
            Fault::LeaderHangs => self.members.signal(leader, Signal::CONT),
            Fault::AllHang => (0..3).for_each(|n| self.members.signal(n, Signal::CONT)),
            Fault::AllBeginAnew | Fault::AllAreAway => (0..3).for_each(|n| self.members.go(n)),
            _ => self.members.heal(),
        }
        self.leader();
        self.is_well();
        let lost = losses(&self.watcher);
        assert_eq!(lost, self.deaths, "{fault:?}: {:#?}", self.watcher.told());
        assert_eq!(self.told_offline(), self.deaths, "{fault:?}: {}", self.told());
    }
}

/// How often somebody was said to be lost.
fn losses(watcher: &Monitor) -> usize {
    let told = watcher.told();
    told.iter().filter(|it| it["type"] == "transition" && it["cause"] == "overdue").count()
}

#[test]
fn f25_f28_whatever_happens_to_etcd_nobody_is_offline_who_lives_and_whoever_dies_is_seen() {
    let mut story = Story::new();
    for fault in USUAL {
        let began = Timestamp::now();
        story.befalls(fault, TTL + Duration::from_secs(1));
        println!("{fault:?}: nobody offline; {:.1} s", Timestamp::now().duration_since(began).as_secs_f64());
    }
    story.dies(0, true);
    story.dies(1, false);
    story.says_goodbye_past_a_member_that_hangs(0);
}

/// `FLEET_FAULTS=N` lets so many of them happen, in an order and for a time that the dice tell.
#[test]
fn f25_f28_a_campaign_of_faults() {
    let count: u32 = std::env::var("FLEET_FAULTS").map_or(0, |count| count.parse().unwrap());
    if count == 0 {
        return;
    }
    let (mut story, mut dice) = (Story::new(), Dice::new("a campaign of faults"));
    for n in 0..count {
        let fault = FAULTS[dice.one_of(FAULTS.len())];
        let lasting = Duration::from_millis(dice.below(16_000));
        story.befalls(fault, lasting);
        println!("{n}: {fault:?} for {lasting:?}: nobody offline");
        if n % 8 == 7 {
            story.dies(dice.one_of(2), dice.one_of(2) == 0);
        }
    }
}
