//! Who started again what had ended, and how often anything changes.

use crate::world::*;
use health_reporter::State as Life;
use health_reporter::Status::{Error, Fatal, Healthy, Warning};
use healthcheck_core::Cause::*;
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{
    ContainerFacts, ContainerState, Exit, Facts, ProbeFacts, Subject, Transition, UnitActive, UnitFacts,
};

fn unit(active: UnitActive, sub: &str, main_pid: u32) -> UnitFacts {
    UnitFacts {
        name: "camera.service".into(),
        active,
        sub: sub.into(),
        was_active: true,
        is_restarted: true,
        main_pid: Some(main_pid),
        ..UnitFacts::default()
    }
}

fn running(main_pid: u32, restarts: u64) -> UnitFacts {
    UnitFacts { restarts, ..unit(UnitActive::Active, "running", main_pid) }
}

fn failed(main_pid: u32) -> UnitFacts {
    let exit = Some(Exit::Signal(11));
    UnitFacts { result: "signal".into(), exit, ..unit(UnitActive::Failed, "failed", main_pid) }
}

impl World {
    fn ask(&mut self, unit: UnitFacts) -> Vec<Transition> {
        self.observe("camera", Ok(Facts::Probe(ProbeFacts::Unit(Box::new(unit)))))
    }

    /// Starts as 1, dies, and comes back as 2 after `between`.
    fn crashes_and_returns(&mut self, between: impl FnOnce(&mut Self)) -> Transition {
        let run = self.run(1);
        self.see("camera", run.clone());
        self.ask(running(1, 0));
        self.pass(1.0);
        assert_eq!(self.see("camera", run.by(Gone))[0].cause, Crashed);
        between(self);
        self.pass(1.0);
        self.see("camera", self.run(2)).remove(0)
    }
}

fn says(transition: &Transition, words: &str) -> bool {
    transition.reasons.iter().any(|reason| reason == words)
}

const SUPERVISOR: &str = "its supervisor started it again";
const SOMEBODY: &str = "it was started again";

#[test]
fn a_segfault_that_systemd_restarted_is_healed_by_its_supervisor() {
    for unseen in [false, true] {
        let mut world = World::new();
        let back = world.crashes_and_returns(|world| {
            if !unseen {
                let result = "signal".into();
                world.ask(UnitFacts { result, ..unit(UnitActive::Activating, "auto-restart", 1) });
                world.pass(0.1);
                world.ask(running(2, 1));
            }
        });
        assert_eq!((back.from, back.to, back.cause), (Error, Healthy, SelfReported));
        assert!(back.is_healed_by_supervisor && says(&back, SUPERVISOR), "{:?}", back.reasons);
        assert!(!world.transitions[0].is_healed_by_supervisor, "a first sight is no return");
    }
}

#[test]
fn what_systemd_does_not_start_was_started_by_somebody() {
    let once = |unit: UnitFacts| UnitFacts { is_restarted: false, ..unit };
    let mut world = World::new();
    let back = world.crashes_and_returns(|world| {
        world.ask(once(failed(1)));
        world.ask(once(running(2, 0)));
    });
    assert!(!back.is_healed_by_supervisor && says(&back, SOMEBODY), "{:?}", back.reasons);
    let mut world = World::new();
    let back = world.crashes_and_returns(|world| {
        world.ask(failed(1));
        world.ask(running(2, 0));
    });
    assert!(!back.is_healed_by_supervisor && says(&back, SOMEBODY), "systemd had given it up");
}

#[test]
fn a_return_is_told_whatever_it_says_then() {
    let mut world = World::new();
    let run = world.run(1);
    world.see("camera", run.clone());
    world.see("camera", run.clone().by(Gone));
    world.pass(1.0);
    let back = world.see("camera", world.run(2).says(|r| r.overall_status = Warning)).remove(0);
    assert!(back.to == Warning && says(&back, SOMEBODY));
    // A run that said something else and now says this was never down.
    let well = world.see("camera", world.run(2)).remove(0);
    assert!(!says(&well, SOMEBODY) && !well.is_healed_by_supervisor);
    // Its report came later than the look at its process, but it is the same run.
    let mut world = World::new();
    world.see("camera", run.clone().by(Gone));
    let back = world.see("camera", run).remove(0);
    assert!(!says(&back, SOMEBODY));
}

