//! The evidence at death that arrives when the death was judged already.

use crate::world::{Change as _, *};
use health_reporter::State as Life;
use health_reporter::Status::{Error, Healthy};
use healthcheck_core::Cause::*;
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{
    Aftermath, Change, Exit, Facts, Part, ProbeFacts, ServiceFacts, Transition, UnitActive, UnitFacts,
};

fn found(pid: u64) -> Aftermath {
    Aftermath { pid, journal: Vec::new(), oom: None, exit: None }
}

fn wrote(pid: u64, lines: &[&str]) -> Aftermath {
    Aftermath { journal: lines.iter().map(|line| (*line).to_owned()).collect(), ..found(pid) }
}

impl World {
    fn find_out(&mut self, found: Aftermath) -> Vec<Transition> {
        self.observe("camera", Ok(Facts::Aftermath(Box::new(found))))
    }

    fn proof(&self, key: &str) -> Option<&str> {
        self.verdict("camera").evidence.get(key)
    }

    /// A change of a file so many seconds ago.
    fn changed(&self, part: Part, path: &str, ago: f64) -> Change {
        Change { part, path: path.into(), at: Some(self.wall_ago(ago)) }
    }

    /// Died now; its run began 40 s ago.
    fn dies_of(&mut self, version: &str, changes: Vec<Change>) -> String {
        let ticks = u64::try_from(self.now.boottime.as_millis() / 10).unwrap() - 4_000;
        let run = self.run(PID).says(|r| {
            (r.pid_start_ticks, r.service_version, r.uptime) =
                (Some(ticks), Some(version.into()), Some(40.0));
        });
        let seen = healthcheck_core::ProcessSight::Seen(healthcheck_core::ProcessFacts {
            start_ticks: ticks,
            ..process(healthcheck_core::ProcessState::Sleeping)
        });
        self.see("camera", run.clone().by(seen));
        self.see("camera", ServiceFacts { changes, ..run.by(Gone) });
        self.verdict("camera").message.clone()
    }
}

fn dead() -> World {
    let mut world = World::new();
    world.see("camera", world.beat(1.0));
    world.see("camera", world.beat(1.0).by(Gone));
    assert_eq!(world.judged("camera"), (Error, Crashed));
    world
}

#[test]
fn the_last_lines_of_the_journal_are_evidence_without_a_transition() {
    let mut world = dead();
    let since = world.verdict("camera").since;
    world.pass(0.2);
    assert_eq!(
        world.find_out(wrote(PID, &["opening /dev/video0", "get http://u:secret@h/x\n", "no memory"])),
        []
    );
    assert_eq!(world.proof("journal_1"), Some("opening /dev/video0"));
    assert_eq!(world.proof("journal_2"), Some("get http://***@h/x "));
    assert_eq!(world.proof("journal_3"), Some("no memory"));
    assert_eq!((world.verdict("camera").since, world.proof("journal_4")), (since, None));
    // They stay at each look after it, also of another monitor.
    world.restart();
    world.see("camera", world.beat(1.2).by(Gone));
    assert_eq!(world.proof("journal_3"), Some("no memory"));
    assert_eq!(world.view("camera").subject.evidence.get("journal_3"), Some("no memory"));
}

#[test]
fn only_a_few_short_lines_are_kept_and_the_last_ones() {
    let mut world = dead();
    let lines: Vec<_> = (0..100).map(|at| format!("{at} {}", "é".repeat(4_000))).collect();
    world.find_out(Aftermath { journal: lines, ..found(PID) });
    assert!(world.proof("journal_8").unwrap().starts_with("99 é"));
    let evidence = &world.verdict("camera").evidence;
    assert!(evidence.iter().all(|(_, value)| value.len() <= 256) && evidence.iter().count() < 16);
}

#[test]
fn the_kernels_word_makes_it_out_of_memory() {
    let mut world = dead();
    let oom = Some("Out of memory: Killed process 42 (camera)".to_owned());
    let transitions = world.find_out(Aftermath { oom: oom.clone(), ..found(PID) });
    assert_eq!((transitions[0].from, transitions[0].to, transitions[0].cause), (Error, Error, OomKilled));
    assert!(world.verdict("camera").message.starts_with("killed, out of memory"));
    assert_eq!(world.proof("oom"), oom.as_deref());
    // Whoever ended by itself was not killed.
    let mut world = dead();
    assert_eq!(world.find_out(Aftermath { exit: Some(Exit::Code(3)), oom, ..found(PID) }), []);
    assert_eq!(world.judged("camera"), (Error, Crashed));
}

