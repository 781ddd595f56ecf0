//! How a portion is taken in: what is known of each subject is read once, and what became of it is written at the end.

mod standing;

use super::rows::row;
use super::time::Stamp;
use crate::history::{Entry, MachineState, Origin, Portion, Position, storable};
use healthcheck_core::history::{Bin, Resolution, Window};
use healthcheck_core::{Gap, Subject, Transition};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use standing::Standing;
use std::borrow::Cow;
use std::collections::BTreeMap;

const POSITION: &str = "SELECT transition_id, gap_id, batch FROM system_positions
     WHERE host = ?1 AND part = ?2 AND name = ?3";
const PUT_POSITION: &str = "INSERT INTO system_positions
     (host, part, name, transition_id, gap_id, batch, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
     ON CONFLICT (host, part, name) DO UPDATE SET transition_id = excluded.transition_id, gap_id = excluded.gap_id,
     batch = excluded.batch, updated_at = excluded.updated_at";
/// Runs of a monitor that are long over.
const FORGET_POSITIONS: &str = "DELETE FROM system_positions WHERE host = ?1 AND part = 'run' AND name IN (
     SELECT name FROM system_positions WHERE host = ?1 AND part = 'run'
     ORDER BY updated_at DESC LIMIT -1 OFFSET 100)";
const PUT_SEEN: &str = "INSERT INTO machines (id, name, last_seen) VALUES (?1, ?1, ?2)
     ON CONFLICT (name) DO UPDATE SET last_seen = excluded.last_seen";
