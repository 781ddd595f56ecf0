//! What a machine has, and how much of it is taken.

use serde::Serialize;

/// Memory and load of a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resources {
    /// Main memory.
    pub memory: Capacity,
    /// Nothing on a machine without swap.
    pub swap: Option<Capacity>,
    /// Who runs or wants to.
    pub load: Load,
}

/// A store of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Capacity {
    /// All of it.
    pub total_bytes: u64,
    /// What a new program could have; what the kernel only caches counts as available.
    pub available_bytes: u64,
}

/// Processes that ran or wanted to, on average over 1, 5 and 15 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
    /// Processors that this process may use.
    pub cores: usize,
}

impl Capacity {
    /// The share that is taken, from 0 to 1.
    ///
    /// ```
    /// use healthcheck_core::Capacity;
    ///
    /// assert_eq!(Capacity { total_bytes: 100, available_bytes: 25 }.used_ratio(), 0.75);
    /// ```
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    pub fn used_ratio(self) -> f64 {
        let used = self.total_bytes.saturating_sub(self.available_bytes);
        if self.total_bytes == 0 { 0.0 } else { used as f64 / self.total_bytes as f64 }
    }
}
