//! `healthcheck silence`: nobody is told of something for a time, or while a command runs.

use super::child;
use super::operator::{ask, author};
use super::running_monitor::RunningMonitor;
use super::show::confirm;
use crate::cli::Format;
use crate::config::units;
use crate::monitor::control::{Answer, Question};
use anyhow::bail;
use clap::Args;
use health_reporter::directory::Environment;
use healthcheck_core::alerts;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use std::ffi::OsString;
use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// A silence while a command runs ends by itself soon after whoever asks for it is gone.
const LASTS: SignedDuration = SignedDuration::from_secs(90);
const MOVED_ON_EACH: Duration = Duration::from_secs(30);
/// How often it is looked whether another monitor runs, which may not know of it.
const LOOKED_EACH: Duration = Duration::from_secs(5);
/// Bytes of the command that are shown.
const MAX_COMMAND_BYTES: usize = 200;

#[derive(Debug, Args)]
pub(crate) struct Silence {
    /// The names of what is muted; * stands for any text
    #[arg(value_name = "PATTERN")]
    pattern: String,
    /// For how long, as in 2h; at most 365d
    #[arg(long = "for", value_name = "DURATION", value_parser = units::parse_duration,
          required_unless_present = "while_running", conflicts_with = "while_running")]
    lasts: Option<Duration>,
    /// Why, for whoever wonders
    #[arg(long, value_name = "TEXT", required_unless_present = "while_running")]
    reason: Option<String>,
    /// Who asks; otherwise SUDO_USER, USER or the user's name
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// As long as the command after -- runs; its exit code is returned
    #[arg(long = "while", requires = "command")]
    while_running: bool,
    /// The command and its arguments; no shell is involved
    #[arg(last = true, value_name = "CMD", requires = "while_running")]
    command: Vec<OsString>,
}

/// Finds the monitor that is to be asked.
type Find<'a> = &'a (dyn Fn() -> Option<RunningMonitor> + Sync);

impl Silence {
    /// Mutes; returns the exit code.
    pub(crate) fn silence(
        &self,
        find: Find<'_>,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<i32> {
        let author = author(self.author.as_deref(), env);
        match self.lasts {
            Some(lasts) => self.silence_for(lasts, &author, find, env, format).map(|()| 0),
            None => self.silence_while(author, find),
        }
    }

    fn silence_for(
        &self,
        lasts: Duration,
        author: &str,
        find: Find<'_>,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        let until = Timestamp::now().checked_add(lasts)?;
        let (id, muted) = asked(find().as_ref(), &self.question(author, until))?;
        let words = format!("silence {id} mutes {} until {until:.0}{}", self.pattern, note(muted));
        let json = json!({ "silence": id, "pattern": self.pattern, "until": until, "muted": muted });
        confirm("it", format, env, &words, &json)
    }

    /// The command is only begun where the silence is there.
    fn silence_while(&self, author: String, find: Find<'_>) -> anyhow::Result<i32> {
        let known = find();
        let mut keeper = Keeper { silence: self, author, find, id: 0, pid: None, asked: Instant::now() };
        let muted = keeper.ask(known.as_ref())?;
        if muted == 0 {
            warn!("silence {} mutes nothing that is known: {}", keeper.id, self.pattern);
        }
        Ok(keeper.run())
    }

    fn question(&self, author: &str, until: Timestamp) -> Question {
        let silence = alerts::Silence {
            id: 0,
            pattern: self.pattern.clone(),
            until,
            while_command: self.while_running.then(|| self.shown_command()),
            reason: self.reason.clone().unwrap_or_default(),
            author: author.to_owned(),
            created: Timestamp::now(),
        };
        Question::Silence { silence }
    }

    /// With our own pid: two that run the same have a silence each.
    fn shown_command(&self) -> String {
        let words: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        let line: String = words.join(" ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let end = (0..=line.len().min(MAX_COMMAND_BYTES)).rev().find(|end| line.is_char_boundary(*end));
        let end = end.unwrap_or_default();
        let more = if end < line.len() { "…" } else { "" };
        format!("{}{more} (pid {})", &line[..end], std::process::id())
    }
}

/// Keeps a silence while a command runs, through whichever monitor runs meanwhile.
struct Keeper<'a> {
    silence: &'a Silence,
    author: String,
    find: Find<'a>,
    id: u64,
    /// The monitor that knows of it.
    pid: Option<u32>,
    asked: Instant,
}

impl Keeper<'_> {
    fn ask(&mut self, monitor: Option<&RunningMonitor>) -> anyhow::Result<usize> {
        let until = Timestamp::now().checked_add(LASTS)?;
        let (id, muted) = asked(monitor, &self.silence.question(&self.author, until))?;
        (self.id, self.pid, self.asked) = (id, monitor.map(RunningMonitor::pid), Instant::now());
        Ok(muted)
    }

    /// Runs the command to its end and returns its exit code.
    fn run(mut self) -> i32 {
        let signals = child::signals();
        let Some((program, arguments)) = self.silence.command.split_first() else { return child::NOT_RUN };
        let code = match Command::new(program).args(arguments).spawn() {
            Ok(command) => self.follow(command, signals),
            Err(error) => {
                warn!("cannot run {}: {error}", program.display());
                child::code_of_refusal(&error)
            }
        };
        if let Err(error) = ask((self.find)().as_ref(), &Question::Unsilence { id: self.id }) {
            info!("silence {} ends by itself within 90 s: {error:#}", self.id);
        }
        code
    }

    fn follow(&mut self, mut command: Child, signals: io::Result<SignalsInfo<WithOrigin>>) -> i32 {
        std::thread::scope(|scope| {
            let (done, ended) = channel::<()>();
            let keep = move || self.keep(&ended);
            if let Err(error) =
                std::thread::Builder::new().name("silence".to_owned()).spawn_scoped(scope, keep)
            {
                warn!("the silence ends before the command: {error}");
            }
            let ended = child::wait(&mut command, signals);
            drop(done);
            ended.map_or(child::NOT_RUN, |ended| ended.code())
        })
    }

    /// Moves the silence on until the command has ended.
    fn keep(&mut self, ended: &Receiver<()>) {
        while ended.recv_timeout(LOOKED_EACH) == Err(RecvTimeoutError::Timeout) {
            let monitor = (self.find)();
            let is_known = monitor.as_ref().map(RunningMonitor::pid) == self.pid;
            if monitor.is_none() || (is_known && self.asked.elapsed() < MOVED_ON_EACH) {
                continue;
            }
            if let Err(error) = self.ask(monitor.as_ref()) {
                info!("the silence is not moved on: {error:#}");
            }
        }
    }
}

fn asked(monitor: Option<&RunningMonitor>, question: &Question) -> anyhow::Result<(u64, usize)> {
    match ask(monitor, question)? {
        Answer::Silenced { id, muted } => Ok((id, muted)),
        other => bail!("it is not silenced: {}", other.problem()),
    }
}

fn note(muted: usize) -> String {
    match muted {
        0 => "; nothing of that name is known yet".to_owned(),
        1 => "; 1 subject has such a name".to_owned(),
        many => format!("; {many} subjects have such a name"),
    }
}
