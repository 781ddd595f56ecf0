//! What a reporter is told before it starts.

use crate::directory::{self, Environment};
use crate::pulse;
use crate::report::{MAX_DEADLINE_S, MAX_NAME_BYTES, bounded};
use crate::reporter::{GOODBYE_PATIENCE, Reporter};
use crate::shared::{Identity, Shared};
use crate::{InvalidName, ServiceName, State, clock};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
const DEADLINE_INTERVALS: u32 = 3;

/// What a reporter may be told before it starts.
///
/// ```
/// use health_reporter::{Reporter, StartError};
/// use std::time::Duration;
///
/// # let dir = tempfile::tempdir().unwrap();
/// let health = Reporter::builder("camera")
///     .dir(dir.path())
///     .interval(Duration::from_secs(5))
///     .deadline(Duration::from_secs(20))
///     .service_version(env!("CARGO_PKG_VERSION"))
///     .depends_on(["database"])
///     .start()?;
///
/// let too_short = Reporter::builder("camera").interval(Duration::ZERO).start();
/// assert!(matches!(too_short, Err(StartError::Time(_))));
/// # Ok::<(), health_reporter::StartError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is reported before `start`"]
pub struct Builder {
    service_type: String,
    service_name: Option<String>,
    service_version: Option<String>,
    dir: Option<PathBuf>,
    app: Option<String>,
    interval: Duration,
    deadline: Option<Duration>,
    depends_on: Vec<String>,
    pid: Option<u32>,
    state: State,
    records_panics: bool,
    #[cfg(feature = "signal")]
    stops_on_signals: bool,
}

/// Why a reporter could not be started: something is wrong with what it was told. A directory that cannot be
/// written is no reason: that may heal.
#[non_exhaustive]
pub enum StartError {
    /// The service type cannot be the name of a file.
    Name(InvalidName),
    /// The interval or the deadline is out of its range; says which one, the range and what was given.
    Time(String),
    /// No process can have this id.
    Pid(u32),
    /// The system gave no thread.
    Thread(std::io::Error),
}

impl Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Time(problem) => f.write_str(problem),
            Self::Pid(pid) => write!(f, "pid {pid} is no process: it must be 1 to {}", i32::MAX),
            Self::Thread(error) => write!(f, "cannot start the reporter's thread: {error}"),
        }
    }
}

impl fmt::Debug for StartError {
    /// As for people: it is what a `main` prints that returns it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl std::error::Error for StartError {}

impl Builder {
    pub(crate) const fn new(service_type: String) -> Self {
        Self {
            service_type,
            service_name: None,
            service_version: None,
            dir: None,
            app: None,
            interval: DEFAULT_INTERVAL,
            deadline: None,
            depends_on: Vec::new(),
            pid: None,
            state: State::Running,
            records_panics: true,
            #[cfg(feature = "signal")]
            stops_on_signals: false,
        }
    }

    /// The name for people; the service type if it is not given.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// The version of the service's program.
    pub fn service_version(mut self, version: impl Into<String>) -> Self {
        self.service_version = Some(version.into());
        self
    }

    /// Where to write. Otherwise [`directory::resolve`] says where.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The `<app>` of `/var/cache/<app>/health` in production; otherwise `HEALTH_APP` or `PROJECT_ENV`.
    pub fn app(mut self, app: impl Into<String>) -> Self {
        self.app = Some(app.into());
        self
    }

    /// Time between two heartbeats, at least 50 ms; 10 s if it is not given.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long after a heartbeat the service counts as late; three intervals if it is not given.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Services and probes that this one cannot do without.
    pub fn depends_on<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.depends_on = names.into_iter().map(Into::into).collect();
        self
    }

    /// Begins in the state `starting`; [`Reporter::ready`] ends it.
    pub const fn starting(mut self) -> Self {
        self.state = State::Starting;
        self
    }

