//! The reports: which of them are to be read, and when. Events are hints, a slow rescan is the truth.

use crate::sources::reports::Remarks;
use crate::sources::shelf::{Changed, Shelf};
use crate::sources::watch::{Hints, Watch};
use health_reporter::read::{ReadError, ReportFile, Unusable};
use health_reporter::{MAX_REPORT_BYTES, ServiceName};
use healthcheck_core::FileSystem;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The least time between two readings of one report: what comes sooner is read once, at its end.
const PAUSE: Duration = Duration::from_millis(200);

/// All health directories, the first of which counts where two have a report of the same name.
pub(super) struct Desk {
    shelves: Vec<Shelf>,
    watch: Watch,
    read_boottime: BTreeMap<ServiceName, Duration>,
    /// Readings that wait for the end of their pause.
    waiting: BTreeSet<(Duration, ServiceName)>,
    /// Reports that are to be read now.
    ready: BTreeSet<ServiceName>,
    remarks: Remarks,
}

impl Desk {
    /// Watches the directories from now on; `bell` is rung when there is something to read.
    pub(super) fn watching(dirs: &[PathBuf], config: &Path, bell: Arc<Notify>) -> Self {
        let watch = Watch::start(dirs, move || bell.notify_one());
        watch.watch_file(config);
        Self {
            shelves: dirs.iter().cloned().map(Shelf::at).collect(),
            watch,
            read_boottime: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ready: BTreeSet::new(),
            remarks: Remarks::default(),
        }
    }

    /// What the watch has to say.
    pub(super) fn hints(&self) -> Hints {
        self.watch.take()
    }

    /// Notes the reports that are to be read because of hints. One that was read just now is read once more later.
    pub(super) fn note(&mut self, hints: Hints, boottime: Duration, wanted: &dyn Fn(&ServiceName) -> bool) {
        let mut names: BTreeSet<ServiceName> = hints.names.into_iter().map(|(_, name)| name).collect();
        let has_room = |name: &ServiceName| self.shelves.iter().any(|shelf| shelf.has_room_for(name));
        names.retain(|name| wanted(name) || has_room(name));
        names.retain(|name| self.is_due(name, boottime));
        for dir in hints.dirs {
            names.extend(self.changed_in(dir, wanted));
        }
        self.ready.extend(names);
    }

    /// The next one that is to be read now.
    pub(super) fn next_ready(&mut self) -> Option<ServiceName> {
        self.ready.pop_first()
    }

    /// Whether more are to be read now.
    pub(super) fn is_behind(&self) -> bool {
        !self.ready.is_empty()
    }

    fn is_due(&mut self, name: &ServiceName, boottime: Duration) -> bool {
        let Some(end) = self.read_boottime.get(name).map(|read| *read + PAUSE).filter(|end| *end > boottime)
        else {
            return true;
        };
        self.waiting.insert((end, name.clone()));
        false
    }

    /// Notes the reports whose pause is over.
    pub(super) fn note_due(&mut self, boottime: Duration) {
        while self.waiting.first().is_some_and(|(at, _)| *at <= boottime) {
            self.ready.extend(self.waiting.pop_first().map(|(_, name)| name));
        }
    }

    /// When the next pause is over.
    pub(super) fn next_boottime(&self) -> Option<Duration> {
        self.waiting.first().map(|(at, _)| *at)
    }

    /// The truth: every report that is another one than was last read, in all directories.
    pub(super) fn rescan(&mut self, wanted: &dyn Fn(&ServiceName) -> bool) -> BTreeSet<ServiceName> {
        self.remarks = Remarks::default();
        (0..self.shelves.len()).flat_map(|dir| self.changed_in(dir, wanted)).collect()
    }

    fn changed_in(&mut self, dir: usize, wanted: &dyn Fn(&ServiceName) -> bool) -> Vec<ServiceName> {
        let Some(shelf) = self.shelves.get_mut(dir) else { return Vec::new() };
        shelf.reattach();
        match shelf.changed(wanted) {
            Ok(Changed { mut names, vanished, rejected, rejected_count, left_out }) => {
                self.remarks.rejected.extend(rejected);
                self.remarks.rejected_count += rejected_count;
                self.remarks.left_out += left_out;
                names.extend(vanished);
                names
            }
            Err(error) => {
                let dir = shelf.path().to_owned();
                // One that is not there is empty: what was read of it has vanished.
                let is_gone = error.kind() == io::ErrorKind::NotFound;
                self.remarks.unopened_dirs.retain(|(known, _)| *known != dir);
                self.remarks.unopened_dirs.push((dir, error));
                if is_gone { self.read_boottime.keys().cloned().collect() } else { Vec::new() }
            }
        }
    }

    /// Reads a report, of the first directory that has it.
    pub(super) fn read(&mut self, name: &ServiceName, boottime: Duration) -> Result<ReportFile, Unusable> {
        self.read_boottime.insert(name.clone(), boottime);
        let missing = || Unusable { error: ReadError::Missing, since: None };
        let mut report = Err(missing());
        for shelf in &mut self.shelves {
            report = shelf.read(name, MAX_REPORT_BYTES);
            if !matches!(&report, Err(unusable) if unusable.error == ReadError::Missing) {
                return report;
            }
        }
        self.read_boottime.remove(name);
        report
    }

    /// A report that is still there is news again.
    pub(super) fn forget(&mut self, name: &str) {
        if let Ok(name) = name.parse::<ServiceName>() {
            self.read_boottime.remove(&name);
            self.shelves.iter_mut().for_each(|shelf| shelf.forget(&name));
        }
    }

    /// Whether a report of this name was there when it was last looked for.
    pub(super) fn has_read(&self, name: &str) -> bool {
        name.parse::<ServiceName>().is_ok_and(|name| self.read_boottime.contains_key(&name))
    }

    /// Whether the directories take another report; of several the worst.
    pub(super) fn file_system(&self) -> FileSystem {
        let each = self.shelves.iter().map(Shelf::file_system);
        each.fold(FileSystem::Free, |worst, next| if next == FileSystem::Free { worst } else { next })
    }

    pub(super) const fn remarks(&self) -> &Remarks {
        &self.remarks
    }

    /// A directory that cannot be read, though it is there.
    pub(super) fn unreadable(&self) -> Option<&(PathBuf, io::Error)> {
        self.remarks.unreadable_dirs().next()
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let unreadable =
            self.remarks.unreadable_dirs().map(|(dir, error)| format!("{}: {error}", dir.display()));
        self.watch.problems().into_iter().chain(unreadable).collect()
    }
}
