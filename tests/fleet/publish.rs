//! `healthcheck publish`: what a registry's readers see of services that live, fail, come and go.

use crate::support::etcd::EtcdServer;
use crate::support::{Cost, Machine, PATIENCE, Process, beat_of, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PREFIX: &str = "/chora/capabilities/";
/// Reads a value as another program would.
const READER: &str = "
import etcd3, json, sys
value, _ = etcd3.client(host='127.0.0.1', port=int(sys.argv[1])).get(sys.argv[2])
print(json.dumps(json.loads(value)))
";

/// A machine with an etcd beside it.
struct Registry {
    etcd: EtcdServer,
    machine: Machine,
}

impl Registry {
    fn new() -> Self {
        let machine = Machine::new();
        fs::create_dir(machine.root().join("capabilities")).unwrap();
        Self { etcd: EtcdServer::start(&machine.root().join("etcd")), machine }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let port = self.etcd.port().to_string();
        let all = [&["publish", "--etcd-host", "127.0.0.1", "--etcd-port", &port], arguments].concat();
        let mut command = self.machine.command(&all);
        command.stderr(File::create(self.machine.root().join("publish.log")).unwrap());
        command
    }

    /// A publisher with a heartbeat each second, and a lease of three.
    #[track_caller]
    fn publishes(&self, arguments: &[&str]) -> Process {
        Process::start(&mut self.command(&[&["--interval", "1", "--ttl", "3"], arguments].concat()))
    }

    #[track_caller]
    fn value(&self, namespace: &str) -> Option<Value> {
        let said = self.etcd.ctl(&["get", "--print-value-only", &key(namespace)]);
        serde_json::from_str(&said).ok()
    }

    /// Waits until the key has this status and cause.
    #[track_caller]
    fn sees(&self, namespace: &str, status: &str, cause: &str) -> Value {
        eventually(&format!("{namespace} to be {status}, {cause}"), || {
            self.value(namespace).filter(|value| value["status"] == status && value["cause"] == cause)
        })
    }

    fn count(&self) -> usize {
        self.etcd.below(PREFIX).len()
    }

    #[track_caller]
    fn counts(&self, count: usize) {
        eventually(&format!("{count} keys, there are {}", self.count()), || {
            (self.count() == count).then_some(())
        });
    }

    /// At which revision the key was made, and by which lease it lives.
    fn birth(&self, namespace: &str) -> (Value, Value) {
        let said = self.etcd.ctl(&["get", "-w", "json", &key(namespace)]);
        let entry = &serde_json::from_str::<Value>(&said).unwrap()["kvs"][0];
        (entry["create_revision"].clone(), entry["lease"].clone())
    }

    fn announces(&self, file: &str, manifest: &str) {
        fs::write(self.machine.root().join("capabilities").join(file), manifest).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.machine.root().join("publish.log")).unwrap()
    }

    fn sleeper(&self) -> Process {
        Process::start(&mut self.machine.any_command("sleep", &["600"]))
    }
}

fn key(namespace: &str) -> String {
    format!("{PREFIX}{namespace}/health")
}

#[test]
fn f21_a_heartbeat_outlives_its_lease_again_and_again() {
    let registry = Registry::new();
    let _publisher = registry.publishes(&["--namespace", "camera"]);
    registry.counts(1);
    let birth = registry.birth("camera");
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        let value = registry.value("camera");
        assert!(value.is_some(), "the key died");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(registry.birth("camera"), birth, "it died meanwhile");
    let value = registry.value("camera").unwrap();
    assert!(value["heartbeat_count"].as_u64().unwrap() >= 9, "{value}");
}

#[test]
fn f22_all_services_of_a_directory_beat_in_one_process() {
    let registry = Registry::new();
    for n in 0..100 {
        let manifest = format!("metadata:\n  namespace: ns-{n}\nchora_service:\n  name: service-{n}\n");
        registry.announces(&format!("{n}.yaml"), &manifest);
        registry.machine.reports(&format!("service-{n}"), &json!({ "overall_status": "healthy" }));
    }
    registry.announces("pattern.yaml", "metadata:\n  namespace: pattern\n");
    registry.announces("bad.yaml", "chora_service: [");
    let publisher = registry.publishes(&["--auto-discover", "--capabilities", "capabilities"]);
    registry.counts(100);
    let before = Cost::of(publisher.pid());
    let first = registry.value("ns-99").unwrap()["heartbeat_count"].as_u64().unwrap();
    let later = eventually("five more heartbeats", || {
        let count = registry.value("ns-99")?["heartbeat_count"].as_u64()?;
        (count >= first + 5).then_some(count)
    });
    for (key, value) in registry.etcd.below(PREFIX) {
        let value: Value = serde_json::from_str(&value).unwrap();
        assert_eq!(value["status"], "healthy", "{key}: {value}");
        assert!(value["heartbeat_count"].as_u64().unwrap() + 1 >= later, "{key}: {value}");
    }
    let cost = Cost::of(publisher.pid());
    let share = (cost.cpu - before.cpu).as_secs_f64() / f64::from(u32::try_from(later - first).unwrap());
    println!("100 services at 1 s: {} KiB, {:.1} % of a processor", cost.own_bytes / 1024, share * 100.0);
    assert!(cost.own_bytes < 80 << 20 && share < 0.2, "{cost:?}");
    let log = registry.log();
    assert_eq!((log.lines().count(), log.contains("bad.yaml: no heartbeat")), (1, true), "{log}");
}

