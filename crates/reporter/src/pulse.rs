//! The one thread of a reporter: when it writes, and what it does when that fails.

use crate::State;
use crate::check::Change;
use crate::clock;
use crate::guarded::Guarded;
use crate::report::HealthReport;
use crate::shared::{Shared, Tally};
use crate::write::{Claim, Writer};
use jiff::Timestamp;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// A status change waits at most this long for others, so that it is out within 50 ms.
const STATUS_GAP: Duration = Duration::from_millis(40);
/// All else that changed goes out once in this time.
const DETAIL_GAP: Duration = Duration::from_secs(1);
/// After a failed write.
const RETRY_GAP: Duration = Duration::from_secs(1);
/// A goodbye that failed is tried so often again, since the next start cannot tell a lost one from a crash.
const GOODBYE_RETRIES: u32 = 4;
const GOODBYE_GAP: Duration = Duration::from_millis(50);
/// How often to look whether the directory at our path is still the one that we write into.
const PLACE_GAP: Duration = Duration::from_secs(60);

/// The clocks are read one after the other.
const SLEEP_TOLERANCE: Duration = Duration::from_millis(100);

const IDLE: u8 = 0;
const DETAIL: u8 = 1;
const STATUS: u8 = 2;

/// A write that failed. The service goes on, and so does the reporter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFailure {
    /// What the system said, and of which directory.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// Why the report was not out in time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError {
    /// The write failed; it is tried again each second.
    Failed(WriteFailure),
    /// The disk did not answer within the time.
    TimedOut,
    /// The service has said goodbye, or this is a forked child: nothing is written any more.
    Ended,
}

impl std::fmt::Display for FlushError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(failure) => f.write_str(&failure.message),
            Self::TimedOut => {
                f.write_str("the health file was not written in time: the disk does not answer")
            }
            Self::Ended => f.write_str("this reporter has ended"),
        }
    }
}

impl std::error::Error for FlushError {}

/// How the others reach the thread, and what they may know of it.
#[derive(Debug)]
pub(crate) struct Pulse {
    pid: u32,
    thread: OnceLock<Thread>,
    urgency: AtomicU8,
    ending: AtomicBool,
    requested: AtomicU64,
    answered: Mutex<Answered>,
    answer: Condvar,
    failures: AtomicU64,
    last_failure: Guarded<Option<WriteFailure>>,
    file: Guarded<Option<PathBuf>>,
}

#[derive(Debug, Default)]
struct Answered {
    request: u64,
    failed: bool,
    ended: bool,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self {
            pid: std::process::id(),
            thread: OnceLock::new(),
            urgency: AtomicU8::new(STATUS),
            ending: AtomicBool::new(false),
            requested: AtomicU64::new(0),
            answered: Mutex::default(),
            answer: Condvar::new(),
            failures: AtomicU64::new(0),
            last_failure: Guarded::new(None),
            file: Guarded::new(None),
        }
    }

    pub(crate) fn changed(&self, change: Change) {
        let urgency = match change {
            Change::Nothing => return,
            Change::Detail => DETAIL,
            Change::Status => STATUS,
        };
        // Most changes find that the thread knows already; then nothing is written to shared memory.
        if self.urgency.load(Ordering::Relaxed) < urgency
            && self.urgency.fetch_max(urgency, Ordering::AcqRel) < urgency
        {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(crate) fn write_failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(crate) fn last_failure(&self) -> Option<WriteFailure> {
        self.last_failure.read(Clone::clone).flatten()
    }

    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.file.read(Clone::clone).flatten()
    }

    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// There is no thread, and there will be none.
    pub(crate) fn close(&self) {
        self.answer(0, false, true);
    }

    /// Waits until all that was recorded before is out, for at most `patience`.
    pub(crate) fn flush(&self, patience: Duration) -> Result<(), FlushError> {
        let is_own_thread =
            self.thread.get().is_some_and(|thread| thread.id() == std::thread::current().id());
        if self.pid != std::process::id() || is_own_thread {
            return Err(FlushError::Ended);
        }
        let request = self.requested.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake();
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |answered: &mut Answered| answered.request < request && !answered.ended;
        let (answered, _) =
            self.answer.wait_timeout_while(answered, patience, open).unwrap_or_else(PoisonError::into_inner);
        match (answered.request >= request, answered.failed) {
            (true, false) => Ok(()),
            (true, true) => Err(self.last_failure().map_or(FlushError::TimedOut, FlushError::Failed)),
            (false, _) if answered.ended => Err(FlushError::Ended),
            (false, _) => Err(FlushError::TimedOut),
        }
    }

    fn answer(&self, request: u64, failed: bool, ended: bool) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_awaited = request > answered.request || ended;
        *answered = Answered { request, failed, ended };
        drop(answered);
        if is_awaited {
            self.answer.notify_all();
        }
    }
}

