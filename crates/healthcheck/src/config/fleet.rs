//! `[fleet]`: other machines.

use std::time::Duration;

use serde::Serialize;

use super::address::{Url, url};
use super::argv::filled;
use super::problems::Scope;
use super::raw::{RawEtcd, RawFleet};
use super::units::{POSITIVE, duration, format_duration, serialize_duration};

const PREFIX: &str = "/health";
const TTL: Duration = Duration::from_secs(30);
/// A lease is counted in whole seconds, and one lost renewal must not end it.
const MIN_TTL: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct FleetSettings {
    pub(crate) etcd: Option<EtcdSettings>,
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
}

pub(super) fn fleet(at: &Scope<'_>, raw: RawFleet) -> FleetSettings {
    FleetSettings { etcd: raw.etcd.and_then(|raw| etcd(&at.key("etcd"), raw)) }
}

fn etcd(at: &Scope<'_>, raw: RawEtcd) -> Option<EtcdSettings> {
    let ttl = ttl(at, &raw);
    let interval = interval(at, &raw, ttl);
    let prefix = prefix(&at.key("prefix"), raw.prefix);
    let watch = raw.watch.unwrap_or(false);
    let endpoints = endpoints(&at.key("endpoints"), raw.endpoints);
    Some(EtcdSettings { endpoints: endpoints?, prefix: prefix?, ttl, interval, watch })
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
