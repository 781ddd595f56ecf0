//! The dead-man's switch: a message that waits at the ntfy server is moved on while the monitor lives, and is
//! delivered when nobody does that any more. A stop moves it farther; only a farewell for good takes it back.

use crate::channels::Channel;
use crate::channels::ntfy::Ntfy;
use crate::channels::ping::Ping;
use health_reporter::{Status, clock, mask_credentials};
use healthcheck_core::alerts::{Notice, NoticeReason, Outcome};
use healthcheck_core::wording;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;
use std::{fs, io};

/// Whoever only tries the monitor for a moment leaves no message behind.
const FIRST: Duration = Duration::from_secs(60);
/// A server that cannot be reached is asked again so soon.
const AGAIN: Duration = Duration::from_secs(60);
/// After a stop the machine has so many windows to come back.
const WINDOWS_AFTER_STOP: u32 = 6;
/// No ntfy server keeps a message for longer before it is delivered.
const MAX_DELAY: Duration = Duration::from_secs(3 * 86_400);
/// How long whoever stops waits for the message to be moved, where one may wait.
const PATIENCE: Duration = Duration::from_secs(3);
/// A wait does not see how long the machine slept, so it looks at the clock that often.
const LOOK: Duration = Duration::from_secs(60);
/// What fails for a shorter time is no problem of anybody.
const LASTING: Duration = Duration::from_secs(300);
/// The part of the window that is left when a message that could not be moved becomes a problem.
const LAST_PART: u32 = 4;
const FILE: &str = "dead_man.json";

/// What is needed to move the message on, and to ping.
pub(crate) struct Switch {
    pub(crate) ntfy: Option<(Ntfy, Place)>,
    pub(crate) ping: Option<Ping>,
    pub(crate) host: String,
    /// By what the message is known to the server.
    pub(crate) sequence: String,
    /// Without one no message is to wait, and one that waits is taken back.
    pub(crate) window: Option<Duration>,
    pub(crate) ping_interval: Duration,
    pub(crate) state_dir: PathBuf,
}

/// Where the message waits, without what has to be kept a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    server: String,
    topic_sha256: String,
}

impl Place {
    pub(crate) fn of(server: &str, topic: &str) -> Self {
        let hash = digest(&SHA256, topic.as_bytes());
        let topic_sha256 = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { server: mask_credentials(server).to_string(), topic_sha256 }
    }
}

/// What is kept of the message that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Armed {
    sequence: String,
    fires_at: Timestamp,
    /// Not known of one that an older monitor left.
    #[serde(default)]
    place: Option<Place>,
}

/// What became of the message of a machine that says goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Retired {
    TakenBack,
    NoneWaited,
}

impl Switch {
    /// Whether there is anything to be done now and then.
    pub(crate) fn is_needed(&self) -> bool {
        let has_message = self.ntfy.is_some() && (self.window.is_some() || self.kept().is_some());
        has_message || self.ping.is_some()
    }

    /// Whether a message may wait, or soon.
    fn is_armed(&self) -> bool {
        self.ntfy.is_some() && self.window.is_some() && self.kept().is_some()
    }

    /// The message is where it should be, for half a window.
    fn move_on(&mut self, now: Timestamp) -> Outcome {
        let Some(window) = self.window else { return self.clear(now) };
        match self.come_back(now) {
            Outcome::Accepted => self.arm(now, window),
            outcome => outcome,
        }
    }

    /// Nothing is to wait, also not what a former configuration left.
    fn clear(&self, now: Timestamp) -> Outcome {
        if self.warns_of_another_place(now) {
            self.forget();
        }
        self.take_back()
    }

    /// The message is delivered a window from now, unless it is moved again.
    fn arm(&mut self, now: Timestamp, window: Duration) -> Outcome {
        let former = self.take_back_former(now);
        if former != Outcome::Accepted {
            return former;
        }
        let time = local(now);
        let silent = wording::duration(window);
        let title = format!("{}: no sign of life", self.host);
        let text = format!(
            "{}: no sign of life for {silent}, the last one at {time}: the machine, its network or the monitor is down",
            self.host
        );
        self.schedule(now, window, &title, &text)
    }

