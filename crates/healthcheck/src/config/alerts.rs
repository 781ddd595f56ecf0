//! `[alerts]`: when somebody must be told.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problems::Scope;
use super::raw::RawAlerts;
use super::units::{FROM_ZERO, duration, serialize_duration};

/// The least status that matters, in the order of what wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Healthy,
    Unknown,
    Warning,
    Error,
    Fatal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AlertSettings {
    pub(crate) level: Level,
    /// From boot; also when an expected service that never reported is an error.
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) grace: Duration,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) group_wait: Duration,
    /// Holds back the notice, never the transition.
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) restart_wait: Duration,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) cooldown: Duration,
    /// Zero for no reminders.
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) reminder: Duration,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) stopped_after: Duration,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) unknown_after: Duration,
    /// Everything is decided and recorded, and nothing is sent.
    pub(crate) dry_run: bool,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            level: Level::Warning,
            grace: Duration::from_secs(60),
            group_wait: Duration::from_secs(2),
            restart_wait: Duration::from_secs(15),
            cooldown: Duration::from_secs(300),
            reminder: Duration::from_secs(3600),
            stopped_after: Duration::from_secs(3600),
            unknown_after: Duration::from_secs(300),
            dry_run: false,
        }
    }
}

pub(super) fn alerts(at: &Scope<'_>, raw: &RawAlerts, defaults: &AlertSettings) -> AlertSettings {
    let or =
        |key, raw: &Option<_>, default| duration(&at.key(key), raw.as_ref(), FROM_ZERO).unwrap_or(default);
    AlertSettings {
        level: raw.level.unwrap_or(defaults.level),
        grace: or("grace", &raw.grace, defaults.grace),
        group_wait: or("group_wait", &raw.group_wait, defaults.group_wait),
        restart_wait: or("restart_wait", &raw.restart_wait, defaults.restart_wait),
        cooldown: or("cooldown", &raw.cooldown, defaults.cooldown),
        reminder: or("reminder", &raw.reminder, defaults.reminder),
        stopped_after: or("stopped_after", &raw.stopped_after, defaults.stopped_after),
        unknown_after: or("unknown_after", &raw.unknown_after, defaults.unknown_after),
        dry_run: raw.dry_run.unwrap_or(defaults.dry_run),
    }
}