/// Starts the thread.
pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(format!("health {}", shared.identity.service)).spawn({
        let shared = Arc::clone(shared);
        move || Beating::new(shared).run()
    })?;
    // Two threads cannot race here: whoever starts it holds the only reference but the thread's own.
    let _ = shared.pulse.thread.set(thread.thread().clone());
    Ok(())
}

/// When the next write is due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    interval: Duration,
    last_try: Option<Duration>,
    failed: bool,
}

impl Schedule {
    /// When to write, on `CLOCK_BOOTTIME`; `changes_at` is when time alone changes the report.
    fn due_at(&self, now: Duration, urgency: u8, asked: bool, changes_at: Option<Duration>) -> Duration {
        let Some(last_try) = self.last_try else { return now };
        if asked {
            return now;
        }
        if self.failed {
            return last_try + RETRY_GAP.min(self.interval);
        }
        let gap = match urgency {
            IDLE => self.interval,
            DETAIL => DETAIL_GAP.min(self.interval),
            _ => STATUS_GAP,
        };
        changes_at.map_or(last_try + gap, |at| at.min(last_try + gap))
    }
}

struct Beating {
    shared: Arc<Shared>,
    schedule: Schedule,
    writer: Option<Writer>,
    tally: Tally,
    has_claimed: bool,
    looked_at_place: Instant,
    /// How long the machine slept so far: `CLOCK_BOOTTIME` goes on meanwhile, `CLOCK_MONOTONIC` does not.
    slept: Duration,
    #[cfg(feature = "sd-notify")]
    supervisor: crate::supervisor::Supervisor,
}

impl Beating {
    fn new(shared: Arc<Shared>) -> Self {
        let schedule = Schedule { interval: shared.identity.interval, last_try: None, failed: false };
        Self {
            #[cfg(feature = "sd-notify")]
            supervisor: crate::supervisor::Supervisor::default(),
            shared,
            schedule,
            writer: None,
            tally: Tally::default(),
            has_claimed: false,
            looked_at_place: Instant::now(),
            slept: clock::suspended(),
        }
    }

    fn run(mut self) {
        let mut retries = 0;
        loop {
            self.notice_sleep();
            let ending = self.shared.pulse.ending.load(Ordering::Acquire);
            let request = self.shared.pulse.requested.load(Ordering::Acquire);
            if !self.wait(ending, request) {
                continue;
            }
            let failed = self.beat().is_err();
            if failed && ending && retries < GOODBYE_RETRIES {
                retries += 1;
                std::thread::sleep(GOODBYE_GAP);
                continue;
            }
            self.shared.pulse.answer(request, failed, ending);
            if ending {
                return;
            }
        }
    }

    /// After the machine slept the report is old, and no loop could beat: neither is the service's fault.
    fn notice_sleep(&mut self) {
        let slept = clock::suspended();
        if slept > self.slept + SLEEP_TOLERANCE {
            self.shared.forgive_loops(slept - self.slept);
            self.shared.pulse.urgency.store(STATUS, Ordering::Release);
            self.slept = slept;
        }
    }

    /// Whether a write is due; otherwise it has waited, and what is due may be another thing by now.
    fn wait(&self, ending: bool, request: u64) -> bool {
        let pulse = &self.shared.pulse;
        let answered = pulse.answered.lock().unwrap_or_else(PoisonError::into_inner).request;
        let now = clock::boottime();
        let urgency = pulse.urgency.load(Ordering::Acquire);
        let asked = ending || request > answered;
        let due_at = self.schedule.due_at(now, urgency, asked, self.shared.next_change_at());
        if due_at <= now {
            return true;
        }
        std::thread::park_timeout(due_at - now);
        false
    }

    fn beat(&mut self) -> io::Result<()> {
        let now = clock::boottime();
        self.shared.expire_errors(now);
        // Before the report is put together: what changes from here on asks for another one.
        self.shared.pulse.urgency.store(IDLE, Ordering::Release);
        let result = self.write();
        self.schedule.last_try = Some(now);
        self.schedule.failed = result.is_err();
        match &result {
            Ok(()) => {
                self.tally.heartbeat_count += 1;
                self.tally.write_failures = 0;
                self.shared.pulse.failures.store(0, Ordering::Relaxed);
            }
            Err(error) => self.note_failure(error),
        }
        result
    }

