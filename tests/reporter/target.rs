//! The service that does what it is told (`crates/reporter/examples/fault_target.rs`), and its health file.

use crate::support::{PATIENCE, Process, eventually, example};
use health_reporter::{HealthReport, Status, read};
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) struct Target {
    process: Process,
    dir: PathBuf,
}

/// The command that starts it with its files in `dir`.
pub(crate) fn command(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(example("fault_target"));
    command.arg(dir).args(words);
    command
}

impl Target {
    #[track_caller]
    pub(crate) fn start(dir: &Path, words: &[&str]) -> Self {
        Self::from_command(dir, &mut command(dir, words))
    }

    /// Starts it by a shell: `script` ends in `exec "$@"`.
    #[track_caller]
    pub(crate) fn start_in_shell(dir: &Path, script: &str, words: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script, "sh"]).arg(example("fault_target")).arg(dir).args(words);
        Self::from_command(dir, &mut shell)
    }

    /// Starts it with its directory on a file system of its own, which nobody else sees.
    #[track_caller]
    pub(crate) fn start_on_tmpfs(dir: &Path, options: &str, words: &[&str]) -> Self {
        let script = format!("mount -t tmpfs -o {options} tmpfs {} && exec \"$@\"", dir.display());
        let mut shell = Command::new("unshare");
        shell.args(["-m", "sh", "-ec", &script, "sh"]).arg(example("fault_target")).arg(dir).args(words);
        let process = Process::start(&mut shell);
        let seen = PathBuf::from(format!("/proc/{}/root{}", process.pid(), dir.display()));
        Self { process, dir: seen }
    }

    #[track_caller]
    pub(crate) fn from_command(dir: &Path, command: &mut Command) -> Self {
        Self { process: Process::start(command), dir: dir.to_owned() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until all that was told so far is in the file.
    #[track_caller]
    pub(crate) fn flushed(&mut self) -> HealthReport {
        let answer = self.ask("flush");
        assert!(answer.ends_with(" ok"), "flush: {answer}");
        self.report()
    }

    #[track_caller]
    pub(crate) fn report(&self) -> HealthReport {
        report(&self.dir, "camera")
    }

    /// Waits for a report of which `is_so` holds.
    #[track_caller]
    pub(crate) fn reports(&self, what: &str, is_so: impl Fn(&HealthReport) -> bool) -> HealthReport {
        let name = "camera".parse().unwrap();
        eventually(what, || read::one(&self.dir, &name).ok().map(|file| file.report).filter(&is_so))
    }

    #[track_caller]
    pub(crate) fn reports_status(&self, status: Status) -> HealthReport {
        self.reports(status.as_str(), |report| report.overall_status == status)
    }

    /// The thread that writes.
    #[track_caller]
    pub(crate) fn health_thread(&self) -> String {
        let is_it = |thread: &PathBuf| {
            fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim_end() == "health camera")
        };
        let tasks = format!("/proc/{}/task", self.pid());
        eventually("the reporter's thread", || {
            let thread = fs::read_dir(&tasks).ok()?.flatten().map(|entry| entry.path()).find(is_it)?;
            Some(thread.file_name()?.to_str()?.to_owned())
        })
    }

    /// Lets strace do something to the system calls of the thread that writes, until it is dropped.
    #[track_caller]
    pub(crate) fn inject(&self, injection: &str, log: &Path) -> Injection {
        let kind = injection.split(':').next().unwrap();
        self.strace(&[&format!("trace={kind}"), &format!("inject={injection}")], log)
    }

    /// Lets strace note the system calls of the thread that writes.
    #[track_caller]
    pub(crate) fn strace(&self, expressions: &[&str], log: &Path) -> Injection {
        let mut strace = Command::new("sh");
        strace.args(["-ec", "exec strace \"$@\" 2>&1", "sh", "-p", &self.health_thread(), "-o"]).arg(log);
        strace.args(expressions.iter().flat_map(|expression| ["-e", expression]));
        let process = Process::start(&mut strace);
        let word = process.line();
        assert!(word.ends_with("attached"), "strace: {word}");
        Injection { process, log: log.to_owned() }
    }
}

pub(crate) struct Injection {
    process: Process,
    log: PathBuf,
}

impl Injection {
    /// Lets go of the thread; whether anything was done to it.
    #[track_caller]
    pub(crate) fn end(mut self) -> bool {
        self.process.signal(rustix::process::Signal::TERM);
        self.process.ended();
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.contains("INJECTED") || log.contains("DELAYED") || log.contains("killed by SIGKILL")
    }
}

impl Deref for Target {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Target {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Target {
    pub(crate) fn kill(self) {
        self.process.kill();
    }
}

/// The report of `name`, which must be there and whole.
#[track_caller]
pub(crate) fn report(dir: &Path, name: &str) -> HealthReport {
    let file = read::one(dir, &name.parse().unwrap());
    file.unwrap_or_else(|unusable| panic!("{name} in {}: {}", dir.display(), unusable.error)).report
}

/// The names in `dir`, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The health files in `dir`, sorted.
pub(crate) fn reports_in(dir: &Path) -> Vec<String> {
    names(dir).into_iter().filter(|name| name.ends_with(".json")).collect()
}

/// The stages that nobody has renamed or removed.
pub(crate) fn stages(dir: &Path) -> Vec<String> {
    names(&dir.join(format!(".staging-{}", rustix::process::geteuid().as_raw())))
}

pub(crate) fn milliseconds(answer: &str) -> Duration {
    let number = answer.split(' ').find_map(|word| word.parse().ok());
    Duration::from_millis(number.unwrap_or_else(|| panic!("no number in: {answer} (within {PATIENCE:?})")))
}
