//! Reports that cannot be used, and looks that fail.

use crate::world::*;
use health_reporter::Status::{Error, Healthy, Unknown};
use health_reporter::read::ReadError;
use healthcheck_core::Cause::*;
use healthcheck_core::ProcessSight::{self, Gone};
use healthcheck_core::{ProcessFacts, ProcessState};

#[test]
fn the_last_good_reading_holds_for_100_ms() {
    let mut world = World::new();
    world.see("camera", world.beat(1.0));
    assert_eq!(world.see("camera", torn()), []);
    assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    assert!((world.deadline("camera").unwrap() - 0.1).abs() < 1e-9);
    world.pass(0.05);
    assert_eq!(world.see("camera", torn()), [], "the time runs from the first torn reading");
    let transitions = world.wait("camera", 0.05);
    assert_eq!((transitions[0].to, transitions[0].cause), (Unknown, ReportUnreadable));
}

#[test]
fn a_good_reading_within_100_ms_is_as_if_nothing_had_been() {
    let mut world = World::new();
    world.see("camera", world.beat(1.0));
    world.see("camera", torn());
    world.pass(0.09);
    assert_eq!(world.see("camera", world.beat(0.0)), []);
    assert_eq!(world.deadline("camera"), Some(120.0));
}

#[test]
fn a_service_that_dies_while_its_report_is_torn_is_dead() {
    let mut world = World::new();
    world.see("camera", world.beat(1.0));
    assert_eq!(world.see("camera", torn().by(Gone))[0].cause, Crashed);
}

#[test]
fn a_torn_file_without_a_former_reading_is_unknown_at_once() {
    for mut world in [World::new(), World::once()] {
        world.see("camera", torn());
        assert_eq!(world.judged("camera"), (Unknown, ReportUnreadable));
    }
}

#[test]
fn the_unknown_becomes_an_error_after_five_minutes_where_it_is_expected() {
    for (name, report_before, expected, end) in [
        ("configured", false, true, Error),
        ("reported once", true, false, Error),
        ("stranger", false, false, Unknown),
    ] {
        let mut world = if expected { World::new().expecting("camera") } else { World::new() };
        if report_before {
            world.see("camera", world.beat(0.0));
        }
        world.see("camera", unusable(ReadError::NewerVersion(2.0), None));
        assert_eq!(world.deadline("camera"), (end == Error).then_some(300.0), "{name}");
        world.wait("camera", 299.0);
        assert_eq!(world.judged("camera"), (Unknown, NewerVersion), "{name}");
        world.pass(1.0);
        world.see("camera", unusable(ReadError::NotPermitted("no".into()), None));
        assert_eq!(
            world.judged("camera"),
            (end, NotPermitted),
            "{name}: one kind of unknown follows another"
        );
    }
}

#[test]
fn a_single_look_counts_from_the_change_of_the_file() {
    for (changed, status) in [(None, Unknown), (Some(299.0), Unknown), (Some(300.0), Error)] {
        let mut world = World::once().expecting("camera");
        let changed = changed.map(|ago| world.wall_ago(ago));
        world.see("camera", unusable(ReadError::Unreadable("torn".into()), changed));
        assert_eq!(world.judged("camera"), (status, ReportUnreadable));
        world.see("stranger", unusable(ReadError::Unreadable("torn".into()), changed));
        assert_eq!(world.judged("stranger"), (Unknown, ReportUnreadable));
    }
}

#[test]
fn failing_to_look_is_unknown_and_no_loss() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0));
    let transitions = world.fail_to_see("camera");
    assert_eq!((transitions[0].to, transitions[0].cause), (Unknown, ProbeUnavailable));
    assert_eq!(transitions[0].message, "too many open files");
    assert_eq!(world.view("camera").pid, Some(PID), "what was known stays to be seen");
    assert_eq!(world.see("camera", world.beat(0.0))[0].to, Healthy);
}

#[test]
fn who_reports_for_a_process_of_another_user_is_refused() {
    let theirs = |uid| ProcessSight::Seen(ProcessFacts { owner_uid: uid, ..process(ProcessState::Running) });
    let dead = ProcessSight::Seen(ProcessFacts { owner_uid: 0, ..process(ProcessState::Zombie) });
    let other =
        ProcessSight::Seen(ProcessFacts { owner_uid: 0, start_ticks: 7, ..process(ProcessState::Running) });
    let w = World::new();
    for (case, facts, judged) in [
        ("its own", w.beat(0.0).by(theirs(UID)), (Healthy, SelfReported)),
        ("another's", w.beat(0.0).by(theirs(0)), (Unknown, NotPermitted)),
        (
            "root writes for anybody",
            w.beat(0.0).by(theirs(UID)).change(|f| f.owner_uid = 0),
            (Healthy, SelfReported),
        ),
        ("not living", w.beat(0.0).by(dead), (Error, Crashed)),
        ("not the process", w.beat(0.0).by(other), (Error, Crashed)),
        ("nobody can tell", w.beat(0.0).by(elsewhere()), (Healthy, SelfReported)),
    ] {
        let mut world = World::new();
        world.see("camera", facts);
        assert_eq!(world.judged("camera"), judged, "{case}");
    }
}

#[test]
fn a_refused_report_replaces_nothing_and_is_an_error_in_the_end() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0).says(|r| r.current_task = Some("true".into())));
    for _ in 0..6 {
        let stranger = ProcessSight::Seen(ProcessFacts { owner_uid: 0, ..process(ProcessState::Running) });
        world.see("camera", world.beat(0.0).says(|r| r.current_task = Some("false".into())).by(stranger));
        world.pass(60.0);
    }
    assert_eq!(world.judged("camera"), (Error, NotPermitted));
    assert_eq!(world.view("camera").current_task.as_deref(), Some("true"));
    assert!(world.verdict("camera").message.contains("user 1000, its process to user 0"));
}
