//! A real PostgreSQL, which is asked whether it is ready by its own program.

use super::probes::{look, message, verdict};
use crate::support::{Machine, eventually, run};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// A cluster of its own, reached by a socket only.
struct Postgres {
    dir: PathBuf,
}

impl Postgres {
    fn new(root: &Path) -> Self {
        let postgres = Self { dir: root.join("database") };
        fs::create_dir(&postgres.dir).unwrap();
        run("chown", &["postgres", postgres.dir.to_str().unwrap()]);
        postgres.run("initdb", &["-A", "trust", "-U", "postgres", "--no-sync", "--locale=C"]);
        postgres
    }

    /// It refuses to be run by root.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command.arg(format!("{PROGRAMS}/{program}")).arg("-D").arg(self.dir.join("data")).args(arguments);
        command.current_dir(&self.dir);
        command
    }

    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) {
        let log = fs::File::create(self.dir.join("commands.log")).unwrap();
        let mut command = self.command(program, arguments);
        let status = command.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap();
        let said = || fs::read_to_string(self.dir.join("commands.log")).unwrap_or_default();
        assert!(status.success(), "{command:?}: {status}\n{}", said());
    }

    #[track_caller]
    fn start(&self) {
        let options =
            format!("-c listen_addresses='' -c unix_socket_directories={} -c fsync=off", self.socket_dir());
        let log = self.dir.join("server.log");
        self.run("pg_ctl", &["-w", "-l", log.to_str().unwrap(), "-o", &options, "start"]);
    }

    #[track_caller]
    fn stop(&self) {
        self.run("pg_ctl", &["-w", "-m", "fast", "stop"]);
    }

    fn socket_dir(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    fn pid(&self) -> Option<Pid> {
        let file = fs::read_to_string(self.dir.join("data/postmaster.pid")).ok()?;
        Pid::from_raw(file.lines().next()?.parse().ok()?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, Signal::CONT);
            let _ = self.command("pg_ctl", &["-w", "-m", "immediate", "stop"]).output();
        }
    }
}

#[test]
fn a_database_that_reports_nothing_is_seen_to_stop_hang_and_come_back() {
    let machine = Machine::new();
    let postgres = Postgres::new(machine.root());
    let socket_dir = postgres.socket_dir();
    machine.configures(&format!(
        "[services.factory-db]\ncommand = [\"pg_isready\", \"-t\", \"1\", \"-h\", \"{socket_dir}\"]\ntimeout = \"10s\"\n"
    ));
    let seen = |expected: (&str, &str), words: &str| {
        let snapshot = look(&machine, &[]);
        assert_eq!(verdict(&snapshot, "services", "factory-db"), expected, "{:#}", snapshot.json);
        let message = message(&snapshot, "services", "factory-db").to_owned();
        assert!(message.contains(words), "{message}");
    };
    seen(("error", "probe_failed"), "no response");
    postgres.start();
    seen(("healthy", "self_reported"), "accepting connections");
    let pid = postgres.pid().unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    seen(("error", "probe_failed"), "no response");
    kill_process(pid, Signal::CONT).unwrap();
    eventually("a database that answers again", || {
        (verdict(&look(&machine, &[]), "services", "factory-db").0 == "healthy").then_some(())
    });
    postgres.stop();
    seen(("error", "probe_failed"), "no response");
}
