//! Every interleaving of two services, one channel and one crash of the monitor, up to a depth.

use crate::host::Host;
use crate::invariants::{check_plan, check_story, converges};
use crate::server::Weather;
use health_reporter::Status;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const WEATHERS: [Weather; 3] = [Weather::Works, Weather::Down, Weather::Loses];
/// Effects after which the monitor may be killed: noted, planned, kept, sent, delivered, kept, and planned again.
const EFFECTS: u32 = 8;
const DEPTH: usize = 5;
const SETTLES_S: f64 = 1_200.0;

#[derive(Debug, Clone, Copy)]
enum Act {
    /// One of them breaks, or is well again.
    Turns(&'static str),
    /// Whatever is due next happens.
    Waits,
}

const ACTS: [Act; 3] = [Act::Turns("a"), Act::Turns("b"), Act::Waits];

/// What is done, how the channel is meanwhile, and after which effect the monitor is killed.
type Move = (Act, Weather, Option<u32>);

#[test]
fn every_interleaving_of_two_services_one_channel_and_one_crash() {
    let (visited, known) = explore(false);
    println!("{visited} states, {known} of them different");
}

#[test]
fn every_interleaving_where_one_depends_on_the_other() {
    let (visited, known) = explore(true);
    println!("{visited} states, {known} of them different");
}

fn begin(depends: bool) -> Host {
    let parents: &[&str] = if depends { &["a"] } else { &[] };
    let mut host = Host::running(&[("a", &[]), ("b", parents)]);
    host.rules.restart_wait = Duration::ZERO;
    host.rules.reminder = Duration::from_secs(1_000_000);
    host.pass(10.0);
    host.watch = Some(check_plan);
    host
}

/// Breadth first; a state that was there before leads nowhere else.
fn explore(depends: bool) -> (usize, usize) {
    let (mut known, mut visited) = (BTreeSet::new(), 0);
    let mut front = vec![(begin(depends), Vec::new())];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (host, path) in &front {
            for step in moves(host) {
                visited += 1;
                let host = after(host.clone(), step);
                let path: Vec<Move> = path.iter().copied().chain([step]).collect();
                if known.insert(key(&host)) {
                    if let Some(problem) = problem(&host) {
                        panic!("{problem}\nb depends on a: {depends}; {path:#?}\n{}", story(&host));
                    }
                    next.push((host, path));
                }
            }
        }
        front = next;
    }
    (visited, known.len())
}

fn moves(host: &Host) -> Vec<Move> {
    let kills = if host.kills == 0 && host.killed_in.is_none() { EFFECTS } else { 0 };
    let deaths: Vec<Option<u32>> = std::iter::once(None).chain((0..kills).map(Some)).collect();
    let of = |act: Act| {
        let deaths = deaths.clone();
        WEATHERS
            .into_iter()
            .flat_map(move |weather| deaths.clone().into_iter().map(move |death| (act, weather, death)))
    };
    ACTS.into_iter().flat_map(of).collect()
}

fn after(mut host: Host, (act, weather, death): Move) -> Host {
    host.server("phone").weather = weather;
    host.killed_in = host.killed_in.or(death);
    match act {
        Act::Turns(name) if host.truth_of(name) == Status::Healthy => host.errs(name),
        Act::Turns(name) => host.heals(name),
        Act::Waits => host.waits(),
    }
    host
}

fn key(host: &Host) -> u64 {
    let mut hasher = DefaultHasher::new();
    host.fingerprint().hash(&mut hasher);
    hasher.finish()
}

/// Whatever is wrong now, or when everything worked and stood still.
fn problem(host: &Host) -> Option<String> {
    let mut host = host.clone();
    host.killed_in = None;
    host.server("phone").weather = Weather::Works;
    host.pass(SETTLES_S);
    let settled = wrong(&host).or_else(|| converges(&host, "settled"));
    host.heals("a");
    host.heals("b");
    host.pass(SETTLES_S);
    settled.or_else(|| wrong(&host)).or_else(|| converges(&host, "healed")).or_else(|| check_story(&host))
}

fn wrong(host: &Host) -> Option<String> {
    host.problem.clone().or_else(|| host.servers["phone"].problem.clone())
}

fn story(host: &Host) -> String {
    let line = |(t, notice): &(Duration, healthcheck_core::alerts::Notice)| {
        format!("{:.1} {} {}\n", t.as_secs_f64(), notice.id, notice.title)
    };
    host.servers["phone"].accepted.iter().map(line).collect()
}
