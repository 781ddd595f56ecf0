//! What takes how much room, and how it is dropped: a few rows at once, so that nobody waits for long.

use super::answers::number;
use super::rows::{Read, row, rows, status, text, time, word};
use super::runs::NAMES;
use super::time::{Stamp, parse};
use crate::history::{Pruned, Slice, Stock};
use health_reporter::Status;
use healthcheck_core::Cause;
use healthcheck_core::history::retention::Kept;
use healthcheck_core::history::{Resolution, Window};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params};

const DAY_S: i64 = 86_400;
pub(super) const RUNS_BY_DAY: &str = "SELECT substr(heartbeat_timestamp, 1, 10), count(*)
     FROM system_status_history INDEXED BY system_status_history_of_service GROUP BY 1";
const GAPS_BY_DAY: &str = "SELECT substr(ended, 1, 10), count(*) FROM
     (SELECT ended FROM system_gaps UNION ALL SELECT ended FROM system_maintenance) GROUP BY 1";
const NUMBERS_BY_DAY: &str =
    "SELECT at / 86400, count(*) FROM system_numbers WHERE resolution = ?1 GROUP BY at / 86400";
const USED_BYTES: &str = "SELECT (page_count - freelist_count) * page_size
     FROM pragma_page_count, pragma_freelist_count, pragma_page_size";

const OLDEST_RUNS: &str = "SELECT id, opens, host, kind, begun_at, status, cause
     FROM system_status_history INDEXED BY system_status_history_of_service
     WHERE service_name = ?1 AND heartbeat_timestamp >= ?2 AND heartbeat_timestamp < ?3
     ORDER BY heartbeat_timestamp, id LIMIT ?4";
const REMEMBER: &str = "UPDATE system_subjects
     SET before_id = ?4, before_at = ?5, before_status = ?6, before_cause = ?7
     WHERE service_name = ?1 AND kind = ?2 AND host = ?3 AND before_id < ?4";
const DROP_RUN: &str = "DELETE FROM system_status_history WHERE id = ?1";
const SERIES: &str = "SELECT id FROM system_series";
const OLDEST_NUMBERS: &str = "SELECT max(at), count(*) FROM (SELECT at FROM system_numbers
     WHERE resolution = ?1 AND series = ?2 AND at >= ?3 AND at < ?4 ORDER BY at LIMIT ?5)";
const DROP_NUMBERS: &str =
    "DELETE FROM system_numbers WHERE resolution = ?1 AND series = ?2 AND at >= ?3 AND at <= ?4";
const DROP_GAPS: &str = "DELETE FROM system_gaps WHERE id IN
     (SELECT id FROM system_gaps WHERE ended >= ?1 AND ended < ?2 LIMIT ?3)";
const DROP_MAINTENANCE: &str = "DELETE FROM system_maintenance WHERE id IN
     (SELECT id FROM system_maintenance WHERE ended >= ?1 AND ended < ?2 LIMIT ?3)";
const DROP_SERIES: &str = "DELETE FROM system_series WHERE NOT EXISTS (SELECT 1 FROM system_numbers
     WHERE resolution IN (60, 3600, 86400) AND series = system_series.id)";
/// Nobody looks at them any more, and nothing that is kept tells of them.
const DROP_SUBJECTS: &str = "DELETE FROM system_subjects AS known
     WHERE NOT EXISTS (SELECT 1 FROM system_status AS it WHERE it.service_name = known.service_name
         AND it.kind = known.kind AND it.host = known.host)
     AND NOT EXISTS (SELECT 1 FROM system_status_history AS it WHERE it.service_name = known.service_name
         AND it.kind = known.kind AND it.host = known.host)
     AND NOT EXISTS (SELECT 1 FROM system_series WHERE subject = known.id)";
/// What is given back to the file system after a step, in pages for so many rows, and besides.
const ROWS_A_PAGE: u64 = 8;
const PAGES_BESIDES: u64 = 16;

pub(super) fn stock(connection: &Connection) -> rusqlite::Result<Stock> {
    let mut slices = by_day(connection, Kept::Runs, RUNS_BY_DAY, params![])?;
    slices.extend(by_day(connection, Kept::Gaps, GAPS_BY_DAY, params![])?);
    for (of, resolution) in [Kept::Minutes, Kept::Hours, Kept::Days].into_iter().zip(Resolution::ALL) {
        slices.extend(by_day(connection, of, NUMBERS_BY_DAY, params![resolution.seconds()])?);
    }
    slices.sort_by_key(|slice| (slice.window, slice.of));
    let bytes = number(connection, USED_BYTES)?;
    let all: u64 = slices.iter().map(weight).sum();
    for slice in &mut slices {
        slice.bytes = u64::try_from(u128::from(bytes) * u128::from(weight(slice)) / u128::from(all.max(1)))
            .unwrap_or(bytes);
    }
    Ok(Stock { bytes, slices })
}

/// How much room rows take beside others, in bytes of a typical one.
const fn weight(slice: &Slice) -> u64 {
    let of_each = match slice.of {
        Kept::Runs => 280,
        Kept::Gaps => 150,
        Kept::Minutes | Kept::Hours | Kept::Days => 48,
    };
    slice.rows.saturating_mul(of_each)
}

