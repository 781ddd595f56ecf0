//! What is asked of the tables. No answer about how it was reads a heartbeat.

use super::rows::{Read, count, row, rows, status, subject, text, time, time_if_any, word};
use super::time::{Stamp, parse};
use crate::history::{Host, Judged, Selection, Series, StatusRow, storable};
use healthcheck_core::history::{Bin, Mark, Resolution, Window};
use healthcheck_core::{Gap, Subject};
use jiff::Timestamp;
use rusqlite::{Connection, Row, Statement, params};

const HOSTS: &str = "SELECT name, last_seen FROM machines
     WHERE EXISTS (SELECT 1 FROM system_positions WHERE host = machines.name) ORDER BY name";
const STATUSES: &str = "SELECT host, kind, service_name, status, cause, message, current_task, changed_at,
     last_heartbeat FROM system_status";
const SUBJECTS: &str = "SELECT host, kind, service_name, before_id, before_at, before_status, before_cause
     FROM system_subjects";
pub(super) const MARKS: &str = "SELECT begun_at, status, cause
     FROM system_status_history INDEXED BY system_status_history_opens
     WHERE opens AND service_name = ?1 AND kind = ?2 AND host = ?3 AND id > ?4 ORDER BY id DESC";
const MAINTENANCE: &str = "SELECT begun, ended FROM system_maintenance
     WHERE service_name = ?1 AND kind = ?2 AND host = ?3 AND ended > ?4 AND begun < ?5";
const HAS_MAINTENANCE: &str = "SELECT EXISTS (SELECT 1 FROM system_maintenance)";
const GAPS: &str = "SELECT begun, ended, reason FROM system_gaps
     WHERE host = ?1 AND ended > ?2 AND begun < ?3 ORDER BY begun, id";
const SERIES: &str = "SELECT host, kind, service_name, system_series.id, metric
     FROM system_subjects JOIN system_series ON subject = system_subjects.id";
const NUMBERS: &str = "SELECT at, count, sum, minimum, maximum FROM system_numbers
     WHERE resolution = ?1 AND series = ?2 AND at > ?3 AND at < ?4 ORDER BY at";

/// Each row of those that are selected. `host`, `kind` and `service_name` are columns of what is asked.
pub(super) fn selected<T>(
    connection: &Connection,
    sql: &str,
    of: &Selection,
    read: impl Fn(&Row<'_>) -> Read<T>,
) -> rusqlite::Result<Vec<T>> {
    let host = of.host.as_deref().map(storable::name);
    match (&of.subject, host) {
        (None, None) => rows(connection, sql, [], read),
        (None, Some(host)) => rows(connection, &format!("{sql} WHERE host = ?1"), [host], read),
        (Some(subject), host) => {
            let sql = format!("{sql} WHERE service_name = ?1 AND kind = ?2 AND host = coalesce(?3, host)");
            let name = storable::name(&subject.name);
            rows(connection, &sql, params![name, subject.kind.as_str(), host], read)
        }
    }
}

pub(super) fn hosts(connection: &Connection) -> rusqlite::Result<Vec<Host>> {
    rows(connection, HOSTS, [], |row| Ok(Host { name: text(row, 0)?.to_owned(), last_seen: time(row, 1)? }))
}

#[cfg(test)]
pub(super) fn machines(connection: &Connection) -> rusqlite::Result<Vec<crate::history::MachineRow>> {
    const ROWS: &str =
        "SELECT id, name, hostname, description, status, last_seen FROM machines ORDER BY name";
    rows(connection, ROWS, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, time(row, 5)?))
    })
}

pub(super) fn statuses(connection: &Connection, of: &Selection) -> rusqlite::Result<Vec<StatusRow>> {
    let mut statuses = selected(connection, STATUSES, of, |row| {
        Ok(StatusRow {
            host: text(row, 0)?.to_owned(),
            subject: subject(row, 1)?,
            status: status(row, 3)?,
            cause: word(row, 4)?,
            message: text(row, 5)?.to_owned(),
            current_task: row.get(6)?,
            changed_at: time(row, 7)?,
            last_heartbeat: time_if_any(row, 8)?,
        })
    })?;
    statuses.sort_by(|one, other| (&one.host, &one.subject).cmp(&(&other.host, &other.subject)));
    Ok(statuses)
}

/// A subject, and how it was judged in what was dropped.
struct Known {
    host: String,
    subject: Subject,
    before_id: i64,
    before: Option<Mark>,
}

