//! History in a file of `SQLite`: one process writes it, others read it meanwhile.

mod answers;
mod copy;
mod opening;
mod portion;
mod retention;
mod rows;
mod runs;
#[cfg(test)]
mod tests;
mod time;

use super::{
    HistoryError, HistoryStore, Host, Judged, Origin, Portion, Position, Pruned, RunRow, Selection, Series,
    Slice, StatusRow, Stock,
};
use crate::sqlite::{self, Trouble, printable};
use healthcheck_core::history::{Resolution, Window};
use healthcheck_core::{Gap, Subject};
use jiff::Timestamp;
use opening::{Opened, Unopened};
use portion::Untaken;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use tracing::{error, info};

/// Damaged ones that are kept: each may be as large as a history may be.
const KEPT_ASIDE: usize = 1;

/// A file, opened at the first question, and again after an error.
#[derive(Debug)]
pub(crate) struct Sqlite {
    path: PathBuf,
    access: Access,
    opened: Option<Opened>,
    /// What became of a database that could not be used any more.
    remark: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Write,
    Change,
    Read,
}

impl Sqlite {
    /// For the one who writes: what is not there is made, what is damaged is moved aside and begun anew.
    pub(crate) const fn to_write(path: PathBuf) -> Self {
        Self { path, access: Access::Write, opened: None, remark: None }
    }

    /// For whoever changes a little of what is there, beside the one who writes.
    pub(crate) const fn to_change(path: PathBuf) -> Self {
        Self { path, access: Access::Change, opened: None, remark: None }
    }

    /// For whoever only wants to know.
    pub(crate) const fn to_read(path: PathBuf) -> Self {
        Self { path, access: Access::Read, opened: None, remark: None }
    }

    fn ask<T>(
        &mut self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        let opened = self.ready()?;
        question(&opened.connection).map_err(|error| self.suffer(&error))
    }

    /// Does all of something, or nothing.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Untaken>,
    ) -> Result<T, HistoryError> {
        let path = printable(&self.path);
        let opened = self.ready()?;
        if let Some(newer) = &opened.newer {
            let told = format!(
                "{path} was made by a newer healthcheck ({newer}): nothing is written: update this program"
            );
            return Err(HistoryError::new(told));
        }
        let done = opened
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Untaken::from)
            .and_then(|transaction| {
                let done = work(&transaction)?;
                transaction.commit()?;
                Ok(done)
            });
        done.map_err(|untaken| match untaken {
            Untaken::Elsewhere => HistoryError::elsewhere(),
            Untaken::Uncounted => {
                HistoryError::new(format!("{path}: its numbers are beyond all that is counted"))
            }
            Untaken::Database(error) => self.suffer(&error),
        })
    }

    fn ready(&mut self) -> Result<&mut Opened, HistoryError> {
        if let Some(opened) = self.opened.take_if(|opened| sqlite::is_gone(&opened.connection)) {
            sqlite::abandon(opened.connection);
            if self.access == Access::Write {
                self.say(format!(
                    "{} was removed or replaced while it was in use: it is begun anew",
                    printable(&self.path)
                ));
            }
        }
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => self.open()?,
        };
        Ok(self.opened.insert(opened))
    }

    fn open(&mut self) -> Result<Opened, HistoryError> {
        let unopened = match self.access {
            Access::Read => opening::to_read(&self.path),
            Access::Change => opening::to_change(&self.path),
            Access::Write => match opening::to_write(&self.path) {
                Err(Unopened::Trouble(Trouble::Damage(damage))) => {
                    self.begin_anew(&damage)?;
                    opening::to_write(&self.path)
                }
                other => other,
            },
        };
        unopened.map_err(|unopened| match unopened {
            Unopened::Told(told) => HistoryError::new(told),
            Unopened::Trouble(trouble) => self.error_of(trouble),
        })
    }

    /// What is to be told of an error, after which the next question begins again from the opening on, unless it was
    /// only that something is full or held by somebody.
    fn suffer(&mut self, error: &rusqlite::Error) -> HistoryError {
        let is_passing = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        );
        if !is_passing && let Some(opened) = self.opened.take() {
            sqlite::abandon(opened.connection);
        }
        match Trouble::of(error) {
            Trouble::Damage(damage) if self.access == Access::Write => {
                self.begin_anew(&damage).err().unwrap_or_else(|| {
                    HistoryError::new(format!("{} was damaged, and is begun anew", printable(&self.path)))
                })
            }
            trouble => self.error_of(trouble),
        }
    }

    fn error_of(&self, trouble: Trouble) -> HistoryError {
        let path = printable(&self.path);
        HistoryError::new(match trouble {
            Trouble::Damage(damage) => {
                format!(
                    "{path} is damaged ({damage}): `healthcheck monitor` moves it aside and begins another one"
                )
            }
            hindrance => hindrance.into_reason(&path),
        })
    }

    /// Moves the damaged database aside. Another one is begun at once, so that its position is known to be none.
    fn begin_anew(&mut self, damage: &str) -> Result<(), HistoryError> {
        let path = opening::real(&self.path).unwrap_or_else(|_| self.path.clone());
        let told = sqlite::move_aside(&path, damage, KEPT_ASIDE).map_err(HistoryError::new)?;
        error!("{told}");
        self.say(told);
        Ok(())
    }

    fn say(&mut self, remark: String) {
        self.remark = Some(match self.remark.take() {
            Some(earlier) if earlier != remark => format!("{earlier}; {remark}"),
            _ => remark,
        });
    }
}

