//! Expected services, instances, grace and settings.

use crate::world::*;
use health_reporter::Status::{Error, Healthy, Unknown};
use health_reporter::read::Dialect;
use healthcheck_core::Cause::*;
use healthcheck_core::{Kind, Subject};
use std::time::Duration;

#[test]
fn an_expected_service_has_the_grace_to_start() {
    let mut world = World::new().expecting("camera");
    world.now.boottime = Duration::from_secs(20);
    world.see("camera", missing());
    assert_eq!(world.judged("camera"), (Unknown, NotObserved));
    assert_eq!(world.deadline("camera"), Some(40.0));
    assert_eq!(world.wait("camera", 39.0), []);
    assert_eq!(world.wait("camera", 1.0)[0].cause, NeverStarted);
    assert_eq!(world.see("camera", world.beat(0.0))[0].to, Healthy);
}

#[test]
fn f3_a_report_that_disappears_is_missing_until_it_is_forgotten() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0));
    world.pass(10.0);
    assert_eq!(world.see("camera", missing())[0].cause, Missing);
    assert_eq!(world.verdict("camera").evidence.get("last_beat"), Some("10 s ago"));
    assert_eq!(world.wait("camera", 40.0 * DAY), []);
    world.boot(Some("boot-2"));
    world.pass(60.0);
    world.see("camera", missing());
    assert_eq!(world.judged("camera"), (Error, NeverStarted), "it reported once, so it is expected");
    assert!(world.state.forget(&Subject::service("camera")));
    assert_eq!(world.see("camera", missing()), []);
    assert!(world.state.is_empty());
}

#[test]
fn what_nobody_expects_and_nobody_saw_is_no_subject() {
    let mut world = World::new();
    assert_eq!(world.see("camera", missing()), []);
    assert_eq!(world.wait("camera", 1.0), []);
    assert!(world.snapshot().has_nothing_to_judge());
}

#[test]
fn a_report_is_optional_where_there_is_another_way_to_look() {
    let mut world = World::new().expecting("db");
    world.policy.services.get_mut("db").unwrap().looked_at_from_outside = true;
    world.see("db", missing());
    assert_eq!(world.judged("db"), (Unknown, NotObserved), "its absence is no news, and nobody looked");
    world.see("db", world.plain(0.0));
    assert_eq!(world.judged("db"), (Healthy, SelfReported), "one that is there is judged");
    assert_eq!(world.see("db", missing())[0].cause, Missing);
    world.boot(Some("boot-2"));
    world.see("db", missing());
    assert_eq!(world.judged("db"), (Unknown, NotObserved));
}

#[test]
fn any_instance_satisfies_the_expectation() {
    let mut world = World::once().expecting("camera");
    world.see("camera@2", world.beat(0.0));
    assert_eq!(world.see("camera", missing()), []);
    let snapshot = world.snapshot();
    assert_eq!((snapshot.counts.total, snapshot.overall_status), (1, Healthy));
}

#[test]
fn an_instance_that_comes_later_settles_what_was_missing() {
    let mut world = World::new().expecting("camera");
    assert_eq!(world.see("camera", missing())[0].cause, NeverStarted);
    world.see("camera@site", world.beat(0.0));
    assert_eq!(world.judged("camera"), (Error, NeverStarted), "another service, not an instance");
    let transitions = world.see("camera@2", world.beat(0.0));
    let names: Vec<_> = transitions.iter().map(|t| (&*t.subject.name, t.to)).collect();
    assert_eq!(names, [("camera@2", Healthy), ("camera", Healthy)]);
    assert!(world.snapshot().service("camera").is_none(), "it is shown once");
    assert_eq!(world.see("camera@2", missing()).len(), 1, "and its end is told once");
}

#[test]
fn settings_cover_all_instances() {
    let mut world = World::new().expecting("camera");
    world.policy.services.get_mut("camera").unwrap().deadline = Some(Duration::from_secs(30));
    world.see("camera@2", world.plain(0.0));
    world.see("camera@3", world.plain(0.0).says(|r| r.deadline_s = Some(60.0)));
    world.see("camera@4", world.plain(0.0).change(|f| f.dialect = Dialect::Original));
    world.see("other", world.plain(0.0));
    for (name, deadline) in [("camera@2", 30.0), ("camera@3", 60.0), ("camera@4", 30.0), ("other", 120.0)] {
        assert_eq!(world.deadline(name), Some(deadline), "{name}");
        assert_eq!(world.view(name).deadline_s, Some(deadline), "{name}");
    }
}

#[test]
fn the_state_says_when_to_look_at_the_time_again() {
    let mut world = World::new();
    assert_eq!(world.state.next_deadline(), None);
    world.see("slow", world.beat(0.0).says(|r| r.deadline_s = Some(600.0)));
    world.see("fast", world.beat(0.0).says(|r| r.deadline_s = Some(60.0)));
    let start = world.now.boottime;
    assert_eq!(world.state.next_deadline(), Some(start + Duration::from_secs(60)));
    assert_eq!(world.state.due(start + Duration::from_secs(59)).count(), 0);
    assert_eq!(world.state.due(start + Duration::from_secs(600)).count(), 2);
    assert_eq!(world.wait("fast", 60.0)[0].cause, Hung);
    assert_eq!(world.state.next_deadline(), Some(start + Duration::from_secs(600)));
    world.see("slow", world.beat(0.0).says(|r| r.deadline_s = Some(700.0)));
    assert_eq!(world.state.next_deadline(), Some(start + Duration::from_secs(760)));
    assert_eq!(world.state.subjects(Kind::Service).count(), 2);
    world.state.forget(&Subject::service("slow"));
    assert_eq!(world.state.next_deadline(), None);
}
