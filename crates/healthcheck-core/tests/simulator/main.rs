//! The judge in simulated worlds: services that crash, hang, restart and lie, files that are torn, late or missing,
//! clocks that are set, machines that sleep and boot, and a monitor that is killed between any two of its effects.
//!
//! Each world is drawn from its seed. All along, each verdict is compared with what the table of causes demands of the
//! truth (`invariants.rs`; letters a, b and e). Then the world runs once more, and must come out the same: without
//! kills (d), without steps of the wall clock (c), or just as it was (f). What breaks is told by its seed and the
//! shortest story.
//!
//! `SIMULATE=100000 cargo test --release -p healthcheck-core --test simulator days` simulates that many days, on all
//! processors; `FIRST_SEED` begins elsewhere.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test, its helpers included")]

mod clock;
mod compare;
mod files;
mod invariants;
mod looks;
mod monitor;
mod random;
mod script;
mod service;
mod shrink;
mod store;
mod world;

use compare::{Broken, broken};
use script::Script;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const DAYS: u64 = 2_000;
const YEARS: u64 = 20;

#[test]
fn days() {
    match number("SIMULATE") {
        None => all(Script::day, DAYS, 1),
        Some(days) => all(Script::day, days, thread::available_parallelism().unwrap().get()),
    }
}

#[test]
fn years() {
    all(Script::year, YEARS, 1);
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is said by its environment")]
fn number(key: &str) -> Option<u64> {
    std::env::var(key).ok().map(|number| number.parse().unwrap())
}

/// Runs so many worlds, and tells of the first one in which something breaks.
fn all(world: fn(u64) -> Script, count: u64, threads: usize) {
    let first = number("FIRST_SEED").unwrap_or(0);
    let (next, end) = (AtomicU64::new(first), first + count);
    let search = || {
        let seeds = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let found =
            seeds.take_while(|seed| *seed < end).find_map(|seed| broken(&world(seed)).zip(Some(seed)));
        // The others need not go on.
        found.inspect(|_| next.store(end, Ordering::Relaxed))
    };
    let found = thread::scope(|scope| {
        let searches: Vec<_> = (0..threads).map(|_| scope.spawn(search)).collect();
        searches.into_iter().find_map(|search| search.join().unwrap())
    });
    if let Some((found, seed)) = found {
        let (shortest, found) = shrink::shrink(&world(seed), &found);
        panic!("{}", shrink::tell(&shortest, &found));
    }
}
