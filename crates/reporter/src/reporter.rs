//! The face of the reporter: what a service says.

use crate::check::{CheckHandle, Record};
use crate::directory::{self, Environment};
use crate::pulse::{self, FlushError, WriteFailure};
use crate::report::{MAX_DEADLINE_S, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, bounded};
use crate::shared::{Identity, Shared};
use crate::watched::LoopHandle;
use crate::{InvalidName, ServiceName, State, Status, clock};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
const DEADLINE_INTERVALS: u32 = 3;
/// How long a goodbye waits for the disk.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(2);
/// How long dropping the reporter, or a panic, waits for the disk.
pub(crate) const LAST_WORDS_PATIENCE: Duration = Duration::from_millis(250);
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// Writes the health report of this service, from its start to its goodbye.
///
/// Its one thread does all the I/O. No call panics or prints, and none waits for the disk but those that say so:
/// [`flush`](Self::flush), and the ends: [`stop`](Self::stop), [`finish`](Self::finish), [`run`](Self::run), and
/// for at most 250 ms dropping the last one. Cheap to clone. Dropping is no goodbye: whoever ends without
/// [`stop`](Self::stop) has crashed.
///
/// ```
/// use health_reporter::{Reporter, Status};
///
/// # let dir = tempfile::tempdir().unwrap();
/// let health = Reporter::builder("camera").dir(dir.path()).start()?;
/// health.record("capture", Status::Healthy, "25 frames/s");
/// health.stop("the show is over");
/// # Ok::<(), health_reporter::StartError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reporter {
    pub(crate) shared: Arc<Shared>,
    _owner: Arc<Owner>,
}

/// Ends the thread with the last reporter, after one more report of how things were.
#[derive(Debug)]
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.pulse.end();
        let _ = self.0.pulse.flush(LAST_WORDS_PATIENCE);
    }
}

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
        let health = Reporter { _owner: Arc::new(Owner(Arc::clone(&shared))), shared };
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
        let health = self.start().unwrap_or_else(|_| Reporter::silent());
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

impl Reporter {
    /// A reporter for a service of this type, which is the name of its file: `camera` writes `camera.json`.
    pub fn builder(service_type: impl Into<String>) -> Builder {
        Builder {
            service_type: service_type.into(),
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

    /// The short way, named after the program: `Ok` is the goodbye, `Err` is recorded and is none.
    ///
    /// # Errors
    ///
    /// Those of `work`, untouched.
    ///
    /// ```no_run
    /// use health_reporter::{Reporter, Status};
    ///
    /// fn main() -> Result<(), std::io::Error> {
    ///     Reporter::run(|health| {
    ///         health.record("config", Status::Healthy, "3 cameras");
    ///         Ok(())
    ///     })
    /// }
    /// ```
    pub fn run<T, E: Display>(work: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let program = std::env::current_exe().ok();
        let name = program.as_deref().and_then(Path::file_stem).and_then(|name| name.to_str());
        Self::builder(name.unwrap_or("service")).run(work)
    }

    fn silent() -> Self {
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
        Self { _owner: Arc::new(Owner(Arc::clone(&shared))), shared }
    }

    /// Records a check: its latest record is what counts. Does no I/O; allocates nothing if it says what it
    /// said before. For the hottest paths, [`check`](Self::check) spares the look-up of the name.
    ///
    /// ```
    /// # use health_reporter::{Reporter, Status};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// health.record("database", Status::Error, "connection refused");
    /// health.record("database", Status::Healthy, "");
    /// assert_eq!(health.overall_status(), Status::Healthy);
    /// ```
    pub fn record(&self, name: &str, status: Status, message: &str) {
        self.shared.record(name, status, message);
    }

    /// Records a check with metadata or a duration.
    ///
    /// ```
    /// # use health_reporter::{Record, Reporter, Status};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// let record = Record::new(Status::Warning).message("queue 812 of 1000").metadata("depth", 812);
    /// health.record_with("queue", record);
    /// ```
    pub fn record_with<'a>(&self, name: &str, record: impl Into<Record<'a>>) {
        self.check(name).record_with(record);
    }

    /// A handle on the check of this name, which appears in the report with its first record.
    #[must_use]
    pub fn check(&self, name: &str) -> CheckHandle {
        self.shared.check(name)
    }

    /// Runs `work` and records what came of it as a check: `Ok` is healthy, `Err` an error, with the time.
    ///
    /// # Errors
    ///
    /// Those of `work`, untouched.
    ///
    /// ```
    /// # use health_reporter::{Reporter, Status};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// let frame = health.observe("capture", || "640".parse::<u32>());
    /// assert_eq!((frame, health.overall_status()), (Ok(640), Status::Healthy));
    /// assert!(health.observe("capture", || "dark".parse::<u32>()).is_err());
    /// assert_eq!(health.overall_status(), Status::Error);
    /// ```
    pub fn observe<T, E: Display>(&self, name: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.check(name).observe(work)
    }

    /// The same for a future.
    ///
    /// # Errors
    ///
    /// Those of `work`, untouched.
    ///
    /// ```
    /// # use health_reporter::Reporter;
    /// # async fn fetch() -> Result<u32, std::io::Error> { Ok(1) }
    /// # async fn example(health: Reporter) -> Result<(), std::io::Error> {
    /// let page = health.observe_async("fetch", fetch()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn observe_async<T, E: Display>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.check(name).observe_async(work).await
    }

