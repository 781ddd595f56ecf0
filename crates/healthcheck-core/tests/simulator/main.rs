//! The judge in simulated worlds: services that crash, hang, restart and lie, files that are torn, late or missing,
//! clocks that are set, machines that boot, and a monitor that is killed between any two of its effects.
//!
//! Each world is drawn from its seed. All along, each verdict is compared with what the table of causes demands of the
//! truth (`invariants.rs`, letters a, b and e); then the world runs once more without kills (d), without steps of
//! the wall clock (c), and some once more as it was (f). A broken invariant is told by its seed and the shortest story.
//!
//! `SIMULATE=100000 cargo test --release -p healthcheck-core --test simulator` simulates that many days.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test, its helpers included")]

mod clock;
mod compare;
mod files;
mod invariants;
mod monitor;
mod random;
mod script;
mod service;
mod shrink;
mod store;
mod world;

use compare::{Broken, broken};
use script::Script;

const DAYS: u64 = 2_000;
const YEARS: u64 = 20;

#[test]
fn days() {
    all((0..days_wanted()).map(Script::day));
}

#[test]
fn years() {
    all((0..YEARS).map(Script::year));
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is said by its environment")]
fn days_wanted() -> u64 {
    std::env::var("SIMULATE").ok().map_or(DAYS, |days| days.parse().unwrap())
}

fn all(scripts: impl Iterator<Item = Script>) {
    for script in scripts {
        if let Some(found) = broken(&script) {
            let (shortest, found) = shrink::shrink(&script, &found);
            panic!("{}", shrink::tell(&shortest, &found));
        }
    }
}
