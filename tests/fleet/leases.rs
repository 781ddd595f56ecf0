//! Machines that live, die, stop and come back, as the lease of each shows it to the one that watches.

use crate::support::etcd::EtcdServer;
use crate::support::ntfy::Ntfy;
use crate::support::{Host, Machine, Monitor, PATIENCE, Process, beat_of, eventually};
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TTL: Duration = Duration::from_secs(3);
pub(super) const LEASE: &str = "ttl = \"3s\"\ninterval = \"1s\"\n";
/// Nothing is waited for but what leases need.
const AT_ONCE: &str =
    "[alerts]\ngrace = \"0s\"\ngroup_wait = \"1s\"\nrestart_wait = \"0s\"\nstopped_after = \"3s\"\n";

/// An etcd, and deimos that watches who else is there.
pub(super) struct Fleet {
    pub(super) etcd: EtcdServer,
    pub(super) ntfy: Ntfy,
    pub(super) deimos: Host,
    _room: Machine,
}

impl Fleet {
    pub(super) fn new() -> Self {
        let room = Machine::new();
        let (etcd, ntfy) = (EtcdServer::start(&room.root().join("etcd")), Ntfy::new());
        let deimos = Host::new("deimos");
        let fleet = Self { etcd, ntfy, deimos, _room: room };
        fleet.deimos_has("");
        fleet
    }

    fn deimos_has(&self, more: &str) {
        let more = format!("{}{AT_ONCE}{more}", self.ntfy.channel("phone"));
        self.deimos.joins(&[self.etcd.url()], &format!("{LEASE}watch = true\n"), &more);
    }

    /// A host that is watched, and has no way to tell anybody anything.
    pub(super) fn host(&self, name: &str) -> Host {
        let host = Host::new(name);
        let more = format!("[fleet]\nhostname = \"{name}.lan\"\ndescription = \"rack 2\"\n");
        host.joins(&[self.etcd.url()], LEASE, &more);
        host
    }

    /// The watcher, which has seen these for long enough to believe what it sees.
    #[track_caller]
    pub(super) fn watches(&self, hosts: &[&str]) -> Monitor {
        let monitor = self.deimos.monitors();
        for host in hosts {
            self.deimos.sees(host, "online");
        }
        sleep(SETTLED);
        monitor
    }

    pub(super) fn entry(&self, key: &str) -> Value {
        let said = self.etcd.ctl(&["get", "-w", "json", &format!("/health/{key}")]);
        serde_json::from_str::<Value>(&said).unwrap()["kvs"][0].clone()
    }

    /// How often somebody was told that a machine is offline.
    pub(super) fn offline(&self) -> usize {
        self.ntfy.messages().iter().filter(|it| it.words().contains("offline")).count()
    }

    pub(super) fn is_there(&self, key: &str) -> bool {
        !self.entry(key).is_null()
    }
}

/// After it began to watch, a watcher leaves time to those who could not renew their leases either.
const SETTLED: Duration = Duration::from_millis(6_500);

pub(super) fn at(event: &Value) -> Timestamp {
    event["at"].as_str().unwrap().parse().unwrap()
}

/// Whoever was said to be lost so far.
fn lost(monitor: &Monitor) -> BTreeSet<String> {
    let told = monitor.told();
    let lost = told.iter().filter(|it| it["type"] == "transition" && it["cause"] == "overdue");
    lost.map(|it| it["subject"].as_str().unwrap().to_owned()).collect()
}

fn sleeper(host: &Host) -> Process {
    Process::start(&mut host.machine.any_command("sleep", &["600"]))
}

#[test]
fn f21_a_host_outlives_its_lease_again_and_again() {
    let fleet = Fleet::new();
    let phobos = fleet.host("phobos");
    let _phobos = phobos.monitors();
    let watcher = fleet.deimos.monitors();
    fleet.deimos.sees("phobos", "online");
    let born = fleet.entry("hosts/phobos");
    let end = Instant::now() + TTL * 3 + Duration::from_secs(1);
    while Instant::now() < end {
        let entry = fleet.entry("hosts/phobos");
        assert_eq!(
            (&entry["create_revision"], &entry["lease"]),
            (&born["create_revision"], &born["lease"]),
            "it died meanwhile"
        );
        sleep(Duration::from_millis(100));
    }
    let seen = fleet.deimos.fleet();
    assert_eq!(seen["machines"]["phobos"]["presence"], "online", "{seen:#}");
    assert_eq!((&seen["teller"], lost(&watcher).len()), (&json!("deimos"), 0));
    assert!(fleet.ntfy.messages().is_empty());
}

