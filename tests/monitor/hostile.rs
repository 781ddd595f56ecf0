//! Whoever fills the health directory, or hammers on it, takes nothing from the others.

use crate::support::{Machine, Monitor, Process, beat_of};
use serde_json::json;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const MIB: u64 = 1024 * 1024;

fn sleeper(machine: &Machine) -> Process {
    Process::start(&mut machine.any_command("sleep", &["600"]))
}

/// Kills a service that reports, and returns how long it was until that was told.
#[track_caller]
fn told_after(monitor: &Monitor, service: &str, process: Process) -> Duration {
    let killed = Instant::now();
    process.kill();
    monitor.transition(service, "error", "crashed");
    killed.elapsed()
}

#[test]
fn among_fifty_thousand_files_a_death_is_told_at_once() {
    let machine = Machine::new();
    let (known, later) = (sleeper(&machine), sleeper(&machine));
    machine.reports("known", &beat_of(known.pid()));
    let monitor = machine.monitors();
    let dir = machine.health_dir();
    for number in 0..50_000 {
        fs::write(dir.join(format!("a{number:05}.json")), r#"{"overall_status":"healthy"}"#).unwrap();
    }
    // Most of them are still to be looked at. Listing them is one step, which takes its time where it is not optimised.
    let took = told_after(&monitor, "known", known);
    println!("while 50,000 files are looked at, told after {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    let known = sleeper(&machine);
    machine.reports("known", &beat_of(known.pid()));
    monitor.transition("known", "healthy", "self_reported");
    let took = told_after(&monitor, "known", known);
    println!("among 50,000 files told after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let cost = monitor.cost();
    println!("among 50,000 files it has {} MiB, {} descriptors", cost.own_bytes / MIB, cost.descriptors);
    assert!(cost.own_bytes < 96 * MIB, "{cost:?}");
    monitor.kill();
    machine.configures("[services.later]\n");
    machine.reports("later", &beat_of(later.pid()));
    let began = Instant::now();
    let monitor = machine.monitors();
    println!("among 50,000 files it was ready after {:?}", began.elapsed());
    let took = told_after(&monitor, "later", later);
    println!("after a start among 50,000 files told after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn one_that_writes_without_a_pause_takes_nothing_from_the_others() {
    let machine = Machine::new();
    let monitor = machine.monitors();
    let (is_over, replaces) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                machine.reports("noisy", &json!({"overall_status": "healthy"}));
                replaces.fetch_add(1, Ordering::Relaxed);
            }
        });
        monitor.transition("noisy", "healthy", "self_reported");
        let (began, before) = (Instant::now(), monitor.cost().cpu);
        let mut slowest = Duration::ZERO;
        for round in 0.. {
            let (name, process) = (format!("quiet{round}"), sleeper(&machine));
            machine.reports(&name, &beat_of(process.pid()));
            monitor.transition(&name, "healthy", "self_reported");
            slowest = slowest.max(told_after(&monitor, &name, process));
            if began.elapsed() > Duration::from_secs(5) {
                break;
            }
        }
        let share = (monitor.cost().cpu - before).as_secs_f64() / began.elapsed().as_secs_f64();
        is_over.store(true, Ordering::Relaxed);
        println!(
            "{:.0} replaces a second: {:.0} % of a processor, a death told after {slowest:?} at the latest",
            replaces.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64(),
            share * 100.0
        );
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    });
    assert_eq!(monitor.story_of("noisy"), ["unknown→healthy self_reported"]);
}
