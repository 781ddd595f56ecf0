//! The tables, and how those of an earlier version come to have them. Each migration only adds.

use super::connection::Connected;
use super::errors::Failure;
use tokio_postgres::Client;

/// Each makes the version of its number, the first from nothing. None is ever changed once it was released.
pub(super) const MIGRATIONS: [&str; 2] =
    [include_str!("../schema/postgres/1.sql"), include_str!("../schema/postgres/2.sql")];
/// Of the advisory lock that everyone holds who changes tables: `hchk`.
pub(super) const LOCK: i64 = 0x6863_686b;

const IS_THERE: &str = "SELECT to_regclass('system_schema') IS NOT NULL";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM system_schema";
pub(super) const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS system_schema (
    version INTEGER NOT NULL PRIMARY KEY,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)";

/// The newest version that is known.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "nobody writes so many")]
pub(super) const fn newest() -> i32 {
    MIGRATIONS.len() as i32
}

/// The version of the tables: 0 if there are none yet.
pub(super) async fn version(client: &Client) -> Result<i32, Failure> {
    let is_there: bool = client.query_one(IS_THERE, &[]).await?.try_get(0)?;
    if !is_there {
        return Ok(0);
    }
    Ok(client.query_one(VERSION, &[]).await?.try_get(0)?)
}

/// Brings the tables to the newest version, whole or not at all. Many monitors may want it at once: one does it.
pub(super) async fn migrate(on: &mut Connected) -> Result<(), Failure> {
    on.run(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    // What was made meanwhile is surely seen by who wants to make the same.
    on.run(VERSIONS).await?;
    let from: i32 = on.client.query_one(VERSION, &[]).await?.try_get(0)?;
    for (number, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > from) {
        on.run(migration).await?;
        on.run(&format!("INSERT INTO system_schema (version) VALUES ({number})")).await?;
    }
    on.run("COMMIT").await?;
    on.version = from.max(newest());
    Ok(())
}
