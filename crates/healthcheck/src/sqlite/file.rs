//! The file of a database, believed only where no stranger can have put anything into it.

use rustix::fs::{Mode, OFlags};
use std::fmt;
use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What belongs to a database beside its own file.
pub(super) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
const ROOT: u32 = 0;
const WRITABLE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;
/// The group of the service may ask why.
const MODE: u32 = 0o640;

/// Why a file is not used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// A stranger could have put something into it.
    Refused { path: PathBuf, problem: String },
    /// It may pass.
    NotNow(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { path, problem } => {
                write!(f, "{}: not used: {problem}: remove it", printable(path))
            }
            Self::NotNow(reason) => f.write_str(reason),
        }
    }
}

/// Makes the file of a database if it is not there, and looks whether it and its companions can be believed.
pub(crate) fn prepare(path: &Path, owner_of_directory: u32) -> Result<(), Unusable> {
    for companion in COMPANIONS {
        examine(&companion_of(path, companion), owner_of_directory)?;
    }
    let not_now = |error: io::Error| Unusable::NotNow(unwritable(path, &error));
    let Some(metadata) = examine(path, owner_of_directory)? else {
        return make(path).map_err(not_now);
    };
    if metadata.mode() & 0o007 != 0 {
        // By its path: closing a descriptor of ours would take SQLite's locks away.
        fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(not_now)?;
    }
    Ok(())
}

/// Whether there is a database, which can be believed with its companions; nothing of it is changed.
pub(crate) fn is_there(path: &Path, owner_of_directory: u32) -> Result<bool, Unusable> {
    for companion in COMPANIONS {
        examine(&companion_of(path, companion), owner_of_directory)?;
    }
    Ok(examine(path, owner_of_directory)?.is_some())
}

/// What is at a path, if anything is, and nobody else can have put it there.
fn examine(path: &Path, owner_of_directory: u32) -> Result<Option<Metadata>, Unusable> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Unusable::NotNow(unwritable(path, &error))),
    };
    match owner_problem(&metadata, owner_of_directory) {
        None => Ok(Some(metadata)),
        Some(problem) => Err(Unusable::Refused { path: path.to_owned(), problem }),
    }
}

/// Why a directory is not used, and what helps.
pub(crate) fn directory_problem(metadata: &Metadata) -> Option<(String, &'static str)> {
    let us = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        return Some(("is not a directory".to_owned(), "remove it, or set STATE_DIRECTORY"));
    }
    if us != ROOT && ![ROOT, us].contains(&metadata.uid()) {
        let problem = format!("belongs to uid {}", metadata.uid());
        return Some((problem, "chown it to the user of the monitor, or set STATE_DIRECTORY"));
    }
    if metadata.mode() & WRITABLE_BY_ALL != 0 && metadata.mode() & STICKY == 0 {
        let problem = format!("can be written by everybody (mode {:03o})", metadata.mode() & 0o777);
        return Some((problem, "chmod o-w it, or set STATE_DIRECTORY"));
    }
    None
}

/// A link, or a second name for a file, may lead to somebody else's file.
pub(crate) fn owner_problem(metadata: &Metadata, owner_of_directory: u32) -> Option<String> {
    let us = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        Some("is not a regular file".to_owned())
    } else if metadata.nlink() > 1 {
        Some("has a second name".to_owned())
    } else if ![ROOT, us, owner_of_directory].contains(&metadata.uid()) {
        Some(format!("belongs to uid {}", metadata.uid()))
    } else {
        None
    }
}

/// Makes an empty file where there is none.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(MODE);
    let file = rustix::fs::open(path, flags, mode)?;
    // The umask took from the mode what it liked.
    Ok(rustix::fs::fchmod(&file, mode)?)
}

pub(crate) fn companion_of(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Why nothing can be written at a path, and what helps.
pub(crate) fn unwritable(path: &Path, error: &io::Error) -> String {
    let cure = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its file system",
        ErrorKind::ReadOnlyFilesystem => "make its file system writable, or set STATE_DIRECTORY",
        _ => "make it a directory that this user can write to, or set STATE_DIRECTORY",
    };
    format!("{}: {error}: {cure}", printable(path))
}

/// A path on one line: plain where it can be.
pub(crate) fn printable(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(char::is_control) { format!("{text:?}") } else { text.into_owned() }
}