#[test]
fn f23_the_status_is_the_one_that_is_seen() {
    let registry = Registry::new();
    registry.machine.configures("[services.door]\ntcp = \"127.0.0.1:1\"\n[services.late]\n");
    let names = ["camera", "nobody", "door", "late"].map(|name| ["--namespace", name]).concat();
    let _publisher = registry.publishes(&names);
    let value = registry.sees("nobody", "unknown", "not_observed");
    assert_eq!((&value["namespace"], value.get("since")), (&json!("nobody"), None));
    registry.sees("door", "error", "probe_failed");
    registry.sees("late", "error", "never_started");
    let camera = registry.sleeper();
    registry.machine.reports("camera", &beat_of(camera.pid()));
    let value = registry.sees("camera", "healthy", "self_reported");
    assert!(value["timestamp"].as_str().unwrap().ends_with('Z') && value["host"].is_string(), "{value}");
    assert_eq!(value["service"], "camera");
    camera.kill();
    let value = registry.sees("camera", "error", "crashed");
    assert!(value["message"].as_str().unwrap().contains("died"), "{value}");
    let again = eventually("another heartbeat", || {
        registry.value("camera").filter(|again| again["heartbeat_count"] != value["heartbeat_count"])
    });
    assert_eq!(again["since"], value["since"], "it crashed once");
}

#[test]
fn f23_where_a_monitor_runs_its_view_counts() {
    let registry = Registry::new();
    let camera = registry.sleeper();
    registry.machine.reports("camera", &beat_of(camera.pid()));
    let _monitor = registry.machine.monitors();
    let _publisher = registry.publishes(&["--namespace", "camera"]);
    registry.sees("camera", "healthy", "self_reported");
    camera.kill();
    let value = registry.sees("camera", "error", "crashed");
    let seen = registry.machine.snapshot();
    let since = |value: &Value| value["since"].as_str().unwrap().get(..19).map(str::to_owned);
    assert_eq!(since(&value), since(&seen.json["services"]["camera"]), "{value}");
}

#[test]
fn f25_an_etcd_that_comes_back_has_all_of_them_again() {
    let mut registry = Registry::new();
    let mut publisher = registry.publishes(&["--namespace", "a", "--namespace", "b"]);
    registry.counts(2);
    registry.etcd.kill();
    std::thread::sleep(Duration::from_secs(4));
    registry.etcd.go();
    let began = Instant::now();
    eventually("fresh heartbeats", || (registry.value("a")?["heartbeat_count"].as_u64()? > 1).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    registry.etcd.kill();
    registry.etcd.wipe();
    registry.etcd.go();
    registry.counts(2);
    let leases = registry.etcd.ctl(&["lease", "list"]);
    assert!(leases.contains("found 1 leases"), "{leases}");
    assert!(!publisher.has_ended());
}

#[test]
fn consumers_see_it_come_and_go() {
    let registry = Registry::new();
    let mut watch = registry.etcd.ctl_command(&["watch", "--prefix", PREFIX]);
    let watch = Process::start(watch.stderr(Stdio::null()));
    registry.machine.reports("camera", &json!({ "overall_status": "warning" }));
    // It may have begun to watch a little later than the first of them.
    let mut publisher = registry.publishes(&["--namespace", "camera"]);
    registry.counts(1);
    assert_eq!((watch.line().as_str(), watch.line()), ("PUT", key("camera")));
    let value: Value = serde_json::from_str(&watch.line()).unwrap();
    assert_eq!((&value["status"], &value["namespace"]), (&json!("warning"), &json!("camera")));
    let port = registry.etcd.port().to_string();
    let read = registry.machine.any_command("python3", &["-c", READER, &port, &key("camera")]).output();
    let read: Value = serde_json::from_slice(&read.unwrap().stdout).unwrap();
    assert_eq!((&read["status"], &read["namespace"]), (&json!("warning"), &json!("camera")));
    let began = Instant::now();
    publisher.signal(Signal::TERM);
    assert!(publisher.ended().success());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(registry.count(), 0);
    eventually("the DELETE", || (watch.try_line()? == "DELETE").then_some(()));
    assert_eq!(watch.line(), key("camera"));
    assert!(registry.etcd.ctl(&["lease", "list"]).contains("found 0 leases"));
}

#[test]
fn a_publisher_that_is_killed_is_gone_with_its_lease() {
    let registry = Registry::new();
    let publisher = registry.publishes(&["--namespace", "camera"]);
    registry.counts(1);
    publisher.kill();
    let killed = Instant::now();
    registry.counts(0);
    let took = killed.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(6)).contains(&took), "{took:?}");
}