#[test]
fn f24_a_clean_stop_is_no_crash_and_a_crash_is_no_stop() {
    let fleet = Fleet::new();
    let phobos = fleet.host("phobos");
    let mut running = phobos.monitors();
    let watcher = fleet.watches(&["phobos"]);
    assert!(running.stop() < Duration::from_secs(1));
    watcher.transition("phobos", "healthy", "stopped");
    let tombstone = fleet.entry("stopped/phobos");
    assert_eq!((tombstone["lease"].as_i64().unwrap_or_default(), fleet.is_there("hosts/phobos")), (0, false));
    assert_eq!(fleet.deimos.sees("phobos", "stopped")["cause"], "stopped");
    assert!(fleet.ntfy.messages().is_empty(), "{:#?}", fleet.ntfy.messages());
    let late = watcher.transition("phobos", "warning", "stopped");
    assert!(late["message"].as_str().unwrap().contains("not back within 3 s"), "{late}");
    fleet.ntfy.message(&["phobos", "stopped"]);
    let running = phobos.monitors();
    watcher.transition("phobos", "healthy", "self_reported");
    fleet.ntfy.message(&["phobos", "back"]);
    assert!(!fleet.is_there("stopped/phobos"));
    running.kill();
    let lost = watcher.transition("phobos", "error", "overdue");
    let message = lost["message"].as_str().unwrap();
    assert!(
        message.contains("its lease ended, last seen ") && message.contains("phobos.lan, rack 2"),
        "{lost}"
    );
    fleet.ntfy.message(&["host phobos is offline"]);
    assert_eq!(fleet.ntfy.messages().len(), 3, "{:#?}", fleet.ntfy.messages());
}

#[test]
fn f25_after_an_outage_of_etcd_everybody_is_there_and_nobody_was_lost() {
    let mut fleet = Fleet::new();
    let phobos = fleet.host("phobos");
    let running = phobos.monitors();
    let others = ["europa", "io"].map(|name| fleet.host(name));
    let [europa, _io] = others.each_ref().map(Host::monitors);
    let watcher = fleet.watches(&["phobos", "europa", "io"]);
    fleet.etcd.kill();
    watcher.transition("phobos", "unknown", "not_observed");
    sleep(TTL + Duration::from_secs(1));
    fleet.etcd.go();
    watcher.transition("phobos", "healthy", "self_reported");
    sleep(SETTLED);
    europa.kill();
    watcher.transition("europa", "error", "overdue");
    fleet.ntfy.message(&["host europa is offline"]);
    fleet.etcd.kill();
    fleet.etcd.wipe();
    // Everybody tries again only now and then.
    sleep(TTL * 4);
    fleet.etcd.go();
    eventually("all keys again", || {
        let keys = ["hosts/phobos", "hosts/io", "hosts/deimos", "teller"];
        keys.iter().all(|key| fleet.is_there(key)).then_some(())
    });
    fleet.deimos.sees("phobos", "online");
    sleep(SETTLED + Duration::from_secs(2));
    let europa = BTreeSet::from(["europa".to_owned()]);
    assert_eq!((lost(&watcher), fleet.offline()), (europa, 1), "{:#?}", watcher.told());
    running.kill();
    watcher.transition("phobos", "error", "overdue");
    fleet.ntfy.message(&["host phobos is offline"]);
}

