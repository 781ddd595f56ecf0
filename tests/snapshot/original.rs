//! Files of the Python original: naive local times, one record an event, no new keys.

use crate::support::Machine;
use serde_json::{Value, json};

/// What the original writes with `datetime.now().isoformat()`, in the zone of its machine.
fn written(machine: &Machine, zone: &str, records: &[(&str, &str)]) {
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::get(zone).unwrap());
    let naive = now.datetime().strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string();
    let record = |(name, status): &(&str, &str)| json!({"name": name, "status": status, "message": null, "timestamp": naive, "metadata": {}});
    let checks: Vec<Value> = records.iter().map(record).collect();
    let report = json!({
        "service_name": "experimance-core", "overall_status": "error", "checks": checks,
        "last_updated": naive, "last_check": naive, "uptime": 12.5, "restart_count": 0, "error_count": 1,
    });
    machine.puts("core", &serde_json::to_string_pretty(&report).unwrap());
}

const LIFE: [(&str, &str); 2] = [("service_initialization", "healthy"), ("service_start", "healthy")];

/// F1: an error is over as soon as a later record says so, not fifty records later.
#[test]
fn f1_a_later_record_clears_an_error() {
    let machine = Machine::new();
    let with = |more: &[(&'static str, &'static str)]| [&LIFE[..], more].concat();
    written(&machine, "UTC", &with(&[("service_error", "error")]));
    assert_eq!(machine.snapshot().verdict("core"), ("error", "self_reported"));
    written(&machine, "UTC", &with(&[("service_error", "error"), ("periodic_health_check", "healthy")]));
    assert_eq!(machine.snapshot().verdict("core"), ("healthy", "self_reported"));
    written(&machine, "UTC", &with(&[("database", "error"), ("periodic_health_check", "healthy")]));
    assert_eq!(machine.snapshot().verdict("core"), ("error", "self_reported"), "its own check is still bad");
    written(&machine, "UTC", &with(&[("database", "error"), ("database", "healthy")]));
    assert_eq!(machine.snapshot().verdict("core"), ("healthy", "self_reported"));
}

#[test]
fn without_records_its_own_word_counts() {
    let machine = Machine::new();
    written(&machine, "UTC", &[]);
    assert_eq!(machine.snapshot().verdict("core"), ("error", "self_reported"));
}

/// F11: the original's planned stop, which paged two minutes later.
#[test]
fn f11_its_planned_stop_is_no_outage() {
    let machine = Machine::new();
    written(
        &machine,
        "UTC",
        &[&LIFE[..], &[("service_stop", "healthy"), ("service_stopped", "warning")]].concat(),
    );
    machine.shell("touch -d '10 minutes ago' logs/health/core.json");
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.verdict("core"), snapshot.code), (("healthy", "stopped"), 0));
}

/// F12: whatever the zone, and in the hour that comes twice, the file's age is that of the file.
#[test]
fn f12_local_time_makes_nobody_stale() {
    let machine = Machine::new();
    for zone in ["UTC", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe"] {
        written(&machine, zone, &LIFE);
        for reader in ["UTC", "Pacific/Kiritimati"] {
            let output = machine.command(&[]).env("TZ", reader).output().unwrap();
            let json: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(json["services"]["core"]["status"], "healthy", "{zone} read in {reader}");
        }
    }
}

#[test]
fn it_is_overdue_after_its_two_minutes_or_those_of_the_configuration() {
    let machine = Machine::new();
    written(&machine, "UTC", &LIFE);
    machine.shell("touch -d '130 seconds ago' logs/health/core.json");
    assert_eq!(machine.snapshot().verdict("core"), ("error", "overdue"));
    machine.configures("[services.core]\ndeadline = \"5m\"\n");
    assert_eq!(machine.snapshot().verdict("core"), ("healthy", "self_reported"));
}
