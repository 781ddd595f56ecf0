//! How it stands with one subject while a portion is written, and the run that its heartbeats confirm.

use super::super::rows::{Read, row, status, text, time, time_if_any, word};
use super::super::time::Stamp;
use super::{Writer, json};
use crate::history::{Record, storable};
use health_reporter::Status;
use healthcheck_core::history::Beats;
use healthcheck_core::{Cause, Subject, Transition};
use jiff::Timestamp;
use rusqlite::{Row, params};

const STATUS: &str = "SELECT status, cause, message, current_task, last_heartbeat, changed_at, run, opened
     FROM system_status WHERE service_name = ?1 AND kind = ?2 AND host = ?3";
const PUT_STATUS: &str = "INSERT INTO system_status (service_name, kind, host, status, cause, message, current_task,
     last_heartbeat, changed_at, run, opened, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
     ON CONFLICT (service_name, kind, host) DO UPDATE SET status = excluded.status, cause = excluded.cause,
     message = excluded.message, current_task = excluded.current_task, last_heartbeat = excluded.last_heartbeat,
     changed_at = excluded.changed_at, run = excluded.run, opened = excluded.opened, updated_at = excluded.updated_at";
const DROP_STATUS: &str = "DELETE FROM system_status WHERE service_name = ?1 AND kind = ?2 AND host = ?3";
const RUN: &str =
    "SELECT status, cause, current_task, heartbeat_timestamp, heartbeats, transition_id IS NOT NULL
     FROM system_status_history WHERE id = ?1";
const PUT_RUN: &str =
    "INSERT INTO system_status_history (host, kind, service_name, status, cause, current_task,
     begun_at, heartbeat_timestamp, heartbeats, created_at, opens)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const PUT_TRANSITION: &str = "INSERT INTO system_status_history (host, kind, service_name, status, cause, current_task,
     begun_at, heartbeat_timestamp, heartbeats, created_at, opens, transition_id, from_status, message, since, reasons,
     evidence, is_flapping, is_healed_by_supervisor)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0, ?8, 1, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
const CONFIRM: &str =
    "UPDATE system_status_history SET current_task = ?2, heartbeat_timestamp = ?3, heartbeats = ?4
     WHERE id = ?1";

/// A subject, as far as a portion was read.
pub(super) struct Standing {
    subject: Subject,
    now: Option<Now>,
    run: Option<Run>,
    is_changed: bool,
}

/// A row of `system_status`.
struct Now {
    status: Status,
    cause: Cause,
    message: String,
    task: Option<String>,
    last_heartbeat: Option<Timestamp>,
    changed_at: Timestamp,
    run: i64,
    opened: i64,
}

/// The row that heartbeats which say the same confirm.
struct Run {
    id: i64,
    status: Status,
    cause: Cause,
    task: Option<String>,
    last: Timestamp,
    heartbeats: i64,
    is_of_transition: bool,
    is_changed: bool,
}

impl Run {
    fn load(writer: &Writer<'_>, id: i64) -> rusqlite::Result<Option<Self>> {
        row(writer.connection, RUN, [id], |row| {
            Ok(Self {
                id,
                status: status(row, 0)?,
                cause: word(row, 1)?,
                task: row.get(2)?,
                last: time(row, 3)?,
                heartbeats: row.get(4)?,
                is_of_transition: row.get(5)?,
                is_changed: false,
            })
        })
    }

    fn write(&self, writer: &Writer<'_>) -> rusqlite::Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        let mut statement = writer.connection.prepare_cached(CONFIRM)?;
        statement.execute(params![self.id, self.task, Stamp::of(self.last), self.heartbeats]).map(drop)
    }

    const fn waits_for_its_task(&self) -> bool {
        self.is_of_transition && self.heartbeats == 0
    }
}

fn now(row: &Row<'_>) -> Read<Now> {
    Ok(Now {
        status: status(row, 0)?,
        cause: word(row, 1)?,
        message: text(row, 2)?.to_owned(),
        task: row.get(3)?,
        last_heartbeat: time_if_any(row, 4)?,
        changed_at: time(row, 5)?,
        run: row.get(6)?,
        opened: row.get(7)?,
    })
}

impl Standing {
    pub(super) fn load(writer: &Writer<'_>, subject: &Subject) -> rusqlite::Result<Self> {
        let key = params![&*subject.name, subject.kind.as_str(), writer.host];
        let now = row(writer.connection, STATUS, key, now)?;
        let run = match &now {
            Some(now) => Run::load(writer, now.run)?,
            None => None,
        };
        if now.is_none() {
            writer.subject_id(subject)?;
        }
        Ok(Self { subject: subject.clone(), now, run, is_changed: false })
    }

    /// A verdict changed.
    pub(super) fn change(&mut self, writer: &Writer<'_>, id: i64, to: &Transition) -> rusqlite::Result<()> {
        self.close(writer)?;
        let (task, last_heartbeat) =
            self.now.take().map_or((None, None), |now| (now.task, now.last_heartbeat));
        let message = storable::text(&to.message).into_owned();
        let run = writer.connection.prepare_cached(PUT_TRANSITION)?.insert(params![
            writer.host,
            self.subject.kind.as_str(),
            &*self.subject.name,
            to.to.as_str(),
            to.cause.as_str(),
            task,
            Stamp::of(to.at),
            writer.now,
            id,
            to.from.as_str(),
            message,
            Stamp::of(to.since),
            json(&to.reasons)?,
            json(&to.evidence)?,
            to.is_flapping,
            to.is_healed_by_supervisor,
        ])?;
        self.run = Some(Run {
            id: run,
            status: to.to,
            cause: to.cause,
            task: task.clone(),
            last: to.at,
            heartbeats: 0,
            is_of_transition: true,
            is_changed: false,
        });
        let (status, cause, changed_at) = (to.to, to.cause, to.at);
        self.stand(Now { status, cause, message, task, last_heartbeat, changed_at, run, opened: run });
        Ok(())
    }

