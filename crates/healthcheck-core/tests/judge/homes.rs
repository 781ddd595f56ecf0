//! Services and their units or containers: one subject, one verdict.

use crate::world::*;
use health_reporter::State as Life;
use health_reporter::Status::{Error, Fatal, Healthy, Unknown, Warning};
use healthcheck_core::Cause::*;
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{
    ContainerFacts, ContainerHealth, ContainerState, Exit, Facts, ProbeError, ProbeFacts, ProbeKind,
    ServicePolicy, Transition, UnitActive, UnitFacts, UnitLoad,
};
use std::time::Duration;

fn unit(active: UnitActive, sub: &str) -> UnitFacts {
    UnitFacts {
        name: "camera.service".into(),
        active,
        sub: sub.into(),
        result: "success".into(),
        was_active: true,
        main_pid: Some(u32::try_from(PID).unwrap()),
        since: Some(Duration::from_secs(5)),
        ..UnitFacts::default()
    }
}

fn failed(result: &str, exit: Exit) -> UnitFacts {
    UnitFacts { result: result.into(), exit: Some(exit), ..unit(UnitActive::Failed, "failed") }
}

fn container(state: ContainerState, exit_code: i64) -> ContainerFacts {
    let since = Some(Duration::from_secs(5));
    ContainerFacts { name: "factory_postgres".into(), state, exit_code, since, ..ContainerFacts::default() }
}

impl World {
    fn see_unit(&mut self, name: &str, unit: UnitFacts) -> Vec<Transition> {
        self.observe(name, Ok(Facts::Probe(ProbeFacts::Unit(Box::new(unit)))))
    }

    fn see_container(&mut self, name: &str, container: ContainerFacts) -> Vec<Transition> {
        self.observe(name, Ok(Facts::Probe(ProbeFacts::Container(Box::new(container)))))
    }

    /// Expects it by configuration, which says where it runs.
    fn with_home(mut self, name: &str) -> Self {
        let looked_at_from_outside = true;
        let settings = ServicePolicy { looked_at_from_outside, ..ServicePolicy::default() };
        self.policy.services.insert(name.into(), settings);
        self
    }
}

#[test]
fn a_unit_alone_is_judged_by_its_life() {
    let never = UnitFacts { was_active: false, ..unit(UnitActive::Inactive, "dead") };
    let not_found = UnitFacts { load: UnitLoad::NotFound, ..never.clone() };
    let gave_up = UnitFacts {
        is_restarted: true,
        restarts: 5,
        last_run: Some(Duration::from_millis(20)),
        ..failed("exit-code", Exit::Code(1))
    };
    // Restarted once in its long life, and stopped by hand with an error in the end.
    let stopped_badly =
        UnitFacts { restarts: 1, last_run: Some(Duration::from_secs(86_400)), ..gave_up.clone() };
    for (unit, status, cause) in [
        (unit(UnitActive::Active, "running"), Healthy, SelfReported),
        (unit(UnitActive::Active, "exited"), Healthy, SelfReported),
        (unit(UnitActive::Activating, "start"), Healthy, SelfReported),
        (unit(UnitActive::Inactive, "dead"), Healthy, Stopped),
        (failed("exit-code", Exit::Code(3)), Error, Crashed),
        (failed("signal", Exit::Signal(11)), Error, Crashed),
        (failed("watchdog", Exit::Signal(6)), Error, Crashed),
        (failed("oom-kill", Exit::Signal(9)), Error, OomKilled),
        (failed("start-limit-hit", Exit::Code(1)), Fatal, CrashLooping),
        (gave_up, Fatal, CrashLooping),
        (stopped_badly, Error, Crashed),
        (unit(UnitActive::Activating, "auto-restart"), Fatal, CrashLooping),
        (UnitFacts { restarts: 3, ..unit(UnitActive::Active, "running") }, Fatal, CrashLooping),
        (UnitFacts { restarts: 3, ..unit(UnitActive::Activating, "start") }, Fatal, CrashLooping),
        (old(UnitFacts { restarts: 9, ..unit(UnitActive::Active, "running") }), Healthy, SelfReported),
        (UnitFacts { is_oneshot: true, ..unit(UnitActive::Inactive, "dead") }, Healthy, Finished),
        (never, Error, NeverStarted),
        (not_found, Error, NeverStarted),
    ] {
        let mut world = World::once().with_home("camera");
        world.see("camera", missing());
        world.see_unit("camera", unit.clone());
        assert_eq!(world.judged("camera"), (status, cause), "{unit:?}");
        assert_eq!(world.verdict("camera").evidence.get("unit"), Some("camera.service"));
        assert_ne!(world.verdict("camera").reasons, Vec::<String>::new(), "{unit:?}");
    }
}

