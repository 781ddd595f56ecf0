//! A database that cannot be used any more is moved aside, with everything that belongs to it.

use super::file::{COMPANIONS, companion_of, printable};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

const MARK: &str = ".corrupt-";

/// Moves a database aside, and says so, or why it cannot. So many are kept for whoever wants to know; the oldest are
/// removed.
pub(crate) fn move_aside(database: &Path, damage: &str, kept: usize) -> Result<String, String> {
    let moved = numbers(database).and_then(|numbers| {
        let number = numbers.last().map_or(1, |last| last + 1);
        move_all(database, number)?;
        let excess = (numbers.len() + 1).saturating_sub(kept);
        numbers.iter().take(excess).for_each(|old| remove(&aside(database, *old)));
        Ok(number)
    });
    let path = printable(database);
    match moved {
        Ok(number) => Ok(format!(
            "{path} was damaged ({damage}): moved aside as {}{MARK}{number}, and another one begun",
            name(database)
        )),
        Err(error) => {
            Err(format!("{path} is damaged ({damage}) and cannot be moved aside: {error}: remove it"))
        }
    }
}

fn name(database: &Path) -> String {
    database.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where the one of a number is.
fn aside(database: &Path, number: u64) -> PathBuf {
    companion_of(database, &format!("{MARK}{number}"))
}

/// The numbers of those that are there, in order.
fn numbers(database: &Path) -> io::Result<Vec<u64>> {
    let dir = database.parent().unwrap_or(Path::new("/"));
    let names = fs::read_dir(dir)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let of = |file: String| file.strip_prefix(&name(database))?.strip_prefix(MARK)?.parse().ok();
    let mut numbers: Vec<u64> = names.filter_map(of).filter(|number| *number < u64::MAX).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The database last: the log of an old one beside a new one would be played into it.
fn move_all(database: &Path, number: u64) -> io::Result<()> {
    let to = aside(database, number);
    for companion in COMPANIONS {
        rename_if_there(&companion_of(database, companion), &companion_of(&to, companion))?;
    }
    rename_if_there(database, &to)
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// One that stays takes room, and does no other harm.
fn remove(path: &Path) {
    for ending in COMPANIONS.into_iter().chain([""]) {
        let _ = fs::remove_file(companion_of(path, ending));
    }
}
