//! The kernel's word that memory ran out: its log, as it is written, and the counters of control groups.

mod counter;
mod record;

pub(crate) use counter::OomCounter;
use health_reporter::clock;
use healthcheck_core::ProbeError;
pub(crate) use record::{Oom, oom};
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fmt::Display;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// More than the kernel puts into one record.
const RECORD_BYTES: usize = 16 * 1024;
/// How long a death may ask for what was read.
const KEPT_FOR: Duration = Duration::from_secs(60);
const MAX_KEPT: usize = 256;
/// At a death no more than this is read before it is judged.
const MAX_READ_AT_ONCE: usize = 1_000;
/// The namespace in which the kernel counts its processes.
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The log of the kernel, from now on.
pub(crate) struct Kernel {
    log: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
    recent: VecDeque<(Instant, Oom)>,
    untold: VecDeque<Oom>,
    has_ended: bool,
}

impl Kernel {
    /// Opens it at its end: what was before is nobody's death any more.
    pub(crate) fn open(path: &Path) -> Result<Self, ProbeError> {
        let problem = |why: &dyn Display| ProbeError::new(format!("cannot read {}: {why}", path.display()));
        if clock::pid_namespace() != Some(FIRST_PID_NAMESPACE) {
            let why =
                "it names processes by other numbers than this pid namespace: run the monitor outside of it";
            return Err(problem(&why));
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let log =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| problem(&why_not_opened(errno)))?;
        match rustix::fs::seek(&log, SeekFrom::End(0)) {
            Ok(_) | Err(Errno::SPIPE) => Self::of(log).map_err(|error| problem(&error)),
            Err(errno) => Err(problem(&why_not_opened(errno))),
        }
    }

    #[expect(deprecated, reason = "its successor is unsafe, for the sake of others than OwnedFd")]
    fn of(log: OwnedFd) -> io::Result<Self> {
        let log = AsyncFd::with_interest(log, Interest::READABLE)?;
        let (recent, untold) = (VecDeque::new(), VecDeque::new());
        Ok(Self { log, buffer: vec![0; RECORD_BYTES], recent, untold, has_ended: false })
    }

    /// The next process that is killed because memory ran out. May be given up at any time without a loss.
    pub(crate) async fn next(&mut self) -> Oom {
        loop {
            if let Some(oom) = self.untold.pop_front() {
                return oom;
            }
            if self.has_ended {
                pending::<()>().await;
            }
            let read = self.read().await;
            self.take(read);
        }
    }

    /// What was said in the last minute of the process with this number. Also reads what was written and not read
    /// yet: the kernel writes it before the process has ended.
    pub(crate) fn oom_of(&mut self, pid: u32) -> Option<String> {
        for _ in 0..MAX_READ_AT_ONCE {
            let read = rustix::io::read(self.log.get_ref(), &mut self.buffer);
            if self.has_ended || read == Err(Errno::AGAIN) {
                break;
            }
            self.take(read);
        }
        let is_recent = |at: &Instant| at.elapsed() < KEPT_FOR;
        let of_it = self.recent.iter().rev().find(|(at, oom)| oom.pid == pid && is_recent(at));
        of_it.map(|(_, oom)| oom.line.clone())
    }

    async fn read(&mut self) -> Result<usize, Errno> {
        let Self { log, buffer, .. } = self;
        loop {
            let Ok(mut ready) = log.readable().await else { return Ok(0) };
            match ready.try_io(|log| Ok(rustix::io::read(log, &mut *buffer)?)) {
                Ok(read) => return read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)),
                Err(_would_block) => {}
            }
        }
    }

    /// What was overwritten before it could be read is lost, and the next one is not.
    fn take(&mut self, read: Result<usize, Errno>) {
        let bytes = match read {
            Ok(0) => return self.end("it ended"),
            Ok(bytes) => bytes,
            Err(Errno::PIPE | Errno::INTR | Errno::AGAIN) => return,
            Err(errno) => return self.end(&errno.to_string()),
        };
        let text = String::from_utf8_lossy(&self.buffer[..bytes]).into_owned();
        let now = Instant::now();
        for oom in record::ooms(&text) {
            self.recent.push_back((now, oom.clone()));
            self.untold.push_back(oom);
        }
        self.recent.retain(|(at, _)| now.duration_since(*at) < KEPT_FOR);
        self.recent.drain(..self.recent.len().saturating_sub(MAX_KEPT));
        self.untold.drain(..self.untold.len().saturating_sub(MAX_KEPT));
    }

    fn end(&mut self, why: &str) {
        tracing::warn!("the kernel's log is not read any more: {why}");
        self.has_ended = true;
    }
}

fn why_not_opened(errno: Errno) -> String {
    let cure = match errno {
        Errno::PERM | Errno::ACCESS => "give the monitor CAP_SYSLOG, and its user the right to read it",
        Errno::NOENT => "the journal is asked instead",
        _ => return errno.to_string(),
    };
    format!("{errno}: {cure}")
}

#[cfg(test)]
mod tests;
