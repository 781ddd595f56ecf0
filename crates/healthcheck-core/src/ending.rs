//! What is known of the end of a run, and of what may have brought it about.

use crate::wording::{self, MAX_MESSAGE_BYTES};
use crate::{Aftermath, Change, Exit, Now, Part};
use health_reporter::mask_credentials;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Lines of the journal that are kept.
pub(crate) const MAX_LINES: usize = 8;
/// The least that a line of the journal may have, in bytes.
const MIN_LINE_BYTES: usize = 64;
/// Changes that are kept: those just before the end.
const MAX_CHANGES: usize = 4;
/// What was changed so long before the start of a run is nothing new to it.
const BEFORE_THE_START: Duration = Duration::from_secs(600);
/// What was changed so long after the end was noticed has nothing to do with it.
const AFTER_THE_END: Duration = Duration::from_secs(10);

/// What is known of the end of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ending {
    pub(crate) pid: Option<u64>,
    /// How it ended.
    pub(crate) exit: Option<Exit>,
    /// The kernel's or the unit's word that memory ran out.
    pub(crate) oom: Option<Box<str>>,
    /// The last lines that it wrote.
    pub(crate) journal: Vec<Box<str>>,
    /// What its run was made of and was changed, the last change first.
    pub(crate) changes: Vec<Blame>,
    /// When it ended, as boot time, as far as that is known.
    ended_boottime: Duration,
    /// When that was seen.
    noted_boottime: Duration,
}

/// A change that may have brought an end about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Blame {
    pub(crate) part: Part,
    pub(crate) path: Box<str>,
    /// How long before the end it was; nothing if the file is gone, and nobody knows since when.
    pub(crate) lead: Option<Duration>,
    /// Whether the run was started with it.
    pub(crate) is_before_start: bool,
}

/// The time of a run, as boot times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// When it began, where that is known.
    pub(crate) began: Option<Duration>,
    /// When it ended, as far as that is known.
    pub(crate) ended: Duration,
}

impl Ending {
    pub(crate) fn of(pid: Option<u64>, ended_boottime: Duration, now: &Now) -> Self {
        Self { pid, ended_boottime, noted_boottime: now.boottime, ..Self::default() }
    }

    pub(crate) const fn ended_boottime(&self) -> Duration {
        self.ended_boottime
    }

    pub(crate) fn note_oom(&mut self, oom: &str, budget: usize) {
        self.oom = Some(text(oom, line_bytes(budget)));
    }

    /// What was found out afterwards; how it ended is not replaced by what somebody wrote down.
    pub(crate) fn learn(&mut self, found: &Aftermath, budget: usize) {
        self.exit = self.exit.or(found.exit);
        if let Some(oom) = &found.oom {
            self.note_oom(oom, budget);
        }
        if !found.journal.is_empty() {
            self.journal = last_lines(&found.journal, budget);
        }
    }

    /// The changes that may have brought it about.
    pub(crate) fn note_changes(&mut self, changes: &[Change], span: Span, now: &Now, budget: usize) {
        if changes.is_empty() {
            return;
        }
        let blames = changes.iter().filter_map(|change| self.blame(change, span, now, budget));
        let mut blames: Vec<_> = blames.collect();
        blames.sort_by_key(|blame| blame.lead.unwrap_or(Duration::MAX));
        blames.truncate(lines(budget).min(MAX_CHANGES));
        blames.shrink_to_fit();
        self.changes = blames;
    }

    fn blame(&self, change: &Change, span: Span, now: &Now, budget: usize) -> Option<Blame> {
        let wall = |boottime: Duration| now.wall_before(now.boottime.saturating_sub(boottime));
        let began = wall(span.began.unwrap_or(span.ended));
        let noted = wall(self.noted_boottime);
        let is_young = |at: Timestamp| {
            began.checked_sub(BEFORE_THE_START).is_ok_and(|first| at >= first)
                && noted.checked_add(AFTER_THE_END).is_ok_and(|last| at <= last)
        };
        if change.at.is_some_and(|at| !is_young(at)) {
            return None;
        }
        let before =
            |at: Timestamp| Duration::try_from(wall(span.ended).duration_since(at)).unwrap_or_default();
        Some(Blame {
            part: change.part,
            path: text(&change.path, line_bytes(budget)),
            lead: change.at.map(before),
            is_before_start: span.began.is_some() && change.at.is_some_and(|at| at <= began),
        })
    }

    /// What it takes on the heap, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let oom = self.oom.as_ref().map_or(0, |oom| oom.len());
        let lines: usize = self.journal.iter().map(|line| size_of_val(line) + line.len()).sum();
        let changes: usize = self.changes.iter().map(|blame| size_of::<Blame>() + blame.path.len()).sum();
        size_of::<Self>() + oom + lines + changes
    }
}

/// Where many details are kept, a line is short.
fn line_bytes(budget: usize) -> usize {
    (budget / 8).clamp(MIN_LINE_BYTES, MAX_MESSAGE_BYTES)
}

/// As many lines as a quarter of the room for details takes.
fn lines(budget: usize) -> usize {
    (budget / 4 / line_bytes(budget)).clamp(1, MAX_LINES)
}

fn last_lines(all: &[String], budget: usize) -> Vec<Box<str>> {
    let first = all.len().saturating_sub(lines(budget));
    all[first..].iter().map(|line| text(line, line_bytes(budget))).collect()
}

/// One short line without secrets.
fn text(text: &str, limit: usize) -> Box<str> {
    wording::line(&mask_credentials(text), limit).into()
}
