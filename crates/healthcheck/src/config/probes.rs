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
use super::units::{FROM_ZERO, POSITIVE, duration, serialize_duration};

/// Certificates are renewed a month before they end, or every few days: two weeks before, something went wrong.
const CERTIFICATE: Duration = Duration::from_secs(14 * 86_400);

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
    Http(HttpLook),
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HttpLook {
    pub(crate) url: Url,
    pub(crate) status: Option<u16>,
    pub(crate) body: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    /// With less than this left on its certificate it is a warning.
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) certificate: Duration,
}

impl HttpLook {
    /// Any success will do.
    pub(crate) const fn of(url: Url) -> Self {
        Self { url, status: None, body: None, ca_file: None, certificate: CERTIFICATE }
    }
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
        RawLook::Http { url: text, status, body, ca_file, certificate } => {
            let wanted = duration(&at.key("certificate"), certificate.as_ref(), FROM_ZERO);
            let status = status_code(at, status);
            let body = argv::text(&at.key("body"), body);
            let ca_file = argv::path(&at.key("ca_file"), ca_file);
            let url = url(&at.key("url"), &text?, &["http", "https"])?;
            Look::Http(HttpLook { url, status, body, ca_file, certificate: wanted.unwrap_or(CERTIFICATE) })
        }
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

fn status_code(at: &Scope<'_>, raw: Option<i64>) -> Option<u16> {
    let written = raw?;
    let code = u16::try_from(written).ok().filter(|code| (100..600).contains(code));
    if code.is_none() {
        at.key("status").refuse_plain(written, "must be 100 to 599", "write 200 or another status code");
    }
    code
}
