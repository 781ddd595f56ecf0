//! How the database is opened: to write, with all that is done for it, or only to read what another process writes.

use crate::sqlite::{self, Schema, Trouble, Unusable, companion_of, connect, printable};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fmt::Display;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const SCHEMA: Schema = Schema {
    // hhst
    application: 0x6868_7374,
    migrations: &[include_str!("schema/1.sql"), include_str!("schema/2.sql")],
};
const TABLES: &str =
    "SELECT count(*), coalesce(sum(name IN ('machines', 'system_positions', 'system_subjects',
     'system_status', 'system_status_history', 'system_gaps', 'system_series', 'system_numbers')), 0)
     FROM sqlite_schema WHERE type = 'table'";
const OURS_ALONE: u32 = 0o700;
/// Nobody is kept waiting by us: who writes holds it for one portion.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A database up to this size is checked as a whole when it is opened, a larger one where it would be written into.
const CHECKED_BYTES: u64 = 4 * 1024 * 1024;
const CHECKED_TABLES: [&str; 5] =
    ["meta", "machines", "system_positions", "system_subjects", "system_status"];
/// What was taken in survives a power failure as well, since batches leave the spool with it: that costs one flush a
/// portion.
const SETTINGS: &str = "
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -8192;
    PRAGMA temp_store = MEMORY;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 33554432;
";

/// A connection, and why nothing may be written through it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) newer: Option<String>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Unopened {
    Trouble(Trouble),
    Told(String),
}

impl From<Trouble> for Unopened {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<rusqlite::Error> for Unopened {
    fn from(error: rusqlite::Error) -> Self {
        Self::Trouble(error.into())
    }
}

impl From<Unusable> for Unopened {
    fn from(unusable: Unusable) -> Self {
        Self::Told(unusable.to_string())
    }
}

/// Opens the database, which is made where there is none.
pub(super) fn to_write(path: &Path) -> Result<Opened, Unopened> {
    let path = place(path)?;
    let len = believed_len(&path)?;
    let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if is_strangers(&connection, &path) {
        sqlite::abandon(connection);
        let path = printable(&path);
        return Err(Unopened::Told(format!(
            "{path} is no history and is left alone: name another file in [history] url"
        )));
    }
    match prepare(&mut connection, len) {
        Ok(newer) => Ok(Opened { connection, newer }),
        Err(trouble) => {
            sqlite::abandon(connection);
            Err(trouble.into())
        }
    }
}

/// Whether the file never was a history, so that nobody may move it aside: a database without any table of ours, or what
/// is no database and is not called like one.
fn is_strangers(connection: &Connection, path: &Path) -> bool {
    let found = connection.query_row(TABLES, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    match found {
        Ok((tables, ours)) => tables > 0 && ours == 0,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => !path
            .extension()
            .is_some_and(|ending| ending == "db" || ending == "sqlite" || ending == "sqlite3"),
        Err(_) => false,
    }
}

/// Opens what is there, for whoever changes a little beside the one who writes: nothing is made, moved aside, brought up
/// to date, or given to somebody else.
pub(super) fn to_change(path: &Path) -> Result<Opened, Unopened> {
    let path = real(path).map_err(|error| none(path, &error))?;
    let owner = believe_directory(path.parent().unwrap_or(Path::new("/")))?;
    if !sqlite::is_there(&path, owner)? {
        return Err(none(&path, &"there is no such file"));
    }
    believed_len(&path)?;
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let (version, newest) = (SCHEMA.version(&connection)?, SCHEMA.newest());
    if version < newest {
        return Err(none(&path, &format!("it has schema {version}, this one knows {newest}")));
    }
    connection.execute_batch(SETTINGS)?;
    Ok(Opened { connection, newer: (version > newest).then(|| newer(version)) })
}

/// How large the file is. An empty one would take its log with it.
fn believed_len(path: &Path) -> Result<u64, Trouble> {
    let len = path.metadata().map_or(0, |metadata| metadata.len());
    if len == 0 && companion_of(path, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
        return Err(Trouble::Damage("it is empty, its log is not".to_owned()));
    }
    Ok(len)
}

/// The path without links, in a directory that can be believed, and a file there.
fn place(path: &Path) -> Result<PathBuf, Unopened> {
    let given = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let not_now = |error: std::io::Error| Unopened::Told(sqlite::unwritable(given, &error));
    DirBuilder::new().recursive(true).mode(OURS_ALONE).create(given).map_err(not_now)?;
    let path = real(path).map_err(not_now)?;
    sqlite::prepare(&path, believe_directory(given)?)?;
    Ok(path)
}

/// Who owns a directory that can be believed.
fn believe_directory(dir: &Path) -> Result<u32, Unopened> {
    let metadata = dir.metadata().map_err(|error| Unopened::Told(sqlite::unwritable(dir, &error)))?;
    if let Some((problem, cure)) = sqlite::directory_problem(&metadata) {
        return Err(Unopened::Told(format!("{}: not used: {problem}: {cure}", printable(dir))));
    }
    Ok(metadata.uid())
}

/// The same file by a path whose directories are no links.
pub(super) fn real(path: &Path) -> std::io::Result<PathBuf> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
    Ok(dir.canonicalize()?.join(name))
}

/// Why nothing is written, where a newer program was here.
fn prepare(connection: &mut Connection, len: u64) -> Result<Option<String>, Trouble> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let version = SCHEMA.version(connection)?;
    if version > SCHEMA.newest() {
        return Ok(Some(newer(version)));
    }
    connection.execute_batch(SETTINGS)?;
    if version == 0 {
        // It has to be known before there is any table.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    // Where there can be no log, as on a network file system, its place is taken by a slower journal.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    if version > 0 {
        check(connection, len)?;
    }
    SCHEMA.migrate(connection, version)?;
    Ok(None)
}

fn newer(version: usize) -> String {
    format!("schema {version}, this one knows {}", SCHEMA.newest())
}

fn check(connection: &Connection, len: u64) -> Result<(), Trouble> {
    let tables = if len <= CHECKED_BYTES { &["1"][..] } else { &CHECKED_TABLES };
    for table in tables {
        let word: String =
            connection.query_row(&format!("PRAGMA integrity_check({table})"), [], |row| row.get(0))?;
        if word != "ok" {
            return Err(Trouble::Damage(word.lines().take(2).collect::<Vec<_>>().join(" ")));
        }
    }
    Ok(())
}

/// Opens what is there, and changes nothing of it.
pub(super) fn to_read(path: &Path) -> Result<Opened, Unopened> {
    let path = real(path).map_err(|error| none(path, &error))?;
    path.symlink_metadata().map_err(|error| none(&path, &error))?;
    let readable = |connection: Connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch("PRAGMA cache_size = -8192; PRAGMA trusted_schema = OFF;")?;
        Ok::<_, Trouble>((SCHEMA.version(&connection)?, connection))
    };
    let opened = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(Trouble::from).and_then(readable);
    let has_log = companion_of(&path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    // Where the files of the log cannot be made and there is no log, the database alone is everything.
    let (version, connection) = match opened {
        Err(_) if !has_log => readable(sqlite::immutable(&path)?)?,
        other => other?,
    };
    if version == 0 {
        return Err(none(&path, &"nothing was written yet"));
    }
    Ok(Opened { connection, newer: None })
}

fn none(path: &Path, problem: &dyn Display) -> Unopened {
    let path = printable(path);
    Unopened::Told(format!("no history can be read in {path}: {problem}: `healthcheck monitor` writes it"))
}
