//! What hinders the monitor: dead mounts, no inotify, a reader that does not read. It watches on.

use crate::support::{Cost, Machine, Monitor, Process, World, beat_of, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A server that takes questions and answers none, as long as the world is there.
const DEAD_MOUNT: &str = "mkdir dead; mkfifo words; python3 $SERVER $R/dead <words >said & exec 3>words
    until grep -q mounted said; do sleep 0.01; done; echo silent >&3";

fn with_a_dead_mount(machine: &Machine) -> World<'_> {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/outside/fuse.py");
    World::of(machine, &DEAD_MOUNT.replace("$SERVER", server))
}

/// Probes that lead there, a table of file systems that names it, and services that are made of files there.
#[test]
fn f13_a_dead_mount_stalls_neither_a_verdict_nor_the_end() {
    let machine = Machine::new();
    let root = machine.root().display();
    let probe = format!("kind = \"file_age\"\npath = \"{root}/dead/backup\"\nmax_age = \"1h\"");
    machine.configures(&format!(
        "[probes.backup]\n{probe}\ninterval = \"1s\"\ntimeout = \"500ms\"\nretries = 0\n"
    ));
    let world = with_a_dead_mount(&machine);
    let made_of_it = ["dash", "-c", "read never", "dead/program", "--config", "dead/service.toml"];
    let service = |name: &str| {
        let process = Process::start(&mut world.command(&made_of_it));
        machine.reports(name, &beat_of(process.pid()));
        process
    };
    let first = service("first");
    let mut monitor = Monitor::from_command(&mut world.program(&["monitor"]));
    assert_eq!(monitor.story_of("first"), ["unknown→healthy self_reported"]);
    let second = service("second");
    monitor.transition("second", "healthy", "self_reported");
    monitor.event("a look at the dead mount", |event| {
        event["subject"] == "backup" && event["cause"] == "probe_unavailable"
    });
    for (name, process) in [("first", first), ("second", second)] {
        let killed = Instant::now();
        process.kill();
        monitor.transition(name, "error", "crashed");
        println!("beside a dead mount told after {:?}", killed.elapsed());
        assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
    }
    let took = monitor.stop();
    println!("beside a dead mount it ended within {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn without_inotify_a_report_is_told_all_the_same_and_the_lack_is_reported() {
    let machine = Machine::new();
    let script = "echo 0 >/proc/sys/user/max_inotify_instances; exec \"$0\" monitor";
    let program = env!("CARGO_BIN_EXE_healthcheck");
    let arguments = ["--user", "--map-root-user", "dash", "-ec", script, program];
    let monitor = Monitor::from_command(&mut machine.any_command("unshare", &arguments));
    let process = Process::start(&mut machine.any_command("sleep", &["600"]));
    let written = Instant::now();
    machine.reports("camera", &beat_of(process.pid()));
    monitor.transition("camera", "healthy", "self_reported");
    println!("without inotify told after {:?}", written.elapsed());
    assert!(written.elapsed() < Duration::from_millis(3_500), "{:?}", written.elapsed());
    let check = eventually("the lack in its own report", || {
        let own = machine.report_of("healthcheck");
        own["checks"]
            .as_array()?
            .iter()
            .find(|check| check["name"] == "reports" && check["status"] == "warning")
            .cloned()
    });
    assert!(check["message"].as_str().unwrap().contains("max_user_instances"), "{check}");
    process.kill();
    monitor.transition("camera", "error", "crashed");
}

/// A monitor to which nobody listens.
struct Unheard(Child);

impl Unheard {
    fn start(machine: &Machine) -> Self {
        let mut command = machine.command(&["monitor"]);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_reader_that_does_not_read_holds_up_nobody() {
    let machine = Machine::new();
    let process = Process::start(&mut machine.any_command("sleep", &["600"]));
    machine.reports("camera", &beat_of(process.pid()));
    // Their story is longer than what a pipe takes.
    (0..300).for_each(|number| machine.reports(&format!("s{number}"), &json!({"overall_status": "healthy"})));
    let mut monitor = Unheard::start(&machine);
    let seen_by_it = |service: &str, cause: &str| {
        let snapshot = machine.snapshot();
        let is_its = snapshot.json["source"] == "monitor";
        (is_its && snapshot.json["services"][service]["cause"] == cause).then_some(())
    };
    eventually("the monitor to answer", || seen_by_it("s299", "self_reported"));
    for round in 0..20 {
        let status = ["warning", "error"][round % 2];
        (0..300)
            .for_each(|number| machine.reports(&format!("s{number}"), &json!({"overall_status": status})));
    }
    let killed = Instant::now();
    process.kill();
    eventually("the end, by another way", || seen_by_it("camera", "crashed"));
    println!("with a full pipe seen after {:?}", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
    let before = Cost::of(monitor.0.id()).cpu;
    std::thread::sleep(Duration::from_secs(1));
    let busy = Cost::of(monitor.0.id()).cpu - before;
    assert!(busy < Duration::from_millis(300), "it spins: {busy:?}");
    let asked = Instant::now();
    kill_process(Pid::from_child(&monitor.0), Signal::TERM).unwrap();
    eventually("its end", || monitor.0.try_wait().unwrap());
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    let lines = BufReader::new(monitor.0.stdout.take().unwrap()).split(b'\n').map(Result::unwrap);
    let mut lines: Vec<_> = lines.map(|line| serde_json::from_slice::<Value>(&line)).collect();
    // The last line may have been cut off by the end.
    lines.pop();
    assert!(lines.len() > 50 && lines.iter().all(Result::is_ok), "{lines:?}");
}
