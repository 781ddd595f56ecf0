//! A portion, taken in whole or not at all.

use super::connection::{Connected, milliseconds};
use super::errors::Failure;
use super::fold::{Fold, NumberKey, Run, Standing};
use super::months::{self, Month};
use super::words::{self, Read, get, json, of_word};
use crate::history::{Entry, MachineState, Portion, storable};
use health_reporter::Status;
use healthcheck_core::history::{Bin, Window};
use healthcheck_core::{Cause, Subject, Transition};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tracing::warn;

const MAKE_STATE: &str =
    "INSERT INTO system_states (host, state, transition_id, gap_id) VALUES ($1, $2, 0, 0)
     ON CONFLICT (host, state) DO NOTHING";
const MAKE_BATCHES: &str = "INSERT INTO system_batches (host, run, batch) VALUES ($1, $2, 0)
     ON CONFLICT (host, run) DO NOTHING";
const HOLD: &str = "SELECT transition_id, gap_id, batch FROM system_states JOIN system_batches USING (host)
     WHERE host = $1 AND state = $2 AND run = $3 FOR UPDATE";
const MOVE_STATE: &str = "UPDATE system_states SET transition_id = $5, gap_id = $6, updated_at = now()
     WHERE host = $1 AND state = $2 AND transition_id = $3 AND gap_id = $4";
const MOVE_BATCHES: &str = "UPDATE system_batches SET batch = $4, updated_at = now()
     WHERE host = $1 AND run = $2 AND batch = $3";
/// What a run wrote is taken in by the next ones within minutes.
const FORGET_RUNS: &str =
    "DELETE FROM system_batches WHERE host = $1 AND updated_at < now() - INTERVAL '90 days'";

const KNOWN: &str =
    "SELECT given.n, s.status, s.cause, s.message, s.current_task, s.changed_at, s.last_heartbeat,
     r.id, r.heartbeat_timestamp, r.heartbeats, r.begun_at, r.transition_id, r.current_task
     FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS given (kind, service_name, n)
     JOIN system_status s ON s.service_name = given.service_name AND s.host = $1 AND s.kind = given.kind
     LEFT JOIN LATERAL (SELECT id, heartbeat_timestamp, heartbeats, begun_at, transition_id, current_task
         FROM system_status_history h WHERE h.id = s.run_id AND h.heartbeat_timestamp = s.run_at) r ON true";
const IDS: &str = "SELECT nextval('system_status_history_id_seq') FROM generate_series(1, $1::bigint)";

const ADD_RUNS: &str =
    "INSERT INTO system_status_history (host, id, kind, service_name, status, cause, current_task,
         begun_at, heartbeat_timestamp, heartbeats, opens)
     SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
         $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::boolean[])";
const ADD_TRANSITIONS: &str = "INSERT INTO system_status_history (host, id, kind, service_name, status, cause,
         current_task, begun_at, heartbeat_timestamp, heartbeats, opens, transition_id, since, from_status, message,
         reasons, evidence, is_flapping, is_healed_by_supervisor)
     SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
         $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::boolean[], $12::bigint[], $13::timestamptz[],
         $14::text[], $15::text[], $16::text[], $17::text[], $18::boolean[], $19::boolean[])";
const CONFIRM: &str = "UPDATE system_status_history AS h SET heartbeat_timestamp = given.last,
         heartbeats = given.heartbeats, current_task = given.task
     FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::text[])
         AS given (id, at, last, heartbeats, task)
     WHERE h.id = given.id AND h.heartbeat_timestamp = given.at";
const PUT_SUBJECTS: &str = "INSERT INTO system_subjects (host, kind, service_name)
     SELECT $1, * FROM unnest($2::text[], $3::text[]) ON CONFLICT (service_name, host, kind) DO NOTHING";
const PUT_STATUSES: &str = "INSERT INTO system_status (host, kind, service_name, status, cause, message,
         current_task, changed_at, last_heartbeat, run_id, run_at)
     SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
         $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::timestamptz[])
     ON CONFLICT (service_name, host, kind) DO UPDATE SET status = excluded.status, cause = excluded.cause,
         message = excluded.message, current_task = excluded.current_task, changed_at = excluded.changed_at,
         last_heartbeat = excluded.last_heartbeat, run_id = excluded.run_id, run_at = excluded.run_at,
         updated_at = now()";
