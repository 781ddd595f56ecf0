//! How people are told: each channel turns a notice into what its server takes, and says what became of it.

pub(crate) mod command;
pub(crate) mod discord;
pub(crate) mod email;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod ntfy;
pub(crate) mod ping;
mod plain_text;
mod reach;
pub(crate) mod slack;
#[cfg(test)]
mod specimen;
pub(crate) mod telegram;
pub(crate) mod webhook;

use healthcheck_core::alerts::{Notice, Outcome};
use plain_text::{ERROR_BYTES, short_line};

/// A way of telling people. It is used by one thread of its own, so it may take its time, but never more than its
/// own deadline.
pub(crate) trait Channel: Send {
    /// Tries once to deliver a notice. What was not accepted is handed again, with the same id.
    fn send(&mut self, notice: &Notice) -> Outcome;
}

fn failed(error: impl Into<String>) -> Outcome {
    Outcome::Failed { error: error.into(), retry_after: None }
}

fn refused(error: impl Into<String>) -> Outcome {
    Outcome::Refused { error: error.into() }
}

/// That it was not accepted, and why, harmless and short.
fn unaccepted(is_lasting: bool, error: &str) -> Outcome {
    let error = short_line(error, ERROR_BYTES);
    if is_lasting { refused(error) } else { failed(error) }
}

#[cfg(test)]
mod tests;
