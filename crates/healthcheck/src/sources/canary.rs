//! Whether a file system answers at all, found out by another process. The kernel may not let go of one whose question
//! was already taken by a dead server, not even when it is killed: then it is not us who cannot end.

use crate::processes::close_inherited_on_exec;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `stat`, of coreutils or busybox, by places that are never those of a mount that is in doubt.
const PROGRAMS: [&str; 3] = ["/usr/bin/stat", "/bin/stat", "/run/current-system/sw/bin/stat"];

/// A process that asks; it is killed when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Canary(OwnedFd);

impl Drop for Canary {
    fn drop(&mut self) {
        // One that has ended is no longer there to be killed.
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

/// Sends one, and waits for it, however long that takes. What it was told does not matter, only that it was told
/// something. Where there is no such program nobody can be sent ahead.
pub(crate) fn has_come_back(path: &Path, sent: impl FnOnce(Canary)) -> bool {
    let Some(mut child) = send(path) else { return true };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pidfd) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
        sent(Canary(pidfd));
    }
    child.wait().is_ok_and(|status| status.signal().is_none())
}

fn send(path: &Path) -> Option<Child> {
    // One that cannot be ended would hold for ever whatever we were started with open: a lock, the pipe of a caller.
    close_inherited_on_exec();
    let program = PROGRAMS.into_iter().find(|program| Path::new(program).exists())?;
    let mut command = Command::new(program);
    command.arg("-f").arg("--").arg(path).env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok()
}
