//! F12: time in which the machine slept, or in which nobody looked.

use crate::world::*;
use health_reporter::State as Life;
use health_reporter::Status::{Error, Healthy, Unknown, Warning};
use healthcheck_core::Cause::*;
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{GapReason, Limits, Quantity, State};
use std::time::Duration;

#[test]
fn f12_a_night_of_sleep_makes_nobody_late() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0));
    world.see("script", world.plain(0.0));
    world.pass(50.0);
    world.tick();
    world.suspend(8.0 * HOUR);
    let begun = world.transitions.len();
    for name in ["camera", "script"] {
        world.wait(name, 0.0);
        assert_eq!(world.deadline(name), Some(70.0), "{name}");
    }
    // The files are read again, and they are the same.
    let slept = 8.0 * HOUR + 50.0;
    world.see("camera", world.beat(slept));
    world.see("script", world.plain(slept));
    world.pass(69.0);
    world.see("camera", world.beat(slept + 69.0));
    world.wait("script", 0.0);
    assert_eq!(world.transitions[begun..], []);
    assert_eq!(world.wait("camera", 1.0)[0].cause, Hung);
    let verdict = world.verdict("camera");
    assert_eq!(verdict.message, "no beat for 8 h 2 min, its deadline is 2 min");
    assert_eq!(verdict.evidence.get("suspended"), Some("8 h"));
    assert_eq!(verdict.since, world.now.wall);
    assert_eq!(world.wait("script", 0.0)[0].cause, Overdue);
}

#[test]
fn f12_a_beat_that_nobody_saw_before_the_sleep_is_not_late_after_it() {
    for known in [true, false] {
        let mut world = World::new();
        if known {
            world.see("camera", world.beat(0.0));
        }
        world.pass(10.0);
        world.tick();
        world.pass(1.0);
        world.suspend(HOUR);
        world.tick();
        world.see("camera", world.beat(HOUR + 0.5));
        assert_eq!(world.judged("camera"), (Healthy, SelfReported));
        assert_eq!(world.deadline("camera"), Some(119.5));
        world.pass(1.0);
        world.see("camera", world.beat(0.5));
        assert_eq!(world.deadline("camera"), Some(119.5));
    }
}

#[test]
fn f12_a_sleep_is_told_once_and_where_it_was() {
    let mut world = World::new();
    assert_eq!(world.tick(), None, "how long it slept before anybody looked concerns nobody");
    world.now.suspended = Duration::from_secs(3);
    world.state = State::default();
    assert_eq!((world.tick(), world.tick()), (None, None));
    let from = world.now.wall;
    world.suspend(1.0);
    assert_eq!(world.tick(), None, "clocks are read one after the other");
    world.suspend(60.0);
    world.see("camera", world.beat(0.0));
    world.suspend(60.0);
    let gap = world.tick().unwrap();
    assert_eq!((gap.to, gap.reason), (world.now.wall, GapReason::Suspended));
    assert_eq!((gap.to - gap.from).get_seconds(), 120, "a step does not swallow it");
    assert!(gap.from > from);
    assert_eq!(world.tick(), None);
}

#[test]
fn f12_no_verdict_changes_because_the_machine_slept() {
    let mut world = World::new().expecting("torn").expecting("stopped").expecting("late");
    let hold = Duration::from_secs(600);
    let limits = Limits { warning: Some(0.9), error: None, clear: None, hold, is_bad_below: false };
    world.policy.limits.insert(Quantity::Disk, limits);
    world.see("late", world.beat(120.0));
    world.see("torn", torn());
    world.see("stopped", world.beat(0.0).by(Gone).says(|r| r.state = Life::Stopped));
    world.see("dead", world.beat(0.0).by(Gone));
    world.pass(1.0);
    world.see("torn", torn());
    let begun = world.transitions.len();
    let names = ["late", "torn", "stopped", "dead"];
    for _ in 0..20 {
        world.suspend(2.0 * HOUR);
        names.iter().for_each(|name| drop(world.wait(name, 0.1)));
        let age = world.now.boottime.as_secs_f64() - 10_000.0;
        world.see("late", world.beat(120.0 + age));
        world.see("torn", torn());
        world.see("stopped", world.beat(age).by(Gone).says(|r| r.state = Life::Stopped));
        world.see("dead", world.beat(age).by(Gone));
    }
    assert_eq!(world.transitions[begun..], []);
    for (name, left, verdict) in
        [("torn", 300.0, (Error, ReportUnreadable)), ("stopped", HOUR, (Warning, Stopped))]
    {
        world.wait(name, left);
        assert_eq!(world.judged(name), verdict);
    }
}