pub(super) fn judged(
    connection: &Connection,
    of: &Selection,
    window: Window,
) -> rusqlite::Result<Vec<Judged>> {
    let known = selected(connection, SUBJECTS, of, |row| {
        let before = match time_if_any(row, 4)? {
            Some(at) => Some(Mark { at, status: status(row, 5)?, cause: word(row, 6)? }),
            None => None,
        };
        Ok(Known {
            host: text(row, 0)?.to_owned(),
            subject: subject(row, 1)?,
            before_id: row.get(3)?,
            before,
        })
    })?;
    let has_maintenance = number(connection, HAS_MAINTENANCE)? > 0;
    let mut statement = connection.prepare_cached(MARKS)?;
    let mut judged = Vec::with_capacity(known.len());
    for known in known {
        let marks = marks(&mut statement, &known, window)?;
        if !marks.is_empty() {
            let maintenance =
                if has_maintenance { maintenance(connection, &known, window)? } else { Vec::new() };
            judged.push(Judged { host: known.host, subject: known.subject, marks, maintenance });
        }
    }
    judged.sort_by(|one, other| (&one.host, &one.subject).cmp(&(&other.host, &other.subject)));
    Ok(judged)
}

/// From the last one back to what was in force at the beginning of the window.
fn marks(statement: &mut Statement<'_>, known: &Known, window: Window) -> rusqlite::Result<Vec<Mark>> {
    let (from, to) = (Stamp::of(window.from), Stamp::of(window.to));
    let key = params![&*known.subject.name, known.subject.kind.as_str(), known.host, known.before_id];
    let mut rows = statement.query(key)?;
    let mut marks = Vec::new();
    let mut is_known_before = false;
    while let Some(row) = rows.next()?.filter(|_| !is_known_before) {
        let begun = row.get_ref(0)?.as_bytes()?;
        is_known_before = begun <= from.bytes();
        if begun < to.bytes() {
            marks.extend(super::rows::readable(mark(row)));
        }
    }
    if !is_known_before {
        marks.extend(known.before.filter(|before| before.at < window.to));
    }
    marks.reverse();
    Ok(marks)
}

fn mark(row: &Row<'_>) -> Read<Mark> {
    let at = parse(row.get_ref(0)?.as_bytes()?).ok_or("no time")?;
    Ok(Mark { at, status: status(row, 1)?, cause: word(row, 2)? })
}

/// In order, what overlaps put together.
fn maintenance(connection: &Connection, known: &Known, window: Window) -> rusqlite::Result<Vec<Window>> {
    let (name, kind) = (&*known.subject.name, known.subject.kind.as_str());
    let key = params![name, kind, known.host, Stamp::of(window.from), Stamp::of(window.to)];
    let mut windows =
        rows(connection, MAINTENANCE, key, |row| Ok(Window { from: time(row, 0)?, to: time(row, 1)? }))?;
    windows.sort();
    windows.dedup_by(|later, earlier| {
        let overlaps = later.from <= earlier.to;
        earlier.to = if overlaps { earlier.to.max(later.to) } else { earlier.to };
        overlaps
    });
    Ok(windows)
}

pub(super) fn gaps(connection: &Connection, host: &str, window: Window) -> rusqlite::Result<Vec<Gap>> {
    let key = params![storable::name(host), Stamp::of(window.from), Stamp::of(window.to)];
    rows(connection, GAPS, key, |row| {
        Ok(Gap { from: time(row, 0)?, to: time(row, 1)?, reason: word(row, 2)? })
    })
}

pub(super) fn series(
    connection: &Connection,
    of: &Selection,
    resolution: Resolution,
    window: Window,
) -> rusqlite::Result<Vec<Series>> {
    let known = selected(connection, SERIES, of, |row| {
        let (host, metric) = (text(row, 0)?.to_owned(), text(row, 4)?.to_owned());
        Ok((row.get(3)?, Series { host, subject: subject(row, 1)?, metric, bins: Vec::new() }))
    })?;
    let mut all = Vec::with_capacity(known.len());
    for (id, series) in known {
        let bins = bins(connection, id, resolution, window)?;
        if !bins.is_empty() {
            all.push(Series { bins, ..series });
        }
    }
    all.sort_by(|one, other| {
        (&one.host, &one.subject, &one.metric).cmp(&(&other.host, &other.subject, &other.metric))
    });
    Ok(all)
}

fn bins(
    connection: &Connection,
    series: i64,
    resolution: Resolution,
    window: Window,
) -> rusqlite::Result<Vec<Bin>> {
    let begins_after = window.from.as_second().saturating_sub(resolution.seconds());
    let ends = window.to.as_second() + i64::from(window.to.subsec_nanosecond() > 0);
    rows(connection, NUMBERS, params![resolution.seconds(), series, begins_after, ends], |row| {
        let at = Timestamp::from_second(row.get(0)?)?;
        Ok(Bin { at, count: count(row, 1)?, sum: row.get(2)?, minimum: row.get(3)?, maximum: row.get(4)? })
    })
}

/// What a question about all of the tables is of: one number.
pub(super) fn number(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    Ok(row(connection, sql, [], |row| count(row, 0))?.unwrap_or(0))
}