    /// What waits under another name, of a `state.db` that is not there any more, nobody would ever move.
    fn take_back_former(&self, now: Timestamp) -> Outcome {
        let is_elsewhere = self.warns_of_another_place(now);
        match self.kept() {
            Some(armed) if !is_elsewhere && armed.sequence != self.sequence => self.take_back(),
            _ => Outcome::Accepted,
        }
    }

    /// Whether one waits where we do not speak to anybody any more, which is said.
    fn warns_of_another_place(&self, now: Timestamp) -> bool {
        let Some(armed) = self.kept().filter(|armed| armed.fires_at > now && self.is_elsewhere(armed)) else {
            return false;
        };
        tracing::warn!(
            "the dead-man's message may still come at {}: {}",
            local(armed.fires_at),
            armed.is_at()
        );
        true
    }

    fn is_elsewhere(&self, armed: &Armed) -> bool {
        let here = self.ntfy.as_ref().map(|(_, place)| place);
        armed.place.as_ref().is_some_and(|place| Some(place) != here)
    }

    /// It is farther away after a stop.
    fn stop(&mut self, now: Timestamp) {
        let Some(window) = self.window.filter(|_| self.is_armed()) else { return };
        let delay = window.saturating_mul(WINDOWS_AFTER_STOP).min(MAX_DELAY);
        let title = format!("{} has not come back", self.host);
        let text = format!("{} stopped at {} and has not come back", self.host, local(now));
        // Whoever stops can do no more about it.
        self.schedule(now, delay, &title, &text);
    }

    fn schedule(&mut self, now: Timestamp, delay: Duration, title: &str, text: &str) -> Outcome {
        let Some((ntfy, place)) = &self.ntfy else { return Outcome::Accepted };
        let outcome = ntfy.schedule(&self.sequence, delay, title, text);
        if outcome == Outcome::Accepted {
            let fires_at = now.checked_add(delay).unwrap_or(Timestamp::MAX);
            let armed = Armed { sequence: self.sequence.clone(), fires_at, place: Some(place.clone()) };
            if let Err(error) = self.keep(&armed) {
                tracing::warn!("{FILE}: {error}");
            }
        }
        outcome
    }

    /// If the message was delivered meanwhile, whoever read it is told that it is over.
    fn come_back(&mut self, now: Timestamp) -> Outcome {
        let Some(armed) = self.kept().filter(|armed| armed.fires_at <= now) else { return Outcome::Accepted };
        let Some((ntfy, _)) = &mut self.ntfy else { return Outcome::Accepted };
        let outcome = ntfy.send(&back(&self.host, &self.sequence, now));
        if outcome == Outcome::Accepted && armed.sequence == self.sequence {
            self.forget();
        }
        outcome
    }

    /// Takes the message back, and says whether there was one.
    ///
    /// # Errors
    ///
    /// Why it still waits.
    pub(crate) fn retire(&self) -> Result<Retired, String> {
        let Some(armed) = self.kept() else { return Ok(Retired::NoneWaited) };
        if self.ntfy.is_none() || self.is_elsewhere(&armed) {
            return Err(format!("{}: configure that one again, and retire then", armed.is_at()));
        }
        self.take_back().error().map_or(Ok(Retired::TakenBack), |error| Err(error.to_owned()))
    }

    fn take_back(&self) -> Outcome {
        let Some(armed) = self.kept() else { return Outcome::Accepted };
        let Some((ntfy, _)) = &self.ntfy else { return Outcome::Accepted };
        let outcome = ntfy.cancel(&armed.sequence);
        if outcome == Outcome::Accepted {
            self.forget();
        }
        outcome
    }

    fn kept(&self) -> Option<Armed> {
        serde_json::from_slice(&fs::read(self.state_dir.join(FILE)).ok()?).ok()
    }