    /// Heartbeats that say the same as the open run confirm it; others open one.
    pub(super) fn confirm(
        &mut self,
        writer: &Writer<'_>,
        beats: &Beats,
        record: Record,
    ) -> rusqlite::Result<()> {
        let last_known = self.now.as_ref().and_then(|now| now.last_heartbeat);
        let Some(beats) = &beats.unknown(last_known) else { return Ok(()) };
        let task = beats.task.as_deref().map(|task| storable::text(task).into_owned());
        let verdict = (beats.status, beats.cause);
        let run = self.run.as_mut().filter(|run| (run.status, run.cause) == verdict);
        let mut is_confirmed = false;
        if let Some(run) = run {
            if run.waits_for_its_task() && run.task != task {
                (run.task, run.is_changed) = (task.clone(), true);
            }
            if record == Record::Changes && run.task == task {
                run.heartbeats = run.heartbeats.saturating_add(storable::count(beats.count));
                run.last = run.last.max(beats.last);
                (run.is_changed, is_confirmed) = (true, true);
            }
        }
        let opens = self.now.as_ref().is_none_or(|now| (now.status, now.cause) != verdict);
        if !is_confirmed {
            self.begin(writer, beats, task.clone(), opens)?;
        }
        self.hear(beats, task, opens);
        Ok(())
    }

    /// Begins a run that heartbeats tell.
    fn begin(
        &mut self,
        writer: &Writer<'_>,
        beats: &Beats,
        task: Option<String>,
        opens: bool,
    ) -> rusqlite::Result<()> {
        self.close(writer)?;
        let (last, heartbeats) = (beats.last.max(beats.first), storable::count(beats.count));
        let (status, cause) = (beats.status, beats.cause);
        let id = self.put_run(writer, (status, cause), &task, (beats.first, last), heartbeats, opens)?;
        let (is_of_transition, is_changed) = (false, false);
        self.run = Some(Run { id, status, cause, task, last, heartbeats, is_of_transition, is_changed });
        Ok(())
    }

    fn put_run(
        &self,
        writer: &Writer<'_>,
        (status, cause): (Status, Cause),
        task: &Option<String>,
        (first, last): (Timestamp, Timestamp),
        heartbeats: i64,
        opens: bool,
    ) -> rusqlite::Result<i64> {
        writer.connection.prepare_cached(PUT_RUN)?.insert(params![
            writer.host,
            self.subject.kind.as_str(),
            &*self.subject.name,
            status.as_str(),
            cause.as_str(),
            task,
            Stamp::of(first),
            Stamp::of(last),
            heartbeats,
            writer.now,
            opens,
        ])
    }

    /// Where a verdict changed without a transition, nobody said why.
    fn hear(&mut self, beats: &Beats, task: Option<String>, opens: bool) {
        let Some(run) = self.run.as_ref().map(|run| run.id) else { return };
        let last_heartbeat = Some(beats.last);
        match &mut self.now {
            Some(now) if !opens => {
                (now.task, now.last_heartbeat, now.run) = (task, last_heartbeat, run);
                self.is_changed = true;
            }
            _ => self.stand(Now {
                status: beats.status,
                cause: beats.cause,
                message: String::new(),
                task,
                last_heartbeat,
                changed_at: beats.first,
                run,
                opened: run,
            }),
        }
    }

    /// From then on nobody looks at it.
    pub(super) fn forget(&mut self, writer: &Writer<'_>, at: Timestamp) -> rusqlite::Result<()> {
        if self.now.is_none() {
            return Ok(());
        }
        self.close(writer)?;
        self.put_run(writer, (Status::Unknown, Cause::NotObserved), &None, (at, at), 0, true)?;
        (self.now, self.is_changed) = (None, true);
        Ok(())
    }

    /// What is in force is told as it is known now.
    pub(super) fn amend(&mut self, run: i64, message: &str) {
        if let Some(now) = self.now.as_mut().filter(|now| now.opened == run) {
            message.clone_into(&mut now.message);
            self.is_changed = true;
        }
    }

    pub(super) fn write(&self, writer: &Writer<'_>) -> rusqlite::Result<()> {
        if let Some(run) = &self.run {
            run.write(writer)?;
        }
        let kind = self.subject.kind.as_str();
        match &self.now {
            _ if !self.is_changed => Ok(()),
            None => {
                let key = params![&*self.subject.name, kind, writer.host];
                writer.connection.prepare_cached(DROP_STATUS)?.execute(key).map(drop)
            }
            Some(now) => self.put_status(writer, now),
        }
    }

    fn put_status(&self, writer: &Writer<'_>, now: &Now) -> rusqlite::Result<()> {
        let mut statement = writer.connection.prepare_cached(PUT_STATUS)?;
        let row = params![
            &*self.subject.name,
            self.subject.kind.as_str(),
            writer.host,
            now.status.as_str(),
            now.cause.as_str(),
            now.message,
            now.task,
            now.last_heartbeat.map(Stamp::of),
            Stamp::of(now.changed_at),
            now.run,
            now.opened,
            writer.now,
        ];
        statement.execute(row).map(drop)
    }

    fn stand(&mut self, now: Now) {
        (self.now, self.is_changed) = (Some(now), true);
    }

    /// The run is not confirmed any more.
    fn close(&mut self, writer: &Writer<'_>) -> rusqlite::Result<()> {
        self.run.take().map_or(Ok(()), |run| run.write(writer))
    }
}
