//! What happened, kept for long: in a file of `SQLite`, or in `PostgreSQL` for many machines. It is fed from `state.db`
//! and never asked by who judges.

pub(crate) mod batch;
pub(crate) mod postgres;
pub(crate) mod spool;
pub(crate) mod sqlite;
mod storable;
#[cfg(test)]
mod suite;
pub(crate) mod unusable;

pub(crate) use healthcheck_core::history::retention::{Slice, Stock};

use health_reporter::Status;
use healthcheck_core::history::{Beats, Bin, Mark, Resolution, Window};
use healthcheck_core::{Cause, Gap, Subject, Transition};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Who writes: what came from one of them is taken in once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The machine.
    pub(crate) host: String,
    /// The `state.db` that its transitions and gaps are numbered in.
    pub(crate) state: String,
    /// The run of the monitor that its batches are numbered in.
    pub(crate) run: String,
}

/// How far what comes from an origin was taken in: the last number of each, 0 for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Of the transitions in `state.db`.
    pub(crate) transition: i64,
    /// Of the gaps in `state.db`.
    pub(crate) gap: i64,
    /// Of the batches of this run.
    pub(crate) batch: u64,
}

/// When a row is written for a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Record {
    /// Where it says something else than the one before it; else the row of that one is confirmed.
    Changes,
    /// Always.
    Heartbeats,
}

/// What is taken in together, or not at all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Portion {
    pub(crate) origin: Origin,
    /// Where the store has to be: elsewhere, somebody else wrote, and nothing is taken in.
    pub(crate) before: Position,
    /// Where it is afterwards.
    pub(crate) after: Position,
    pub(crate) record: Record,
    /// In the order in which they happened.
    pub(crate) entries: Vec<Entry>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    /// A verdict changed: it opens a run.
    Transition { id: i64, transition: Transition },
    /// What was found out later of a transition that may have been taken in already: message, reasons,
    /// evidence, whether it was healed and whether it flaps take the place of what was known. One that is not there is
    /// none.
    Amended { id: i64, transition: Transition },
    /// Nobody looked.
    Gap(Gap),
    /// It was planned that a subject need not work. One that goes on from where the last one ended makes that longer.
    Maintenance { subject: Subject, window: Window },
    /// Heartbeats, or looks.
    Beats(Beats),
    /// Numbers of one minute; they are put to those that are there, in each resolution.
    Numbers { subject: Subject, metric: String, bin: Bin },
    /// A subject is no longer known: its row leaves `system_status`, its runs stay. From then on nobody looked at it.
    Forgotten { subject: Subject, at: Timestamp },
    /// How it stands with a machine: of whoever tells, or of another one that it watches.
    Machine(MachineState),
    /// Until then everything was looked at.
    Seen(Timestamp),
}

/// How it stands with a machine, by the word of the machine itself or of a watcher: what was said last counts.
///
/// Of a machine whose own monitor feeds the store, `last_seen` is kept as that says it ([`Entry::Seen`]), whatever a
/// watcher sees: until then it is known how everything there was. Of all others it is the watcher's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineState {
    /// By which it is known, for ever.
    pub(crate) name: String,
    pub(crate) hostname: String,
    pub(crate) description: String,
    pub(crate) status: Presence,
    pub(crate) last_seen: Timestamp,
}

/// Whether a machine is there, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    Online,
    Offline,
    Stopped,
    Unknown,
}

impl Presence {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }
}

/// A machine whose monitor feeds the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Host {
    pub(crate) name: String,
    /// Until when it is known what happened there: what was said last, since a clock may be set back.
    pub(crate) last_seen: Timestamp,
}

/// A row of `machines`: id, name, hostname, description, status, and until when it was seen.
#[cfg(test)]
pub(crate) type MachineRow = (String, String, Option<String>, Option<String>, Option<String>, Timestamp);

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Of one machine; of all where there is none.
    pub(crate) host: Option<String>,
    /// Of one subject; of all where there is none.
    pub(crate) subject: Option<Subject>,
}

/// A row of `system_status`: how it stands with a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StatusRow {
    pub(crate) host: String,
    pub(crate) subject: Subject,
    pub(crate) status: Status,
    pub(crate) cause: Cause,
    pub(crate) message: String,
    pub(crate) current_task: Option<String>,
    /// When status and cause became what they are.
    pub(crate) changed_at: Timestamp,
    /// Nothing where it never said a word.
    pub(crate) last_heartbeat: Option<Timestamp>,
}

/// A row of `system_status_history`: heartbeats, one after the other, that said the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RunRow {
    pub(crate) id: i64,
    pub(crate) host: String,
    pub(crate) subject: Subject,
    pub(crate) status: Status,
    pub(crate) cause: Cause,
    pub(crate) current_task: Option<String>,
    /// When it began.
    pub(crate) begun_at: Timestamp,
    /// When it was last confirmed.
    pub(crate) heartbeat_timestamp: Timestamp,
    /// How many heartbeats said it; none where a verdict changed without one.
    pub(crate) heartbeats: u64,
    /// When the row was written.
    pub(crate) created_at: Timestamp,
    /// Whether the verdict changed with it.
    pub(crate) opens: bool,
    /// The transition that opened it, where it is known.
    pub(crate) transition: Option<Transition>,
}

