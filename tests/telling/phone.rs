//! The way to the first push, as a new user goes it.

use crate::support::ntfy::Ntfy;
use crate::support::{Machine, Outcome};
use std::fs;
use std::path::Path;

fn first_push(machine: &Machine, ntfy: &Ntfy) -> Outcome {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/phone.sh");
    let mut command = machine.any_command("sh", &[script.to_str().unwrap()]);
    command.env("HEALTHCHECK", env!("CARGO_BIN_EXE_healthcheck")).env("NTFY_SERVER", ntfy.url());
    Outcome::of(&command.output().unwrap())
}

#[test]
fn a_topic_is_made_once_and_a_first_notice_arrives() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures("project = \"here\"");
    let first = first_push(&machine, &ntfy);
    assert_eq!(first.code, 0, "{first:?}");
    let told = ntfy.message(&["drill"]);
    let topic = told.text("topic");
    assert!(topic.len() == "healthcheck-".len() + 20 && first.out.contains(topic), "{topic} {first:?}");
    let config = fs::read_to_string(machine.root().join("healthcheck.toml")).unwrap();
    assert!(config.starts_with("project = \"here\"\n[channels.phone]"), "{config}");
    let again = first_push(&machine, &ntfy);
    ntfy.message(&["the drill is over"]);
    assert_eq!(ntfy.message(&["drill"]).text("topic"), topic, "{again:?}");
    assert_eq!(fs::read_to_string(machine.root().join("healthcheck.toml")).unwrap(), config);
}
