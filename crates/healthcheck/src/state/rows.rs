//! What is in the tables, written and read. A row that cannot be read costs itself, and nothing else.

use super::{Effects, acts, alerts, retention};
use healthcheck_core::alerts::Alerts;
use healthcheck_core::{Gap, Head, NewerState, Record, State, Subject, Transition};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::Serialize;
use serde::de::value::{Error as NoWord, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use tracing::warn;

const PUT_HEAD: &str = "INSERT INTO meta (key, value) VALUES ('head', ?1)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const PUT_RECORD: &str = "INSERT INTO subjects (kind, name, record) VALUES (?1, ?2, ?3)
     ON CONFLICT (kind, name) DO UPDATE SET record = excluded.record";
const FORGET: &str = "DELETE FROM subjects WHERE kind = ?1 AND name = ?2";
const FORGET_ALL: &str = "DELETE FROM subjects";
const PUT_TRANSITION: &str = "INSERT INTO transitions (at, kind, name, from_status, to_status, cause, since,
     is_healed_by_supervisor, is_flapping, message, reasons, evidence)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
/// Another database may have given the id to another transition.
const AMEND: &str = "UPDATE transitions SET message = ?5, reasons = ?6, evidence = ?7,
     is_healed_by_supervisor = ?8, is_flapping = ?9 WHERE id = ?1 AND kind = ?2 AND name = ?3 AND at = ?4";
const PUT_GAP: &str = "INSERT INTO gaps (begun, ended, reason) VALUES (?1, ?2, ?3)";

const HEAD: &str = "SELECT value FROM meta WHERE key = 'head'";
const RECORDS: &str = "SELECT kind, name, record FROM subjects";
const LAST_OF_SUBJECT: &str = "SELECT id, at, kind, name, from_status, to_status, cause, since,
     is_healed_by_supervisor, is_flapping, message, reasons, evidence
     FROM transitions WHERE kind = ?1 AND name = ?2 ORDER BY id DESC LIMIT ?3";
const AFTER: &str = "SELECT id, at, kind, name, from_status, to_status, cause, since,
     is_healed_by_supervisor, is_flapping, message, reasons, evidence
     FROM transitions WHERE id > ?1 ORDER BY id LIMIT ?2";
const ONE: &str = "SELECT id, at, kind, name, from_status, to_status, cause, since,
     is_healed_by_supervisor, is_flapping, message, reasons, evidence
     FROM transitions WHERE id = ?1";
const LAST_NUMBER: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'transitions'";
const LAST_GAPS: &str = "SELECT begun, ended, reason FROM gaps ORDER BY id DESC LIMIT ?1";
const GAPS_AFTER: &str = "SELECT begun, ended, reason, id FROM gaps WHERE id > ?1 ORDER BY id LIMIT ?2";
/// Databases of the first versions have none.
const DATABASE: &str = "SELECT value FROM meta WHERE key = 'database'";

const WRITING: [&str; 7] = [PUT_HEAD, PUT_RECORD, FORGET, FORGET_ALL, PUT_TRANSITION, AMEND, PUT_GAP];
const READING: [&str; 9] =
    [HEAD, RECORDS, LAST_OF_SUBJECT, AFTER, ONE, LAST_NUMBER, LAST_GAPS, GAPS_AFTER, DATABASE];

/// Whether the tables are such that each statement means something.
pub(super) fn check_statements(connection: &Connection) -> rusqlite::Result<()> {
    check_reading(connection)?;
    alerts::check_statements(connection)?;
    let mut all = WRITING.iter().chain(&retention::STATEMENTS).chain(&acts::STATEMENTS);
    all.try_for_each(|sql| connection.prepare_cached(sql).map(drop))
}

pub(super) fn check_reading(connection: &Connection) -> rusqlite::Result<()> {
    READING.iter().try_for_each(|sql| connection.prepare(sql).map(drop))
}

