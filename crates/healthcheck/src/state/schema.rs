//! The tables of `state.db`.

use crate::sqlite::{Schema, Trouble};
use rusqlite::Connection;

pub(super) const SCHEMA: Schema = Schema {
    // hchk
    application: 0x6863_686b,
    migrations: &[
        include_str!("schema/1.sql"),
        include_str!("schema/2.sql"),
        include_str!("schema/3.sql"),
        include_str!("schema/4.sql"),
    ],
};
/// No machine lives to see so many transitions; beyond it a number was not counted.
const MAX_ID: i64 = 1 << 48;

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