#[test]
fn how_it_ended_is_told_when_it_is_known() {
    let mut world = dead();
    assert!(world.verdict("camera").message.starts_with("died, exit unknown"));
    assert_eq!(world.find_out(Aftermath { exit: Some(Exit::Signal(11)), ..found(PID) }), []);
    assert!(world.verdict("camera").message.starts_with("crashed (signal 11), last beat"));
    assert_eq!(world.proof("exit"), Some("signal 11"));
    // What was seen is not replaced by what somebody wrote down.
    let mut world = World::new();
    world.see("camera", world.beat(1.0).by(zombie(9)));
    world.find_out(Aftermath { exit: Some(Exit::Code(1)), ..found(PID) });
    assert_eq!(world.proof("exit"), Some("signal 9"));
}

#[test]
fn what_was_found_out_of_another_run_is_ignored() {
    let mut world = World::new();
    assert_eq!(world.find_out(wrote(PID, &["nobody"])), [], "nobody knows it");
    assert!(world.state.is_empty());
    let mut world = dead();
    world.find_out(wrote(7, &["another"]));
    assert_eq!(world.proof("journal_1"), None);
    world.find_out(wrote(PID, &["the last words"]));
    world.pass(1.0);
    world.see("camera", world.run(43));
    assert_eq!(world.find_out(wrote(PID, &["too late"])), []);
    assert_eq!(world.find_out(wrote(43, &["it lives"])), []);
    assert_eq!((world.judged("camera"), world.proof("journal_1")), ((Healthy, SelfReported), None));
    world.see("camera", world.run(43).by(Gone));
    assert_eq!(world.proof("journal_1"), None, "each run has its own last words");
    // Nor is one that was not looked at in this boot.
    world.boot(Some("boot-2"));
    assert_eq!(world.find_out(wrote(43, &["before the boot"])), []);
    assert_eq!(world.judged("camera"), (Error, Crashed));
}

#[test]
fn a_death_after_an_upgrade_names_the_upgrade() {
    let mut world = World::new();
    world.see("camera", world.run(7).says(|r| r.service_version = Some("1.4.2".into())));
    world.pass(100.0);
    let changes = vec![
        world.changed(Part::Configuration, "/etc/camera.toml", 300.0),
        world.changed(Part::Executable, "/usr/bin/camera", 45.0),
    ];
    let message = world.dies_of("1.5.0", changes);
    let wanted = "died 45 s after its executable was replaced, 1.4.2 → 1.5.0, exit unknown, last beat";
    assert!(message.starts_with(wanted), "{message}");
    assert_eq!(
        world.proof("changed"),
        Some(
            "executable /usr/bin/camera replaced 45 s before, 1.4.2 → 1.5.0; \
             configuration /etc/camera.toml changed 5 min before"
        )
    );
    // The words stay, whatever the wall clock does and whoever looks.
    world.pass(60.0);
    world.set_clock(-7_200);
    world.restart();
    world.find_out(wrote(PID, &["bye"]));
    assert!(world.verdict("camera").message.starts_with(wanted));
    world.find_out(Aftermath { exit: Some(Exit::Signal(11)), ..found(PID) });
    let message = &world.verdict("camera").message;
    assert!(message.starts_with("crashed (signal 11) 45 s after its executable was replaced"), "{message}");
}

#[test]
fn what_was_changed_has_its_own_words() {
    for (part, ago, words) in [
        (Part::Unit, 60.0, "died 1 min after its unit was changed, exit unknown"),
        (Part::Configuration, 10.0, "died 10 s after its configuration file was changed, exit unknown"),
        (Part::Executable, 10.0, "died 10 s after its executable was replaced, exit unknown"),
        (Part::Executable, 639.0, "died 10 min after its executable was replaced, exit unknown"),
        (Part::Executable, 642.0, "died, exit unknown"),
        (Part::Unit, -3_600.0, "died, exit unknown"),
    ] {
        let mut world = World::new();
        let changes = vec![world.changed(part, "/x", ago)];
        let message = world.dies_of("1.5.0", changes);
        assert!(message.starts_with(words), "{message}");
    }
    let mut world = World::new();
    let gone = Change { part: Part::Executable, path: "/usr/bin/http://u:p@h/\n".into(), at: None };
    let message = world.dies_of("1.5.0", vec![gone]);
    assert!(message.starts_with("died after its executable was removed, exit unknown"), "{message}");
    assert_eq!(world.proof("changed"), Some("executable /usr/bin/http://***@h/  removed"));
}

