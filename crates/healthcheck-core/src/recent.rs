//! How often something happened lately.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What happens so often within this time happens too often.
const WINDOW: Duration = Duration::from_secs(600);

/// When the last `N` of something were, as times awake: time that the machine slept parts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Recent<const N: usize>(Vec<Duration>);

impl<const N: usize> Recent<N> {
    pub(crate) fn push(&mut self, awake: Duration) {
        self.0.push(awake);
        self.0.drain(..self.0.len().saturating_sub(N));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Until when, as time awake, there are `N` in ten minutes, where there are.
    pub(crate) fn until(&self, awake: Duration) -> Option<Duration> {
        let first = self.0.first().filter(|_| self.0.len() >= N)?;
        Some(*first + WINDOW).filter(|end| *end > awake)
    }

    pub(crate) const fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Duration>()
    }
}
