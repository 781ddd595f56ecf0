//! Units: of a real manager of a user, and of a real machine.

use crate::support::{Machine, Outcome, PATIENCE, Snapshot, Systemd, beat_of, eventually, example};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

const ENABLED: &str = "[Install]\nWantedBy=default.target";

/// A machine whose configuration leads to this manager.
fn machine_of(systemd: &Systemd, configuration: &str) -> Machine {
    machine_at(&systemd.private(), configuration)
}

fn machine_at(bus: &str, configuration: &str) -> Machine {
    let machine = Machine::new();
    machine.configures(&format!("{configuration}\n[systemd]\nbus = \"{bus}\"\n"));
    machine
}

/// One service `camera`, which is the unit `camera.service` with this content.
#[track_caller]
fn camera(systemd: &Systemd, content: &str) -> Machine {
    systemd.starts("camera.service", content);
    machine_of(systemd, "[services.camera]\nunit = \"camera.service\"")
}

#[track_caller]
fn evidence<'s>(snapshot: &'s Snapshot, key: &str) -> &'s str {
    let evidence = &snapshot.json["services"]["camera"]["evidence"];
    evidence[key].as_str().unwrap_or_else(|| panic!("no {key}: {evidence:#}"))
}

fn send(signal: Signal, pid: &str) {
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn an_active_unit_is_healthy_without_a_report() {
    let systemd = Systemd::of_a_user();
    let snapshot = camera(&systemd, "ExecStart=sleep 1000").snapshot();
    assert_eq!(snapshot.verdict("camera"), ("healthy", "self_reported"));
    assert_eq!(
        (evidence(&snapshot, "unit"), evidence(&snapshot, "unit_state")),
        ("camera.service", "active (running)")
    );
    assert_eq!((snapshot.json["deployment_mode"].as_str(), snapshot.code), (Some("systemd"), 0));
}

#[test]
fn the_bus_of_the_user_is_found_by_the_environment() {
    let systemd = Systemd::of_a_user();
    let machine = camera(&systemd, "ExecStart=sleep 1000");
    machine.configures("[services.camera]\nunit = \"camera\"\n[systemd]\nbus = \"user\"\n");
    let runtime_dir = systemd.bus().replace("unix:path=", "").replace("/bus", "");
    let mut command = machine.command(&["--format", "json"]);
    let outcome = Outcome::of(&command.env("XDG_RUNTIME_DIR", runtime_dir).output().unwrap());
    let snapshot = snapshot_of(&outcome);
    assert_eq!(snapshot.verdict("camera"), ("healthy", "self_reported"));
    assert_eq!(evidence(&snapshot, "unit"), "camera.service");
}

#[track_caller]
fn snapshot_of(outcome: &Outcome) -> Snapshot {
    let json = serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    Snapshot { json, code: outcome.code }
}

#[test]
fn a_failed_unit_names_its_exit_code() {
    let systemd = Systemd::of_a_user();
    let machine = camera(&systemd, "ExecStart=sh -c 'exit 7'");
    systemd.becomes("camera", "ActiveState", "failed");
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("camera"), ("error", "crashed"));
    assert!(snapshot.message("camera").contains("exit 7"), "{}", snapshot.message("camera"));
    assert_eq!(evidence(&snapshot, "unit_result"), "exit-code");
}

#[test]
fn a_killed_unit_names_the_signal() {
    let systemd = Systemd::of_a_user();
    let machine = camera(&systemd, "ExecStart=sleep 1000");
    send(Signal::KILL, &systemd.property("camera", "MainPID"));
    systemd.becomes("camera", "ActiveState", "failed");
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("camera"), ("error", "crashed"));
    assert!(snapshot.message("camera").contains("signal 9"), "{}", snapshot.message("camera"));
}