    fn write(&mut self) -> io::Result<()> {
        self.let_go_of_a_replaced_directory();
        if self.writer.is_none() {
            // The claim may fail or hang, and the service is ready all the same.
            #[cfg(feature = "sd-notify")]
            self.supervisor.tell(&self.shared.report(self.tally));
            self.writer = Some(self.claim()?);
        }
        let mut report = self.shared.report(self.tally);
        report.heartbeat_count += 1;
        #[cfg(feature = "sd-notify")]
        self.supervisor.tell(&report);
        let Some(writer) = &mut self.writer else { return Err(io::ErrorKind::NotFound.into()) };
        match writer.write(&report) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                leave_out_metadata(&mut report);
                writer.write(&report)
            }
            // Somebody else has taken our name meanwhile, and it will not be given back: the next try takes another.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.writer = None;
                Err(error)
            }
            Err(_) if !writer.is_in_place() => {
                self.writer = None;
                let writer = self.claim()?;
                self.writer.insert(writer).write(&report)
            }
            result => result,
        }
    }

    fn claim(&mut self) -> io::Result<Writer> {
        let identity = &self.shared.identity;
        let writer = Writer::claim(&identity.dir, &identity.service, Claim::LowestFree)?;
        self.tally.instance = Some(u64::from(writer.name().slot())).filter(|slot| *slot > 1);
        self.shared.pulse.file.write(|file| *file = Some(writer.file()));
        if let Some(previous) = writer.previous().filter(|_| !std::mem::replace(&mut self.has_claimed, true))
        {
            let crashed = u64::from(!has_ended_well(&previous.report));
            self.tally.restart_count = previous.report.restart_count.saturating_add(crashed);
            self.shared.errors.write(|errors| errors.remember(&previous.report.recent_errors));
        }
        Ok(writer)
    }

    /// Somebody may have moved the directory away and made a new one, in which nobody would find our report.
    fn let_go_of_a_replaced_directory(&mut self) {
        if self.looked_at_place.elapsed() < PLACE_GAP {
            return;
        }
        self.looked_at_place = Instant::now();
        self.writer = self.writer.take().filter(Writer::is_in_place);
    }

    fn note_failure(&mut self, error: &io::Error) {
        self.tally.write_failures += 1;
        self.shared.pulse.failures.store(self.tally.write_failures, Ordering::Relaxed);
        let message =
            format!("cannot write a health file in {}: {error}", self.shared.identity.dir.display());
        let failure = WriteFailure { message, at: clock::coarse_wall() };
        self.shared.pulse.last_failure.write(|last| *last = Some(failure));
    }
}

/// All else in a report has an end that is far from the limit.
fn leave_out_metadata(report: &mut HealthReport) {
    for check in &mut report.checks {
        check.metadata.clear();
        check.metadata.insert("left_out".to_owned(), "all metadata: the report would be too large".into());
    }
}

/// A job that finished with an error has said how it ended, and is no less broken for it.
fn has_ended_well(report: &HealthReport) -> bool {
    match report.state {
        State::Finished => !report.worst_status().is_bad(),
        state => state.is_goodbye(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_changed_decides_when_it_is_out() {
        let schedule = Schedule { interval: seconds(10), last_try: Some(seconds(100)), failed: false };
        let due_at = |urgency| schedule.due_at(seconds(100), urgency, false, None);
        assert_eq!(due_at(IDLE), seconds(110));
        assert_eq!(due_at(DETAIL), seconds(101));
        assert!(due_at(STATUS) <= seconds(100) + Duration::from_millis(50));
        assert_eq!(schedule.due_at(seconds(100), IDLE, true, None), seconds(100));
        assert_eq!(schedule.due_at(seconds(100), IDLE, false, Some(seconds(103))), seconds(103));
    }

    #[test]
    fn a_failed_write_is_tried_again_each_second_whatever_happens() {
        let schedule = Schedule { interval: seconds(10), last_try: Some(seconds(100)), failed: true };
        for urgency in [IDLE, DETAIL, STATUS] {
            assert_eq!(schedule.due_at(seconds(100), urgency, false, Some(seconds(90))), seconds(101));
        }
    }
}
