//! A program that gets the notice on its standard input: the way to everything that has no channel of its own.

mod errors;

use super::plain_text::{json, short_line};
use super::reach::Attempts;
use super::{Channel, failed, unaccepted};
use crate::processes;
use errors::Errors;
use healthcheck_core::alerts::{Notice, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::PidfdFlags;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// For what SIGKILL leaves to the kernel to do.
const AFTERMATH: Duration = Duration::from_millis(250);
/// Beyond this a program is ended; what of it is kept is far less.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;
/// What of a notice goes into one variable.
const VARIABLE_BYTES: usize = 1024;
/// `sysexits.h`: try again later.
const TEMPORARY: i32 = 75;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// After this it is killed.
    pub(crate) timeout: Duration,
}

/// How long a program has, where nothing else is said.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// What a program started ends with it.
#[derive(Debug)]
pub(crate) struct Runner {
    settings: Settings,
    attempts: Attempts,
}

/// A program that nobody waits for any more ends with this.
struct Started(Option<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            processes::kill(child.id());
            processes::bury(child);
        }
    }
}

impl Runner {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, attempts: Attempts::default() }
    }

    fn name(&self) -> &str {
        self.settings.command.first().map_or("", String::as_str)
    }

    fn run(&self, notice: &Notice) -> Result<(End, String), Outcome> {
        let deadline = Instant::now() + self.settings.timeout;
        let Some(mut child) = self.start(notice)?.0.take() else { return Err(failed("it was not started")) };
        let watched = watch(&mut child, deadline);
        let status = bury(child);
        let (end, last_line) = watched.map_err(|error| not_started(self.name(), &error))?;
        Ok((end.with(status), last_line))
    }

    /// On a dead mount a program does not even fail to start.
    fn start(&self, notice: &Notice) -> Result<Started, Outcome> {
        let not_started = |error: io::Error| not_started(self.name(), &error);
        let (argv, variables) = (self.settings.command.clone(), variables(notice));
        let input = input(notice).map_err(not_started)?;
        let start = move || {
            let mut command = processes::clean(&argv);
            command.envs(std::env::var_os("HOME").map(|home| ("HOME", home))).envs(variables);
            command.stdin(input).stdout(Stdio::null()).stderr(Stdio::piped());
            processes::start(&mut command).map(|child| Started(Some(child)))
        };
        self.attempts.within(self.settings.timeout, start)?.map_err(not_started)
    }
}

impl Channel for Runner {
    fn send(&mut self, notice: &Notice) -> Outcome {
        let (end, last_line) = match self.run(notice) {
            Ok(run) => run,
            Err(outcome) => return outcome,
        };
        let (is_lasting, how) = match end {
            End::Exited(0) => return Outcome::Accepted,
            End::Exited(code) => (is_lasting(code), format!("exit code {code}")),
            End::Killed(signal) => (false, format!("ended by signal {signal}")),
            End::TimedOut => (false, format!("killed, since it ran for {:?}", self.settings.timeout)),
            End::Flooded => (false, "killed, since it wrote more than 1 MiB of errors".to_owned()),
            End::Unknown => (false, "how it ended was not told".to_owned()),
        };
        let says = if last_line.is_empty() { String::new() } else { format!(": {last_line}") };
        unaccepted(is_lasting, &format!("{}: {how}{says}", self.name()))
    }
}

/// What `sysexits.h` and the shell say of a usage, a permission or a program that is wrong.
const fn is_lasting(code: i32) -> bool {
    matches!(code, 64..=78 | 126 | 127) && code != TEMPORARY
}

fn not_started(name: &str, error: &io::Error) -> Outcome {
    let (is_lasting, cure) = match Errno::from_io_error(error) {
        Some(Errno::NOENT) if name.contains('/') => (true, ": install it, or correct the path"),
        Some(Errno::NOENT) => (true, ": it is in no directory of PATH: install it, or give its whole path"),
        Some(Errno::ACCESS | Errno::PERM) => (true, ": let this user execute it"),
        Some(Errno::NOEXEC) => (true, ": it is no program: a script begins with #! and its interpreter"),
        Some(Errno::AGAIN) => (false, ": there are too many processes: raise TasksMax or ulimit -u"),
        Some(Errno::MFILE) => (false, ": raise LimitNOFILE or ulimit -n"),
        _ => (false, ""),
    };
    unaccepted(is_lasting, &format!("cannot run {name}: {error}{cure}"))
}

/// A file in memory: no reader is waited for, and a program that reads nothing is none the worse.
fn input(notice: &Notice) -> io::Result<Stdio> {
    let mut file = File::from(rustix::fs::memfd_create("notice", MemfdFlags::CLOEXEC)?);
    file.write_all(json(notice)?.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

fn variables(notice: &Notice) -> [(&'static str, String); 5] {
    [
        ("HEALTHCHECK_NOTICE", notice.id.as_str()),
        ("HEALTHCHECK_REASON", notice.reason.as_str()),
        ("HEALTHCHECK_STATUS", notice.status.as_str()),
        ("HEALTHCHECK_HOST", &notice.host),
        ("HEALTHCHECK_TITLE", &notice.title),
    ]
    .map(|(name, value)| (name, short_line(value, VARIABLE_BYTES)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Exited(i32),
    Killed(i32),
    TimedOut,
    Flooded,
    Unknown,
}

impl End {
    fn with(self, status: Option<ExitStatus>) -> Self {
        let Some(status) = status.filter(|_| self == Self::Unknown) else { return self };
        let by_signal = || status.signal().map(Self::Killed);
        status.code().map(Self::Exited).or_else(by_signal).unwrap_or(self)
    }
}

/// Waits for its end, or for ours, and returns the last line of its standard error. It is not reaped by this, so that
/// its number, and its group's, stay its own.
fn watch(child: &mut Child, deadline: Instant) -> io::Result<(End, String)> {
    let ended = rustix::process::pidfd_open(processes::pid_of(child.id())?, PidfdFlags::empty())?;
    let mut errors = Errors::of(child.stderr.take())?;
    let end = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break End::TimedOut;
        }
        let has_ended = wait(&ended, errors.pipe(), left)?;
        if errors.read() > MAX_OUTPUT_BYTES {
            break End::Flooded;
        }
        if has_ended {
            break End::Unknown;
        }
    };
    Ok((end, errors.last_line()))
}

/// Whether it has ended; if not, it wrote something, or the time is over.
fn wait(ended: &OwnedFd, errors: Option<BorrowedFd<'_>>, left: Duration) -> io::Result<bool> {
    let mut fds = vec![PollFd::new(ended, PollFlags::IN)];
    fds.extend(errors.map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN)));
    let left = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut fds, Some(&left)) {
        Ok(_) => Ok(!fds[0].revents().is_empty()),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Kills what is left of it, and returns how it ended, if that is known by then.
fn bury(mut child: Child) -> Option<ExitStatus> {
    processes::kill(child.id());
    let deadline = Instant::now() + AFTERMATH;
    let status = until(deadline, || child.try_wait().ok().flatten());
    processes::bury(child);
    until(deadline, || (processes::end_leftovers() == 0).then_some(()));
    status
}

fn until<T>(deadline: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let mut pause = Duration::from_millis(1);
    loop {
        let seen = look();
        if seen.is_some() || Instant::now() + pause > deadline {
            return seen;
        }
        sleep(pause);
        pause *= 2;
    }
}

#[cfg(test)]
mod tests;
