//! Whether what is in the directory of a spool is ours: the one around it may let everybody make files.

use crate::sqlite::{Unusable, owner_problem, unwritable};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const ENDING: &str = "batches";
const ROOT: u32 = 0;
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// What is in the directory: the number of each file, and what it takes in bytes, the oldest first; none where there is
/// no directory.
pub(super) fn list(dir: &Path) -> Result<Vec<(u64, u64)>, Unusable> {
    if !examine_directory(dir)? {
        return Ok(Vec::new());
    }
    let mut numbers = numbers_in(dir).map_err(|error| Unusable::NotNow(unwritable(dir, &error)))?;
    numbers.sort_unstable();
    let part = |number| {
        let path = path_of(dir, number);
        let metadata =
            path.symlink_metadata().map_err(|error| Unusable::NotNow(unwritable(&path, &error)))?;
        examine_file(&path, &metadata)?;
        Ok((number, metadata.len()))
    };
    numbers.into_iter().map(part).collect()
}

/// Whether there is a directory; one that a stranger made, can change or leads elsewhere is refused.
pub(super) fn examine_directory(dir: &Path) -> Result<bool, Unusable> {
    let metadata = match dir.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Unusable::NotNow(unwritable(dir, &error))),
    };
    let problem = if metadata.is_dir() {
        stranger_problem(&metadata, owner_around(dir))
    } else {
        Some("is not a directory".to_owned())
    };
    problem.map_or(Ok(true), |problem| Err(refused(dir, problem)))
}

/// Refuses a file that a stranger could have put something into.
pub(super) fn examine_file(path: &Path, metadata: &Metadata) -> Result<(), Unusable> {
    let owner = path.parent().map_or(ROOT, owner_around);
    let problem = owner_problem(metadata, owner).or_else(|| stranger_problem(metadata, owner));
    problem.map_or(Ok(()), |problem| Err(refused(path, problem)))
}

fn stranger_problem(metadata: &Metadata, owner_around: u32) -> Option<String> {
    let us = rustix::process::geteuid().as_raw();
    if ![ROOT, us, owner_around].contains(&metadata.uid()) {
        Some(format!("belongs to uid {}", metadata.uid()))
    } else if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        Some(format!("can be written by others (mode {:03o})", metadata.mode() & 0o777))
    } else {
        None
    }
}

fn refused(path: &Path, problem: String) -> Unusable {
    Unusable::Refused { path: path.to_owned(), problem }
}

/// Who owns the state directory: the monitor may run as somebody else later.
fn owner_around(dir: &Path) -> u32 {
    dir.parent().and_then(|around| around.metadata().ok()).map_or(ROOT, |around| around.uid())
}

pub(super) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.{ENDING}"))
}

fn numbers_in(dir: &Path) -> io::Result<Vec<u64>> {
    let number = |name: &str| name.strip_suffix(ENDING)?.strip_suffix('.')?.parse::<u64>().ok();
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        numbers.extend(entry?.file_name().to_str().and_then(number));
    }
    Ok(numbers)
}
