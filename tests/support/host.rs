//! A machine with a name of its own, beside others.

use super::{Machine, Monitor, eventually};
use serde_json::Value;
use std::process::Command;

/// One of several hosts on this machine: what the kernel calls it is its own.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) machine: Machine,
    /// The network namespace that it is in; else everybody's.
    network: Option<String>,
}

impl Host {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), machine: Machine::new(), network: None }
    }

    /// One in a network namespace of its own.
    pub(crate) fn within(name: &str, network: &str) -> Self {
        Self { network: Some(network.to_owned()), ..Self::new(name) }
    }

    /// Takes part in a fleet: `etcd` is what `[fleet.etcd]` has, `more` comes before it.
    pub(crate) fn joins(&self, endpoints: &[String], etcd: &str, more: &str) {
        self.machine.configures(&format!("{more}\n[fleet.etcd]\nendpoints = {endpoints:?}\n{etcd}"));
    }

    /// The program on this host. What is executed keeps the pid of what was started.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let script = format!("hostname {}; exec \"$0\" \"$@\"", self.name);
        let mut all = vec!["unshare", "-u", "sh", "-c", &script, env!("CARGO_BIN_EXE_healthcheck")];
        all.extend(words);
        if let Some(network) = &self.network {
            all.splice(0..0, ["ip", "netns", "exec", network]);
        }
        self.machine.any_command(all[0], &all[1..])
    }

    /// A monitor that is ready.
    #[track_caller]
    pub(crate) fn monitors(&self) -> Monitor {
        Monitor::from_command(&mut self.command(&["monitor"]))
    }

    /// What `healthcheck fleet` shows here.
    #[track_caller]
    pub(crate) fn fleet(&self) -> Value {
        let output = self.command(&["fleet", "--format", "json"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}{errors}"))
    }

    /// Waits until this host sees another one as `online`, `offline`, …
    #[track_caller]
    pub(crate) fn sees(&self, host: &str, presence: &str) -> Value {
        let mut fleet = Value::Null;
        eventually(&format!("{host} to be {presence} for {}", self.name), || {
            fleet = self.fleet();
            let machine = &fleet["machines"][host];
            (machine["presence"] == presence).then(|| machine.clone())
        })
    }
}
