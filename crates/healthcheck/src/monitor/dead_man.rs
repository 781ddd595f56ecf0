//! The dead-man's switch: a message that waits at the ntfy server is moved on while the monitor lives, and is
//! delivered when nobody does that any more. A stop moves it farther; only a farewell for good takes it back.

use crate::channels::Channel;
use crate::channels::ntfy::Ntfy;
use crate::channels::ping::Ping;
use health_reporter::Status;
use healthcheck_core::alerts::{Notice, NoticeReason, Outcome};
use healthcheck_core::wording;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use std::{fs, io};

/// Whoever only tries the monitor for a moment leaves no message behind.
const FIRST: Duration = Duration::from_secs(60);
/// A server that cannot be reached is asked again so soon.
const AGAIN: Duration = Duration::from_secs(60);
/// After a stop the machine has so many windows to come back.
const WINDOWS_AFTER_STOP: u32 = 6;
/// No ntfy server keeps a message for longer before it is delivered.
const MAX_DELAY: Duration = Duration::from_secs(3 * 86_400);
/// How long whoever stops waits for the message to be moved.
const PATIENCE: Duration = Duration::from_millis(700);
const FILE: &str = "dead_man.json";

/// What is needed to move the message on, and to ping.
pub(crate) struct Switch {
    pub(crate) ntfy: Option<Ntfy>,
    pub(crate) ping: Option<Ping>,
    pub(crate) host: String,
    /// By what the message is known to the server.
    pub(crate) sequence: String,
    pub(crate) window: Duration,
    pub(crate) ping_interval: Duration,
    pub(crate) state_dir: PathBuf,
}

/// What is kept of the message that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Armed {
    sequence: String,
    fires_at: Timestamp,
}

impl Switch {
    /// The message is delivered a window from now, unless it is moved again.
    fn arm(&mut self, now: Timestamp) -> Outcome {
        let former = self.take_back_former();
        if former != Outcome::Accepted {
            return former;
        }
        let time = local(now);
        let silent = wording::duration(self.window);
        let title = format!("{}: no sign of life", self.host);
        let text = format!(
            "{}: no sign of life for {silent}, the last one at {time}: the machine, its network or the monitor is down",
            self.host
        );
        self.schedule(now, self.window, &title, &text)
    }

    /// What waits under another name, of a `state.db` that is not there any more, nobody would ever move.
    fn take_back_former(&self) -> Outcome {
        match self.kept() {
            Some(armed) if armed.sequence != self.sequence => self.retire(),
            _ => Outcome::Accepted,
        }
    }

    /// It is farther away after a stop.
    fn stop(&mut self, now: Timestamp) -> Outcome {
        if self.kept().is_none() {
            return Outcome::Accepted;
        }
        let delay = self.window.saturating_mul(WINDOWS_AFTER_STOP).min(MAX_DELAY);
        let title = format!("{} has not come back", self.host);
        let text = format!("{} stopped at {} and has not come back", self.host, local(now));
        self.schedule(now, delay, &title, &text)
    }

    fn schedule(&mut self, now: Timestamp, delay: Duration, title: &str, text: &str) -> Outcome {
        let Some(ntfy) = &self.ntfy else { return Outcome::Accepted };
        let outcome = ntfy.schedule(&self.sequence, delay, title, text);
        if outcome == Outcome::Accepted {
            let fires_at = now.checked_add(delay).unwrap_or(Timestamp::MAX);
            let armed = Armed { sequence: self.sequence.clone(), fires_at };
            if let Err(error) = self.keep(&armed) {
                tracing::warn!("{FILE}: {error}");
            }
        }
        outcome
    }

    /// If the message was delivered meanwhile, whoever read it is told that it is over.
    fn come_back(&mut self, now: Timestamp) -> Outcome {
        let Some(armed) = self.kept().filter(|armed| armed.fires_at <= now) else { return Outcome::Accepted };
        let Some(ntfy) = &mut self.ntfy else { return Outcome::Accepted };
        let outcome = ntfy.send(&back(&self.host, &self.sequence, now));
        if outcome == Outcome::Accepted && armed.sequence == self.sequence {
            let _ = fs::remove_file(self.state_dir.join(FILE));
        }
        outcome
    }

