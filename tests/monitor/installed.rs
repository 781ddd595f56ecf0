//! The monitor as a service of a machine of its own: installed, watched over, reloaded and removed.

use crate::support::{Outcome, Systemd, eventually, example, run};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const PROGRAM: &str = "/usr/local/bin/healthcheck";
const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// A machine on which the monitor is installed.
struct Host {
    systemd: Systemd,
}

impl Host {
    #[track_caller]
    fn installed() -> Self {
        let host = Self::new();
        host.installs();
        host
    }

    /// One that has the script, and a place for what it installs.
    #[track_caller]
    fn new() -> Self {
        let host = Self { systemd: Systemd::of_a_machine() };
        // Its /usr is the one of the machine that tests, and read-only.
        host.does("mount", &["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/usr/local"]);
        let infra = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra");
        let there = host.systemd.root().join("run/infra");
        run("cp", &["-r", infra.to_str().unwrap(), there.to_str().unwrap()]);
        host
    }

    fn runs(&self, program: &str, arguments: &[&str]) -> Outcome {
        Outcome::of(&self.systemd.command(program, arguments).output().unwrap())
    }

    #[track_caller]
    fn does(&self, program: &str, arguments: &[&str]) -> String {
        let outcome = self.runs(program, arguments);
        assert_eq!(outcome.code, 0, "{program} {arguments:?}: {outcome:?}\n{}", self.journal());
        outcome.out
    }

    #[track_caller]
    fn installs(&self) {
        self.does("/run/infra/install.sh", &[env!("CARGO_BIN_EXE_healthcheck")]);
    }

    fn journal(&self) -> String {
        self.runs("journalctl", &["--unit=healthcheck", "--output=cat", "--no-pager"]).out
    }

    /// Whether anything is at this path in the machine.
    fn has(&self, path: &str) -> bool {
        self.systemd.root().join(path.trim_start_matches('/')).exists()
    }

    /// What the monitor has said, as it stands in the journal.
    #[track_caller]
    fn told(&self, subject: &str, cause: &str) -> Value {
        eventually(&format!("{subject} to be told as {cause}"), || {
            let journal = self.journal();
            let events = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut of_it = events.filter(|event| event["subject"] == subject && event["cause"] == cause);
            of_it.next()
        })
    }

    /// The snapshot as somebody sees it who may do nothing here.
    #[track_caller]
    fn snapshot(&self) -> Value {
        let outcome = self.runs("setpriv", &[&NOBODY[..], &[PROGRAM, "--format", "json"]].concat());
        serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    }

    #[track_caller]
    fn becomes(&self, service: &str, status: &str, cause: &str) -> Value {
        eventually(&format!("{service} to be {status}, {cause}"), || {
            let snapshot = self.snapshot();
            let view = &snapshot["services"][service];
            (view["status"] == status && view["cause"] == cause).then_some(snapshot)
        })
    }

    fn main_pid(&self) -> String {
        self.systemd.property("healthcheck", "MainPID")
    }

    fn camera(&self) {
        let camera = example("camera");
        let unit =
            format!("User=nobody\nEnvironment=HEALTH_ENV=production\nExecStart={} 600", camera.display());
        self.systemd.starts("camera.service", &unit);
    }
}

