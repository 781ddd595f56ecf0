//! Looks from outside: each with its deadline, as many at once as this process can afford.

use super::containers::Engine;
use super::http::Question;
use super::matching::Hidden;
use super::systemd::Manager;
use super::threads::{Unfinished, finish};
use super::{command, connect, file_age, http, limits, matching, zmq};
use healthcheck_core::{Facts, Observation, ProbeError, ProbeFacts, ProbeKind, Subject, UnitFacts, UnitLoad};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::{JoinSet, LocalSet};

/// Programs that run at once.
const MAX_COMMANDS: usize = 32;
/// Looks that hold a thread while they last.
const MAX_THREADS: usize = 64;
/// How long a walk through all processes may take.
const WALK: Duration = Duration::from_secs(10);
/// For how long one walk serves looks that are made again and again.
const LASTING_WALK: Duration = Duration::from_millis(500);
/// Questions to systemd, or to a container engine, at once.
const MAX_QUESTIONS: usize = 64;
/// Connections at once, however many descriptors there may be.
const MAX_CONNECTIONS: u64 = 4_096;
/// Descriptors that are kept for everything else.
const OTHER_DESCRIPTORS: u64 = 256;

/// One look at one subject.
#[derive(Clone)]
pub(crate) struct Look {
    pub(crate) subject: Subject,
    pub(crate) ask: Ask,
    pub(crate) timeout: Duration,
}

/// What is looked at. A URL may have a secret in it, so this is never printed.
#[derive(Clone)]
pub(crate) enum Ask {
    Unit(String),
    Container(String),
    Process(String),
    Command(Vec<String>),
    Http(Question),
    Tcp(String),
    FileAge { path: PathBuf, max_age: Duration },
    Zmq(zmq::Question),
}

impl Ask {
    const fn kind(&self) -> ProbeKind {
        match self {
            Self::Unit(_) => ProbeKind::Unit,
            Self::Container(_) => ProbeKind::Container,
            Self::Process(_) => ProbeKind::Process,
            Self::Command(_) => ProbeKind::Command,
            Self::Http(_) => ProbeKind::Http,
            Self::Tcp(_) => ProbeKind::Tcp,
            Self::FileAge { .. } => ProbeKind::FileAge,
            Self::Zmq(_) => ProbeKind::Zmq,
        }
    }
}

/// What was found of each pattern.
type Processes = HashMap<String, Result<ProbeFacts, ProbeError>>;

/// One walk through the processes, and when it began.
type Walk = (Instant, Rc<OnceCell<Result<Processes, ProbeError>>>);

/// What looks are made with: systemd's manager, where there is one, and whatever is found on the way.
pub(crate) struct Eyes {
    /// Nothing on a machine without systemd.
    pub(crate) manager: Option<Result<Manager, ProbeError>>,
    is_manager_silent: Cell<bool>,
    engine: OnceCell<Engine>,
    walk: RefCell<Option<Walk>>,
    /// For how long a walk serves whoever asks.
    walk_holds: Duration,
    commands: Semaphore,
    threads: Semaphore,
    questions: Semaphore,
    connections: Semaphore,
}

/// A runtime for looks: all of them on this thread, what blocks on threads of its own.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    // It panics where there is no descriptor for its signals.
    let spare: std::io::Result<Vec<_>> = (0..4).map(|_| UnixStream::pair()).collect();
    drop(spare?);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_all()
        .max_blocking_threads(MAX_THREADS * 2)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
}

impl Eyes {
    pub(crate) fn with(manager: Option<Result<Manager, ProbeError>>) -> Self {
        let connections = limits::raise_descriptor_limit().saturating_sub(OTHER_DESCRIPTORS);
        let connections = usize::try_from(connections.clamp(16, MAX_CONNECTIONS)).unwrap_or(16);
        Self {
            manager,
            is_manager_silent: Cell::new(false),
            engine: OnceCell::new(),
            walk: RefCell::default(),
            walk_holds: Duration::MAX,
            commands: Semaphore::new(MAX_COMMANDS),
            threads: Semaphore::new(MAX_THREADS),
            questions: Semaphore::new(MAX_QUESTIONS),
            connections: Semaphore::new(connections),
        }
    }

    /// The same for whoever looks again and again.
    pub(crate) fn lasting(self) -> Self {
        Self { walk_holds: LASTING_WALK, ..self }
    }

    /// Makes one of several looks, whose patterns are known.
    pub(crate) async fn look_again(&self, look: &Look, patterns: &[String]) -> Observation {
        self.look_at(look.clone(), patterns).await
    }

    /// Makes all looks, and returns what each showed, in no order.
    pub(crate) async fn look(self: &Rc<Self>, looks: Vec<Look>) -> Vec<Observation> {
        let patterns = Rc::new(patterns(&looks));
        let local = LocalSet::new();
        let mut tasks = JoinSet::new();
        for look in looks {
            let (eyes, patterns) = (Rc::clone(self), Rc::clone(&patterns));
            tasks.spawn_local_on(async move { eyes.look_at(look, &patterns).await }, &local);
        }
        local.run_until(async { tasks.join_all().await }).await
    }

