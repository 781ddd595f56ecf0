//! A database that cannot be used any more is moved aside, with everything that belongs to it.

use super::place::{COMPANIONS, companion_of, database_in, printable};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// So many are kept for whoever wants to know; the oldest are removed.
const KEPT: usize = 3;
const MARK: &str = "state.db.corrupt-";

/// Moves the database aside, and says so, or why it cannot.
pub(super) fn put(dir: &Path, damage: &str) -> Result<String, String> {
    let moved = numbers(dir).and_then(|numbers| {
        let number = numbers.last().map_or(1, |last| last + 1);
        move_all(dir, number)?;
        let excess = (numbers.len() + 1).saturating_sub(KEPT);
        numbers.iter().take(excess).for_each(|old| remove(dir, *old));
        Ok(number)
    });
    let dir = printable(dir);
    match moved {
        Ok(number) => Ok(format!(
            "{dir}/state.db was damaged ({damage}): moved aside as {MARK}{number}, and another one begun"
        )),
        Err(error) => {
            Err(format!("{dir}/state.db is damaged ({damage}) and cannot be moved aside: {error}: remove it"))
        }
    }
}

/// The numbers of those that are there, in order.
fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let names = fs::read_dir(dir)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u64> =
        names.filter_map(|name| name.strip_prefix(MARK)?.parse().ok().filter(|n| *n < u64::MAX)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The database last: the log of an old one beside a new one would be played into it.
fn move_all(dir: &Path, number: u64) -> io::Result<()> {
    let (from, to) = (database_in(dir), dir.join(format!("{MARK}{number}")));
    for companion in COMPANIONS {
        rename_if_there(&companion_of(&from, companion), &companion_of(&to, companion))?;
    }
    rename_if_there(&from, &to)
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// One that stays takes room, and does no other harm.
fn remove(dir: &Path, number: u64) {
    let path = dir.join(format!("{MARK}{number}"));
    for ending in COMPANIONS.into_iter().chain([""]) {
        let _ = fs::remove_file(companion_of(&path, ending));
    }
}