#[test]
fn a_report_and_its_unit_are_one_subject_with_one_verdict() {
    let w = World::new();
    let (alive, gone) = (w.beat(30.0 - 1.0), w.beat(10.0).by(Gone));
    let bye = |life| w.beat(10.0).by(Gone).says(|r| r.state = life);
    let running = || unit(UnitActive::Active, "running");
    let stopped = || unit(UnitActive::Inactive, "dead");
    let broken = || failed("exit-code", Exit::Code(3));
    for (what, report, unit, status, cause) in [
        ("both are well", alive.clone(), running(), Healthy, SelfReported),
        ("killed with its unit", gone.clone(), failed("signal", Exit::Signal(9)), Error, Crashed),
        ("out of memory", gone.clone(), failed("oom-kill", Exit::Signal(9)), Error, OomKilled),
        ("stopped without a goodbye, in success", gone.clone(), stopped(), Healthy, Stopped),
        ("said goodbye", bye(Life::Stopped), stopped(), Healthy, Stopped),
        ("said goodbye, and ended in an error", bye(Life::Stopped), broken(), Error, Crashed),
        ("its job is done", bye(Life::Finished), stopped(), Healthy, Finished),
        ("already restarted, not yet reporting", gone, running(), Error, Crashed),
        ("dead before, now started by hand", alive.clone(), old(broken()), Healthy, SelfReported),
        (
            "not there, but it reports",
            alive,
            UnitFacts { load: UnitLoad::NotFound, ..stopped() },
            Healthy,
            SelfReported,
        ),
    ] {
        let mut world = World::new().expecting("camera");
        world.see("camera", report);
        world.see_unit("camera", unit);
        assert_eq!(world.judged("camera"), (status, cause), "{what}");
        assert_eq!(world.snapshot().services.len(), 1, "{what}");
    }
}

fn old(unit: UnitFacts) -> UnitFacts {
    UnitFacts { since: Some(Duration::from_secs(3_600)), ..unit }
}

#[test]
fn systemd_knows_how_the_process_ended() {
    let mut world = World::new();
    world.see("camera", world.beat(10.0).by(Gone));
    assert!(world.verdict("camera").message.starts_with("died, exit unknown"));
    world.see_unit("camera", failed("signal", Exit::Signal(9)));
    let verdict = world.verdict("camera");
    assert!(verdict.message.starts_with("crashed (signal 9), last beat 10 s ago"), "{}", verdict.message);
    assert_eq!(verdict.evidence.get("exit"), Some("signal 9"));
    assert_eq!(verdict.evidence.get("unit_state"), Some("failed (failed)"));
}

#[test]
fn a_job_that_is_overdue_is_not_excused_by_its_stopped_unit() {
    let mut world = World::new().expecting("backup");
    world.see("backup", world.plain(HOUR).says(|r| (r.state, r.deadline_s) = (Life::Finished, Some(60.0))));
    world.see_unit("backup", unit(UnitActive::Inactive, "dead"));
    assert_eq!(world.judged("backup"), (Error, Overdue));
}

#[test]
fn f14_a_crash_loop_is_told_from_a_stop_and_counted_by_differences() {
    let mut world = World::new().with_home("camera");
    let running = |restarts| UnitFacts { restarts, ..unit(UnitActive::Active, "running") };
    let waiting = |restarts| UnitFacts { restarts, ..unit(UnitActive::Activating, "auto-restart") };
    world.see_unit("camera", running(500));
    assert_eq!(world.judged("camera"), (Healthy, SelfReported), "those restarts are old");
    world.see_unit("camera", waiting(500));
    assert_eq!(world.judged("camera"), (Error, Crashed), "one crash is no loop");
    for restarts in 501..503 {
        world.pass(10.0);
        world.see_unit("camera", running(restarts));
        assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    }
    world.pass(10.0);
    world.see_unit("camera", running(503));
    assert_eq!(world.judged("camera"), (Fatal, CrashLooping));
    let left = world.deadline("camera").unwrap();
    assert_eq!(left, 580.0, "ten minutes from the first of the three");
    world.wait("camera", left);
    assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    world.see_unit("camera", running(0));
    assert_eq!(world.judged("camera"), (Healthy, SelfReported), "a counter that was set back");
}

