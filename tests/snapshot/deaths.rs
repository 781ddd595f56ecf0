//! Ends of processes, planned and not.

use crate::support::{Machine, Process, beat_of, copy_program, eventually, example};
use rustix::process::Signal;
use serde_json::json;
use std::path::Path;

fn camera(machine: &Machine, seconds: &str) -> Process {
    let process = Process::start(&mut machine.any_command(example("camera").to_str().unwrap(), &[seconds]));
    eventually("a healthy camera", || {
        let path = machine.health_dir().join("camera.json");
        (path.exists() && machine.snapshot().verdict("camera") == ("healthy", "self_reported")).then_some(())
    });
    process
}

#[test]
fn a_killed_service_has_crashed_and_the_whole_is_an_error() {
    let machine = Machine::new();
    camera(&machine, "60").kill();
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("camera"), snapshot.code), (("error", "crashed"), 2));
    assert!(
        snapshot.message("camera").starts_with("died, exit unknown, last beat "),
        "{}",
        snapshot.message("camera")
    );
}

/// F11: of all ends only a goodbye is a planned stop.
#[test]
fn f11_a_goodbye_is_no_outage_and_a_bare_sigterm_is_one() {
    let machine = Machine::new();
    let mut ended_by_itself = camera(&machine, "1");
    assert!(ended_by_itself.ended().success());
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("camera"), snapshot.code), (("healthy", "stopped"), 0));

    let mut terminated = camera(&machine, "60");
    terminated.signal(Signal::TERM);
    terminated.ended();
    assert_eq!(machine.snapshot().verdict("camera"), ("error", "crashed"));
}

/// F11: an `Err` out of `main` is recorded, and is no goodbye.
#[test]
fn f11_an_error_out_of_main_has_crashed_and_its_last_words_are_told() {
    let machine = Machine::new();
    let mut recorder = Process::start(&mut machine.any_command(example("recorder").to_str().unwrap(), &[]));
    assert_eq!(recorder.ended().code(), Some(1));
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("recorder"), ("error", "crashed"));
    assert!(
        snapshot.message("recorder").ends_with("last error: the tape is full"),
        "{}",
        snapshot.message("recorder")
    );
}

#[test]
fn a_zombie_is_dead_and_tells_its_signal() {
    let machine = Machine::new();
    // A parent that does not ask how its child ended.
    let script = "sleep 60 & echo $!; exec sleep 60";
    let parent = Process::start(&mut machine.any_command("dash", &["-c", script]));
    let child: u32 = parent.line().trim().parse().unwrap();
    machine.reports("camera", &beat_of(child));
    assert_eq!(machine.snapshot().verdict("camera"), ("healthy", "self_reported"));
    machine.shell(&format!("kill -9 {child}"));
    let snapshot = eventually("the zombie", || {
        Some(machine.snapshot()).filter(|snapshot| snapshot.verdict("camera").1 == "crashed")
    });
    assert!(
        snapshot.message("camera").starts_with("crashed (signal 9), last beat "),
        "{}",
        snapshot.message("camera")
    );
}

#[test]
fn a_pid_that_belongs_to_another_process_by_now_is_not_the_service() {
    let machine = Machine::new();
    let mut report = beat_of(std::process::id());
    report["pid_start_ticks"] = json!(1);
    machine.reports("camera", &report);
    assert_eq!(machine.snapshot().verdict("camera"), ("error", "crashed"));
}

#[test]
fn a_process_of_another_pid_namespace_is_not_dead() {
    let machine = Machine::new();
    let mut report = beat_of(4_194_304);
    report["pid_namespace"] = json!(1);
    machine.reports("container", &report);
    assert_eq!(machine.snapshot().verdict("container"), ("healthy", "self_reported"));
    report["written_boottime_s"] = json!(1.0);
    report["deadline_s"] = json!(0.5);
    machine.reports("container", &report);
    assert_eq!(machine.snapshot().verdict("container"), ("error", "overdue"));
}

/// A real reporter in a pid namespace of its own says so, and its pid there means nothing here.
#[test]
fn a_reporter_in_a_container_is_judged_by_its_beats_alone() {
    let machine = Machine::new();
    let camera = example("camera");
    let arguments = ["--pid", "--fork", "--kill-child", "--mount-proc", camera.to_str().unwrap(), "60"];
    let _process = Process::start(&mut machine.any_command("unshare", &arguments));
    eventually("its report", || machine.health_dir().join("camera.json").exists().then_some(()));
    assert_eq!(machine.report_of("camera")["pid"], 1);
    assert_eq!(machine.snapshot().verdict("camera"), ("healthy", "self_reported"));
}

/// Whoever may write into the directory cannot speak for the process of somebody else.
#[test]
fn a_file_that_names_a_process_of_another_user_is_refused() {
    let machine = Machine::new();
    machine.reports("liar", &beat_of(std::process::id()));
    let file = machine.health_dir().join("liar.json");
    machine.shell(&format!("chown 65534:65534 {}", file.display()));
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("liar"), snapshot.code), (("unknown", "not_permitted"), 3));
}

#[test]
fn what_may_not_be_read_is_not_missing() {
    let machine = Machine::new();
    machine.reports("camera", &beat_of(std::process::id()));
    machine.configures("[services.camera]\n");
    machine.shell("chmod 600 logs/health/camera.json");
    let program = env!("CARGO_BIN_EXE_healthcheck");
    assert!(Path::new(program).exists());
    // The program may lie below a directory that only root may enter.
    let copy = machine.root().join("healthcheck");
    copy_program(program, &copy);
    let arguments =
        ["--reuid=65534", "--regid=65534", "--clear-groups", copy.to_str().unwrap(), "--format", "json"];
    let output = machine.any_command("setpriv", &arguments).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["services"]["camera"]["cause"], "not_permitted", "{json:#}");
    assert_eq!(output.status.code(), Some(3));
}
