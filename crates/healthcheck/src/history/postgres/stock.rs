//! What takes how much room, and how it is dropped.

use super::connection::{Connected, milliseconds};
use super::errors::Failure;
use super::months::{self, Month};
use super::schema::LOCK;
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
    "SELECT relname::text, pg_total_relation_size(oid)::bigint, relpages::bigint, reltuples::bigint,
         pg_relation_size(oid) / current_setting('block_size')::bigint
     FROM pg_class WHERE oid IN
         (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'system_status_history'::regclass)";
/// Of a table of so many pages a part is looked at: its share in per cent.
const SHARE: &str = "SELECT least(100, 100.0 * $2::bigint * current_setting('block_size')::bigint
         / greatest(pg_relation_size(to_regclass($1)), 1))::real";
const NUMBERS: &str = "SELECT date_trunc('day', at), resolution_s, count(*),
         (SELECT pg_total_relation_size('system_numbers'))::bigint
     FROM system_numbers TABLESAMPLE SYSTEM ($1::real) GROUP BY 1, 2";
const GAPS: &str = "SELECT date_trunc('month', ended), count(*),
         ((pg_total_relation_size('system_gaps') + pg_total_relation_size('system_maintenance'))
             * count(*) / sum(count(*)) OVER ())::bigint
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
/// Of whom nothing is left, and nothing is in force. Whoever writes a run holds the table until that is there as well.
const DROP_SUBJECTS: &str = "BEGIN; SET LOCAL lock_timeout = '100ms';
     LOCK TABLE system_subjects IN SHARE ROW EXCLUSIVE MODE;
     DELETE FROM system_subjects AS s WHERE s.dropped_cause = 'not_observed'
     AND NOT EXISTS (SELECT FROM system_status t
         WHERE t.service_name = s.service_name AND t.host = s.host AND t.kind = s.kind)
     AND NOT EXISTS (SELECT FROM system_status_history h
         WHERE h.opens AND h.service_name = s.service_name AND h.host = s.host AND h.kind = s.kind);
     COMMIT";
/// Months that were taken out of the history, and are not dropped yet: somebody was interrupted.
const TAKEN_OUT: &str =
    "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace
     AND relkind = 'r' AND relname LIKE 'system\\_status\\_history\\_dropped\\_%'";

/// So much of a table is looked at; what is larger is reckoned from that, or from what the server last saw.
const LOOKED_AT_PAGES: i64 = 1_024;
/// Of the advisory lock of who drops months: two of them would change the same rows of subjects.
const DROPPING: i64 = LOCK + 1;
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
    slices.extend(numbers(on).await?);
    let gaps = on.ask(GAPS, &[]).await?;
    slices.extend(gaps.iter().map(gaps_of_month).collect::<Result<Vec<_>, _>>()?);
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
        let now: i64 = row.try_get(4)?;
        let rows = if now > LOOKED_AT_PAGES && pages > 0 && last_seen > 0 {
            i128::from(last_seen) * i128::from(now) / i128::from(pages)
        } else {
            i128::from(reckoned(on, &month.to_string()).await?)
        };
        let (rows, bytes) = (u64::try_from(rows).unwrap_or(0), words::count(bytes));
        if rows > 0 {
            slices.push(Slice { of: Kept::Runs, window: month.window(), rows, bytes });
        }
    }
    Ok(slices)
}

/// About how many rows a table has: exactly so many where it is small.
async fn reckoned(on: &mut Connected, table: &str) -> Result<u64, Failure> {
    let share = share(on, table).await?;
    let count = format!("SELECT count(*) FROM {table} TABLESAMPLE SYSTEM ({share})");
    Ok(whole(on.client.query_one(&count, &[]).await?.try_get(0)?, share))
}

/// How much of a table is looked at, in per cent.
async fn share(on: &mut Connected, table: &str) -> Result<f32, Failure> {
    on.prepare(&[SHARE]).await?;
    let rows = on.rows(SHARE, &[&table, &LOOKED_AT_PAGES]).await?;
    // One that is gone meanwhile is missed by who reads it.
    Ok(rows.first().map(|row| row.try_get::<_, Option<f32>>(0)).transpose()?.flatten().unwrap_or(100.0))
}

/// How many there are of which so many are in a share.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "about so many"
)]
fn whole(seen: i64, share: f32) -> u64 {
    if share >= 100.0 { words::count(seen) } else { (seen as f64 * 100.0 / f64::from(share)) as u64 }
}

/// By resolution and day, each with its share of what the table takes. A day of few rows may be missed at one time, and is
/// found at another.
async fn numbers(on: &mut Connected) -> Result<Vec<Slice>, Failure> {
    let share = share(on, "system_numbers").await?;
    let rows = on.ask(NUMBERS, &[&share]).await?;
    let seen = rows.iter().map(|row| row.try_get::<_, i64>(2)).sum::<Result<i64, _>>()?;
    let mut slices = Vec::new();
    for row in &rows {
        let (from, resolution): (Timestamp, i32) = (row.try_get(0)?, row.try_get(1)?);
        let known = RESOLUTIONS.iter().find(|(_, known)| words::seconds(*known) == resolution);
        let Some((of, _)) = known else { continue };
        let to = Timestamp::from_second(from.as_second() + DAY_S).unwrap_or(Timestamp::MAX);
        let (rows, bytes): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        let bytes = i128::from(bytes) * i128::from(rows) / i128::from(seen.max(1));
        let (rows, bytes) = (whole(rows, share), u64::try_from(bytes).unwrap_or(0));
        slices.push(Slice { of: *of, window: Window { from, to }, rows, bytes });
    }
    Ok(slices)
}

