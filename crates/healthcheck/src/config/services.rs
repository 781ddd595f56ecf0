//! `[services.NAME]`: what is expected to run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{HostPort, Url, host_port, url};
use super::argv::{command, text};
use super::name;
use super::problems::Scope;
use super::raw::RawService;
use super::schedule::{Schedule, TIMEOUT_ANSWER, TIMEOUT_CONNECT, schedule};
use super::units::{DEADLINE, duration, serialize_duration};

const DEFAULT_DEADLINE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    #[default]
    Critical,
    Optional,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ServiceSettings {
    pub(crate) depends_on: Vec<String>,
    pub(crate) priority: Priority,
    /// For reports that declare none.
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) deadline: Duration,
    #[serde(flatten)]
    pub(crate) looks: ServiceLooks,
    #[serde(flatten)]
    pub(crate) schedule: Schedule,
}

/// What is looked at beside its report, which is optional with any of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ServiceLooks {
    pub(crate) unit: Option<String>,
    pub(crate) container: Option<String>,
    pub(crate) process: Option<String>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) http: Option<Url>,
    pub(crate) tcp: Option<HostPort>,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            depends_on: Vec::new(),
            priority: Priority::default(),
            deadline: DEFAULT_DEADLINE,
            looks: ServiceLooks::default(),
            schedule: Schedule::with_timeout(TIMEOUT_ANSWER),
        }
    }
}

impl ServiceSettings {
    /// Without one, only its report can tell how it is.
    pub(crate) fn has_look(&self) -> bool {
        self.looks != ServiceLooks::default()
    }
}

pub(super) fn services(
    at: &Scope<'_>,
    raw: BTreeMap<String, RawService>,
) -> BTreeMap<String, ServiceSettings> {
    let named = raw.into_iter().filter(|(name, _)| name::check_key(at, name));
    let services = named.map(|(name, raw)| (name.clone(), service(&at.key(&name), raw))).collect();
    refuse_cycles(at, &services);
    services
}

fn service(at: &Scope<'_>, raw: RawService) -> ServiceSettings {
    let only_tcp = raw.tcp.is_some() && raw.command.is_none() && raw.http.is_none();
    let timeout = if only_tcp { TIMEOUT_CONNECT } else { TIMEOUT_ANSWER };
    refuse_two_homes(at, &raw);
    for (index, other) in raw.depends_on.iter().enumerate() {
        name::check_value(&at.key("depends_on").index(index), other);
    }
    ServiceSettings {
        priority: raw.priority.unwrap_or_default(),
        deadline: duration(&at.key("deadline"), raw.deadline.as_ref(), DEADLINE).unwrap_or(DEFAULT_DEADLINE),
        schedule: schedule(at, &raw.schedule, timeout),
        looks: ServiceLooks {
            unit: text(&at.key("unit"), raw.unit),
            container: text(&at.key("container"), raw.container),
            process: text(&at.key("process"), raw.process),
            command: command(&at.key("command"), raw.command),
            http: raw.http.and_then(|text| url(&at.key("http"), &text, &["http", "https"])),
            tcp: raw.tcp.and_then(|text| host_port(&at.key("tcp"), &text, "127.0.0.1:5432")),
        },
        depends_on: raw.depends_on,
    }
}

/// It runs in one place; a command, a URL and a port may be looked at together with any.
fn refuse_two_homes(at: &Scope<'_>, raw: &RawService) {
    let homes = [("unit", &raw.unit), ("container", &raw.container), ("process", &raw.process)];
    let written: Vec<&str> = homes.iter().filter(|(_, home)| home.is_some()).map(|(key, _)| *key).collect();
    if written.len() > 1 {
        let problem = format!("has {} at once, but runs in one of them", written.join(" and "));
        at.refuse_unshown(problem, "keep the one that starts it");
    }
}

fn refuse_cycles(at: &Scope<'_>, services: &BTreeMap<String, ServiceSettings>) {
    for cycle in cycles(services) {
        let problem = format!("depends on itself: {}", cycle.join(" → "));
        at.key(cycle[0]).key("depends_on").refuse_unshown(problem, "take one of these out");
    }
}

/// Each chain of `depends_on` that comes back to its beginning, which is repeated at its end. A name that is not
/// configured may be a report that is found, and leads nowhere.
fn cycles(services: &BTreeMap<String, ServiceSettings>) -> Vec<Vec<&str>> {
    let next_of = |name: &str| services.get(name).map_or(&[][..], |service| &service.depends_on).iter();
    let mut cycles = Vec::new();
    let mut seen = BTreeSet::new();
    for root in services.keys().map(String::as_str) {
        // Steps on a stack of our own: a long chain must not overflow that of the process.
        let mut chain = Vec::new();
        if seen.insert(root) {
            chain.push((root, next_of(root)));
        }
        while let Some((_, rest)) = chain.last_mut() {
            let Some(name) = rest.next().map(String::as_str) else {
                chain.pop();
                continue;
            };
            if let Some(start) = chain.iter().position(|(before, _)| *before == name) {
                cycles.push(chain[start..].iter().map(|(before, _)| *before).chain([name]).collect());
            } else if seen.insert(name) {
                chain.push((name, next_of(name)));
            }
        }
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depending(edges: &[(&str, &[&str])]) -> BTreeMap<String, ServiceSettings> {
        let service = |others: &[&str]| ServiceSettings {
            depends_on: others.iter().map(ToString::to_string).collect(),
            ..ServiceSettings::default()
        };
        edges.iter().map(|(name, others)| ((*name).to_owned(), service(others))).collect()
    }

    #[test]
    fn every_cycle_is_found_and_a_diamond_is_none() {
        let diamond = depending(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &["elsewhere"])]);
        assert_eq!(cycles(&diamond), Vec::<Vec<&str>>::new());
        let two = depending(&[("a", &["b", "c"]), ("b", &["a"]), ("c", &["a"])]);
        assert_eq!(cycles(&two), [["a", "b", "a"], ["a", "c", "a"]]);
    }

    #[test]
    fn any_look_makes_the_report_optional() {
        assert!(!ServiceSettings::default().has_look());
        let looks = ServiceLooks { process: Some("a".to_owned()), ..ServiceLooks::default() };
        assert!(ServiceSettings { looks, ..ServiceSettings::default() }.has_look());
    }
}
