//! Everything as a script, which `psql` puts into another database: the tables, and what is in them, at one instant.

use super::connection::{Connected, milliseconds};
use super::errors::Failure;
use super::months;
use super::schema::{MIGRATIONS, VERSIONS, newest};
use crate::system_error::plain;
use futures_util::{StreamExt, pin_mut};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// In which order they are filled is of no matter: no table refers to another.
const TABLES: [&str; 10] = [
    "machines",
    "system_states",
    "system_batches",
    "system_status",
    "system_subjects",
    "system_status_history",
    "system_gaps",
    "system_maintenance",
    "system_series",
    "system_numbers",
];
const COLUMNS: &str = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
     WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped";
const COUNTERS: [(&str, &str, &str); 3] = [
    ("system_status_history_id_seq", "system_status_history", "id"),
    ("system_gaps_id_seq", "system_gaps", "id"),
    ("system_series_id_seq", "system_series", "id"),
];

pub(super) async fn copy(on: &mut Connected, to: &Path, limit: Duration) -> Result<(), Failure> {
    on.must_be_writable()?;
    let file = create(to).map_err(|error| cannot(to, &error))?;
    let outcome = fill(on, to, BufWriter::new(file), limit).await;
    if outcome.is_err() {
        // Half of it is no copy.
        let _ = fs::remove_file(to);
    }
    outcome
}

fn create(to: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)
}

fn cannot(to: &Path, error: &io::Error) -> Failure {
    Failure::Own(format!("cannot write {}: {}", to.display(), plain(error)))
}

async fn fill(
    on: &mut Connected,
    to: &Path,
    mut file: BufWriter<File>,
    limit: Duration,
) -> Result<(), Failure> {
    on.run(&format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}",
        milliseconds(limit)
    ))
    .await?;
    let head = head(on).await?;
    file.write_all(head.as_bytes()).map_err(|error| cannot(to, &error))?;
    for table in TABLES {
        copy_table(on, table, to, &mut file).await?;
    }
    on.run("ROLLBACK").await?;
    let end = file.write_all(foot().as_bytes()).and_then(|()| file.flush());
    end.and_then(|()| file.get_ref().sync_all()).map_err(|error| cannot(to, &error))
}

async fn head(on: &mut Connected) -> Result<String, Failure> {
    let mut head =
        "-- A copy of the history of healthcheck: psql -v ON_ERROR_STOP=1 -1 -f FILE DATABASE\n".to_owned();
    let _ = writeln!(head, "SET client_encoding = 'UTF8';\nSET TimeZone = 'UTC';\n{VERSIONS};");
    for migration in MIGRATIONS {
        head.push_str(migration);
    }
    let _ = writeln!(head, "INSERT INTO system_schema (version) SELECT generate_series(1, {});", newest());
    months::there(on).await?.iter().for_each(|month| head.push_str(&month.making()));
    Ok(head)
}

async fn copy_table(
    on: &Connected,
    table: &str,
    to: &Path,
    file: &mut BufWriter<File>,
) -> Result<(), Failure> {
    let columns: String = on.client.query_one(COLUMNS, &[&table]).await?.try_get(0)?;
    let begin = writeln!(file, "COPY {table} ({columns}) FROM stdin;");
    begin.map_err(|error| cannot(to, &error))?;
    let rows = on.client.copy_out(&format!("COPY (SELECT {columns} FROM {table}) TO STDOUT")).await?;
    pin_mut!(rows);
    while let Some(chunk) = rows.next().await {
        file.write_all(&chunk?).map_err(|error| cannot(to, &error))?;
    }
    file.write_all(b"\\.\n").map_err(|error| cannot(to, &error))
}

/// Numbers are given from where they were.
fn foot() -> String {
    COUNTERS.iter().fold(String::new(), |mut foot, (counter, table, column)| {
        let _ = writeln!(
            foot,
            "SELECT setval('{counter}', (SELECT coalesce(max({column}), 0) + 1 FROM {table}), false);"
        );
        foot
    })
}