    /// The process that this report is about, where it is not the one that writes it.
    pub const fn on_behalf_of(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// Whether panics are recorded, which puts a hook before the one that is there; they are unless told.
    pub const fn record_panics(mut self, record: bool) -> Self {
        self.records_panics = record;
        self
    }

    /// Says goodbye on SIGTERM and SIGINT, and then lets them do what they do by default. For services that
    /// have no handler of their own; those that have call [`Reporter::stop`] in it.
    #[cfg(feature = "signal")]
    pub const fn stop_on_signals(mut self) -> Self {
        self.stops_on_signals = true;
        self
    }

    /// Starts reporting: the first report is out a few milliseconds later.
    ///
    /// # Errors
    ///
    /// What was told before is out of its limits, or there is no thread to be had.
    pub fn start(self) -> Result<Reporter, StartError> {
        let identity = self.identity()?;
        let shared = Arc::new(Shared::new(identity, self.state));
        pulse::start(&shared).map_err(StartError::Thread)?;
        // From here on it is this that ends the thread, also when what follows fails.
        let health = Reporter::of(shared);
        let shared = &health.shared;
        if self.records_panics {
            crate::panics::record_into(shared);
        }
        #[cfg(feature = "signal")]
        if self.stops_on_signals {
            crate::signals::stop_on_signals(shared).map_err(StartError::Thread)?;
        }
        #[cfg(feature = "sd-notify")]
        crate::supervisor::feed_watchdog(shared).map_err(StartError::Thread)?;
        Ok(health)
    }

    /// Starts, runs `work` and ends: see [`Reporter::run`]. If the reporter cannot be started, `work` runs all
    /// the same, with a reporter that writes nothing.
    ///
    /// # Errors
    ///
    /// Those of `work`, untouched.
    pub fn run<T, E: Display>(self, work: impl FnOnce(&Reporter) -> Result<T, E>) -> Result<T, E> {
        let health = self.start().unwrap_or_else(|_| silent());
        let result = work(&health);
        match &result {
            Ok(_) => health.stop("returned"),
            Err(error) => {
                health.record_error(error);
                let _ = health.shared.pulse.flush(GOODBYE_PATIENCE);
            }
        }
        result
    }

    fn identity(&self) -> Result<Identity, StartError> {
        let service: ServiceName = self.service_type.parse().map_err(StartError::Name)?;
        // Room for the slot: `@64`.
        format!("{service}@64").parse::<ServiceName>().map_err(StartError::Name)?;
        let deadline = self.deadline.unwrap_or(self.interval.saturating_mul(DEADLINE_INTERVALS));
        check_times(self.interval, deadline)?;
        let dirs = directory::resolve(
            self.dir.as_deref(),
            &Environment::of_this_process(),
            &[],
            self.app.as_deref(),
        );
        let pid = self.pid.unwrap_or_else(std::process::id);
        if pid == 0 || i32::try_from(pid).is_err() {
            return Err(StartError::Pid(pid));
        }
        let short = |text: &String| bounded(text, MAX_NAME_BYTES);
        Ok(Identity {
            service_name: self.service_name.as_ref().map_or_else(|| service.to_string(), short),
            service_version: self.service_version.as_ref().map(short),
            service,
            dir: absolute(dirs.first().map_or(Path::new(directory::DEVELOPMENT_DIR), PathBuf::as_path)),
            interval: self.interval,
            deadline,
            depends_on: self.depends_on.iter().map(short).take(MAX_DEPENDENCIES).collect(),
            host: clock::host_name(),
            pid,
            pid_namespace: clock::pid_namespace(),
            pid_start_ticks: clock::start_ticks(pid),
            boot_id: clock::boot_id(),
            started_boottime: clock::boottime(),
        })
    }
}

/// Dependencies in one report.
const MAX_DEPENDENCIES: usize = 64;

/// The service may change its working directory later.
fn absolute(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

fn check_times(interval: Duration, deadline: Duration) -> Result<(), StartError> {
    if interval < SHORTEST_INTERVAL {
        return Err(StartError::Time(format!(
            "interval {interval:?} is below {SHORTEST_INTERVAL:?}: use a longer one"
        )));
    }
    if deadline < interval || deadline.as_secs_f64() > MAX_DEADLINE_S {
        return Err(StartError::Time(format!(
            "deadline {deadline:?} is not between the interval ({interval:?}) and 35 days: a report would be late \
             before the next one is due"
        )));
    }
    Ok(())
}

/// A reporter that writes nothing.
fn silent() -> Reporter {
    let identity = Identity {
        service_name: String::new(),
        service_version: None,
        service: ServiceName::placeholder(),
        dir: PathBuf::new(),
        interval: DEFAULT_INTERVAL,
        deadline: DEFAULT_INTERVAL,
        depends_on: Vec::new(),
        host: None,
        pid: std::process::id(),
        pid_namespace: None,
        pid_start_ticks: None,
        boot_id: None,
        started_boottime: clock::boottime(),
    };
    let shared = Arc::new(Shared::new(identity, State::Running));
    shared.pulse.close();
    Reporter::of(shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlushError, Status};

    fn refused(builder: Builder) -> String {
        builder.start().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_is_refused_at_the_start() {
        let camera = || Reporter::builder("camera");
        assert!(refused(Reporter::builder("a/b")).contains("\"a/b\" is no service name"));
        assert!(
            refused(Reporter::builder("x".repeat(62))).contains("is no service name"),
            "no room for a slot"
        );
        let short = refused(camera().interval(Duration::from_millis(49)));
        assert_eq!(short, "interval 49ms is below 50ms: use a longer one");
        let early = refused(camera().deadline(Duration::from_secs(9)));
        assert!(early.contains("deadline 9s is not between the interval (10s) and 35 days"), "{early}");
        assert!(refused(camera().deadline(Duration::from_secs(3_024_001))).contains("35 days"));
        assert!(refused(camera().interval(Duration::MAX)).contains("35 days"));
        assert_eq!(refused(camera().on_behalf_of(0)), "pid 0 is no process: it must be 1 to 2147483647");
        let debugged = format!("{:?}", Reporter::builder("my camera").start().unwrap_err());
        assert!(debugged.starts_with("\"my camera\" is no service name"), "what a `main` prints: {debugged}");
    }

    #[test]
    fn work_is_done_even_by_a_service_that_cannot_report() {
        let done = Reporter::builder("no/name").run(|health| {
            health.record("lens", Status::Error, "recorded for nobody");
            assert_eq!(health.flush(), Err(FlushError::Ended));
            assert_eq!((health.file(), health.last_error()), (None, None));
            health.stop("nothing happens");
            Ok::<_, String>(42)
        });
        assert_eq!(done, Ok(42));
    }

    #[test]
    fn a_report_may_be_about_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let health = Reporter::builder("camera").dir(dir.path()).on_behalf_of(1).start().unwrap();
        health.flush().unwrap();
        let report = crate::read::one(dir.path(), &"camera".parse().unwrap()).unwrap().report;
        assert_eq!((report.pid, report.pid_start_ticks), (Some(1), clock::start_ticks(1)));
    }

    #[test]
    fn what_the_builder_was_told_is_in_the_report() {
        let dir = tempfile::tempdir().unwrap();
        let health = Reporter::builder("camera")
            .dir(dir.path())
            .service_name("Camera at the door")
            .service_version("1.4.2")
            .depends_on((0..100).map(|number| format!("d{number}")))
            .start()
            .unwrap();
        health.add_messages_sent(3);
        health.add_messages_received(4);
        health.flush().unwrap();
        assert_eq!(health.file().unwrap(), dir.path().join("camera.json"));
        let report = crate::read::one(dir.path(), &"camera".parse().unwrap()).unwrap().report;
        let names = (
            report.service_name.as_deref(),
            report.service_type.as_deref(),
            report.service_version.as_deref(),
        );
        assert_eq!(names, (Some("Camera at the door"), Some("camera"), Some("1.4.2")));
        assert_eq!(
            (report.depends_on.len(), report.messages_sent, report.messages_received),
            (MAX_DEPENDENCIES, 3, 4)
        );
        assert_eq!((report.boot_id, report.pid_namespace), (clock::boot_id(), clock::pid_namespace()));
        assert_eq!((report.interval_s, report.deadline_s), (Some(10.0), Some(30.0)));
        assert!(report.host.is_some());
    }
}
