//! How services end, and how that is told: F1, F10, F11 and the evidence at death.

use crate::world::*;
use health_reporter::Status::{Error, Healthy, Warning};
use health_reporter::{Check, RecentError, State as Life};
use healthcheck_core::Cause::*;
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{NotLooked, ProcessSight};

#[test]
fn f1_an_error_is_over_with_the_record_after_it() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0).says(|r| r.checks = vec![check("database", Error, "refused")]));
    world.pass(10.0);
    let transitions =
        world.see("camera", world.beat(0.0).says(|r| r.checks = vec![check("database", Healthy, "")]));
    assert_eq!((transitions[0].from, transitions[0].to), (Error, Healthy));
}

#[test]
fn f10_a_dead_service_is_an_error_however_old_its_report_is() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0));
    world.see("camera", world.beat(0.0).by(Gone));
    let crashed_since = world.verdict("camera").since;
    let report = world.beat(0.0);
    for _ in 0..40 {
        world.pass(DAY);
        assert_eq!(world.see("camera", report.clone().by(Gone)), []);
        assert_eq!(world.judged("camera"), (Error, Crashed));
    }
    assert_eq!(world.verdict("camera").since, crashed_since);
    assert_eq!(world.snapshot().overall_status, Error);
    assert!(world.view("camera").subject.message.contains("last beat 40 d ago"));
}

#[test]
fn f10_a_single_look_at_an_old_report_shows_an_error() {
    for age in [DAY, 40.0 * DAY] {
        let mut world = World::once();
        world.now.boottime = std::time::Duration::from_secs_f64(100.0 * DAY);
        world.see("camera", world.beat(age).by(Gone));
        assert_eq!(world.judged("camera"), (Error, Crashed));
        world.see("script", world.plain(age));
        assert_eq!(world.judged("script"), (Error, Overdue));
    }
}

#[test]
fn f11_only_a_goodbye_is_a_planned_stop() {
    let panicked = |facts: healthcheck_core::ServiceFacts| {
        facts.says(|r| {
            let message = "panicked at src/main.rs:3:5: boom".into();
            r.recent_errors = vec![RecentError { message, timestamp: None, fatal: true, check: None }];
        })
    };
    let w = World::new();
    let goodbye = |life| w.beat(0.0).by(Gone).says(|r| r.state = life);
    for (variant, facts, status, cause) in [
        ("stop()", goodbye(Life::Stopped), Healthy, Stopped),
        ("the job is done", goodbye(Life::Finished), Healthy, Finished),
        ("the job failed", goodbye(Life::Finished).says(|r| r.overall_status = Error), Error, Crashed),
        ("the reporter was dropped", w.beat(0.0).by(Gone), Error, Crashed),
        ("died while it stopped", goodbye(Life::Stopping), Error, Crashed),
        ("died while it started", goodbye(Life::Starting), Error, Crashed),
        ("panic", panicked(w.beat(0.0)).by(zombie(101 << 8)), Error, Crashed),
        ("exit(3)", w.beat(0.0).by(zombie(3 << 8)), Error, Crashed),
        ("exit(0) without a goodbye", w.beat(0.0).by(zombie(0)), Error, Crashed),
        ("SIGKILL", w.beat(0.0).by(zombie(9)), Error, Crashed),
    ] {
        let mut world = World::new();
        world.see("camera", world.beat(1.0));
        world.see("camera", facts);
        assert_eq!(world.judged("camera"), (status, cause), "{variant}");
        // And so it stays: nothing pages two minutes later.
        assert_eq!(world.wait("camera", 119.0), [], "{variant}");
    }
}

/// Whoever has reported once is expected, and so is who is configured.
#[test]
fn f11_a_stop_is_a_warning_after_an_hour() {
    let mut world = World::new().expecting("camera");
    for name in ["camera", "other"] {
        world.see(name, world.beat(0.0).by(Gone).says(|r| r.state = Life::Stopped));
        assert_eq!(world.deadline(name), Some(HOUR));
    }
    assert_eq!(world.wait("camera", HOUR - 1.0), []);
    assert_eq!(world.wait("camera", 1.0)[0].to, Warning);
    assert_eq!(world.wait("other", 0.0)[0].to, Warning);
    assert_eq!((world.judged("camera"), world.judged("other")), ((Warning, Stopped), (Warning, Stopped)));
    assert!(world.verdict("camera").reasons.contains(&"expected, and stopped for 1 h or longer".into()));
}

#[test]
fn a_stop_says_why() {
    let mut world = World::new();
    world.see(
        "camera",
        world.beat(0.0).says(|r| {
            r.state = Life::Stopped;
            let mut goodbye = Check::new("goodbye", Healthy);
            goodbye.message = Some("SIGTERM".into());
            r.checks.push(goodbye);
        }),
    );
    assert_eq!(world.verdict("camera").message, "stopped: SIGTERM");
}

#[test]
fn a_job_is_due_again_at_its_deadline() {
    let mut world = World::new();
    world.see(
        "backup",
        world.plain(HOUR).says(|r| (r.state, r.deadline_s) = (Life::Finished, Some(26.0 * HOUR))),
    );
    assert_eq!(world.deadline("backup"), Some(25.0 * HOUR));
    assert_eq!(world.wait("backup", 25.0 * HOUR)[0].cause, Overdue);
    assert_eq!(world.verdict("backup").since, world.now.wall);
}

