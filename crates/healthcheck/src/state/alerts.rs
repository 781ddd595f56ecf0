//! The alerts in their tables, written and read: incidents, what each channel was told, and what is on its way to it.

use super::members;
use super::retention;
use super::rows::{self, Read, bounded, json, number, parsed, subject};
use super::schema::SCHEMA;
use healthcheck_core::Subject;
use healthcheck_core::alerts::{Alerts, AlertsHead, Changes, Incident, Outgoing, Saved, Silence};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use std::error::Error;
use tracing::warn;

const PUT_HEAD: &str = "INSERT INTO meta (key, value) VALUES ('alerts', ?1)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const PUT_INCIDENT: &str = "INSERT INTO incidents (id, opened, resolved, worst, record) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (id) DO UPDATE SET opened = excluded.opened, resolved = excluded.resolved, worst = excluded.worst,
     record = excluded.record";
const PUT_TROUBLE: &str = "INSERT INTO troubles (kind, name, record) VALUES (?1, ?2, ?3)
     ON CONFLICT (kind, name) DO UPDATE SET record = excluded.record";
const DROP_TROUBLE: &str = "DELETE FROM troubles WHERE kind = ?1 AND name = ?2";
const PUT_CHANNEL: &str = "INSERT INTO channels (name, record) VALUES (?1, ?2)
     ON CONFLICT (name) DO UPDATE SET record = excluded.record";
const DROP_CHANNEL: &str = "DELETE FROM channels WHERE name = ?1";
const PUT_TOLD: &str = "INSERT INTO told (channel, kind, name, record) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (channel, kind, name) DO UPDATE SET record = excluded.record";
const DROP_TOLD: &str = "DELETE FROM told WHERE channel = ?1 AND kind = ?2 AND name = ?3";
const PUT_OUTGOING: &str = "INSERT INTO outbox (id, channel, at, state, attempts, ended, error, record)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, ended = excluded.ended,
     error = excluded.error, record = excluded.record";
const PUT_SILENCE: &str = "INSERT INTO silences (id, record) VALUES (?1, ?2)
     ON CONFLICT (id) DO UPDATE SET record = excluded.record";
const DROP_SILENCE: &str = "DELETE FROM silences WHERE id = ?1";
/// What is over stays, for people.
const CLEAR_PRESENT: &str =
    "DELETE FROM troubles; DELETE FROM channels; DELETE FROM told; DELETE FROM silences;
     DELETE FROM incidents WHERE resolved IS NULL; DELETE FROM outbox WHERE state = 'waiting'";
const CLEAR_PAST: &str = "DELETE FROM incidents; DELETE FROM outbox";

const HEAD: &str = "SELECT value FROM meta WHERE key = 'alerts'";
const ANYTHING: &str =
    "SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'alerts') OR EXISTS (SELECT 1 FROM incidents)
     OR EXISTS (SELECT 1 FROM troubles) OR EXISTS (SELECT 1 FROM channels) OR EXISTS (SELECT 1 FROM told)
     OR EXISTS (SELECT 1 FROM outbox) OR EXISTS (SELECT 1 FROM silences)";
const OPEN: &str = "SELECT id, record FROM incidents WHERE resolved IS NULL ORDER BY id DESC LIMIT ?1";
const RESOLVED: &str =
    "SELECT id, record FROM incidents WHERE resolved IS NOT NULL ORDER BY id DESC LIMIT ?1";
const ONE: &str = "SELECT id, record FROM incidents WHERE id = ?1";
const TROUBLES: &str = "SELECT kind, name, record FROM troubles";
const CHANNELS: &str = "SELECT name, record FROM channels";
const TOLD: &str = "SELECT channel, kind, name, record FROM told";
const WAITING: &str = "SELECT id, record FROM outbox WHERE state = 'waiting' ORDER BY seq";
const LAST_NOTICES: &str = "SELECT id, record FROM outbox ORDER BY seq DESC LIMIT ?1";
const SILENCES: &str = "SELECT id, record FROM silences ORDER BY id";

