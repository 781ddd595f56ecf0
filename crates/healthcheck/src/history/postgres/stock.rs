//! What takes how much room, and how it is dropped.

use super::connection::{Connected, milliseconds};
use super::errors::Failure;
use super::months::{self, Month};
use super::words;
use crate::history::{Pruned, Slice, Stock};
use healthcheck_core::history::retention::Kept;
use healthcheck_core::history::{Resolution, Window};
use jiff::Timestamp;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

const BYTES: &str = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
     WHERE oid IN ('machines'::regclass, 'system_states'::regclass, 'system_batches'::regclass,
         'system_status'::regclass, 'system_subjects'::regclass, 'system_gaps'::regclass,
         'system_maintenance'::regclass, 'system_series'::regclass, 'system_numbers'::regclass)
     OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'system_status_history'::regclass)";
const MONTHS: &str =
    "SELECT relname::text, pg_total_relation_size(oid)::bigint, relpages::bigint, reltuples::bigint
     FROM pg_class WHERE oid IN
         (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'system_status_history'::regclass)";
const NUMBERS: &str =
    "SELECT date_trunc('day', at), count(*), (SELECT pg_total_relation_size('system_numbers'))::bigint,
         (SELECT count(*) FROM system_numbers)
     FROM system_numbers WHERE resolution_s = $1 GROUP BY 1";
const GAPS: &str = "SELECT date_trunc('day', ended), count(*),
         (SELECT pg_total_relation_size('system_gaps') + pg_total_relation_size('system_maintenance'))::bigint,
         (SELECT (SELECT count(*) FROM system_gaps) + (SELECT count(*) FROM system_maintenance))
     FROM (SELECT ended FROM system_gaps UNION ALL SELECT ended FROM system_maintenance) AS both_of_them GROUP BY 1";
const DROP_NUMBERS: &str = "DELETE FROM system_numbers WHERE ctid = ANY (ARRAY(
     SELECT ctid FROM system_numbers WHERE resolution_s = $1 AND at >= $2 AND at < $3 LIMIT $4))";
const DROP_GAPS: &str = "DELETE FROM system_gaps WHERE ctid = ANY (ARRAY(
     SELECT ctid FROM system_gaps WHERE ended >= $1 AND ended < $2 LIMIT $3))";
const DROP_MAINTENANCE: &str = "DELETE FROM system_maintenance WHERE ctid = ANY (ARRAY(
     SELECT ctid FROM system_maintenance WHERE ended >= $1 AND ended < $2 LIMIT $3))";

/// Who writes numbers holds the table until they are there as well.
const DROP_SERIES: &str = "BEGIN; SET LOCAL lock_timeout = '100ms';
     LOCK TABLE system_series IN SHARE ROW EXCLUSIVE MODE;
     DELETE FROM system_series WHERE NOT EXISTS (SELECT FROM system_numbers WHERE series = id);
     COMMIT";
/// Of whom nothing is left, and nothing is in force.
const DROP_SUBJECTS: &str = "DELETE FROM system_subjects AS s WHERE s.dropped_cause = 'not_observed'
     AND NOT EXISTS (SELECT FROM system_status t
         WHERE t.service_name = s.service_name AND t.host = s.host AND t.kind = s.kind)
     AND NOT EXISTS (SELECT FROM system_status_history h
         WHERE h.opens AND h.service_name = s.service_name AND h.host = s.host AND h.kind = s.kind);";

/// A table up to this is counted; of a larger one it is enough to know what the server last saw.
const COUNTED_PAGES: i64 = 4_096;
/// Nobody who reads or writes waits longer behind us.
const LOCK_LIMIT: &str = "SET LOCAL lock_timeout = '100ms'";
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(200);
const DAY_S: i64 = Resolution::Day.seconds();

pub(super) async fn all(on: &mut Connected, limit: Duration) -> Result<Stock, Failure> {
    // One picture of it all: its slices are of the same moment.
    on.run(&format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}",
        milliseconds(limit)
    ))
    .await?;
    let bytes = on.ask(BYTES, &[]).await?;
    let mut slices = runs(on).await?;
    for (of, resolution) in RESOLUTIONS {
        let rows = on.ask(NUMBERS, &[&words::seconds(resolution)]).await?;
        slices.extend(rows.iter().map(|row| day(row, of)).collect::<Result<Vec<_>, _>>()?);
    }
    let gaps = on.ask(GAPS, &[]).await?;
    slices.extend(gaps.iter().map(|row| day(row, Kept::Gaps)).collect::<Result<Vec<_>, _>>()?);
    on.run("ROLLBACK").await?;
    slices.sort_by_key(|slice| (slice.window, slice.of));
    let bytes = bytes.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
    Ok(Stock { bytes: words::count(bytes), slices })
}

const RESOLUTIONS: [(Kept, Resolution); 3] =
    [(Kept::Minutes, Resolution::Minute), (Kept::Hours, Resolution::Hour), (Kept::Days, Resolution::Day)];

async fn runs(on: &mut Connected) -> Result<Vec<Slice>, Failure> {
    let mut slices = Vec::new();
    for row in on.ask(MONTHS, &[]).await? {
        let Some(month) = Month::named(row.try_get(0)?) else { continue };
        let (bytes, pages, last_seen): (i64, i64, i64) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let rows = if pages < COUNTED_PAGES || last_seen < 0 {
            on.client.query_one(&format!("SELECT count(*) FROM {month}"), &[]).await?.try_get(0)?
        } else {
            last_seen
        };
        let (rows, bytes) = (words::count(rows), words::count(bytes));
        if rows > 0 {
            slices.push(Slice { of: Kept::Runs, window: month.window(), rows, bytes });
        }
    }
    Ok(slices)
}