/// Writes all effects, and returns the ids of the transitions.
pub(super) fn put(connection: &Connection, effects: &Effects<'_>) -> rusqlite::Result<Vec<i64>> {
    put_head(connection, effects.head)?;
    for (subject, record) in &effects.records {
        match record {
            Some(record) => put_record(connection, subject, record)?,
            None => forget(connection, subject)?,
        }
    }
    if let Some(gap) = effects.gap {
        put_gap(connection, gap)?;
    }
    alerts::put(connection, effects.alerts)?;
    acts::put(connection, &effects.alerts.acts)?;
    put_transitions(connection, effects.transitions)
}

/// Writes a whole state in place of what is known.
pub(super) fn replace(connection: &Connection, state: &State, known: &Alerts) -> rusqlite::Result<()> {
    connection.prepare_cached(FORGET_ALL)?.execute([])?;
    put_head(connection, &state.head())?;
    state.records().try_for_each(|(subject, record)| put_record(connection, subject, record))?;
    alerts::replace(connection, known)
}

fn put_head(connection: &Connection, head: &Head) -> rusqlite::Result<()> {
    connection.prepare_cached(PUT_HEAD)?.execute([json(head)?]).map(drop)
}

fn put_record(connection: &Connection, subject: &Subject, record: &Record) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(PUT_RECORD)?;
    statement.execute(params![subject.kind.as_str(), &*subject.name, json(record)?]).map(drop)
}

fn forget(connection: &Connection, subject: &Subject) -> rusqlite::Result<()> {
    connection.prepare_cached(FORGET)?.execute([subject.kind.as_str(), &*subject.name])?;
    retention::supersede(connection, subject, retention::passed(connection)?)
}

fn put_gap(connection: &Connection, gap: &Gap) -> rusqlite::Result<()> {
    let reason = gap.reason.as_str();
    connection.prepare_cached(PUT_GAP)?.execute(params![gap.from.to_string(), gap.to.to_string(), reason])?;
    retention::limit_gaps(connection, connection.last_insert_rowid())
}

fn put_transitions(connection: &Connection, transitions: &[Transition]) -> rusqlite::Result<Vec<i64>> {
    let Some(newest) = transitions.last() else { return Ok(Vec::new()) };
    let passed = retention::passed(connection)?;
    let mut ids = Vec::with_capacity(transitions.len());
    for transition in transitions {
        ids.push(put_transition(connection, transition)?);
        retention::supersede(connection, &transition.subject, passed)?;
    }
    let newest_id = ids.last().copied().unwrap_or_default();
    retention::advance(connection, passed, newest, newest_id, ids.len())?;
    Ok(ids)
}

fn put_transition(connection: &Connection, transition: &Transition) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached(PUT_TRANSITION)?;
    statement.insert(params![
        transition.at.to_string(),
        transition.subject.kind.as_str(),
        &*transition.subject.name,
        transition.from.as_str(),
        transition.to.as_str(),
        transition.cause.as_str(),
        transition.since.to_string(),
        transition.is_healed_by_supervisor,
        transition.is_flapping,
        transition.message,
        json(&transition.reasons)?,
        json(&transition.evidence)?,
    ])
}

pub(super) fn amend(connection: &Connection, id: i64, transition: &Transition) -> rusqlite::Result<bool> {
    let amended = connection.prepare_cached(AMEND)?.execute(params![
        id,
        transition.subject.kind.as_str(),
        &*transition.subject.name,
        transition.at.to_string(),
        transition.message,
        json(&transition.reasons)?,
        json(&transition.evidence)?,
        transition.is_healed_by_supervisor,
        transition.is_flapping,
    ])?;
    Ok(amended > 0)
}

pub(super) fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Why there is no state.
#[derive(Debug)]
pub(super) enum Unloadable {
    Newer(NewerState),
    /// What holds the records together cannot be read.
    Damaged,
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Unloadable {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for Unloadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(newer) => newer.fmt(f),
            Self::Damaged => f.write_str("to which time its records belong cannot be read"),
            Self::Database(error) => error.fmt(f),
        }
    }
}

/// What was kept, and how many records are no more.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) unreadable: usize,
}

