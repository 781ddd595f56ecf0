//! Programs that are run to look at something: without a shell, in a clean environment, bounded in time and output,
//! and with nothing of them left afterwards.

mod member;
mod output;

use super::connect::{own_fault, plain};
use super::threads::{Unfinished, finish};
use crate::processes;
use healthcheck_core::{CommandEnd, CommandFacts, ProbeError, ProbeFacts, ProbeKind};
use member::Member;
use output::Output;
use rustix::io::Errno;
use std::future::poll_fn;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{self, Instant};

/// Beyond this a program is ended; what of it is kept is far less.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;
/// What a program gets of our environment, where it is set. Anything else may be a secret.
const PASSED_ON: [&str; 4] = ["HOME", "USER", "LOGNAME", "TZ"];
/// For what SIGKILL leaves to the kernel to do: at the time-out, and before it.
const SHORT_AFTERMATH: Duration = Duration::from_millis(40);
const AFTERMATH: Duration = Duration::from_millis(250);

/// What is kept of the output of a probe.
const KEPT_BYTES: usize = 8 * 1024;

/// Runs the program to its end, or to ours.
pub(crate) async fn look(argv: &[String], timeout: Duration) -> Result<ProbeFacts, ProbeError> {
    run(argv, timeout, KEPT_BYTES, None).await.map(ProbeFacts::Command)
}

/// The same for whoever wants another part of its output, or wants it to stand back behind others.
pub(super) async fn run(
    argv: &[String],
    timeout: Duration,
    kept_bytes: usize,
    niceness: Option<i32>,
) -> Result<CommandFacts, ProbeError> {
    let deadline = Instant::now() + timeout;
    let name = argv.first().map(String::as_str).unwrap_or_default();
    let problem = |why: &str| ProbeError::of(ProbeKind::Command, format!("cannot run {name}: {why}"));
    let whole = argv.to_vec();
    // The start waits for the disk that the program is on, and a dead one must not hold up everything else.
    let member = match finish(deadline, move || Member::start(&mut prepared(&whole), niceness)).await {
        Ok(started) => started.map_err(|error| problem(&why_not_started(name, &error)))?,
        Err(Unfinished::NoThread(why)) => return Err(problem(why)),
        Err(Unfinished::Stuck) => return Err(problem("its start did not return: is it on a dead mount?")),
    };
    let mut run = Run::of(member, kept_bytes).map_err(|error| problem(&plain(&error)))?;
    let end = match time::timeout_at(deadline, poll_fn(|context| run.poll_end(context))).await {
        Ok(end) => end,
        Err(_) => End::TimedOut(timeout),
    };
    let output = run.output.text();
    let now = Instant::now();
    let status = run.member.bury(deadline.clamp(now + SHORT_AFTERMATH, now + AFTERMATH)).await;
    let end = end.told(status).ok_or_else(|| problem("how it ended was not told"))?;
    Ok(CommandFacts { program: program(name), end, output })
}

/// Its file's name, without the folder.
fn program(name: &str) -> String {
    health_reporter::bounded(name.rsplit('/').next().unwrap_or(name), 64)
}

fn prepared(argv: &[String]) -> Command {
    let mut command = processes::clean(argv);
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn why_not_started(name: &str, error: &io::Error) -> String {
    let cure = match Errno::from_io_error(error) {
        Some(Errno::NOENT) if name.contains('/') => "install it, or correct the path",
        Some(Errno::NOENT) => "it is in no directory of PATH: install it, or give its whole path",
        Some(Errno::ACCESS | Errno::PERM) => "let this user execute it",
        Some(Errno::NOEXEC) => "it is no program: a script begins with #! and its interpreter",
        Some(Errno::AGAIN) => "there are too many processes: raise TasksMax or ulimit -u",
        Some(Errno::TOOBIG) => "shorten its arguments",
        _ => return own_fault(error).unwrap_or_else(|| plain(error)),
    };
    format!("{}: {cure}", plain(error))
}

/// A running program, and what it has written.
struct Run {
    member: Member,
    output: Output,
}

enum End {
    Exited,
    TimedOut(Duration),
    Flooded,
}

impl Run {
    fn of(mut member: Member, kept_bytes: usize) -> io::Result<Self> {
        let output = Output::of(member.pipes(), kept_bytes)?;
        member.watch()?;
        Ok(Self { member, output })
    }

    /// Whoever still holds the pipe after the end is not waited for.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let written = self.output.poll_read(context);
        if written > MAX_OUTPUT_BYTES {
            return Poll::Ready(End::Flooded);
        }
        self.member.poll_end(context).map(|()| {
            self.output.read_rest();
            End::Exited
        })
    }
}

impl End {
    fn told(self, status: Option<ExitStatus>) -> Option<CommandEnd> {
        match self {
            Self::TimedOut(timeout) => Some(CommandEnd::TimedOut(timeout)),
            Self::Flooded => Some(CommandEnd::Flooded(MAX_OUTPUT_BYTES)),
            Self::Exited => {
                let status = status?;
                let by_signal = || status.signal().map(CommandEnd::Killed);
                status.code().map(CommandEnd::Exited).or_else(by_signal)
            }
        }
    }
}

#[cfg(test)]
mod tests;
