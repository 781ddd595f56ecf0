//! A lock that never waits for a thread which is not there.
//!
//! A fork copies the memory and only the calling thread: a lock that another thread held stays locked in the
//! child for ever. So whoever does not get it at once looks whether this is still the process that made it.

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

/// Tries before looking closer; the holders only copy a few words.
const TRIES: u32 = 12;
/// Whoever tries too often takes the memory away from the holder: the pauses double up to this many spins.
const MAX_PAUSE: u32 = 64;

#[derive(Debug)]
pub(crate) struct Guarded<T> {
    value: RwLock<T>,
    pid: u32,
}

impl<T: Default> Default for Guarded<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: RwLock::new(value), pid: std::process::id() }
    }

    /// Nothing in a forked child if the lock cannot be had.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.reader().map(|guard| look(&guard))
    }

    /// Nothing in a forked child if the lock cannot be had.
    pub(crate) fn write<R>(&self, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.writer().map(|mut guard| change(&mut guard))
    }

    fn reader(&self) -> Option<RwLockReadGuard<'_, T>> {
        for attempt in 0..TRIES {
            match self.value.try_read() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => pause(attempt),
            }
        }
        if self.is_copy() {
            return None;
        }
        Some(self.value.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn writer(&self) -> Option<RwLockWriteGuard<'_, T>> {
        for attempt in 0..TRIES {
            match self.value.try_write() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => pause(attempt),
            }
        }
        if self.is_copy() {
            return None;
        }
        Some(self.value.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn is_copy(&self) -> bool {
        self.pid != std::process::id()
    }
}

fn pause(attempt: u32) {
    (0..MAX_PAUSE.min(1 << attempt)).for_each(|_| std::hint::spin_loop());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_copy_of_a_process_a_held_lock_is_given_up() {
        let guarded = Guarded { value: RwLock::new(1), pid: std::process::id() + 1 };
        let held = guarded.value.write().unwrap();
        assert_eq!(guarded.read(|value| *value), None);
        assert_eq!(guarded.write(|value| *value), None);
        drop(held);
        assert_eq!(guarded.read(|value| *value), Some(1));
    }
}
