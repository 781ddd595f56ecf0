//! Who sends notices: one thread a channel, so that no channel waits for another, and the loop that judges for none.

use crate::channels::Channel;
use crate::commands::telling::STDOUT;
use health_reporter::clock;
use healthcheck_core::alerts::{Notice, Outcome};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self as jobs, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How an attempt to deliver a notice ended.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) channel: String,
    pub(super) notice: String,
    pub(super) attempt: u32,
    pub(super) outcome: Outcome,
    /// How long it waited for the channel.
    pub(super) waited: Duration,
    /// How long the channel took.
    pub(super) took: Duration,
}

/// A notice to be sent.
struct Job {
    notice: Notice,
    attempt: u32,
    handed: Instant,
    /// It is not sent any more at this boot time or after.
    until: Option<Duration>,
}

/// The channels, each with its thread once there is something to send.
pub(super) struct Posts {
    posts: BTreeMap<String, Post>,
    /// Why the last attempt failed, of those that will be tried again.
    failing: BTreeMap<String, String>,
    delivered: mpsc::UnboundedSender<Delivered>,
}

struct Post {
    /// It outlives a thread that could not be started.
    channel: Shared,
    jobs: Option<Sender<Job>>,
}

type Shared = Arc<Mutex<Box<dyn Channel>>>;

impl Posts {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Delivered>) {
        let (delivered, received) = mpsc::unbounded_channel();
        (Self { posts: BTreeMap::new(), failing: BTreeMap::new(), delivered }, received)
    }

    /// Sends through these from now on. What another one is just sending is still finished.
    pub(super) fn open(&mut self, channels: BTreeMap<String, Box<dyn Channel>>) {
        let post = |channel| Post { channel: Arc::new(Mutex::new(channel)), jobs: None };
        self.posts = channels.into_iter().map(|(name, channel)| (name, post(channel))).collect();
        self.failing.clear();
    }

    /// Takes in how an attempt ended.
    pub(super) fn note(&mut self, delivered: &Delivered) {
        let channel = delivered.channel.clone();
        match &delivered.outcome {
            Outcome::Failed { error, .. } => {
                self.failing.insert(channel, error.clone());
            }
            Outcome::Accepted | Outcome::Refused { .. } => {
                self.failing.remove(&channel);
            }
        }
    }

    /// How a channel is that has not failed for good.
    pub(super) fn how(&self, channel: &str) -> String {
        let error = self.failing.get(channel);
        error.map_or_else(|| "works".to_owned(), |error| format!("is tried again: {error}"))
    }

    /// Tries to deliver a notice, unless this boot time is over; how that ends is heard of in any case.
    pub(super) fn send(&mut self, notice: Notice, attempt: u32, until: Option<Duration>) {
        let (channel, id) = (notice.channel.clone(), notice.id.clone());
        let outcome = match self.hand_over(Job { notice, attempt, handed: Instant::now(), until }) {
            Ok(()) => return,
            // The notice is on the standard output already.
            Err(_) if channel == STDOUT && !self.posts.contains_key(STDOUT) => Outcome::Accepted,
            Err(error) => Outcome::Failed { error, retry_after: None },
        };
        let delivered =
            Delivered { channel, notice: id, attempt, outcome, waited: Duration::ZERO, took: Duration::ZERO };
        // Whoever listens ends after us.
        let _ = self.delivered.send(delivered);
    }

    fn hand_over(&mut self, job: Job) -> Result<(), String> {
        let name = job.notice.channel.clone();
        let post = self.posts.get_mut(&name).ok_or("there is no such channel any more")?;
        let jobs = match post.jobs.take() {
            Some(jobs) => jobs,
            None => begin(name, Arc::clone(&post.channel), self.delivered.clone())?,
        };
        jobs.send(job).map_err(|_| "its thread ended")?;
        post.jobs = Some(jobs);
        Ok(())
    }
}

fn begin(
    name: String,
    channel: Shared,
    delivered: mpsc::UnboundedSender<Delivered>,
) -> Result<Sender<Job>, String> {
    let (jobs, received) = jobs::channel::<Job>();
    let work = move || {
        for Job { notice, attempt, handed, until } in received {
            let (began, waited) = (Instant::now(), handed.elapsed());
            let is_late = until.is_some_and(|until| until <= clock::boottime());
            let outcome = if is_late { too_late() } else { try_once(&channel, &notice) };
            let (channel, notice, took) = (name.clone(), notice.id, began.elapsed());
            if delivered.send(Delivered { channel, notice, attempt, outcome, waited, took }).is_err() {
                return;
            }
        }
    };
    let thread = Builder::new().name("channel".to_owned()).spawn(work);
    thread.map(|_| jobs).map_err(|error| format!("no thread could be started for it: {error}"))
}

/// This process was stopped for a while: somebody else may tell it by now.
fn too_late() -> Outcome {
    let error = "it waited for too long after it was made sure that nobody else tells it".to_owned();
    Outcome::Failed { error, retry_after: None }
}

/// Whatever happens in it, somebody hears how it ended: who does not would wait for ever.
fn try_once(channel: &Shared, notice: &Notice) -> Outcome {
    let mut channel = channel.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = catch_unwind(AssertUnwindSafe(|| channel.send(notice)));
    outcome
        .unwrap_or_else(|_| Outcome::Failed { error: "the attempt broke off".to_owned(), retry_after: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use health_reporter::Status;
    use healthcheck_core::alerts::NoticeReason;
    use jiff::Timestamp;

    /// Breaks off at its first attempt.
    struct Clumsy(u32);

    impl Channel for Clumsy {
        fn send(&mut self, _: &Notice) -> Outcome {
            self.0 += 1;
            assert!(self.0 > 1, "a fault of ours");
            Outcome::Accepted
        }
    }

    fn notice() -> Notice {
        Notice {
            id: "n-1".to_owned(),
            channel: "clumsy".to_owned(),
            host: "deimos".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            reason: NoticeReason::Opened,
            status: Status::Error,
            incident: None,
            thread: "t-1".to_owned(),
            title: String::new(),
            text: String::new(),
            items: Vec::new(),
            still_bad: Vec::new(),
            left_out: 0,
        }
    }

    #[test]
    fn an_attempt_that_breaks_off_is_a_failure_and_the_next_one_is_made() {
        let (mut posts, mut delivered) = Posts::new();
        posts.open([("clumsy".to_owned(), Box::new(Clumsy(0)) as Box<dyn Channel>)].into());
        for (attempt, outcome) in [(1, "failed"), (2, "accepted")] {
            posts.send(notice(), attempt, None);
            let ended = delivered.blocking_recv().unwrap();
            assert_eq!((ended.attempt, ended.outcome.as_str()), (attempt, outcome));
        }
    }
    #[test]
    fn f28_what_waited_for_too_long_is_not_sent() {
        let (mut posts, mut delivered) = Posts::new();
        posts.open([("clumsy".to_owned(), Box::new(Clumsy(1)) as Box<dyn Channel>)].into());
        let now = clock::boottime();
        for (until, outcome) in [(now, "failed"), (now + Duration::from_secs(60), "accepted")] {
            posts.send(notice(), 1, Some(until));
            assert_eq!(delivered.blocking_recv().unwrap().outcome.as_str(), outcome);
        }
    }
}
