//! Random worlds: services that crash, flap and come back, channels that fail, a monitor that is killed between any two
//! of its effects.
//!
//! `SIMULATE=100000 cargo test --release -p healthcheck-core --test alerts simulator` simulates that many days;
//! `FIRST_SEED` begins elsewhere. What breaks is told by its seed and the shortest story.

use crate::host::Host;
use crate::invariants::{check_plan, check_story, converges};
use crate::script::{Act, Event, Script};
use crate::server::Weather;
use healthcheck_core::alerts::Notice;
use std::fmt::Write;
use std::time::Duration;

const DAYS: u64 = 2_000;
/// Worlds that run twice.
const TWINS: u64 = 60;
const SETTLES_S: f64 = 40.0 * 3_600.0;

#[expect(clippy::disallowed_methods, reason = "how long a test runs is said by its environment")]
fn number(key: &str) -> Option<u64> {
    std::env::var(key).ok().map(|number| number.parse().unwrap())
}

#[test]
fn days() {
    let events = search(number("SIMULATE").unwrap_or(DAYS), Script::day, |script| day(script).1);
    println!("{events} events");
}

/// Planning at transitions and at deadlines only misses nothing that planning each second would tell.
#[test]
fn no_deadline_is_missed() {
    let events = search(TWINS, Script::hours, |script| {
        differ(&told(script, |_| ()), &told(script, |host| host.is_restless = true))
    });
    assert!(events > 0);
}

/// A restart while nothing is on its way changes nothing that is told.
#[test]
fn a_restart_changes_nothing() {
    let events = search(TWINS * 4, Script::calm_day, |script| {
        let restarts = Script { restarts: true, ..script.clone() };
        differ(&told(script, |_| ()), &told(&restarts, |_| ()))
    });
    assert!(events > 0);
}

/// How many events there were in so many worlds in which nothing breaks.
pub(crate) fn search(
    count: u64,
    world: impl Fn(u64) -> Script,
    broken: impl Fn(&Script) -> Option<String>,
) -> usize {
    let first = number("FIRST_SEED").unwrap_or(0);
    let mut events = 0;
    for seed in first..first + count {
        let script = world(seed);
        if let Some(problem) = broken(&script) {
            let shortest = shrink(&script, &broken);
            let problem = broken(&shortest).unwrap_or(problem);
            panic!("{}", tell(&shortest, &problem));
        }
        events += script.events.len();
    }
    events
}

/// Leaves out events as long as anything stays broken.
fn shrink(script: &Script, broken: &impl Fn(&Script) -> Option<String>) -> Script {
    let mut shortest = script.clone();
    let mut size = shortest.events.len().max(1);
    loop {
        let mut at = 0;
        while at < shortest.events.len() {
            let mut shorter = shortest.clone();
            shorter.events.drain(at..(at + size).min(shorter.events.len()));
            if broken(&shorter).is_some() {
                shortest = shorter;
            } else {
                at += size;
            }
        }
        if size == 1 {
            return shortest;
        }
        size = size.div_ceil(2);
    }
}

fn tell(script: &Script, problem: &str) -> String {
    let mut text = format!("seed {}: {problem}\n{:#?}\n", script.seed, script.plan);
    let mut lines: Vec<(Duration, String)> =
        script.events.iter().map(|event| (event.at, format!("{:?}", event.act))).collect();
    let (host, _) = run(script, |_| ());
    for (name, server) in &host.servers {
        let told = server.accepted.iter();
        lines.extend(told.map(|(t, notice)| {
            let t = t.saturating_sub(Duration::from_secs(10_000));
            let answer = if server.is_answered(&notice.id) { "" } else { " (answer lost)" };
            (t, format!("    {name} {}: {} [{}]{answer}", notice.id, notice.title, notice.reason))
        }));
    }
    lines.sort_by_key(|(at, _)| *at);
    for (at, line) in &lines {
        let _ = writeln!(text, "{:>10.1} {line}", at.as_secs_f64());
    }
    text
}

