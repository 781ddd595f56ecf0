//! `healthcheck fleet` and `healthcheck retire`: what a watcher knows of all machines, and what one look at etcd shows.

use crate::support::etcd::EtcdServer;
use crate::support::{Machine, Monitor, beat_of, eventually};
use serde_json::{Value, json};

/// A machine that watches the others.
struct Watcher {
    etcd: EtcdServer,
    machine: Machine,
    monitor: Monitor,
}

impl Watcher {
    fn new() -> Self {
        let machine = Machine::new();
        let etcd = EtcdServer::start(&machine.root().join("etcd"));
        machine.configures(&format!(
            "[fleet.etcd]\nendpoints = [\"{}\"]\nttl = \"3s\"\ninterval = \"1s\"\nwatch = true\n",
            etcd.url()
        ));
        machine.reports("camera", &beat_of(std::process::id()));
        let monitor = machine.monitors();
        Self { etcd, machine, monitor }
    }

    /// A machine that lives until its lease is revoked, which is returned.
    #[track_caller]
    fn joins(&self, host: &str) -> String {
        let said = self.etcd.ctl(&["lease", "grant", "600"]);
        let lease = said.split(' ').nth(1).unwrap().to_owned();
        let value = json!({"hostname": format!("{host}.lan"), "description": "rack 2", "status": "healthy"});
        let option = format!("--lease={lease}");
        self.etcd.ctl(&["put", &option, &format!("/health/hosts/{host}"), &value.to_string()]);
        let wall = json!({"status": "healthy", "cause": "self_reported"}).to_string();
        self.etcd.ctl(&["put", &option, &format!("/health/services/{host}/wall"), &wall]);
        lease
    }

    #[track_caller]
    fn fleet(&self, before: &[&str]) -> (i32, Value) {
        let outcome = self.machine.run(&[before, &["fleet", "--format", "json"]].concat());
        let fleet = serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
        (outcome.code, fleet)
    }

    #[track_caller]
    fn shows(&self, host: &str, presence: &str) -> (i32, Value) {
        eventually(&format!("{host} to be {presence}, it is {}", self.fleet(&[]).1), || {
            let (code, fleet) = self.fleet(&[]);
            (fleet["machines"][host]["presence"] == presence && fleet["source"] == "monitor")
                .then_some((code, fleet))
        })
    }
}

#[test]
fn f24_a_watcher_shows_who_lives_who_is_lost_and_what_ran_there() {
    let watcher = Watcher::new();
    let lease = watcher.joins("phobos");
    let (code, fleet) = watcher.shows("phobos", "online");
    // The machine that tests may be short of something.
    assert!(code < 2 && fleet["machines"].as_object().unwrap().len() == 2, "{fleet}");
    let own = fleet["machines"].as_object().unwrap().values().find(|it| it["is_own"] == true).unwrap();
    assert_eq!(own["services"]["camera"]["status"], "healthy");

    watcher.etcd.ctl(&["lease", "revoke", &lease]);
    let (code, fleet) = watcher.shows("phobos", "offline");
    let phobos = &fleet["machines"]["phobos"];
    assert_eq!((code, &phobos["status"], &phobos["cause"]), (2, &json!("error"), &json!("overdue")));
    assert_eq!(phobos["services"]["wall"]["cause"], "not_observed");
    assert!(phobos["message"].as_str().unwrap().contains("phobos.lan, rack 2; ran wall"), "{phobos}");
    let (_, direct) = watcher.fleet(&["--direct"]);
    assert_eq!((&direct["source"], &direct["machines"]["phobos"]), (&json!("direct"), &Value::Null));

    let forgotten = watcher.machine.run(&["fleet", "forget", "phobos"]);
    assert_eq!(forgotten.code, 0, "{forgotten:?}");
    eventually("phobos to be forgotten", || {
        let (code, fleet) = watcher.fleet(&[]);
        (fleet["machines"]["phobos"] == Value::Null && code < 2).then_some(())
    });
}

#[test]
fn f24_whoever_retires_is_missed_by_nobody() {
    let mut watcher = Watcher::new();
    let tombstones = || watcher.etcd.below("/health/stopped/");
    eventually("its lease", || (watcher.etcd.below("/health/hosts/").len() == 1).then_some(()));
    let retired = watcher.machine.run(&["retire"]);
    assert_eq!(retired.code, 0, "{retired:?}");
    eventually("its goodbye", || {
        tombstones().iter().any(|it| it.1.contains(r#""retired":true"#)).then_some(())
    });
    assert!(watcher.etcd.below("/health/hosts/").is_empty());
    watcher.monitor.stop();
    assert!(watcher.etcd.below("/health/stopped/")[0].1.contains(r#""retired":true"#), "also after its end");
}

#[test]
fn without_a_fleet_the_cure_is_said() {
    let machine = Machine::new();
    let nowhere = machine.run(&["fleet"]);
    assert!(nowhere.code == 3 && nowhere.err.contains("write [fleet.etcd]"), "{nowhere:?}");
    machine.configures("[fleet.etcd]\nendpoints = [\"http://127.0.0.1:1\"]\n");
    let away = machine.run(&["fleet"]);
    assert!(away.code == 3 && away.err.contains("127.0.0.1:1: Connection refused"), "{away:?}");
    let nagios = machine.run(&["fleet", "--format", "nagios"]);
    assert!(nagios.code == 3 && nagios.err.contains("--format table or json"), "{nagios:?}");
}
