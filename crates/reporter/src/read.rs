//! The reader: tolerant of what is absent, bounded in everything, and safe against whatever somebody puts into
//! the directory. One bad file costs its own line, never the run.

mod extract;
mod json;
mod original;

pub use extract::Dialect;

use crate::ServiceName;
use crate::report::{HealthReport, MAX_REPORT_BYTES};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// The most files that are read in one directory, the wanted ones not counted.
pub const MAX_FILES: usize = 20_000;
/// The rejected names that are kept for showing.
pub const MAX_REJECTED_SHOWN: usize = 20;

const ENDING: &str = ".json";
/// What the kernel tells of a directory at one time: some hundred names.
const LISTING_BYTES: usize = 32 * 1024;

/// A report, and what the file system says of its file.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportFile {
    /// What it says.
    pub report: HealthReport,
    /// By whose rules it was read.
    pub dialect: Dialect,
    /// Modification time: may be set by the file's owner.
    pub modified: Timestamp,
    /// Change time: set by the kernel only.
    pub changed: Timestamp,
    /// Who owns the file.
    pub owner_uid: u32,
}

/// A report that cannot be used, and since when the file is as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Unusable {
    /// Why.
    pub error: ReadError,
    /// Since when the file is as it is: the older of its modification and change time, where they can be had.
    pub since: Option<Timestamp>,
}

/// Which file it was, and how: of the same name, another stamp means another file or other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    bytes: i64,
    modified: Timestamp,
    changed: Timestamp,
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        let (modified, changed) = times(stat);
        Self { inode: stat.st_ino, bytes: stat.st_size, modified, changed }
    }
}

/// Why a report cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadError {
    /// There is no such file.
    Missing,
    /// The permissions, or the kernel, do not let us read it.
    NotPermitted(String),
    /// It is no regular file, too large, torn, or no report.
    Unreadable(String),
    /// A newer program wrote it; the version that it names.
    NewerVersion(f64),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file"),
            Self::NotPermitted(problem) | Self::Unreadable(problem) => f.write_str(problem),
            Self::NewerVersion(version) => {
                write!(f, "written in version {version}, this program knows version 1: update it")
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads the text of a report.
///
/// # Errors
///
/// [`ReadError::Unreadable`] or [`ReadError::NewerVersion`].
///
/// ```
/// use health_reporter::{Status, read};
///
/// let (report, _) = read::parse(br#"{"overall_status": "WARNING", "something_new": [1, 2]}"#).unwrap();
/// assert_eq!(report.overall_status, Status::Warning);
/// assert!(read::parse(b"{\"overall_status\": \"hea").is_err());
/// ```
pub fn parse(text: &[u8]) -> Result<(HealthReport, Dialect), ReadError> {
    parse_meaning(text, Zone::System)
}

/// Like [`parse`], with the zone in which times without one are meant.
///
/// # Errors
///
/// Those of [`parse`].
pub fn parse_in_zone(text: &[u8], zone: &TimeZone) -> Result<(HealthReport, Dialect), ReadError> {
    parse_meaning(text, Zone::Given(zone))
}

/// The zone in which times without one are meant. The system's is looked for only where there is such a time: to
/// find it, all of the machine's time zones are listed.
#[derive(Debug, Clone, Copy)]
enum Zone<'a> {
    System,
    Given(&'a TimeZone),
}

impl Zone<'_> {
    fn get(self) -> TimeZone {
        match self {
            Self::System => TimeZone::system(),
            Self::Given(zone) => zone.clone(),
        }
    }
}

fn parse_meaning(text: &[u8], zone: Zone<'_>) -> Result<(HealthReport, Dialect), ReadError> {
    if text.len() > MAX_REPORT_BYTES {
        return Err(ReadError::Unreadable(format!("larger than {MAX_REPORT_BYTES} bytes")));
    }
    extract::report(json::parse(text).map_err(ReadError::Unreadable)?, zone)
}

/// A directory of reports, held open: what is read through it comes from that directory, whatever its path
/// names by then.
///
/// ```
/// use health_reporter::read::{Directory, ReadError};
///
/// # let dir = tempfile::tempdir().unwrap();
/// std::fs::write(dir.path().join("camera.json"), r#"{"overall_status":"healthy"}"#)?;
/// std::fs::write(dir.path().join("torn.json"), "{")?;
/// std::fs::write(dir.path().join("a b.json"), "{}")?;
/// let directory = Directory::open(dir.path())?;
/// let listing = directory.list(|name| name.as_str() == "torn")?; // wanted, so it comes first
/// let names: Vec<&str> = listing.names.iter().map(|name| name.as_str()).collect();
/// assert_eq!((names, listing.rejected), (vec!["torn", "camera"], vec!["a b.json".to_owned()]));
/// let unusable = directory.read(&listing.names[0], &mut Vec::new()).unwrap_err();
/// assert!(matches!(unusable.error, ReadError::Unreadable(_)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
}