#[test]
fn f14_a_crash_loop_is_told_from_a_stop() {
    let systemd = Systemd::of_a_user();
    let machine = camera(&systemd, "ExecStart=false\nRestart=always\nRestartSec=1h");
    systemd.becomes("camera", "SubState", "auto-restart");
    let looping = machine.snapshot();
    assert_eq!(looping.verdict("camera"), ("fatal", "crash_looping"));
    assert!(looping.message("camera").contains("exit 1"), "{}", looping.message("camera"));

    systemd.has_unit("camera.service", &format!("[Service]\nExecStart=sleep 1000\n{ENABLED}\n"));
    systemd.systemctl(&["enable", "camera"]);
    systemd.systemctl(&["restart", "camera"]);
    systemd.systemctl(&["stop", "camera"]);
    let stopped = machine.snapshot();
    assert_eq!(stopped.verdict("camera"), ("healthy", "stopped"));
    assert_eq!(stopped.code, 0);
}

/// Most of the time it runs: a look must not depend on the instant.
#[test]
fn f14_a_crash_loop_is_seen_also_while_it_runs() {
    let systemd = Systemd::of_a_user();
    let looping = "ExecStart=sh -c 'sleep 0.5; exit 1'\nRestart=always\nRestartSec=50ms\n[Unit]\nStartLimitIntervalSec=0";
    let machine = camera(&systemd, looping);
    eventually("the third restart", || {
        let restarts = machine.snapshot().json["services"]["camera"]["evidence"]["unit_restarts"].clone();
        restarts.as_str().and_then(|restarts| restarts.parse::<u32>().ok()).filter(|restarts| *restarts >= 3)
    });
    for _ in 0..8 {
        assert_eq!(machine.snapshot().verdict("camera"), ("fatal", "crash_looping"));
    }
}

#[test]
fn f14_a_unit_that_systemd_gave_up_is_a_crash_loop() {
    let systemd = Systemd::of_a_user();
    let limits = "ExecStart=false\nRestart=on-failure\nRestartSec=0\n[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3";
    let machine = camera(&systemd, limits);
    systemd.becomes("camera", "ActiveState", "failed");
    systemd.becomes("camera", "NRestarts", "3");
    assert_eq!(machine.snapshot().verdict("camera"), ("fatal", "crash_looping"));
}

#[test]
fn a_unit_killed_by_its_watchdog_says_so() {
    let systemd = Systemd::of_a_user();
    let ready = "Type=notify\nNotifyAccess=all\nWatchdogSec=500ms";
    let machine =
        camera(&systemd, &format!("{ready}\nExecStart=sh -c 'systemd-notify --ready; exec sleep 1000'"));
    systemd.becomes("camera", "ActiveState", "failed");
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("camera"), ("error", "crashed"));
    assert!(snapshot.message("camera").contains("watchdog"), "{}", snapshot.message("camera"));
    assert_eq!(evidence(&snapshot, "unit_result"), "watchdog");
}

#[test]
fn a_unit_that_is_not_there_was_never_started() {
    let systemd = Systemd::of_a_user();
    let snapshot = machine_of(&systemd, "[services.camera]\nunit = \"camera.service\"").snapshot();
    assert_eq!(snapshot.verdict("camera"), ("error", "never_started"));
    assert!(
        snapshot.message("camera").contains("camera.service is not there"),
        "{}",
        snapshot.message("camera")
    );
}

#[test]
fn what_a_unit_says_of_itself_is_shown_and_obeyed_by_nobody() {
    let systemd = Systemd::of_a_user();
    let script = Machine::new();
    let path = script.root().join("says");
    let says = r#"systemd-notify --ready --status="$(printf 'warm \033[2J<b>up</b>')""#;
    std::fs::write(&path, format!("{says}\nexec sleep 1000\n")).unwrap();
    let unit = format!("Type=notify\nNotifyAccess=all\nExecStart=sh {}", path.display());
    let machine = camera(&systemd, &unit);
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("camera"), ("healthy", "self_reported"));
    assert_eq!(evidence(&snapshot, "unit_says"), "warm \u{fffd}[2J<b>up</b>");
    let table = machine.run(&["--format", "table"]);
    assert!(!table.out.contains('\u{1b}'), "{}", table.out);
}

