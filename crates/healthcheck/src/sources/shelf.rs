//! One health directory, read again and again: what was last read of each name, so that only what has changed is read.

use super::reports::file_system;
use health_reporter::read::{Directory, Listing, MAX_FILES, ReadError, ReportFile, Stamp, Unusable};
use health_reporter::{MAX_REPORT_BYTES, ServiceName};
use healthcheck_core::FileSystem;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// What is kept of the buffer after a large report.
const KEPT_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Shelf {
    path: PathBuf,
    directory: Option<Directory>,
    /// What was read, or could not be; no stamp where it is to be read again in any case.
    known: BTreeMap<ServiceName, Option<Stamp>>,
    buffer: Vec<u8>,
}

/// What the path of a shelf names by now.
#[derive(Debug)]
pub(crate) enum Attached {
    Same,
    /// Another directory than before: everything in it is to be read.
    Another,
    /// It cannot be opened. What was read before stays known.
    Not(io::Error),
}

/// What another reading of the directory shows.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// Those whose file is another one than was last read, or was never read.
    pub(crate) names: Vec<ServiceName>,
    /// Those that were there, each told once.
    pub(crate) vanished: Vec<ServiceName>,
    pub(crate) rejected: Vec<String>,
    pub(crate) rejected_count: usize,
    pub(crate) left_out: usize,
}

impl Shelf {
    /// Opened as soon as it is needed.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, directory: None, known: BTreeMap::new(), buffer: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory that the path names, if that is another one by now: deleted and made anew, unmounted, or
    /// behind a link that was changed.
    pub(crate) fn reattach(&mut self) -> Attached {
        if self.directory.as_ref().is_some_and(|directory| directory.is_at(&self.path)) {
            return Attached::Same;
        }
        // Closed first, for it may be what keeps a file system from being unmounted.
        self.directory = None;
        match Directory::open(&self.path) {
            Ok(directory) => {
                self.directory = Some(directory);
                self.known.values_mut().for_each(|stamp| *stamp = None);
                Attached::Another
            }
            Err(error) => Attached::Not(error),
        }
    }

    /// The names, `wanted` and known ones first. Of all others no more than there is room for, so that it is bounded
    /// what is kept of a directory.
    pub(crate) fn list(&mut self, wanted: impl Fn(&ServiceName) -> bool) -> io::Result<Listing> {
        self.open()?;
        let Some(directory) = &self.directory else { return Err(io::ErrorKind::NotFound.into()) };
        let mut listing = directory.list(|name| wanted(name) || self.known.contains_key(name))?;
        let all = listing.names.len();
        let (stay, mut others): (Vec<_>, Vec<_>) =
            listing.names.into_iter().partition(|name| wanted(name) || self.known.contains_key(name));
        let unknown = stay.iter().filter(|name| !self.known.contains_key(name)).count();
        others.truncate(MAX_FILES.saturating_sub(self.known.len() + unknown));
        listing.names = stay;
        listing.names.append(&mut others);
        listing.left_out += all - listing.names.len();
        Ok(listing)
    }

    /// Whether a name that is neither wanted nor known may still be read: there are only so many.
    pub(crate) fn has_room_for(&self, name: &ServiceName) -> bool {
        self.known.len() < MAX_FILES || self.known.contains_key(name)
    }

    /// Reads a report of at most `limit` bytes, as it is now.
    pub(crate) fn read(&mut self, name: &ServiceName, limit: usize) -> Result<ReportFile, Unusable> {
        let opened = self.open();
        let Some(directory) = &self.directory else { return Err(self.closed(opened.err())) };
        let (stamp, report) = directory.read_stamped(name, &mut self.buffer, limit.min(MAX_REPORT_BYTES));
        if stamp.is_some() {
            self.known.insert(name.clone(), stamp);
        } else {
            self.known.remove(name);
        }
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BYTES);
        report
    }

    /// The slow rescan: it costs a look at each file, and reads none.
    pub(crate) fn changed(&mut self, wanted: impl Fn(&ServiceName) -> bool) -> io::Result<Changed> {
        let Listing { names, rejected, rejected_count, left_out } = self.list(wanted)?;
        let mut changed = Changed { rejected, rejected_count, left_out, ..Changed::default() };
        let mut there = HashSet::with_capacity(names.len());
        for name in &names {
            match self.sight(name) {
                Sight::Gone => {}
                Sight::Same => drop(there.insert(name)),
                Sight::Another => {
                    there.insert(name);
                    changed.names.push(name.clone());
                }
            }
        }
        changed.vanished.extend(self.known.keys().filter(|name| !there.contains(name)).cloned());
        for name in &changed.vanished {
            self.known.remove(name);
        }
        Ok(changed)
    }

    /// What was read of this name is to be read again.
    pub(crate) fn forget(&mut self, name: &ServiceName) {
        self.known.remove(name);
    }

    pub(crate) fn file_system(&self) -> FileSystem {
        self.directory.as_ref().map_or(FileSystem::Free, file_system)
    }

    fn sight(&self, name: &ServiceName) -> Sight {
        let Some(directory) = &self.directory else { return Sight::Gone };
        match directory.stamp(name) {
            Ok(stamp) if self.known.get(name) == Some(&Some(stamp)) => Sight::Same,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Sight::Gone,
            // Why it cannot be looked at is told when it is read.
            Ok(_) | Err(_) => Sight::Another,
        }
    }

    fn open(&mut self) -> io::Result<()> {
        match if self.directory.is_none() { self.reattach() } else { Attached::Same } {
            Attached::Not(error) => Err(error),
            Attached::Same | Attached::Another => Ok(()),
        }
    }

    /// Why no report can be read here. One that is not there at all has none.
    fn closed(&self, error: Option<io::Error>) -> Unusable {
        let error = error.unwrap_or_else(|| io::ErrorKind::NotFound.into());
        let problem = || format!("{} cannot be read: {error}", self.path.display());
        let error = match error.kind() {
            io::ErrorKind::NotFound => ReadError::Missing,
            io::ErrorKind::PermissionDenied => ReadError::NotPermitted(problem()),
            _ => ReadError::Unreadable(problem()),
        };
        Unusable { error, since: None }
    }
}

enum Sight {
    Gone,
    Same,
    Another,
}

#[cfg(test)]
mod tests;