    async fn look_at(&self, look: Look, patterns: &[String]) -> Observation {
        let bound = match look.ask.kind() {
            ProbeKind::Command => &self.commands,
            ProbeKind::Http | ProbeKind::FileAge => &self.threads,
            ProbeKind::Unit | ProbeKind::Container | ProbeKind::Process => &self.questions,
            ProbeKind::Tcp | ProbeKind::Zmq | ProbeKind::Delivery => &self.connections,
        };
        // Nobody closes it, and without a permit nothing worse follows than one look too many.
        let _permit = bound.acquire().await.ok();
        let started = Instant::now();
        let outcome = self.ask(&look.ask, look.timeout, patterns).await.map(Facts::Probe);
        Observation { subject: look.subject, outcome, took: started.elapsed() }
    }

    async fn ask(&self, ask: &Ask, timeout: Duration, patterns: &[String]) -> Result<ProbeFacts, ProbeError> {
        match ask {
            Ask::Unit(name) => self.unit(name, timeout).await,
            Ask::Container(name) => {
                let found = || async { Engine::found(&|name| std::env::var_os(name)) };
                self.engine.get_or_try_init(found).await?.look(name, timeout).await
            }
            Ask::Process(pattern) => self.processes(pattern, patterns, timeout).await,
            Ask::Command(argv) => command::look(argv, timeout).await,
            Ask::Http(question) => http::look(question, timeout).await,
            Ask::Tcp(address) => connect::look(address, timeout).await,
            Ask::FileAge { path, max_age } => file_age::look(path, *max_age, timeout).await,
            Ask::Zmq(question) => zmq::look(question, timeout).await,
        }
    }

    async fn unit(&self, name: &str, timeout: Duration) -> Result<ProbeFacts, ProbeError> {
        let Some(manager) = &self.manager else {
            let nobody =
                UnitFacts { name: name.to_owned(), load: UnitLoad::NoSystemd, ..UnitFacts::default() };
            return Ok(ProbeFacts::Unit(Box::new(nobody)));
        };
        let manager = manager.as_ref().map_err(Clone::clone)?;
        // Whoever was silent for one of them is not waited for again for each of the others.
        if self.is_manager_silent.get() {
            return Err(ProbeError::of(ProbeKind::Unit, format!("systemd does not answer, nor for {name}")));
        }
        let asked = Instant::now();
        let unit = manager.unit(name, timeout).await;
        self.is_manager_silent.set(unit.is_err() && asked.elapsed() >= timeout);
        Ok(ProbeFacts::Unit(Box::new(unit?)))
    }

    /// One walk through the processes serves all patterns.
    async fn processes(
        &self,
        pattern: &str,
        patterns: &[String],
        timeout: Duration,
    ) -> Result<ProbeFacts, ProbeError> {
        // Its own time-out ends the patience of each, not the walk that the others wait for.
        let late =
            |_| ProbeError::of(ProbeKind::Process, format!("not seen within {} ms", timeout.as_millis()));
        let shared = self.shared_walk();
        let walk = shared.get_or_init(|| walk(patterns.to_vec(), WALK));
        let found =
            tokio::time::timeout(timeout, walk).await.map_err(late)?.as_ref().map_err(Clone::clone)?;
        let missing = || ProbeError::of(ProbeKind::Process, "the processes were not walked through for it");
        found.get(pattern).cloned().unwrap_or_else(|| Err(missing()))
    }

    fn shared_walk(&self) -> Rc<OnceCell<Result<Processes, ProbeError>>> {
        let mut walk = self.walk.borrow_mut();
        walk.take_if(|(began, _)| began.elapsed() > self.walk_holds);
        Rc::clone(&walk.get_or_insert_with(|| (Instant::now(), Rc::default())).1)
    }
}

/// The patterns of processes that looks look for.
pub(crate) fn patterns(looks: &[Look]) -> Vec<String> {
    let mut patterns: Vec<String> = looks.iter().filter_map(Look::pattern).map(str::to_owned).collect();
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

impl Look {
    /// Whether it is a question to systemd.
    pub(crate) const fn asks_systemd(&self) -> bool {
        matches!(self.ask, Ask::Unit(_))
    }

    /// The look that could not be made at all.
    pub(crate) fn failed(self, error: &std::io::Error) -> Observation {
        let problem = ProbeError::of(self.ask.kind(), format!("cannot look from outside: {error}"));
        Observation { subject: self.subject, outcome: Err(problem), took: Duration::ZERO }
    }

    fn pattern(&self) -> Option<&str> {
        match &self.ask {
            Ask::Process(pattern) => Some(pattern),
            _ => None,
        }
    }
}

async fn walk(patterns: Vec<String>, timeout: Duration) -> Result<Processes, ProbeError> {
    let find = move || {
        let names: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let found = matching::find(Path::new("/proc"), &names)?;
        Ok::<_, std::io::Error>(patterns.into_iter().zip(found))
    };
    let failed =
        |why: &str| ProbeError::of(ProbeKind::Process, format!("cannot walk through the processes: {why}"));
    let found = match finish(tokio::time::Instant::now() + timeout, find).await {
        Ok(found) => found.map_err(|error| failed(&error.to_string()))?,
        Err(Unfinished::NoThread(why)) => return Err(failed(why)),
        Err(Unfinished::Stuck) => {
            return Err(failed(&format!("it took longer than {} ms", timeout.as_millis())));
        }
    };
    let seen = |found: Result<_, Hidden>| {
        found
            .map(ProbeFacts::Process)
            .map_err(|hidden| ProbeError::of(ProbeKind::Process, hidden.to_string()))
    };
    Ok(found.map(|(pattern, found)| (pattern, seen(found))).collect())
}