    /// Records an error that belongs to no check. It clears on [`recover`](Self::recover), or by itself after
    /// three intervals without another.
    ///
    /// ```
    /// # use health_reporter::{Reporter, Status};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// health.record_error("the lens cap is on");
    /// assert_eq!(health.overall_status(), Status::Error);
    /// health.recover();
    /// assert_eq!(health.overall_status(), Status::Healthy);
    /// ```
    pub fn record_error(&self, error: impl Display) {
        self.shared.record_error(&error.to_string(), false);
    }

    /// Records an error after which the service cannot go on. Only [`recover`](Self::recover) or a restart
    /// clears it.
    ///
    /// ```
    /// # use health_reporter::{Record, Reporter, Status};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// health.record_fatal("the sensor is gone");
    /// health.record_error("and so is its cable");
    /// assert_eq!(health.overall_status(), Status::Fatal);
    /// health.recover();
    /// assert_eq!(health.overall_status(), Status::Healthy);
    /// ```
    pub fn record_fatal(&self, error: impl Display) {
        self.shared.record_error(&error.to_string(), true);
    }

    /// Clears the errors that belong to no check.
    pub fn recover(&self) {
        self.shared.recover();
    }

    /// Counts messages that the service sent.
    ///
    /// ```
    /// # use health_reporter::{Reporter};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// health.add_messages_received(2);
    /// health.add_messages_sent(1);
    /// ```
    pub fn add_messages_sent(&self, count: u64) {
        self.shared.counters.sent.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts messages that the service received.
    pub fn add_messages_received(&self, count: u64) {
        self.shared.counters.received.fetch_add(count, Ordering::Relaxed);
    }

    /// What the service is doing now, for people.
    ///
    /// ```
    /// # use health_reporter::{Reporter};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// health.set_current_task("indexing 2024-11-03");
    /// health.clear_current_task();
    /// ```
    pub fn set_current_task(&self, task: &str) {
        self.shared.set_current_task(Some(task));
    }

    /// It is doing nothing in particular.
    pub fn clear_current_task(&self) {
        self.shared.set_current_task(None);
    }

    /// A loop whose silence for longer than `limit` means that the service hangs, though this reporter's own
    /// thread still writes. Limits are held to 1 ms … 35 days; at most 32 loops are watched at a time.
    #[must_use = "a loop that is dropped is no longer watched"]
    pub fn watched_loop(&self, name: &str, limit: Duration) -> LoopHandle {
        self.shared.watched_loop(name, limit)
    }

    /// Ends the state `starting`.
    ///
    /// ```
    /// # use health_reporter::Reporter;
    /// # let dir = tempfile::tempdir().unwrap();
    /// let health = Reporter::builder("camera").dir(dir.path()).starting().start()?;
    /// // … opens the lens …
    /// health.ready();
    /// # Ok::<(), health_reporter::StartError>(())
    /// ```
    pub fn ready(&self) {
        self.shared.set_state(State::Running);
    }

    /// The service is on its way out; [`stop`](Self::stop) is still to come.
    pub fn stopping(&self) {
        self.shared.set_state(State::Stopping);
    }

    /// The worst of the latest record of each check; healthy without any.
    #[must_use]
    pub fn overall_status(&self) -> Status {
        self.shared.overall_status()
    }

    /// Waits, for at most 5 s, until all that was recorded before is in the file.
    ///
    /// # Errors
    ///
    /// The write failed, the disk does not answer, or this reporter has ended.
    ///
    /// ```
    /// # use health_reporter::{FlushError, Reporter};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let health = Reporter::builder("camera").dir(dir.path()).start()?;
    /// assert_eq!(health.flush(), Ok(()));
    /// assert_eq!(health.file(), Some(dir.path().join("camera.json")));
    ///
    /// # let file = tempfile::NamedTempFile::new().unwrap();
    /// # let no_directory = file.path();
    /// let unlucky = Reporter::builder("camera").dir(no_directory).start()?;
    /// assert!(matches!(unlucky.flush(), Err(FlushError::Failed(_))));
    /// assert!(unlucky.last_error().is_some() && unlucky.write_failures() > 0);
    /// # Ok::<(), health_reporter::StartError>(())
    /// ```
    pub fn flush(&self) -> Result<(), FlushError> {
        self.shared.pulse.flush(FLUSH_PATIENCE)
    }

    /// The newest write that failed, if one ever did.
    #[must_use]
    pub fn last_error(&self) -> Option<WriteFailure> {
        self.shared.pulse.last_failure()
    }

    /// Writes that failed since the last one that succeeded.
    #[must_use]
    pub fn write_failures(&self) -> u64 {
        self.shared.pulse.write_failures()
    }

    /// The file, as soon as there is one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        self.shared.pulse.file()
    }

