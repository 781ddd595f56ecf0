//! Health files: what is in the directories, and the processes that the reports name.

use super::processes::Processes;
use health_reporter::read::{Directory, Listing, ReadError, ReportFile, Unusable};
use health_reporter::{MAX_REPORT_BYTES, ServiceName, clock};
use healthcheck_core::{
    Facts, FileSystem, NotLooked, Observation, ProbeError, ProcessSight, ServiceFacts, State, Subject,
};
use rustix::fs::StatVfsMountFlags;
use std::collections::{HashMap, HashSet};
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reports that a thread takes at one time: so few that all threads end together, wherever the large ones are.
const PORTION: usize = 32;
/// Below this many reports another thread costs more than it brings.
const WORTH_A_THREAD: usize = 128;
const MAX_THREADS: usize = 4;
/// What is read in all of large files that nobody expects: they must not use up the time of the others.
const MAX_LARGE_BYTES: usize = 32 * 1024 * 1024;
/// An ordinary report is smaller, and is always read.
const LARGE_BYTES: usize = 8 * 1024;
/// What all ordinary reports may have together: where there are very many, fewer bytes are ordinary.
const MAX_ORDINARY_BYTES: usize = 64 * 1024 * 1024;

/// What cannot be said of any one service.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    /// Directories that could not be opened, and why.
    pub(crate) unopened_dirs: Vec<(PathBuf, io::Error)>,
    /// Names that are no service's, escaped for showing, and how many there are.
    pub(crate) rejected: Vec<String>,
    pub(crate) rejected_count: usize,
    /// Reports that were not read, because there were too many.
    pub(crate) left_out: usize,
    /// Services with a report in more than one directory; the first counts.
    pub(crate) twice: Vec<ServiceName>,
}

/// Looks at each report in `dirs`, those of `expected` services first. `judge` is told of each observation, with
/// what was learned of some others.
pub(crate) fn look(
    dirs: &[PathBuf],
    expected: &HashSet<String>,
    processes: &Processes,
    judge: impl Fn(State, Observation) -> State + Sync,
) -> (State, Remarks) {
    let (mut state, mut remarks) = (State::default(), Remarks::default());
    let mut names = HashSet::new();
    let eyes = Eyes { processes, own_namespace: clock::pid_namespace(), seen: Mutex::default() };
    let is_expected = |name: &ServiceName| {
        !expected.is_empty() && (expected.contains(name.as_str()) || expected.contains(name.service_type()))
    };
    for dir in dirs {
        let listed = Directory::open(dir).and_then(|dir| Ok((dir.list(is_expected)?, dir)));
        match listed {
            Ok((listing, directory)) => {
                let names = remarks.take(listing, &mut names, dirs.len() > 1);
                let watch = Watch::of(&directory, &names, &is_expected, &eyes);
                state = state.merge(watch.look(&judge));
            }
            Err(error) => remarks.unopened_dirs.push((dir.clone(), error)),
        }
    }
    (state, remarks)
}

impl Remarks {
    /// Directories that are there, or should be, and cannot be read. One that does not exist yet is just empty.
    pub(crate) fn unreadable_dirs(&self) -> impl Iterator<Item = &(PathBuf, io::Error)> {
        self.unopened_dirs.iter().filter(|(_, error)| error.kind() != io::ErrorKind::NotFound)
    }

    /// An expected service of which no report was found: it is absent only where everything could be read.
    pub(crate) fn absence_of(&self, service: &str) -> Observation {
        match self.unreadable_dirs().next() {
            Some((dir, error)) => not_looked_for(service, dir, error),
            None => absent(service),
        }
    }