#[test]
fn a_unit_that_did_what_it_had_to_is_healthy() {
    let systemd = Systemd::of_a_user();
    let snapshot = camera(&systemd, "Type=oneshot\nRemainAfterExit=yes\nExecStart=true").snapshot();
    assert_eq!(snapshot.verdict("camera"), ("healthy", "self_reported"));
    assert_eq!(evidence(&snapshot, "unit_state"), "active (exited)");
}

/// A service that reports, in a unit that nobody wrote into the configuration.
fn reporting(systemd: &Systemd) -> Machine {
    let machine = machine_at(&systemd.bus(), "");
    let (dir, program) = (machine.health_dir(), example("camera"));
    let service = format!("Environment=HEALTH_DIR={}\nExecStart={}", dir.display(), program.display());
    systemd.has_unit("camera.service", &format!("[Service]\n{service}\n{ENABLED}\n"));
    systemd.systemctl(&["enable", "--now", "camera"]);
    eventually("a report", || dir.join("camera.json").exists().then_some(()));
    machine
}

#[test]
fn a_report_and_its_unit_are_one_subject_with_one_verdict() {
    let systemd = Systemd::of_a_user();
    let machine = reporting(&systemd);
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("camera"), ("healthy", "self_reported"));
    assert_eq!(evidence(&snapshot, "unit"), "camera.service");
    assert_eq!(names(&snapshot.json["services"]), ["camera"]);

    send(Signal::KILL, &systemd.property("camera", "MainPID"));
    systemd.becomes("camera", "ActiveState", "failed");
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("camera"), ("error", "crashed"));
    assert!(snapshot.message("camera").contains("signal 9"), "{}", snapshot.message("camera"));
    assert_eq!(names(&snapshot.json["services"]), ["camera"]);
}

#[test]
fn a_service_stopped_by_systemd_without_a_goodbye_is_stopped() {
    let systemd = Systemd::of_a_user();
    let machine = reporting(&systemd);
    systemd.systemctl(&["stop", "camera"]);
    assert_eq!(machine.report_of("camera")["state"], "running", "it said no goodbye");
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("camera"), ("healthy", "stopped"), "{:#}", snapshot.json);
}