const FORGET: &str = "DELETE FROM system_status USING unnest($2::text[], $3::text[]) AS given (kind, name)
     WHERE host = $1 AND system_status.kind = given.kind AND service_name = given.name";
/// Another `state.db` may have given the id to another transition.
const AMEND: &str = "UPDATE system_status_history AS h SET message = given.message, reasons = given.reasons,
         evidence = given.evidence, is_flapping = given.is_flapping, is_healed_by_supervisor = given.is_healed
     FROM unnest($2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[],
         $9::boolean[], $10::boolean[])
         AS given (id, kind, name, at, message, reasons, evidence, is_flapping, is_healed)
     WHERE h.opens AND h.service_name = given.name AND h.host = $1 AND h.kind = given.kind AND h.begun_at = given.at
         AND h.heartbeat_timestamp >= given.at AND h.transition_id = given.id";
const ADD_GAPS: &str = "INSERT INTO system_gaps (host, begun, ended, reason)
     SELECT $1, * FROM unnest($2::timestamptz[], $3::timestamptz[], $4::text[])";
const PUT_MAINTENANCE: &str = "WITH given AS (SELECT * FROM unnest($2::text[], $3::text[], $4::timestamptz[],
         $5::timestamptz[]) WITH ORDINALITY AS given (kind, name, begun, ended, n)),
     longer AS (UPDATE system_maintenance AS m SET ended = greatest(m.ended, given.ended) FROM given
         WHERE m.service_name = given.name AND m.host = $1 AND m.kind = given.kind
             AND m.begun <= given.begun AND m.ended >= given.begun RETURNING given.n)
     INSERT INTO system_maintenance (host, kind, service_name, begun, ended)
     SELECT $1, kind, name, begun, ended FROM given WHERE n NOT IN (SELECT n FROM longer)
     ON CONFLICT (service_name, host, kind, begun) DO UPDATE
         SET ended = greatest(system_maintenance.ended, excluded.ended)";
const PUT_SERIES: &str = "INSERT INTO system_series (host, kind, service_name, metric)
     SELECT DISTINCT $1, given.* FROM unnest($2::text[], $3::text[], $4::text[]) AS given (kind, name, metric)
     WHERE NOT EXISTS (SELECT FROM system_series s WHERE s.service_name = given.name AND s.host = $1
         AND s.kind = given.kind AND s.metric = given.metric)
     ON CONFLICT (service_name, host, kind, metric) DO NOTHING";
const PUT_NUMBERS: &str =
    "INSERT INTO system_numbers (series, resolution_s, at, count, sum, minimum, maximum)
     SELECT s.id, given.resolution_s, given.at, given.count, given.sum, given.minimum, given.maximum
     FROM unnest($2::text[], $3::text[], $4::text[], $5::integer[], $6::timestamptz[], $7::bigint[],
         $8::float8[], $9::float8[], $10::float8[])
         AS given (kind, name, metric, resolution_s, at, count, sum, minimum, maximum)
     JOIN system_series s ON s.service_name = given.name AND s.host = $1 AND s.kind = given.kind
         AND s.metric = given.metric
     ON CONFLICT (series, resolution_s, at) DO UPDATE SET
         count = least(system_numbers.count::numeric + excluded.count, 9223372036854775807)::bigint,
         sum = system_numbers.sum + excluded.sum, minimum = least(system_numbers.minimum, excluded.minimum),
         maximum = greatest(system_numbers.maximum, excluded.maximum)";
const SEEN: &str = "INSERT INTO machines (id, name, last_seen) VALUES ($1, $1, $2)
     ON CONFLICT (name) DO UPDATE SET last_seen = excluded.last_seen";
