//! How things are written into columns, and read from them.

use super::errors::Failure;
use crate::history::storable;
use healthcheck_core::history::{Resolution, Window};
use healthcheck_core::{Kind, Subject};
use jiff::Timestamp;
use serde::de::value::{Error as NoWord, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use std::borrow::Cow;
use std::error::Error;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

/// The years 1 to 9998: what has room around it in a month, on both sides.
const EARLIEST_US: i64 = -62_135_596_800_000_000;
const LATEST_US: i64 = 253_370_764_800_000_000;

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Own(error.to_string()))
}

/// A subject as it is found again.
pub(super) fn subject(subject: &Subject) -> Subject {
    match storable::name(&subject.name) {
        Cow::Borrowed(_) => subject.clone(),
        Cow::Owned(name) => Subject::new(subject.kind, &name),
    }
}

/// A time as it is found again: with microseconds.
pub(super) fn time(at: Timestamp) -> Timestamp {
    let microseconds = at.as_nanosecond().div_euclid(1_000);
    let microseconds = i64::try_from(microseconds).unwrap_or(EARLIEST_US).clamp(EARLIEST_US, LATEST_US - 1);
    Timestamp::from_microsecond(microseconds).unwrap_or(at)
}

/// Between which times something is found: the second is the first that is no more.
pub(super) fn bounds(window: Window) -> (Timestamp, Timestamp) {
    let end =
        window.to.as_nanosecond().div_euclid(1_000) + i128::from(window.to.as_nanosecond() % 1_000 != 0);
    let end = i64::try_from(end).unwrap_or(EARLIEST_US).clamp(EARLIEST_US, LATEST_US);
    (time(window.from), Timestamp::from_microsecond(end).unwrap_or(window.to))
}

/// How many, as the server says it.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) type Read<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A column.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Read<T> {
    Ok(row.try_get(at)?)
}

/// A word of a closed set.
pub(super) fn word<T: DeserializeOwned>(row: &Row, at: usize) -> Read<T> {
    of_word(get(row, at)?)
}

pub(super) fn of_word<T: DeserializeOwned>(word: &str) -> Read<T> {
    let word: StrDeserializer<'_, NoWord> = word.into_deserializer();
    T::deserialize(word).map_err(|error| error.to_string().into())
}

/// A status, whose words are not those of a closed set of ours.
pub(super) fn status(row: &Row, at: usize) -> Read<health_reporter::Status> {
    Ok(get::<&str>(row, at)?.parse()?)
}

/// Kind and name, in this order.
pub(super) fn subject_at(row: &Row, at: usize) -> Read<Subject> {
    Ok(Subject::new(word::<Kind>(row, at)?, get(row, at + 1)?))
}

/// As it stands in a column.
pub(super) fn seconds(resolution: Resolution) -> i32 {
    i32::try_from(resolution.seconds()).unwrap_or(i32::MAX)
}
