//! What the run of a process is made of, taken while it lives, and what of that is not the same when it has ended.

mod argv;
mod identity;
mod taking;

use super::kernel::OomCounter;
use super::machine::{self, MayHang};
use super::paths::leads_below;
use healthcheck_core::{Change, Part};
use identity::Identity;
use jiff::Timestamp;
use rustix::param::clock_ticks_per_second;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;
use taking::Taking;

/// What was replaced this long before a run began may well be why it ended.
const BEFORE_THE_START: Duration = Duration::from_secs(600);
/// Of a unit, its file and what changes it.
const MAX_UNIT_FILES: usize = 32;
/// Of a path, in what is told.
const MAX_PATH_BYTES: usize = 256;
/// What systemd writes anew at each of its reloads, whether or not anything is new in it.
const GENERATED: [&str; 2] = ["/systemd/transient/", "/systemd/generator"];

/// What the run of a process is made of: at most 1 KiB.
#[derive(Debug)]
pub(crate) struct Footprint {
    started_boottime: Duration,
    pieces: Box<[Piece]>,
    ooms: Option<(OomCounter, u64)>,
}

/// A file, as it was while the process lived.
#[derive(Debug)]
struct Piece {
    part: Part,
    path: Box<Path>,
    taken: Identity,
}

impl Footprint {
    /// Whatever may not be read, or lies on a file system that may hang, is left out.
    pub(crate) fn of_process(proc_root: &Path, pid: u32, start_ticks: u64) -> Self {
        Self::with_mounts(proc_root, pid, start_ticks, &machine::may_hang())
    }

    fn with_mounts(proc_root: &Path, pid: u32, start_ticks: u64, mounts: &MayHang) -> Self {
        let process = proc_root.join(pid.to_string());
        let started_boottime = since_boot(start_ticks);
        let counter = OomCounter::of_process(&process, Path::new("/sys/fs/cgroup"));
        let ooms = counter.and_then(|counter| counter.count().map(|count| (counter, count)));
        let pieces = Taking::new(&process, mounts, wall(started_boottime)).pieces();
        Self { started_boottime, pieces, ooms }
    }

    /// When the run began, by the wall clock as it is set now.
    pub(crate) fn started(&self) -> Timestamp {
        wall(self.started_boottime)
    }

    /// What is not the same any more: a file that was changed since ten minutes before the start, that is another
    /// one than while the process lived, or that is gone.
    pub(crate) fn changes(&self, unit_files: &[String]) -> Vec<Change> {
        self.changes_beside(&machine::may_hang(), unit_files)
    }

    fn changes_beside(&self, mounts: &MayHang, unit_files: &[String]) -> Vec<Change> {
        let look = Look::new(mounts, self.started());
        let own = self.pieces.iter().map(|piece| (piece.part, &*piece.path, Some(&piece.taken)));
        let units = unit_files.iter().filter(|path| !is_generated(path)).take(MAX_UNIT_FILES);
        let units = units.map(|path| (Part::Unit, Path::new(path), None));
        own.chain(units).filter_map(|(part, path, taken)| look.change(part, path, taken)).collect()
    }

    /// How many processes of its control group were killed since because memory ran out: it need not have been this
    /// one. Nothing where the group is gone, or where nothing counts that.
    pub(crate) fn oom_kills(&self) -> Option<u64> {
        let (counter, before) = self.ooms.as_ref()?;
        counter.count()?.checked_sub(*before)
    }
}

/// One look at the files of a run.
struct Look<'a> {
    mounts: &'a MayHang,
    since: Timestamp,
    now: Timestamp,
}

impl<'a> Look<'a> {
    fn new(mounts: &'a MayHang, started: Timestamp) -> Self {
        let since = started.checked_sub(BEFORE_THE_START).unwrap_or(Timestamp::MIN);
        Self { mounts, since, now: Timestamp::now() }
    }

    fn change(&self, part: Part, path: &Path, taken: Option<&Identity>) -> Option<Change> {
        let at = if leads_below(path, self.mounts) { None } else { self.changed_at(path, taken) }?;
        let path = health_reporter::bounded(&path.to_string_lossy(), MAX_PATH_BYTES);
        Some(Change { part, path, at: at.time() })
    }

    /// A file that may not be looked at is not gone.
    fn changed_at(&self, path: &Path, taken: Option<&Identity>) -> Option<Changed> {
        let seen = match fs::metadata(path) {
            Ok(metadata) => Identity::of(&metadata),
            Err(error) if is_absent(error.kind()) => return Some(Changed::Gone),
            Err(_) => return None,
        };
        let touched = seen.touched(self.now);
        let is_other = taken.is_some_and(|taken| *taken != seen);
        if touched.is_some_and(|touched| touched >= self.since) {
            return touched.map(Changed::At);
        }
        // An older file, which a link leads to since a while ago.
        is_other.then(|| Changed::At(newest_link(path).max(touched).unwrap_or(self.now)))
    }
}

enum Changed {
    At(Timestamp),
    Gone,
}

impl Changed {
    fn time(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Gone => None,
        }
    }
}

fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn is_generated(path: &str) -> bool {
    GENERATED.iter().any(|folder| path.contains(folder))
}

/// When the newest link on the way was made.
fn newest_link(path: &Path) -> Option<Timestamp> {
    let metadata = path.ancestors().filter_map(|part| fs::symlink_metadata(part).ok());
    let links = metadata.filter(|metadata| metadata.file_type().is_symlink());
    links.map(|metadata| Identity::of(&metadata).changed).max()
}

fn since_boot(ticks: u64) -> Duration {
    let (seconds, rest) = (ticks / clock_ticks_per_second(), ticks % clock_ticks_per_second());
    Duration::from_secs(seconds)
        + Duration::from_secs(rest) / u32::try_from(clock_ticks_per_second()).unwrap_or(100)
}

/// Counted back from now, so that setting the clock moves the start of a run together with everything else.
fn wall(boottime: Duration) -> Timestamp {
    let now = health_reporter::clock::boottime();
    let wall = Timestamp::now();
    let past = wall.checked_sub(now.saturating_sub(boottime));
    past.and_then(|past| past.checked_add(boottime.saturating_sub(now))).unwrap_or(wall)
}

#[cfg(test)]
mod tests;
