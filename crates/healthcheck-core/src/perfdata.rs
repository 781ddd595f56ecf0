//! What a monitoring plug-in says of itself: a first line with a status word, and numbers after a bar.
//!
//! The format is that of the Monitoring Plugins' development guidelines.

use serde::{Deserialize, Serialize};

/// A number that a probe measured, with the unit that the plug-in gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name; no control characters, at most 64 bytes.
    pub label: String,
    /// How much.
    pub value: f64,
    /// The unit of measurement as written: nothing, `s`, `ms`, `us`, `%`, `B`, `KB`, `MB`, `GB`, `TB`, `c`.
    pub unit: String,
}