#[test]
fn a_panic_of_this_run_is_told_and_one_of_an_earlier_run_is_not() {
    let w = World::new();
    let recorded = |ago: f64| {
        let timestamp = Some(w.wall_ago(ago));
        w.beat(3.0).by(Gone).says(move |r| {
            let message = "panicked at src/main.rs:3:5:\nboom".into();
            r.recent_errors = vec![RecentError { message, timestamp, fatal: true, check: None }];
        })
    };
    let mut world = World::new();
    world.see("camera", recorded(4.0));
    let verdict = world.verdict("camera");
    assert!(
        verdict.message.ends_with("was up 4 h 12 min: panicked at src/main.rs:3:5: boom"),
        "{}",
        verdict.message
    );
    assert_eq!(verdict.evidence.get("panic"), Some("panicked at src/main.rs:3:5: boom"));
    world.see("audio", recorded(5.0 * HOUR));
    assert_eq!(world.verdict("audio").evidence.get("panic"), None);
}

#[test]
fn the_last_words_of_a_run_are_told_and_an_error_of_long_ago_is_not() {
    let w = World::new();
    let recorded = |ago: f64| {
        let timestamp = Some(w.wall_ago(ago));
        w.beat(3.0).by(Gone).says(move |r| {
            let message = "the tape is full".into();
            r.recent_errors = vec![RecentError { message, timestamp, fatal: false, check: None }];
        })
    };
    let mut world = World::new();
    world.see("recorder", recorded(3.5));
    let verdict = world.verdict("recorder");
    assert!(
        verdict.message.ends_with("was up 4 h 12 min; last error: the tape is full"),
        "{}",
        verdict.message
    );
    assert_eq!(verdict.evidence.get("last_error"), Some("the tape is full"));
    world.see("audio", recorded(HOUR));
    assert_eq!(world.verdict("audio").evidence.get("last_error"), None);
}

#[test]
fn what_the_zombie_showed_is_remembered_for_its_run() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0));
    world.pass(1.0);
    let report = world.beat(1.0);
    assert_eq!(world.see("camera", report.clone().by(zombie(9))).len(), 1);
    let nobody = ProcessSight::NotLooked(NotLooked::NotPermitted);
    for sight in [Gone, nobody] {
        world.pass(1.0);
        assert_eq!(world.see("camera", report.clone().by(sight)), []);
        assert_eq!(world.verdict("camera").evidence.get("exit"), Some("signal 9"));
    }
    let restarted = |facts: healthcheck_core::ServiceFacts| facts.says(|r| r.pid = Some(43));
    world.see("camera", restarted(world.beat(0.0)));
    world.see("camera", restarted(world.beat(0.0)).by(Gone));
    assert_eq!(world.verdict("camera").evidence.get("exit"), None);
}

#[test]
fn a_death_that_was_watched_is_since_now_and_another_since_the_last_beat() {
    let mut world = World::new();
    world.see("watched", world.beat(3.0));
    world.see("watched", world.beat(3.0).by(Gone));
    world.see("found", world.beat(3.0).by(Gone));
    assert_eq!(world.verdict("watched").since, world.now.wall);
    assert_eq!(world.verdict("found").since, world.wall_ago(3.0));
}

#[test]
fn a_change_of_cause_alone_is_a_transition_and_a_change_of_words_is_none() {
    let mut world = World::new();
    world.see("camera", world.beat(120.0));
    let since = world.verdict("camera").since;
    world.pass(5.0);
    assert_eq!(world.see("camera", world.beat(125.0)), []);
    assert_eq!((world.verdict("camera").since, world.judged("camera")), (since, (Error, Hung)));
    let transitions = world.see("camera", world.beat(125.0).by(Gone));
    assert_eq!((transitions[0].from, transitions[0].to, transitions[0].cause), (Error, Error, Crashed));
}

#[test]
fn first_sights_know_since_when() {
    let mut world = World::new();
    let w = World::new();
    let sick = |ago: f64| Some(w.wall_ago(ago));
    world.see(
        "checks",
        world.beat(1.0).says(|r| {
            r.checks = vec![check("a", Error, ""), check("b", Error, ""), check("c", Warning, "")];
            (r.checks[0].since, r.checks[1].since, r.checks[2].since) = (sick(50.0), sick(70.0), sick(90.0));
        }),
    );
    world.see("hung", world.beat(150.0));
    world.see("stopped", world.beat(40.0).says(|r| r.state = Life::Stopped));
    world.see("healthy", world.beat(0.0));
    world.see(
        "future",
        world
            .beat(0.0)
            .says(|r| r.checks = vec![check("a", Error, "")])
            .says(|r| r.checks[0].since = sick(-9.0)),
    );
    for (name, ago) in
        [("checks", 70.0), ("hung", 30.0), ("stopped", 40.0), ("healthy", 15_120.0), ("future", 0.0)]
    {
        assert_eq!(world.verdict(name).since, world.wall_ago(ago), "{name}");
    }
}