/// The state as it was kept; an empty one if nothing was.
pub(super) fn state(connection: &Connection) -> Result<Loaded, Unloadable> {
    let head = rows(connection, HEAD, [], |row| parsed(row, 0))?.pop();
    let kept: u32 = connection.query_row("SELECT count(*) FROM subjects", [], |row| row.get(0))?;
    match head {
        Some(head) => {
            let records = rows(connection, RECORDS, [], record)?;
            let unreadable = (kept as usize).saturating_sub(records.len());
            let state = State::restored(head, records).map_err(Unloadable::Newer)?;
            Ok(Loaded { state, unreadable })
        }
        None if kept == 0 => Ok(Loaded::default()),
        None => Err(Unloadable::Damaged),
    }
}

pub(super) fn last_transitions(
    connection: &Connection,
    subject: &Subject,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Transition)>> {
    let of_subject = params![subject.kind.as_str(), &*subject.name, bounded(limit)];
    rows(connection, LAST_OF_SUBJECT, of_subject, transition)
}

/// The last number that was given to a transition, also if it is not kept any more.
pub(super) fn last_transition(connection: &Connection) -> rusqlite::Result<i64> {
    let last = connection.prepare_cached(LAST_NUMBER)?.query_row([], |row| row.get(0)).optional()?;
    Ok(last.unwrap_or(0))
}

pub(super) fn transitions_after(
    connection: &Connection,
    id: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Transition)>> {
    rows(connection, AFTER, params![id, bounded(limit)], transition)
}

#[cfg(test)]
pub(super) fn last_gaps(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<Gap>> {
    rows(connection, LAST_GAPS, [bounded(limit)], gap)
}

pub(super) fn gaps_after(
    connection: &Connection,
    id: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Gap)>> {
    rows(connection, GAPS_AFTER, params![id, bounded(limit)], |row| Ok((row.get(3)?, gap(row)?)))
}

pub(super) fn transition_by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<Transition>> {
    Ok(rows(connection, ONE, [id], transition)?.pop().map(|(_, transition)| transition))
}

/// The name that a database has for itself.
pub(super) fn database(connection: &Connection) -> rusqlite::Result<Option<String>> {
    Ok(rows(connection, DATABASE, [], |row| Ok(row.get(0)?))?.pop())
}

/// As the database has it.
pub(super) fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

pub(super) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) type Read<T> = Result<T, Box<dyn Error>>;

/// Each row that can be read.
pub(super) fn rows<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Read<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(read) => found.push(read),
            Err(error) => warn!("state.db: a row is left out, since it cannot be read: {error}"),
        }
    }
    Ok(found)
}

fn record(row: &Row<'_>) -> Read<(Subject, Record)> {
    Ok((subject(row, 0)?, parsed(row, 2)?))
}

fn gap(row: &Row<'_>) -> Read<Gap> {
    Ok(Gap { from: text(row, 0)?, to: text(row, 1)?, reason: word(row, 2)? })
}

fn transition(row: &Row<'_>) -> Read<(i64, Transition)> {
    let transition = Transition {
        at: text(row, 1)?,
        subject: subject(row, 2)?,
        from: text(row, 4)?,
        to: text(row, 5)?,
        cause: word(row, 6)?,
        since: text::<Timestamp>(row, 7)?,
        is_healed_by_supervisor: row.get(8)?,
        is_flapping: row.get(9)?,
        message: row.get(10)?,
        reasons: parsed(row, 11)?,
        evidence: parsed(row, 12)?,
    };
    Ok((row.get(0)?, transition))
}

pub(super) fn subject(row: &Row<'_>, at: usize) -> Read<Subject> {
    let name: Arc<str> = row.get_ref(at + 1)?.as_str()?.into();
    Ok(Subject { kind: word(row, at)?, name })
}

pub(super) fn parsed<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> Read<T> {
    Ok(serde_json::from_str(row.get_ref(at)?.as_str()?)?)
}

pub(super) fn text<T: FromStr<Err: Error + 'static>>(row: &Row<'_>, at: usize) -> Read<T> {
    Ok(row.get_ref(at)?.as_str()?.parse()?)
}

/// A word of a closed set.
fn word<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> Read<T> {
    let word: StrDeserializer<'_, NoWord> = row.get_ref(at)?.as_str()?.into_deserializer();
    Ok(T::deserialize(word)?)
}
