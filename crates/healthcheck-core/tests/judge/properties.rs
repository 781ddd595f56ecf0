//! What holds over any sequence of observations.

use crate::world::*;
use health_reporter::read::ReadError;
use health_reporter::{State as Life, Status};
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{FileSystem, Priority, ServiceFacts, Subject, Transition};
use std::collections::BTreeMap;

const NAMES: [&str; 4] = ["camera", "camera@2", "backup", "stranger"];
const STATUSES: [Status; 5] =
    [Status::Healthy, Status::Unknown, Status::Warning, Status::Error, Status::Fatal];
const LIVES: [Life; 5] = [Life::Starting, Life::Running, Life::Stopping, Life::Stopped, Life::Finished];

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[usize::try_from(random.below(from.len() as u64)).unwrap()]
}

fn any_facts(random: &mut Random, world: &World) -> ServiceFacts {
    let age = f64::from(u32::try_from(random.below(200)).unwrap());
    let facts = match random.below(6) {
        0 => return missing(),
        1 => return torn(),
        2 => return unusable(ReadError::NewerVersion(2.0), Some(world.wall_ago(age))),
        3 => world.plain(age),
        _ => world.beat(age),
    };
    let (status, life) = (pick(random, &STATUSES), pick(random, &LIVES));
    let facts = facts.says(|r| {
        (r.overall_status, r.state) = (status, life);
        r.depends_on = vec!["backup".into()];
    });
    let process = match random.below(4) {
        0 => Gone,
        1 => zombie(9),
        2 => elsewhere(),
        _ => alive(),
    };
    facts.by(process).on(pick(random, &[FileSystem::Free, FileSystem::Full]))
}

fn any_world(random: &mut Random) -> World {
    let mut world = World::new().expecting("camera").expecting("backup");
    world.policy.services.get_mut("backup").unwrap().priority =
        pick(random, &[Priority::Critical, Priority::Optional]);
    world.now.boottime = std::time::Duration::from_secs(random.below(400));
    world
}

fn one_thing_happens(random: &mut Random, world: &mut World) -> (&'static str, Vec<Transition>) {
    let name = pick(random, &NAMES);
    world.pass(f64::from(u32::try_from(random.below(90)).unwrap()));
    let transitions = match random.below(12) {
        0 => world.fail_to_see(name),
        1..4 => world.wait(name, 1.0),
        4 if random.below(10) == 0 => {
            world.boot(Some(pick(random, &["boot-1", "boot-2", "boot-3"])));
            Vec::new()
        }
        5 => {
            world.set_clock(i64::try_from(random.below(7_200)).unwrap() - 3_600);
            Vec::new()
        }
        _ => world.see(name, any_facts(random, world)),
    };
    (name, transitions)
}

#[test]
fn transitions_chain_and_each_one_changes_something() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut world = any_world(&mut random);
        let mut held: BTreeMap<Subject, (Status, healthcheck_core::Cause)> = BTreeMap::new();
        for _ in 0..60 {
            let (_, transitions) = one_thing_happens(&mut random, &mut world);
            for t in transitions {
                let former = held.insert(t.subject.clone(), (t.to, t.cause));
                assert_eq!(t.from, former.map_or(Status::Unknown, |(status, _)| status), "seed {seed}");
                assert_ne!(former, Some((t.to, t.cause)), "seed {seed}");
                assert!(t.message.len() <= 256, "seed {seed}");
            }
            held.retain(|subject, _| world.state.verdict(subject).is_some());
            for (subject, judged) in &held {
                assert_eq!(
                    *judged,
                    world.judged(&subject.name),
                    "seed {seed}: the chain ends at the verdict"
                );
            }
            assert_eq!(held.len(), world.state.len(), "seed {seed}");
        }
    }
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    for seed in 0..50 {
        let run = || {
            let mut random = Random(seed);
            let mut world = any_world(&mut random);
            (0..80).for_each(|_| drop(one_thing_happens(&mut random, &mut world)));
            (world.snapshot(), world.transitions, world.state)
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}

#[test]
fn looking_twice_at_the_same_says_nothing_new() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let mut world = any_world(&mut random);
        (0..10).for_each(|_| drop(one_thing_happens(&mut random, &mut world)));
        let (name, facts) = (pick(&mut random, &NAMES), any_facts(&mut random, &world));
        world.see(name, facts.clone());
        let snapshot = world.snapshot();
        assert_eq!(world.see(name, facts), [], "seed {seed}");
        assert_eq!(world.snapshot(), snapshot, "seed {seed}");
    }
}

#[test]
fn time_changes_a_verdict_at_its_deadline_and_never_before() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let mut world = any_world(&mut random);
        (0..10).for_each(|_| drop(one_thing_happens(&mut random, &mut world)));
        let name = pick(&mut random, &NAMES);
        let facts = any_facts(&mut random, &world);
        world.see(name, facts);
        let of_it =
            |transitions: Vec<Transition>| transitions.iter().filter(|t| &*t.subject.name == name).count();
        match world.deadline(name) {
            Some(left) => {
                assert!(left > 0.0, "seed {seed}: {left}");
                assert_eq!(of_it(world.wait(name, left * 0.99)), 0, "seed {seed}");
            }
            None => assert_eq!(of_it(world.wait(name, 400.0 * DAY)), 0, "seed {seed}"),
        }
    }
}

#[test]
fn a_look_without_a_former_one_agrees_with_the_fold() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let mut world = World::new().expecting("camera");
        let facts = world.beat(f64::from(u32::try_from(random.below(200)).unwrap()));
        let (status, life) = (pick(&mut random, &STATUSES), pick(&mut random, &LIVES));
        let facts =
            facts.says(|r| (r.overall_status, r.state) = (status, life)).by(pick_process(&mut random));
        world.see("camera", facts.clone().says(|r| r.written_boottime_s = Some(9_000.0)).by(alive()));
        world.see("camera", facts.clone());
        let mut fresh = World::new().expecting("camera");
        fresh.see("camera", facts);
        assert_eq!(world.judged("camera"), fresh.judged("camera"), "seed {seed}");
    }
}

fn pick_process(random: &mut Random) -> healthcheck_core::ProcessSight {
    if random.below(2) == 0 { Gone } else { alive() }
}
