//! Which reports may have changed: events as hints, at once, and a look each 2 s where there can be none.
//!
//! Built on inotify itself. The crate `notify` 8.2 was measured beside it, 2,000 heartbeats each: it is nearly as fast
//! (from the rename to the report read 70 and 58 µs on tmpfs, the same on ext4), but costs 5.4 system calls a heartbeat
//! instead of 2, for it asks for everything, our own opening of the report included. So it cannot watch the directories
//! above, where each write of `state.db` or of anybody to `/tmp` would wake us, and it hides that a file system was
//! unmounted.
//!
//! Two threads: the `reader` waits for events and never touches a path, so that a dead mount cannot keep it from
//! telling of the other directories; the `walker` follows paths, whenever something on the way to one has changed.

mod reader;
mod walker;
mod way;

use self::way::{Goal, Kind, Role, Way};
use super::canary::Canary;
use health_reporter::ServiceName;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often it is looked at what cannot be watched.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Names of one directory that are kept; of more it is only said that the directory has changed.
const MAX_NAMES: usize = 4_096;
/// A path that has not been followed by then does not keep the monitor from starting.
const START_PATIENCE: Duration = Duration::from_secs(1);
/// A walk that takes longer than this is a problem that is told.
const SLOW_WALK: Duration = Duration::from_secs(5);

/// What may have changed since it was asked last. That it is so has to be looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// Reports that were written or removed, each with the index of its directory.
    pub(crate) names: BTreeSet<(usize, ServiceName)>,
    /// Directories of which anything may have changed, and their paths may name others by now.
    pub(crate) dirs: BTreeSet<usize>,
    /// A watched file may be another one; told once when it begins to be watched, too.
    pub(crate) files: bool,
}

impl Hints {
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.dirs.is_empty() && !self.files
    }
}

/// Watches directories of reports, and single files, wherever their paths lead to, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

impl Watch {
    /// Never fails: what cannot be watched is looked at each 2 s. `bell` is rung from another thread, once when there
    /// is something to take; it must not block.
    pub(crate) fn start(dirs: &[PathBuf], bell: impl Fn() + Send + Sync + 'static) -> Self {
        let places = dirs.iter().enumerate().map(|(index, dir)| Place::new(dir, Subject::Reports(index)));
        let shared = Arc::new(Shared {
            places: Mutex::new(Places { all: places.collect(), ..Places::default() }),
            pending: Mutex::new(Pending { has_rung: true, ..Pending::default() }),
            walked: Condvar::new(),
            inotify: OnceLock::new(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK),
            bell: Bell(Box::new(bell)),
        });
        let reader = shared.begin();
        if reader.is_some() {
            shared.wait_for_the_first_walk();
        } else {
            shared.pending().problem = Some("the system gives no thread: raise TasksMax or ulimit -u");
        }
        let watch = Self { shared, reader };
        // What was there before can be seen by whoever looks now.
        drop(watch.take());
        watch
    }

    /// Everything since the last time. Who writes all the time is told of each time: do not read each time.
    pub(crate) fn take(&self) -> Hints {
        let mut pending = self.shared.pending();
        pending.has_rung = false;
        pending.names_of.clear();
        std::mem::take(&mut pending.hints)
    }

    /// Watches a file, too, wherever its path leads to.
    pub(crate) fn watch_file(&self, path: &Path) {
        let mut places = self.shared.places();
        if places.all.iter().all(|place| place.path != path || place.subject != Subject::File) {
            places.all.push(Place::new(path, Subject::File));
            places.is_walk_wanted = true;
            drop(places);
            self.shared.wake();
        }
    }

    /// What cannot be watched, and why.
    pub(crate) fn problems(&self) -> Vec<String> {
        let general = self.shared.pending().problem.map(str::to_owned);
        let places = self.shared.places();
        let mut problems: Vec<_> = general.into_iter().collect();
        if places.walking_since.is_some_and(|since| since.elapsed() > SLOW_WALK) {
            problems.push("a health directory's file system does not answer: is a mount dead?".to_owned());
        }
        for problem in places.all.iter().filter_map(Place::problem) {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        problems
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.pending().is_over = true;
        self.shared.wake();
        // So that the bell is silent afterwards. The walker may be stuck, and is not waited for.
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Reports(usize),
    File,
}

/// A path that is watched.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    subject: Subject,
    way: Way,
    /// It lies on a file system that others write to, of which no event tells.
    is_remote: bool,
    asked: Asked,
    /// Who asks.
    canary: Option<Canary>,
}

/// Whether a file system that may be dead was asked for a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Asked {
    #[default]
    Not,
    /// Since then another process is there, or stuck there.
    Out(Instant),
    Answered,
    /// It was alive then.
    Alive(Instant),
}

