//! Who tells that this machine is gone: a message that waits at the server.

use crate::support::ntfy::{Ntfy, Received};
use crate::support::{Machine, eventually};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_message_waits_while_the_monitor_lives_and_longer_after_a_stop_and_retire_takes_it_back() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&ntfy.channel("phone"));
    let mut monitor = machine.monitors();
    let waits = ntfy.next("a message that waits", Duration::from_secs(90), Received::is_scheduled);
    assert!(waits.text("message").contains("no sign of life"), "{waits:?}");
    assert_eq!(waits.body["delay"], "3600s");
    assert!(monitor.stop() < Duration::from_secs(1));
    let longer = ntfy.next("it to wait longer", Duration::from_secs(1), Received::is_scheduled);
    assert_eq!(longer.text("sequence_id"), waits.text("sequence_id"));
    assert!(longer.text("message").contains("has not come back"), "{longer:?}");
    let retired = machine.run(&["retire"]);
    assert_eq!(
        (retired.code, &*retired.out),
        (0, "{\"message\":\"taken back\",\"other_machines_told\":false,\"retired\":true}\n")
    );
    let back = ntfy.next("it to be taken back", Duration::from_secs(1), |it| it.method == "DELETE");
    assert_eq!(back.path, format!("/phone/{}", waits.text("sequence_id")));
    assert!(ntfy.messages().is_empty());
}

#[test]
fn no_message_is_left_behind_that_nobody_moves_any_more() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    let channel = |topic: &str| {
        format!("[channels.phone]\nkind = \"ntfy\"\nserver = \"{}\"\ntopic = \"{topic}\"\n", ntfy.url())
    };
    machine.configures(&channel("phone"));
    // Of a state.db that was lost with all its names.
    let fires_at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let former = json!({"sequence": "lost-alive", "fires_at": fires_at}).to_string();
    std::fs::write(machine.root().join("logs/dead_man.json"), former).unwrap();
    let _monitor = machine.monitors();
    let patience = Duration::from_secs(90);
    let lost = ntfy.next("the lost one to be taken back", patience, |it| it.method == "DELETE");
    assert_eq!(lost.path, "/phone/lost-alive");
    let waits = ntfy.next("a message that waits", Duration::from_secs(5), Received::is_scheduled);
    machine.configures(&channel("another"));
    let moved = ntfy.next("it to be taken back", Duration::from_secs(5), |it| it.method == "DELETE");
    assert_eq!(moved.path, format!("/phone/{}", waits.text("sequence_id")));
}

fn leaves(machine: &Machine, place: &Value) {
    let fires_at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let armed = json!({"sequence": "former-alive", "fires_at": fires_at, "place": place}).to_string();
    std::fs::create_dir_all(machine.root().join("logs")).unwrap();
    std::fs::write(machine.root().join("logs/dead_man.json"), armed).unwrap();
}

#[test]
fn where_no_message_is_to_wait_any_more_what_waits_is_taken_back() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}[dead_man]\nwindow = \"0s\"\n", ntfy.channel("phone")));
    leaves(&machine, &Value::Null);
    let retired = machine.run(&["retire"]);
    assert_eq!(
        (retired.code, &*retired.out),
        (0, "{\"message\":\"taken back\",\"other_machines_told\":false,\"retired\":true}\n")
    );
    leaves(&machine, &Value::Null);
    let _monitor = machine.monitors();
    for _ in 0..2 {
        let back = ntfy.next("it to be taken back", Duration::from_secs(5), |it| it.method == "DELETE");
        assert_eq!(back.path, "/phone/former-alive");
    }
    let none = || {
        machine.run(&["retire"]).out
            == "{\"message\":\"none waited\",\"other_machines_told\":false,\"retired\":true}\n"
    };
    eventually("none to wait", || none().then_some(()));
}

#[test]
fn a_message_that_waits_elsewhere_is_not_called_retired() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&ntfy.channel("phone"));
    leaves(&machine, &json!({"server": "https://push.example.org", "topic_sha256": "00"}));
    for monitor in [false, true] {
        let _monitor = monitor.then(|| machine.monitors());
        let retired = machine.run(&["retire"]);
        assert!(retired.code == 3 && retired.err.contains("push.example.org"), "{retired:?}");
    }
    assert!(ntfy.messages().is_empty(), "nothing is taken back from another");
}
