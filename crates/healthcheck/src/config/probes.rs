//! `[probes.NAME]`: active looks at things that are no service.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::address::{HostPort, Url, host_port, url};
use super::argv;
use super::name;
use super::problems::Scope;
use super::raw::{RawLook, RawProbe};
use super::schedule::{Schedule, TIMEOUT_ANSWER, TIMEOUT_CONNECT, schedule};
use super::units::{POSITIVE, duration, serialize_duration};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProbeSettings {
    #[serde(flatten)]
    pub(crate) look: Look,
    #[serde(flatten)]
    pub(crate) schedule: Schedule,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Look {
    Tcp {
        address: HostPort,
    },
    Http {
        url: Url,
    },
    Command {
        command: Vec<String>,
    },
    FileAge {
        path: PathBuf,
        #[serde(serialize_with = "serialize_duration")]
        max_age: Duration,
    },
    Process {
        process: String,
    },
    Unit {
        unit: String,
    },
    Container {
        container: String,
    },
}

pub(super) fn probes(at: &Scope<'_>, raw: BTreeMap<String, RawProbe>) -> BTreeMap<String, ProbeSettings> {
    let named = raw.into_iter().filter(|(name, _)| name::check_key(at, name));
    named.filter_map(|(name, raw)| Some((name.clone(), probe(&at.key(&name), raw)?))).collect()
}

fn probe(at: &Scope<'_>, raw: RawProbe) -> Option<ProbeSettings> {
    let timeout = match raw.look {
        RawLook::Tcp { .. } => TIMEOUT_CONNECT,
        _ => TIMEOUT_ANSWER,
    };
    let schedule = schedule(at, &raw.schedule, timeout);
    Some(ProbeSettings { look: look(at, raw.look)?, schedule })
}

fn look(at: &Scope<'_>, raw: RawLook) -> Option<Look> {
    let text = |key, raw| argv::text(&at.key(key), raw);
    Some(match raw {
        RawLook::Tcp { address } => {
            Look::Tcp { address: host_port(&at.key("address"), &address?, "127.0.0.1:22")? }
        }
        RawLook::Http { url: text } => Look::Http { url: url(&at.key("url"), &text?, &["http", "https"])? },
        RawLook::Command { command } => {
            Look::Command { command: argv::command(&at.key("command"), command)? }
        }
        RawLook::FileAge { path, max_age } => {
            let path = argv::path(&at.key("path"), path);
            let max_age = duration(&at.key("max_age"), max_age.as_ref(), POSITIVE);
            Look::FileAge { path: path?, max_age: max_age? }
        }
        RawLook::Process { process } => Look::Process { process: text("process", process)? },
        RawLook::Unit { unit } => Look::Unit { unit: text("unit", unit)? },
        RawLook::Container { container } => Look::Container { container: text("container", container)? },
    })
}