#[test]
fn f12_a_job_that_was_due_in_the_night_has_its_grace_in_the_morning() {
    let mut world = World::new();
    let backup = |world: &World, age: f64| {
        world.plain(age).says(|r| (r.state, r.deadline_s) = (Life::Finished, Some(HOUR)))
    };
    world.see("backup", backup(&world, 0.0));
    world.see("early", backup(&world, HOUR - 1.0));
    world.pass(1.0);
    world.wait("early", 0.0);
    assert_eq!(world.judged("early"), (Error, Overdue));
    world.suspend(8.0 * HOUR);
    world.see("backup", backup(&world, 8.0 * HOUR + 1.0));
    assert_eq!(world.judged("backup"), (Healthy, Finished));
    assert_eq!(world.deadline("backup"), Some(60.0));
    assert_eq!(world.wait("early", 0.0), [], "what was overdue before stays so");
    assert_eq!(world.wait("backup", 59.0), []);
    assert_eq!(world.wait("backup", 1.0)[0].cause, Overdue);
}

#[test]
fn the_time_of_an_outage_of_the_monitor_is_told_and_the_first_start_is_none() {
    let mut world = World::new();
    assert_eq!(world.restart(), None, "the very first start");
    world.see("camera", world.beat(0.0));
    assert_eq!(world.restart(), None, "no time has passed");
    let from = world.now.wall;
    world.pass(600.0);
    let gap = world.restart().unwrap();
    assert_eq!((gap.from, gap.to, gap.reason), (from, world.now.wall, GapReason::MonitorDown));
    world.suspend(600.0);
    assert_eq!(world.restart().unwrap().reason, GapReason::MonitorDown);
    assert_eq!(world.tick(), None, "one gap is enough");
    world.boot(Some("boot-2"));
    assert_eq!(world.restart().unwrap().reason, GapReason::Boot);
    world.set_clock(-86_400);
    world.pass(1.0);
    let gap = world.restart().unwrap();
    assert!(gap.from <= gap.to, "whatever the wall clock does");
}

#[test]
fn nobody_is_late_or_unknown_for_too_long_by_an_outage_of_the_monitor() {
    let mut world = World::new().expecting("torn");
    world.see("camera", world.beat(0.0));
    world.see("torn", torn());
    world.pass(1.0);
    world.see("torn", torn());
    world.pass(600.0);
    world.restart();
    let begun = world.transitions.len();
    world.wait("camera", 0.0);
    world.wait("torn", 0.0);
    assert_eq!(world.transitions[begun..], []);
    // Whoever is late by what is there is late.
    assert_eq!(world.see("camera", world.beat(601.0))[0].cause, Hung);
    world.wait("torn", 299.0);
    assert_eq!(world.judged("torn"), (Error, ReportUnreadable));
}

#[test]
fn a_death_in_an_outage_of_the_monitor_is_since_the_last_beat_and_an_older_one_stays() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0));
    world.see("dead", world.beat(9.0));
    world.see("dead", world.beat(9.0).by(Gone));
    let died = world.verdict("dead").since;
    world.pass(600.0);
    world.restart();
    assert_eq!(world.see("camera", world.beat(600.0).by(Gone))[0].cause, Crashed);
    assert_eq!(world.verdict("camera").since, world.wall_ago(600.0));
    assert_eq!(world.see("dead", world.beat(609.0).by(Gone)), []);
    assert_eq!((world.verdict("dead").since, world.judged("dead").0), (died, Error));
}

#[test]
fn f12_a_sleep_between_a_boot_and_the_first_look_makes_nobody_late() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0));
    world.boot(Some("boot-2"));
    world.pass(100.0);
    world.suspend(8.0 * HOUR);
    assert_eq!(world.restart().unwrap().reason, GapReason::Boot);
    world.see("camera", world.beat(8.0 * HOUR + 50.0));
    assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    assert_eq!(world.deadline("camera"), Some(70.0));
    assert_eq!(world.tick(), None, "one gap is enough");
}

#[test]
fn what_was_not_seen_since_a_boot_waits_to_be_seen() {
    let mut world = World::new().expecting("camera");
    world.see("camera", world.beat(0.0));
    world.boot(Some("boot-2"));
    world.restart();
    assert_eq!(world.wait("camera", 0.0), []);
    world.see("camera", missing());
    assert_eq!(world.judged("camera"), (Unknown, NotObserved));
}
