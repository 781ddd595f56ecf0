//! A command that is run to its end, and to which the signals that come are passed on.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use tracing::warn;

/// What shells say of a command that is not there, and of one that cannot be run.
const NOT_FOUND: i32 = 127;
pub(super) const NOT_RUN: i32 = 126;
/// Shells add this to the number of the signal that ended a command.
pub(super) const SIGNAL_BASE: i32 = 128;
/// Signals that ask a command to end.
const ENDING: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];
const CAUGHT: [i32; 7] = [SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];

/// How a command ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// The last signal that asked the command to end.
    pub(super) asked_by: Option<i32>,
}

impl Ended {
    pub(super) fn code(&self) -> i32 {
        let by_signal = || self.status.signal().map_or(NOT_RUN, |signal| SIGNAL_BASE + signal);
        self.status.code().unwrap_or_else(by_signal)
    }
}

pub(super) fn code_of_refusal(error: &io::Error) -> i32 {
    if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN }
}

/// Signals are caught from now on: before the command is started, or its end could come before anybody listens.
pub(super) fn signals() -> io::Result<SignalsInfo<WithOrigin>> {
    SignalsInfo::new(caught())
}

/// The signals that are passed on. Those that are ignored stay so, or `nohup` would protect nobody.
fn caught() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let is_kept = |signal: &i32| *signal == SIGCHLD || ignored & (1 << (signal - 1)) == 0;
    CAUGHT.into_iter().filter(is_kept).collect()
}

/// Waits for its end.
pub(super) fn wait(child: &mut Child, signals: io::Result<SignalsInfo<WithOrigin>>) -> io::Result<Ended> {
    match signals {
        Ok(mut signals) => wait_passing_signals_on(child, &mut signals),
        Err(error) => {
            warn!("signals are not passed on: {error}");
            child.wait().map(|status| Ended { status, asked_by: None })
        }
    }
}

fn wait_passing_signals_on(child: &mut Child, signals: &mut SignalsInfo<WithOrigin>) -> io::Result<Ended> {
    let mut asked_by = None;
    end_with(child, signals.handle())?;
    for origin in signals.forever() {
        if ENDING.contains(&origin.signal) {
            asked_by = Some(origin.signal);
        }
        // What the terminal sends, it sends to the command as well.
        if origin.signal != SIGCHLD && origin.process.is_some() {
            pass_on(origin.signal, child);
        }
    }
    child.wait().map(|status| Ended { status, asked_by })
}

/// Ends the waiting for signals with the command. Whoever started us may have blocked the signal that says so; the
/// command is not asked how it ended before that, so its pid stays its own.
fn end_with(child: &Child, signals: Handle) -> io::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(ErrorKind::InvalidInput)?;
    let wait = move || {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), ended));
        signals.close();
    };
    std::thread::Builder::new().name("command".to_owned()).spawn(wait).map(drop)
}

fn pass_on(signal: i32, child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
        // A command that has just ended needs no signal any more.
        let _ = rustix::process::kill_process(pid, signal);
    }
}
