use super::super::Keeping;
use super::*;
use std::time::Instant;

/// What no other process shares and no file holds, in KiB.
fn private_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The times of so many commits of one transition and one record, sorted.
fn commits(monitor: &mut Monitor, services: usize, times: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(times);
    for number in 0..times {
        monitor.pass(Duration::from_secs(1));
        let name = format!("service-{}", number % services);
        let status = if (number / services).is_multiple_of(2) { Status::Error } else { Status::Healthy };
        let transitions = monitor.judge(&name, status);
        assert_eq!(transitions.len(), 1);
        let begun = Instant::now();
        monitor.commit(&name, &transitions).unwrap();
        took.push(begun.elapsed());
        monitor.store.tidy();
    }
    took.sort_unstable();
    took
}

fn tell(what: &str, took: &[Duration]) {
    let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("{what}: p50 {p50:?}, p99 {p99:?}, longest {:?}", took[took.len() - 1]);
}

#[test]
#[ignore = "it measures: alone, and built for release"]
fn the_cost_of_keeping() {
    let (disk, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    for (name, dir) in [("on the disk", disk.path()), ("in memory", memory.path())] {
        let before = private_kib();
        let mut monitor = Monitor::start(dir);
        let opened = private_kib();
        tell(&format!("{name}, first 200"), &commits(&mut monitor, 100, 200));
        tell(&format!("{name}, next 2,000"), &commits(&mut monitor, 100, 2_000));
        let after = private_kib();
        println!(
            "{name}: {} KiB private by opening, {} KiB by 2,200 commits",
            opened - before,
            after - opened
        );
    }
}

#[test]
#[ignore = "it measures: alone, and built for release"]
fn the_cost_of_opening_much() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    let names: Vec<_> = (0..1_000).map(|number| Subject::service(&format!("service-{number}"))).collect();
    for round in 0..100 {
        monitor.pass(Duration::from_secs(60));
        let status = if round % 2 == 0 { Status::Error } else { Status::Healthy };
        let transitions: Vec<_> = names.iter().flat_map(|name| monitor.judge(&name.name, status)).collect();
        let head = monitor.state.head();
        let records = names.iter().map(|name| (name, monitor.state.record(name))).collect();
        let begun = Instant::now();
        monitor
            .store
            .commit(&Effects {
                head: &head,
                records,
                transitions: &transitions,
                gap: None,
                alerts: &Changes::default(),
            })
            .unwrap();
        if round % 25 == 0 {
            println!("a commit of 1,000 records and transitions: {:?}", begun.elapsed());
        }
    }
    drop(monitor);
    println!("{} MiB", database(dir.path()).metadata().unwrap().len() >> 20);
    let begun = Instant::now();
    let (store, state, _) = Store::open(dir.path()).unwrap();
    println!("opened with {} subjects in {:?}", state.len(), begun.elapsed());
    let Keeping::InDatabase(connection) = &store.keeping else { panic!("{:?}", store.problems()) };
    for check in ["quick_check(1)", "quick_check(subjects)", "integrity_check(1)"] {
        let begun = Instant::now();
        let word: String = connection.query_row(&format!("PRAGMA {check}"), [], |row| row.get(0)).unwrap();
        println!("{check}: {word} in {:?}", begun.elapsed());
    }
    println!("{} KiB private with {} subjects read", private_kib(), state.len());
}
