//! Reports that are too old, and why.

use crate::support::{Machine, Process, beat_of, eventually};
use rustix::process::Signal;
use serde_json::json;

/// F10: a dead service does not fall silent because its file is old.
#[test]
fn f10_a_report_of_days_ago_is_overdue_for_ever() {
    let machine = Machine::new();
    machine.puts("agent", r#"{"overall_status":"healthy"}"#);
    for age in ["3 minutes ago", "2 days ago", "300 days ago"] {
        machine.shell(&format!("touch -d '{age}' logs/health/agent.json"));
        let snapshot = machine.snapshot();
        assert_eq!(snapshot.verdict("agent").0, "error", "{age}: {}", snapshot.message("agent"));
        assert_eq!(snapshot.code, 2);
    }
    machine.shell("touch -d '1 minute ago' logs/health/agent.json");
    assert_eq!(machine.snapshot().verdict("agent"), ("healthy", "self_reported"));
}

#[test]
fn a_living_process_past_its_deadline_hangs_and_a_stopped_one_says_why() {
    let machine = Machine::new();
    let sleeper = Process::start(&mut machine.any_command("sleep", &["60"]));
    let mut report = beat_of(sleeper.pid());
    report["deadline_s"] = json!(0.05);
    machine.reports("camera", &report);
    sleeper.signal(Signal::STOP);
    let snapshot = eventually("the deadline", || {
        Some(machine.snapshot()).filter(|snapshot| snapshot.verdict("camera") == ("error", "hung"))
    });
    let view = snapshot.json["services"]["camera"].to_string();
    assert!(view.contains("SIGSTOP"), "{view}");
}

#[test]
fn a_silent_loop_is_a_hang_though_the_reporter_beats() {
    let machine = Machine::new();
    let mut report = beat_of(std::process::id());
    let written = report["written_boottime_s"].as_f64().unwrap();
    report["watched_loops"] = json!([{"name": "frames", "beat_boottime_s": written - 3.0, "limit_s": 2}]);
    machine.reports("camera", &report);
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("camera"), ("error", "hung"));
    assert!(snapshot.message("camera").contains("frames"), "{}", snapshot.message("camera"));
}

#[test]
fn a_full_disk_is_the_cause_when_the_process_lives() {
    let machine = Machine::new();
    let mut report = beat_of(std::process::id());
    report["deadline_s"] = json!(0.01);
    std::fs::write(machine.root().join("report.json"), report.to_string()).unwrap();
    let script = r#"mount -t tmpfs -o size=64k,mode=755 tmpfs logs/health && cp report.json logs/health/camera.json
        sleep 0.05; "$HEALTHCHECK" --format json >before.json
        dd if=/dev/zero of=logs/health/.fill bs=1k 2>/dev/null; "$HEALTHCHECK" --format json >full.json
        rm logs/health/.fill; mount -o remount,ro logs/health; "$HEALTHCHECK" --format json >read-only.json; true"#;
    let arguments = ["--mount", "dash", "-c", script];
    let mut command = machine.any_command("unshare", &arguments);
    let output = command.env("HEALTHCHECK", env!("CARGO_BIN_EXE_healthcheck")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cause = |file: &str| {
        let text = std::fs::read_to_string(machine.root().join(file)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["services"]["camera"]["cause"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        ["before.json", "full.json", "read-only.json"].map(cause),
        ["hung", "reporter_cannot_write", "reporter_cannot_write"]
    );
}

/// F12: ages are measured on a clock that nobody can set.
#[test]
fn f12_a_wall_clock_that_was_set_makes_nobody_late_and_nobody_immortal() {
    let machine = Machine::new();
    machine.reports("fresh", &beat_of(std::process::id()));
    let mut late = beat_of(std::process::id());
    late["written_boottime_s"] = json!(late["written_boottime_s"].as_f64().unwrap() - 60.0);
    machine.reports("late", &late);
    // As if the clock had been set back or forward since: the file's times lie a day off.
    for step in ["1 day ago", "tomorrow"] {
        machine.shell(&format!("touch -d '{step}' logs/health/fresh.json logs/health/late.json"));
        let snapshot = machine.snapshot();
        assert_eq!(snapshot.verdict("fresh"), ("healthy", "self_reported"), "{step}");
        assert_eq!(snapshot.verdict("late"), ("error", "hung"), "{step}");
    }
}

/// F12: a time in the future is never fresher than what the reader itself can see.
#[test]
fn f12_a_report_from_the_future_is_as_old_as_its_file() {
    let machine = Machine::new();
    let mut report = beat_of(std::process::id());
    report["written_boottime_s"] = json!(1e9);
    machine.reports("camera", &report);
    machine.shell("touch -d '10 minutes ago' logs/health/camera.json");
    assert_eq!(machine.snapshot().verdict("camera"), ("error", "hung"));
}

#[test]
fn a_report_from_before_the_boot_says_nothing_of_today() {
    let machine = Machine::new();
    for (state, expected) in [
        ("running", ("error", "never_started")),
        ("stopped", ("error", "never_started")),
        ("finished", ("healthy", "finished")),
    ] {
        let mut report = beat_of(std::process::id());
        report["boot_id"] = json!("11111111-2222-3333-4444-555555555555");
        report["state"] = json!(state);
        report["last_updated"] = json!(jiff::Timestamp::now().to_string());
        machine.reports("camera", &report);
        assert_eq!(machine.snapshot().verdict("camera"), expected, "{state}");
    }
}
