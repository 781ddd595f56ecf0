//! How people are told: each channel turns a notice into what its server takes, and says what became of it.
#![cfg_attr(not(test), expect(dead_code, reason = "the monitor is about to use it"))]

mod command;
mod discord;
mod email;
mod http;
mod log;
mod ntfy;
mod ping;
mod plain;
mod plain_text;
mod secret;
mod slack;
#[cfg(test)]
mod specimen;
mod telegram;
mod webhook;

use healthcheck_core::alerts::{Notice, Outcome};

/// A way of telling people. It is used by one thread of its own, so it may take its time, but never more than its
/// own deadline.
pub(crate) trait Channel: Send {
    /// Tries once to deliver a notice. What was not accepted is handed again, with the same id.
    fn send(&mut self, notice: &Notice) -> Outcome;
}

#[cfg(test)]
mod tests;