    /// The goodbye: this end is planned. Waits for at most 2 s until it is written; nothing is written later.
    ///
    /// ```
    /// # use health_reporter::{Reporter, State, read};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// health.stop("the show is over");
    /// let report = read::one(dir.path(), &"camera".parse().unwrap()).unwrap().report;
    /// assert_eq!(report.state, State::Stopped);
    /// ```
    pub fn stop(&self, reason: &str) {
        self.goodbye(State::Stopped, reason);
    }

    /// The goodbye of a job that is done, and due again within `deadline` (at most 35 days).
    ///
    /// ```
    /// # use health_reporter::{Reporter, State, read};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// health.finish(Duration::from_secs(26 * 3600));
    /// let report = read::one(dir.path(), &"camera".parse().unwrap()).unwrap().report;
    /// assert_eq!((report.state, report.deadline_s()), (State::Finished, 93_600.0));
    /// ```
    pub fn finish(&self, deadline: Duration) {
        self.shared
            .set_deadline(deadline.clamp(Duration::from_millis(1), Duration::from_secs_f64(MAX_DEADLINE_S)));
        self.goodbye(State::Finished, "");
    }

    fn goodbye(&self, state: State, reason: &str) {
        self.shared.say_goodbye(state, &bounded(reason, MAX_MESSAGE_BYTES), GOODBYE_PATIENCE);
    }
}

impl Shared {
    pub(crate) fn say_goodbye(self: &Arc<Self>, state: State, reason: &str, patience: Duration) {
        if self.state().is_goodbye() {
            // Somebody else says it at this moment; whoever returns first must not end the process.
            let _ = self.pulse.flush(patience);
            return;
        }
        if !reason.is_empty() {
            self.record(GOODBYE_CHECK, Status::Healthy, reason);
        }
        self.set_state(state);
        self.pulse.end();
        let _ = self.pulse.flush(patience);
    }
}

/// The check that keeps the reason of a goodbye.
const GOODBYE_CHECK: &str = "goodbye";

#[cfg(test)]
mod tests {
    use super::*;

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