    fn keep(&self, armed: &Armed) -> io::Result<()> {
        let stage = self.state_dir.join(format!(".{FILE}"));
        fs::write(&stage, serde_json::to_vec(armed)?)?;
        fs::rename(&stage, self.state_dir.join(FILE))
    }

    fn forget(&self) {
        let _ = fs::remove_file(self.state_dir.join(FILE));
    }
}

impl Armed {
    fn is_at(&self) -> String {
        let server = self.place.as_ref().map_or("an ntfy server", |place| place.server.as_str());
        format!("it waits at {server} under a topic that is not configured any more")
    }
}

fn local(at: Timestamp) -> String {
    let at = TimeZone::system().to_datetime(at);
    format!("{:02}:{:02} on {}", at.hour(), at.minute(), at.date())
}

fn back(host: &str, sequence: &str, now: Timestamp) -> Notice {
    Notice {
        id: format!("{sequence}-back-{}", now.as_second()),
        channel: String::new(),
        host: host.to_owned(),
        at: now,
        reason: NoticeReason::Recovered,
        status: Status::Healthy,
        incident: None,
        thread: sequence.to_owned(),
        title: format!("{host} is back"),
        text: format!("{host} is back: its monitor runs again since {}", local(now)),
        items: Vec::new(),
        still_bad: Vec::new(),
        left_out: 0,
    }
}

enum Order {
    Stop(Sender<()>),
    Leave,
    Retire(tokio::sync::oneshot::Sender<Result<Retired, String>>),
}

/// What others see of the thread.
#[derive(Default)]
struct Seen {
    /// What does not work, by what it is.
    problems: Mutex<BTreeMap<&'static str, String>>,
    /// Whether a message may wait.
    is_armed: AtomicBool,
}

/// The thread that moves the message, where there is one to be moved or somebody to be pinged.
#[derive(Default)]
pub(super) struct DeadMan {
    orders: Option<Sender<Order>>,
    seen: Arc<Seen>,
}

impl DeadMan {
    pub(super) fn begin(switch: Switch) -> Self {
        if !switch.is_needed() {
            return Self::default();
        }
        let (orders, received) = channel();
        let seen = Arc::new(Seen { is_armed: AtomicBool::new(switch.is_armed()), ..Seen::default() });
        let work = Work::new(switch, Arc::clone(&seen));
        let thread = Builder::new().name("dead_man".to_owned()).spawn(move || work.go_on(&received));
        Self { orders: thread.ok().map(|_| orders), seen }
    }

    pub(super) const fn is_there(&self) -> bool {
        self.orders.is_some()
    }

    /// Why the message is not where it should be.
    pub(super) fn problem(&self) -> Option<String> {
        let problems = self.seen.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.values().next().cloned()
    }

    /// How it is without a problem.
    pub(super) fn how(&self) -> &'static str {
        if self.is_armed() { "the message waits" } else { "no message waits" }
    }

    fn is_armed(&self) -> bool {
        self.seen.is_armed.load(Ordering::Relaxed)
    }

    /// The monitor stops: the message is moved far enough for the machine to come back.
    pub(super) fn stop(self) {
        if !self.is_armed() {
            return;
        }
        let (done, wait) = channel();
        if self.orders.is_some_and(|orders| orders.send(Order::Stop(done)).is_ok()) {
            let _ = wait.recv_timeout(PATIENCE);
        }
    }

    /// The message waits elsewhere from now on, or nowhere: here nobody would move it any more.
    pub(super) fn leave(self) {
        if let Some(orders) = self.orders {
            let _ = orders.send(Order::Leave);
        }
    }

    /// The machine says goodbye for good.
    pub(super) fn retire(&self, done: tokio::sync::oneshot::Sender<Result<Retired, String>>) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(Order::Retire(done));
        }
    }
}

struct Work {
    switch: Switch,
    seen: Arc<Seen>,
    /// When the message is to be moved next, if it is.
    move_at_boottime: Option<Duration>,
    ping_at_boottime: Option<Duration>,
    message_fails: Failing,
    ping_fails: Failing,
}