#[test]
fn a_program_that_was_replaced_under_a_run_does_not_change_its_version() {
    let mut world = World::new();
    world.see("camera", world.run(7).says(|r| r.service_version = Some("1.4.2".into())));
    world.pass(100.0);
    let changes = vec![world.changed(Part::Executable, "/usr/bin/camera", 10.0)];
    let message = world.dies_of("1.4.3", changes);
    assert!(message.starts_with("died 10 s after its executable was replaced, exit unknown"), "{message}");
}

#[test]
fn a_crash_loop_names_the_upgrade_too() {
    let mut world = World::new();
    let replaced = world.now.wall;
    world.see("camera", world.run(1).says(|r| r.service_version = Some("1.4.2".into())));
    for pid in 2..=5 {
        world.pass(5.0);
        let run = world.run(pid).says(|r| r.service_version = Some("1.5.0".into()));
        world.see("camera", run.clone());
        world.pass(5.0);
        let at = Some(replaced);
        let changes = vec![Change { part: Part::Executable, path: "/usr/bin/camera".into(), at }];
        world.see("camera", ServiceFacts { changes, ..run.by(Gone) });
    }
    assert_eq!(world.judged("camera").1, CrashLooping);
    let message = &world.verdict("camera").message;
    assert!(message.contains("died 40 s after its executable was replaced, 1.4.2 → 1.5.0"), "{message}");
}

#[test]
fn a_job_that_failed_has_its_last_words_too() {
    let mut world = World::new();
    let failed =
        |r: &mut health_reporter::HealthReport| (r.state, r.overall_status) = (Life::Finished, Error);
    world.see("camera", world.beat(0.0).by(Gone).says(failed));
    world.find_out(wrote(PID, &["no tape"]));
    assert_eq!((world.judged("camera"), world.proof("journal_1")), ((Error, Crashed), Some("no tape")));
}

#[test]
fn a_unit_without_a_report_has_its_last_words_and_its_kernel_too() {
    let unit = |active, main_pid| {
        let facts = UnitFacts {
            active,
            result: if active == UnitActive::Failed { "signal" } else { "success" }.into(),
            exit: Some(Exit::Signal(9)),
            main_pid: Some(main_pid),
            was_active: true,
            ..UnitFacts::default()
        };
        Ok(Facts::Probe(ProbeFacts::Unit(Box::new(facts))))
    };
    let mut world = World::new();
    world.observe("camera", unit(UnitActive::Active, 42));
    world.find_out(wrote(PID, &["it lives"]));
    world.observe("camera", unit(UnitActive::Failed, 42));
    assert_eq!(world.proof("journal_1"), None);
    world.find_out(wrote(PID, &["bye"]));
    assert_eq!(world.proof("journal_1"), Some("bye"));
    assert_eq!(world.find_out(Aftermath { oom: Some("oom".into()), ..found(PID) })[0].cause, OomKilled);
    world.observe("camera", unit(UnitActive::Active, 43));
    assert_eq!((world.judged("camera").0, world.proof("journal_1")), (Healthy, None));
    world.observe("camera", unit(UnitActive::Failed, 43));
    assert_eq!((world.judged("camera"), world.proof("journal_1")), ((Error, Crashed), None));
}

#[test]
fn a_death_that_is_seen_behind_a_torn_report_has_its_evidence() {
    let mut world = World::new();
    world.see("camera", world.beat(1.0));
    world.see("camera", torn().by(zombie(139)));
    assert_eq!(world.proof("exit"), Some("signal 11"));
    world.find_out(wrote(PID, &["bye"]));
    assert_eq!(world.proof("journal_1"), Some("bye"));
}
