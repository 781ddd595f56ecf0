//! The programs that we started, and whatever they started: all of it ends with the look.
//!
//! A program is ended with its process group. Who left the group is found by its parent: we are the reaper of all
//! orphans below us, so that whoever loses its parent becomes a child of ours. A child that we did not start is a
//! leftover of a program that has ended, unless a program still runs that is older than it.

use health_reporter::clock::start_ticks;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{self, Instant};

static FAMILY: Mutex<Family> =
    Mutex::new(Family { adopts: None, running: BTreeMap::new(), dying: Vec::new() });

struct Family {
    /// Whether orphans are ours to end; nothing before the first program.
    adopts: Option<bool>,
    /// What runs, and since when, in clock ticks.
    running: BTreeMap<u32, u64>,
    /// What was killed and has not ended yet.
    dying: Vec<Child>,
}

fn family<T>(with: impl FnOnce(&mut Family) -> T) -> T {
    with(&mut FAMILY.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A program that we started; dropped, it is killed with its group.
pub(super) struct Member {
    /// Nothing once it is buried.
    child: Option<Child>,
    pid: u32,
    end: Option<AsyncFd<OwnedFd>>,
}

impl Member {
    pub(super) fn start(command: &mut Command, niceness: Option<i32>) -> io::Result<Self> {
        family(Family::adopt);
        let child = command.spawn()?;
        let pid = child.id();
        if let (Some(niceness), Ok(pid)) = (niceness, pid_of(pid)) {
            // Where that may not be, it is only less polite.
            let _ = rustix::process::setpriority_process(Some(pid), niceness);
        }
        family(|family| family.running.insert(pid, start_ticks(pid).unwrap_or_default()));
        Ok(Self { child: Some(child), pid, end: None })
    }

    pub(super) fn pipes(&mut self) -> (Option<OwnedFd>, Option<OwnedFd>) {
        let Some(child) = &mut self.child else { return (None, None) };
        (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from))
    }

    #[expect(deprecated, reason = "its successor is unsafe, for the sake of others than OwnedFd")]
    pub(super) fn watch(&mut self) -> io::Result<()> {
        let end = rustix::process::pidfd_open(pid_of(self.pid)?, PidfdFlags::empty())?;
        self.end = Some(AsyncFd::with_interest(end, Interest::READABLE)?);
        Ok(())
    }

    /// Whether it has ended. It is not reaped by this, so that its number, and its group's, stay its own.
    pub(super) fn poll_end(&self, context: &mut Context<'_>) -> Poll<()> {
        match &self.end {
            Some(end) => ready!(end.poll_read_ready(context)).map_or(Poll::Ready(()), |_| Poll::Ready(())),
            None => Poll::Pending,
        }
    }

    /// Kills it and all that it left behind, and returns how it ended, if that is known by then.
    pub(super) async fn bury(mut self, deadline: Instant) -> Option<ExitStatus> {
        self.kill();
        let _ = time::timeout_at(deadline, poll_fn(|context| self.poll_end(context))).await;
        let mut child = self.child.take()?;
        let status = child.try_wait().ok().flatten();
        family(|family| family.bury(child));
        let mut pause = Duration::from_millis(1);
        while family(Family::end_orphans) > 0 && Instant::now() + pause < deadline {
            time::sleep(pause).await;
            pause *= 2;
        }
        status
    }

    fn kill(&self) {
        let Some(pid) = pid_of(self.pid).ok().filter(|_| self.child.is_some()) else { return };
        // It may have gone to another group by itself.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
        if let Some(child) = self.child.take() {
            family(|family| family.bury(child));
        }
    }
}

impl Family {
    /// Becomes the reaper of orphans. Whoever is the first process of a system, or was handed children when it was
    /// executed, has orphans below it that are none of ours, and leaves all of them alone.
    fn adopt(&mut self) {
        if self.adopts.is_none() {
            let is_alone = std::process::id() != 1 && children().is_some_and(|children| children.is_empty());
            let pid = rustix::process::getpid();
            self.adopts = Some(is_alone && rustix::process::set_child_subreaper(Some(pid)).is_ok());
        }
    }

    fn bury(&mut self, child: Child) {
        self.running.remove(&child.id());
        self.dying.push(child);
        self.reap();
    }

    fn reap(&mut self) {
        self.dying.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    /// Kills and reaps what the ended left behind, and returns how many of them are still there.
    fn end_orphans(&mut self) -> usize {
        self.reap();
        if self.adopts != Some(true) {
            return self.dying.len();
        }
        let is_own =
            |pid: &u32| self.running.contains_key(pid) || self.dying.iter().any(|dying| dying.id() == *pid);
        let orphans = children().unwrap_or_default().into_iter().filter(|pid| !is_own(pid));
        let left = orphans.filter(|pid| self.is_left_behind(*pid) && !end(*pid)).count();
        left + self.dying.len()
    }

    /// Whoever was born while a program ran that still runs may be its own.
    fn is_left_behind(&self, pid: u32) -> bool {
        let born = start_ticks(pid).unwrap_or_default();
        self.running.values().all(|started| born < *started)
    }
}

/// Whether it is gone.
fn end(pid: u32) -> bool {
    let Ok(pid) = pid_of(pid) else { return true };
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    !matches!(rustix::process::waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}

/// The children of the first thread: it is the one that gets the orphans. What others start is theirs. Not every
/// kernel tells.
fn children() -> Option<Vec<u32>> {
    let path = format!("/proc/self/task/{}/children", std::process::id());
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

fn pid_of(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::NotFound.into())
}
