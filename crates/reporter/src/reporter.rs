//! The face of the reporter: what a service says.

use crate::check::{CheckHandle, Record};
use crate::pulse::{FlushError, WriteFailure};
use crate::report::{MAX_DEADLINE_S, MAX_MESSAGE_BYTES, bounded};
use crate::shared::Shared;
use crate::watched::LoopHandle;
use crate::{Builder, State, Status};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a goodbye waits for the disk.
pub(crate) const GOODBYE_PATIENCE: Duration = Duration::from_secs(2);
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

impl Reporter {
    /// A reporter for a service of this type, which is the name of its file: `camera` writes `camera.json`.
    pub fn builder(service_type: impl Into<String>) -> Builder {
        Builder::new(service_type.into())
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

    pub(crate) fn of(shared: Arc<Shared>) -> Self {
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
