//! One program that was started: its end, and that nothing of it is left.

use crate::processes::{self, pid_of};
use rustix::process::PidfdFlags;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{self, Instant};

/// A program that we started; dropped, it is killed with its group.
pub(super) struct Member {
    /// Nothing once it is buried.
    child: Option<Child>,
    pid: u32,
    end: Option<AsyncFd<OwnedFd>>,
}

impl Member {
    pub(super) fn start(command: &mut Command, niceness: Option<i32>) -> io::Result<Self> {
        let child = processes::start(command)?;
        let pid = child.id();
        if let (Some(niceness), Ok(pid)) = (niceness, pid_of(pid)) {
            // Where that may not be, it is only less polite.
            let _ = rustix::process::setpriority_process(Some(pid), niceness);
        }
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
        processes::bury(child);
        let mut pause = Duration::from_millis(1);
        while processes::end_leftovers() > 0 && Instant::now() + pause < deadline {
            time::sleep(pause).await;
            pause *= 2;
        }
        status
    }

    fn kill(&self) {
        if self.child.is_some() {
            processes::kill(self.pid);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
        if let Some(child) = self.child.take() {
            processes::bury(child);
        }
    }
}
