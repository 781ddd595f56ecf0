//! A PostgreSQL of a test's own. It refuses to be run by root, and so is run as the user that its package made.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// A cluster of its own, reached by a socket in its directory; it ends with its test.
pub(crate) struct Postgres {
    dir: PathBuf,
    data: PathBuf,
}

impl Postgres {
    /// One that does not run yet, in a directory that is made for it.
    #[track_caller]
    pub(crate) fn new(dir: &Path) -> Self {
        Self::with_data(dir, dir.join("data"))
    }

    /// The same, with its data elsewhere.
    #[track_caller]
    pub(crate) fn with_data(dir: &Path, data: PathBuf) -> Self {
        let postgres = Self { dir: dir.to_owned(), data };
        fs::create_dir_all(dir).unwrap();
        let status = Command::new("chown").arg("postgres").arg(dir).status().unwrap();
        assert!(status.success());
        let options =
            ["-A", "trust", "-U", "postgres", "--no-sync", "--locale=C", "-E", "UTF8", "--wal-segsize=1"];
        postgres.run("initdb", &options);
        postgres
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command.arg(format!("{PROGRAMS}/{program}")).arg("-D").arg(&self.data).args(arguments);
        command.current_dir(&self.dir);
        command
    }

    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) {
        let log = fs::File::create(self.dir.join("commands.log")).unwrap();
        let mut command = self.command(program, arguments);
        let status = command.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap();
        let said = || fs::read_to_string(self.dir.join("commands.log")).unwrap_or_default();
        assert!(status.success(), "{command:?}: {status}\n{}\n{}", said(), self.log());
    }

    #[track_caller]
    pub(crate) fn start(&self) {
        self.start_with("");
    }

    /// With more of its own options, such as `-c ssl=on`.
    #[track_caller]
    pub(crate) fn start_with(&self, options: &str) {
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories={} -c fsync=off {options}",
            self.socket_dir()
        );
        let log = self.dir.join("server.log");
        self.run("pg_ctl", &["-w", "-l", log.to_str().unwrap(), "-o", &options, "start"]);
    }

    #[track_caller]
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["-w", "-m", "fast", "stop"]);
    }

    /// All of it ends at once, as in a power failure, and comes back.
    #[track_caller]
    pub(crate) fn crash(&self) {
        self.run("pg_ctl", &["-w", "-m", "immediate", "stop"]);
        self.start();
    }

    /// Neither the server nor any of those who serve for it does anything until it goes on.
    #[track_caller]
    pub(crate) fn hang(&self) {
        self.signal_all(Signal::STOP);
    }

    #[track_caller]
    pub(crate) fn go_on(&self) {
        self.signal_all(Signal::CONT);
    }

    #[track_caller]
    fn signal_all(&self, signal: Signal) {
        let server = self.pid().unwrap();
        kill_process(server, signal).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", server.as_raw_nonzero());
        let children = fs::read_to_string(children).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            let _ = kill_process(child, signal);
        }
    }

    /// As `[history] url` has it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.socket_dir().replace('/', "%2F"))
    }

    /// What its own client prints: one row a line, columns divided by bars.
    #[track_caller]
    pub(crate) fn sql(&self, statement: &str) -> String {
        let mut client = Command::new("psql");
        client.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres"]);
        let output = client.args(["-h", self.socket_dir(), "-c", statement]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statement}: {said}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub(crate) fn socket_dir(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        Pid::from_raw(file.lines().next()?.parse().ok()?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.pid().is_some() {
            self.signal_all(Signal::CONT);
            let _ = self.command("pg_ctl", &["-w", "-m", "immediate", "stop"]).output();
        }
    }
}
