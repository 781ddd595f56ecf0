//! The connection: how it is opened, checked and written through.

pub(super) use crate::sqlite::{abandon, checkpoint, connect, is_gone};

use super::Keeping;
use super::alerts::{self, Found};
use super::reader::Reader;
use super::rows::{self, Loaded, Unloadable};
use super::schema::{self, SCHEMA};
use crate::sqlite::{Trouble, companion_of, printable};
use healthcheck_core::State;
use healthcheck_core::alerts::Alerts;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// A database up to this size is checked as a whole each time it is opened, a larger one where the state is.
const CHECKED_BYTES: u64 = 4 * 1024 * 1024;
/// What is read at the start; the first three are in a database of any version, the last since the fourth.
const CHECKED_TABLES: [&str; 8] =
    ["meta", "subjects", "gaps", "troubles", "channels", "told", "silences", "incident_members"];
/// `synchronous = FULL` costs a flush each commit, and is set for each connection; so is all that bounds the memory.
const SETTINGS: &str = "
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -512;
    PRAGMA temp_store = MEMORY;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 2000;
    PRAGMA journal_size_limit = 8388608;
";

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    PowerFailure,
    Kill,
}

/// What was found in the state directory.
pub(super) struct Opened {
    pub(super) keeping: Keeping,
    pub(super) state: State,
    pub(super) alerts: Alerts,
    /// What was not found any more.
    pub(super) lost: Option<String>,
}

/// Opens the database whose file is there, empty or not, and reads the state.
pub(super) fn open(path: &Path) -> Result<Opened, Trouble> {
    let len = path.metadata().map_or(0, |metadata| metadata.len());
    if len == 0 && companion_of(path, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
        return Err(Trouble::Damage("it is empty, its log is not".to_owned()));
    }
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    match prepare(&mut connection, len) {
        Ok(None) => load(connection, path),
        Ok(Some(newer)) => Ok(untouched(path, &newer, connection)),
        Err(trouble) => {
            abandon(connection);
            Err(trouble)
        }
    }
}

/// The newer version, if it is one.
fn prepare(connection: &mut Connection, len: u64) -> Result<Option<String>, Trouble> {
    let version = SCHEMA.version(connection)?;
    if version > SCHEMA.newest() {
        return Ok(Some(format!("schema {version}, this one knows {}", SCHEMA.newest())));
    }
    connection.execute_batch(SETTINGS)?;
    // Where there can be no log, as on a network file system, its place is taken by a slower journal.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    if version > 0 {
        check(connection, len, version)?;
    }
    SCHEMA.migrate(connection, version)?;
    rows::check_statements(connection)?;
    schema::check_counters(connection)?;
    Ok(None)
}

fn check(connection: &Connection, len: u64, version: usize) -> Result<(), Trouble> {
    let tables = match version {
        _ if len <= CHECKED_BYTES => &["1"][..],
        1 => &CHECKED_TABLES[..3],
        2 | 3 => &CHECKED_TABLES[..7],
        _ => &CHECKED_TABLES,
    };
    for table in tables {
        let word: String =
            connection.query_row(&format!("PRAGMA integrity_check({table})"), [], |row| row.get(0))?;
        if word != "ok" {
            return Err(Trouble::Damage(word.lines().take(2).collect::<Vec<_>>().join(" ")));
        }
    }
    Ok(())
}

fn load(connection: Connection, path: &Path) -> Result<Opened, Trouble> {
    match rows::state(&connection) {
        Ok(loaded) => load_alerts(connection, path, loaded),
        Err(Unloadable::Newer(newer)) => Ok(untouched(path, &newer.to_string(), connection)),
        Err(Unloadable::Damaged) => {
            abandon(connection);
            Err(Trouble::Damage(Unloadable::Damaged.to_string()))
        }
        Err(Unloadable::Database(error)) => {
            abandon(connection);
            Err(error.into())
        }
    }
}

fn load_alerts(connection: Connection, path: &Path, loaded: Loaded) -> Result<Opened, Trouble> {
    let Loaded { state, unreadable } = loaded;
    let found = alerts::found(&connection).and_then(|found| {
        if matches!(found, Found::Scattered) {
            alerts::clear(&connection)?;
        }
        Ok(found)
    });
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            abandon(connection);
            return Err(error.into());
        }
    };
    let records = (unreadable > 0).then(|| format!("{unreadable} records cannot be read, they are lost"));
    let scattered = matches!(found, Found::Scattered)
        .then(|| "what was told to whom cannot be read, all of it is lost".to_owned());
    let lost: Vec<String> = records.into_iter().chain(scattered).collect();
    let lost = (!lost.is_empty()).then(|| format!("{}: {}", printable(path), lost.join("; ")));
    Ok(Opened { keeping: Keeping::InDatabase(connection), state, alerts: found.into_alerts(), lost })
}

/// A newer program left most of what we know where it was, so that much can be read.
fn untouched(path: &Path, newer: &str, connection: Connection) -> Opened {
    abandon(connection);
    let known = Reader::at(path).ok();
    let state = known.as_ref().and_then(|reader| reader.state().ok()).unwrap_or_default();
    let found = known.as_ref().and_then(|reader| alerts::found(reader.connection()).ok());
    let alerts = found.unwrap_or(Found::Nothing).into_alerts_of_a_guest();
    let path = printable(path);
    let reason = format!(
        "{path} was made by a newer healthcheck ({newer}): it is watched on without being kept; update this program"
    );
    Opened { keeping: Keeping::Untouched { known, reason }, state, alerts, lost: None }
}

/// Does the work in one transaction, which is on the disk afterwards where that is wanted.
pub(super) fn transact<T>(
    connection: &Connection,
    durability: Durability,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    if durability == Durability::Kill {
        connection.pragma_update(None, "synchronous", "NORMAL")?;
    }
    let outcome = within(connection, work);
    if durability == Durability::Kill {
        connection.pragma_update(None, "synchronous", "FULL")?;
    }
    outcome
}

/// The statements that begin and end it are prepared once, as all others.
fn within<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let does = |sql| connection.prepare_cached(sql)?.execute([]).map(drop);
    does("BEGIN IMMEDIATE")?;
    let done = work(connection).and_then(|done| does("COMMIT").map(|()| done));
    // A full disk has ended it already. Where it goes on, the next one says so.
    if done.is_err() && !connection.is_autocommit() {
        let _ = does("ROLLBACK");
    }
    done
}