fn by_day(
    connection: &Connection,
    of: Kept,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<Vec<Slice>> {
    rows(connection, sql, params, |row| {
        let from = match row.get_ref(0)?.as_i64() {
            Ok(day) => Timestamp::from_second(day.saturating_mul(DAY_S))?,
            Err(_) => parse(format!("{} 00:00:00.000000", text(row, 0)?).as_bytes()).ok_or("no day")?,
        };
        let to = from.checked_add(SignedDuration::from_secs(DAY_S)).unwrap_or(Timestamp::MAX);
        Ok(Slice { of, window: Window { from, to }, rows: super::rows::count(row, 1)?, bytes: 0 })
    })
}

/// Drops rows within a transaction of the caller.
pub(super) fn prune(connection: &Connection, slice: &Slice, at_most: u32) -> rusqlite::Result<Pruned> {
    let at_most = u64::from(at_most.max(1));
    let resolution = match slice.of {
        Kept::Minutes => Some(Resolution::Minute),
        Kept::Hours => Some(Resolution::Hour),
        Kept::Days => Some(Resolution::Day),
        Kept::Runs | Kept::Gaps => None,
    };
    let rows = match resolution {
        Some(resolution) => drop_numbers(connection, resolution, slice.window, at_most)?,
        None if slice.of == Kept::Runs => drop_runs(connection, slice.window, at_most)?,
        None => drop_gaps(connection, slice.window, at_most)?,
    };
    let is_done = rows < at_most;
    if is_done {
        connection.execute(DROP_SERIES, [])?;
        connection.execute(DROP_SUBJECTS, [])?;
    }
    Ok(Pruned { rows, is_done })
}

/// A run as it is dropped: who was judged how by it, if it tells that.
struct Old {
    id: i64,
    told: Option<(String, String, Timestamp, Status, Cause)>,
}

fn old(row: &Row<'_>) -> Read<Old> {
    let told = |row| -> Read<_> {
        Ok((
            text(row, 2)?.to_owned(),
            text(row, 3)?.to_owned(),
            time(row, 4)?,
            status(row, 5)?,
            word(row, 6)?,
        ))
    };
    let opens: bool = row.get(1)?;
    // What cannot be read is dropped all the same.
    Ok(Old { id: row.get(0)?, told: if opens { told(row).ok() } else { None } })
}

fn drop_runs(connection: &Connection, window: Window, at_most: u64) -> rusqlite::Result<u64> {
    let names = rows(connection, NAMES, [], |row| Ok(text(row, 0)?.to_owned()))?;
    let (from, to) = (Stamp::of(window.from), Stamp::of(window.to));
    let mut dropped = 0;
    for name in names {
        let limit = i64::try_from(at_most - dropped).unwrap_or(i64::MAX);
        for old in rows(connection, OLDEST_RUNS, params![name, from, to, limit], old)? {
            if let Some((host, kind, at, status, cause)) = &old.told {
                let mark = params![name, kind, host, old.id, Stamp::of(*at), status.as_str(), cause.as_str()];
                connection.prepare_cached(REMEMBER)?.execute(mark)?;
            }
            dropped += rows_of(connection.prepare_cached(DROP_RUN)?.execute([old.id])?);
        }
        if dropped >= at_most {
            break;
        }
    }
    Ok(dropped)
}

fn drop_numbers(
    connection: &Connection,
    resolution: Resolution,
    window: Window,
    at_most: u64,
) -> rusqlite::Result<u64> {
    let (from, to) = (window.from.as_second(), window.to.as_second());
    let mut dropped = 0;
    for series in rows(connection, SERIES, [], |row| Ok(row.get::<_, i64>(0)?))? {
        let limit = i64::try_from(at_most - dropped).unwrap_or(i64::MAX);
        let key = params![resolution.seconds(), series, from, to, limit];
        let last = row(connection, OLDEST_NUMBERS, key, |row| Ok(row.get::<_, Option<i64>>(0)?))?;
        if let Some(last) = last.flatten() {
            let old = params![resolution.seconds(), series, from, last];
            dropped += rows_of(connection.prepare_cached(DROP_NUMBERS)?.execute(old)?);
        }
        if dropped >= at_most {
            break;
        }
    }
    Ok(dropped)
}

fn drop_gaps(connection: &Connection, window: Window, at_most: u64) -> rusqlite::Result<u64> {
    let (from, to) = (Stamp::of(window.from), Stamp::of(window.to));
    let mut dropped = 0;
    for sql in [DROP_GAPS, DROP_MAINTENANCE] {
        let limit = i64::try_from(at_most - dropped).unwrap_or(i64::MAX);
        dropped += rows_of(connection.prepare_cached(sql)?.execute(params![from, to, limit])?);
    }
    Ok(dropped)
}

fn rows_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Gives back what so many rows may have left free.
pub(super) fn give_back(connection: &Connection, rows: u64) -> rusqlite::Result<()> {
    let pages = rows / ROWS_A_PAGE + PAGES_BESIDES;
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}
