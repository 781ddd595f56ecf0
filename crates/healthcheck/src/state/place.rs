//! The state directory: taken by one process, and believed only where no stranger can have put anything into it.

use crate::sqlite::{self, Unusable, printable, unwritable};
use jiff::Timestamp;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOCK: &str = "monitor.lock";
pub(super) const DATABASE: &str = "state.db";
const OURS_ALONE: u32 = 0o700;
const LOCK_MODE: u32 = 0o644;
const MAX_HOLDER_BYTES: u64 = 256;
const LOCK_ATTEMPTS: u32 = 20;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// The state directory, as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    owner_uid: u32,
    // It ends with its holder, however that ends.
    lock: OwnedFd,
}

/// Why a directory is not ours.
#[derive(Debug)]
pub(super) enum Untaken {
    Not(OpenError),
    /// It may pass.
    NotNow(String),
}

impl fmt::Display for Untaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Not(error) => error.fmt(f),
            Self::NotNow(reason) => f.write_str(reason),
        }
    }
}

impl From<OpenError> for Untaken {
    fn from(error: OpenError) -> Self {
        Self::Not(error)
    }
}

impl From<Unusable> for Untaken {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Refused { path, problem } => OpenError::refused(&path, problem, "remove it").into(),
            Unusable::NotNow(reason) => Self::NotNow(reason),
        }
    }
}

impl Place {
    /// Makes the directory if it is not there, looks whether it can be believed, and locks it.
    pub(super) fn take(given: &Path) -> Result<Self, Untaken> {
        let not_now = |error: io::Error| Untaken::NotNow(unwritable(given, &error));
        DirBuilder::new().recursive(true).mode(OURS_ALONE).create(given).map_err(not_now)?;
        let dir = fs::canonicalize(given).map_err(not_now)?;
        let metadata = fs::metadata(&dir).map_err(not_now)?;
        if let Some((problem, cure)) = sqlite::directory_problem(&metadata) {
            return Err(OpenError::refused(&dir, problem, cure).into());
        }
        let owner_uid = metadata.uid();
        let lock = lock(given, &dir, owner_uid)?;
        Ok(Self { dir, owner_uid, lock })
    }

    /// Whether the lock is still where another monitor looks for it.
    pub(super) fn is_held(&self) -> bool {
        let (Ok(ours), Ok(there)) = (rustix::fs::fstat(&self.lock), self.dir.join(LOCK).metadata()) else {
            return false;
        };
        (ours.st_dev, ours.st_ino) == (there.dev(), there.ino())
    }

    pub(super) fn database(&self) -> PathBuf {
        database_in(&self.dir)
    }

    /// Makes the file of the database if it is not there, and looks whether it and its companions can be believed.
    pub(super) fn prepare_database(&self) -> Result<(), Untaken> {
        Ok(sqlite::prepare(&self.database(), self.owner_uid)?)
    }
}

pub(super) fn database_in(dir: &Path) -> PathBuf {
    dir.join(DATABASE)
}

/// Who has the directory, as it is written into the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) since: Timestamp,
}

fn lock(given: &Path, dir: &Path, owner_uid: u32) -> Result<OwnedFd, Untaken> {
    let path = dir.join(LOCK);
    let mut file = File::from(open_lock(&path)?);
    let not_now = |error: io::Error| Untaken::NotNow(unwritable(&path, &error));
    if let Some(problem) = sqlite::owner_problem(&file.metadata().map_err(not_now)?, owner_uid) {
        return Err(OpenError::refused(&path, problem, "remove it").into());
    }
    match try_lock(&file) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            return Err(OpenError::Held { dir: given.to_owned(), holder: holder(&file) }.into());
        }
        Err(errno) => return Err(not_now(errno.into())),
    }
    // What counts is the lock; on a full disk it does not say whose it is.
    let _ = sign(&mut file);
    Ok(file.into())
}

/// A child that the former holder was starting when it ended has the lock until it executes its own program.
fn try_lock(file: &File) -> rustix::io::Result<()> {
    let mut attempts = 1..LOCK_ATTEMPTS;
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if attempts.next().is_some() => std::thread::sleep(BETWEEN_ATTEMPTS),
            other => return other,
        }
    }
}

fn open_lock(path: &Path) -> Result<OwnedFd, Untaken> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::from_raw_mode(LOCK_MODE));
    opened.map_err(|errno| match errno {
        Errno::LOOP => OpenError::refused(path, "is a symbolic link".to_owned(), "remove it").into(),
        other => Untaken::NotNow(unwritable(path, &other.into())),
    })
}

fn holder(file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.take(MAX_HOLDER_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn sign(file: &mut File) -> io::Result<()> {
    let holder = Holder { pid: std::process::id(), since: Timestamp::now() };
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", serde_json::to_string(&holder)?)
}

/// Why the state directory cannot be taken, and will not be unless somebody does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// Another monitor has it.
    Held { dir: PathBuf, holder: Option<Holder> },
    /// A stranger could have put something into it.
    Refused { path: PathBuf, problem: String, cure: &'static str },
}

impl OpenError {
    fn refused(path: &Path, problem: String, cure: &'static str) -> Self {
        Self::Refused { path: path.to_owned(), problem, cure }
    }
}

impl std::error::Error for OpenError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { dir, holder: Some(Holder { pid, since }) } => {
                let dir = printable(dir);
                write!(
                    f,
                    "another monitor, pid {pid} since {since:.0}, holds {dir}: stop it, or set STATE_DIRECTORY"
                )
            }
            Self::Held { dir, holder: None } => {
                write!(f, "another monitor holds {}: stop it, or set STATE_DIRECTORY", printable(dir))
            }
            Self::Refused { path, problem, cure } => {
                write!(f, "{}: not used: {problem}: {cure}", printable(path))
            }
        }
    }
}