/// Until when it is known what happened is said by nobody but the machine ($1), where that says anything. Several watchers
/// write the same rows, always in the same order: so none of them waits for one that waits for it.
const PUT_MACHINES: &str = "INSERT INTO machines AS m (id, name, hostname, description, status, last_seen)
     SELECT name, name, hostname, description, status, last_seen
     FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
         AS given (name, hostname, description, status, last_seen) ORDER BY name COLLATE \"C\"
     ON CONFLICT (name) DO UPDATE SET hostname = coalesce(excluded.hostname, m.hostname),
         description = coalesce(excluded.description, m.description),
         status = coalesce(excluded.status, m.status), last_seen = CASE
             WHEN m.name = $1 AND $7 THEN excluded.last_seen
             WHEN EXISTS (SELECT FROM system_states WHERE host = m.name) THEN m.last_seen
             ELSE excluded.last_seen END";

const WRITING: [&str; 19] = [
    MAKE_STATE,
    MAKE_BATCHES,
    HOLD,
    MOVE_STATE,
    MOVE_BATCHES,
    KNOWN,
    IDS,
    ADD_RUNS,
    ADD_TRANSITIONS,
    CONFIRM,
    PUT_SUBJECTS,
    PUT_STATUSES,
    FORGET,
    AMEND,
    ADD_GAPS,
    PUT_MAINTENANCE,
    PUT_NUMBERS,
    PUT_MACHINES,
    SEEN,
];

pub(super) async fn take_in(on: &mut Connected, portion: &Portion, limit: Duration) -> Result<(), Failure> {
    on.must_be_writable()?;
    on.prepare(&WRITING).await?;
    on.prepare(&[PUT_SERIES, FORGET_RUNS]).await?;
    let host = storable::name(&portion.origin.host);
    months::provide(on, months_of(portion)).await?;
    begin(on, portion, &host, limit).await?;
    let mut fold = known(on, portion, &host).await?;
    portion.entries.iter().for_each(|entry| fold.take(entry, portion.record));
    let ids = ids(on, &fold).await?;
    put(on, &fold, &ids, &host).await?;
    advance(on, portion, &host).await?;
    on.run("COMMIT").await
}

/// Holds the origin's rows before anything else is sent: so nothing of this is ever done behind the back of who comes
/// after us, not even by a server that went on with what we had given up.
async fn begin(on: &Connected, portion: &Portion, host: &str, limit: Duration) -> Result<(), Failure> {
    let (state, run) = (storable::name(&portion.origin.state), storable::name(&portion.origin.run));
    let begin = format!("BEGIN; SET LOCAL statement_timeout = {}", milliseconds(limit));
    let origin: [&(dyn ToSql + Sync); 3] = [&host, &state, &run];
    let (_, held) = tokio::try_join!(biased; on.run(&begin), on.rows(HOLD, &origin))?;
    let held = match held.first() {
        Some(_) => held,
        None => {
            on.execute(MAKE_STATE, &[&host, &state]).await?;
            on.execute(MAKE_BATCHES, &[&host, &run]).await?;
            on.execute(FORGET_RUNS, &[&host]).await?;
            on.rows(HOLD, &origin).await?
        }
    };
    let before = (portion.before.transition, portion.before.gap, batch(portion.before.batch)?);
    let is_there = match held.first() {
        Some(row) => (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?) == before,
        None => false,
    };
    if is_there { Ok(()) } else { Err(Failure::Elsewhere) }
}

fn batch(number: u64) -> Result<i64, Failure> {
    i64::try_from(number).map_err(|_| Failure::Own(format!("nobody counts up to batch {number}")))
}

async fn advance(on: &Connected, portion: &Portion, host: &str) -> Result<(), Failure> {
    let (before, after) = (&portion.before, &portion.after);
    let (state, run) = (storable::name(&portion.origin.state), storable::name(&portion.origin.run));
    let (was, is) = (batch(before.batch)?, batch(after.batch)?);
    let states: [&(dyn ToSql + Sync); 6] =
        [&host, &state, &before.transition, &before.gap, &after.transition, &after.gap];
    let batches: [&(dyn ToSql + Sync); 4] = [&host, &run, &was, &is];
    let (states, batches) =
        tokio::try_join!(biased; on.execute(MOVE_STATE, &states), on.execute(MOVE_BATCHES, &batches))?;
    if (states, batches) == (1, 1) { Ok(()) } else { Err(Failure::Elsewhere) }
}

