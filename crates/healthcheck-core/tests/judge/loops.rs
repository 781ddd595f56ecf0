//! F14: crash loops of which no supervisor counts the restarts.

use crate::world::*;
use health_reporter::State as Life;
use health_reporter::Status::{Error, Fatal, Healthy};
use healthcheck_core::Cause::{self, *};
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{Facts, ProbeFacts, ServiceFacts, Transition, UnitActive, UnitFacts};

const LOOPS: (health_reporter::Status, Cause) = (Fatal, CrashLooping);

/// Starts, dies after five seconds, and five seconds later it is started again: as often as said.
fn crashes(world: &mut World, pids: std::ops::RangeInclusive<u64>) -> Vec<ServiceFacts> {
    let mut runs = Vec::new();
    for pid in pids {
        world.pass(5.0);
        let run = world.run(pid);
        world.see("camera", run.clone());
        world.pass(5.0);
        world.see("camera", run.clone().by(Gone));
        runs.push(run);
    }
    runs
}

fn from(world: &World, at: usize) -> Vec<(health_reporter::Status, Cause)> {
    world.transitions[at..].iter().map(|t: &Transition| (t.to, t.cause)).collect()
}

#[test]
fn f14_runs_that_replace_each_other_are_a_crash_loop() {
    let mut world = World::new();
    crashes(&mut world, 1..=3);
    assert_eq!(world.judged("camera"), (Error, Crashed), "two restarts are no loop");
    world.pass(5.0);
    world.see("camera", world.run(4));
    assert_eq!(world.judged("camera"), LOOPS);
    let verdict = world.verdict("camera");
    assert_eq!(verdict.message, "crash loop: 3 restarts in 10 min");
    assert_eq!(verdict.evidence.get("restarts"), Some("3 in 10 min"));
    let left = world.deadline("camera").unwrap();
    assert_eq!(left, 120.0, "its own deadline comes first");
    world.wait("camera", left);
    assert_eq!(world.judged("camera"), LOOPS);
    let first = 580.0 - left;
    assert_eq!(world.deadline("camera"), Some(first), "ten minutes from the first of the three");
    world.see("camera", world.beat(0.0).says(|r| (r.pid, r.pid_start_ticks) = (Some(4), Some(1_003_500))));
    world.wait("camera", first);
    assert_ne!(world.judged("camera"), LOOPS);
}

#[test]
fn f14_a_crash_loop_holds_at_each_instant() {
    let mut world = World::new();
    crashes(&mut world, 1..=3);
    let begun = world.transitions.len();
    let runs = crashes(&mut world, 4..=40);
    assert_eq!(from(&world, begun), [LOOPS], "neither a death nor a return changes it");
    let verdict = world.verdict("camera");
    assert!(verdict.message.starts_with("crash loop: 3 restarts in 10 min; died, exit unknown"));
    assert_eq!(verdict.evidence.get("state"), Some("running"), "the evidence of the last death is kept");
    world.see("camera", torn());
    world.see("camera", missing());
    world.see("camera", runs[36].clone().by(Gone));
    assert_eq!(from(&world, begun), [LOOPS]);
    let left = world.deadline("camera").unwrap();
    assert_eq!(left, 575.0);
    world.wait("camera", left);
    assert_eq!(from(&world, begun), [LOOPS, (Error, Crashed)], "it is dead, and nobody starts it again");
}

#[test]
fn f14_slow_restarts_are_no_loop() {
    let mut world = World::new();
    for pid in 1..=20 {
        world.pass(300.0);
        world.see("camera", world.run(pid));
        assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    }
}

#[test]
fn f14_a_goodbye_ends_a_crash_loop_and_is_no_restart() {
    for life in [Life::Stopped, Life::Finished] {
        let mut world = World::new();
        crashes(&mut world, 1..=4);
        assert_eq!(world.judged("camera"), LOOPS);
        world.see("camera", world.run(4).by(Gone).says(|r| r.state = life));
        assert_eq!(world.judged("camera").0, Healthy);
        for pid in 5..20 {
            world.pass(1.0);
            world.see("camera", world.run(pid));
            assert_eq!(world.judged("camera"), (Healthy, SelfReported));
            world.see("camera", world.run(pid).by(Gone).says(|r| r.state = life));
        }
    }
}

#[test]
fn f14_two_processes_that_write_one_report_are_no_loop() {
    let mut world = World::new();
    let runs = [world.run(1), world.run(2)];
    for at in 0..50 {
        world.pass(1.0);
        let boottime = world.now.boottime.as_secs_f64();
        let beat = runs[at % 2].clone().says(|r| r.written_boottime_s = Some(boottime));
        world.see("camera", beat);
        assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    }
}

#[test]
fn f14_what_it_counts_itself_and_a_boot_are_no_restarts() {
    let mut world = World::new();
    let run = world.run(1);
    for restarts in [0, 500, 3, 1_000_000] {
        world.pass(1.0);
        world.see("camera", run.clone().says(|r| r.restart_count = restarts));
        assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    }
    let mut world = World::new();
    for boot in ["boot-2", "boot-3", "boot-4", "boot-5"] {
        world.see("camera", world.run(1));
        world.boot(Some(boot));
        assert_ne!(world.judged("camera"), LOOPS);
    }
}

#[test]
fn f14_a_restart_that_nobody_saw_counts_once() {
    let mut world = World::new();
    world.see("camera", world.run(1));
    for pid in [2, 50, 99] {
        world.pass(30.0);
        world.restart();
        world.see("camera", world.run(pid));
    }
    assert_eq!(world.judged("camera"), LOOPS, "three were seen to have been replaced");
}

fn unit(main_pid: u32, restarts: u64) -> ProbeFacts {
    ProbeFacts::Unit(Box::new(UnitFacts {
        name: "camera.service".into(),
        active: UnitActive::Active,
        sub: "running".into(),
        result: "success".into(),
        was_active: true,
        is_restarted: true,
        main_pid: Some(main_pid),
        restarts,
        ..UnitFacts::default()
    }))
}

#[test]
fn f14_what_a_supervisor_counts_is_not_counted_twice() {
    let mut world = World::new();
    world.see("camera", world.run(1));
    world.observe("camera", Ok(Facts::Probe(unit(1, 0))));
    // Started anew by hand, which sets its counter back.
    for pid in 2..10 {
        world.pass(1.0);
        world.see("camera", world.run(pid));
        world.observe("camera", Ok(Facts::Probe(unit(u32::try_from(pid).unwrap(), 0))));
        assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    }
    for pid in 10..=12 {
        world.pass(1.0);
        world.see("camera", world.run(pid));
        assert_eq!(world.judged("camera"), (Healthy, SelfReported));
        world.observe("camera", Ok(Facts::Probe(unit(u32::try_from(pid).unwrap(), pid - 9))));
    }
    assert_eq!(world.judged("camera"), LOOPS);
}
