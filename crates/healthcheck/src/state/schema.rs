//! The tables, and how a database of an earlier version comes to have them. Each migration only adds.

use super::trouble::Trouble;
use rusqlite::{Connection, OptionalExtension};

/// Each makes the version of its number, the first from nothing. None is ever changed once it was released.
const MIGRATIONS: [&str; 3] =
    [include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];
/// What says that a database is ours: `hchk`.
const APPLICATION: i32 = 0x6863_686b;
/// No machine lives to see so many transitions; beyond it a number was not counted.
const MAX_ID: i64 = 1 << 48;

/// The newest version that is known.
pub(super) const fn newest() -> usize {
    MIGRATIONS.len()
}

/// The version of a database: 0 if there is nothing in it yet. One that contradicts itself is damaged.
pub(super) fn version(connection: &Connection) -> Result<usize, Trouble> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(0);
    }
    let said: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE key = 'schema_version'", [], |row| row.get(0))
        .optional()?;
    let told = said.and_then(|said| said.parse::<i32>().ok()).filter(|said| *said == version && version > 0);
    match told.and_then(|version| usize::try_from(version).ok()) {
        Some(version) if application == APPLICATION => Ok(version),
        _ => Err(Trouble::Damage("its version is not one that was written".to_owned())),
    }
}

/// Brings a database from a version to the newest one, each step whole or not at all.
pub(super) fn migrate(connection: &mut Connection, from: usize) -> rusqlite::Result<()> {
    for (number, migration) in (1_u32..).zip(MIGRATIONS).skip(from) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.execute(
            "INSERT INTO meta (key, value) VALUES ('schema_version', ?1)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [number.to_string()],
        )?;
        transaction.commit()?;
    }
    Ok(())
}

/// Whether numbers can still be given: a damaged counter would look like a full disk for ever.
pub(super) fn check_counters(connection: &Connection) -> Result<(), Trouble> {
    let worst: Option<i64> = connection.query_row(
        "SELECT max(id) FROM (SELECT max(seq) AS id FROM sqlite_sequence UNION ALL SELECT max(id) FROM transitions
         UNION ALL SELECT max(id) FROM gaps UNION ALL SELECT max(id) FROM incidents UNION ALL SELECT max(seq) FROM outbox
         UNION ALL SELECT max(id) FROM acts)",
        [],
        |row| row.get(0),
    )?;
    if worst.is_some_and(|worst| !(0..MAX_ID).contains(&worst)) {
        return Err(Trouble::Damage("its numbers were not counted".to_owned()));
    }
    Ok(())
}