/// The names in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The reports to read, in order: the wanted ones first.
    pub names: Vec<ServiceName>,
    /// Names that are no service's, escaped for showing; at most [`MAX_REJECTED_SHOWN`].
    pub rejected: Vec<String>,
    /// How many names were rejected.
    pub rejected_count: usize,
    /// Reports beyond [`MAX_FILES`] that are not read.
    pub left_out: usize,
}

impl Directory {
    /// Opens the directory at `path`; the path may lead through symlinks.
    ///
    /// # Errors
    ///
    /// The system's, [`std::io::ErrorKind::NotFound`] among them.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { fd })
    }

    /// The handle, for whoever asks the file system about it.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The names of the reports here, `wanted` ones first, then by name up to [`MAX_FILES`]. Names that begin
    /// with a dot are never looked at.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn list(&self, wanted: impl Fn(&ServiceName) -> bool) -> std::io::Result<Listing> {
        let mut listing = Listing::default();
        let mut others = Vec::new();
        // Opened again, so that each listing begins at the beginning.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, c".", flags, Mode::empty())?;
        let mut buffer = Vec::with_capacity(LISTING_BYTES);
        let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            match classify(entry.file_name().to_bytes()) {
                Entry::Report(name) if wanted(&name) => listing.names.push(name),
                Entry::Report(name) => others.push(name),
                Entry::Rejected(name) => listing.reject(&name),
                Entry::Ignored => {}
            }
            // Not only at the end: somebody may have made millions.
            if others.len() == 2 * MAX_FILES {
                listing.leave_out(&mut others);
            }
        }
        listing.leave_out(&mut others);
        listing.names.sort_unstable();
        others.sort_unstable();
        listing.names.append(&mut others);
        Ok(listing)
    }

    /// Which file is at `name` now; no link is followed, and nothing is opened.
    ///
    /// # Errors
    ///
    /// The system's, [`std::io::ErrorKind::NotFound`] among them.
    pub fn stamp(&self, name: &ServiceName) -> std::io::Result<Stamp> {
        let path = [name.as_str(), ENDING].concat();
        Ok(Stamp::of(&rustix::fs::statat(&self.fd, path.as_str(), AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Whether `path` names this directory, links followed.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        same_directory(self.fd.as_fd(), path)
    }

    /// Reads the report of `name`, using `buffer` for the text.
    ///
    /// # Errors
    ///
    /// Why it cannot be used. No content of the file is in it.
    pub fn read(&self, name: &ServiceName, buffer: &mut Vec<u8>) -> Result<ReportFile, Unusable> {
        self.read_within(name, buffer, MAX_REPORT_BYTES)
    }

    /// Like [`read`](Self::read), but refuses a file with more than `limit` bytes.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_within(
        &self,
        name: &ServiceName,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Result<ReportFile, Unusable> {
        self.read_stamped(name, buffer, limit).1
    }

    /// Like [`read_within`](Self::read_within), with the stamp of what was read, or could not be; none where there
    /// is nothing.
    pub fn read_stamped(
        &self,
        name: &ServiceName,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> (Option<Stamp>, Result<ReportFile, Unusable>) {
        buffer.clear();
        match self.open_report(name) {
            Ok((file, stat)) => (Some(Stamp::of(&stat)), read_open(&file, &stat, buffer, limit)),
            Err(error) => {
                let stamp = if error == ReadError::Missing { None } else { self.stamp(name).ok() };
                let since = stamp.map(|stamp| stamp.modified.min(stamp.changed));
                (stamp, Err(Unusable { error, since }))
            }
        }
    }

    fn open_report(&self, name: &ServiceName) -> Result<(OwnedFd, Stat), ReadError> {
        // Not to follow a link, and not to wait for whoever opens the other end of a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let path = [name.as_str(), ENDING].concat();
        let file =
            rustix::fs::openat(&self.fd, path.as_str(), flags, Mode::empty()).map_err(describe_open)?;
        let stat = rustix::fs::fstat(&file).map_err(describe_io)?;
        Ok((file, stat))
    }
}

impl Listing {
    /// All but the first by name.
    fn leave_out(&mut self, names: &mut Vec<ServiceName>) {
        if names.len() > MAX_FILES {
            names.select_nth_unstable(MAX_FILES);
            self.left_out += names.len() - MAX_FILES;
            names.truncate(MAX_FILES);
        }
    }

    fn reject(&mut self, name: &[u8]) {
        self.rejected_count += 1;
        if self.rejected.len() < MAX_REJECTED_SHOWN {
            let shown = &name[..name.len().min(crate::name::MAX_SERVICE_NAME_BYTES)];
            self.rejected.push(shown.escape_ascii().to_string());
        }
    }
}

enum Entry {
    Report(ServiceName),
    Rejected(Vec<u8>),
    Ignored,
}

fn classify(name: &[u8]) -> Entry {
    if name.starts_with(b".") || !name.ends_with(ENDING.as_bytes()) {
        return Entry::Ignored;
    }
    let stem = &name[..name.len() - ENDING.len()];
    match std::str::from_utf8(stem).ok().and_then(|stem| stem.parse().ok()) {
        Some(service) => Entry::Report(service),
        None => Entry::Rejected(name.to_vec()),
    }
}

/// When the file was modified, and when it was changed.
fn times(stat: &Stat) -> (Timestamp, Timestamp) {
    (timestamp(stat.st_mtime, stat.st_mtime_nsec), timestamp(stat.st_ctime, stat.st_ctime_nsec))
}

fn read_open(
    file: &OwnedFd,
    stat: &Stat,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> Result<ReportFile, Unusable> {
    let (modified, changed) = times(stat);
    let unusable = |error| Unusable { error, since: Some(modified.min(changed)) };
    read_bounded(file, stat, buffer, limit.min(MAX_REPORT_BYTES)).map_err(unusable)?;
    let (report, dialect) = parse_meaning(buffer, Zone::System).map_err(unusable)?;
    Ok(ReportFile { report, dialect, modified, changed, owner_uid: stat.st_uid })
}

fn read_bounded(file: &OwnedFd, stat: &Stat, buffer: &mut Vec<u8>, limit: usize) -> Result<(), ReadError> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ReadError::Unreadable("no regular file".to_owned()));
    }
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if size > limit {
        return Err(too_large(limit));
    }
    // One byte more than it had, to see its end in the same read; a file that grows is read up to the limit.
    buffer.resize(size + 1, 0);
    let mut filled = 0;
    loop {
        let read = rustix::io::retry_on_intr(|| rustix::io::read(file, &mut buffer[filled..]));
        filled += read.map_err(describe_io)?;
        if filled < buffer.len() {
            break;
        }
        if filled > limit {
            return Err(too_large(limit));
        }
        buffer.resize((filled * 2).min(limit + 1), 0);
    }
    buffer.truncate(filled);
    Ok(())
}

fn too_large(limit: usize) -> ReadError {
    ReadError::Unreadable(format!("larger than {limit} bytes"))
}

fn describe_open(error: Errno) -> ReadError {
    match error {
        Errno::NOENT => ReadError::Missing,
        Errno::ACCESS | Errno::PERM => {
            ReadError::NotPermitted("may not be read by this user: mode 0644 is what readers need".to_owned())
        }
        Errno::LOOP => ReadError::Unreadable("a symbolic link, which is never followed".to_owned()),
        Errno::NXIO => ReadError::Unreadable("no regular file".to_owned()),
        other => describe_io(other),
    }
}

fn describe_io(error: Errno) -> ReadError {
    ReadError::Unreadable(format!("cannot be read: {}", std::io::Error::from(error)))
}

fn timestamp(seconds: i64, nanos: impl TryInto<i32>) -> Timestamp {
    Timestamp::new(seconds, nanos.try_into().unwrap_or(0)).unwrap_or_default()
}

/// Opens the directory at `path` and reads one report of it.
///
/// # Errors
///
/// Why it cannot be used; a directory that cannot be opened counts as a missing report.
///
/// ```no_run
/// use health_reporter::read;
///
/// let camera = read::one("logs/health".as_ref(), &"camera".parse().unwrap()).unwrap();
/// println!("{}", camera.report.overall_status);
/// ```
pub fn one(path: &Path, name: &ServiceName) -> Result<ReportFile, Unusable> {
    let directory = Directory::open(path).map_err(|_| Unusable { error: ReadError::Missing, since: None })?;
    directory.read(name, &mut Vec::new())
}

/// Whether `path` names the directory that `fd` holds, links followed.
pub(crate) fn same_directory(fd: BorrowedFd<'_>, path: &Path) -> bool {
    let (ours, theirs) = (rustix::fs::fstat(fd), rustix::fs::statat(CWD, path, AtFlags::empty()));
    matches!((ours, theirs), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

#[cfg(test)]
mod tests;
