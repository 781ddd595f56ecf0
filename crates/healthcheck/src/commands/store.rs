//! Where history is kept, by configuration; who reads it, and what answers where it cannot be read.

use super::kept::Kept;
use super::remembered::Remembered;
use super::running_monitor::RunningMonitor;
use super::telling;
use crate::config::{Config, HistorySettings, Record as Configured, Store as Place};
use crate::history::postgres::{PostgresSettings, PostgresStore};
use crate::history::sqlite::Sqlite;
use crate::history::unusable::Unusable;
use crate::history::{HistoryError, HistoryStore, Record};
use crate::monitor::Keeper;
use crate::monitor::control::{Answer, Question};
use crate::sources::machine;
use crate::state::Store;
use anyhow::bail;
use healthcheck_core::history::retention::Limits;
use jiff::{SignedDuration, Timestamp};
use tracing::{debug, warn};

/// A history that can be asked.
pub(crate) struct Opened {
    pub(crate) store: Box<dyn HistoryStore>,
    /// The machine that is meant.
    pub(crate) host: String,
    /// Why it is not the history that answers, where that is so.
    pub(crate) remark: Option<String>,
    /// How long it is kept.
    retention: SignedDuration,
    /// A monitor runs that writes it: what happened just now may be on its way.
    pub(super) is_written: bool,
}

impl Opened {
    fn say_remark(&self) {
        self.remark.iter().for_each(|remark| warn!("{remark}"));
        if !self.is_written && self.host == machine::host_name() {
            warn!("no monitor runs: this is how it was when the last one did");
        }
    }

    /// What it knows of the machine that is meant.
    pub(super) fn remembered(&mut self, now: Timestamp) -> anyhow::Result<Remembered<'_>> {
        let kept_since = now.checked_sub(self.retention).unwrap_or(Timestamp::MIN);
        Ok(Remembered { kept_since, ..Remembered::of(&mut *self.store, &self.host, now)? })
    }
}

/// How the monitor keeps it.
pub(crate) fn keeper(config: &Config) -> Keeper {
    let settings = &config.history;
    let store: Box<dyn HistoryStore> = match settings.store.file(&config.state_dir) {
        Some(file) => Box::new(Sqlite::to_write(file)),
        None => postgres(settings, PostgresSettings::of_the_monitor),
    };
    Keeper { store, name: settings.store.to_string(), limits: limits(settings) }
}

/// How long and how much of it.
pub(crate) fn limits(settings: &HistorySettings) -> Limits {
    let retention = SignedDuration::try_from(settings.retention).unwrap_or(SignedDuration::MAX);
    Limits::new(retention, settings.max_size.map(|size| size.0))
}

pub(crate) const fn record(settings: &HistorySettings) -> Record {
    match settings.record {
        Configured::Changes => Record::Changes,
        Configured::Heartbeats => Record::Heartbeats,
    }
}

/// The history alone, to be read, or also to be cleaned up.
pub(crate) fn open(config: &Config, writes: bool) -> Box<dyn HistoryStore> {
    match config.history.store.file(&config.state_dir) {
        Some(file) if writes => Box::new(Sqlite::to_change(file)),
        Some(file) => Box::new(Sqlite::to_read(file)),
        None => postgres(&config.history, |settings| settings),
    }
}

fn postgres(
    settings: &HistorySettings,
    patient: fn(PostgresSettings) -> PostgresSettings,
) -> Box<dyn HistoryStore> {
    let Place::Postgres(url) = &settings.store else { return Box::new(Unusable::new("it is no server")) };
    let settings = PostgresSettings::new(url.expose(), settings.password_file.clone());
    PostgresStore::new(&patient(settings)).map_or_else(
        |error| Box::new(Unusable::new(error.to_string())) as Box<dyn HistoryStore>,
        |store| Box::new(store),
    )
}

/// The history as it is by now; where it cannot be read, what `state.db` tells of it.
///
/// # Errors
///
/// Neither can be read.
pub(crate) fn open_to_read(
    config: &Config,
    monitor: Option<&RunningMonitor>,
    host: Option<String>,
) -> anyhow::Result<Opened> {
    let problem = monitor.and_then(unwritten);
    let own = machine::host_name();
    let (mut store, host) = (open(config, false), host.unwrap_or_else(|| own.clone()));
    let retention = SignedDuration::try_from(config.history.retention).unwrap_or(SignedDuration::MAX);
    match store.hosts() {
        Ok(_) if problem.is_some() && host == own => {
            kept(config, HistoryError::new(problem.unwrap_or_default()), true)
        }
        Ok(hosts) if host != own && hosts.iter().all(|known| known.name != host) => {
            let known: Vec<String> = hosts.into_iter().map(|known| known.name).collect();
            bail!("nothing is known of a machine {host:?}; known are {}", known.join(", "))
        }
        Ok(_) => Ok(Opened { store, host, remark: None, retention, is_written: monitor.is_some() }),
        Err(error) if host == own => kept(config, error, monitor.is_some()),
        Err(error) => Err(error.into()),
    }
}

/// Why the monitor has not written what happened until now, where it says so.
fn unwritten(monitor: &RunningMonitor) -> Option<String> {
    match monitor.ask(&Question::Remember) {
        Ok(Answer::Refused { problem }) => Some(problem),
        Ok(_) => None,
        Err(error) => {
            debug!("what happened within the last minute may not be written yet: {error}");
            None
        }
    }
}

/// What `state.db` tells instead.
fn kept(config: &Config, error: HistoryError, is_written: bool) -> anyhow::Result<Opened> {
    let own = machine::host_name();
    let reader = Store::read_only(&config.state_dir).ok();
    let kept = reader.and_then(|reader| Kept::of(&reader, own.clone(), telling::rules(config)).ok());
    let Some(kept) = kept else { return Err(error.into()) };
    let remark = format!("{error}; this is what state.db tells of it, without tasks, heartbeats and numbers");
    let retention = SignedDuration::MAX;
    Ok(Opened { store: Box::new(kept), host: own, remark: Some(remark), retention, is_written })
}

/// Asks; where the history fails in the middle of it, `state.db` is asked instead.
pub(crate) fn ask<T>(
    config: &Config,
    mut opened: Opened,
    question: impl Fn(&mut Opened) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    opened.say_remark();
    match question(&mut opened) {
        Err(error) if opened.remark.is_none() && opened.host == machine::host_name() => {
            let error = error.downcast::<HistoryError>()?;
            let mut instead = kept(config, error, opened.is_written)?;
            instead.say_remark();
            question(&mut instead)
        }
        answer => answer,
    }
}