impl Place {
    fn new(path: &Path, subject: Subject) -> Self {
        let path = path.to_owned();
        Self { path, subject, way: Way::default(), is_remote: false, asked: Asked::default(), canary: None }
    }

    fn kind(&self) -> Kind {
        if self.subject == Subject::File { Kind::File } else { Kind::Directory }
    }

    /// What it names may change without an event.
    fn is_polled(&self) -> bool {
        self.is_remote || self.way.trouble.is_some()
    }

    /// What is in it may change without an event, and looking does not hang.
    fn is_due(&self) -> bool {
        self.way.goal == Goal::Unwatched || (self.is_remote && !self.is_silent())
    }

    fn is_silent(&self) -> bool {
        matches!(self.asked, Asked::Out(since) if since.elapsed() > POLL_INTERVAL)
    }

    fn problem(&self) -> Option<String> {
        if self.is_silent() {
            let path = self.path.display();
            return Some(format!("the file system of {path} does not answer: is a mount dead?"));
        }
        let (path, why) = self.way.trouble.as_ref()?;
        let path = path.display();
        let problem = match *why {
            Errno::NOSPC => format!("no inotify watch left for {path} (fs.inotify.max_user_watches)"),
            Errno::MFILE | Errno::NFILE => format!(
                "no inotify instance left for {path} (fs.inotify.max_user_instances, or the limit of open files)"
            ),
            why => format!("cannot watch {path}: {}", std::io::Error::from(why)),
        };
        Some(format!("{problem}: looked at each {} s", POLL_INTERVAL.as_secs()))
    }
}

#[derive(Debug, Default)]
struct Places {
    all: Vec<Place>,
    /// For each watch, the steps of the places that it is for.
    roles: HashMap<i32, Vec<(usize, Role)>>,
    walks: u64,
    walking_since: Option<Instant>,
    is_walk_wanted: bool,
}

impl Places {
    fn is_polled(&self) -> bool {
        self.all.iter().any(Place::is_polled)
    }

    /// The place has another way from now on. Whether it leads elsewhere.
    fn lead(&mut self, index: usize, way: Way) -> bool {
        let Some(place) = self.all.get_mut(index) else { return false };
        let is_other = place.way.goal != way.goal;
        place.way = way;
        self.roles.clear();
        for (index, place) in self.all.iter().enumerate() {
            for step in &place.way.steps {
                self.roles.entry(step.watch).or_default().push((index, step.role.clone()));
            }
        }
        is_other
    }
}

/// What nobody has taken yet.
#[derive(Debug, Default)]
struct Pending {
    hints: Hints,
    /// How many names of each directory there are.
    names_of: HashMap<usize, usize>,
    /// From the beginning, so that nobody is told of the beginning.
    has_rung: bool,
    is_over: bool,
    problem: Option<&'static str>,
}

impl Pending {
    fn name(&mut self, dir: usize, name: ServiceName) {
        if self.hints.dirs.contains(&dir) || !self.hints.names.insert((dir, name)) {
            return;
        }
        let count = self.names_of.entry(dir).or_default();
        *count += 1;
        if *count > MAX_NAMES {
            self.hints.names.retain(|(other, _)| *other != dir);
            self.hints.dirs.insert(dir);
        }
    }

    fn again(&mut self, subject: Subject) {
        match subject {
            Subject::Reports(dir) => drop(self.hints.dirs.insert(dir)),
            Subject::File => self.hints.files = true,
        }
    }
}

struct Bell(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bell")
    }
}

#[derive(Debug)]
struct Shared {
    places: Mutex<Places>,
    pending: Mutex<Pending>,
    walked: Condvar,
    /// Made by the walker, as soon as there can be one.
    inotify: OnceLock<OwnedFd>,
    wake: Result<OwnedFd, Errno>,
    bell: Bell,
}

impl Shared {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts both threads.
    fn begin(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        // One that waits is enough: it begins after what it is for.
        let (walks, wanted) = sync_channel(1);
        let (reading, walking) = (Arc::clone(self), Arc::clone(self));
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        named("report paths").spawn(move || walker::run(&walking, &wanted)).ok()?;
        named("report events").spawn(move || reader::run(&reading, &walks)).ok()
    }

    fn wait_for_the_first_walk(&self) {
        let patience =
            self.walked.wait_timeout_while(self.places(), START_PATIENCE, |places| places.walks == 0);
        drop(patience.unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets the reader look at what it waits for.
    fn wake(&self) {
        if let Ok(wake) = &self.wake {
            let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
        }
    }

    /// Notes what `change` does, and rings if that is the first since everything was taken.
    fn hint(&self, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.pending();
        change(&mut pending);
        let is_first = !pending.has_rung && !pending.is_over && !pending.hints.is_empty();
        pending.has_rung |= is_first;
        drop(pending);
        if is_first {
            (self.bell.0)();
        }
    }
}

#[cfg(test)]
mod tests;