/// What each server has, in order.
fn told(script: &Script, change: impl FnOnce(&mut Host)) -> Vec<(String, Vec<(Duration, Notice)>)> {
    let host = run(script, change).0;
    host.servers.iter().map(|(name, server)| (name.clone(), server.accepted.clone())).collect()
}

type Told = [(String, Vec<(Duration, Notice)>)];

fn differ(one: &Told, other: &Told) -> Option<String> {
    let lines = |told: &Told| -> Vec<String> {
        let of = |(name, told): &(String, Vec<(Duration, Notice)>)| -> Vec<String> {
            let line =
                |(t, notice): &(Duration, Notice)| format!("{:.0} {name} {}", t.as_secs_f64(), notice.title);
            told.iter().map(line).collect()
        };
        told.iter().flat_map(of).collect()
    };
    let (one, other) = (lines(one), lines(other));
    let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
    Some(format!("{:?} here, {:?} there", one.get(at), other.get(at)))
}

/// A day, the time in which everything settles, and the time in which everything is well again.
fn day(script: &Script) -> (Host, Option<String>) {
    let (mut host, problem) = run(script, |host| host.watch = Some(check_plan));
    if problem.is_some() {
        return (host, problem);
    }
    host.killed_in = None;
    host.servers.values_mut().for_each(|server| server.weather = Weather::Works);
    host.pass(SETTLES_S);
    let settled = wrong(&host).or_else(|| converges(&host, "settled"));
    if settled.is_some() {
        return (host, settled);
    }
    for service in &script.plan.services {
        host.starts(&service.name);
    }
    host.pass(SETTLES_S);
    let problem = wrong(&host).or_else(|| converges(&host, "healed")).or_else(|| check_story(&host));
    (host, problem)
}

pub(crate) fn run(script: &Script, change: impl FnOnce(&mut Host)) -> (Host, Option<String>) {
    let mut host = script.host();
    change(&mut host);
    let began = host.t;
    for event in &script.events {
        host.pass_until(began + event.at);
        act(&mut host, script, &event.act);
        if script.restarts && !host.store.is_sending() {
            host.restarts_alerts();
        }
        if let Some(problem) = wrong(&host) {
            return (host, Some(problem));
        }
    }
    host.pass(60.0);
    let problem = wrong(&host);
    (host, problem)
}

fn wrong(host: &Host) -> Option<String> {
    host.problem.clone().or_else(|| host.servers.values().find_map(|server| server.problem.clone()))
}

fn act(host: &mut Host, script: &Script, act: &Act) {
    let name = |at: &usize| script.plan.services[*at].name.as_str();
    match act {
        Act::Starts(at) => host.starts(name(at)),
        Act::Crashes(at) => host.crashes(name(at)),
        Act::Says(at, status) => host.says(name(at), *status, "queue 812 of 1000"),
        Act::Stops(at) => host.stops(name(at)),
        Act::Tears(at) => host.tears(name(at)),
        Act::LosesFile(at) => host.loses_its_file(name(at)),
        Act::Weather(at, weather) => host.server(&script.plan.channels[*at].name).weather = *weather,
        Act::Silence(pattern, seconds) => drop(host.silence(pattern, *seconds)),
        Act::Unsilence => {
            let ids: Vec<u64> = host.alerts.silences().map(|silence| silence.id).collect();
            ids.into_iter().for_each(|id| host.unsilence(id));
        }
        Act::Acknowledges => host.acknowledges(),
        Act::Kill(effects) => host.killed_in = Some(*effects),
        Act::Reboots(was_clean, away) => host.reboots(*was_clean, *away),
        Act::StepsClock(seconds) => host.step_clock(*seconds),
    }
}

/// One event is enough to see that what the search says is there.
#[test]
fn the_search_finds_what_is_broken() {
    let script = Script::day(1);
    let found = shrink(&script, &|script| script.events.iter().any(is_crash).then(String::new));
    assert_eq!(found.events.len(), 1);
}

fn is_crash(event: &Event) -> bool {
    matches!(event.act, Act::Crashes(_))
}
