//! The kernel's word that memory ran out: its log, read when somebody has died, and the counters of control groups.

mod counter;
mod record;

pub(crate) use counter::OomCounter;
use health_reporter::clock;
use healthcheck_core::ProbeError;
use record::Oom;
pub(crate) use record::oom;
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

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
    log: OwnedFd,
    buffer: Vec<u8>,
    recent: VecDeque<(Instant, Oom)>,
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
            Ok(_) | Err(Errno::SPIPE) => {
                Ok(Self { log, buffer: vec![0; RECORD_BYTES], recent: VecDeque::new(), has_ended: false })
            }
            Err(errno) => Err(problem(&why_not_opened(errno))),
        }
    }

    /// What was said in the last minute of the process with this number. Also reads what was written and not read
    /// yet: the kernel writes it before the process has ended.
    pub(crate) fn oom_of(&mut self, pid: u32) -> Option<String> {
        self.catch_up();
        let is_recent = |at: &Instant| at.elapsed() < KEPT_FOR;
        let of_it = self.recent.iter().rev().find(|(at, oom)| oom.pid == pid && is_recent(at));
        of_it.map(|(_, oom)| oom.line.clone())
    }

    /// Reads what was written since the last time. Nobody is woken by the kernel's lines: most are of something else.
    pub(crate) fn catch_up(&mut self) {
        for _ in 0..MAX_READ_AT_ONCE {
            let read = rustix::io::read(&self.log, &mut self.buffer);
            if self.has_ended || read == Err(Errno::AGAIN) {
                return;
            }
            self.take(read);
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
            self.recent.push_back((now, oom));
        }
        self.recent.retain(|(at, _)| now.duration_since(*at) < KEPT_FOR);
        self.recent.drain(..self.recent.len().saturating_sub(MAX_KEPT));
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