    /// Takes the message back.
    pub(crate) fn retire(&self) -> Outcome {
        let Some(armed) = self.kept() else { return Outcome::Accepted };
        let Some(ntfy) = &self.ntfy else { return Outcome::Accepted };
        let outcome = ntfy.cancel(&armed.sequence);
        if outcome == Outcome::Accepted {
            let _ = fs::remove_file(self.state_dir.join(FILE));
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
    Retire(tokio::sync::oneshot::Sender<Outcome>),
}

/// What does not work, by what it is.
type Problems = Arc<Mutex<BTreeMap<&'static str, String>>>;

/// The thread that moves the message, where there is one to be moved or somebody to be pinged.
#[derive(Default)]
pub(super) struct DeadMan {
    orders: Option<Sender<Order>>,
    problems: Problems,
}

impl DeadMan {
    pub(super) fn begin(switch: Option<Switch>) -> Self {
        let Some(switch) = switch else { return Self::default() };
        let (orders, received) = channel();
        let problems = Problems::default();
        let work = Work { switch, problems: Arc::clone(&problems), is_retired: false };
        let thread = Builder::new().name("dead_man".to_owned()).spawn(move || work.go_on(&received));
        Self { orders: thread.ok().map(|_| orders), problems }
    }

    pub(super) const fn is_there(&self) -> bool {
        self.orders.is_some()
    }

    /// Why the message is not where it should be.
    pub(super) fn problem(&self) -> Option<String> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.values().next().cloned()
    }

    /// The monitor stops: the message is moved far enough for the machine to come back.
    pub(super) fn stop(self) {
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
    pub(super) fn retire(&self, done: tokio::sync::oneshot::Sender<Outcome>) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(Order::Retire(done));
        }
    }
}

struct Work {
    switch: Switch,
    problems: Problems,
    is_retired: bool,
}

impl Work {
    fn go_on(mut self, orders: &Receiver<Order>) {
        let mut arm_at = Instant::now() + FIRST;
        let mut ping_at = Instant::now();
        loop {
            let wait = self.due(arm_at, ping_at).saturating_duration_since(Instant::now());
            match orders.recv_timeout(wait) {
                Ok(Order::Stop(done)) => {
                    if !self.is_retired {
                        self.switch.stop(Timestamp::now());
                    }
                    let _ = done.send(());
                    return;
                }
                Ok(Order::Leave) => {
                    self.switch.retire();
                    return;
                }
                Ok(Order::Retire(done)) => {
                    let outcome = self.switch.retire();
                    self.is_retired = outcome == Outcome::Accepted;
                    let _ = done.send(outcome);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if ping_at <= Instant::now() {
                        ping_at = self.ping();
                    }
                    if arm_at <= Instant::now() && !self.is_retired {
                        arm_at = self.arm();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn due(&self, arm_at: Instant, ping_at: Instant) -> Instant {
        let far = Instant::now() + MAX_DELAY;
        let arm = self.switch.ntfy.as_ref().filter(|_| !self.is_retired).map(|_| arm_at);
        let ping = self.switch.ping.as_ref().map(|_| ping_at);
        arm.into_iter().chain(ping).min().unwrap_or(far)
    }

    /// When it is to be moved next.
    fn arm(&mut self) -> Instant {
        let now = Timestamp::now();
        let outcome = match self.switch.come_back(now) {
            Outcome::Accepted => self.switch.arm(now),
            outcome => outcome,
        };
        let pause = if outcome == Outcome::Accepted { self.switch.window / 2 } else { AGAIN };
        self.note(&outcome, "the dead-man's message");
        Instant::now() + pause
    }

    fn ping(&self) -> Instant {
        if let Some(ping) = &self.switch.ping {
            let outcome = ping.send();
            self.note(&outcome, "the ping");
        }
        Instant::now() + self.switch.ping_interval
    }

    fn note(&self, outcome: &Outcome, what: &'static str) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome.error() {
            Some(error) => drop(problems.insert(what, format!("{what} was not accepted: {error}"))),
            None => drop(problems.remove(what)),
        }
    }
}
