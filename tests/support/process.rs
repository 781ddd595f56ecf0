use super::{PATIENCE, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// An example program of the workspace, which `cargo test --workspace --all-features` builds with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        program.exists(),
        "{} is not built: run `cargo test --workspace --all-features`",
        program.display()
    );
    program
}

/// Runs a command to its end, which must be a success, and returns what it printed.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// Copies a program that is then executed. Another process copies: a child that starts meanwhile would hold open for
/// writing what we have open, and then nobody may execute it.
#[track_caller]
pub(crate) fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let (from, to) = (from.as_ref().to_str().unwrap(), to.as_ref().to_str().unwrap());
    run("cp", &["--", from, to]);
}

/// A child that is spoken to by lines, and killed by its pid when it goes out of scope.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { input: child.stdin.take(), child, lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says one line; whoever ended meanwhile does not hear it.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        let _ = input.write_all(format!("{line}\n").as_bytes());
    }

    #[track_caller]
    pub(crate) fn line_within(&self, patience: Duration) -> String {
        self.lines
            .recv_timeout(patience)
            .unwrap_or_else(|error| panic!("no line within {patience:?}: {error}"))
    }

    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.line_within(PATIENCE)
    }

    /// A line that is there already.
    pub(crate) fn try_line(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    pub(crate) fn line_or_none(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }

    /// Has nothing more to say, and returns the line that answers all of it.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> String {
        drop(self.input.take());
        self.line()
    }

    /// Says one line and returns the one that answers it.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.line()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it by SIGKILL, and waits until nothing of it is left.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the end of the process", || self.child.try_wait().unwrap())
    }
}

/// A program that ends others with it when it is asked to end, and would leave them behind if it were killed.
#[derive(Debug)]
pub(crate) struct Parent(pub(crate) Process);

impl std::ops::Deref for Parent {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl std::ops::DerefMut for Parent {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.0
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        let started = Instant::now();
        while matches!(self.0.child.try_wait(), Ok(None)) && started.elapsed() < Duration::from_secs(2) {
            let _ = kill_process(Pid::from_child(&self.0.child), Signal::TERM);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
