//! The units in trouble that nobody asked for.

use super::super::path_label;
use super::watched::Watched;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// What was told of them, and when they are to be listed next.
#[derive(Debug, Default)]
pub(super) struct Troubled {
    pub(super) is_wanted: bool,
    due: Option<Instant>,
    is_listing: bool,
    began: Option<Instant>,
    told: Vec<String>,
    labels: BTreeSet<String>,
}

impl Troubled {
    /// Whether the object with this label was in trouble.
    pub(super) fn has(&self, label: &str) -> bool {
        self.labels.contains(label)
    }

    /// At once, and whatever comes within the pause is one listing at its end.
    pub(super) fn schedule(&mut self, now: Instant, pause: Duration) {
        if self.is_wanted && self.due.is_none() {
            self.due = Some(self.began.map_or(now, |began| now.max(began + pause)));
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.is_listing && self.is_wanted)
    }

    /// Whether they are to be listed now.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.next_due().is_some_and(|due| due <= now);
        if is_due {
            (self.due, self.is_listing, self.began) = (None, true, Some(now));
        }
        is_due
    }

    /// The listing is over; returns the names if they are others than before.
    pub(super) fn listed(&mut self, names: Option<Vec<String>>, watched: &Watched) -> Option<Vec<String>> {
        self.is_listing = false;
        let mut names = names.filter(|_| self.is_wanted)?;
        names.retain(|name| !watched.has(&path_label(name)));
        self.labels = names.iter().map(|name| path_label(name)).collect();
        let is_new = names != self.told;
        self.told.clone_from(&names);
        is_new.then_some(names)
    }

    /// Whoever asks for one of them knows that it is there: that it is no longer told is no news.
    pub(super) fn want(&mut self, is_wanted: bool, watched: &Watched) {
        self.is_wanted = is_wanted;
        if !is_wanted {
            self.told.clear();
        }
        self.told.retain(|name| !watched.has(&path_label(name)));
    }

    /// Whatever was asked is not answered any more.
    pub(super) fn lost(&mut self) {
        (self.due, self.is_listing, self.began) = (None, false, None);
    }
}
