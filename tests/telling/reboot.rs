//! A machine that comes back: one message, and only if nobody shut it down.

use super::arrival::{AT_ONCE, sleeper};
use crate::support::ntfy::Ntfy;
use crate::support::{Machine, Monitor, World, beat_of, eventually};
use rustix::process::Signal;

/// In it another boot id is seen.
fn after_a_boot<'a>(machine: &'a Machine, id: &str) -> World<'a> {
    let script =
        format!("echo {id} >$R/boot-{id}; mount --bind $R/boot-{id} /proc/sys/kernel/random/boot_id");
    World::of(machine, &script)
}

fn monitor_in(world: &World<'_>) -> Monitor {
    Monitor::from_command(&mut world.program(&["monitor"]))
}

/// One whose own report takes a while, as on a machine that has just started: what the last one left says nothing of it.
fn slow_monitor_in(world: &World<'_>) -> Monitor {
    let slow = ["strace", "-D", "-f", "-o", "/dev/null", "-e", "inject=renameat:delay_enter=300000"];
    let program = [env!("CARGO_BIN_EXE_healthcheck"), "monitor"];
    Monitor::from_command(&mut world.command(&[&slow[..], &program].concat()))
}

#[test]
fn a_restart_without_a_shutdown_is_one_message_and_a_clean_one_is_none() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    let ids = ["1", "2", "3"].map(|it| format!("00000000-0000-0000-0000-00000000000{it}"));
    let worlds = ids.each_ref().map(|id| after_a_boot(&machine, id));
    let first = monitor_in(&worlds[0]);
    // Who has seen nothing yet has nothing to remember.
    eventually("its first look", || (!first.story_of("healthcheck").is_empty()).then_some(()));
    drop(first.killed());
    let monitor = slow_monitor_in(&worlds[1]);
    let told = ntfy.message(&["restarted without a shutdown"]);
    assert!(told.text("message").contains(" back"), "{told:?}");
    assert!(!told.words().contains("healthcheck is down"), "{told:?}");
    monitor.event("its delivery", |it| it["type"] == "delivery" && it["outcome"] == "accepted");
    monitor.signal(Signal::TERM);
    monitor.event("its end", |it| it["type"] == "stopped");
    assert_eq!(ntfy.messages().len(), 1, "{:#?}", ntfy.messages());
    drop(monitor);
    let monitor = monitor_in(&worlds[2]);
    let camera = sleeper(&machine);
    let mut beat = beat_of(camera.pid());
    beat["boot_id"] = ids[2].as_str().into();
    machine.reports("camera", &beat);
    monitor.transition("camera", "healthy", "self_reported");
    camera.kill();
    ntfy.message(&["camera is down"]);
    assert_eq!(ntfy.messages().len(), 2, "{:#?}", ntfy.messages());
}
