//! `healthcheck run -- CMD`: any command becomes a service that reports.

use crate::cli;
use crate::commands::child::{self, Ended, NOT_RUN, SIGNAL_BASE};
use crate::commands::tail::Tail;
use clap::Args;
use health_reporter::{LoopHandle, MAX_DEADLINE_S, Record, Reporter, ServiceName, Status};
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::signal_name;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tracing::warn;

const CHECK: &str = "exit";

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
        let signals = child::signals();
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
        let code = child::code_of_refusal(error);
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
        let ended = child::wait(&mut child, signals);
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

impl Ended {
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