#[test]
fn f26_hosts_that_fall_together_are_one_message_and_an_event_each() {
    let fleet = Fleet::new();
    let hook = Ntfy::new();
    let webhook =
        format!("[channels.hook]\nkind = \"webhook\"\nformat = \"machine\"\nurl = \"{}\"\n", hook.url());
    fleet.deimos_has(&webhook);
    let names = ["europa", "io", "phobos"];
    let hosts = names.map(|name| fleet.host(name));
    let running: Vec<_> = hosts.iter().map(Host::monitors).collect();
    let watcher = fleet.watches(&names);
    running.into_iter().for_each(Monitor::kill);
    let told = fleet.ntfy.message(&names);
    assert!(told.text("title").contains("hosts europa, io and phobos are offline"), "{told:?}");
    let ids = |event: &str| {
        let fits = hook.messages().into_iter().filter(|it| it.body["event"] == event);
        fits.map(|it| it.body["machine"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let posted = |event: &str| {
        eventually(&format!("three {event}"), || (ids(event).len() >= 3).then_some(()));
        let mut ids = ids(event);
        ids.sort();
        ids
    };
    assert_eq!(posted("machine.offline"), names);
    let body = hook.messages()[0].body.clone();
    let name = body["machine"]["name"].as_str().unwrap();
    assert_eq!(body["machine"]["hostname"], format!("{name}.lan"));
    assert_eq!(
        (&body["machine"]["description"], &body["machine"]["status"]),
        (&json!("rack 2"), &json!("offline"))
    );
    assert!(body["machine"]["last_seen"].as_str().unwrap().parse::<Timestamp>().is_ok());
    assert_eq!(fleet.ntfy.messages().len(), 1, "{:#?}", fleet.ntfy.messages());
    let _running: Vec<_> = hosts.iter().map(Host::monitors).collect();
    assert_eq!(posted("machine.online"), names);
    assert_eq!((posted("machine.offline").len(), hook.messages().len()), (3, 6));
    drop(watcher);
}

#[test]
fn f28_a_watcher_that_did_not_look_calls_nobody_offline_who_lives() {
    let fleet = Fleet::new();
    let (phobos, europa) = (fleet.host("phobos"), fleet.host("europa"));
    let (dies, _lives) = (phobos.monitors(), europa.monitors());
    let watcher = fleet.watches(&["phobos", "europa"]);
    watcher.signal(Signal::STOP);
    dies.kill();
    sleep(TTL * 2 + Duration::from_secs(1));
    watcher.signal(Signal::CONT);
    watcher.transition("phobos", "error", "overdue");
    fleet.ntfy.message(&["host phobos is offline"]);
    let _phobos = phobos.monitors();
    watcher.transition("phobos", "healthy", "self_reported");
    fleet.ntfy.message(&["host phobos is back"]);
    assert_eq!(lost(&watcher), ["phobos".to_owned()].into());
    watcher.kill();
    drop(_lives);
    sleep(TTL * 2);
    // What it knew is remembered: of whom nothing is left in etcd he is missed.
    let watcher = fleet.deimos.monitors();
    watcher.transition("europa", "error", "overdue");
    fleet.ntfy.message(&["host europa is offline"]);
    assert_eq!(lost(&watcher), ["europa".to_owned()].into());
}

#[test]
fn f28_an_etcd_that_hung_for_longer_than_a_lease_makes_nobody_offline() {
    let fleet = Fleet::new();
    let hosts = ["phobos", "europa"].map(|name| fleet.host(name));
    let [dies, _lives] = hosts.each_ref().map(Host::monitors);
    let watcher = fleet.watches(&["phobos", "europa"]);
    for seconds in [2, 3, 5] {
        fleet.etcd.hang();
        sleep(Duration::from_secs(seconds));
        fleet.etcd.go_on();
        sleep(SETTLED);
        fleet.deimos.sees("phobos", "online");
        assert_eq!(lost(&watcher).len(), 0, "after {seconds} s: {:#?}", watcher.told());
    }
    fleet.etcd.hang();
    dies.kill();
    sleep(TTL * 2);
    fleet.etcd.go_on();
    watcher.transition("phobos", "error", "overdue");
    sleep(SETTLED);
    assert_eq!(lost(&watcher), ["phobos".to_owned()].into());
}

#[test]
fn f28_a_host_whose_lease_is_shorter_than_that_of_its_watcher_is_not_lost_sooner() {
    let fleet = Fleet::new();
    let phobos = fleet.host("phobos");
    let running = phobos.monitors();
    let long = "ttl = \"60s\"\ninterval = \"20s\"\nwatch = true\n";
    let channel = fleet.ntfy.channel("phone");
    fleet.deimos.joins(&[fleet.etcd.url()], long, &format!("{channel}{AT_ONCE}"));
    let watcher = fleet.watches(&["phobos"]);
    for seconds in [2, 3, 5] {
        fleet.etcd.hang();
        sleep(Duration::from_secs(seconds));
        fleet.etcd.go_on();
        sleep(SETTLED);
        fleet.deimos.sees("phobos", "online");
        assert_eq!(lost(&watcher).len(), 0, "after {seconds} s: {:#?}", watcher.told());
    }
    running.kill();
    let killed = Timestamp::now();
    let seen = at(&watcher.transition("phobos", "error", "overdue")).duration_since(killed);
    assert!(seen.as_secs_f64() < TTL.as_secs_f64() + 1.0, "{seen}");
}

#[test]
fn a_lease_that_ends_is_seen_within_milliseconds() {
    let fleet = Fleet::new();
    let phobos = fleet.host("phobos");
    let _phobos = phobos.monitors();
    let watcher = fleet.watches(&["phobos"]);
    let mut took = Vec::new();
    for _ in 0..10 {
        let lease = eventually("a lease", || fleet.entry("hosts/phobos")["lease"].as_i64());
        let before = Timestamp::now();
        fleet.etcd.post("lease/revoke", &json!({ "ID": lease.to_string() }));
        let seen = at(&watcher.transition("phobos", "error", "overdue")).duration_since(before);
        took.push(Duration::try_from(seen).unwrap());
        watcher.transition("phobos", "healthy", "self_reported");
    }
    took.sort();
    println!("from the end of a lease to the transition: median {:?}, longest {:?}", took[5], took[9]);
    assert!(took[5] < Duration::from_millis(100), "{took:?}");
}

#[test]
fn a_host_may_be_away_for_the_threshold_of_the_environment() {
    let fleet = Fleet::new();
    let phobos = fleet.host("phobos");
    let running = phobos.monitors();
    let mut command = fleet.deimos.command(&["monitor"]);
    let watcher = Monitor::from_command(command.env("MACHINE_OFFLINE_THRESHOLD", "8s"));
    fleet.deimos.sees("phobos", "online");
    sleep(SETTLED);
    let killed = Timestamp::now();
    running.kill();
    let offline = watcher.transition("phobos", "error", "overdue");
    let after = at(&offline).duration_since(killed).as_secs_f64();
    assert!((6.9..10.0).contains(&after), "{after} s: {offline}");
}

#[test]
fn what_ran_on_a_lost_host_is_not_observed() {
    let fleet = Fleet::new();
    let phobos = fleet.host("phobos");
    let running = phobos.monitors();
    let camera = sleeper(&phobos);
    phobos.machine.reports("camera", &beat_of(camera.pid()));
    running.transition("camera", "healthy", "self_reported");
    let watcher = fleet.watches(&["phobos"]);
    let seen = |host: &Value| {
        (host["services"]["camera"]["status"].clone(), host["services"]["camera"]["cause"].clone())
    };
    let online = fleet.deimos.sees("phobos", "online");
    assert_eq!(seen(&online), (json!("healthy"), json!("self_reported")), "{online:#}");
    running.kill();
    let lost = watcher.transition("phobos", "error", "overdue");
    assert!(lost["message"].as_str().unwrap().contains("; ran camera"), "{lost}");
    let offline = fleet.deimos.sees("phobos", "offline");
    assert_eq!(seen(&offline), (json!("unknown"), json!("not_observed")), "{offline:#}");
    // The one who has no part in it, and asks etcd alone, says the same of whoever people were told of.
    fleet.ntfy.message(&["host phobos is offline"]);
    let europa = fleet.host("europa");
    assert_eq!(europa.sees("phobos", "offline")["cause"], "overdue");
}

#[test]
fn whoever_retires_or_is_forgotten_is_missed_by_nobody() {
    let fleet = Fleet::new();
    let (phobos, europa) = (fleet.host("phobos"), fleet.host("europa"));
    let (retires, forgotten) = (phobos.monitors(), europa.monitors());
    let watcher = fleet.watches(&["phobos", "europa"]);
    let retired = phobos.command(&["retire"]).output().unwrap();
    assert!(retired.status.success(), "{retired:?}");
    eventually("phobos to be gone", || fleet.deimos.fleet()["machines"]["phobos"].is_null().then_some(()));
    retires.kill();
    let forget = |name: &str| fleet.deimos.command(&["fleet", "forget", name]).output().unwrap();
    assert!(!forget("europa").status.success() && !forget("nobody").status.success());
    forgotten.kill();
    watcher.transition("europa", "error", "overdue");
    fleet.ntfy.message(&["host europa is offline"]);
    assert!(forget("europa").status.success());
    eventually("europa to be gone", || fleet.deimos.fleet()["machines"]["europa"].is_null().then_some(()));
    sleep(TTL);
    assert_eq!(lost(&watcher), ["europa".to_owned()].into());
    assert_eq!(fleet.offline(), 1, "{:#?}", fleet.ntfy.messages());
}

#[test]
fn without_etcd_services_are_judged_and_told_and_one_line_says_what_is_missing() {
    let mut fleet = Fleet::new();
    let watcher = fleet.watches(&[]);
    let camera = sleeper(&fleet.deimos);
    fleet.deimos.machine.reports("camera", &beat_of(camera.pid()));
    watcher.transition("camera", "healthy", "self_reported");
    fleet.etcd.kill();
    let checks = || fleet.deimos.machine.report_of("healthcheck")["checks"].as_array().unwrap().clone();
    let problem = eventually("a word of it", || {
        let said = |it: &Value| it["message"].as_str().is_some_and(|it| it.contains(&fleet.etcd.url()));
        checks().into_iter().find(|check| check["name"] == "etcd" && said(check))
    });
    // Not at once: each machine would tell people of the same.
    assert_eq!(problem["status"], "healthy", "{problem}");
    assert_eq!(checks().iter().filter(|check| check["status"] != "healthy").count(), 0, "{:#?}", checks());
    camera.kill();
    watcher.transition("camera", "error", "crashed");
    fleet.ntfy.message(&["camera is down"]);
    fleet.etcd.go();
    eventually("it to be well", || {
        let is_well = |it: &Value| it["message"].as_str().is_some_and(|it| it.contains("is renewed, "));
        checks().into_iter().find(|check| check["name"] == "etcd" && is_well(check))
    });
}

#[test]
fn whoever_writes_nonsense_below_the_prefix_disturbs_nobody() {
    let fleet = Fleet::new();
    let phobos = fleet.host("phobos");
    let running = phobos.monitors();
    let watcher = fleet.watches(&["phobos"]);
    for batch in 0..50 {
        let puts = (0..100).map(|n| format!("put /health/foreign/{batch}/{n} nothing\n"));
        feed(&fleet, &["txn"], format!("\n{}\n\n", puts.collect::<String>()).as_bytes());
    }
    let evil = "{\"hostname\":\"\\u001b[2Jevil\\u202e\",\"description\":\"\\u0007\",\"ttl_s\":18446744073709551615,\"interval_s\":1e308}";
    for (key, value) in [
        ("hosts/evil", evil),
        ("hosts/garbage", "\u{1b}]0;no json"),
        ("hosts/", "{}"),
        ("hosts/a/b/c", "{}"),
        ("hosts/\u{1b}[31m\u{202e}", "{}"),
        ("services/evil/camera", "{\"status\":\"\\u001b\",\"message\":\"\\u001b[31m\\n\\nx\",\"cause\":7}"),
        ("services/evil/door", "{\"status\":\"error\",\"message\":\"\\u001b[31m\\n\\nx\",\"cause\":\"<b>\"}"),
        ("stopped/evil", "[]"),
        ("told", "{\"channels\":{\"phone\":[7]}}"),
    ] {
        fleet.etcd.ctl(&["put", &format!("/health/{key}"), value]);
    }
    let huge = vec![b'x'; 1_400_000];
    for n in 0..40 {
        feed(&fleet, &["put", &format!("/health/hosts/huge-{n:02}")], &huge);
    }
    fleet.deimos.sees("huge-39", "online");
    let shown = fleet.deimos.fleet().to_string();
    assert!(
        !shown.contains("\\u001b") && !shown.contains('\u{202e}') && !shown.contains("foreign"),
        "{shown}"
    );
    watcher.kill();
    let watcher = fleet.watches(&["phobos", "huge-00", "evil"]);
    println!("with 40 values of 1.4 MB each: {} KiB", watcher.cost().own_bytes / 1024);
    running.kill();
    watcher.transition("phobos", "error", "overdue");
    fleet.ntfy.message(&["host phobos is offline"]);
}

/// Lets etcdctl read from its standard input.
#[track_caller]
fn feed(fleet: &Fleet, words: &[&str], input: &[u8]) {
    let mut command = fleet.etcd.ctl_command(words);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_etcd_that_hangs_delays_no_stop() {
    let fleet = Fleet::new();
    let mut watcher = fleet.watches(&[]);
    fleet.etcd.hang();
    let took = watcher.stop();
    println!("stopped while etcd hangs: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    fleet.etcd.go_on();
    let mut watcher = fleet.deimos.monitors();
    eventually("its key", || fleet.is_there("hosts/deimos").then_some(()));
    fleet.etcd.hang();
    sleep(PATIENCE / 5);
    assert!(watcher.stop() < Duration::from_secs(1));
}
