//! How long what is over is kept. Each commit looks at a few of the oldest, so that none waits for many.

use healthcheck_core::{Subject, Transition};
use jiff::SignedDuration;
use rusqlite::{Connection, OptionalExtension, params};

const KEPT_FOR: SignedDuration = SignedDuration::from_hours(60 * 24);
const KEPT_TRANSITIONS: i64 = 200_000;
const KEPT_GAPS: i64 = 10_000;
const KEPT_INCIDENTS: i64 = 10_000;
const KEPT_NOTICES: i64 = 10_000;
const KEPT_ACTS: i64 = 10_000;
/// How many of the oldest a commit looks at, beside as many as it adds.
const PORTION: usize = 16;

const PASSED: &str = "SELECT value FROM meta WHERE key = 'retention_passed'";
const SET_PASSED: &str = "INSERT INTO meta (key, value) VALUES ('retention_passed', ?1)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const OLDEST: &str = "SELECT id, at FROM transitions WHERE id > ?1 ORDER BY id LIMIT ?2";
/// The last word on a subject that is known stays, however old it is.
const DROP_PASSED: &str = "DELETE FROM transitions WHERE id > ?1 AND id <= ?2 AND (
         EXISTS (SELECT 1 FROM transitions AS later WHERE later.kind = transitions.kind
                 AND later.name = transitions.name AND later.id > transitions.id)
         OR NOT EXISTS (SELECT 1 FROM subjects WHERE subjects.kind = transitions.kind
                        AND subjects.name = transitions.name))";
const DROP_OLD_OF_SUBJECT: &str = "DELETE FROM transitions WHERE kind = ?1 AND name = ?2 AND id <= ?3";
const DROP_GAPS: &str = "DELETE FROM gaps WHERE id <= ?1";
const DROP_INCIDENTS: &str = "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents
     WHERE resolved IS NOT NULL AND id <= (SELECT max(id) FROM incidents) - ?1 ORDER BY id LIMIT ?2)";
const DROP_NOTICES: &str = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox
     WHERE state <> 'waiting' AND seq <= (SELECT max(seq) FROM outbox) - ?1 ORDER BY seq LIMIT ?2)";
const DROP_ACTS: &str = "DELETE FROM acts WHERE id IN (SELECT id FROM acts
     WHERE id <= (SELECT max(id) FROM acts) - ?1 ORDER BY id LIMIT ?2)";

pub(super) const STATEMENTS: [&str; 9] = [
    PASSED,
    SET_PASSED,
    OLDEST,
    DROP_PASSED,
    DROP_OLD_OF_SUBJECT,
    DROP_GAPS,
    DROP_INCIDENTS,
    DROP_NOTICES,
    DROP_ACTS,
];

/// Up to which id transitions are old; what is left of those is the last word on its subject.
pub(super) fn passed(connection: &Connection) -> rusqlite::Result<i64> {
    let passed: Option<String> =
        connection.prepare_cached(PASSED)?.query_row([], |row| row.get(0)).optional()?;
    // A damaged number only lets old transitions live longer.
    Ok(passed.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Drops the last word on a subject where it is old, since there is a newer one or the subject is forgotten.
pub(super) fn supersede(connection: &Connection, subject: &Subject, passed: i64) -> rusqlite::Result<()> {
    if passed > 0 {
        let mut statement = connection.prepare_cached(DROP_OLD_OF_SUBJECT)?;
        statement.execute(params![subject.kind.as_str(), &*subject.name, passed])?;
    }
    Ok(())
}

/// Goes on from the oldest: `newest` was just kept under `newest_id`, one of `added`.
pub(super) fn advance(
    connection: &Connection,
    passed: i64,
    newest: &Transition,
    newest_id: i64,
    added: usize,
) -> rusqlite::Result<()> {
    let until = newest.at.checked_sub(KEPT_FOR).map(|until| until.to_string()).unwrap_or_default();
    let mut statement = connection.prepare_cached(OLDEST)?;
    let portion = portion(added);
    let oldest = statement.query_map(params![passed, portion], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let oldest: Vec<(i64, String)> = oldest.collect::<rusqlite::Result<_>>()?;
    let is_old = |(id, at): &&(i64, String)| *id <= newest_id - KEPT_TRANSITIONS || *at < until;
    let Some((last, _)) = oldest.iter().take_while(is_old).last() else { return Ok(()) };
    connection.prepare_cached(DROP_PASSED)?.execute([passed, *last])?;
    connection.prepare_cached(SET_PASSED)?.execute([last.to_string()])?;
    Ok(())
}

pub(super) fn limit_gaps(connection: &Connection, newest_id: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(DROP_GAPS)?.execute([newest_id - KEPT_GAPS]).map(drop)
}

/// After so many incidents were kept: the last of those that are over stay, and all that are open.
pub(super) fn limit_incidents(connection: &Connection, added: usize) -> rusqlite::Result<()> {
    connection.prepare_cached(DROP_INCIDENTS)?.execute([KEPT_INCIDENTS, portion(added)]).map(drop)
}

/// After so many notices were kept: the last of those that are not on their way stay, and all that are.
pub(super) fn limit_outbox(connection: &Connection, added: usize) -> rusqlite::Result<()> {
    connection.prepare_cached(DROP_NOTICES)?.execute([KEPT_NOTICES, portion(added)]).map(drop)
}

/// After so much was done: the last of it stays.
pub(super) fn limit_acts(connection: &Connection, added: usize) -> rusqlite::Result<()> {
    connection.prepare_cached(DROP_ACTS)?.execute([KEPT_ACTS, portion(added)]).map(drop)
}

/// More than come, so that there are fewer at last.
fn portion(added: usize) -> i64 {
    i64::try_from(PORTION + added).unwrap_or(i64::MAX)
}