    /// The names that are to be read: those that no earlier directory had.
    fn take(
        &mut self,
        listing: Listing,
        seen: &mut HashSet<ServiceName>,
        has_others: bool,
    ) -> Vec<ServiceName> {
        self.rejected_count += listing.rejected_count;
        self.rejected.extend(listing.rejected);
        self.rejected.truncate(health_reporter::read::MAX_REJECTED_SHOWN);
        self.left_out += listing.left_out;
        if !has_others {
            return listing.names;
        }
        let (new, known): (Vec<_>, Vec<_>) = listing.names.into_iter().partition(|name| !seen.contains(name));
        self.twice.extend(known);
        seen.extend(new.iter().cloned());
        new
    }
}

/// One look at the reports of one directory, by several threads: each takes the next few names, judges them as it
/// reads them, and forgets everything else that it read.
struct Watch<'a, E> {
    directory: &'a Directory,
    names: &'a [ServiceName],
    is_expected: &'a E,
    eyes: &'a Eyes<'a>,
    file_system: FileSystem,
    /// What is always read of a report.
    ordinary_bytes: usize,
    next: AtomicUsize,
    bytes_left: AtomicUsize,
}

impl<'a, E: Fn(&ServiceName) -> bool + Sync> Watch<'a, E> {
    fn of(
        directory: &'a Directory,
        names: &'a [ServiceName],
        is_expected: &'a E,
        eyes: &'a Eyes<'a>,
    ) -> Self {
        let file_system = file_system(directory);
        let (next, bytes_left) = (AtomicUsize::new(0), AtomicUsize::new(MAX_LARGE_BYTES));
        let ordinary_bytes = LARGE_BYTES.min(MAX_ORDINARY_BYTES / names.len().max(1));
        Self { directory, names, is_expected, eyes, file_system, ordinary_bytes, next, bytes_left }
    }

    /// What was learned.
    fn look(&self, judge: &(impl Fn(State, Observation) -> State + Sync)) -> State {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let worth = (self.names.len() / WORTH_A_THREAD).min(MAX_THREADS);
        let threads = if worth > 1 { worth.min(cores()) } else { 1 };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| self.look_at_some(judge))).collect();
            let own = self.look_at_some(judge);
            let others =
                others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            others.fold(own, State::merge)
        })
    }

    fn look_at_some(&self, judge: &impl Fn(State, Observation) -> State) -> State {
        let mut state = State::announcing(self.names.len());
        let mut buffer = Vec::new();
        while let Some(portion) = self.next_portion() {
            for name in portion {
                state = judge(state, self.look_at(name, &mut buffer));
            }
        }
        state
    }

    fn next_portion(&self) -> Option<&[ServiceName]> {
        let rest = self.names.get(self.next.fetch_add(PORTION, Ordering::Relaxed)..)?;
        Some(&rest[..rest.len().min(PORTION)]).filter(|portion| !portion.is_empty())
    }

    fn look_at(&self, name: &ServiceName, buffer: &mut Vec<u8>) -> Observation {
        let started = Instant::now();
        let report = self.read(name, buffer);
        let mut facts = self.eyes.facts(report, self.file_system);
        if has_died(&facts) {
            // It may have said goodbye, or started anew, since its report was read.
            facts = self.eyes.facts_anew(self.read(name, buffer), self.file_system);
        }
        observation(Subject::from(name), facts, started.elapsed())
    }

    fn read(&self, name: &ServiceName, buffer: &mut Vec<u8>) -> Result<ReportFile, Unusable> {
        let is_expected = (self.is_expected)(name);
        let is_spent = !is_expected && self.bytes_left.load(Ordering::Relaxed) == 0;
        let limit = if is_spent { self.ordinary_bytes } else { MAX_REPORT_BYTES };
        let report = self.directory.read_within(name, buffer, limit);
        if !is_expected && buffer.len() > self.ordinary_bytes {
            let less = |left: usize| Some(left.saturating_sub(buffer.len()));
            let _ = self.bytes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        report
    }
}

/// Looks at processes, each of them once.
struct Eyes<'a> {
    processes: &'a Processes,
    own_namespace: Option<u64>,
    seen: Mutex<HashMap<u64, ProcessSight>>,
}

