//! `[[routes]]`: who is told what, when.

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::alerts::Level;
use super::argv::{filled, text};
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
    pub(crate) quiet: Option<Quiet>,
}

/// Local time from `from` up to `until`, across midnight where `until` is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quiet {
    pub(crate) from: Time,
    pub(crate) until: Time,
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), until.hour(), until.minute())
    }
}

impl Serialize for Quiet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Every name in `declared` is a channel of the file, also where the channel itself was refused.
pub(super) fn routes(at: &Scope<'_>, raw: Vec<RawRoute>, declared: &BTreeSet<String>) -> Vec<Route> {
    raw.into_iter().enumerate().filter_map(|(index, raw)| route(&at.index(index), raw, declared)).collect()
}

fn route(at: &Scope<'_>, raw: RawRoute, declared: &BTreeSet<String>) -> Option<Route> {
    let kinds = filled(&at.key("kinds"), raw.kinds);
    let subjects = filled(&at.key("subjects"), raw.subjects);
    for (index, pattern) in subjects.iter().flatten().enumerate() {
        text(&at.key("subjects").index(index), Some(pattern.clone()));
    }
    let channels = filled(&at.key("channels"), raw.channels);
    for (index, name) in channels.iter().flatten().enumerate() {
        if !declared.contains(name) {
            let at = at.key("channels").index(index);
            at.refuse(name, "is not in [channels]", suggestion(name, declared.iter()));
        }
    }
    let quiet = raw.quiet.and_then(|text| quiet(&at.key("quiet"), &text));
    Some(Route { kinds, subjects, level: raw.level, channels: channels?, quiet })
}

fn quiet(at: &Scope<'_>, text: &str) -> Option<Quiet> {
    let cure = "write it like \"22:00-07:00\"";
    let times = text.split_once('-').and_then(|(from, until)| Some((clock(from)?, clock(until)?)));
    let Some((from, until)) = times else {
        at.refuse(text, "is not HH:MM-HH:MM", cure);
        return None;
    };
    if from == until {
        at.refuse(text, "ends when it begins", cure);
        return None;
    }
    Some(Quiet { from, until })
}

fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let parts = two_digits(hour) && two_digits(minute);
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok().filter(|_| parts)
}
