//! What is asked. A row that cannot be read costs itself, and nothing else.

use super::connection::Connected;
use super::errors::Failure;
use super::words::{self, Read, get, of_word, status, subject_at, word};
use crate::history::{Host, Judged, Origin, Position, RunRow, Selection, Series, StatusRow, storable};
use healthcheck_core::history::{Bin, Mark, Resolution, Window};
use healthcheck_core::{Gap, Subject, Transition};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tracing::warn;

const POSITION: &str = "SELECT (SELECT transition_id FROM system_states WHERE host = $1 AND state = $2),
     (SELECT gap_id FROM system_states WHERE host = $1 AND state = $2),
     (SELECT batch FROM system_batches WHERE host = $1 AND run = $3)";
const HOSTS: &str = "SELECT name, last_seen FROM machines
     WHERE EXISTS (SELECT FROM system_states WHERE host = machines.name)";
const STATUSES: &str =
    "SELECT host, kind, service_name, status, cause, message, current_task, changed_at, last_heartbeat
     FROM system_status WHERE ($1::text IS NULL OR host = $1) AND ($2::text IS NULL OR kind = $2)
     AND ($3::text IS NULL OR service_name = $3)";
/// Of one subject: the last one that was told of the time before the window, and those in it. Where a clock was set back,
/// what was told last counts.
pub(super) const MARKS_OF_ONE: &str =
    "SELECT s.host, s.kind, s.service_name, m.begun_at, m.status, m.cause, m.id
     FROM system_subjects s CROSS JOIN LATERAL (
         (SELECT begun_at, status, cause, id FROM system_status_history h
          WHERE h.opens AND h.service_name = s.service_name AND h.host = s.host AND h.kind = s.kind
              AND h.begun_at <= $4 ORDER BY h.id DESC LIMIT 1)
         UNION ALL
         (SELECT begun_at, status, cause, id FROM system_status_history h
          WHERE h.opens AND h.service_name = s.service_name AND h.host = s.host AND h.kind = s.kind
              AND h.begun_at > $4 AND h.begun_at < $5 AND h.heartbeat_timestamp > $4)
         UNION ALL
         SELECT s.dropped_at, s.dropped_status, s.dropped_cause, s.dropped_id WHERE s.dropped_at < $5
     ) m
     WHERE ($1::text IS NULL OR s.host = $1) AND s.kind = $2 AND s.service_name = $3";
/// The same of everyone: what is in the window is looked for once.
pub(super) const MARKS_OF_ALL: &str = "SELECT s.host, s.kind, s.service_name, m.begun_at, m.status, m.cause, m.id
     FROM system_subjects s CROSS JOIN LATERAL (
         SELECT begun_at, status, cause, id FROM system_status_history h
         WHERE h.opens AND h.service_name = s.service_name AND h.host = s.host AND h.kind = s.kind
             AND h.begun_at <= $4 ORDER BY h.id DESC LIMIT 1
     ) m
     WHERE ($1::text IS NULL OR s.host = $1) AND ($2::text IS NULL OR s.kind = $2)
         AND ($3::text IS NULL OR s.service_name = $3)
     UNION ALL
     SELECT host, kind, service_name, begun_at, status, cause, id FROM system_status_history
     WHERE opens AND begun_at > $4 AND begun_at < $5 AND heartbeat_timestamp > $4
         AND ($1::text IS NULL OR host = $1)
     UNION ALL
     SELECT host, kind, service_name, dropped_at, dropped_status, dropped_cause, dropped_id FROM system_subjects
     WHERE dropped_at < $5 AND ($1::text IS NULL OR host = $1)";
const MAINTENANCE: &str = "SELECT host, kind, service_name, begun, ended FROM system_maintenance
     WHERE ($1::text IS NULL OR host = $1) AND ($2::text IS NULL OR kind = $2)
         AND ($3::text IS NULL OR service_name = $3) AND begun < $5 AND ended > $4
     ORDER BY host, kind, service_name, begun";