/// They go with the month of runs that they explain, never before it: else time in which nobody looked would be time in
/// which all was well.
fn gaps_of_month(row: &Row) -> Result<Slice, Failure> {
    let window = Month::of(row.try_get(0)?).window();
    Ok(Slice {
        of: Kept::Gaps,
        window,
        rows: words::count(row.try_get(1)?),
        bytes: words::count(row.try_get(2)?),
    })
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

/// Drops each month that lies in the window: nobody waits longer for it if more is in it.
async fn drop_months(on: &mut Connected, window: Window, limit: Duration) -> Result<Pruned, Failure> {
    let mut rows = drop_taken_out(on, limit).await?;
    let months = months::there(on).await?;
    let within = |month: &Month| window.from <= month.window().from && month.window().to <= window.to;
    for month in months.into_iter().filter(within) {
        on.months.remove(&month);
        let outcome = drop_month(on, month, limit).await;
        rows += unless_gone(on, outcome).await?;
    }
    match on.run(DROP_SUBJECTS).await {
        Err(failure) if failure.is_locked() => on.run("ROLLBACK").await?,
        outcome => outcome?,
    }
    Ok(Pruned { rows, is_done: true })
}

/// Another monitor may have been faster.
async fn unless_gone(on: &Connected, outcome: Result<u64, Failure>) -> Result<u64, Failure> {
    match outcome {
        Err(failure) if failure.is_gone() => on.run("ROLLBACK").await.map(|()| 0),
        outcome => outcome,
    }
}

/// What was in force is remembered before it is gone, while others read and write; then the month is taken out of the
/// history, which takes a moment, and dropped with nobody around.
async fn drop_month(on: &mut Connected, month: Month, limit: Duration) -> Result<u64, Failure> {
    let begin = begin(limit);
    if month.window().to > Timestamp::now() {
        return empty(on, month, limit).await;
    }
    on.run(&format!("{begin}; {}; COMMIT", remember(&month.to_string()))).await?;
    patiently(
        on,
        &format!(
            "BEGIN; {LOCK_LIMIT}; LOCK TABLE ONLY system_status_history IN ACCESS EXCLUSIVE MODE;
             ALTER TABLE system_status_history DETACH PARTITION {month};
             ALTER TABLE {month} RENAME TO {}; COMMIT",
            month.taken_out()
        ),
    )
    .await?;
    drop_taken_out(on, limit).await
}

/// Also those that somebody left who was interrupted. What came until they were taken out is remembered as well.
async fn drop_taken_out(on: &mut Connected, limit: Duration) -> Result<u64, Failure> {
    let mut dropped = 0;
    for row in on.ask(TAKEN_OUT, &[]).await? {
        let outcome = drop_table(on, row.try_get(0)?, limit).await;
        dropped += unless_gone(on, outcome).await?;
    }
    Ok(dropped)
}

async fn drop_table(on: &mut Connected, table: &str, limit: Duration) -> Result<u64, Failure> {
    on.run(&format!("{}; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", begin(limit))).await?;
    let rows = reckoned(on, table).await?;
    on.run(&format!("{}; DROP TABLE {table}; COMMIT", remember(table))).await?;
    Ok(rows)
}

/// A month that others write to stays, without its rows: its parent need not be changed then.
async fn empty(on: &mut Connected, month: Month, limit: Duration) -> Result<u64, Failure> {
    let table = month.to_string();
    let rows = reckoned(on, &table).await?;
    let held = format!("{}; {LOCK_LIMIT}; LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE", begin(limit));
    patiently(on, &format!("{held}; {}; TRUNCATE TABLE {table}; COMMIT", remember(&table))).await?;
    Ok(rows)
}

/// One after the other: who drops does it as if alone.
fn begin(limit: Duration) -> String {
    let limit = milliseconds(limit);
    format!("BEGIN; SET LOCAL statement_timeout = {limit}; SELECT pg_advisory_xact_lock({DROPPING})")
}

/// The last word on each subject is kept: it may still be in force where the next month begins. All are found before the
/// first is written, because who writes waits for what we wrote.
fn remember(table: &str) -> String {
    format!(
        "UPDATE system_subjects AS s SET dropped_id = last.id, dropped_at = last.begun_at,
             dropped_status = last.status, dropped_cause = last.cause
         FROM (SELECT * FROM
             (SELECT DISTINCT ON (service_name, host, kind) service_name, host, kind, id, begun_at, status, cause
              FROM {table} WHERE opens ORDER BY service_name DESC, host DESC, kind DESC, id DESC) AS words
             ORDER BY id) AS last
         WHERE s.service_name = last.service_name AND s.host = last.host AND s.kind = last.kind
             AND (s.dropped_id IS NULL OR s.dropped_id < last.id)"
    )
}

/// Asks again and again for what all others have to let go of, because they wait behind whoever waits for that.
async fn patiently(on: &Connected, sql: &str) -> Result<(), Failure> {
    let mut attempt = 1;
    loop {
        match on.run(sql).await {
            Err(failure) if failure.is_locked() && attempt < ATTEMPTS => {
                on.run("ROLLBACK").await?;
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}
