//! Connections, and how they end.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, FileControl, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Whoever else holds the database is not waited for longer: there is more to watch.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);
const STATEMENTS_CACHED: usize = 64;

/// Opens without following a link, and without writing anything.
pub(crate) fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Otherwise each `LIMIT ?` is prepared again for each value: a fifth of what a commit costs.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Opens for reading where nothing can be written, not even that somebody reads: nobody else writes there either.
pub(crate) fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    let escaped: String = path.to_string_lossy().chars().map(uri_character).collect();
    let uri = format!("file:{escaped}?immutable=1");
    connect(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

fn uri_character(character: char) -> String {
    match character {
        '%' | '?' | '#' => format!("%{:02X}", u32::from(character)),
        other => other.to_string(),
    }
}

/// Moves what is in the log into the database, as far as nobody reads it.
pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Whether the file is no longer the one at its path.
pub(crate) fn is_gone(connection: &Connection) -> bool {
    let mut is_gone = 0;
    connection.file_control(None::<&str>, FileControl::HasMoved(&mut is_gone)).is_ok() && is_gone != 0
}

/// Closes a connection and changes nothing more on the disk.
pub(crate) fn abandon(connection: Connection) {
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    drop(connection);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn a_statement_is_prepared_once_whatever_is_bound_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        std::fs::write(&path, "").unwrap();
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        connection.execute_batch("CREATE TABLE numbers (id INTEGER PRIMARY KEY)").unwrap();
        let mut statement =
            connection.prepare("SELECT id FROM numbers WHERE id > ?1 ORDER BY id LIMIT ?2").unwrap();
        for bound in 1..10 {
            assert!(statement.query([bound, bound]).unwrap().next().unwrap().is_none());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
