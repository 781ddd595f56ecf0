//! What a monitor asks the state for: which processes to watch, and what to forget.

use crate::world::*;
use health_reporter::Status::{Error, Healthy, Unknown};
use healthcheck_core::Cause::*;
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{
    Facts, Kind, MountSight, Observation, ProbeFacts, Subject, UnitActive, UnitFacts, step,
};
use std::time::Duration;

fn unit(active: UnitActive, main_pid: u32) -> Facts {
    let (name, was_active) = ("camera.service".into(), true);
    let facts = UnitFacts { name, active, main_pid: Some(main_pid), was_active, ..UnitFacts::default() };
    Facts::Probe(ProbeFacts::Unit(Box::new(facts)))
}

#[test]
fn the_process_of_each_run_is_known_and_whether_it_ended() {
    let mut world = World::new();
    world.see("alive", world.beat(0.0));
    world.see("dead", world.beat(0.0).by(Gone));
    world.see("elsewhere", world.beat(0.0).by(elsewhere()));
    world.see("script", world.plain(0.0));
    world.see("with-unit", world.beat(0.0));
    world.observe("with-unit", Ok(unit(UnitActive::Active, 42)));
    world.observe("unit-only", Ok(unit(UnitActive::Active, 77)));
    world.observe("unit-ended", Ok(unit(UnitActive::Failed, 78)));
    let run = |run: healthcheck_core::Run<'_>| {
        let unit = run.unit.map(|unit| unit.name.clone());
        (run.subject.name.to_string(), run.pid, run.start_ticks, run.has_ended, unit)
    };
    let runs: Vec<_> = world.state.runs().map(run).collect();
    let camera = || Some("camera.service".to_owned());
    assert_eq!(
        runs,
        [
            ("alive".into(), PID, Some(TICKS), false, None),
            ("dead".into(), PID, Some(TICKS), true, None),
            ("unit-ended".into(), 78, None, true, camera()),
            ("unit-only".into(), 77, None, false, camera()),
            ("with-unit".into(), PID, Some(TICKS), false, camera()),
        ]
    );
    let has_ended = |name| world.state.has_ended(&Subject::service(name));
    assert!(has_ended("dead") && has_ended("unit-ended") && !has_ended("alive") && !has_ended("nobody"));
    world.boot(Some("boot-2"));
    world.tick();
    assert_eq!(world.state.runs().count(), 0, "those processes were of another boot");
}

impl World {
    fn mount(&mut self, name: &str, mount: MountSight) {
        let subject = Subject::new(Kind::Resource, name);
        let observation = Observation { subject, outcome: Ok(Facts::Mount(mount)), took: Duration::ZERO };
        let (state, _) = step(std::mem::take(&mut self.state), observation, &self.now, &self.policy);
        self.state = state;
    }
}

#[test]
fn f3_what_is_gone_from_the_machine_is_forgotten_and_its_badness_taken_back() {
    let mut world = World::new();
    world.mount("mount /usb", MountSight::ReadOnly);
    world.mount("mount /well", MountSight::ReadOnly);
    world.mount("mount /well", MountSight::AsExpected);
    world.mount("mount /stays", MountSight::ReadOnly);
    world.see("camera", world.beat(0.0).by(Gone));
    let is_gone = |subject: &Subject| subject.kind == Kind::Resource && &*subject.name != "mount /stays";
    let transitions = world.state.forget_gone(is_gone, &world.now);
    let told: Vec<_> = transitions.iter().map(|t| (&*t.subject.name, t.from, t.to, t.cause)).collect();
    assert_eq!(told, [("mount /usb", Error, Unknown, NotObserved)]);
    assert!(!transitions[0].reasons.is_empty());
    let left: Vec<_> = world.state.subjects(Kind::Resource).map(|it| it.name.to_string()).collect();
    assert_eq!((left, world.state.len()), (vec!["mount /stays".to_owned()], 2));
    assert_eq!(world.state.forget_gone(is_gone, &world.now), []);
}

#[test]
fn what_is_forgotten_is_not_due() {
    let mut world = World::new();
    world.see("camera", world.beat(0.0));
    assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    world.state.forget_gone(|_| true, &world.now);
    assert_eq!((world.state.next_deadline(), world.state.is_empty()), (None, true));
}
