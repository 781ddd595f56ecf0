//! `healthcheck run -- CMD`.

use crate::support::{Machine, Parent, Process, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

fn exit_check(report: &Value) -> Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "exit").cloned().unwrap()
}

fn started(machine: &Machine, arguments: &[&str]) -> Parent {
    let process =
        Process::start(&mut machine.command(&[&["run", "--service", "daemon"], arguments].concat()));
    eventually("its report", || machine.health_dir().join("daemon.json").exists().then_some(()));
    Parent(process)
}

#[test]
fn a_job_that_succeeds_is_finished_until_it_is_due_again() {
    let machine = Machine::new();
    let ran = machine.run(&["run", "--service", "backup", "--deadline", "26h", "--", "echo", "3 files"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "3 files\n"));
    let report = machine.report_of("backup");
    assert_eq!((report["state"].as_str(), report["deadline_s"].as_f64()), (Some("finished"), Some(93_600.0)));
    assert_eq!(exit_check(&report)["metadata"]["code"], 0);
    assert_eq!(machine.snapshot().verdict("backup"), ("healthy", "finished"));
}

#[test]
fn a_job_that_fails_keeps_its_exit_code_and_its_last_words() {
    let machine = Machine::new();
    let script = "echo out; sleep 0.05; echo 'postgres://me:hunter2@db is away' >&2; exit 3";
    let ran = machine.run(&["run", "--service", "backup", "--", "dash", "-c", script]);
    assert_eq!((ran.code, ran.out.as_str()), (3, "out\n"));
    assert_eq!(ran.err, "postgres://me:hunter2@db is away\n", "what passes through is not touched");
    let report = machine.report_of("backup");
    let check = exit_check(&report);
    assert_eq!(
        (report["state"].as_str(), report["overall_status"].as_str()),
        (Some("finished"), Some("error"))
    );
    assert_eq!((check["status"].as_str(), check["metadata"]["code"].as_i64()), (Some("error"), Some(3)));
    let output = check["metadata"]["output"].as_str().unwrap();
    assert!(output.contains("out") && output.contains("postgres://***@db is away"), "{output}");
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("backup"), ("error", "crashed"));
    let message = snapshot.message("backup");
    assert!(message.starts_with("failed (exit 3): ") && message.contains("***@db is away"), "{message}");
}

#[test]
fn a_killed_daemon_is_told_with_its_signal() {
    let machine = Machine::new();
    let mut daemon = started(&machine, &["--", "sleep", "60"]);
    assert_eq!(machine.snapshot().verdict("daemon"), ("healthy", "self_reported"));
    let child = machine.report_of("daemon")["pid"].as_u64().unwrap();
    assert_ne!(child, u64::from(daemon.pid()), "the process to look at is the daemon's");
    machine.shell(&format!("kill -9 {child}"));
    assert_eq!(daemon.ended().code(), Some(137));
    let report = machine.report_of("daemon");
    assert_eq!(exit_check(&report)["metadata"]["signal"], 9);
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("daemon"), snapshot.code), (("error", "crashed"), 2));
    assert!(snapshot.message("daemon").contains("signal 9"), "{}", snapshot.message("daemon"));
}

/// F11: whoever is asked to end and does has stopped.
#[test]
fn f11_a_daemon_that_is_asked_to_end_has_stopped() {
    for (script, code) in
        [("exec sleep 60", 143), ("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", 0)]
    {
        let machine = Machine::new();
        let mut daemon = started(&machine, &["--", "dash", "-c", script]);
        if script.contains("ready") {
            assert_eq!(daemon.line(), "ready");
        }
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended().code(), Some(code), "{script}");
        assert_eq!(machine.report_of("daemon")["state"], "stopped", "{script}");
        assert_eq!(machine.snapshot().verdict("daemon"), ("healthy", "stopped"), "{script}");
    }
}

/// F11: an end in an error is never a stop.
#[test]
fn f11_a_daemon_that_fails_while_it_ends_has_crashed() {
    let machine = Machine::new();
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let mut daemon = started(&machine, &["--", "dash", "-c", script]);
    assert_eq!(daemon.line(), "ready");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(7));
    assert_eq!(machine.snapshot().verdict("daemon"), ("error", "crashed"));
}

#[test]
fn other_signals_are_passed_on() {
    let machine = Machine::new();
    let script =
        "trap 'echo reloaded' HUP; trap 'echo rotated' USR1; echo ready; while :; do sleep 0.01; done";
    let daemon = started(&machine, &["--", "dash", "-c", script]);
    assert_eq!(daemon.line(), "ready");
    daemon.signal(Signal::HUP);
    assert_eq!(daemon.line(), "reloaded");
    daemon.signal(Signal::USR1);
    assert_eq!(daemon.line(), "rotated");
    assert_eq!(machine.snapshot().verdict("daemon"), ("healthy", "self_reported"));
}

#[test]
fn a_job_past_its_deadline_hangs_though_it_is_still_at_it() {
    let machine = Machine::new();
    let _job = started(&machine, &["--deadline", "300ms", "--", "sleep", "60"]);
    let snapshot = eventually("the deadline", || {
        Some(machine.snapshot()).filter(|snapshot| snapshot.verdict("daemon") == ("error", "hung"))
    });
    assert!(snapshot.message("daemon").contains("job"), "{}", snapshot.message("daemon"));
}