macro_rules! runs {
    ($rest:literal) => {
        concat!(
            "SELECT id, host, kind, service_name, status, cause, current_task, begun_at, heartbeat_timestamp,
         heartbeats, created_at, opens, transition_id, from_status, message, since, reasons, evidence, is_flapping,
         is_healed_by_supervisor
     FROM system_status_history ",
            $rest
        )
    };
}
pub(super) const RUNS: &str = runs!(
    "WHERE ($1::text IS NULL OR host = $1) AND ($2::text IS NULL OR kind = $2)
         AND ($3::text IS NULL OR service_name = $3) AND heartbeat_timestamp >= $4 AND begun_at < $5
     ORDER BY heartbeat_timestamp DESC, id DESC"
);
pub(super) const OPENINGS: &str = runs!(
    "WHERE opens AND ($1::text IS NULL OR host = $1) AND ($2::text IS NULL OR kind = $2)
         AND ($3::text IS NULL OR service_name = $3) AND heartbeat_timestamp >= $4 AND begun_at >= $4 AND begun_at < $5
     ORDER BY begun_at DESC, id DESC"
);
/// The runs of a subject do not lie over each other, unless a clock was set back: it is one of the next ones, or none.
const RUNS_AFTER: &str = runs!(
    "WHERE host = $1 AND kind = $2 AND service_name = $3 AND heartbeat_timestamp > $4
     ORDER BY heartbeat_timestamp, id LIMIT 16"
);
const RUN_BEFORE: &str = runs!(
    "WHERE host = $1 AND kind = $2 AND service_name = $3 AND heartbeat_timestamp <= $4
     ORDER BY heartbeat_timestamp DESC, id DESC LIMIT 1"
);
const GAPS: &str = "SELECT begun, ended, reason FROM system_gaps
     WHERE host = $1 AND begun < $3 AND ended > $2 ORDER BY begun, ended, id";
const SERIES: &str =
    "SELECT s.host, s.kind, s.service_name, s.metric, n.at, n.count, n.sum, n.minimum, n.maximum
     FROM system_series s JOIN system_numbers n ON n.series = s.id AND n.resolution_s = $6
     WHERE ($1::text IS NULL OR s.host = $1) AND ($2::text IS NULL OR s.kind = $2)
         AND ($3::text IS NULL OR s.service_name = $3) AND n.at >= $4 AND n.at < $5
     ORDER BY n.series, n.at";
/// How many runs are fetched at once.
const PAGE: i32 = 2_000;

/// What is asked for, as parameters.
struct Asked<'a> {
    host: Option<&'a str>,
    kind: Option<&'static str>,
    name: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn of(selection: &'a Selection) -> Self {
        let subject = selection.subject.as_ref();
        Self {
            host: selection.host.as_deref(),
            kind: subject.map(|subject| subject.kind.as_str()),
            name: subject.map(|subject| &*subject.name),
        }
    }

    fn given(&self) -> [&(dyn ToSql + Sync); 3] {
        [&self.host, &self.kind, &self.name]
    }
}

/// The selection as names are found again.
fn found_again(selection: &Selection) -> Selection {
    Selection {
        host: selection.host.as_deref().map(|host| storable::name(host).into_owned()),
        subject: selection.subject.as_ref().map(words::subject),
    }
}

/// Each row that can be read.
fn readable<T>(rows: &[Row], read: impl Fn(&Row) -> Read<T>) -> Vec<T> {
    let note = |error: &_| warn!("history: a row is left out, since it cannot be read: {error}");
    rows.iter().filter_map(|row| read(row).inspect_err(note).ok()).collect()
}

pub(super) async fn position(on: &mut Connected, origin: &Origin) -> Result<Position, Failure> {
    let (host, state) = (storable::name(&origin.host), storable::name(&origin.state));
    let rows = on.ask(POSITION, &[&host, &state, &storable::name(&origin.run)]).await?;
    let Some(row) = rows.first() else { return Ok(Position::default()) };
    Ok(Position {
        transition: row.try_get::<_, Option<i64>>(0)?.unwrap_or(0),
        gap: row.try_get::<_, Option<i64>>(1)?.unwrap_or(0),
        batch: words::count(row.try_get::<_, Option<i64>>(2)?.unwrap_or(0)),
    })
}

pub(super) async fn hosts(on: &mut Connected) -> Result<Vec<Host>, Failure> {
    let rows = on.ask(HOSTS, &[]).await?;
    let mut hosts = readable(&rows, |row| Ok(Host { name: get(row, 0)?, last_seen: get(row, 1)? }));
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(hosts)
}

#[cfg(test)]
pub(super) async fn machines(on: &mut Connected) -> Result<Vec<crate::history::MachineRow>, Failure> {
    const ROWS: &str = "SELECT id, name, hostname, description, status, last_seen FROM machines";
    let rows = on.ask(ROWS, &[]).await?;
    let mut machines = readable(&rows, |row| {
        Ok((get(row, 0)?, get(row, 1)?, get(row, 2)?, get(row, 3)?, get(row, 4)?, get(row, 5)?))
    });
    machines.sort();
    Ok(machines)
}

