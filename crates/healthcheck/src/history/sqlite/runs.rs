//! Runs, those first that were confirmed last: of each name as many as are soon wanted, so that nobody waits for all.

use super::rows::{Read, count, parsed, readable, row, rows, status, subject, text, time, word};
use super::time::Stamp;
use crate::history::{RunRow, Selection, storable};
use healthcheck_core::history::Window;
use healthcheck_core::{Subject, Transition};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use std::collections::{BinaryHeap, VecDeque};

/// What is read ahead, of all names together and at least of each.
const AHEAD: usize = 4_096;
const AHEAD_OF_EACH: usize = 16;

pub(super) const NAMES: &str = "WITH RECURSIVE names (name) AS (
         SELECT min(service_name) FROM system_status_history
         UNION ALL SELECT (SELECT min(service_name) FROM system_status_history WHERE service_name > names.name)
         FROM names WHERE names.name IS NOT NULL)
     SELECT name FROM names WHERE name IS NOT NULL";
macro_rules! columns {
    () => {
        "SELECT id, host, kind, service_name, status, cause, current_task, begun_at, heartbeat_timestamp,
     heartbeats, created_at, opens, transition_id, from_status, message, since, reasons, evidence, is_flapping,
     is_healed_by_supervisor FROM system_status_history "
    };
}

const RUNS: &str = concat!(
    columns!(),
    "INDEXED BY system_status_history_of_service
     WHERE service_name = ?1 AND heartbeat_timestamp >= ?2 AND begun_at < ?3
     AND kind = coalesce(?4, kind) AND host = coalesce(?5, host) AND (heartbeat_timestamp, id) < (?6, ?7)
     ORDER BY heartbeat_timestamp DESC, id DESC LIMIT ?8"
);
/// Which they are is asked of the index alone, since a clock may have been set back.
pub(super) const OPENINGS: &str = concat!(
    columns!(),
    "WHERE id IN (
         SELECT id FROM system_status_history INDEXED BY system_status_history_opens
         WHERE opens AND service_name = ?1 AND begun_at >= ?2 AND begun_at < ?3
         AND kind = coalesce(?4, kind) AND host = coalesce(?5, host) AND (begun_at, id) < (?6, ?7)
         ORDER BY begun_at DESC, id DESC LIMIT ?8)
     ORDER BY begun_at DESC, id DESC"
);
pub(super) const FIRST_AFTER: &str = concat!(
    columns!(),
    "INDEXED BY system_status_history_of_service
     WHERE service_name = ?1 AND heartbeat_timestamp > ?4 AND kind = ?2 AND host = ?3
     ORDER BY heartbeat_timestamp, id LIMIT 1"
);
pub(super) const LAST_UNTIL: &str = concat!(
    columns!(),
    "INDEXED BY system_status_history_of_service
     WHERE service_name = ?1 AND heartbeat_timestamp <= ?4 AND kind = ?2 AND host = ?3
     ORDER BY heartbeat_timestamp DESC, id DESC LIMIT 1"
);

/// What is asked for, and in which order.
#[derive(Clone, Copy)]
struct Question {
    sql: &'static str,
    /// The column that says which one is the newest.
    newest_by: usize,
}

const BEGUN_AT: usize = 7;
const HEARTBEAT_TIMESTAMP: usize = 8;

/// The run in which an instant lies; otherwise the last one before it.
pub(super) fn run_at(
    connection: &Connection,
    host: &str,
    subject: &Subject,
    at: Timestamp,
) -> rusqlite::Result<Option<RunRow>> {
    let (name, host) = (storable::name(&subject.name), storable::name(host));
    let key = params![name, subject.kind.as_str(), host, Stamp::of(at)];
    let at = Stamp::of(at);
    let has_begun = |run: &RunRow| Stamp::of(run.begun_at).bytes() <= at.bytes();
    match row(connection, FIRST_AFTER, key, run)?.filter(has_begun) {
        Some(found) => Ok(Some(found)),
        None => row(connection, LAST_UNTIL, key, run),
    }
}

/// The runs that reach into a window.
pub(super) fn runs(
    connection: &Connection,
    of: &Selection,
    window: Window,
    take: &mut dyn FnMut(RunRow) -> bool,
) -> rusqlite::Result<()> {
    let question = Question { sql: RUNS, newest_by: HEARTBEAT_TIMESTAMP };
    ask(connection, question, of, window, take)
}

/// The runs with which a verdict changed in a window.
pub(super) fn openings(
    connection: &Connection,
    of: &Selection,
    window: Window,
    take: &mut dyn FnMut(RunRow) -> bool,
) -> rusqlite::Result<()> {
    ask(connection, Question { sql: OPENINGS, newest_by: BEGUN_AT }, of, window, take)
}

