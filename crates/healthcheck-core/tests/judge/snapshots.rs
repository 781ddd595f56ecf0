//! What a snapshot shows: the whole, dependencies, and words as of now.

use crate::world::*;
use health_reporter::Status::{Error, Fatal, Healthy, Unknown, Warning};
use healthcheck_core::Cause::*;
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{Kind, Observation, Policy, Priority, ProbeError, Snapshot, State, Subject, step};
use std::time::Duration;

#[test]
fn the_whole_is_the_worst_of_all() {
    for (statuses, overall) in [
        (vec![], Unknown),
        (vec![Healthy, Healthy], Healthy),
        (vec![Healthy, Unknown], Unknown),
        (vec![Unknown, Warning], Warning),
        (vec![Error, Fatal, Healthy], Fatal),
    ] {
        let mut world = World::new();
        for (at, status) in statuses.iter().enumerate() {
            world.see(&format!("s{at}"), world.beat(0.0).says(|r| r.overall_status = *status));
        }
        assert_eq!(world.snapshot().overall_status, overall);
        assert_eq!(world.snapshot().has_nothing_to_judge(), statuses.is_empty());
        assert_eq!(world.snapshot().counts.total, statuses.len());
    }
}

#[test]
fn an_optional_service_worries_at_most() {
    for (status, overall) in [(Fatal, Warning), (Error, Warning), (Warning, Warning), (Unknown, Healthy)] {
        let mut world = World::new().expecting("extra");
        world.policy.services.get_mut("extra").unwrap().priority = Priority::Optional;
        world.see("core", world.beat(0.0));
        world.see("extra@2", world.beat(0.0).says(|r| r.overall_status = status));
        assert_eq!(world.snapshot().overall_status, overall);
        assert_eq!(world.view("extra@2").subject.status, status, "its own verdict is untouched");
    }
}

#[test]
fn one_that_only_nobody_knows_is_not_healthy() {
    let mut world = World::new().expecting("extra");
    world.policy.services.get_mut("extra").unwrap().priority = Priority::Optional;
    world.see("extra", torn());
    assert_eq!(world.snapshot().overall_status, Unknown);
}

#[test]
fn bad_services_name_their_root_and_whom_they_affect() {
    let mut world = World::new().expecting("wall");
    world.policy.services.get_mut("wall").unwrap().depends_on = vec!["recorder".into()];
    world.see("db", world.beat(0.0).by(Gone));
    let needs = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    world.see("recorder", world.beat(130.0).says(|r| r.depends_on = needs(&["db", "nowhere"])));
    world.see("wall", world.beat(130.0));
    world.see("clock", world.beat(0.0).says(|r| r.depends_on = needs(&["db"])));
    let view = |name| world.view(name);
    assert_eq!(view("db").root, None);
    assert_eq!(view("db").affects, ["clock", "recorder", "wall"]);
    assert_eq!(view("wall").root.as_deref(), Some("db"));
    assert_eq!(view("wall").depends_on, ["recorder"]);
    assert_eq!(
        (view("wall").subject.status, view("wall").subject.cause),
        (Error, Hung),
        "its verdict is its own"
    );
    assert_eq!(view("wall").subject.reasons.last().unwrap(), "depends on db, which is crashed");
    assert_eq!((view("clock").root, view("clock").affects.len()), (None, 0), "it is well");
}

#[test]
fn a_dependency_on_a_service_is_one_on_its_instances() {
    let mut world = World::new();
    world.see("db@2", world.beat(0.0).says(|r| r.overall_status = Error));
    world.see("db@3", world.beat(0.0));
    world.see("app", world.beat(0.0).says(|r| (r.overall_status, r.depends_on) = (Error, vec!["db".into()])));
    assert_eq!(world.view("app").root.as_deref(), Some("db@2"));
    assert_eq!(world.view("app").subject.reasons.last().unwrap(), "depends on db@2, which reports error");
}

#[test]
fn a_cycle_ends_and_an_unknown_parent_is_a_root() {
    let mut world = World::new();
    for (name, parent) in [("a", "b"), ("b", "c"), ("c", "b")] {
        world.see(
            name,
            world.beat(0.0).says(|r| (r.overall_status, r.depends_on) = (Error, vec![parent.into()])),
        );
    }
    let roots = ["a", "b", "c"].map(|name| world.view(name).root);
    assert_eq!(roots, [Some("b".into()), None, Some("b".into())]);
    world.see("x", world.beat(0.0).says(|r| (r.overall_status, r.depends_on) = (Error, vec!["y".into()])));
    world.see("y", torn());
    assert_eq!(world.view("x").subject.reasons.last().unwrap(), "depends on y, which is unknown");
}