impl Eyes<'_> {
    fn facts(&self, report: Result<ReportFile, Unusable>, file_system: FileSystem) -> ServiceFacts {
        let process = report.as_ref().map_or_else(|_| ProcessSight::default(), |file| self.process(file));
        ServiceFacts { report, process, file_system, oom: None, changes: Vec::new() }
    }

    /// The same, with a new look at the process.
    fn facts_anew(&self, report: Result<ReportFile, Unusable>, file_system: FileSystem) -> ServiceFacts {
        if let Some(pid) = report.as_ref().ok().and_then(|file| file.report.pid) {
            self.seen().remove(&pid);
        }
        self.facts(report, file_system)
    }

    fn process(&self, file: &ReportFile) -> ProcessSight {
        let Some(pid) = file.report.pid else { return ProcessSight::NotLooked(NotLooked::NoPid) };
        let is_other = |namespace: u64| self.own_namespace.is_some_and(|own| own != namespace);
        if file.report.pid_namespace.is_some_and(is_other) {
            return ProcessSight::NotLooked(NotLooked::OtherNamespace);
        }
        if let Some(sight) = self.seen().get(&pid) {
            return sight.clone();
        }
        // Not under the lock: the others go on meanwhile.
        let sight = self.processes.look(pid);
        self.seen().entry(pid).or_insert(sight).clone()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<u64, ProcessSight>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn file_system(directory: &Directory) -> FileSystem {
    let Ok(stat) = rustix::fs::fstatvfs(directory.as_fd()) else { return FileSystem::Free };
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return FileSystem::ReadOnly;
    }
    // File systems without a fixed number of inodes say that they have none at all.
    let has_no_inodes = stat.f_files > 0 && stat.f_favail == 0;
    if stat.f_bavail == 0 || has_no_inodes { FileSystem::Full } else { FileSystem::Free }
}

/// Whether its process ended and its report, as it was read before, has no goodbye.
pub(crate) fn has_died(facts: &ServiceFacts) -> bool {
    let Ok(file) = &facts.report else { return false };
    let is_gone = match &facts.process {
        ProcessSight::NotLooked(_) => false,
        ProcessSight::Gone => true,
        ProcessSight::Seen(process) => {
            let is_another = file.report.pid_start_ticks.is_some_and(|ticks| ticks != process.start_ticks);
            process.state.has_ended() || is_another
        }
    };
    is_gone && !file.report.state.is_goodbye()
}

fn observation(subject: Subject, facts: ServiceFacts, took: Duration) -> Observation {
    Observation { subject, outcome: Ok(Facts::Service(Box::new(facts))), took }
}

/// The report of a service that should have one, and has none.
fn absent(name: &str) -> Observation {
    let facts = ServiceFacts::of_report(Err(Unusable { error: ReadError::Missing, since: None }));
    observation(Subject::service(name), facts, Duration::ZERO)
}

/// The report of a service that nobody could look for.
pub(crate) fn not_looked_for(name: &str, dir: &Path, error: &io::Error) -> Observation {
    let problem = ProbeError::new(format!("cannot read {}: {error}", dir.display()));
    Observation { subject: Subject::service(name), outcome: Err(problem), took: Duration::ZERO }
}

/// Directories other than `dirs` that have reports: for whoever looked in the wrong place.
pub(crate) fn elsewhere(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let caches =
        std::fs::read_dir("/var/cache").into_iter().flatten().flatten().map(|app| app.path().join("health"));
    let candidates = [PathBuf::from(health_reporter::directory::DEVELOPMENT_DIR)].into_iter().chain(caches);
    candidates.filter(|dir| !dirs.contains(dir) && has_reports(dir)).collect()
}

fn has_reports(dir: &Path) -> bool {
    let listing = Directory::open(dir).and_then(|directory| directory.list(|_| false));
    listing.is_ok_and(|listing| !listing.names.is_empty())
}
