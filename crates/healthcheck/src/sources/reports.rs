//! Health files: what is in the directories, and the processes that the reports name.

use super::processes::Processes;
use health_reporter::read::{Directory, Listing, ReadError, ReportFile, Unusable};
use health_reporter::{ServiceName, clock};
use healthcheck_core::{Facts, FileSystem, NotLooked, Observation, ProcessSight, ServiceFacts, Subject};
use rustix::fs::StatVfsMountFlags;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Reports that are in memory at one time.
const CHUNK: usize = 1_024;
/// Below this many reports another thread costs more than it brings.
const WORTH_A_THREAD: usize = 128;
const MAX_THREADS: usize = 4;
/// What is read of services that nobody expects, in all: large files must not use up the time of the others.
const MAX_UNEXPECTED_BYTES: usize = 64 * 1024 * 1024;

/// What cannot be said of any one service.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    /// Directories that could not be read, and why.
    pub(crate) unreadable_dirs: Vec<(PathBuf, io::Error)>,
    /// Names that are no service's, escaped for showing, and how many there are.
    pub(crate) rejected: Vec<String>,
    pub(crate) rejected_count: usize,
    /// Reports that were not read, because there were too many, or too much in them.
    pub(crate) left_out: usize,
    /// Services with a report in more than one directory; the first counts.
    pub(crate) twice: Vec<ServiceName>,
}

/// Looks at each report in `dirs`, those of `expected` services first, and hands each observation to `observe`.
pub(crate) fn look(
    dirs: &[PathBuf],
    expected: &HashSet<String>,
    processes: &Processes,
    mut observe: impl FnMut(Observation),
) -> Remarks {
    let mut remarks = Remarks::default();
    let mut eyes = Eyes { processes, own_namespace: clock::pid_namespace(), seen: HashMap::new() };
    let mut names = HashSet::new();
    for dir in dirs {
        if let Err(error) = look_at_dir(dir, expected, &mut eyes, &mut names, &mut remarks, &mut observe) {
            remarks.unreadable_dirs.push((dir.clone(), error));
        }
    }
    remarks
}

fn look_at_dir(
    dir: &Path,
    expected: &HashSet<String>,
    eyes: &mut Eyes<'_>,
    seen: &mut HashSet<ServiceName>,
    remarks: &mut Remarks,
    observe: &mut impl FnMut(Observation),
) -> io::Result<()> {
    let directory = Directory::open(dir)?;
    let is_expected =
        |name: &ServiceName| expected.contains(name.as_str()) || expected.contains(name.service_type());
    let listing = directory.list(is_expected)?;
    let names = remarks.take(listing, seen);
    let file_system = file_system(&directory);
    let budget = Budget { bytes: AtomicUsize::new(MAX_UNEXPECTED_BYTES), is_expected: &is_expected };
    for chunk in names.chunks(CHUNK) {
        for (name, read) in read_chunk(&directory, chunk, &budget) {
            match read {
                Some(report) => observe(eyes.observation(&name, report, file_system)),
                None => remarks.left_out += 1,
            }
        }
    }
    Ok(())
}

impl Remarks {
    /// The names that are to be read: those that no earlier directory had.
    fn take(&mut self, listing: Listing, seen: &mut HashSet<ServiceName>) -> Vec<ServiceName> {
        self.rejected_count += listing.rejected_count;
        self.rejected.extend(listing.rejected);
        self.rejected.truncate(health_reporter::read::MAX_REJECTED_SHOWN);
        self.left_out += listing.left_out;
        let (new, known): (Vec<_>, Vec<_>) = listing.names.into_iter().partition(|name| !seen.contains(name));
        self.twice.extend(known);
        seen.extend(new.iter().cloned());
        new
    }
}

struct Budget<'a, F> {
    bytes: AtomicUsize,
    is_expected: &'a F,
}

impl<F: Fn(&ServiceName) -> bool> Budget<'_, F> {
    fn is_spent_for(&self, name: &ServiceName) -> bool {
        self.bytes.load(Ordering::Relaxed) == 0 && !(self.is_expected)(name)
    }

    fn spend(&self, bytes: usize) {
        let less = |left: usize| Some(left.saturating_sub(bytes));
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

type Read = (ServiceName, Option<Looked>);

struct Looked {
    report: Result<ReportFile, Unusable>,
    took: Duration,
}

fn read_chunk<F: Fn(&ServiceName) -> bool + Sync>(
    directory: &Directory,
    names: &[ServiceName],
    budget: &Budget<'_, F>,
) -> Vec<Read> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(MAX_THREADS).min(names.len() / WORTH_A_THREAD).max(1);
    if threads == 1 {
        return read_all(directory, names, budget);
    }
    std::thread::scope(|scope| {
        let parts = names.chunks(names.len().div_ceil(threads));
        let readers: Vec<_> =
            parts.map(|part| scope.spawn(move || read_all(directory, part, budget))).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect()
    })
}

fn read_all<F: Fn(&ServiceName) -> bool>(
    directory: &Directory,
    names: &[ServiceName],
    budget: &Budget<'_, F>,
) -> Vec<Read> {
    let mut buffer = Vec::new();
    let read = |name: &ServiceName| {
        if budget.is_spent_for(name) {
            return (name.clone(), None);
        }
        let started = Instant::now();
        let report = directory.read(name, &mut buffer);
        budget.spend(buffer.len());
        (name.clone(), Some(Looked { report, took: started.elapsed() }))
    };
    names.iter().map(read).collect()
}

/// Looks at processes, each of them once.
struct Eyes<'a> {
    processes: &'a Processes,
    own_namespace: Option<u64>,
    seen: HashMap<u64, ProcessSight>,
}

impl Eyes<'_> {
    fn observation(&mut self, name: &ServiceName, looked: Looked, file_system: FileSystem) -> Observation {
        let process =
            looked.report.as_ref().map_or_else(|_| ProcessSight::default(), |file| self.process(file));
        let facts = ServiceFacts { report: looked.report, process, file_system, oom: None };
        observation(Subject::from(name), facts, looked.took)
    }

    fn process(&mut self, file: &ReportFile) -> ProcessSight {
        let Some(pid) = file.report.pid else { return ProcessSight::NotLooked(NotLooked::NoPid) };
        let is_other = |namespace: u64| self.own_namespace.is_some_and(|own| own != namespace);
        if file.report.pid_namespace.is_some_and(is_other) {
            return ProcessSight::NotLooked(NotLooked::OtherNamespace);
        }
        self.seen.entry(pid).or_insert_with(|| self.processes.look(pid)).clone()
    }
}

fn file_system(directory: &Directory) -> FileSystem {
    let Ok(stat) = rustix::fs::fstatvfs(directory.as_fd()) else { return FileSystem::Free };
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return FileSystem::ReadOnly;
    }
    // File systems without a fixed number of inodes say that they have none at all.
    let has_no_inodes = stat.f_files > 0 && stat.f_favail == 0;
    if stat.f_bavail == 0 || has_no_inodes { FileSystem::Full } else { FileSystem::Free }
}

fn observation(subject: Subject, facts: ServiceFacts, took: Duration) -> Observation {
    Observation { subject, outcome: Ok(Facts::Service(Box::new(facts))), took }
}

/// The report of a service that should have one, and has none.
pub(crate) fn absent(name: &str) -> Observation {
    let facts = ServiceFacts::of_report(Err(Unusable { error: ReadError::Missing, changed: None }));
    observation(Subject::service(name), facts, Duration::ZERO)
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