/// Where its rows will be.
fn months_of(portion: &Portion) -> BTreeSet<Month> {
    let times = portion.entries.iter().filter_map(|entry| match entry {
        Entry::Transition { transition, .. } => Some(transition.at),
        Entry::Beats(beats) => Some(beats.first.max(beats.last)),
        Entry::Forgotten { at, .. } => Some(*at),
        _ => None,
    });
    // Most are of the same one, and to ask for that is the cheaper thing.
    let mut windows: Vec<Window> = Vec::new();
    for time in times.map(words::time) {
        if !windows.iter().any(|window| (window.from..window.to).contains(&time)) {
            windows.push(Month::of(time).window());
        }
    }
    windows.into_iter().map(|window| Month::of(window.from)).collect()
}

/// What is known of everyone whom the portion concerns.
async fn known(on: &Connected, portion: &Portion, host: &str) -> Result<Fold, Failure> {
    let subjects: HashSet<&Subject> = portion.entries.iter().filter_map(concerned).collect();
    let subjects: Vec<Subject> = subjects.into_iter().map(words::subject).collect();
    let (kinds, names) = columns(subjects.iter());
    let mut fold = Fold::default();
    if subjects.is_empty() {
        return Ok(fold);
    }
    for row in on.rows(KNOWN, &[&host, &kinds, &names]).await? {
        let number: i64 = row.try_get(0)?;
        let Some(subject) = usize::try_from(number - 1).ok().and_then(|at| subjects.get(at)) else {
            continue;
        };
        match standing(&row, subject) {
            Ok((standing, run)) => fold.know(subject.clone(), standing, run),
            Err(error) => {
                warn!("history: what is known of {subject} cannot be read, and is written anew: {error}");
            }
        }
    }
    Ok(fold)
}

fn concerned(entry: &Entry) -> Option<&Subject> {
    match entry {
        Entry::Transition { transition, .. } | Entry::Amended { transition, .. } => Some(&transition.subject),
        Entry::Beats(beats) => Some(&beats.subject),
        Entry::Forgotten { subject, .. } => Some(subject),
        Entry::Gap(_) | Entry::Maintenance { .. } | Entry::Numbers { .. } => None,
        Entry::Machine(_) | Entry::Seen(_) => None,
    }
}

fn standing(row: &Row, subject: &Subject) -> Read<(Standing, Option<Run>)> {
    let status: Status = get::<&str>(row, 1)?.parse()?;
    let cause: Cause = of_word(get(row, 2)?)?;
    let standing = Standing {
        status,
        cause,
        message: get(row, 3)?,
        task: get(row, 4)?,
        changed_at: get(row, 5)?,
        last_heartbeat: get(row, 6)?,
        run: None,
    };
    let Some(id) = get::<Option<i64>>(row, 7)? else { return Ok((standing, None)) };
    let run = Run {
        key: Some((id, get(row, 8)?)),
        subject: subject.clone(),
        status,
        cause,
        task: get(row, 12)?,
        begun_at: get(row, 10)?,
        heartbeat_timestamp: get(row, 8)?,
        heartbeats: words::count(get(row, 9)?),
        opens: false,
        transition_id: get(row, 11)?,
        transition: None,
        is_changed: false,
    };
    Ok((standing, Some(run)))
}

/// The id of each run.
async fn ids(on: &Connected, fold: &Fold) -> Result<Vec<i64>, Failure> {
    let new = fold.runs.iter().filter(|run| run.key.is_none()).count();
    let given = match new {
        0 => Vec::new(),
        new => on.rows(IDS, &[&storable::count(new as u64)]).await?,
    };
    let mut given = given.iter();
    let mut id = |run: &Run| match run.key {
        Some((id, _)) => Ok(id),
        None => given.next().map_or(Ok(0), |row| row.try_get(0)),
    };
    Ok(fold.runs.iter().map(&mut id).collect::<Result<_, _>>()?)
}

/// Kinds and names, as they are sent.
fn columns<'a>(subjects: impl Iterator<Item = &'a Subject>) -> (Vec<&'a str>, Vec<&'a str>) {
    subjects.map(|subject| (subject.kind.as_str(), &*subject.name)).unzip()
}