#[test]
fn installed_and_started_it_tells_who_is_killed_on_this_machine() {
    let host = Host::installed();
    assert_eq!(host.systemd.property("healthcheck", "ActiveState"), "active");
    assert_eq!(host.systemd.property("healthcheck", "User"), "healthcheck");
    assert!(host.has("/run/healthcheck/monitor.json"));
    host.does("systemd-analyze", &["verify", "healthcheck.service"]);

    host.camera();
    host.becomes("camera", "healthy", "self_reported");
    // The first one a Rust program takes for an overflow of its stack, and waits for the next.
    eventually("its end", || {
        host.runs("systemctl", &["kill", "--signal=SEGV", "camera"]);
        (host.systemd.property("camera", "ActiveState") == "failed").then_some(())
    });
    let crashed = host.told("camera", "crashed");
    assert_eq!((&crashed["type"], &crashed["from"]), (&json!("transition"), &json!("healthy")));
    let snapshot = host.becomes("camera", "error", "crashed");
    assert_eq!(snapshot["source"], "monitor");
    eventually("how it ended", || {
        host.journal().lines().any(|line| line.contains("camera") && line.contains("signal 11")).then_some(())
    });
    // Nothing that it does is forbidden to it, and what it sees is not the walls around it.
    let snapshot = host.becomes("healthcheck", "healthy", "self_reported");
    let disks = snapshot["resources"]["disks"].as_array().unwrap();
    let root = disks.iter().find(|disk| disk["mount_point"] == "/").unwrap();
    assert_eq!(root["read_only"], false, "only for the monitor it is: {root}");
    let late = r#"{"overall_status":"healthy","pid":1,"deadline_s":1}"#;
    let report = format!("cd /var/cache/healthcheck/health; echo '{late}' >.init && mv .init init.json");
    host.does("sh", &["-c", &report]);
    host.becomes("init", "error", "hung");
}

#[test]
fn installed_again_it_goes_on_and_removed_it_is_gone() {
    let host = Host::new();
    let outcome = host.runs("setpriv", &[&NOBODY[..], &["/run/infra/install.sh"]].concat());
    assert!(outcome.code == 1 && outcome.err.contains("sudo /run/infra/install.sh"), "{outcome:?}");
    host.installs();
    let before = host.main_pid();
    host.installs();
    assert_eq!(host.main_pid(), before, "nothing was new");
    host.does("sh", &["-c", "printf '# newer\\n' >>/run/infra/systemd/healthcheck.service"]);
    host.installs();
    assert_ne!(host.main_pid(), before, "the unit was new");

    host.does("/run/infra/install.sh", &["--uninstall"]);
    for path in [PROGRAM, "/run/healthcheck", "/usr/local/lib/systemd/system/healthcheck.service"] {
        assert!(!host.has(path), "{path}");
    }
    assert!(host.has("/var/lib/healthcheck/state.db"), "what it knew is not the script's to remove");
    assert_ne!(host.runs("systemctl", &["is-active", "healthcheck"]).code, 0);
    host.does("/run/infra/install.sh", &["--uninstall"]);
}

#[test]
fn a_monitor_that_hangs_is_restarted_by_its_watchdog_and_knows_what_it_knew() {
    let host = Host::installed();
    let drop_in = host.systemd.root().join("run/systemd/system/healthcheck.service.d");
    fs::create_dir_all(&drop_in).unwrap();
    fs::write(drop_in.join("50-watchdog.conf"), "[Service]\nWatchdogSec=3\n").unwrap();
    host.systemd.systemctl(&["daemon-reload"]);
    host.systemd.systemctl(&["restart", "healthcheck"]);
    host.camera();
    host.becomes("camera", "healthy", "self_reported");
    let hung = host.main_pid();
    host.systemd.systemctl(&["kill", "--signal=STOP", "healthcheck"]);
    host.systemd.systemctl(&["kill", "--signal=KILL", "camera"]);
    host.systemd.becomes("healthcheck", "NRestarts", "1");
    host.systemd.becomes("healthcheck", "ActiveState", "active");
    assert_ne!(host.main_pid(), hung);
    let crashed = host.told("camera", "crashed");
    assert_eq!(crashed["from"], "healthy", "{crashed}");
    host.becomes("camera", "error", "crashed");
}

#[test]
fn a_reload_puts_the_new_configuration_in_force() {
    let host = Host::installed();
    let before = host.main_pid();
    let file = host.systemd.root().join("etc/healthcheck/healthcheck.toml");
    fs::write(file, "[services.recorder]\n").unwrap();
    host.systemd.systemctl(&["reload", "healthcheck"]);
    eventually("the recorder to be expected", || host.snapshot()["services"].get("recorder").cloned());
    assert_eq!(host.main_pid(), before);
}
