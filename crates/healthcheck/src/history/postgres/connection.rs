//! The one connection: made when it is needed, dropped after an error, and never waited for longer than was said.

use super::Deadlines;
use super::errors::Failure;
use super::months::Month;
use super::schema;
use super::server::{Credentials, Server};
use crate::history::HistoryError;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Reading files and asking for names may hang; so many of them are left behind at most.
const MAX_LEFT_BEHIND: usize = 4;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);
/// The server gives up what nobody waits for any more: our own deadline is the lesser one, wherever both are met. Who
/// waits for a lock waits for another monitor of the same machine, or for what an administrator does.
const SESSION: &str = "SET statement_timeout = '6s'; SET lock_timeout = '3s';
     SET idle_in_transaction_session_timeout = '10s'; SET TimeZone = 'UTC';
     SET default_transaction_isolation = 'read committed'";

pub(super) type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// The way to a server.
pub(super) struct Link {
    server: Server,
    deadlines: Deadlines,
    /// Made when it is first needed, because that can fail.
    runtime: Option<Runtime>,
    connected: Option<Connected>,
}

impl Link {
    pub(super) const fn new(server: Server, deadlines: Deadlines) -> Self {
        Self { server, deadlines, runtime: None, connected: None }
    }

    pub(super) const fn server(&self) -> &Server {
        &self.server
    }

    /// Does the work on a connection, and drops that if it fails.
    pub(super) fn call<T>(
        &mut self,
        deadline: Duration,
        work: impl AsyncFnOnce(&mut Connected) -> Result<T, Failure>,
    ) -> Result<T, HistoryError> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => runtime().map_err(|error| Failure::Own(error.to_string()).told_of(self.server.name()))?,
        };
        let outcome = runtime.block_on(self.attempt(deadline, work));
        self.runtime = Some(runtime);
        outcome.map_err(|failure| failure.told_of(self.server.name()))
    }

    async fn attempt<T>(
        &mut self,
        deadline: Duration,
        work: impl AsyncFnOnce(&mut Connected) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut connected = match self.reusable().await {
            Some(connected) => connected,
            None => self.connect().await?,
        };
        let within = async {
            if connected.version < schema::newest() {
                schema::migrate(&mut connected).await?;
            }
            work(&mut connected).await
        };
        let outcome = timeout(deadline, within).await.unwrap_or(Err(Failure::Late(deadline)));
        match &outcome {
            Ok(_) => self.connected = Some(connected),
            Err(_) => connected.cut().await,
        }
        outcome
    }

    /// The connection that is there, unless the server has ended it meanwhile.
    async fn reusable(&mut self) -> Option<Connected> {
        let connected = self.connected.take()?;
        // Whoever drives the connection reads only now what came in since the last call.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        if connected.client.is_closed() {
            connected.cut().await;
            return None;
        }
        Some(connected)
    }

    async fn connect(&self) -> Result<Connected, Failure> {
        let limit = self.deadlines.connect;
        let connecting = async {
            let read = tokio::task::spawn_blocking(self.server.credentials()).await;
            let credentials = read.map_err(|error| Failure::Own(error.to_string()))?.map_err(Failure::Own)?;
            Connected::to(credentials).await
        };
        timeout(limit, connecting).await.unwrap_or(Err(Failure::LateToConnect(limit)))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if let Some(Connected { client, driver, .. }) = self.connected.take() {
            drop(client);
            let _ = runtime.block_on(async { timeout(GOODBYE, driver).await });
        }
        // What hangs in a file is not waited for.
        runtime.shutdown_background();
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(MAX_LEFT_BEHIND).build()
}

/// A connection.
pub(super) struct Connected {
    pub(super) client: Client,
    driver: JoinHandle<()>,
    statements: HashMap<&'static str, Statement>,
    /// The version of its tables.
    pub(super) version: i32,
    /// The partitions that are known to be there.
    pub(super) months: BTreeSet<Month>,
}

impl Connected {
    async fn to(credentials: Credentials) -> Result<Self, Failure> {
        let Credentials { config, tls } = credentials;
        let (client, connection) = config.connect(MakeRustlsConnect::new((*tls).clone())).await?;
        let driver = tokio::spawn(async move {
            // What is wrong with it is told to whoever asks.
            let _ = connection.await;
        });
        let mut connected =
            Self { client, driver, statements: HashMap::new(), version: 0, months: BTreeSet::new() };
        connected.client.batch_execute(SESSION).await?;
        connected.version = schema::version(&connected.client).await?;
        Ok(connected)
    }

    /// Ends it at once: the server undoes what was not committed when it sees that.
    async fn cut(self) {
        self.driver.abort();
        let _ = self.driver.await;
    }

    /// Newer tables are read, and never written.
    pub(super) fn must_be_writable(&self) -> Result<(), Failure> {
        match self.version {
            version if version > schema::newest() => Err(Failure::Newer(version)),
            _ => Ok(()),
        }
    }

    /// Has the server know the statements, each once a connection.
    pub(super) async fn prepare(&mut self, statements: &[&'static str]) -> Result<(), Failure> {
        for sql in statements {
            if !self.statements.contains_key(sql) {
                self.statements.insert(sql, self.client.prepare(sql).await?);
            }
        }
        Ok(())
    }

    /// One that was prepared: it is on its way at the first poll, after all that were polled before.
    pub(super) async fn execute(&self, sql: &'static str, given: &Parameters<'_>) -> Result<u64, Failure> {
        match self.statements.get(sql) {
            Some(statement) => Ok(self.client.execute(statement, given).await?),
            None => Ok(self.client.execute(sql, given).await?),
        }
    }

    /// The same for one that has an answer.
    pub(super) async fn rows(&self, sql: &'static str, given: &Parameters<'_>) -> Result<Vec<Row>, Failure> {
        match self.statements.get(sql) {
            Some(statement) => Ok(self.client.query(statement, given).await?),
            None => Ok(self.client.query(sql, given).await?),
        }
    }

    /// Prepares it, and asks.
    pub(super) async fn ask(
        &mut self,
        sql: &'static str,
        given: &Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        self.prepare(&[sql]).await?;
        self.rows(sql, given).await
    }

    pub(super) async fn run(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(sql).await?)
    }
}

/// As the server takes a duration.
pub(super) fn milliseconds(limit: Duration) -> String {
    format!("'{}ms'", limit.as_millis().max(1))
}
