//! What the configuration and the environment expect.

use crate::support::{Machine, Outcome, beat_of};
use serde_json::json;

#[test]
fn an_expected_service_without_a_report_never_started() {
    let machine = Machine::new();
    machine.configures("[services.camera]\n");
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("camera"), snapshot.code), (("error", "never_started"), 2));
    machine.reports("camera@2", &beat_of(std::process::id()));
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("camera@2"), snapshot.code), (("healthy", "self_reported"), 0));
    assert!(snapshot.json["services"].get("camera").is_none(), "any instance is enough");
}

#[test]
fn the_old_variable_names_expected_services() {
    let machine = Machine::new();
    machine.reports("core", &beat_of(std::process::id()));
    let output =
        machine.command(&[]).env("SERVICES", "core,display").env("PROJECT_ENV", "fire").output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["project"], "fire");
    assert_eq!(json["services"]["display"]["cause"], "never_started");
    assert_eq!(json["services"]["core"]["status"], "healthy");
}

#[test]
fn an_optional_service_worries_and_does_not_alarm() {
    let machine = Machine::new();
    machine.configures("[services.agent]\npriority = \"optional\"\n");
    machine.reports("core", &beat_of(std::process::id()));
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("agent"), snapshot.code), (("error", "never_started"), 1));
    machine.puts("agent", "torn");
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("agent").0, snapshot.code), ("unknown", 0));
}

#[test]
fn an_expected_report_that_stays_unusable_is_an_error() {
    let machine = Machine::new();
    machine.configures("[services.agent]\n[alerts]\nunknown_after = \"100ms\"\n");
    machine.puts("agent", r#"{"schema_version": 2, "overall_status": {"new": "shape"}}"#);
    std::thread::sleep(std::time::Duration::from_millis(120));
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.verdict("agent"), ("error", "newer_version"));
    machine.configures("");
    assert_eq!(machine.snapshot().verdict("agent"), ("unknown", "newer_version"));
}

/// Nobody could look: neither absent nor dead.
#[test]
fn an_unreadable_directory_is_unknown_and_not_a_dozen_outages() {
    let machine = Machine::new();
    machine.configures("[services.camera]\n");
    let outcome = machine.run(&["--health-dir", "/proc/version", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(json["services"]["camera"]["cause"], "probe_unavailable", "{json:#}");
    assert_eq!(outcome.code, 3);
}

/// What it is to be looked at by does not exist yet, so nobody did.
#[test]
fn a_service_that_only_a_probe_sees_needs_no_report() {
    let machine = Machine::new();
    machine.configures(
        "[services.db]\ncommand = [\"true\"]\n[services.cache]\ncommand = [\"false\"]\n\
         [services.queue]\ncommand = [\"/no/such/program\"]\n",
    );
    machine.reports("core", &beat_of(std::process::id()));
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("db"), snapshot.code), (("healthy", "self_reported"), 2));
    assert_eq!(snapshot.verdict("cache"), ("error", "probe_failed"));
    assert_eq!(snapshot.verdict("queue"), ("unknown", "probe_unavailable"));
}

/// The file's own time counts, also where the file cannot even be opened.
#[test]
fn an_expected_report_that_is_a_link_for_long_is_an_error() {
    let machine = Machine::new();
    machine.configures("[services.agent]\n");
    std::os::unix::fs::symlink("/etc/passwd", machine.health_dir().join("agent.json")).unwrap();
    assert_eq!(machine.snapshot().verdict("agent"), ("unknown", "report_unreadable"));
    machine.shell("touch -h -d '10 minutes ago' logs/health/agent.json");
    assert_eq!(machine.snapshot().verdict("agent"), ("error", "report_unreadable"));
}

#[test]
fn the_root_of_several_failures_is_named() {
    let machine = Machine::new();
    let dead = |depends_on: &[&str]| {
        let mut report = beat_of(4_194_304);
        report["depends_on"] = json!(depends_on);
        report
    };
    machine.reports("db", &dead(&[]));
    machine.reports("core", &dead(&["db"]));
    machine.reports("wall", &dead(&["core"]));
    let snapshot = machine.snapshot();
    assert_eq!(snapshot.json["services"]["wall"]["root"], "db");
    assert_eq!(snapshot.json["services"]["db"]["affects"], json!(["core", "wall"]));
    let wide = machine.command(&["--format", "table"]).env("COLUMNS", "200").output().unwrap();
    let table = String::from_utf8_lossy(&wide.stdout).into_owned();
    assert!(table.contains("(because of db)") && table.contains("; also affected: core, wall"), "{table}");
}

#[test]
fn a_wrong_configuration_says_everything_at_once_and_judges_nothing() {
    let machine = Machine::new();
    machine.configures("[services.\"a b\"]\n[alerts]\ncooldwon = \"5m\"\ngrace = 30\n");
    let outcome = machine.run(&[]);
    assert_eq!((outcome.code, outcome.out.as_str()), (3, ""));
    for part in ["did you mean", "cooldown", "grace", "30s", "a b"] {
        assert!(outcome.err.contains(part), "{part} is not in {}", outcome.err);
    }
    let check = machine.run(&["config", "check"]);
    assert_eq!(check.code, 3);
}

#[test]
fn a_configuration_that_others_may_write_is_refused() {
    let machine = Machine::new();
    machine.configures("");
    machine.shell("chmod 666 healthcheck.toml");
    let Outcome { code, err, .. } = machine.run(&["--config", "healthcheck.toml"]);
    assert!(code == 3 && err.contains("healthcheck.toml"), "{err}");
}

#[test]
fn the_configuration_shown_is_one_that_can_be_used() {
    let machine = Machine::new();
    machine.configures("project = \"fire\"\n[services.core]\ndeadline = \"90s\"\n");
    let shown = machine.run(&["config", "show"]);
    assert!(shown.code == 0 && shown.out.contains("deadline = \"1m30s\""), "{shown:?}");
    machine.configures(&shown.out);
    assert_eq!(machine.run(&["config", "check"]).code, 0);
    let schema = machine.run(&["config", "schema"]);
    assert!(serde_json::from_str::<serde_json::Value>(&schema.out).is_ok());
}
