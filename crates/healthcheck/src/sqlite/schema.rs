//! The tables, and how a database of an earlier version comes to have them. Each migration only adds, or moves what
//! it finds to where it is read from then on.

use super::Trouble;
use rusqlite::{Connection, OptionalExtension};

/// What a database is to be.
#[derive(Debug)]
pub(crate) struct Schema {
    /// What says that a database is ours.
    pub(crate) application: i32,
    /// Each makes the version of its number, the first from nothing, with a table `meta`. None is ever changed once it
    /// was released.
    pub(crate) migrations: &'static [&'static str],
}

impl Schema {
    /// The newest version that is known.
    pub(crate) const fn newest(&self) -> usize {
        self.migrations.len()
    }

    /// The version of a database: 0 if there is nothing in it yet. One that contradicts itself is damaged.
    pub(crate) fn version(&self, connection: &Connection) -> Result<usize, Trouble> {
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        let (application, version) = (number("application_id")?, number("user_version")?);
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if (application, version, tables) == (0, 0, 0) {
            return Ok(0);
        }
        let said: Option<String> = connection
            .query_row("SELECT value FROM meta WHERE key = 'schema_version'", [], |row| row.get(0))
            .optional()?;
        let told =
            said.and_then(|said| said.parse::<i32>().ok()).filter(|said| *said == version && version > 0);
        match told.and_then(|version| usize::try_from(version).ok()) {
            Some(version) if application == self.application => Ok(version),
            _ => Err(Trouble::Damage("its version is not one that was written".to_owned())),
        }
    }

    /// Brings a database from a version to the newest one, each step whole or not at all.
    pub(crate) fn migrate(&self, connection: &mut Connection, from: usize) -> rusqlite::Result<()> {
        for (number, migration) in (1_u32..).zip(self.migrations).skip(from) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "application_id", self.application)?;
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
}
