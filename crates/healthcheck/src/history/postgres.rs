//! History in `PostgreSQL`, where many machines write to one place.

mod backup;
mod connection;
mod errors;
mod fold;
mod months;
mod read;
mod schema;
mod server;
mod stock;
#[cfg(test)]
mod tests;
mod words;
mod write;

use super::{
    HistoryError, HistoryStore, Host, Judged, Origin, Portion, Position, Pruned, RunRow, Selection, Series,
    Slice, StatusRow, Stock,
};
use connection::Link;
use healthcheck_core::history::{Resolution, Window};
use healthcheck_core::{Gap, Subject};
use jiff::Timestamp;
use server::Server;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a portion adds to the time that it may take, for so many of its entries.
const ENTRIES_A_SECOND: usize = 4_000;

/// Where the server is, and how to become one of its users.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PostgresSettings {
    /// `postgres://…` as libpq reads it; it may have a password in it.
    pub(crate) url: String,
    /// A file with the password, which is read at each connect.
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) deadlines: Deadlines,
}

impl PostgresSettings {
    pub(crate) fn new(url: impl Into<String>, password_file: Option<PathBuf>) -> Self {
        Self { url: url.into(), password_file, deadlines: Deadlines::default() }
    }

    /// As the monitor waits, who has other things to write.
    pub(crate) fn of_the_monitor(self) -> Self {
        Self { deadlines: Deadlines::OF_THE_MONITOR, ..self }
    }
}

/// The URL may have a password in it.
impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings").field("password_file", &self.password_file).finish_non_exhaustive()
    }
}

/// How long a server is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// Until it lets us in.
    pub(crate) connect: Duration,
    /// For one call; a portion of many entries has more.
    pub(crate) call: Duration,
    /// For what goes over all there is: a stock-taking, a copy, what is dropped.
    pub(crate) long: Duration,
}

impl Deadlines {
    /// Nothing that goes over all there is keeps what happens from being written.
    const OF_THE_MONITOR: Self =
        Self { connect: Duration::from_secs(3), call: Duration::from_secs(5), long: Duration::from_secs(10) };
}

/// Of a command, which somebody waits for.
impl Default for Deadlines {
    fn default() -> Self {
        Self { long: Duration::from_secs(30 * 60), ..Self::OF_THE_MONITOR }
    }
}

/// The store; it connects when it is first asked.
pub(crate) struct PostgresStore {
    link: Link,
    deadlines: Deadlines,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("server", &self.link.server().name()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Takes the settings apart; an error says what is wrong with them.
    pub(crate) fn new(settings: &PostgresSettings) -> Result<Self, HistoryError> {
        let server = Server::of(&settings.url, settings.password_file.clone()).map_err(HistoryError::new)?;
        let link = Link::new(server, settings.deadlines);
        Ok(Self { link, deadlines: settings.deadlines })
    }

    fn told(
        &mut self,
        sql: &'static str,
        of: &Selection,
        window: Window,
        take: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        let page = self.deadlines.call;
        self.link.call(self.deadlines.long, async |on| read::runs(on, sql, of, window, page, take).await)
    }

    fn deadline_of(&self, portion: &Portion) -> Duration {
        let seconds = u64::try_from(portion.entries.len() / ENTRIES_A_SECOND).unwrap_or(u64::MAX);
        self.deadlines.call.saturating_add(Duration::from_secs(seconds)).min(self.deadlines.long)
    }
}

impl HistoryStore for PostgresStore {
    fn position(&mut self, origin: &Origin) -> Result<Position, HistoryError> {
        self.link.call(self.deadlines.call, async |on| read::position(on, origin).await)
    }

    fn write(&mut self, portion: &Portion) -> Result<(), HistoryError> {
        let deadline = self.deadline_of(portion);
        self.link.call(deadline, async |on| write::take_in(on, portion, deadline).await)
    }

    fn hosts(&mut self) -> Result<Vec<Host>, HistoryError> {
        self.link.call(self.deadlines.call, async |on| read::hosts(on).await)
    }

    #[cfg(test)]
    fn machines(&mut self) -> Result<Vec<super::MachineRow>, HistoryError> {
        self.link.call(self.deadlines.call, async |on| read::machines(on).await)
    }

    fn statuses(&mut self, of: &Selection) -> Result<Vec<StatusRow>, HistoryError> {
        self.link.call(self.deadlines.call, async |on| read::statuses(on, of).await)
    }

    fn judged(&mut self, of: &Selection, window: Window) -> Result<Vec<Judged>, HistoryError> {
        self.link.call(self.deadlines.call, async |on| read::judged(on, of, window).await)
    }

    fn runs(
        &mut self,
        of: &Selection,
        window: Window,
        take: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        self.told(read::RUNS, of, window, take)
    }

    fn openings(
        &mut self,
        of: &Selection,
        window: Window,
        take: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        self.told(read::OPENINGS, of, window, take)
    }

    fn run_at(
        &mut self,
        host: &str,
        subject: &Subject,
        at: Timestamp,
    ) -> Result<Option<RunRow>, HistoryError> {
        self.link.call(self.deadlines.call, async |on| read::run_at(on, host, subject, at).await)
    }

    fn gaps(&mut self, host: &str, window: Window) -> Result<Vec<Gap>, HistoryError> {
        self.link.call(self.deadlines.call, async |on| read::gaps(on, host, window).await)
    }

    fn series(
        &mut self,
        of: &Selection,
        resolution: Resolution,
        window: Window,
    ) -> Result<Vec<Series>, HistoryError> {
        self.link.call(self.deadlines.call, async |on| read::series(on, of, resolution, window).await)
    }

    fn stock(&mut self) -> Result<Stock, HistoryError> {
        let deadline = self.deadlines.long;
        self.link.call(deadline, async |on| stock::all(on, deadline).await)
    }

    fn prune(&mut self, slice: &Slice, at_most: u32) -> Result<Pruned, HistoryError> {
        let deadline = self.deadlines.long;
        self.link.call(deadline, async |on| stock::prune(on, slice, at_most, deadline).await)
    }

    fn backup(&mut self, to: &Path) -> Result<(), HistoryError> {
        let deadline = self.deadlines.long;
        self.link.call(deadline, async |on| backup::copy(on, to, deadline).await)
    }
}
