use super::Process;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A working directory of its own, with the program and its health files in `logs/health`.
pub(crate) struct Machine {
    root: TempDir,
}

/// Prints all rows of a table.
const KEPT: &str = "
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.row_factory = sqlite3.Row
rows = db.execute(f'SELECT * FROM {sys.argv[2]} ORDER BY id')
print(json.dumps([dict(row) for row in rows]))
";

/// A machine whose mounts nobody else sees.
pub(crate) struct World<'a> {
    machine: &'a Machine,
    process: Process,
}

/// How a run of the program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("logs/health")).unwrap();
        // Everybody may look: some stories are told by another user.
        Command::new("chmod").arg("-R").arg("755").arg(root.path()).status().unwrap();
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn health_dir(&self) -> PathBuf {
        self.root().join("logs/health")
    }

    /// The program, in this working directory and an environment that says nothing.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.any_command(env!("CARGO_BIN_EXE_healthcheck"), arguments)
    }

    pub(crate) fn any_command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.root()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&self.command(arguments).output().unwrap())
    }

    /// What a shell does here, with the program as `$HEALTHCHECK`.
    #[track_caller]
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        let mut command = self.any_command("dash", &["-c", script]);
        Outcome::of(&command.env("HEALTHCHECK", env!("CARGO_BIN_EXE_healthcheck")).output().unwrap())
    }

    /// The snapshot as JSON, with its exit code.
    #[track_caller]
    pub(crate) fn snapshot(&self) -> Snapshot {
        let outcome = self.run(&["--format", "json"]);
        let json = serde_json::from_str(&outcome.out);
        let json = json.unwrap_or_else(|error| panic!("no JSON: {error}\n{outcome:?}"));
        Snapshot { json, code: outcome.code }
    }

    /// A service has written this report, beside and renamed.
    pub(crate) fn reports(&self, service: &str, report: &Value) {
        self.puts(service, &report.to_string());
    }

    pub(crate) fn puts(&self, service: &str, text: &str) {
        let staged = self.health_dir().join(format!(".{service}"));
        fs::write(&staged, text).unwrap();
        fs::rename(&staged, self.health_dir().join(format!("{service}.json"))).unwrap();
    }

    pub(crate) fn report_of(&self, service: &str) -> Value {
        let path = self.health_dir().join(format!("{service}.json"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap()
    }

    /// What a monitor that has ended left of its story, read by another program: `table` of `state.db`, in order.
    #[track_caller]
    pub(crate) fn kept(&self, table: &str) -> Vec<Value> {
        kept(&mut self.any_command("python3", &["-c", KEPT, "logs/state.db", table]))
    }

    pub(crate) fn configures(&self, toml: &str) {
        fs::write(self.root().join("healthcheck.toml"), toml).unwrap();
    }
}

#[track_caller]
fn kept(command: &mut Command) -> Vec<Value> {
    let outcome = Outcome::of(&command.output().unwrap());
    serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("no rows: {error}\n{outcome:?}"))
}

impl<'a> World<'a> {
    /// A world made by a shell, with what it mounts; `$R` is the machine's root. What the shell holds open ends with it.
    #[track_caller]
    pub(crate) fn of(machine: &'a Machine, script: &str) -> Self {
        let script = format!("R={}; {script}\necho made; read end", machine.root().display());
        let process = Process::start(&mut machine.any_command("unshare", &["-m", "dash", "-ec", &script]));
        assert_eq!(process.line(), "made");
        Self { machine, process }
    }

    /// A command in this world.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let (pid, root) = (self.process.pid().to_string(), self.machine.root().display());
        let wd = format!("--wdns={root}");
        let mut all = vec!["-m", "-t", &pid, &wd];
        all.extend(words);
        self.machine.any_command("nsenter", &all)
    }

    /// The program in this world.
    pub(crate) fn program(&self, words: &[&str]) -> Command {
        self.command(&[&[env!("CARGO_BIN_EXE_healthcheck")], words].concat())
    }

    #[track_caller]
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        Outcome::of(&self.command(&["dash", "-c", script]).output().unwrap())
    }

    /// As `Machine::kept`.
    #[track_caller]
    pub(crate) fn kept(&self, db: &str, table: &str) -> Vec<Value> {
        kept(&mut self.command(&["python3", "-c", KEPT, db, table]))
    }
}

impl Outcome {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// A report of now, by a process of now.
pub(crate) fn beat_of(pid: u32) -> Value {
    json!({
        "schema_version": 1,
        "overall_status": "healthy",
        "pid": pid,
        "pid_start_ticks": health_reporter::clock::start_ticks(pid),
        "boot_id": health_reporter::clock::boot_id(),
        "written_boottime_s": health_reporter::clock::boottime().as_secs_f64(),
        "deadline_s": 30,
    })
}

#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) json: Value,
    pub(crate) code: i32,
}

impl Snapshot {
    /// Status and cause of a service.
    #[track_caller]
    pub(crate) fn verdict(&self, service: &str) -> (&str, &str) {
        let view = &self.json["services"][service];
        let text = |key: &str| {
            view[key].as_str().unwrap_or_else(|| panic!("no {key} of {service}: {:#}", self.json))
        };
        (text("status"), text("cause"))
    }

    #[track_caller]
    pub(crate) fn message(&self, service: &str) -> &str {
        self.json["services"][service]["message"].as_str().unwrap()
    }
}