const WRITING: [&str; 11] = [
    PUT_HEAD,
    PUT_INCIDENT,
    PUT_TROUBLE,
    DROP_TROUBLE,
    PUT_CHANNEL,
    DROP_CHANNEL,
    PUT_TOLD,
    DROP_TOLD,
    PUT_OUTGOING,
    PUT_SILENCE,
    DROP_SILENCE,
];
const READING: [&str; 11] =
    [HEAD, ANYTHING, OPEN, RESOLVED, ONE, TROUBLES, CHANNELS, TOLD, WAITING, LAST_NOTICES, SILENCES];

/// The version of the schema that began to have them.
const SINCE: usize = 2;
/// Who calls himself by so many letters and digits is not met again.
const INSTANCE_LEN: usize = 8;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// So many of the last notices are looked at for those that tell of a subject, by who has nothing else to do.
pub(super) const LOOKED_AT: usize = 500;
/// By the loop that judges.
pub(super) const LOOKED_AT_MEANWHILE: usize = 50;

/// Whether the tables are such that each statement means something.
pub(super) fn check_statements(connection: &Connection) -> rusqlite::Result<()> {
    let all = WRITING.iter().chain(&READING).chain(&members::STATEMENTS);
    all.into_iter().try_for_each(|sql| connection.prepare_cached(sql).map(drop))
}

/// Alerts that know nothing, under a name of their own.
pub(super) fn new() -> Alerts {
    Alerts::new(&fresh_instance())
}

/// What changed.
pub(super) fn put(connection: &Connection, changes: &Changes<'_>) -> rusqlite::Result<()> {
    let Some(head) = changes.head else { return Ok(()) };
    connection.prepare_cached(PUT_HEAD)?.execute([json(head)?])?;
    changes.incidents.iter().try_for_each(|incident| put_incident(connection, incident))?;
    members::put(connection, &changes.members)?;
    put_subjects_and_channels(connection, changes)?;
    changes.outbox.iter().try_for_each(|outgoing| put_outgoing(connection, outgoing))?;
    for (id, silence) in &changes.silences {
        put_or_drop(connection, (PUT_SILENCE, DROP_SILENCE), &[&number(*id)], *silence)?;
    }
    if !changes.incidents.is_empty() {
        retention::limit_incidents(connection, changes.incidents.len())?;
    }
    if !changes.outbox.is_empty() {
        retention::limit_outbox(connection, changes.outbox.len())?;
    }
    Ok(())
}

/// Writes all alerts in place of what is known. Numbers of somebody else's mean something else.
pub(super) fn replace(connection: &Connection, alerts: &Alerts) -> rusqlite::Result<()> {
    connection.execute_batch(CLEAR_PRESENT)?;
    let known = rows::rows(connection, HEAD, [], |row| parsed::<Named>(row, 0))?.pop();
    if known.is_none_or(|known| known.instance != alerts.instance()) {
        connection.execute_batch(CLEAR_PAST)?;
    }
    put(connection, &alerts.everything())
}

fn put_incident(connection: &Connection, incident: &Incident) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(PUT_INCIDENT)?;
    let resolved = incident.resolved.map(|resolved| resolved.to_string());
    let opened = incident.opened.to_string();
    let worst = incident.worst.as_str();
    let record = json(&incident.without_members())?;
    statement.execute(params![number(incident.id), opened, resolved, worst, record]).map(drop)
}

fn put_subjects_and_channels(connection: &Connection, changes: &Changes<'_>) -> rusqlite::Result<()> {
    for (subject, trouble) in &changes.troubles {
        let (kind, name) = named(subject);
        put_or_drop(connection, (PUT_TROUBLE, DROP_TROUBLE), &[&kind, &name], *trouble)?;
    }
    for (name, head) in &changes.channels {
        put_or_drop(connection, (PUT_CHANNEL, DROP_CHANNEL), &[name], *head)?;
    }
    for (channel, subject, told) in &changes.told {
        let (kind, name) = named(subject);
        put_or_drop(connection, (PUT_TOLD, DROP_TOLD), &[channel, &kind, &name], *told)?;
    }
    Ok(())
}