#[test]
fn the_words_are_as_of_now_and_the_verdict_as_it_was_judged() {
    let mut world = World::new();
    world.see("camera", world.beat(3.0).by(Gone));
    world.see("audio", world.beat(3.0));
    world.pass(HOUR);
    assert!(world.view("camera").subject.message.contains("last beat 1 h ago"));
    assert_eq!(world.view("camera").age_s, Some(3_603.0));
    assert_eq!(world.view("audio").subject.status, Healthy, "a snapshot does not judge");
}

#[test]
fn a_view_shows_what_the_report_says() {
    let mut world = World::new();
    world.see(
        "camera",
        world.beat(2.0).says(|r| {
            r.service_name = Some("somebody else".into());
            r.checks = vec![check("a", Healthy, ""), check("b", Warning, "slow")];
            (r.restart_count, r.error_count, r.messages_sent, r.messages_received) = (1, 2, 3, 4);
        }),
    );
    let json = serde_json::to_value(world.view("camera")).unwrap();
    for (key, value) in [
        ("kind", serde_json::json!("service")),
        ("name", "camera".into()),
        ("status", "warning".into()),
        ("cause", "self_reported".into()),
        ("message", "b: slow".into()),
    ] {
        assert_eq!(json["subject"][key], value, "{key}");
    }
    for (key, value) in [
        ("priority", serde_json::json!("critical")),
        ("state", "running".into()),
        ("name_inside", "somebody else".into()),
        ("deadline_s", 120.0.into()),
        ("age_s", 2.0.into()),
        ("uptime_s", 15_120.0.into()),
        ("restart_count", 1.into()),
        ("messages_received", 4.into()),
        ("pid", 42.into()),
    ] {
        assert_eq!(json[key], value, "{key}");
    }
    assert_eq!((&json["checks"][0]["name"], &json["process"]["descriptors"]), (&"b".into(), &7.into()));
    let line = serde_json::to_string(&world.snapshot()).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&line).unwrap(), world.snapshot());
}

#[test]
fn other_kinds_of_subjects_have_their_place() {
    let (world, policy) = (World::new(), Policy::default());
    let look = |kind| Observation {
        subject: Subject::new(kind, "x"),
        outcome: Err(ProbeError::new("no descriptor left")),
        took: Duration::ZERO,
    };
    let (state, _) = step(State::default(), look(Kind::Resource), &world.now, &policy);
    assert!(Snapshot::of(&state, &world.now, &policy).has_nothing_to_judge());
    let (state, transitions) = step(state, look(Kind::Zmq), &world.now, &policy);
    assert_eq!((transitions[0].to, transitions[0].cause), (Unknown, ProbeUnavailable));
    let snapshot = Snapshot::of(&state, &world.now, &policy);
    assert_eq!((snapshot.others.len(), snapshot.subjects().count()), (2, 2));
}

#[test]
fn it_is_the_same_in_whatever_parts_it_was_judged() {
    let mut world = World::once().expecting("late").expecting("core");
    let mut parts = [State::announcing(5), State::announcing(5)];
    world.state = State::announcing(5);
    let needs_db = world.beat(130.0).says(|r| r.depends_on = vec!["db".into()]);
    let seen = [
        ("core", needs_db),
        ("db", world.beat(0.0).by(Gone)),
        ("late", missing()),
        ("script", world.plain(7.0)),
        ("torn", torn()),
    ];
    for (at, (name, facts)) in seen.into_iter().enumerate() {
        world.see(name, facts.clone());
        let together = std::mem::replace(&mut world.state, std::mem::take(&mut parts[at % 2]));
        world.see(name, facts);
        parts[at % 2] = std::mem::replace(&mut world.state, together);
    }
    let [first, second] = parts;
    let merged = first.merge(second);
    assert_eq!(merged, world.state);
    assert_eq!(Snapshot::taken(merged, &world.now, &world.policy), world.snapshot());
}

#[test]
fn what_is_merged_is_due_as_before() {
    let (mut world, mut other) = (World::new(), World::new());
    world.see("camera", world.beat(10.0));
    other.see("core", other.beat(30.0));
    let earliest = other.state.next_deadline();
    let merged = world.state.merge(other.state);
    assert_eq!(merged.next_deadline(), earliest);
    assert_eq!(merged.due(Duration::MAX).count(), 2);
}

/// A few words in many files must not buy memory: the affected are counted, and the first of them named.
#[test]
fn many_that_are_affected_are_counted() {
    let mut world = World::once();
    for number in 0..500 {
        let dead = world.beat(0.0).by(Gone).says(|r| r.depends_on = vec!["db".into()]);
        world.see(&format!("s{number:03}"), dead);
    }
    for slot in 2..=60 {
        world.see(&format!("db@{slot}"), world.beat(0.0).by(Gone));
    }
    let snapshot = world.snapshot();
    let db = snapshot.service("db@2").unwrap();
    assert_eq!((db.affects.len(), db.affects_left_out), (32, 468));
    assert_eq!(snapshot.service("s000").unwrap().root.as_deref(), Some("db@10"), "the first by name");
}