/// How a subject was judged over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) host: String,
    pub(crate) subject: Subject,
    /// In the order in which it was judged: what was in force at the beginning of the window, if anything was, and
    /// every change within it.
    pub(crate) marks: Vec<Mark>,
    /// When it was planned that it need not work, in order, without overlaps.
    pub(crate) maintenance: Vec<Window>,
}

/// Numbers of one subject over time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) host: String,
    pub(crate) subject: Subject,
    pub(crate) metric: String,
    /// In order.
    pub(crate) bins: Vec<Bin>,
}

/// How far a slice was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pruned {
    pub(crate) rows: u64,
    /// Whether nothing of it is left.
    pub(crate) is_done: bool,
}

/// Where history is kept. Each call ends within its own deadline, whatever hangs; after an error the next call begins
/// again from the connection on. Times are kept in microseconds, texts as [`storable`] makes them: what a portion says
/// is no reason not to take it in. `suite` holds every store to the same rules.
pub(crate) trait HistoryStore: Send {
    /// How far what comes from an origin was taken in.
    fn position(&mut self, origin: &Origin) -> Result<Position, HistoryError>;

    /// Takes in a portion, all of it or nothing. Whether it was, is not known after an error: [`HistoryStore::position`]
    /// says it.
    fn write(&mut self, portion: &Portion) -> Result<(), HistoryError>;

    /// The machines whose monitors feed the store, by name.
    fn hosts(&mut self) -> Result<Vec<Host>, HistoryError>;

    /// The rows of `machines`, by name, as others read them: also of machines that only a watcher knows.
    #[cfg(test)]
    fn machines(&mut self) -> Result<Vec<MachineRow>, HistoryError> {
        Ok(Vec::new())
    }

    /// How it stands, by host and subject.
    fn statuses(&mut self, of: &Selection) -> Result<Vec<StatusRow>, HistoryError>;

    /// How subjects were judged in a window, by host and subject; also of those that are no longer known, not of those of
    /// which nothing was known yet.
    fn judged(&mut self, of: &Selection, window: Window) -> Result<Vec<Judged>, HistoryError>;

    /// The runs that reach into a window, as they are asked for: those first that were confirmed last, until `take` is
    /// false.
    fn runs(
        &mut self,
        of: &Selection,
        window: Window,
        take: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError>;

    /// The runs with which a verdict changed in a window, as they are asked for: those first that began last, until
    /// `take` is false.
    fn openings(
        &mut self,
        of: &Selection,
        window: Window,
        take: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        let is_meant = |run: &RunRow| run.opens && run.begun_at >= window.from && run.begun_at < window.to;
        self.runs(of, window, &mut |run| !is_meant(&run) || take(run))
    }

    /// The run of a subject in which an instant lies; otherwise the last one before it.
    fn run_at(
        &mut self,
        host: &str,
        subject: &Subject,
        at: Timestamp,
    ) -> Result<Option<RunRow>, HistoryError> {
        let of = Selection { host: Some(host.to_owned()), subject: Some(subject.clone()) };
        let mut found = None;
        let until = at.checked_add(SignedDuration::from_micros(1)).unwrap_or(at);
        self.runs(&of, Window { from: Timestamp::MIN, to: until }, &mut |run| {
            found = Some(run).filter(|run| run.begun_at <= at);
            found.is_none()
        })?;
        Ok(found)
    }

    /// Time in which nobody looked on a machine, in order.
    fn gaps(&mut self, host: &str, window: Window) -> Result<Vec<Gap>, HistoryError>;

    /// Numbers of the times that reach into a window, by host, subject and metric; no series without any.
    fn series(
        &mut self,
        of: &Selection,
        resolution: Resolution,
        window: Window,
    ) -> Result<Vec<Series>, HistoryError>;

    /// What takes how much room.
    fn stock(&mut self) -> Result<Stock, HistoryError>;

    /// Drops of a slice at most so many rows, or all of it at once where that costs nothing. What is in force stays in
    /// `system_status`.
    fn prune(&mut self, slice: &Slice, at_most: u32) -> Result<Pruned, HistoryError>;

    /// Copies everything into a file that is not there yet, while others write.
    fn backup(&mut self, to: &Path) -> Result<(), HistoryError>;

    /// What became of what was kept, where that is to be told: it was damaged, and begun anew. It is said once.
    fn remark(&mut self) -> Option<String> {
        None
    }
}

/// Why history could not be read or written; one line, that names the store, what is the matter and the cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryError {
    text: String,
    is_elsewhere: bool,
}

impl HistoryError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_elsewhere: false }
    }

    /// The store was not where the portion begins.
    pub(crate) fn elsewhere() -> Self {
        Self {
            text: "another monitor of this machine writes to the same history".to_owned(),
            is_elsewhere: true,
        }
    }

    /// Whether the same portion would never be taken in: its position is to be asked for again.
    pub(crate) const fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }
}

impl std::error::Error for HistoryError {}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