#[test]
fn f14_a_stop_ends_a_crash_loop() {
    let mut world = World::new().with_home("camera");
    for restarts in [0, 3] {
        world.see_unit("camera", UnitFacts { restarts, ..unit(UnitActive::Active, "running") });
    }
    assert_eq!(world.judged("camera"), (Fatal, CrashLooping));
    world.see_unit("camera", UnitFacts { restarts: 3, ..unit(UnitActive::Inactive, "dead") });
    assert_eq!(world.judged("camera"), (Healthy, Stopped));
}

#[test]
fn a_goodbye_of_an_earlier_run_excuses_nothing() {
    let up = |seconds: f64| UnitFacts {
        since: Some(Duration::from_secs_f64(seconds)),
        main_pid: Some(77),
        ..unit(UnitActive::Active, "running")
    };
    let mut world = World::new().with_home("camera");
    let goodbye = |world: &World, age| {
        world.beat(age).by(Gone).says(|r| {
            (r.state, r.deadline_s) = (Life::Stopped, Some(30.0));
        })
    };
    world.see("camera", goodbye(&world, 20.0));
    world.see_unit("camera", up(60.0));
    assert_eq!(world.judged("camera"), (Healthy, Stopped), "it said goodbye, and its unit is about to end");
    world.see_unit("camera", up(10.0));
    assert_eq!(world.judged("camera"), (Healthy, SelfReported), "started again");
    let left = world.deadline("camera").unwrap();
    assert_eq!(left, 20.0);
    let refused = ProbeFacts::Tcp(healthcheck_core::Connection {
        address: "a:1".into(),
        outcome: Err(healthcheck_core::Unanswered::Refused),
    });
    world.observe("camera", Ok(Facts::Probe(refused.clone())));
    assert_eq!(world.judged("camera"), (Error, ProbeFailed), "and is looked at again");
    world.wait("camera", left);
    assert_eq!(world.judged("camera"), (Error, Hung), "it had its time for a first report");
    world.see("camera", world.beat(0.0));
    assert_eq!(world.judged("camera"), (Error, ProbeFailed));
}

#[test]
fn a_job_of_a_timer_is_done_and_not_stopped() {
    let done = || UnitFacts { is_oneshot: true, ..unit(UnitActive::Inactive, "dead") };
    let mut world = World::new().with_home("backup");
    world.see_unit("backup", done());
    world.wait("backup", DAY);
    assert_eq!(world.judged("backup"), (Healthy, Finished));
    world.see("backup", world.plain(300.0));
    world.see_unit("backup", done());
    assert_eq!(world.judged("backup"), (Error, Overdue), "its own deadline counts");
}

#[test]
fn a_suspended_machine_excuses_no_crash() {
    let hours = |hours: f64| Duration::from_secs_f64(hours * HOUR);
    let mut world = World::new().expecting("camera");
    world.now.boottime = hours(20.0);
    // It stopped well before the suspend, was started by hand, and crashed: systemd's clock stood still meanwhile.
    world.see("camera", world.beat(8.0 * HOUR).by(Gone));
    let stopped = UnitFacts {
        since: Some(hours(0.1)),
        suspended: hours(8.0),
        main_pid: Some(77),
        ..unit(UnitActive::Inactive, "dead")
    };
    world.see_unit("camera", stopped);
    assert_eq!(world.judged("camera"), (Error, Crashed));
}

#[test]
fn the_end_of_grace_is_not_forgotten() {
    let mut world = World::new().expecting("camera");
    world.now.boottime = Duration::from_secs(10);
    world.see("camera", missing());
    world.see_unit("camera", unit(UnitActive::Active, "running"));
    assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    let left = world.deadline("camera").unwrap();
    world.wait("camera", left);
    assert_eq!(world.judged("camera"), (Error, NeverStarted));
}

