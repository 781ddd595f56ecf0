//! Channels that hang, beside one that works: neither judging nor that one waits for them.

use super::arrival::{AT_ONCE, sleeper};
use crate::support::ntfy::{Mode, Ntfy, Received};
use crate::support::{Machine, Process, beat_of};
use std::time::{Duration, Instant};

const DEATHS: usize = 100;
/// A channel is told so often at once, and gathers what is more.
const OF_ONE_CHANNEL: usize = 20;
const HUNG: usize = 5;
const MORE: Duration = Duration::from_millis(100);

/// How long it took from each death.
struct Took {
    judged: Vec<Duration>,
    received: Vec<Duration>,
}

fn figures(took: &[Duration]) -> String {
    let mut took = took.to_vec();
    took.sort();
    let at = |hundredths: usize| took[(took.len() - 1) * hundredths / 100];
    format!("p50 {:.1?}, p99 {:.1?}, max {:.1?}", at(50), at(99), at(100))
}

fn median(took: &[Duration]) -> Duration {
    let mut took = took.to_vec();
    took.sort();
    took[took.len() / 2]
}

/// One channel after the other to a server that works, and so many to one that hangs, which are told of everything.
fn configuration(works: &Ntfy, hangs: &Ntfy, hung: usize) -> String {
    let groups = 0..DEATHS / OF_ONE_CHANNEL;
    let names: Vec<String> = (0..hung).map(|number| format!("hung{number}")).collect();
    let hung: String = names.iter().map(|name| hangs.channel(name)).collect();
    let all = if names.is_empty() { String::new() } else { format!("[[routes]]\nchannels = {names:?}\n") };
    let working = groups.map(|group| {
        let route = format!("[[routes]]\nsubjects = [\"group{group}-*\"]\nchannels = [\"works{group}\"]\n");
        works.channel(&format!("works{group}")) + &route
    });
    format!("{}{hung}{all}{AT_ONCE}", working.collect::<String>())
}

fn deaths(hung: usize) -> Took {
    let (machine, works, hangs) = (Machine::new(), Ntfy::new(), Ntfy::new());
    hangs.does(Mode::Hangs);
    machine.configures(&configuration(&works, &hangs, hung));
    let name = |number: usize| format!("group{}-service{number:03}", number / OF_ONE_CHANNEL);
    let services: Vec<(String, Process)> = (0..DEATHS)
        .map(|number| {
            let process = sleeper(&machine);
            machine.reports(&name(number), &beat_of(process.pid()));
            (name(number), process)
        })
        .collect();
    let monitor = machine.monitors();
    let mut took = Took { judged: Vec::new(), received: Vec::new() };
    for (name, process) in services {
        let killed = Instant::now();
        process.kill();
        monitor.transition(&name, "error", "crashed");
        took.judged.push(killed.elapsed());
        let received: Received = works.message(&[&format!("{name} is down")]);
        took.received.push(received.at - killed);
    }
    assert!(hangs.refused() >= hung, "each is tried");
    took
}

#[test]
fn five_channels_that_hang_change_neither_judging_nor_one_that_works() {
    let (without, with) = (deaths(0), deaths(HUNG));
    println!(
        "{DEATHS} deaths, judged and printed: {}; with {HUNG} hung channels {}",
        figures(&without.judged),
        figures(&with.judged)
    );
    println!(
        "received where it works: {}; with {HUNG} hung channels {}",
        figures(&without.received),
        figures(&with.received)
    );
    assert!(median(&with.judged) < median(&without.judged) + MORE);
    assert!(median(&with.received) < median(&without.received) + MORE);
}