/// All of it is sent before the first answer is waited for. Answers are looked at in the same order: behind the first error
/// there is only word of a transaction that is over.
async fn put(on: &Connected, fold: &Fold, ids: &[i64], host: &str) -> Result<(), Failure> {
    tokio::try_join!(
        biased;
        put_runs(on, fold, ids, host),
        put_statuses(on, fold, ids, host),
        put_amended(on, fold, host),
        put_gaps(on, fold, host),
        put_maintenance(on, fold, host),
        put_numbers(on, fold, host),
        put_machines(on, fold, host),
    )?;
    Ok(())
}

async fn put_machines(on: &Connected, fold: &Fold, host: &str) -> Result<(), Failure> {
    if fold.machines.is_empty() {
        if let Some(seen) = fold.seen {
            on.execute(SEEN, &[&host, &seen]).await?;
        }
        return Ok(());
    }
    let own = fold.seen.filter(|_| !fold.machines.contains_key(host)).map(|seen| (host, None, seen));
    let others = fold.machines.iter().map(|(name, it)| {
        let seen = fold.seen.filter(|_| name == host);
        (&**name, Some(it), seen.unwrap_or_else(|| words::time(it.last_seen)))
    });
    let rows: Vec<(&str, Option<&MachineState>, Timestamp)> = own.into_iter().chain(others).collect();
    let names = column(&rows, |(name, ..)| *name);
    let hostnames = column(&rows, |(_, it, _)| it.map(|it| storable::text(&it.hostname)));
    let descriptions = column(&rows, |(_, it, _)| it.map(|it| storable::text(&it.description)));
    let statuses = column(&rows, |(_, it, _)| it.map(|it| it.status.as_str()));
    let (seen, is_seen) = (column(&rows, |(_, _, seen)| *seen), fold.seen.is_some());
    on.execute(PUT_MACHINES, &[&host, &names, &hostnames, &descriptions, &statuses, &seen, &is_seen]).await?;
    Ok(())
}

async fn put_runs(on: &Connected, fold: &Fold, ids: &[i64], host: &str) -> Result<(), Failure> {
    let runs = || fold.runs.iter().zip(ids.iter().copied());
    let changed: Vec<&Run> = fold.runs.iter().filter(|run| run.key.is_some() && run.is_changed).collect();
    let new = || runs().filter(|(run, _)| run.key.is_none());
    let plain: Vec<(&Run, i64)> = new().filter(|(run, _)| run.transition.is_none()).collect();
    let opened: Vec<(&Run, i64)> = new().filter(|(run, _)| run.transition.is_some()).collect();
    tokio::try_join!(biased; confirm(on, &changed), add_transitions(on, &opened, host), add_runs(on, &plain, host),)?;
    Ok(())
}

/// One whose month is another one now moves to that by itself.
async fn confirm(on: &Connected, changed: &[&Run]) -> Result<(), Failure> {
    if changed.is_empty() {
        return Ok(());
    }
    let (ids, keys): (Vec<i64>, Vec<Timestamp>) = changed.iter().filter_map(|run| run.key).unzip();
    let lasts = column(changed, |run| run.heartbeat_timestamp);
    let heartbeats = column(changed, |run| storable::count(run.heartbeats));
    let tasks = column(changed, |run| run.task.as_deref());
    on.execute(CONFIRM, &[&ids, &keys, &lasts, &heartbeats, &tasks]).await?;
    Ok(())
}

fn column<'a, T, V>(of: &'a [T], value: impl Fn(&'a T) -> V) -> Vec<V> {
    of.iter().map(value).collect()
}

/// What runs have in common, in the order of the columns.
struct Columns<'a> {
    ids: Vec<i64>,
    kinds: Vec<&'a str>,
    names: Vec<&'a str>,
    statuses: Vec<&'static str>,
    causes: Vec<&'static str>,
    tasks: Vec<Option<&'a str>>,
    begun: Vec<Timestamp>,
    lasts: Vec<Timestamp>,
    heartbeats: Vec<i64>,
    opens: Vec<bool>,
}

