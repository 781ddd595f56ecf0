//! What was done to the alerts and is no transition, written and read.

use super::retention;
use super::rows::{self, Read, bounded, json, parsed, text};
use super::schema::SCHEMA;
use healthcheck_core::alerts::Act;
use rusqlite::{Connection, Row, params};

const PUT_ACT: &str = "INSERT INTO acts (at, key, transition_id, record)
     VALUES (?1, ?2, coalesce((SELECT max(id) FROM transitions), 0), ?3)
     ON CONFLICT (key) DO UPDATE SET record = excluded.record";
const ACTS: &str = "SELECT transition_id, at, record FROM acts ORDER BY id LIMIT ?1";

pub(super) const STATEMENTS: [&str; 2] = [PUT_ACT, ACTS];

/// The version of the schema that began to have them.
const SINCE: usize = 3;

/// What was done. When it was done stays, of what is there already.
pub(super) fn put(connection: &Connection, acts: &[&Act]) -> rusqlite::Result<()> {
    for act in acts {
        let mut statement = connection.prepare_cached(PUT_ACT)?;
        statement.execute(params![act.at.to_string(), act.key(), json(&act.deed)?])?;
    }
    if acts.is_empty() { Ok(()) } else { retention::limit_acts(connection, acts.len()) }
}

/// What was done, each with the id of the last transition that was kept before it; in order.
pub(super) fn acts(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<(i64, Act)>> {
    if SCHEMA.version(connection).is_ok_and(|version| version < SINCE) {
        return Ok(Vec::new());
    }
    rows::rows(connection, ACTS, [bounded(limit)], act)
}

fn act(row: &Row<'_>) -> Read<(i64, Act)> {
    Ok((row.get(0)?, Act { at: text(row, 1)?, deed: parsed(row, 2)? }))
}