impl HistoryStore for Sqlite {
    fn position(&mut self, origin: &Origin) -> Result<Position, HistoryError> {
        self.ask(|connection| portion::position(connection, origin))
    }

    fn write(&mut self, portion: &Portion) -> Result<(), HistoryError> {
        self.change(|transaction| portion::take_in(transaction, portion, Timestamp::now()))
    }

    fn hosts(&mut self) -> Result<Vec<Host>, HistoryError> {
        self.ask(answers::hosts)
    }

    #[cfg(test)]
    fn machines(&mut self) -> Result<Vec<super::MachineRow>, HistoryError> {
        self.ask(answers::machines)
    }

    fn statuses(&mut self, of: &Selection) -> Result<Vec<StatusRow>, HistoryError> {
        self.ask(|connection| answers::statuses(connection, of))
    }

    fn judged(&mut self, of: &Selection, window: Window) -> Result<Vec<Judged>, HistoryError> {
        self.ask(|connection| {
            let reading = connection.unchecked_transaction()?;
            answers::judged(&reading, of, window)
        })
    }

    fn runs(
        &mut self,
        of: &Selection,
        window: Window,
        take: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        self.ask(|connection| {
            let reading = connection.unchecked_transaction()?;
            runs::runs(&reading, of, window, take)
        })
    }

    fn openings(
        &mut self,
        of: &Selection,
        window: Window,
        take: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        self.ask(|connection| {
            let reading = connection.unchecked_transaction()?;
            runs::openings(&reading, of, window, take)
        })
    }

    fn run_at(
        &mut self,
        host: &str,
        subject: &Subject,
        at: Timestamp,
    ) -> Result<Option<RunRow>, HistoryError> {
        self.ask(|connection| {
            let reading = connection.unchecked_transaction()?;
            runs::run_at(&reading, host, subject, at)
        })
    }

    fn gaps(&mut self, host: &str, window: Window) -> Result<Vec<Gap>, HistoryError> {
        self.ask(|connection| answers::gaps(connection, host, window))
    }

    fn series(
        &mut self,
        of: &Selection,
        resolution: Resolution,
        window: Window,
    ) -> Result<Vec<Series>, HistoryError> {
        self.ask(|connection| {
            let reading = connection.unchecked_transaction()?;
            answers::series(&reading, of, resolution, window)
        })
    }

    fn stock(&mut self) -> Result<Stock, HistoryError> {
        self.ask(retention::stock)
    }

    fn prune(&mut self, slice: &Slice, at_most: u32) -> Result<Pruned, HistoryError> {
        let pruned = self.change(|transaction| Ok(retention::prune(transaction, slice, at_most)?))?;
        // What is not given back now is used again, or given back with what is dropped next.
        if let Err(error) = self.ask(|connection| retention::give_back(connection, pruned.rows)) {
            info!("{error}");
        }
        Ok(pruned)
    }

    fn backup(&mut self, to: &Path) -> Result<(), HistoryError> {
        copy::copy(&self.ready()?.connection, to)
    }

    fn remark(&mut self) -> Option<String> {
        self.remark.take()
    }
}
