//! How often something happened lately.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What happens so often within this time happens too often.
const WINDOW: Duration = Duration::from_secs(600);

/// When the last `N` of something were, as times awake: time that the machine slept parts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Recent<const N: usize>(Box<[Duration]>);

impl<const N: usize> Recent<N> {
    pub(crate) fn push(&mut self, awake: Duration) {
        let mut recent = std::mem::take(&mut self.0).into_vec();
        recent.push(awake);
        recent.drain(..recent.len().saturating_sub(N));
        self.0 = recent.into_boxed_slice();
    }

    pub(crate) fn clear(&mut self) {
        self.0 = Box::default();
    }

    /// Until when, as time awake, there are `N` in ten minutes, where there are.
    pub(crate) fn until(&self, awake: Duration) -> Option<Duration> {
        let first = self.0.first().filter(|_| self.0.len() >= N)?;
        Some(*first + WINDOW).filter(|end| *end > awake)
    }

    pub(crate) fn last(&self) -> Option<Duration> {
        self.0.last().copied()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}
