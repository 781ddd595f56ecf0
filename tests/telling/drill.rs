//! A drill proves each channel, and disturbs nothing.

use super::arrival::{AT_ONCE, starts};
use crate::support::Machine;
use crate::support::ntfy::{Mode, Ntfy};
use serde_json::Value;

#[test]
fn each_channel_is_proved_by_the_monitor_and_without_it() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    let alone = machine.run(&["drill"]);
    let shown: Value = serde_json::from_str(&alone.out).unwrap();
    assert_eq!((alone.code, &shown["by_monitor"]), (0, &false.into()), "{alone:?}");
    ntfy.message(&["drill"]);
    ntfy.message(&["the drill is over"]);
    let monitor = machine.monitors();
    let drilled = machine.run(&["drill", "--format", "json"]);
    let shown: Value = serde_json::from_str(&drilled.out).unwrap();
    assert_eq!((drilled.code, &shown["by_monitor"]), (0, &true.into()), "{drilled:?}");
    let steps = shown["drill"]["channels"]["phone"].as_array().unwrap();
    assert_eq!(steps.len(), 2);
    assert!(steps.iter().all(|step| step["outcome"] == "accepted" && step["took_ms"].as_f64() > Some(0.0)));
    starts(&machine, &monitor, "camera").kill();
    ntfy.message(&["camera is down"]);
}

#[test]
fn a_channel_that_does_not_work_is_shown() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}", ntfy.channel("phone")));
    ntfy.does(Mode::Answers("401 Unauthorized"));
    let drilled = machine.run(&["drill", "--format", "table"]);
    assert!(drilled.code == 3 && drilled.out.contains("✖ phone  opened refused"), "{drilled:?}");
    machine.configures("");
    let none = machine.run(&["drill"]);
    assert!(none.code == 3 && none.err.contains("[channels.…]"), "{none:?}");
}