/// Until when it is known what happened is said by nobody but the machine, where that says anything.
const PUT_MACHINE: &str = "INSERT INTO machines (id, name, hostname, description, status, last_seen)
     VALUES (?1, ?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (name) DO UPDATE SET hostname = excluded.hostname, description = excluded.description,
     status = excluded.status, last_seen = CASE
         WHEN EXISTS (SELECT 1 FROM system_positions WHERE host = excluded.name) THEN machines.last_seen
         ELSE excluded.last_seen END";
const PUT_GAP: &str = "INSERT INTO system_gaps (host, begun, ended, reason) VALUES (?1, ?2, ?3, ?4)";
const LAST_MAINTENANCE: &str = "SELECT id, begun, ended FROM system_maintenance
     WHERE service_name = ?1 AND kind = ?2 AND host = ?3 ORDER BY id DESC LIMIT 1";
const PUT_MAINTENANCE: &str = "INSERT INTO system_maintenance (service_name, kind, host, begun, ended)
     VALUES (?1, ?2, ?3, ?4, ?5)";
const PROLONG: &str = "UPDATE system_maintenance SET ended = max(ended, ?2) WHERE id = ?1";
const SUBJECT: &str = "SELECT id FROM system_subjects WHERE service_name = ?1 AND kind = ?2 AND host = ?3";
const PUT_SUBJECT: &str = "INSERT INTO system_subjects (service_name, kind, host) VALUES (?1, ?2, ?3)";
const SERIES: &str = "SELECT id FROM system_series WHERE subject = ?1 AND metric = ?2";
const PUT_SERIES: &str = "INSERT INTO system_series (subject, metric) VALUES (?1, ?2)";
const PUT_NUMBERS: &str = "INSERT INTO system_numbers (resolution, series, at, count, sum, minimum, maximum)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (resolution, series, at) DO UPDATE SET
     count = min(count, 9223372036854775807 - excluded.count) + excluded.count, sum = sum + excluded.sum,
     minimum = min(minimum, excluded.minimum), maximum = max(maximum, excluded.maximum)";
const AMEND: &str = "UPDATE system_status_history
     SET message = ?6, reasons = ?7, evidence = ?8, is_flapping = ?9, is_healed_by_supervisor = ?10
     WHERE id = (SELECT id FROM system_status_history WHERE opens AND service_name = ?1 AND kind = ?2 AND host = ?3
         AND begun_at = ?4 AND transition_id = ?5 ORDER BY id DESC LIMIT 1) RETURNING id";

/// Why a portion is not taken in.
#[derive(Debug)]
pub(super) enum Untaken {
    /// The store is not where it begins.
    Elsewhere,
    /// It ends beyond all that is counted.
    Uncounted,
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Untaken {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// How far what comes from an origin was taken in.
pub(super) fn position(connection: &Connection, origin: &Origin) -> rusqlite::Result<Position> {
    let host = storable::name(&origin.host);
    let of = |part, name: &str| {
        let of_part = params![host, part, storable::name(name)];
        row(connection, POSITION, of_part, |row| Ok((row.get(0)?, row.get(1)?, super::rows::count(row, 2)?)))
    };
    let (transition, gap, _) = of("state", &origin.state)?.unwrap_or_default();
    let (_, _, batch) = of("run", &origin.run)?.unwrap_or_default();
    Ok(Position { transition, gap, batch })
}

/// Writes all of a portion, within a transaction of the caller.
pub(super) fn take_in(connection: &Connection, portion: &Portion, now: Timestamp) -> Result<(), Untaken> {
    if position(connection, &portion.origin)? != portion.before {
        return Err(Untaken::Elsewhere);
    }
    let mut writer = Writer {
        connection,
        host: storable::name(&portion.origin.host),
        now: Stamp::of(now),
        standings: BTreeMap::new(),
        series: BTreeMap::new(),
    };
    portion.entries.iter().try_for_each(|entry| writer.put(entry, portion))?;
    writer.finish()?;
    put_position(&writer, portion)
}

fn put_position(writer: &Writer<'_>, portion: &Portion) -> Result<(), Untaken> {
    let (after, origin) = (portion.after, &portion.origin);
    let batch = i64::try_from(after.batch).map_err(|_| Untaken::Uncounted)?;
    let mut statement = writer.connection.prepare_cached(PUT_POSITION)?;
    let mut put = |part, name: &str, [transition, gap, batch]: [i64; 3]| {
        statement.execute(params![
            writer.host,
            part,
            storable::name(name),
            transition,
            gap,
            batch,
            writer.now
        ])
    };
    put("state", &origin.state, [after.transition, after.gap, 0])?;
    put("run", &origin.run, [0, 0, batch])?;
    if portion.before.batch == 0 {
        writer.connection.prepare_cached(FORGET_POSITIONS)?.execute([&writer.host])?;
    }
    Ok(())
}

/// What is known while a portion is written.
struct Writer<'a> {
    connection: &'a Connection,
    host: Cow<'a, str>,
    now: Stamp,
    standings: BTreeMap<Subject, Standing>,
    series: BTreeMap<(Subject, String), i64>,
}

impl Writer<'_> {
    fn put(&mut self, entry: &Entry, portion: &Portion) -> rusqlite::Result<()> {
        match entry {
            Entry::Transition { id, transition } => {
                self.with(&transition.subject, |standing, writer| standing.change(writer, *id, transition))
            }
            Entry::Amended { id, transition } => self.amend(*id, transition),
            Entry::Gap(gap) => self.put_gap(gap),
            Entry::Maintenance { subject, window } => self.put_maintenance(subject, *window),
            Entry::Beats(beats) => {
                self.with(&beats.subject, |standing, writer| standing.confirm(writer, beats, portion.record))
            }
            Entry::Numbers { subject, metric, bin } => self.put_numbers(subject, metric, bin),
            Entry::Forgotten { subject, at } => {
                self.with(subject, |standing, writer| standing.forget(writer, *at))
            }
            Entry::Machine(machine) => self.put_machine(machine),
            Entry::Seen(at) => {
                let seen = params![self.host, Stamp::of(*at)];
                self.connection.prepare_cached(PUT_SEEN)?.execute(seen).map(drop)
            }
        }
    }

    /// Works on what is known of a subject, which is read where it was not yet.
    fn with(
        &mut self,
        subject: &Subject,
        work: impl FnOnce(&mut Standing, &Self) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let subject = storable::subject(subject);
        let taken = self.standings.remove(&subject);
        let mut standing = match taken {
            Some(standing) => standing,
            None => Standing::load(self, &subject)?,
        };
        let worked = work(&mut standing, self);
        self.standings.insert(subject, standing);
        worked
    }

    fn finish(&mut self) -> rusqlite::Result<()> {
        self.standings.values().try_for_each(|standing| standing.write(self))
    }

    fn amend(&mut self, id: i64, transition: &Transition) -> rusqlite::Result<()> {
        self.with(&transition.subject, |standing, writer| {
            let message = storable::text(&transition.message);
            let mut statement = writer.connection.prepare_cached(AMEND)?;
            let amended = params![
                storable::name(&transition.subject.name),
                transition.subject.kind.as_str(),
                writer.host,
                Stamp::of(transition.at),
                id,
                message,
                json(&transition.reasons)?,
                json(&transition.evidence)?,
                transition.is_flapping,
                transition.is_healed_by_supervisor,
            ];
            if let Some(run) = statement.query_row(amended, |row| row.get(0)).optional()? {
                standing.amend(run, &message);
            }
            Ok(())
        })
    }

    fn put_machine(&self, machine: &MachineState) -> rusqlite::Result<()> {
        let MachineState { name, hostname, description, status, last_seen } = machine;
        let (name, hostname) = (storable::name(name), storable::text(hostname));
        let (description, last_seen) = (storable::text(description), Stamp::of(*last_seen));
        let machine = params![name, hostname, description, status.as_str(), last_seen];
        self.connection.prepare_cached(PUT_MACHINE)?.execute(machine).map(drop)
    }

    fn put_gap(&self, gap: &Gap) -> rusqlite::Result<()> {
        let (from, to) = (Stamp::of(gap.from), Stamp::of(gap.to));
        let gap = params![self.host, from, to, gap.reason.as_str()];
        self.connection.prepare_cached(PUT_GAP)?.execute(gap).map(drop)
    }

    fn put_maintenance(&self, subject: &Subject, window: Window) -> rusqlite::Result<()> {
        if window.from >= window.to {
            return Ok(());
        }
        let (name, kind) = (storable::name(&subject.name), subject.kind.as_str());
        let (from, to) = (Stamp::of(window.from), Stamp::of(window.to));
        let last = row(self.connection, LAST_MAINTENANCE, params![name, kind, self.host], |row| {
            let is_before = row.get_ref(1)?.as_bytes()? <= from.bytes();
            let goes_on = is_before && from.bytes() <= row.get_ref(2)?.as_bytes()?;
            Ok(goes_on.then_some(row.get::<_, i64>(0)?))
        })?;
        match last.flatten() {
            Some(id) => self.connection.prepare_cached(PROLONG)?.execute(params![id, to]).map(drop),
            None => {
                let window = params![name, kind, self.host, from, to];
                self.connection.prepare_cached(PUT_MAINTENANCE)?.execute(window).map(drop)
            }
        }
    }

    fn put_numbers(&mut self, subject: &Subject, metric: &str, bin: &Bin) -> rusqlite::Result<()> {
        if !storable::is_number(bin) {
            return Ok(());
        }
        let series = self.series_of(subject, metric)?;
        let mut statement = self.connection.prepare_cached(PUT_NUMBERS)?;
        for resolution in Resolution::ALL {
            let at = resolution.begin_of(bin.at).as_second().max(0);
            let numbers = (storable::count(bin.count), bin.sum, bin.minimum, bin.maximum);
            let (count, sum, minimum, maximum) = numbers;
            statement.execute(params![resolution.seconds(), series, at, count, sum, minimum, maximum])?;
        }
        Ok(())
    }

    fn series_of(&mut self, subject: &Subject, metric: &str) -> rusqlite::Result<i64> {
        let key = (subject.clone(), storable::name(metric).into_owned());
        if let Some(id) = self.series.get(&key) {
            return Ok(*id);
        }
        let of = self.subject_id(subject)?;
        let of_metric = params![of, key.1];
        let found =
            self.connection.prepare_cached(SERIES)?.query_row(of_metric, |row| row.get(0)).optional()?;
        let id = match found {
            Some(id) => id,
            None => self.connection.prepare_cached(PUT_SERIES)?.insert(of_metric)?,
        };
        self.series.insert(key, id);
        Ok(id)
    }

    /// The row of a subject, made where there is none.
    fn subject_id(&self, subject: &Subject) -> rusqlite::Result<i64> {
        let key = params![storable::name(&subject.name), subject.kind.as_str(), self.host];
        let found = self.connection.prepare_cached(SUBJECT)?.query_row(key, |row| row.get(0)).optional()?;
        match found {
            Some(id) => Ok(id),
            None => self.connection.prepare_cached(PUT_SUBJECT)?.insert(key),
        }
    }
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