#[test]
fn a_unit_without_a_report_and_a_container_are_healed_too() {
    let mut world = World::new();
    world.ask(running(1, 0));
    let result = "signal".into();
    world.ask(UnitFacts { result, ..unit(UnitActive::Activating, "auto-restart", 1) });
    assert_eq!(world.judged("camera"), (Error, Crashed));
    let back = world.ask(running(2, 1)).remove(0);
    assert!(back.is_healed_by_supervisor && says(&back, SUPERVISOR));

    let mut world = World::new();
    let container = |state, restarts| {
        let facts = ContainerFacts { state, restarts, exit_code: 1, ..ContainerFacts::default() };
        Ok(Facts::Probe(ProbeFacts::Container(Box::new(facts))))
    };
    world.observe("db", container(ContainerState::Running, 0));
    world.observe("db", container(ContainerState::Restarting, 0));
    world.pass(3.0);
    let back = world.observe("db", container(ContainerState::Running, 1)).remove(0);
    assert!(back.is_healed_by_supervisor);
    world.observe("db", container(ContainerState::Exited, 1));
    world.pass(30.0);
    let back = world.observe("db", container(ContainerState::Running, 1)).remove(0);
    assert!(!back.is_healed_by_supervisor, "{:?}", back.reasons);
}

#[test]
fn the_end_of_a_crash_loop_under_a_supervisor_is_its_doing() {
    let mut world = World::new();
    world.see("camera", world.run(1));
    world.ask(running(1, 0));
    world.pass(1.0);
    world.see("camera", world.run(2));
    world.ask(running(2, 3));
    assert_eq!(world.judged("camera"), (Fatal, CrashLooping));
    world.pass(599.0);
    let run = world.run(2).says(|r| r.pid_start_ticks = Some(1_000_100));
    let seen = healthcheck_core::ProcessSight::Seen(healthcheck_core::ProcessFacts {
        start_ticks: 1_000_100,
        ..process(healthcheck_core::ProcessState::Sleeping)
    });
    world.see("camera", run.by(seen));
    let back = world.wait("camera", 1.0).remove(0);
    assert_eq!((back.from, back.to), (Fatal, Healthy));
    assert!(back.is_healed_by_supervisor);
}

#[test]
fn who_fell_is_remembered_over_a_restart_of_the_judge_and_not_over_a_boot() {
    let back = World::new().crashes_and_returns(|world| assert!(world.restart().is_none()));
    assert!(back.is_healed_by_supervisor);
    let mut world = World::new();
    let back = world.crashes_and_returns(|world| world.boot(Some("boot-2")));
    assert!(!back.is_healed_by_supervisor && !says(&back, SOMEBODY), "{:?}", back.reasons);
}

#[test]
fn a_unit_on_its_way_to_a_restart_has_not_been_given_up() {
    let mut world = World::new();
    let passing = UnitFacts {
        restarts: 1,
        last_run: Some(std::time::Duration::from_secs(1)),
        sub: "failed-before-auto-restart".into(),
        ..failed(1)
    };
    world.ask(passing);
    assert_eq!(world.judged("camera"), (Error, Crashed));
}

fn toggles(world: &mut World, times: usize, gap: f64) -> Vec<bool> {
    (0..times)
        .flat_map(|at| {
            world.pass(gap);
            let status = [Healthy, Error][at % 2];
            world.see("camera", world.beat(0.0).says(|r| r.overall_status = status))
        })
        .map(|transition| transition.is_flapping)
        .collect()
}

#[test]
fn six_changes_in_ten_minutes_are_flapping() {
    let mut world = World::new();
    let camera = Subject::service("camera");
    assert_eq!(toggles(&mut world, 8, 60.0), [false, false, false, false, false, true, true, true]);
    assert!(world.state.is_flapping(&camera, &world.now));
    assert!(world.view("camera").subject.is_flapping);
    world.restart();
    assert!(world.state.is_flapping(&camera, &world.now), "it survives a restart");
    world.pass(299.0);
    assert!(world.state.is_flapping(&camera, &world.now));
    world.pass(1.0);
    assert!(!world.state.is_flapping(&camera, &world.now), "ten minutes after the first of the six");
    assert_eq!(toggles(&mut World::new(), 30, 121.0).iter().filter(|flaps| **flaps).count(), 0);
}

#[test]
fn a_boot_is_a_new_beginning_also_of_flapping() {
    let mut world = World::new();
    toggles(&mut world, 8, 1.0);
    world.boot(Some("boot-2"));
    world.tick();
    assert!(!world.state.is_flapping(&Subject::service("camera"), &world.now));
    world.see("camera", world.beat(0.0).by(Gone).says(|r| r.state = Life::Stopped));
    assert!(!world.transitions.last().unwrap().is_flapping);
}
