//! `healthcheck run -- CMD`: any command becomes a service that reports.

use crate::cli;
use crate::commands::tail::Tail;
use clap::Args;
use health_reporter::{LoopHandle, MAX_DEADLINE_S, Record, Reporter, ServiceName, Status};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::signal_name;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tracing::warn;

/// What shells say of a command that is not there, and of one that cannot be run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;
/// Shells add this to the number of the signal that ended a command.
const SIGNAL_BASE: i32 = 128;
const CHECK: &str = "exit";

/// Signals that ask a command to end.
const ENDING: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];
const CAUGHT: [i32; 7] = [SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The service; its file is NAME.json
    #[arg(long, value_name = "NAME")]
    service: ServiceName,
    /// For a job: it must be done again within this time, like 26h; without it, it is due at no time
    #[arg(long, value_name = "DURATION", value_parser = cli::deadline)]
    deadline: Option<Duration>,
    /// The command and its arguments; no shell is involved
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Run {
    /// Runs the command to its end and returns its exit code; 128 and the signal where one ended it. Whatever
    /// is wrong with reporting, the command runs.
    pub(crate) fn run(&self, dir: &Path) -> i32 {
        // Before the command is started, or its end could come before anybody listens.
        let signals = SignalsInfo::<WithOrigin>::new(caught());
        match self.spawn() {
            Ok(child) => self.follow(child, dir, signals),
            Err(error) => self.refused(&error, dir),
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let (program, arguments) = self.command.split_first().ok_or(ErrorKind::InvalidInput)?;
        Command::new(program).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    fn refused(&self, error: &io::Error, dir: &Path) -> i32 {
        let program = PathBuf::from(self.command.first().cloned().unwrap_or_default());
        let problem = format!("cannot run {}: {error}", program.display());
        warn!("{problem}");
        let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
        if let Some(health) = self.reporter(dir, std::process::id()) {
            let record = Record::new(Status::Error).message(problem).metadata("code", code);
            health.record_with(CHECK, record);
            health.finish(self.next_deadline());
            self.warn_of_what_went_wrong(&health);
        }
        code
    }

    fn reporter(&self, dir: &Path, pid: u32) -> Option<Reporter> {
        let started = Reporter::builder(self.service.as_str()).dir(dir).on_behalf_of(pid).start();
        started.inspect_err(|error| warn!("{} is not reported: {error}", self.service)).ok()
    }

    fn follow(&self, mut child: Child, dir: &Path, signals: io::Result<SignalsInfo<WithOrigin>>) -> i32 {
        let mut tail = Tail::of(child.stdout.take(), child.stderr.take());
        let health = self.reporter(dir, child.id());
        let job = health.as_ref().and_then(|health| self.watch_job(health));
        let ended = match signals {
            Ok(mut signals) => wait_passing_signals_on(&mut child, &mut signals),
            Err(error) => {
                warn!("signals are not passed on: {error}");
                child.wait().map(|status| Ended { status, asked_by: None })
            }
        };
        drop(job);
        let code = ended.as_ref().map_or(NOT_RUN, Ended::code);
        match ended.ok().zip(health) {
            Some((ended, health)) => self.say_how_it_ended(&health, &ended, &tail.so_far()),
            None => warn!("how the command ended is not reported"),
        }
        tail.drain();
        code
    }

    /// A job that is still at it when it should have been done again hangs.
    fn watch_job(&self, health: &Reporter) -> Option<LoopHandle> {
        self.deadline.map(|deadline| health.watched_loop("job", deadline))
    }

    fn say_how_it_ended(&self, health: &Reporter, ended: &Ended, output: &str) {
        match ended.stopped_by() {
            Some(signal) => health.stop(&format!("stopped by {signal}")),
            None => {
                health.record_with(CHECK, ended.record(output));
                health.finish(self.next_deadline());
            }
        }
        self.warn_of_what_went_wrong(health);
    }

    fn warn_of_what_went_wrong(&self, health: &Reporter) {
        if let Some(failure) = health.last_error().filter(|_| health.write_failures() > 0) {
            warn!("{} is not reported: {}", self.service, failure.message);
        }
        let file = health.file();
        let name = file.as_deref().and_then(Path::file_stem).and_then(|name| name.to_str());
        if let Some(name) = name.filter(|name| *name != self.service.as_str()) {
            warn!("{} was running already: this one was reported as {name}", self.service);
        }
    }

    /// A command without a deadline is not due at any time.
    fn next_deadline(&self) -> Duration {
        self.deadline.unwrap_or(Duration::from_secs_f64(MAX_DEADLINE_S))
    }
}

struct Ended {
    status: ExitStatus,
    /// The last signal that asked the command to end.
    asked_by: Option<i32>,
}

impl Ended {
    fn code(&self) -> i32 {
        let by_signal = || self.status.signal().map_or(NOT_RUN, |signal| SIGNAL_BASE + signal);
        self.status.code().unwrap_or_else(by_signal)
    }

    /// The signal after which the command ended as it was asked to: by it, or in success.
    fn stopped_by(&self) -> Option<&'static str> {
        let signal = self.asked_by?;
        // Many take SIGHUP for a request to read their configuration again.
        let is_done = self.status.success() && signal != SIGHUP;
        let as_asked = is_done || self.code() == SIGNAL_BASE + signal;
        as_asked.then(|| signal_name(signal).unwrap_or("a signal"))
    }

    /// The last line of what it said is why, as far as anybody knows.
    fn record(&self, output: &str) -> Record<'static> {
        let status = if self.status.success() { Status::Healthy } else { Status::Error };
        let record = match self.status.signal() {
            Some(signal) => Record::new(status).metadata("signal", signal),
            None => Record::new(status).metadata("code", self.code()),
        };
        if output.is_empty() {
            return record;
        }
        let last_line = output.lines().next_back().unwrap_or_default().to_owned();
        record.message(last_line).metadata("output", output)
    }
}

/// The signals that are passed on. Those that are ignored stay so, or `nohup` would protect nobody.
fn caught() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let is_kept = |signal: &i32| *signal == SIGCHLD || ignored & (1 << (signal - 1)) == 0;
    CAUGHT.into_iter().filter(is_kept).collect()
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
