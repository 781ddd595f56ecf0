//! F12: clocks that are set, times in the future, and boots.

use crate::world::*;
use health_reporter::State as Life;
use health_reporter::Status::{Error, Healthy, Unknown};
use healthcheck_core::Cause::*;
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::ServiceFacts;
use jiff::{SignedDuration, Timestamp};

/// Beats of a writer that gives its boot time, of one that gives only a file, and of a job that finished.
fn beats(world: &World) -> [(&'static str, ServiceFacts); 2] {
    [("camera", world.beat(0.0)), ("script", world.plain(0.0))]
}

#[test]
fn f12_a_thousand_clock_steps_change_nothing() {
    let mut random = Random(12);
    let mut world =
        World::new().expecting("camera").expecting("script").expecting("backup").expecting("agent");
    world.see(
        "backup",
        world.plain(0.0).says(|r| (r.state, r.deadline_s) = (Life::Finished, Some(30.0 * DAY))),
    );
    world.see("agent", world.beat(0.0).by(Gone).says(|r| r.state = Life::Stopped));
    world.policy.stopped_after = std::time::Duration::from_secs_f64(30.0 * DAY);
    beats(&world).into_iter().for_each(|(name, facts)| drop(world.see(name, facts)));
    let first_sights = world.transitions.len();
    for _ in 0..1_000 {
        let step = match random.below(3) {
            0 => 3_600,
            1 => -3_600,
            _ => i64::try_from(random.below(48 * 3_600)).unwrap() - 24 * 3_600,
        };
        world.set_clock(step);
        for name in ["camera", "script", "backup", "agent"] {
            world.wait(name, f64::from(u32::try_from(random.below(15)).unwrap()));
        }
        beats(&world).into_iter().for_each(|(name, facts)| drop(world.see(name, facts)));
    }
    assert_eq!(world.transitions[first_sights..], []);
    assert_eq!(world.snapshot().counts.healthy, 4);
}

#[test]
fn f12_a_hang_is_found_in_time_whatever_the_wall_clock_does() {
    for step in [-7_200, -3_600, 0, 3_600, 7_200, 86_400] {
        let mut world = World::new();
        beats(&world).into_iter().for_each(|(name, facts)| drop(world.see(name, facts)));
        world.pass(30.0);
        let last = beats(&world);
        last.iter().for_each(|(name, facts)| drop(world.see(name, facts.clone())));
        world.set_clock(step);
        for (name, facts) in &last {
            assert_eq!(world.deadline(name), Some(120.0));
            assert_eq!(world.see(name, facts.clone()), [], "{name} {step}");
        }
        world.pass(119.0);
        for (name, facts) in &last {
            assert_eq!(world.see(name, facts.clone()), [], "{name} {step}");
        }
        world.pass(1.0);
        assert_eq!(world.see("camera", last[0].1.clone())[0].cause, Hung);
        assert_eq!(world.see("script", last[1].1.clone())[0].cause, Overdue);
    }
}

#[test]
fn times_in_the_future_are_never_fresher_than_what_was_seen() {
    let w = World::new();
    let ahead = w.now.wall + SignedDuration::from_hours(9);
    let boottime = w.now.boottime.as_secs_f64();
    let written_ahead =
        |facts: ServiceFacts| facts.says(move |r| r.written_boottime_s = Some(boottime + 900.0));
    let at = |facts: ServiceFacts, modified: Timestamp, changed: Timestamp| {
        facts.change(|file| (file.modified, file.changed) = (modified, changed))
    };
    let ago = w.wall_ago(50.0);
    for (case, facts, age, evidence) in [
        ("a boot time just ahead is now", w.beat(-0.5), 0.0, None),
        ("a boot time ahead: the file's", written_ahead(w.beat(50.0)), 50.0, None),
        ("modified ahead: changed", at(w.plain(0.0), ahead, ago), 50.0, Some("change time")),
        ("both ahead: first sight", at(w.plain(0.0), ahead, ahead), 0.0, Some("first seen")),
        ("all three ahead", at(written_ahead(w.beat(0.0)), ahead, ahead), 0.0, Some("first seen")),
        ("a boot time that is right decides", at(w.beat(30.0), ahead, ahead), 30.0, None),
    ] {
        let mut world = World::new();
        world.see("camera", facts.clone());
        assert_eq!(world.deadline("camera"), Some(120.0 - age), "{case}");
        let reasons = &world.verdict("camera").reasons;
        assert_eq!(reasons.iter().any(|r| r.contains("lie in the future")), evidence.is_some(), "{case}");
        assert!(evidence.is_none_or(|words| reasons.iter().any(|r| r.contains(words))), "{case}");
        world.pass(121.0 - age);
        world.see("camera", facts);
        assert_eq!(world.judged("camera").0, Error, "{case}: the same content does not become fresh again");
    }
}

#[test]
fn f12_a_report_from_the_future_does_not_become_fresh_when_its_time_comes() {
    let mut world = World::new();
    let ahead = world.beat(-2.0 * HOUR);
    world.see("camera", ahead.clone());
    for _ in 0..240 {
        world.pass(60.0);
        world.see("camera", ahead.clone());
    }
    assert_eq!(world.transitions.len(), 2, "healthy, and hung for ever");
    assert_eq!(world.judged("camera"), (Error, Hung));
}

#[test]
fn a_report_from_before_the_boot_is_no_report_of_this_boot() {
    for boot_id in [Some("boot-2"), None] {
        let mut world = World::new();
        if boot_id.is_none() {
            world.now.boot_id = None;
        }
        let running = world.beat(0.0).by(elsewhere());
        let stopped = running.clone().says(|r| r.state = Life::Stopped);
        let finished = running.clone().says(|r| (r.state, r.deadline_s) = (Life::Finished, Some(3_600.0)));
        let failed = finished.clone().says(|r| r.overall_status = Error);
        let all = [("running", running), ("stopped", stopped), ("finished", finished), ("failed", failed)];
        all.iter().for_each(|(name, facts)| drop(world.see(name, facts.clone())));
        world.boot(boot_id);
        all.iter().for_each(|(name, facts)| drop(world.see(name, facts.clone())));
        for (name, judged) in [
            ("running", (Unknown, NotObserved)),
            ("stopped", (Unknown, NotObserved)),
            ("finished", (Healthy, Finished)),
            ("failed", (Error, Crashed)),
        ] {
            assert_eq!(world.judged(name), judged, "{name} in grace, {boot_id:?}");
        }
        world.pass(55.0);
        all.iter().for_each(|(name, facts)| drop(world.see(name, facts.clone())));
        assert_eq!(world.judged("running"), (Error, NeverStarted));
        assert_eq!(world.judged("stopped"), (Error, NeverStarted));
        assert_eq!(world.verdict("stopped").message, "no report since boot");
        world.pass(HOUR);
        all.iter().for_each(|(name, facts)| drop(world.see(name, facts.clone())));
        assert_eq!(world.judged("finished"), (Error, Overdue), "by the wall clock");
        assert_eq!(world.see("running", world.beat(0.0))[0].to, Healthy);
    }
}

/// What was seen before the boot was written before it, and is no younger, whatever the wall clock shows by then.
#[test]
fn f12_a_clock_that_is_set_back_before_a_boot_makes_no_report_fresh() {
    for boots in [1, 2] {
        let mut world = World::new();
        let running = world.plain(0.0);
        let finished = running.clone().says(|r| (r.state, r.deadline_s) = (Life::Finished, Some(3_600.0)));
        world.see("running", running.clone());
        world.see("finished", finished.clone());
        world.pass(2.0 * HOUR);
        world.see("finished", finished.clone());
        assert_eq!(world.judged("finished"), (Error, Overdue));
        world.now.wall -= SignedDuration::from_hours(20);
        for _ in 0..boots {
            world.boot(None);
        }
        world.pass(55.0);
        world.see("running", running);
        world.see("finished", finished);
        assert_eq!(world.judged("running"), (Error, NeverStarted), "{boots}");
        assert_eq!(world.judged("finished"), (Error, Overdue), "{boots}");
    }
}

/// Nobody looked meanwhile, and the machine has no boot id: what appeared is of this boot all the same.
#[test]
fn f12_a_clock_that_is_set_forward_makes_no_late_report_fresh() {
    let mut world = World::new();
    world.now.boot_id = None;
    world.see("camera", world.beat(0.0));
    world.pass(HOUR);
    let last = world.beat(0.0);
    world.pass(HOUR);
    world.set_clock(200 * 86_400);
    world.see("camera", last);
    assert_eq!(world.judged("camera"), (Error, Hung));
    // Somebody puts an old one back: when it was written means another boot.
    let (wall, old) = (world.now.wall, world.now.wall - SignedDuration::from_hours(24 * 300));
    world.see("camera", world.beat(HOUR).change(|file| (file.modified, file.changed) = (old, wall)));
    assert_eq!(world.judged("camera"), (Healthy, SelfReported));
}

#[test]
fn a_modification_time_ahead_does_not_carry_a_report_over_a_boot() {
    let mut world = World::new();
    let changed = world.now.wall;
    let ahead = changed + SignedDuration::from_hours(3);
    world.boot(Some("boot-2"));
    world.pass(HOUR);
    let script = world.plain(0.0).change(|file| (file.modified, file.changed) = (ahead, changed));
    world.see("script", script);
    assert_eq!(world.judged("script"), (Error, NeverStarted));
}

#[test]
fn a_single_look_after_a_boot_grants_no_grace() {
    let mut world = World::once();
    let stale = world.beat(0.0);
    world.boot(Some("boot-2"));
    world.see("camera", stale);
    assert_eq!(world.judged("camera"), (Error, NeverStarted));
}

#[test]
fn time_alone_judges_nothing_that_nobody_looked_at_since_the_boot() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0));
    world.boot(Some("boot-2"));
    assert_eq!(world.wait("camera", DAY), []);
    assert_eq!(world.state.next_deadline(), None);
    assert_eq!(world.judged("camera"), (Healthy, SelfReported), "held until somebody looks");
}