#[test]
fn a_stop_that_was_not_taken_back_is_a_warning_in_the_end() {
    let mut world = World::new().with_home("camera");
    world.see_unit("camera", unit(UnitActive::Inactive, "dead"));
    assert_eq!(world.judged("camera"), (Healthy, Stopped));
    let left = world.deadline("camera").unwrap();
    assert_eq!(left, HOUR - 5.0);
    world.wait("camera", left);
    assert_eq!(world.judged("camera"), (Warning, Stopped));
}

#[test]
fn f7_without_systemd_nothing_is_bad_because_of_that() {
    let nobody = UnitFacts { load: UnitLoad::NoSystemd, ..UnitFacts::default() };
    let mut world = World::once().with_home("camera").with_home("silent");
    world.see("camera", world.beat(1.0));
    world.see_unit("camera", nobody.clone());
    assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    world.see("silent", missing());
    world.see_unit("silent", nobody);
    assert_eq!(world.judged("silent"), (Unknown, ProbeUnavailable));
}

#[test]
fn a_bus_that_does_not_answer_leaves_the_report_its_word() {
    let blind = || Err(ProbeError::of(ProbeKind::Unit, "the bus does not answer"));
    let mut world = World::new().with_home("camera").with_home("silent");
    world.see("camera", world.beat(0.0));
    world.observe("camera", blind());
    assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    world.observe("silent", blind());
    assert_eq!(world.judged("silent"), (Unknown, ProbeUnavailable));
    world.wait("silent", 301.0);
    assert_eq!(world.judged("silent"), (Error, ProbeUnavailable));
}

#[test]
fn a_container_is_judged_by_its_life() {
    let healthy = |health| ContainerFacts { health: Some(health), ..container(ContainerState::Running, 0) };
    let oom = ContainerFacts { oom_killed: true, ..container(ContainerState::Exited, 137) };
    for (container, status, cause) in [
        (container(ContainerState::Running, 0), Healthy, SelfReported),
        (healthy(ContainerHealth::Healthy), Healthy, SelfReported),
        (healthy(ContainerHealth::Starting), Healthy, SelfReported),
        (healthy(ContainerHealth::Unhealthy), Error, ProbeFailed),
        (container(ContainerState::Paused, 0), Error, ProbeFailed),
        (container(ContainerState::Exited, 0), Healthy, Stopped),
        (container(ContainerState::Exited, 1), Error, Crashed),
        (oom, Error, OomKilled),
        (container(ContainerState::Restarting, 1), Fatal, CrashLooping),
        (container(ContainerState::Created, 0), Error, NeverStarted),
        (container(ContainerState::Absent, 0), Error, NeverStarted),
    ] {
        let mut world = World::once().with_home("factory-db");
        world.see("factory-db", missing());
        world.see_container("factory-db", container.clone());
        assert_eq!(world.judged("factory-db"), (status, cause), "{container:?}");
    }
}

#[test]
fn a_strangers_report_makes_no_dead_unit_healthy() {
    let owned = |unit| UnitFacts { owner_uid: Some(UID + 1), ..unit };
    for life in [Life::Running, Life::Stopped, Life::Finished] {
        for (unit, status, cause) in [
            (old(failed("exit-code", Exit::Code(7))), Error, Crashed),
            (old(unit(UnitActive::Inactive, "dead")), Warning, Stopped),
            (unit(UnitActive::Active, "running"), Unknown, NotPermitted),
        ] {
            let mut world = World::once().with_home("victim");
            world.see("victim", world.plain(1.0).says(|r| r.state = life));
            world.see_unit("victim", owned(unit.clone()));
            assert_eq!(world.judged("victim"), (status, cause), "{life:?} {unit:?}");
        }
    }
}

#[test]
fn a_report_of_another_user_than_the_unit_is_refused() {
    let owned = |uid| UnitFacts { owner_uid: Some(uid), ..unit(UnitActive::Active, "running") };
    let mut world = World::new().expecting("camera");
    world.see("camera", world.plain(1.0));
    world.see_unit("camera", owned(UID));
    assert_eq!(world.judged("camera"), (Healthy, SelfReported));
    world.see_unit("camera", owned(UID + 1));
    assert_eq!(world.judged("camera"), (Unknown, NotPermitted));
    world.wait("camera", 301.0);
    assert_eq!(world.judged("camera"), (Error, NotPermitted), "expected, and unknown for too long");
    world.see("camera", world.plain(1.0).change(|file| file.owner_uid = 0));
    assert_eq!(world.judged("camera"), (Healthy, SelfReported), "root may write for anybody");
}
