//! Who is told what: each rule by itself, random worlds, and every interleaving of a small one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test, its helpers included")]

mod boots;
mod causes;
mod channels;
mod cost;
mod exhaustive;
mod faces;
mod fleet;
mod host;
mod invariants;
mod machines;
mod mutes;
mod problems;
#[path = "../simulator/random.rs"]
mod random;
mod replays;
mod script;
mod server;
mod simulator;
mod store;
