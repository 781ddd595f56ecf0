//! What strangers write does not inflate the state, and the state survives being saved.

use crate::world::{Change as _, *};
use health_reporter::Status::{Error, Healthy};
use health_reporter::{RecentError, State as Life, WatchedLoop};
use healthcheck_core::Cause::Hung;
use healthcheck_core::Cause::OomKilled;
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{Aftermath, Change, Exit, Facts, Part, ServiceFacts, State};

fn saved(state: &State) -> String {
    serde_json::to_string(state).unwrap()
}

/// A report with as much in it as a reader lets through.
fn monster(world: &World) -> ServiceFacts {
    let long = "é\u{1b}[2J".repeat(150);
    world.beat(0.0).says(|r| {
        r.checks =
            (0..128).map(|at| check(&format!("{at}-{long}"), [Error, Healthy][at % 2], &long)).collect();
        r.depends_on = (0..256).map(|at| format!("{at}-{long}")).collect();
        r.current_task = Some(long.clone());
        r.service_name = Some(long.clone());
        let message = format!("panicked at {long}");
        r.recent_errors = vec![RecentError { message, timestamp: None, fatal: true, check: None }];
        r.watched_loops = vec![WatchedLoop { name: long.clone(), beat_boottime_s: 0.0, limit_s: 1.0 }];
    })
}

#[test]
fn a_monster_is_cut_to_size() {
    let mut world = World::new();
    world.see("camera", monster(&world));
    assert!(saved(&world.state).len() < 32 * 1024, "{}", saved(&world.state).len());
    let view = world.view("camera");
    assert!(view.subject.message.len() <= 256 && !view.subject.message.contains('\u{1b}'));
    assert!(view.checks.iter().filter(|check| check.status == Error).count() == 16);
    assert_eq!(view.checks.len() + view.checks_left_out, 128);
    assert!(view.subject.evidence.iter().all(|(key, value)| key.len() < 32 && value.len() <= 256));
    world.see("camera", monster(&world).by(Gone));
    assert!(world.verdict("camera").message.len() <= 256);
}

#[test]
fn twenty_thousand_services_fit_into_32_mib() {
    let mut world = World::new();
    for at in 0..20_000 {
        let facts = world.beat(0.0).says(|r| {
            r.current_task = Some("indexing 2024-11-03".into());
            r.checks = (0..6).map(|at| check(&format!("check-{at}"), Healthy, "all is well")).collect();
        });
        world.see(&format!("service-{at}"), facts);
    }
    assert!(world.state.size_bytes() <= 32 * 1024 * 1024, "{}", world.state.size_bytes());
}

#[test]
fn twenty_thousand_monsters_fit_into_64_mib() {
    let mut world = World::new();
    let monster = monster(&world);
    (0..20_000).for_each(|at| drop(world.see(&format!("service-{at}"), monster.clone())));
    assert!(world.state.size_bytes() <= 64 * 1024 * 1024, "{}", world.state.size_bytes());
    assert_eq!(world.snapshot().counts.error, 20_000);
}

#[test]
fn twenty_thousand_deaths_with_their_evidence_fit_into_96_mib() {
    let mut world = World::new();
    let long = "é\u{1b}[2J".repeat(150);
    let change = || Change { part: Part::Unit, path: long.clone(), at: Some(world.now.wall) };
    let dead = ServiceFacts { changes: vec![change(); 100], ..monster(&world).by(Gone) };
    (0..20_000).for_each(|at| drop(world.see(&format!("service-{at}"), dead.clone())));
    for at in 0..20_000 {
        let found = Aftermath {
            pid: PID,
            journal: vec![long.clone(); 8],
            oom: Some(long.clone()),
            exit: Some(Exit::Signal(9)),
        };
        world.observe(&format!("service-{at}"), Ok(Facts::Aftermath(Box::new(found))));
    }
    assert_eq!(world.judged("service-7"), (Error, OomKilled));
    assert!(world.state.size_bytes() <= 96 * 1024 * 1024, "{}", world.state.size_bytes());
}

#[test]
fn a_saved_state_goes_on_where_it_was() {
    let mut world = World::new().expecting("late");
    world.see("camera", world.beat(0.0).says(|r| r.checks = vec![check("queue", Error, "full")]));
    world.see("camera", torn());
    world.see("dead", world.beat(5.0).by(zombie(9)));
    world.see("script", world.plain(7.0));
    world.see("backup", world.plain(7.0).says(|r| r.state = Life::Finished));
    world.see("late", missing());
    world.fail_to_see("blind");
    let read: State = serde_json::from_str(&saved(&world.state)).unwrap();
    assert_eq!(read, world.state);
    assert_eq!(read.next_deadline(), world.state.next_deadline());
    world.state = read;
    let before = world.transitions.len();
    world.see("dead", world.beat(5.0).by(Gone));
    world.see("late", missing());
    assert_eq!(world.transitions.len(), before, "nothing is told twice");
}

#[test]
fn the_largest_numbers_are_saved_and_read_again() {
    let mut world = World::new();
    world.see(
        "camera",
        world.beat(0.0).says(|r| {
            (r.written_boottime_s, r.deadline_s, r.uptime) = (Some(f64::MAX), Some(f64::MAX), Some(f64::MAX));
            r.watched_loops =
                vec![WatchedLoop { name: "work".into(), beat_boottime_s: f64::MIN, limit_s: 1.0 }];
        }),
    );
    assert_eq!(world.judged("camera"), (Error, Hung));
    assert_eq!(serde_json::from_str::<State>(&saved(&world.state)).unwrap(), world.state);
}

#[test]
fn the_state_of_a_newer_program_is_refused() {
    let newer = saved(&State::default()).replace("\"version\":1", "\"version\":2");
    let error = serde_json::from_str::<State>(&newer).unwrap_err().to_string();
    assert!(error.contains("saved in version 2, this program knows version 1"), "{error}");
}
