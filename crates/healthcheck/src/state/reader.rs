//! What is kept, for whoever only wants to know.

use super::acts;
use super::alerts::{self, Found};
use super::database::{abandon, connect, is_gone};
use super::place::database_in;
use super::rows;
use crate::sqlite::{companion_of, immutable, printable};
use healthcheck_core::alerts::{Act, Alerts, Incident, Outgoing, Silence};
use healthcheck_core::{Gap, State, Subject, Transition};
use rusqlite::{Connection, OpenFlags};
use std::fmt::{self, Display};
use std::path::Path;

/// What may be held of the pages, in KiB, as SQLite counts them.
const CACHE_KIB: i32 = -512;

/// What a monitor keeps, or kept.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Connection,
    /// It does not see what is written from now on.
    is_frozen: bool,
}

impl Reader {
    pub(super) fn open(dir: &Path) -> Result<Self, ReadError> {
        let failed = |problem: &dyn Display| {
            let dir = printable(dir);
            ReadError(format!("no state of a monitor can be read in {dir}: {problem}"))
        };
        let dir = std::fs::canonicalize(dir).map_err(|error| failed(&error))?;
        let path = database_in(&dir);
        path.symlink_metadata().map_err(|error| failed(&error))?;
        Self::at(&path).map_err(|error| failed(&error))
    }

    /// Where the files of the log cannot be made and there is no log, the database alone is everything.
    pub(super) fn at(path: &Path) -> rusqlite::Result<Self> {
        Self::readable(connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?).or_else(|error| {
            let has_log = companion_of(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
            let reader = if has_log { Err(error) } else { Self::readable(immutable(path)?) };
            reader.map(|reader| Self { is_frozen: true, ..reader })
        })
    }

    /// The files are opened by the first question.
    fn readable(connection: Connection) -> rusqlite::Result<Self> {
        // It may be kept for long.
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        rows::check_reading(&connection)?;
        Ok(Self { connection, is_frozen: false })
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The state as it was last kept.
    pub(crate) fn state(&self) -> Result<State, ReadError> {
        let loaded = rows::state(&self.connection);
        loaded.map(|loaded| loaded.state).map_err(|error| ReadError(format!("state.db: {error}")))
    }

    /// The last transitions of a subject with their ids, the newest first.
    pub(crate) fn last_transitions(
        &self,
        subject: &Subject,
        limit: usize,
    ) -> Result<Vec<(i64, Transition)>, ReadError> {
        Ok(rows::last_transitions(&self.connection, subject, limit)?)
    }

    /// The alerts as they were last kept, to look at.
    pub(crate) fn alerts(&self) -> Result<Alerts, ReadError> {
        let _at_once = self.connection.unchecked_transaction()?;
        Ok(alerts::found(&self.connection)?.into_alerts())
    }

    /// The incidents that are open, then the last that are over, the newest first.
    pub(crate) fn incidents(&self, limit: usize) -> Result<Vec<Incident>, ReadError> {
        let _at_once = self.connection.unchecked_transaction()?;
        Ok(alerts::incidents(&self.connection, limit)?)
    }

    /// One incident, open or over.
    pub(crate) fn incident(&self, id: u64) -> Result<Option<Incident>, ReadError> {
        let _at_once = self.connection.unchecked_transaction()?;
        Ok(alerts::incident_by_id(&self.connection, id)?)
    }

    /// The last notices that tell of a subject, and what became of them, the newest first.
    pub(crate) fn notices_of(&self, subject: &Subject, limit: usize) -> Result<Vec<Outgoing>, ReadError> {
        Ok(alerts::notices_of(&self.connection, subject, alerts::LOOKED_AT, limit)?)
    }

    /// The last notices, and what became of them, the newest first.
    pub(crate) fn notices(&self, limit: usize) -> Result<Vec<Outgoing>, ReadError> {
        Ok(alerts::last_notices(&self.connection, limit)?)
    }

    /// The silences, in the order in which they were asked for.
    pub(crate) fn silences(&self) -> Result<Vec<Silence>, ReadError> {
        Ok(alerts::silences(&self.connection)?)
    }

    /// The transitions of all subjects after an id, the oldest first.
    pub(crate) fn transitions_after(
        &self,
        id: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Transition)>, ReadError> {
        Ok(rows::transitions_after(&self.connection, id, limit)?)
    }

    /// One transition, as it is known by now; none where it is kept no more.
    pub(crate) fn transition(&self, id: i64) -> Result<Option<Transition>, ReadError> {
        Ok(rows::transition_by_id(&self.connection, id)?)
    }

    /// The gaps after an id, the oldest first.
    pub(crate) fn gaps_after(&self, id: i64, limit: usize) -> Result<Vec<(i64, Gap)>, ReadError> {
        Ok(rows::gaps_after(&self.connection, id, limit)?)
    }

    /// Whether it may show something else than what is kept by now.
    pub(crate) fn is_outdated(&self) -> bool {
        self.is_frozen || is_gone(&self.connection)
    }

    /// The name that this database has for itself: in another one, the same ids are those of something else.
    pub(crate) fn database(&self) -> Result<String, ReadError> {
        rows::database(&self.connection)?.ok_or_else(|| {
            ReadError(
                "state.db was made by an older healthcheck and has no name: start its monitor once"
                    .to_owned(),
            )
        })
    }

    /// What was done that is no transition, each with the id of the last transition that was kept before it; in order.
    pub(crate) fn acts(&self, limit: usize) -> Result<Vec<(i64, Act)>, ReadError> {
        Ok(acts::acts(&self.connection, limit)?)
    }

    #[cfg(test)]
    /// The last gaps, the newest first.
    pub(crate) fn last_gaps(&self, limit: usize) -> Result<Vec<Gap>, ReadError> {
        Ok(rows::last_gaps(&self.connection, limit)?)
    }
}

/// The state of a directory in which nothing can be written now: on a full disk without the shared index of the log,
/// elsewhere as a reader.
pub(super) fn by_any_means(dir: &Path) -> Option<(State, Alerts)> {
    let path = database_in(&std::fs::canonicalize(dir).ok()?);
    let alone = || {
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
        let is_alone = connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE").is_ok();
        let known = is_alone.then(|| everything(&connection)).flatten();
        abandon(connection);
        known
    };
    let reading = || everything(Reader::at(&path).ok()?.connection());
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    alone().or_else(reading)
}

fn everything(connection: &Connection) -> Option<(State, Alerts)> {
    let state = rows::state(connection).ok()?.state;
    let found = alerts::found(connection).unwrap_or(Found::Nothing);
    Some((state, found.into_alerts()))
}

/// Why nothing can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadError(String);

impl std::error::Error for ReadError {}

impl Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self(format!("state.db: {error}"))
    }
}