impl Work {
    fn new(switch: Switch, seen: Arc<Seen>) -> Self {
        let now = clock::boottime();
        // Whoever was here before may be about to take his message back, where it is another one.
        let is_at_once = switch.window.is_none() && !switch.kept().is_some_and(|it| switch.is_elsewhere(&it));
        let first = if is_at_once { now } else { now + FIRST };
        Self {
            move_at_boottime: switch.ntfy.as_ref().map(|_| first),
            ping_at_boottime: switch.ping.as_ref().map(|_| now),
            switch,
            seen,
            message_fails: Failing::default(),
            ping_fails: Failing::default(),
        }
    }

    fn go_on(mut self, orders: &Receiver<Order>) {
        loop {
            match orders.recv_timeout(self.pause()) {
                Ok(Order::Stop(done)) => {
                    self.switch.stop(Timestamp::now());
                    let _ = done.send(());
                    return;
                }
                Ok(Order::Leave) => {
                    self.switch.take_back();
                    return;
                }
                Ok(Order::Retire(done)) => {
                    let _ = done.send(self.retire());
                }
                Err(RecvTimeoutError::Timeout) => self.do_what_is_due(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whoever waits does not see that the machine sleeps: where a message waits that is looked after once a minute.
    fn pause(&self) -> Duration {
        let next = self.move_at_boottime.into_iter().chain(self.ping_at_boottime).min();
        let pause = next.map_or(MAX_DELAY, |at| at.saturating_sub(clock::boottime()));
        if self.move_at_boottime.is_some() { pause.min(LOOK) } else { pause }
    }

    fn do_what_is_due(&mut self) {
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= clock::boottime());
        if is_due(self.ping_at_boottime) {
            self.ping();
        }
        if is_due(self.move_at_boottime) {
            self.move_on();
        }
    }

    fn move_on(&mut self) {
        // Also of an attempt that fails nobody knows whether the server took it.
        self.seen.is_armed.store(self.switch.window.is_some(), Ordering::Relaxed);
        let outcome = self.switch.move_on(Timestamp::now());
        let lasts = self.message_fails.lasts(&outcome);
        self.note("the dead-man's message", &outcome, self.is_message_missed(lasts));
        let pause = match outcome {
            Outcome::Accepted => self.switch.window.map(|window| window / 2),
            _ => Some(AGAIN),
        };
        self.move_at_boottime = pause.map(|pause| clock::boottime() + pause);
    }

    /// As long as enough of the window is left, nobody has to care.
    fn is_message_missed(&self, lasts: Duration) -> bool {
        let (Some(window), Some(armed)) = (self.switch.window, self.switch.kept()) else {
            return lasts >= LASTING;
        };
        let left = armed.fires_at.duration_since(Timestamp::now());
        Duration::try_from(left).unwrap_or_default() < window / LAST_PART
    }

    fn ping(&mut self) {
        if let Some(ping) = &self.switch.ping {
            let outcome = ping.send();
            let lasts = self.ping_fails.lasts(&outcome);
            self.note("the ping", &outcome, lasts >= LASTING);
        }
        self.ping_at_boottime = Some(clock::boottime() + self.switch.ping_interval);
    }

    fn retire(&mut self) -> Result<Retired, String> {
        let retired = self.switch.retire()?;
        self.move_at_boottime = None;
        self.seen.is_armed.store(false, Ordering::Relaxed);
        Ok(retired)
    }

    fn note(&self, what: &'static str, outcome: &Outcome, is_problem: bool) {
        let mut problems = self.seen.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome.error() {
            Some(error) if is_problem => {
                drop(problems.insert(what, format!("{what} was not accepted: {error}")));
            }
            Some(error) => tracing::info!("{what} was not accepted: {error}"),
            None => drop(problems.remove(what)),
        }
    }
}

/// Since when something fails, without a success between.
#[derive(Default)]
struct Failing(Option<Duration>);

impl Failing {
    fn lasts(&mut self, outcome: &Outcome) -> Duration {
        let now = clock::boottime();
        self.0 = (*outcome != Outcome::Accepted).then(|| self.0.unwrap_or(now));
        self.0.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }
}