fn ask(
    connection: &Connection,
    question: Question,
    of: &Selection,
    window: Window,
    take: &mut dyn FnMut(RunRow) -> bool,
) -> rusqlite::Result<()> {
    let names = match &of.subject {
        Some(subject) => vec![storable::name(&subject.name).into_owned()],
        None => rows(connection, NAMES, [], |row| Ok(text(row, 0)?.to_owned()))?,
    };
    let asked = Asked {
        connection,
        question,
        kind: of.subject.as_ref().map(|subject| subject.kind.as_str()),
        host: of.host.as_deref().map(|host| storable::name(host).into_owned()),
        window,
        at_once: (AHEAD / names.len().max(1)).max(AHEAD_OF_EACH),
    };
    merge(&asked, names, take)
}

/// The next one is always the newest of those that are the next of their name.
fn merge(
    asked: &Asked<'_>,
    names: Vec<String>,
    take: &mut dyn FnMut(RunRow) -> bool,
) -> rusqlite::Result<()> {
    let mut streams: Vec<Stream> = names.into_iter().map(Stream::of).collect();
    let mut next = BinaryHeap::with_capacity(streams.len());
    for (number, stream) in streams.iter_mut().enumerate() {
        next.extend(stream.peek(asked)?.map(|at| (at, number)));
    }
    while let Some((_, number)) = next.pop() {
        let Some(stream) = streams.get_mut(number) else { break };
        if !stream.ahead.pop_front().is_some_and(|(_, run)| take(run)) {
            break;
        }
        next.extend(stream.peek(asked)?.map(|at| (at, number)));
    }
    Ok(())
}

/// Where a run stands among all others.
type At = (Timestamp, i64);

struct Asked<'a> {
    connection: &'a Connection,
    question: Question,
    kind: Option<&'static str>,
    host: Option<String>,
    window: Window,
    at_once: usize,
}

/// The runs of one name.
struct Stream {
    name: String,
    ahead: VecDeque<(At, RunRow)>,
    /// The last one that was read.
    read: Option<At>,
    is_at_its_end: bool,
}

impl Stream {
    fn of(name: String) -> Self {
        Self { name, ahead: VecDeque::new(), read: None, is_at_its_end: false }
    }

    fn peek(&mut self, asked: &Asked<'_>) -> rusqlite::Result<Option<At>> {
        while self.ahead.is_empty() && !self.is_at_its_end {
            self.read_on(asked)?;
        }
        Ok(self.ahead.front().map(|(at, _)| *at))
    }

    fn read_on(&mut self, asked: &Asked<'_>) -> rusqlite::Result<()> {
        let before = self.read;
        let (at, id) = before.unwrap_or((Timestamp::MAX, i64::MAX));
        let limit = i64::try_from(asked.at_once).unwrap_or(i64::MAX);
        let mut statement = asked.connection.prepare_cached(asked.question.sql)?;
        let (from, to) = (Stamp::of(asked.window.from), Stamp::of(asked.window.to));
        let key = params![self.name, from, to, asked.kind, asked.host, Stamp::of(at), id, limit];
        let mut rows = statement.query(key)?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            found += 1;
            if let Ok(at) = time(row, asked.question.newest_by) {
                self.read = Some((at, row.get(0)?));
            }
            self.ahead.extend(self.read.zip(readable(run(row))));
        }
        // Where no time can be read, there is no going on from it.
        self.is_at_its_end = found < asked.at_once || self.read == before;
        Ok(())
    }
}

fn run(row: &Row<'_>) -> Read<RunRow> {
    Ok(RunRow {
        id: row.get(0)?,
        host: text(row, 1)?.to_owned(),
        subject: subject(row, 2)?,
        status: status(row, 4)?,
        cause: word(row, 5)?,
        current_task: row.get(6)?,
        begun_at: time(row, BEGUN_AT)?,
        heartbeat_timestamp: time(row, HEARTBEAT_TIMESTAMP)?,
        heartbeats: count(row, 9)?,
        created_at: time(row, 10)?,
        opens: row.get(11)?,
        transition: if row.get::<_, Option<i64>>(12)?.is_some() { Some(transition(row)?) } else { None },
    })
}

fn transition(row: &Row<'_>) -> Read<Transition> {
    Ok(Transition {
        subject: subject(row, 2)?,
        from: status(row, 13)?,
        to: status(row, 4)?,
        cause: word(row, 5)?,
        at: time(row, BEGUN_AT)?,
        message: text(row, 14)?.to_owned(),
        since: time(row, 15)?,
        reasons: parsed(row, 16)?,
        evidence: parsed(row, 17)?,
        is_flapping: row.get(18)?,
        is_healed_by_supervisor: row.get(19)?,
    })
}