impl<'a> Columns<'a> {
    fn of(runs: &'a [(&'a Run, i64)]) -> Self {
        let (kinds, names) = columns(runs.iter().map(|(run, _)| &run.subject));
        Self {
            ids: column(runs, |(_, id)| *id),
            kinds,
            names,
            statuses: column(runs, |(run, _)| run.status.as_str()),
            causes: column(runs, |(run, _)| run.cause.as_str()),
            tasks: column(runs, |(run, _)| run.task.as_deref()),
            begun: column(runs, |(run, _)| run.begun_at),
            lasts: column(runs, |(run, _)| run.heartbeat_timestamp),
            heartbeats: column(runs, |(run, _)| storable::count(run.heartbeats)),
            opens: column(runs, |(run, _)| run.opens),
        }
    }

    fn given<'b>(&'b self, host: &'b &'b str) -> Vec<&'b (dyn ToSql + Sync)> {
        vec![
            host,
            &self.ids,
            &self.kinds,
            &self.names,
            &self.statuses,
            &self.causes,
            &self.tasks,
            &self.begun,
            &self.lasts,
            &self.heartbeats,
            &self.opens,
        ]
    }
}

async fn add_runs(on: &Connected, runs: &[(&Run, i64)], host: &str) -> Result<(), Failure> {
    if !runs.is_empty() {
        on.execute(ADD_RUNS, &Columns::of(runs).given(&host)).await?;
    }
    Ok(())
}

async fn add_transitions(on: &Connected, runs: &[(&Run, i64)], host: &str) -> Result<(), Failure> {
    if runs.is_empty() {
        return Ok(());
    }
    let transitions: Vec<&Transition> = runs.iter().filter_map(|(run, _)| run.transition.as_ref()).collect();
    let said = Said::of(&transitions)?;
    let columns = Columns::of(runs);
    let ids = column(runs, |(run, _)| run.transition_id);
    let since = column(&transitions, |transition| words::time(transition.since));
    let from = column(&transitions, |transition| transition.from.as_str());
    let mut given = columns.given(&host);
    given.extend([&ids as &(dyn ToSql + Sync), &since, &from]);
    given.extend(said.given());
    on.execute(ADD_TRANSITIONS, &given).await?;
    Ok(())
}

/// What may be known of a transition only later.
struct Said<'a> {
    messages: Vec<Cow<'a, str>>,
    reasons: Vec<String>,
    evidence: Vec<String>,
    is_flapping: Vec<bool>,
    is_healed: Vec<bool>,
}

impl<'a> Said<'a> {
    fn of(transitions: &[&'a Transition]) -> Result<Self, Failure> {
        let (reasons, evidence) = (
            transitions.iter().map(|transition| json(&transition.reasons)).collect::<Result<_, _>>()?,
            transitions.iter().map(|transition| json(&transition.evidence)).collect::<Result<_, _>>()?,
        );
        Ok(Self {
            messages: transitions.iter().map(|transition| storable::text(&transition.message)).collect(),
            reasons,
            evidence,
            is_flapping: transitions.iter().map(|transition| transition.is_flapping).collect(),
            is_healed: transitions.iter().map(|transition| transition.is_healed_by_supervisor).collect(),
        })
    }

    fn given(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.messages, &self.reasons, &self.evidence, &self.is_flapping, &self.is_healed]
    }
}

async fn put_amended(on: &Connected, fold: &Fold, host: &str) -> Result<(), Failure> {
    if fold.amended.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = fold.amended.keys().copied().collect();
    let transitions: Vec<&Transition> = fold.amended.values().collect();
    let subjects = column(&transitions, |transition| words::subject(&transition.subject));
    let (kinds, names) = columns(subjects.iter());
    let times = column(&transitions, |transition| words::time(transition.at));
    let said = Said::of(&transitions)?;
    let mut given: Vec<&(dyn ToSql + Sync)> = vec![&host, &ids, &kinds, &names, &times];
    given.extend(said.given());
    on.execute(AMEND, &given).await?;
    Ok(())
}