pub(super) async fn statuses(on: &mut Connected, of: &Selection) -> Result<Vec<StatusRow>, Failure> {
    let of = found_again(of);
    let rows = on.ask(STATUSES, &Asked::of(&of).given()).await?;
    let mut found = readable(&rows, |row| {
        Ok(StatusRow {
            host: get(row, 0)?,
            subject: subject_at(row, 1)?,
            status: status(row, 3)?,
            cause: word(row, 4)?,
            message: get(row, 5)?,
            current_task: get(row, 6)?,
            changed_at: get(row, 7)?,
            last_heartbeat: get(row, 8)?,
        })
    });
    found.sort_by(|a, b| (&a.host, &a.subject).cmp(&(&b.host, &b.subject)));
    Ok(found)
}

/// Of one subject, while it is gathered.
#[derive(Debug, Default)]
struct Gathered {
    /// With their ids: the order in which it was judged.
    marks: Vec<(i64, Mark)>,
    maintenance: Vec<Window>,
}

pub(super) async fn judged(
    on: &mut Connected,
    of: &Selection,
    window: Window,
) -> Result<Vec<Judged>, Failure> {
    let of = found_again(of);
    let (from, to) = words::bounds(window);
    let marks = if of.subject.is_some() { MARKS_OF_ONE } else { MARKS_OF_ALL };
    on.prepare(&[marks, MAINTENANCE]).await?;
    let asked = Asked::of(&of);
    let mut given = asked.given().to_vec();
    given.extend([&from as &(dyn ToSql + Sync), &to]);
    let (marks, maintenance) = tokio::try_join!(on.rows(marks, &given), on.rows(MAINTENANCE, &given))?;
    let mut all: BTreeMap<(String, Subject), Gathered> = BTreeMap::new();
    for (of, id, mark) in readable(&marks, mark) {
        all.entry(of).or_default().marks.push((id, mark));
    }
    for (of, window) in readable(&maintenance, maintained) {
        if let Some(gathered) = all.get_mut(&of) {
            join(&mut gathered.maintenance, window);
        }
    }
    Ok(all.into_iter().map(|((host, subject), gathered)| gathered.into_judged(host, subject, from)).collect())
}

impl Gathered {
    /// Of what was in force before the window only the last one says something.
    fn into_judged(mut self, host: String, subject: Subject, from: Timestamp) -> Judged {
        let before = self.marks.iter().filter(|(_, mark)| mark.at <= from).map(|(id, _)| *id).max();
        self.marks.retain(|(id, mark)| mark.at > from || Some(*id) == before);
        self.marks.sort_by_key(|(id, _)| *id);
        // What is about to be dropped is there twice.
        self.marks.dedup_by_key(|(id, _)| *id);
        let marks = self.marks.into_iter().map(|(_, mark)| mark).collect();
        Judged { host, subject, marks, maintenance: self.maintenance }
    }
}

fn mark(row: &Row) -> Read<((String, Subject), i64, Mark)> {
    let mark = Mark { at: get(row, 3)?, status: status(row, 4)?, cause: word(row, 5)? };
    Ok(((get(row, 0)?, subject_at(row, 1)?), get(row, 6)?, mark))
}

fn maintained(row: &Row) -> Read<((String, Subject), Window)> {
    let window = Window { from: get(row, 3)?, to: get(row, 4)? };
    Ok(((get(row, 0)?, subject_at(row, 1)?), window))
}

/// Adds a window that does not begin earlier than the last one.
fn join(windows: &mut Vec<Window>, window: Window) {
    match windows.last_mut() {
        Some(last) if window.from <= last.to => last.to = last.to.max(window.to),
        _ => windows.push(window),
    }
}

/// Page by page from one picture of all of it, so that nothing is told twice or left out that is confirmed meanwhile.
pub(super) async fn runs(
    on: &mut Connected,
    sql: &'static str,
    of: &Selection,
    window: Window,
    limit: Duration,
    take: &mut dyn FnMut(RunRow) -> bool,
) -> Result<(), Failure> {
    let of = found_again(of);
    let (from, to) = words::bounds(window);
    let asked = Asked::of(&of);
    let mut given = asked.given().to_vec();
    given.extend([&from as &(dyn ToSql + Sync), &to]);
    let builder = on.client.build_transaction().read_only(true);
    let transaction = builder.isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).start().await?;
    // Who is told may take his time, and read on a terminal.
    transaction.batch_execute("SET LOCAL idle_in_transaction_session_timeout = '10min'").await?;
    let portal = transaction.bind(sql, &given).await?;
    loop {
        let page = timeout(limit, transaction.query_portal(&portal, PAGE)).await;
        let rows = page.map_err(|_| Failure::Late(limit))??;
        let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(0);
        if is_last | !readable(&rows, run).into_iter().all(&mut *take) {
            break;
        }
    }
    Ok(transaction.rollback().await?)
}

