//! What a machine has in etcd is its own: it is there again when somebody takes it away, and not fought over.

use super::leases::{Fleet, LEASE};
use crate::support::etcd::EtcdServer;
use crate::support::{Machine, eventually};
use serde_json::Value;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a machine looks after its key, and a renewal more.
const LOOKED_AFTER: Duration = Duration::from_secs(63);

#[track_caller]
fn is_seen_to_within(time: Duration, what: &str, mut look: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !look() {
        assert!(Instant::now() < end, "waited {time:?} in vain for {what}");
        sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_deleted_key_comes_back_and_that_of_another_machine_is_left_alone() {
    let fleet = Fleet::new();
    let (phobos, europa) = (fleet.host("phobos"), fleet.host("europa"));
    let _running = (phobos.monitors(), europa.monitors());
    let watcher = fleet.watches(&["phobos", "europa"]);
    let began = Instant::now();
    fleet.etcd.ctl(&["del", "/health/hosts/phobos"]);
    fleet.etcd.ctl(&["put", "/health/hosts/europa", "{\"hostname\":\"europa.wan\",\"boot_id\":\"another\"}"]);
    watcher.transition("phobos", "error", "overdue");
    is_seen_to_within(LOOKED_AFTER, "the key", || fleet.is_there("hosts/phobos"));
    println!("the key is there again after {:?}", began.elapsed());
    fleet.deimos.sees("phobos", "online");
    fleet.ntfy.message(&["host phobos is back"]);
    // It has looked after its own, too.
    sleep(LOOKED_AFTER.saturating_sub(began.elapsed()));
    let europas: Value =
        serde_json::from_str(&fleet.etcd.ctl(&["get", "--print-value-only", "/health/hosts/europa"]))
            .unwrap();
    assert_eq!(europas["boot_id"], "another", "what is not its own it leaves alone");
    assert_eq!(fleet.offline(), 1, "{:#?}", fleet.ntfy.messages());
}

#[test]
fn whoever_retires_while_etcd_is_away_is_not_missed_when_it_is_back() {
    let mut fleet = Fleet::new();
    let phobos = fleet.host("phobos");
    // Long enough for who waits for etcd to come back.
    phobos.joins(&[fleet.etcd.url()], "ttl = \"15s\"\ninterval = \"1s\"\n", "");
    let running = phobos.monitors();
    let watcher = fleet.watches(&["phobos"]);
    fleet.etcd.kill();
    let retired = phobos.command(&["retire"]).output().unwrap();
    let said = String::from_utf8_lossy(&retired.stderr);
    assert!(!retired.status.success() && said.contains("do not know it yet"), "{said}");
    fleet.etcd.go();
    eventually("phobos to be gone", || fleet.deimos.fleet()["machines"]["phobos"].is_null().then_some(()));
    running.kill();
    sleep(Duration::from_secs(16));
    let lost = watcher.told().iter().any(|it| it["subject"] == "phobos" && it["cause"] == "overdue");
    assert!(!lost && fleet.offline() == 0, "{:#?}", fleet.ntfy.messages());
}

#[test]
fn whoever_moves_to_another_etcd_says_goodbye_at_the_old_one() {
    let fleet = Fleet::new();
    let room = Machine::new();
    let elsewhere = EtcdServer::start(&room.root().join("elsewhere"));
    let phobos = fleet.host("phobos");
    let _running = phobos.monitors();
    let _watcher = fleet.watches(&["phobos"]);
    phobos.joins(&[elsewhere.url()], LEASE, "");
    eventually("its key elsewhere", || {
        (!elsewhere.ctl(&["get", "/health/hosts/phobos"]).is_empty()).then_some(())
    });
    eventually("its goodbye", || fleet.is_there("stopped/phobos").then_some(()));
    assert!(!fleet.is_there("hosts/phobos"));
    eventually("phobos to be gone", || fleet.deimos.fleet()["machines"]["phobos"].is_null().then_some(()));
    assert_eq!(fleet.offline(), 0, "{:#?}", fleet.ntfy.messages());
}
