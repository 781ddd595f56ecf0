//! What the monitor knows, kept in `state.db`: a kill at any instant loses nothing of it and invents nothing.

mod acts;
mod alerts;
mod database;
mod members;
mod place;
mod reader;
mod retention;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use place::OpenError;
pub(crate) use reader::{ReadError, Reader};

use crate::sqlite::{self, Trouble};
use database::Durability;
use healthcheck_core::alerts::{Alerts, Changes, Incident, Outgoing};
use healthcheck_core::{Gap, Head, Record, State, Subject, Transition};
use place::{DATABASE, Place, Untaken};
use rusqlite::Connection;
use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};
use tracing::{error, info, warn};

/// So many commits may wait in the log before [`Store::tidy`] moves them into the database.
const COMMITS_IN_LOG: u32 = 128;
/// Damaged databases that are kept.
const KEPT_ASIDE: usize = 3;

/// What follows from one step of the judge, kept together or not at all.
#[derive(Debug)]
pub(crate) struct Effects<'a> {
    pub(crate) head: &'a Head,
    /// What is known of each subject that changed; nothing of one that is forgotten.
    pub(crate) records: Vec<(&'a Subject, Option<&'a Record>)>,
    pub(crate) transitions: &'a [Transition],
    pub(crate) gap: Option<&'a Gap>,
    /// Who is to be told of it, and what became of what was told before.
    pub(crate) alerts: &'a Changes<'a>,
}

/// The state directory and what is kept in it; no other process can take it while this lives.
///
/// Where nothing can be kept, the store is one all the same, so that judging goes on: [`Store::problems`] says why.
#[derive(Debug)]
pub(crate) struct Store {
    given: PathBuf,
    place: Option<Place>,
    keeping: Keeping,
    /// What the database calls itself.
    name: Option<String>,
    /// What became of a database that could not be used any more.
    lost: Option<String>,
    /// The database does not know what we know: all of it is to be written first.
    lacks_everything: bool,
    /// A reading found the database damaged.
    is_suspect: Cell<bool>,
    commits_in_log: u32,
}

/// Where the state is kept.
#[derive(Debug)]
enum Keeping {
    InDatabase(Connection),
    /// A newer program keeps it, so it is left as it is.
    Untouched {
        known: Option<Reader>,
        reason: String,
    },
    /// Nowhere, for now.
    Nowhere {
        reason: String,
    },
}

impl Store {
    /// Takes the state directory for this process, makes what is not there, and reads what was kept.
    pub(crate) fn open(dir: &Path) -> Result<(Self, State, Alerts), OpenError> {
        let mut store = Self::nowhere(dir);
        let (state, alerts) = match store.load() {
            Ok(known) => known,
            Err(Untaken::Not(error)) => return Err(error),
            Err(Untaken::NotNow(reason)) => {
                let known = reader::by_any_means(dir);
                store.keeping = Keeping::Nowhere { reason };
                known.unwrap_or_else(|| (State::default(), alerts::new()))
            }
        };
        store.problems().iter().for_each(|problem| warn!("{problem}"));
        Ok((store, state, alerts))
    }

    /// Reads what a monitor keeps, or kept, without being one.
    pub(crate) fn read_only(dir: &Path) -> Result<Reader, ReadError> {
        Reader::open(dir)
    }

    /// Keeps the effects of a step in one transaction. They are on the disk when this returns the ids of the
    /// transitions; after an error nothing of them is kept, and they can be handed again. A store that
    /// [`Store::is_read_only`] takes them without keeping them, and has no ids.
    pub(crate) fn commit(&mut self, effects: &Effects<'_>) -> Result<Vec<i64>, StoreError> {
        self.keep(Durability::PowerFailure, |connection| rows::put(connection, effects))
    }

    /// Keeps effects so that they survive the end of this process, not yet a power failure: a tenth of the cost,
    /// for what no decision was made of.
    pub(crate) fn commit_unsynced(&mut self, effects: &Effects<'_>) -> Result<Vec<i64>, StoreError> {
        self.keep(Durability::Kill, |connection| rows::put(connection, effects))
    }

