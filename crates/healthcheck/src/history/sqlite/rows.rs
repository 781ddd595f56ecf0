//! What stands in a row, read. A row that cannot be read costs itself, and nothing else.

use super::time;
use health_reporter::Status;
use healthcheck_core::Subject;
use jiff::Timestamp;
use rusqlite::{Connection, Params, Row};
use serde::de::value::{Error as NoWord, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use std::error::Error;
use tracing::warn;

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
        found.extend(readable(read(row)));
    }
    Ok(found)
}

/// The row, if there is one that can be read.
pub(super) fn row<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Read<T>,
) -> rusqlite::Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    Ok(rows.next()?.and_then(|row| readable(read(row))))
}

pub(super) fn readable<T>(read: Read<T>) -> Option<T> {
    read.inspect_err(|error| warn!("history: a row is left out, since it cannot be read: {error}")).ok()
}

pub(super) fn text<'a>(row: &'a Row<'_>, at: usize) -> Read<&'a str> {
    Ok(row.get_ref(at)?.as_str()?)
}

pub(super) fn time(row: &Row<'_>, at: usize) -> Read<Timestamp> {
    let bytes = row.get_ref(at)?.as_bytes()?;
    time::parse(bytes).ok_or_else(|| format!("{:?} is no time", String::from_utf8_lossy(bytes)).into())
}

pub(super) fn time_if_any(row: &Row<'_>, at: usize) -> Read<Option<Timestamp>> {
    if row.get_ref(at)?.as_bytes_or_null()?.is_none() { Ok(None) } else { time(row, at).map(Some) }
}

pub(super) fn status(row: &Row<'_>, at: usize) -> Read<Status> {
    Ok(text(row, at)?.parse()?)
}

/// A word of a closed set.
pub(super) fn word<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> Read<T> {
    let word: StrDeserializer<'_, NoWord> = text(row, at)?.into_deserializer();
    Ok(T::deserialize(word)?)
}

pub(super) fn parsed<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> Read<T> {
    Ok(serde_json::from_str(text(row, at)?)?)
}

/// From its kind and its name, which follow each other.
pub(super) fn subject(row: &Row<'_>, at: usize) -> Read<Subject> {
    Ok(Subject { kind: word(row, at)?, name: text(row, at + 1)?.into() })
}

/// A number of things.
pub(super) fn count(row: &Row<'_>, at: usize) -> Read<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?)?)
}
