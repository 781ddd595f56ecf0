//! `[[routes]]`: who is told what, when.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::Level;
use super::argv::{filled, patterns};
use super::hours::{Hours, hours};
use super::problems::Scope;
use super::raw::RawRoute;
use super::shape::suggestion;

/// What a subject can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Service,
    Zmq,
    Probe,
    Resource,
    Host,
    Channel,
}

/// Where nothing is demanded, everything fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Route {
    pub(crate) kinds: Option<Vec<Kind>>,
    /// Patterns with `*`.
    pub(crate) subjects: Option<Vec<String>>,
    pub(crate) level: Option<Level>,
    pub(crate) channels: Vec<String>,
    pub(crate) quiet: Option<Hours>,
}

/// Every name in `declared` is a channel of the file, also where the channel itself was refused.
pub(super) fn routes(at: &Scope<'_>, raw: Vec<RawRoute>, declared: &BTreeSet<String>) -> Vec<Route> {
    raw.into_iter().enumerate().filter_map(|(index, raw)| route(&at.index(index), raw, declared)).collect()
}

fn route(at: &Scope<'_>, raw: RawRoute, declared: &BTreeSet<String>) -> Option<Route> {
    let kinds = filled(&at.key("kinds"), raw.kinds);
    let subjects = patterns(&at.key("subjects"), raw.subjects);
    let channels = filled(&at.key("channels"), raw.channels);
    for (index, name) in channels.iter().flatten().enumerate() {
        if !declared.contains(name) {
            let at = at.key("channels").index(index);
            at.refuse(name, "is not in [channels]", suggestion(name, declared.iter()));
        }
    }
    let quiet = raw.quiet.and_then(|text| hours(&at.key("quiet"), &text, "22:00-07:00"));
    Some(Route { kinds, subjects, level: raw.level, channels: channels?, quiet })
}