    /// Writes all that is known anew, as is wanted after [`StoreError::wants_everything`].
    pub(crate) fn rewrite(&mut self, state: &State, alerts: &Alerts) -> Result<(), StoreError> {
        self.lacks_everything = false;
        self.keep(Durability::PowerFailure, |connection| rows::replace(connection, state, alerts))
            .inspect_err(|_| self.lacks_everything = true)
    }

    /// Adds what was found out later to a transition that is kept; whether it still is.
    pub(crate) fn amend(&mut self, id: i64, transition: &Transition) -> Result<bool, StoreError> {
        self.keep(Durability::PowerFailure, |connection| rows::amend(connection, id, transition))
    }

    /// The name of the database that transitions are numbered in, and the last number that was given; nothing where they
    /// are not kept.
    pub(crate) fn numbering(&self) -> Option<(String, i64)> {
        let Keeping::InDatabase(connection) = &self.keeping else { return None };
        Some((self.name.clone()?, rows::last_transition(connection).ok()?))
    }

    /// The name of the database that transitions are numbered in.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| matches!(self.keeping, Keeping::InDatabase(_)))
    }

    /// The last transitions of a subject with their ids, the newest first.
    pub(crate) fn last_transitions(
        &self,
        subject: &Subject,
        limit: usize,
    ) -> Result<Vec<(i64, Transition)>, StoreError> {
        self.read(|connection| rows::last_transitions(connection, subject, limit))
    }

    /// The incidents that are open, then the last that are over, the newest first.
    pub(crate) fn incidents(&self, limit: usize) -> Result<Vec<Incident>, StoreError> {
        self.read(|connection| alerts::incidents(connection, limit))
    }

    /// One incident, open or over.
    pub(crate) fn incident(&self, id: u64) -> Result<Option<Incident>, StoreError> {
        self.read(|connection| alerts::incident_by_id(connection, id))
    }

    /// The last notices that tell of a subject, and what became of them, the newest first.
    pub(crate) fn notices_of(&self, subject: &Subject, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        self.read(|connection| alerts::notices_of(connection, subject, alerts::LOOKED_AT_MEANWHILE, limit))
    }

    #[cfg(test)]
    /// The last gaps, the newest first.
    pub(crate) fn last_gaps(&self, limit: usize) -> Result<Vec<Gap>, StoreError> {
        self.read(|connection| rows::last_gaps(connection, limit))
    }

    /// Does what can wait until nothing else is due: moves what was committed from the log into the database.
    pub(crate) fn tidy(&mut self) {
        if let Keeping::InDatabase(connection) = &self.keeping
            && self.commits_in_log >= COMMITS_IN_LOG
        {
            self.commits_in_log = 0;
            if let Err(error) = database::checkpoint(connection) {
                info!("state.db: the log is moved later: {error}");
            }
        }
    }

    #[cfg(test)]
    /// Whether a newer program keeps this state, so that nothing of it is changed.
    pub(crate) const fn is_read_only(&self) -> bool {
        matches!(self.keeping, Keeping::Untouched { .. })
    }

    /// What is the matter with the keeping of the state, for people.
    pub(crate) fn problems(&self) -> Vec<String> {
        let reason = match &self.keeping {
            Keeping::InDatabase(_) => None,
            Keeping::Untouched { reason, .. } | Keeping::Nowhere { reason } => Some(reason.clone()),
        };
        self.lost.iter().cloned().chain(reason).collect()
    }

    fn nowhere(dir: &Path) -> Self {
        Self {
            given: dir.to_owned(),
            place: None,
            keeping: Keeping::Nowhere { reason: String::new() },
            name: None,
            lost: None,
            lacks_everything: false,
            is_suspect: Cell::new(false),
            commits_in_log: 0,
        }
    }

    /// Takes the directory if it is not ours yet, and opens the database; one that is damaged is moved aside.
    fn load(&mut self) -> Result<(State, Alerts), Untaken> {
        let place = match self.place.take().filter(Place::is_held) {
            Some(place) => place,
            None => Place::take(&self.given)?,
        };
        let place = self.place.insert(place);
        place.prepare_database()?;
        let opened = match database::open(&place.database()) {
            Err(Trouble::Damage(damage)) => {
                self.lost = Some(
                    sqlite::move_aside(&place.database(), &damage, KEPT_ASIDE).map_err(Untaken::NotNow)?,
                );
                place.prepare_database()?;
                database::open(&place.database())
            }
            other => other,
        };
        let opened = opened.map_err(|trouble| Untaken::NotNow(trouble.into_reason(DATABASE)))?;
        self.lost = opened.lost.or_else(|| self.lost.take());
        self.keeping = opened.keeping;
        self.name = self.read(rows::database).unwrap_or_default();
        Ok((opened.state, opened.alerts))
    }

    fn keep<T: Default>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.be_ready()?;
        let Keeping::InDatabase(connection) = &mut self.keeping else { return Ok(T::default()) };
        self.commits_in_log += 1;
        let done = database::transact(connection, durability, work).map_err(|error| self.suffer(&error));
        if self.name.is_none() {
            self.name = self.read(rows::database).unwrap_or_default();
        }
        done
    }

    /// Ready is also who has nothing to write to for good.
    fn be_ready(&mut self) -> Result<(), StoreError> {
        match &self.keeping {
            Keeping::Untouched { .. } => return Ok(()),
            Keeping::Nowhere { .. } => self.begin_again()?,
            Keeping::InDatabase(_) if self.is_suspect.take() => {
                return Err(self.begin_anew("a reading found it damaged"));
            }
            Keeping::InDatabase(connection) if database::is_gone(connection) => {
                return Err(self.begin_anew("it was removed or replaced while it was in use"));
            }
            Keeping::InDatabase(_) => {}
        }
        if self.lacks_everything { Err(StoreError::everything_is_wanted()) } else { Ok(()) }
    }

    fn suffer(&mut self, error: &rusqlite::Error) -> StoreError {
        match Trouble::of(error) {
            Trouble::Damage(damage) => self.begin_anew(&damage),
            hindrance => StoreError { reason: hindrance.into_reason(DATABASE), wants_everything: false },
        }
    }

    /// Moves the damaged database aside; what is known is still in memory.
    fn begin_anew(&mut self, damage: &str) -> StoreError {
        self.let_go(damage);
        let Some(place) = &self.place else { return StoreError::everything_is_wanted() };
        match sqlite::move_aside(&place.database(), damage, KEPT_ASIDE) {
            Ok(told) => {
                error!("{told}");
                self.lost = Some(told);
                self.begin_again().err().unwrap_or_else(StoreError::everything_is_wanted)
            }
            Err(reason) => StoreError { reason, wants_everything: false },
        }
    }

    fn begin_again(&mut self) -> Result<(), StoreError> {
        self.let_go("state.db cannot be opened");
        self.lacks_everything = true;
        self.load().map(drop).map_err(|untaken| {
            let reason = untaken.to_string();
            self.keeping = Keeping::Nowhere { reason: reason.clone() };
            StoreError { reason, wants_everything: false }
        })
    }

    fn let_go(&mut self, reason: &str) {
        let nowhere = Keeping::Nowhere { reason: reason.to_owned() };
        if let Keeping::InDatabase(connection) = std::mem::replace(&mut self.keeping, nowhere) {
            database::abandon(connection);
        }
        self.commits_in_log = 0;
    }

    fn read<T: Default>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = match &self.keeping {
            Keeping::InDatabase(connection) => connection,
            Keeping::Untouched { known: Some(reader), .. } => reader.connection(),
            Keeping::Untouched { .. } => return Ok(T::default()),
            Keeping::Nowhere { reason } => {
                return Err(StoreError { reason: reason.clone(), wants_everything: false });
            }
        };
        work(connection).map_err(|error| {
            self.is_suspect.set(matches!(Trouble::of(&error), Trouble::Damage(_)));
            StoreError { reason: format!("state.db: {error}"), wants_everything: false }
        })
    }
}

/// Nothing was kept; the same can be handed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreError {
    reason: String,
    wants_everything: bool,
}

impl StoreError {
    /// Whether another database was begun, which knows nothing: [`Store::rewrite`] comes first.
    pub(crate) const fn wants_everything(&self) -> bool {
        self.wants_everything
    }

    fn everything_is_wanted() -> Self {
        Self { reason: "state.db was begun anew and knows nothing yet".to_owned(), wants_everything: true }
    }
}

impl std::error::Error for StoreError {}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not kept: {}", self.reason)
    }
}