fn names(map: &Value) -> Vec<&str> {
    map.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn f7_without_systemd_nothing_is_bad_because_of_that() {
    let machine = Machine::new();
    machine.configures(
        "project = \"fire\"\n[services.camera]\nunit = \"camera@fire.service\"\n[services.core]\n",
    );
    for service in ["camera", "core"] {
        machine.reports(service, &beat_of(std::process::id()));
    }
    let script = "mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && exec \"$@\"";
    let program = env!("CARGO_BIN_EXE_healthcheck");
    let words =
        ["--mount", "--propagation", "private", "sh", "-ec", script, "sh", program, "--format", "json"];
    let outcome = Outcome::of(&machine.any_command("unshare", &words).output().unwrap());
    let snapshot = snapshot_of(&outcome);
    assert_eq!(snapshot.json["deployment_mode"], "processes");
    for service in ["camera", "core"] {
        assert_eq!(snapshot.verdict(service), ("healthy", "self_reported"));
    }
    let issues = snapshot.json["issues"].to_string();
    assert!(!issues.contains("systemd"), "{issues}");
}

#[test]
fn a_machine_without_any_configuration_shows_its_failed_and_restarting_units() {
    let systemd = Systemd::of_a_machine();
    systemd.starts("broken.service", "ExecStart=sh -c 'exit 3'");
    systemd.starts("loops.service", "ExecStart=false\nRestart=always\nRestartSec=1h");
    systemd.starts("fine.service", "ExecStart=sleep 1000");
    systemd.becomes("broken", "ActiveState", "failed");
    systemd.becomes("loops", "SubState", "auto-restart");
    shows_trouble(&systemd);
    let outside = machine_at(&systemd.bus(), "[services.camera]\nunit = \"broken\"").snapshot();
    assert_eq!(outside.verdict("camera"), ("error", "crashed"));
    assert_eq!(evidence(&outside, "unit"), "broken.service");
    // Without a bus systemd itself is asked.
    systemd.systemctl(&["stop", "dbus.socket", "dbus.service"]);
    shows_trouble(&systemd);
}

#[track_caller]
fn shows_trouble(systemd: &Systemd) {
    let output = systemd.command(env!("CARGO_BIN_EXE_healthcheck"), &["--format", "json"]).output().unwrap();
    let snapshot = snapshot_of(&Outcome::of(&output));
    assert_eq!(snapshot.json["deployment_mode"], "systemd");
    assert_eq!(snapshot.verdict("broken"), ("error", "crashed"));
    assert!(snapshot.message("broken").contains("exit 3"), "{}", snapshot.message("broken"));
    assert_eq!(snapshot.verdict("loops"), ("fatal", "crash_looping"));
    assert_eq!(snapshot.json["services"]["broken"]["evidence"]["unit"], "broken.service");
    assert!(!names(&snapshot.json["services"]).contains(&"fine"), "{:#}", snapshot.json);
}

/// Three ways for a bus to be dead: no socket, nobody who listens, nobody who answers.
#[test]
fn a_dead_bus_costs_its_own_line_and_its_time_out() {
    let machine = Machine::new();
    let socket = machine.root().join("bus");
    let bus = format!("unix:path={}", socket.display());
    machine.configures(&format!("[systemd]\nbus = \"{bus}\"\n[services.camera]\n"));
    machine.reports("camera", &beat_of(std::process::id()));
    let line = |what: &str| {
        let started = Instant::now();
        let snapshot = machine.snapshot();
        assert_eq!((snapshot.verdict("camera"), snapshot.code), (("healthy", "self_reported"), 0));
        let text = snapshot.json.to_string();
        assert!(text.contains(what) && text.contains(&bus), "{what}: {:#}", snapshot.json);
        started.elapsed()
    };
    line("there is no socket");
    drop(UnixListener::bind(&socket).unwrap());
    line("nothing listens");
    std::fs::remove_file(&socket).unwrap();
    let _silent = UnixListener::bind(&socket).unwrap();
    let took = line("nothing answers");
    assert!(took > Duration::from_secs(1) && took < PATIENCE, "{took:?}");
}

#[test]
fn a_stopped_systemd_costs_its_own_line_and_its_time_out() {
    let systemd = Systemd::of_a_user();
    let machine = machine_of(&systemd, "[services.camera]\nunit = \"camera.service\"\n[services.core]");
    for service in ["camera", "core"] {
        machine.reports(service, &beat_of(std::process::id()));
    }
    send(Signal::STOP, &systemd.pid().to_string());
    let snapshot = machine.snapshot();
    send(Signal::CONT, &systemd.pid().to_string());
    for service in ["camera", "core"] {
        assert_eq!(snapshot.verdict(service), ("healthy", "self_reported"));
    }
    assert!(snapshot.json.to_string().contains("nothing answers"), "{:#}", snapshot.json);
}

/// The look at 20 units, as a whole process.
#[test]
fn twenty_units_are_asked_within_a_moment() {
    let systemd = Systemd::of_a_user();
    let mut configuration = String::new();
    for number in 0..20 {
        systemd.has_unit(&format!("unit-{number}.service"), "[Service]\nExecStart=sleep 1000\n");
        configuration += &format!("[services.s{number}]\nunit = \"unit-{number}.service\"\n");
    }
    for number in 0..20 {
        systemd.systemctl(&["start", &format!("unit-{number}")]);
    }
    let machine = machine_of(&systemd, &configuration);
    let started = Instant::now();
    let snapshot = machine.snapshot();
    println!("a look at 20 units: {:?}", started.elapsed());
    assert_eq!(names(&snapshot.json["services"]).len(), 20);
}
