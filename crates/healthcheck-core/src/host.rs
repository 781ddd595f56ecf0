//! Another machine, as its lease shows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is known of another machine: whether its lease lives, and what it said of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Whether its lease lives, and how it ended.
    pub sight: HostSight,
    /// What it last said of itself; nothing if that is not known.
    pub about: Option<HostAbout>,
}

/// Whether a machine's lease lives, and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostSight {
    /// It is renewed.
    Alive,
    /// It ended, and nobody said that it would.
    Lost {
        /// When it was renewed last, as far as that can be told from its end, wall time.
        last_seen: Timestamp,
        /// How long it has, from now on, to come back before it is believed: zero unless nobody watched when it ended.
        grace: Duration,
    },
    /// It ended, and the machine had said goodbye.
    Stopped(Farewell),
}

/// What a machine left behind when it stopped as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewell {
    /// When it stopped, by its own wall clock.
    pub at: Timestamp,
    /// Why, for people; one line, written by the machine.
    pub reason: String,
    /// When it means to be back, if it said so.
    pub expected_back: Option<Timestamp>,
}

/// What a machine says of itself. All texts are written by the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostAbout {
    /// What it calls itself in the network.
    pub hostname: String,
    /// What people wrote about it.
    pub description: String,
    /// The names of some services that run there, in order; at most [`MAX_NAMED_SERVICES`].
    pub services: Vec<String>,
    /// How many services run there.
    pub service_count: usize,
}

/// How many services of a machine are remembered by name.
pub const MAX_NAMED_SERVICES: usize = 16;
