//! A copy of everything, made while others write.

use crate::history::HistoryError;
use crate::sqlite::{self, printable};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// What is copied before others get at the disk, in pages.
const PAGES: i32 = 1_024;
const BETWEEN_STEPS: Duration = Duration::from_millis(2);
/// Whoever locks our own copy for longer than so many steps is not waited for.
const MAX_WAITS: u32 = 1_000;

pub(super) fn copy(connection: &Connection, to: &Path) -> Result<(), HistoryError> {
    let failed = |problem: &dyn std::fmt::Display| {
        HistoryError::new(format!("{}: not written: {problem}", printable(to)))
    };
    let path = std::path::absolute(to).map_err(|error| failed(&error))?;
    sqlite::make(&path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => failed(&"it is there already: name another file"),
        _ => failed(&error),
    })?;
    let copied = fill(connection, &path);
    if copied.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    copied.map_err(|error| failed(&error))
}

/// What is copied is what was there at the beginning: a transaction that reads holds it.
fn fill(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    let dir = path.parent().and_then(|dir| dir.canonicalize().ok());
    let real = dir.zip(path.file_name()).map_or_else(|| path.to_owned(), |(dir, name)| dir.join(name));
    let mut copy = sqlite::connect(&real, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let reading = connection.unchecked_transaction()?;
    reading.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
    let backup = Backup::new(connection, &mut copy)?;
    let mut waits = 0;
    loop {
        match backup.step(PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked if waits > MAX_WAITS => {
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                    None,
                ));
            }
            StepResult::Busy | StepResult::Locked => waits += 1,
            _ => {}
        }
        std::thread::sleep(BETWEEN_STEPS);
    }
}