/// That in which an instant lies; otherwise the last one before it.
pub(super) async fn run_at(
    on: &mut Connected,
    host: &str,
    subject: &Subject,
    at: Timestamp,
) -> Result<Option<RunRow>, Failure> {
    let (host, subject, at) = (storable::name(host), words::subject(subject), words::time(at));
    let (kind, name) = (subject.kind.as_str(), &*subject.name);
    let given: [&(dyn ToSql + Sync); 4] = [&host, &kind, &name, &at];
    on.prepare(&[RUNS_AFTER, RUN_BEFORE]).await?;
    let (after, before) = tokio::try_join!(on.rows(RUNS_AFTER, &given), on.rows(RUN_BEFORE, &given))?;
    let mut around = readable(&after, run);
    around.retain(|run| run.begun_at <= at);
    Ok(around.pop().or_else(|| readable(&before, run).pop()))
}

fn run(row: &Row) -> Read<RunRow> {
    Ok(RunRow {
        id: get(row, 0)?,
        host: get(row, 1)?,
        subject: subject_at(row, 2)?,
        status: status(row, 4)?,
        cause: word(row, 5)?,
        current_task: get(row, 6)?,
        begun_at: get(row, 7)?,
        heartbeat_timestamp: get(row, 8)?,
        heartbeats: words::count(get(row, 9)?),
        created_at: get(row, 10)?,
        opens: get(row, 11)?,
        transition: transition(row)?,
    })
}

fn transition(row: &Row) -> Read<Option<Transition>> {
    if get::<Option<i64>>(row, 12)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Transition {
        subject: subject_at(row, 2)?,
        from: status(row, 13)?,
        to: status(row, 4)?,
        cause: word(row, 5)?,
        at: get(row, 7)?,
        message: get(row, 14)?,
        since: get(row, 15)?,
        reasons: serde_json::from_str(get(row, 16)?)?,
        evidence: serde_json::from_str(get(row, 17)?)?,
        is_flapping: get(row, 18)?,
        is_healed_by_supervisor: get(row, 19)?,
    }))
}

pub(super) async fn gaps(on: &mut Connected, host: &str, window: Window) -> Result<Vec<Gap>, Failure> {
    let (from, to) = words::bounds(window);
    let rows = on.ask(GAPS, &[&storable::name(host), &from, &to]).await?;
    let gap = |row: &Row| Ok(Gap { from: get(row, 0)?, to: get(row, 1)?, reason: of_word(get(row, 2)?)? });
    Ok(readable(&rows, gap))
}

pub(super) async fn series(
    on: &mut Connected,
    of: &Selection,
    resolution: Resolution,
    window: Window,
) -> Result<Vec<Series>, Failure> {
    let of = found_again(of);
    // The one in the middle of which the window begins belongs to it.
    let (from, to) = words::bounds(window);
    let from = resolution.begin_of(from);
    let resolution = words::seconds(resolution);
    let asked = Asked::of(&of);
    let mut given = asked.given().to_vec();
    given.extend([&from as &(dyn ToSql + Sync), &to, &resolution]);
    let rows = on.ask(SERIES, &given).await?;
    let mut all: BTreeMap<(String, Subject, String), Vec<Bin>> = BTreeMap::new();
    for (of, bin) in readable(&rows, numbers) {
        all.entry(of).or_default().push(bin);
    }
    let series = |((host, subject, metric), bins)| Series { host, subject, metric, bins };
    Ok(all.into_iter().map(series).collect())
}

fn numbers(row: &Row) -> Read<((String, Subject, String), Bin)> {
    let bin = Bin {
        at: get(row, 4)?,
        count: words::count(get(row, 5)?),
        sum: get(row, 6)?,
        minimum: get(row, 7)?,
        maximum: get(row, 8)?,
    };
    Ok(((get(row, 0)?, subject_at(row, 1)?, get(row, 3)?), bin))
}