/// A day of a table, with its share of what that takes.
fn day(row: &Row, of: Kept) -> Result<Slice, Failure> {
    let from: Timestamp = row.try_get(0)?;
    let (rows, bytes, all): (i64, i64, i64) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let share = i128::from(bytes) * i128::from(rows) / i128::from(all.max(1));
    let window =
        Window { from, to: Timestamp::from_second(from.as_second() + DAY_S).unwrap_or(Timestamp::MAX) };
    Ok(Slice { of, window, rows: words::count(rows), bytes: u64::try_from(share).unwrap_or(0) })
}

pub(super) async fn prune(
    on: &mut Connected,
    slice: &Slice,
    at_most: u32,
    limit: Duration,
) -> Result<Pruned, Failure> {
    on.must_be_writable()?;
    let resolution = RESOLUTIONS.iter().find(|(of, _)| *of == slice.of).map(|(_, resolution)| *resolution);
    match resolution {
        None if slice.of == Kept::Runs => drop_months(on, slice.window, limit).await,
        None => drop_gaps(on, slice.window, at_most).await,
        Some(resolution) => {
            let (resolution, at_most) = (words::seconds(resolution), i64::from(at_most));
            let Window { from, to } = slice.window;
            let rows = delete(on, DROP_NUMBERS, &[&resolution, &from, &to, &at_most]).await?;
            let is_done = rows < at_most.unsigned_abs();
            if is_done && slice.of == Kept::Days {
                drop_series(on).await?;
            }
            Ok(Pruned { rows, is_done })
        }
    }
}

async fn delete(
    on: &mut Connected,
    sql: &'static str,
    given: &[&(dyn ToSql + Sync)],
) -> Result<u64, Failure> {
    on.prepare(&[sql]).await?;
    on.execute(sql, given).await
}

/// Those without a number; if somebody writes just now, another time will do.
async fn drop_series(on: &Connected) -> Result<(), Failure> {
    match on.run(DROP_SERIES).await {
        Err(failure) if failure.is_locked() => on.run("ROLLBACK").await,
        outcome => outcome,
    }
}

async fn drop_gaps(on: &mut Connected, window: Window, at_most: u32) -> Result<Pruned, Failure> {
    let at_most = u64::from(at_most);
    let Window { from, to } = window;
    let asked = i64::try_from(at_most).unwrap_or(i64::MAX);
    let gaps = delete(on, DROP_GAPS, &[&from, &to, &asked]).await?;
    let left = i64::try_from(at_most.saturating_sub(gaps)).unwrap_or(0);
    let maintenance = delete(on, DROP_MAINTENANCE, &[&from, &to, &left]).await?;
    let rows = gaps + maintenance;
    Ok(Pruned { rows, is_done: rows < at_most })
}

/// Drops each month that lies in the window: it costs the same however much is in it.
async fn drop_months(on: &mut Connected, window: Window, limit: Duration) -> Result<Pruned, Failure> {
    let mut rows = 0;
    let months = months::there(on).await?;
    let within = |month: &Month| window.from <= month.window().from && month.window().to <= window.to;
    for month in months.into_iter().filter(within) {
        rows += drop_patiently(on, month, limit).await?;
        on.months.remove(&month);
    }
    Ok(Pruned { rows, is_done: true })
}

/// Asks again and again for what all others have to let go of, because they wait behind whoever waits for that.
async fn drop_patiently(on: &mut Connected, month: Month, limit: Duration) -> Result<u64, Failure> {
    let mut attempt = 1;
    loop {
        match drop_month(on, month, limit).await {
            Err(failure) if failure.is_locked() && attempt < ATTEMPTS => {
                on.run("ROLLBACK").await?;
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            // Another monitor was faster.
            Err(failure) if failure.is_gone() => return on.run("ROLLBACK").await.map(|()| 0),
            outcome => return outcome,
        }
    }
}

/// The last word on each subject in it is kept: it may still be in force where the next month begins.
async fn drop_month(on: &Connected, month: Month, limit: Duration) -> Result<u64, Failure> {
    let is_over = month.window().to <= Timestamp::now();
    // A month that others write to stays, without its rows: its parent need not be changed then.
    let (parent, last, others) = if is_over {
        ("LOCK TABLE ONLY system_status_history IN ACCESS EXCLUSIVE MODE;", "DROP TABLE", DROP_SUBJECTS)
    } else {
        ("", "TRUNCATE TABLE", "")
    };
    on.run(&format!(
        "BEGIN; {LOCK_LIMIT}; SET LOCAL statement_timeout = {}; {parent}
         LOCK TABLE ONLY {month} IN ACCESS EXCLUSIVE MODE",
        milliseconds(limit)
    ))
    .await?;
    let rows = on.client.query_one(&format!("SELECT count(*) FROM {month}"), &[]).await?.try_get(0)?;
    on.run(&format!(
        "UPDATE system_subjects AS s SET dropped_id = last.id, dropped_at = last.begun_at,
             dropped_status = last.status, dropped_cause = last.cause
         FROM (SELECT DISTINCT ON (service_name, host, kind) service_name, host, kind, id, begun_at, status, cause
             FROM {month} WHERE opens ORDER BY service_name DESC, host DESC, kind DESC, id DESC) AS last
         WHERE s.service_name = last.service_name AND s.host = last.host AND s.kind = last.kind
             AND (s.dropped_id IS NULL OR s.dropped_id < last.id);
         {last} {month}; {others} COMMIT"
    ))
    .await?;
    Ok(words::count(rows))
}
