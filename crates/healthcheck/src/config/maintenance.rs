//! `[[maintenance]]`: when work is planned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argv::{filled, patterns};
use super::hours::{Hours, hours};
use super::problems::Scope;
use super::raw::RawMaintenance;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Where nothing is demanded, everything fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Maintenance {
    /// Patterns with `*`.
    pub(crate) subjects: Option<Vec<String>>,
    /// On which it begins.
    pub(crate) days: Option<Vec<Day>>,
    pub(crate) hours: Hours,
}

pub(super) fn maintenance(at: &Scope<'_>, raw: Vec<RawMaintenance>) -> Vec<Maintenance> {
    raw.into_iter().enumerate().filter_map(|(index, raw)| window(&at.index(index), raw)).collect()
}

fn window(at: &Scope<'_>, raw: RawMaintenance) -> Option<Maintenance> {
    let subjects = patterns(&at.key("subjects"), raw.subjects);
    let days = filled(&at.key("days"), raw.days);
    let hours = hours(&at.key("hours"), &raw.hours?, "02:00-04:00")?;
    Some(Maintenance { subjects, days, hours })
}
