//! `[fleet]`: other machines.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::address::{Url, url};
use super::argv::{filled, path, text};
use super::environment::AroundFleet;
use super::hidden::Hidden;
use super::problems::Scope;
use super::raw::{RawEtcd, RawFleet};
use super::units::{
    FROM_ZERO, POSITIVE, duration, format_duration, serialize_duration, serialize_duration_if,
};

const PREFIX: &str = "/health";
const TTL: Duration = Duration::from_secs(30);
/// A lease is counted in whole seconds, and one lost renewal must not end it.
const MIN_TTL: Duration = Duration::from_secs(2);
/// What others keep of each machine has a bound.
const MAX_TEXT_BYTES: usize = 256;
/// What a name of the domain name system may have.
const MAX_HOSTNAME_BYTES: usize = 253;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct FleetSettings {
    pub(crate) description: Option<String>,
    /// `None` where it is the host name.
    pub(crate) hostname: Option<String>,
    /// Since a machine was last seen; `None` where the end of its lease is enough.
    #[serde(serialize_with = "serialize_duration_if")]
    pub(crate) offline_after: Option<Duration>,
    pub(crate) etcd: Option<EtcdSettings>,
    /// The environment's, for who signs in without a file.
    #[serde(skip)]
    pub(crate) etcd_password: Option<Hidden>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EtcdSettings {
    pub(crate) endpoints: Vec<Url>,
    pub(crate) prefix: String,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) ttl: Duration,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) interval: Duration,
    pub(crate) watch: bool,
    #[serde(flatten)]
    pub(crate) login: Option<EtcdLogin>,
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(flatten)]
    pub(crate) identity: Option<EtcdIdentity>,
}

/// Who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EtcdLogin {
    pub(crate) user: String,
    /// `None` where the environment has the password.
    pub(crate) password_file: Option<PathBuf>,
}

/// What proves this machine to the members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EtcdIdentity {
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

pub(super) fn fleet(at: &Scope<'_>, raw: RawFleet, around: AroundFleet) -> FleetSettings {
    let offline_after = duration(&at.key("offline_after"), raw.offline_after.as_ref(), FROM_ZERO);
    FleetSettings {
        description: short(&at.key("description"), raw.description, MAX_TEXT_BYTES),
        hostname: hostname(&at.key("hostname"), raw.hostname),
        offline_after: offline_after.or(around.offline_after),
        etcd: raw.etcd.and_then(|raw| etcd(&at.key("etcd"), raw, around.etcd_password.is_some())),
        etcd_password: around.etcd_password,
    }
}

fn short(at: &Scope<'_>, raw: Option<String>, max: usize) -> Option<String> {
    let written = text(at, raw)?;
    if written.len() > max {
        at.refuse(&written, format!("is longer than {max} bytes"), "write less");
        return None;
    }
    Some(written)
}

fn hostname(at: &Scope<'_>, raw: Option<String>) -> Option<String> {
    let written = short(at, raw, MAX_HOSTNAME_BYTES)?;
    if written.chars().any(char::is_whitespace) {
        at.refuse(&written, "has a blank in it", "write a name or an address, like \"phobos.lan\"");
        return None;
    }
    Some(written)
}

fn etcd(at: &Scope<'_>, raw: RawEtcd, has_password: bool) -> Option<EtcdSettings> {
    let ttl = ttl(at, &raw);
    let interval = interval(at, &raw, ttl);
    let prefix = prefix(&at.key("prefix"), raw.prefix);
    let watch = raw.watch.unwrap_or(false);
    let login = login(at, raw.user, raw.password_file, has_password);
    let ca_file = path(&at.key("ca_file"), raw.ca_file);
    let identity = identity(at, raw.cert_file, raw.key_file);
    let endpoints = endpoints(&at.key("endpoints"), raw.endpoints)?;
    if !endpoints.iter().any(|url| url.expose().starts_with("https:")) {
        let named = [("ca_file", ca_file.is_some()), ("cert_file", identity.is_some())];
        for (key, _) in named.into_iter().filter(|(_, is_there)| *is_there) {
            at.key(key).refuse_unshown(
                "is of no use without encryption",
                "leave it out, or write https:// endpoints",
            );
        }
    }
    Some(EtcdSettings { endpoints, prefix: prefix?, ttl, interval, watch, login, ca_file, identity })
}

fn login(
    at: &Scope<'_>,
    user: Option<String>,
    password_file: Option<String>,
    has_password: bool,
) -> Option<EtcdLogin> {
    if user.is_none() && password_file.is_some() {
        at.key("user").refuse_unshown("is missing", "write user beside password_file, or none of them");
    }
    if user.is_some() && password_file.is_none() && !has_password {
        let cure = "write it beside user, or set HEALTHCHECK_ETCD_PASSWORD";
        at.key("password_file").refuse_unshown("is missing", cure);
    }
    let user = text(&at.key("user"), user);
    let password_file = path(&at.key("password_file"), password_file);
    Some(EtcdLogin { user: user?, password_file })
}

fn identity(at: &Scope<'_>, cert_file: Option<String>, key_file: Option<String>) -> Option<EtcdIdentity> {
    if cert_file.is_some() != key_file.is_some() {
        let missing = if cert_file.is_some() { "key_file" } else { "cert_file" };
        at.key(missing)
            .refuse_unshown("is missing", "write cert_file and key_file together, or none of them");
    }
    let cert_file = path(&at.key("cert_file"), cert_file);
    let key_file = path(&at.key("key_file"), key_file);
    Some(EtcdIdentity { cert_file: cert_file?, key_file: key_file? })
}

fn endpoints(at: &Scope<'_>, raw: Option<Vec<String>>) -> Option<Vec<Url>> {
    let written = filled(at, raw)?;
    let urls: Vec<_> = written
        .iter()
        .enumerate()
        .map(|(index, text)| url(&at.index(index), text, &["http", "https"]))
        .collect();
    urls.into_iter().collect()
}

fn prefix(at: &Scope<'_>, raw: Option<String>) -> Option<String> {
    let prefix = raw.unwrap_or_else(|| PREFIX.to_owned());
    if !prefix.starts_with('/') || prefix.ends_with('/') || prefix.chars().any(char::is_control) {
        at.refuse(&prefix, "must begin with / and not end with it", format!("write \"{PREFIX}\""));
        return None;
    }
    Some(prefix)
}

fn ttl(at: &Scope<'_>, raw: &RawEtcd) -> Duration {
    let at = at.key("ttl");
    let ttl = duration(&at, raw.ttl.as_ref(), POSITIVE).unwrap_or(TTL);
    if let Some(written) = raw.ttl.as_ref().filter(|_| ttl < MIN_TTL || ttl.subsec_nanos() > 0) {
        at.refuse(&written.0, "must be whole seconds, from 2s on", "write \"30s\"");
    }
    ttl
}

fn interval(at: &Scope<'_>, raw: &RawEtcd, ttl: Duration) -> Duration {
    let at = at.key("interval");
    let interval = duration(&at, raw.interval.as_ref(), POSITIVE).unwrap_or(ttl / 3);
    if let Some(written) = raw.interval.as_ref().filter(|_| interval >= ttl) {
        let problem = format!("must be shorter than ttl, which is {}", format_duration(ttl));
        at.refuse(&written.0, problem, "write a third of it");
    }
    interval
}