async fn put_statuses(on: &Connected, fold: &Fold, ids: &[i64], host: &str) -> Result<(), Failure> {
    let forgotten = fold.standings.iter().filter(|(_, standing)| standing.is_none());
    let (gone_kinds, gone_names) = columns(forgotten.map(|(subject, _)| subject));
    let known = fold.standings.iter().filter_map(|(subject, standing)| Some((subject, standing.as_ref()?)));
    let known: Vec<(&Subject, &Standing)> = known.collect();
    let (kinds, names) = columns(fold.standings.keys());
    if kinds.is_empty() {
        return Ok(());
    }
    let subjects: [&(dyn ToSql + Sync); 3] = [&host, &kinds, &names];
    let forget = async {
        if gone_kinds.is_empty() {
            return Ok(0);
        }
        on.execute(FORGET, &[&host, &gone_kinds, &gone_names]).await
    };
    tokio::try_join!(biased; on.execute(PUT_SUBJECTS, &subjects), put_known(on, fold, ids, &known, host), forget)?;
    Ok(())
}

async fn put_known(
    on: &Connected,
    fold: &Fold,
    ids: &[i64],
    known: &[(&Subject, &Standing)],
    host: &str,
) -> Result<(), Failure> {
    if known.is_empty() {
        return Ok(());
    }
    let (kinds, names) = columns(known.iter().map(|(subject, _)| *subject));
    let statuses = column(known, |(_, standing)| standing.status.as_str());
    let causes = column(known, |(_, standing)| standing.cause.as_str());
    let messages = column(known, |(_, standing)| &*standing.message);
    let tasks = column(known, |(_, standing)| standing.task.as_deref());
    let changed = column(known, |(_, standing)| standing.changed_at);
    let heartbeats = column(known, |(_, standing)| standing.last_heartbeat);
    let run_ids = column(known, |(_, standing)| standing.run.and_then(|run| ids.get(run).copied()));
    let run_times = column(known, |(_, standing)| Some(fold.runs.get(standing.run?)?.heartbeat_timestamp));
    on.execute(
        PUT_STATUSES,
        &[
            &host,
            &kinds,
            &names,
            &statuses,
            &causes,
            &messages,
            &tasks,
            &changed,
            &heartbeats,
            &run_ids,
            &run_times,
        ],
    )
    .await?;
    Ok(())
}

async fn put_gaps(on: &Connected, fold: &Fold, host: &str) -> Result<(), Failure> {
    if fold.gaps.is_empty() {
        return Ok(());
    }
    let begun = column(&fold.gaps, |gap| words::time(gap.from));
    let ended = column(&fold.gaps, |gap| words::time(gap.to));
    let reasons = column(&fold.gaps, |gap| gap.reason.as_str());
    on.execute(ADD_GAPS, &[&host, &begun, &ended, &reasons]).await?;
    Ok(())
}

async fn put_maintenance(on: &Connected, fold: &Fold, host: &str) -> Result<(), Failure> {
    if fold.maintenance.is_empty() {
        return Ok(());
    }
    let (kinds, names) = columns(fold.maintenance.keys().map(|(subject, _)| subject));
    let begun: Vec<Timestamp> = fold.maintenance.keys().map(|(_, begun)| *begun).collect();
    let ended: Vec<Timestamp> = fold.maintenance.values().copied().collect();
    on.execute(PUT_MAINTENANCE, &[&host, &kinds, &names, &begun, &ended]).await?;
    Ok(())
}

async fn put_numbers(on: &Connected, fold: &Fold, host: &str) -> Result<(), Failure> {
    let numbers: Vec<(&NumberKey, &Bin)> = fold.numbers.iter().collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let (kinds, names) = columns(numbers.iter().map(|((subject, ..), _)| subject));
    let metrics = column(&numbers, |((_, metric, ..), _)| &**metric);
    let resolutions = column(&numbers, |((_, _, resolution, _), _)| words::seconds(*resolution));
    let times = column(&numbers, |(_, bin)| bin.at);
    let counts = column(&numbers, |(_, bin)| storable::count(bin.count));
    let sums = column(&numbers, |(_, bin)| bin.sum);
    let minima = column(&numbers, |(_, bin)| bin.minimum);
    let maxima = column(&numbers, |(_, bin)| bin.maximum);
    let series: [&(dyn ToSql + Sync); 4] = [&host, &kinds, &names, &metrics];
    let mut bins = series.to_vec();
    bins.extend([&resolutions as &(dyn ToSql + Sync), &times, &counts, &sums, &minima, &maxima]);
    tokio::try_join!(biased; on.execute(PUT_SERIES, &series), on.execute(PUT_NUMBERS, &bins))?;
    Ok(())
}