fn put_outgoing(connection: &Connection, outgoing: &Outgoing) -> rusqlite::Result<()> {
    let notice = &outgoing.notice;
    let mut statement = connection.prepare_cached(PUT_OUTGOING)?;
    let put = statement.execute(params![
        notice.id,
        notice.channel,
        notice.at.to_string(),
        outgoing.state.as_str(),
        outgoing.attempts,
        outgoing.ended.map(|ended| ended.to_string()),
        outgoing.last_error,
        json(outgoing)?,
    ]);
    put.map(drop)
}

/// The record under its key, or nothing there any more.
fn put_or_drop(
    connection: &Connection,
    (put, drop_it): (&str, &str),
    key: &[&dyn rusqlite::ToSql],
    record: Option<&impl Serialize>,
) -> rusqlite::Result<()> {
    let Some(record) = record else {
        return connection.prepare_cached(drop_it)?.execute(key).map(drop);
    };
    let record = json(record)?;
    let all: Vec<&dyn rusqlite::ToSql> = key.iter().copied().chain([&record as _]).collect();
    connection.prepare_cached(put)?.execute(&all[..]).map(drop)
}

fn named(subject: &Subject) -> (&'static str, &str) {
    (subject.kind.as_str(), &subject.name)
}

/// What was found of alerts.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Saved(Box<Saved>),
    /// What holds them together cannot be read.
    Scattered,
}

impl Found {
    /// The alerts, if need be such that know nothing.
    pub(super) fn into_alerts(self) -> Alerts {
        match self {
            Self::Saved(saved) => Alerts::restored(*saved),
            Self::Nothing | Self::Scattered => new(),
        }
    }

    /// As [`Found::into_alerts`], for one who keeps nothing: who does keep it gives the same numbers to other notices.
    pub(super) fn into_alerts_of_a_guest(self) -> Alerts {
        match self {
            Self::Saved(mut saved) => {
                saved.head = renamed(&saved.head).unwrap_or_default();
                Self::Saved(saved).into_alerts()
            }
            other => other.into_alerts(),
        }
    }
}

/// The alerts as they were kept.
pub(super) fn found(connection: &Connection) -> rusqlite::Result<Found> {
    if !has_tables(connection) {
        return Ok(Found::Nothing);
    }
    let head = rows::rows(connection, HEAD, [], head)?.pop();
    let Some(head) = head else {
        let is_anything: bool = connection.query_row(ANYTHING, [], |row| row.get(0))?;
        return Ok(if is_anything { Found::Scattered } else { Found::Nothing });
    };
    let saved = Saved {
        head,
        incidents: completed(connection, rows::rows(connection, OPEN, [i64::MAX], incident)?)?,
        troubles: rows::rows(connection, TROUBLES, [], |row| Ok((subject(row, 0)?, parsed(row, 2)?)))?,
        channels: rows::rows(connection, CHANNELS, [], |row| Ok((row.get(0)?, parsed(row, 1)?)))?,
        told: rows::rows(connection, TOLD, [], |row| Ok((row.get(0)?, subject(row, 1)?, parsed(row, 3)?)))?,
        outbox: rows::rows(connection, WAITING, [], outgoing)?,
        silences: silences(connection)?,
    };
    Ok(Found::Saved(Box::new(saved)))
}

/// Drops all that is left of alerts.
pub(super) fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {CLEAR_PRESENT}; {CLEAR_PAST}; DELETE FROM meta WHERE key = 'alerts'; COMMIT"
    ))
}