#[test]
fn whoever_is_left_behind_is_not_waited_for() {
    let machine = Machine::new();
    let ran = machine.run(&["run", "--service", "starter", "--", "dash", "-c", "sleep 5 & echo started"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "started\n"));
    assert_eq!(machine.report_of("starter")["state"], "finished");
}

#[test]
fn a_command_that_is_not_there_is_a_failed_job() {
    let machine = Machine::new();
    let ran = machine.run(&["run", "--service", "typo", "--", "no-such-command"]);
    assert_eq!(ran.code, 127);
    assert!(ran.err.contains("cannot run no-such-command"), "{}", ran.err);
    assert_eq!(machine.snapshot().verdict("typo"), ("error", "crashed"));
}

#[test]
fn a_command_runs_whatever_is_wrong_with_reporting() {
    let machine = Machine::new();
    let ran = machine.run(&["run", "--service", "job", "--health-dir", "/proc/nowhere", "--", "echo", "ran"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "ran\n"));
    machine.configures("nonsense = 1\n");
    let ran = machine.run(&["run", "--service", "job", "--", "echo", "ran"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "ran\n"));
    assert!(ran.err.contains("nonsense"), "{}", ran.err);
}

#[test]
fn input_is_passed_through_and_a_reader_that_left_ends_nothing() {
    let machine = Machine::new();
    let mut command = machine.command(&["run", "--service", "filter", "--", "wc", "-c"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&[b'x'; 100_000]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "100000");
    let piped =
        machine.shell(r#""$HEALTHCHECK" run --service flood -- dash -c 'seq 100000; exit 4' | head -1"#);
    assert_eq!(piped.out, "1\n");
    assert_eq!(exit_check(&machine.report_of("flood"))["metadata"]["code"], 4);
}

/// Whoever reads slowly gets everything, also after the command's end.
#[test]
fn a_slow_reader_loses_nothing() {
    let machine = Machine::new();
    let script = r#""$HEALTHCHECK" run --service dump -- head -c 300000 /dev/zero | { sleep 1; wc -c; }"#;
    assert_eq!(machine.shell(script).out.trim(), "300000");
}

#[test]
fn what_is_not_reported_is_said_and_the_command_runs() {
    let machine = Machine::new();
    let ran = machine.run(&["run", "--service", "job", "--health-dir", "/proc/nowhere", "--", "echo", "ran"]);
    assert!(ran.err.contains("job is not reported") && ran.err.contains("/proc/nowhere"), "{}", ran.err);
}

#[test]
fn a_second_run_of_a_service_says_what_it_is_called() {
    let machine = Machine::new();
    let _first = started(&machine, &["--", "sleep", "60"]);
    let second = machine.run(&["run", "--service", "daemon", "--", "true"]);
    assert_eq!(second.code, 0);
    assert!(
        second.err.contains("daemon was running already: this one was reported as daemon@2"),
        "{}",
        second.err
    );
}

#[test]
fn what_nohup_protects_stays_protected() {
    let machine = Machine::new();
    let script = r#"trap '' HUP; exec "$HEALTHCHECK" run --service daemon -- dash -c 'echo ready; sleep 60'"#;
    let mut command = machine.any_command("dash", &["-c", script]);
    let daemon = Parent(Process::start(command.env("HEALTHCHECK", env!("CARGO_BIN_EXE_healthcheck"))));
    assert_eq!(daemon.line(), "ready");
    daemon.signal(Signal::HUP);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(machine.snapshot().verdict("daemon"), ("healthy", "self_reported"));
    let child = machine.report_of("daemon")["pid"].as_u64().unwrap();
    machine.shell(&format!("kill -HUP {child}; sleep 0.1"));
    assert_eq!(machine.snapshot().verdict("daemon"), ("healthy", "self_reported"));
    machine.shell(&format!("kill -9 {child}"));
}

/// Whoever starts us may ignore or block the signal that tells of a child's end.
#[test]
fn a_command_ends_whatever_was_inherited() {
    let machine = Machine::new();
    for inherited in [
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])",
    ] {
        let script = format!("import os, signal, sys; {inherited}; os.execv(sys.argv[1], sys.argv[1:])");
        let run = [env!("CARGO_BIN_EXE_healthcheck"), "run", "--service", "job", "--", "sleep", "0.05"];
        let mut process =
            Process::start(&mut machine.any_command("python3", &[&["-c", &script], &run[..]].concat()));
        assert_eq!(process.ended().code(), Some(0), "{inherited}");
        assert_eq!(machine.report_of("job")["state"], "finished", "{inherited}");
    }
}

#[test]
fn a_warning_that_cannot_be_written_keeps_no_command_from_running() {
    let machine = Machine::new();
    let script = r#""$HEALTHCHECK" run --config /nonexistent --service job -- echo ran 2>/dev/full"#;
    assert_eq!(machine.shell(script).out, "ran\n");
}