#[test]
fn manifests_are_followed_while_it_runs() {
    let registry = Registry::new();
    registry.announces("a.yaml", "chora_service: x");
    let _publisher = registry.publishes(&["--auto-discover"]);
    registry.counts(1);
    registry.announces("b.yml", "chora_service: y\nmetadata: {namespace: second}");
    registry.sees("second", "unknown", "not_observed");
    registry.announces("b.yml", "chora_service: y\nmetadata: {namespace: third}");
    registry.sees("third", "unknown", "not_observed");
    registry.counts(2);
    fs::remove_file(registry.machine.root().join("capabilities/b.yml")).unwrap();
    registry.counts(1);
    assert!(registry.value("a").is_some());
    registry.announces("c.yaml", "chora_service: z\nmetadata: {namespace: a}");
    eventually("a word of the two", || {
        registry.log().contains("c.yaml: namespace a is that of a.yaml").then_some(())
    });
}

#[test]
fn f23_a_check_that_hangs_is_not_called_healthy_and_ends_with_it() {
    let registry = Registry::new();
    let hanging = "[services.db]\ncommand = [\"sleep\", \"6113\"]\ninterval = \"60s\"\ntimeout = \"25s\"";
    registry.machine.configures(hanging);
    let mut publisher = registry.publishes(&["--namespace", "db"]);
    registry.sees("db", "unknown", "not_observed");
    let birth = registry.birth("db");
    let is_running = || registry.machine.shell("pgrep -f 'sleep [6]113'").code == 0;
    eventually("its check", || is_running().then_some(()));
    let beats = |least: u64| {
        let value = registry.value("db")?;
        (value["heartbeat_count"].as_u64()? >= least).then_some(value)
    };
    let value = eventually("five heartbeats", || beats(5));
    assert_eq!((&value["status"], registry.birth("db")), (&json!("unknown"), birth));
    let began = Instant::now();
    publisher.signal(Signal::TERM);
    assert!(publisher.ended().success());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(registry.count(), 0);
    eventually("the end of its check", || (!is_running()).then_some(()));
}

#[test]
fn an_etcd_that_hangs_delays_nothing() {
    let registry = Registry::new();
    let mut publisher = registry.publishes(&["--namespace", "camera"]);
    registry.counts(1);
    registry.etcd.hang();
    eventually("a word of it", || registry.log().contains("trying again").then_some(()));
    registry.etcd.go_on();
    let count = || registry.value("camera").and_then(|value| value["heartbeat_count"].as_u64());
    let before = count();
    eventually("another heartbeat", || (count()? > before.unwrap_or_default()).then_some(()));
    registry.etcd.hang();
    let began = Instant::now();
    publisher.signal(Signal::INT);
    assert!(publisher.ended().success());
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    registry.etcd.go_on();
}

#[test]
fn without_etcd_it_says_so_and_ends_with_1() {
    let machine = Machine::new();
    let began = Instant::now();
    let outcome = machine.run(&["publish", "--namespace", "camera", "--etcd-port", "1"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("etcd at http://localhost:1") && outcome.err.contains("start it"));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert_eq!(machine.run(&["publish"]).code, 3);
    let outcome = machine.run(&["publish", "--auto-discover", "--capabilities", "nowhere"]);
    assert!(outcome.code == 3 && outcome.err.contains("nowhere"), "{outcome:?}");
}

#[test]
fn whoever_asks_for_a_password_gets_it() {
    let registry = Registry::new();
    for words in ["user add root:canary-7f3a", "role add root", "user grant-role root root", "auth enable"] {
        registry.etcd.ctl(&words.split(' ').collect::<Vec<_>>());
    }
    fs::write(registry.machine.root().join("password"), "canary-7f3a\n").unwrap();
    let login = ["--etcd-user", "root", "--etcd-password-file", "password"];
    let mut publisher = registry.publishes(&[&["--namespace", "camera"][..], &login].concat());
    let get = || registry.etcd.ctl(&["--user", "root:canary-7f3a", "get", "--prefix", PREFIX]);
    eventually("the key", || get().contains("camera").then_some(()));
    publisher.signal(Signal::TERM);
    assert!(publisher.ended().success());
    assert_eq!(get(), "");
    fs::write(registry.machine.root().join("password"), "wrong\n").unwrap();
    let mut publisher = registry.publishes(&[&["--namespace", "camera"][..], &login].concat());
    assert_eq!(publisher.ended().code(), Some(1));
    let log = registry.log();
    assert!(log.contains("cannot begin with etcd") && !log.contains("canary-7f3a"), "{log}");
}