/// The incidents that are open, and the last that are over: in both the newest first.
pub(super) fn incidents(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<Incident>> {
    if !has_tables(connection) {
        return Ok(Vec::new());
    }
    let mut incidents = rows::rows(connection, OPEN, [bounded(limit)], incident)?;
    let left = limit.saturating_sub(incidents.len());
    incidents.extend(rows::rows(connection, RESOLVED, [bounded(left)], incident)?);
    completed(connection, incidents)
}

fn completed(connection: &Connection, mut incidents: Vec<Incident>) -> rusqlite::Result<Vec<Incident>> {
    members::complete(connection, &mut incidents).map(|()| incidents)
}

/// One incident, open or over.
pub(super) fn incident_by_id(connection: &Connection, id: u64) -> rusqlite::Result<Option<Incident>> {
    if !has_tables(connection) {
        return Ok(None);
    }
    Ok(completed(connection, rows::rows(connection, ONE, [number(id)], incident)?)?.pop())
}

/// Those of the last notices that tell of a subject, the newest first.
pub(super) fn notices_of(
    connection: &Connection,
    subject: &Subject,
    looked_at: usize,
    limit: usize,
) -> rusqlite::Result<Vec<Outgoing>> {
    let mut notices = last_notices(connection, looked_at)?;
    notices.retain(|it| it.notice.items.iter().any(|item| item.subject == *subject));
    notices.truncate(limit);
    Ok(notices)
}

/// The last notices, the newest first.
pub(super) fn last_notices(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<Outgoing>> {
    if !has_tables(connection) {
        return Ok(Vec::new());
    }
    rows::rows(connection, LAST_NOTICES, [bounded(limit)], outgoing)
}

/// The silences, in the order in which they were asked for.
pub(super) fn silences(connection: &Connection) -> rusqlite::Result<Vec<Silence>> {
    if !has_tables(connection) {
        return Ok(Vec::new());
    }
    rows::rows(connection, SILENCES, [], |row| with_id(row, |silence: &Silence| number(silence.id)))
}

/// A database that is only read may be of a time before there were any.
fn has_tables(connection: &Connection) -> bool {
    SCHEMA.version(connection).is_ok_and(|version| version >= SINCE)
}

fn head(row: &Row<'_>) -> Read<AlertsHead> {
    let named: Named = parsed(row, 0)?;
    if named.instance.is_empty() { Err("it has no name".into()) } else { parsed(row, 0) }
}

fn incident(row: &Row<'_>) -> Read<Incident> {
    with_id(row, |incident: &Incident| number(incident.id))
}

fn outgoing(row: &Row<'_>) -> Read<Outgoing> {
    with_id(row, |outgoing: &Outgoing| outgoing.notice.id.clone())
}

/// A record that is not its key's was not written by us.
fn with_id<T, I>(row: &Row<'_>, id: impl Fn(&T) -> I) -> Read<T>
where
    T: serde::de::DeserializeOwned,
    I: rusqlite::types::FromSql + PartialEq,
{
    let record: T = parsed(row, 1)?;
    if row.get::<_, I>(0)? == id(&record) {
        Ok(record)
    } else {
        Err(Box::<dyn Error>::from("it is not what it is called"))
    }
}

/// By what the numbers of alerts are unique.
#[derive(Debug, Deserialize)]
struct Named {
    instance: String,
}

fn renamed(head: &AlertsHead) -> Option<AlertsHead> {
    let mut value = serde_json::to_value(head).ok()?;
    *value.get_mut("instance")? = fresh_instance().into();
    serde_json::from_value(value).ok()
}

fn fresh_instance() -> String {
    let mut bytes = [0_u8; INSTANCE_LEN];
    if let Err(errno) = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        warn!("the kernel gives no random numbers, the clock is taken: {errno}");
        bytes =
            jiff::Timestamp::now().as_nanosecond().to_le_bytes()[..INSTANCE_LEN].try_into().unwrap_or(bytes);
    }
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}
