//! What keeps a notice back: mutes of an operator, of a schedule, of a cause that is told already, and the rules' own waits.

use crate::history::Window;
use crate::{Kind, Subject};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousTimestamp, TimeZone};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Of a longer time nobody asks when maintenance was.
const MAX_DAYS: usize = 40;

/// Muted by an operator until a time, or while a command runs. Judging and recording go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Counted from 1 in one `state.db`.
    pub id: u64,
    /// Names of subjects; `*` stands for any text.
    pub pattern: String,
    /// Until when, wall time.
    pub until: Timestamp,
    /// The command while which it lasts: whoever runs it moves `until` on.
    pub while_command: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// Who asked for it.
    pub author: String,
    /// When, wall time.
    pub created: Timestamp,
}

impl Silence {
    /// Whether it mutes a subject at an instant.
    #[must_use]
    pub fn covers(&self, subject: &Subject, at: Timestamp) -> bool {
        at < self.until && fits(&self.pattern, &subject.name)
    }
}

/// Local time from `from` up to `until`, across midnight where `until` is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// When it begins.
    pub from: Time,
    /// When it is over.
    pub until: Time,
}

impl Hours {
    /// Whether a local time is in it.
    #[must_use]
    pub fn contains(self, time: Time) -> bool {
        if self.from <= self.until {
            self.from <= time && time < self.until
        } else {
            self.from <= time || time < self.until
        }
    }

    /// When the hours that an instant lies in are over.
    pub(crate) fn end_after(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let local = zone.to_datetime(at);
        let is_today = local.time() < self.until;
        let day = if is_today { Ok(local.date()) } else { local.date().tomorrow() };
        let end = day.map(|day| zone.to_ambiguous_timestamp(day.to_datetime(self.until)));
        // Where an hour comes twice, the first end may have passed.
        let first = end.clone().and_then(AmbiguousTimestamp::compatible).ok().filter(|end| *end > at);
        first.or_else(|| end.and_then(AmbiguousTimestamp::later).ok()).unwrap_or(at)
    }
}

/// Muted by schedule: planned work, at the same hours of some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceWindow {
    /// Names of subjects with `*`; all of them where there is none.
    pub subjects: Vec<String>,
    /// On which days it begins; every day where there is none.
    pub days: Vec<Weekday>,
    /// The hours.
    pub hours: Hours,
}

impl MaintenanceWindow {
    /// Whether it mutes a subject at an instant.
    #[must_use]
    pub fn covers(&self, subject: &Subject, at: Timestamp, zone: &TimeZone) -> bool {
        self.is_meant_for(subject) && self.is_at(at, zone)
    }

    /// Whether it mutes a subject when it is its time.
    #[must_use]
    pub fn is_meant_for(&self, subject: &Subject) -> bool {
        self.subjects.is_empty() || self.subjects.iter().any(|pattern| fits(pattern, &subject.name))
    }

    /// When it was its time, of a time that is no longer than a few days.
    #[must_use]
    pub fn times(&self, within: Window, zone: &TimeZone) -> Vec<Window> {
        let first = zone.to_datetime(within.from).date();
        let day_before = first.yesterday().unwrap_or(first);
        let days = day_before.series(Span::new().days(1)).take(MAX_DAYS);
        let begun = days.take_while(|day| *day <= zone.to_datetime(within.to).date());
        let meant = begun.filter(|day| self.days.is_empty() || self.days.contains(&day.weekday()));
        meant.filter_map(|day| self.time_of(day, zone)?.overlap(within)).collect()
    }

    /// From its beginning on a day to its end.
    fn time_of(&self, day: Date, zone: &TimeZone) -> Option<Window> {
        let end = if self.hours.from > self.hours.until { day.tomorrow().ok()? } else { day };
        let instant = |day: Date, time| zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().ok();
        Some(Window { from: instant(day, self.hours.from)?, to: instant(end, self.hours.until)? })
    }

    /// After midnight it is still the window of the day before.
    pub(super) fn is_at(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let local = zone.to_datetime(at);
        let is_of_yesterday = self.hours.from > self.hours.until && local.time() < self.hours.until;
        let day = if is_of_yesterday { local.date().yesterday() } else { Ok(local.date()) };
        let is_day = self.days.is_empty() || day.is_ok_and(|day| self.days.contains(&day.weekday()));
        is_day && self.hours.contains(local.time())
    }
}

/// Why something is not told, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Held {
    /// No route leads it to the channel.
    NotRouted,
    /// Less than the channel is told of.
    BelowLevel,
    /// The machine has just started.
    Grace,
    /// What is simultaneous is gathered.
    GroupWait,
    /// A supervisor may still bring it back.
    RestartWait,
    /// Its cause is over, and it has time to come back with it.
    Returning,
    /// The subject was told of a short while ago.
    Cooldown,
    /// It changes too often.
    Flapping,
    /// A cause of it is told already.
    Inhibited {
        /// The name of the cause.
        root: String,
    },
    /// An operator muted it.
    Silenced {
        /// The silence.
        id: u64,
    },
    /// It is muted by schedule.
    Maintenance,
    /// It is not urgent enough for this time of the day.
    Quiet,
    /// Too many notices went out: what is due is gathered.
    TooMany,
    /// The channel has another notice to deliver first.
    Busy,
    /// The channel does not work.
    Broken,
    /// Another watcher tells of machines.
    OtherTeller,
    /// It was told to be bad, and nobody here has seen it since.
    Unseen,
    /// The channel's server has what there is to tell.
    Told,
}

impl Held {
    /// Whether somebody wanted it so, until a time of the wall clock.
    pub(crate) const fn is_mute(&self) -> bool {
        matches!(self, Self::Silenced { .. } | Self::Maintenance | Self::Quiet)
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRouted => f.write_str("no route leads there"),
            Self::BelowLevel => f.write_str("below the level of the channel"),
            Self::Grace => f.write_str("the machine has just started (grace)"),
            Self::GroupWait => f.write_str("what is simultaneous is gathered (group_wait)"),
            Self::RestartWait => f.write_str("a supervisor may still bring it back (restart_wait)"),
            Self::Returning => f.write_str("its cause is over, and it may come back too (restart_wait)"),
            Self::Cooldown => f.write_str("it was told of a short while ago (cooldown)"),
            Self::Flapping => f.write_str("it changes too often (flapping)"),
            Self::Inhibited { root } => write!(f, "its cause is told already: {root} (inhibition)"),
            Self::Silenced { id } => write!(f, "muted by silence {id}"),
            Self::Maintenance => f.write_str("muted by a maintenance window"),
            Self::Quiet => f.write_str("quiet hours"),
            Self::TooMany => f.write_str("too many notices: it waits for the next digest"),
            Self::Busy => f.write_str("the notice before it is still being sent"),
            Self::Broken => f.write_str("the channel does not work"),
            Self::OtherTeller => f.write_str("another watcher tells"),
            Self::Unseen => f.write_str("nobody here has seen it since"),
            Self::Told => f.write_str("told"),
        }
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    let after = middle.iter().try_fold(rest, |rest, part| Some(&rest[rest.find(part)? + part.len()..]));
    after.is_some_and(|rest| rest.ends_with(last))
}

/// Whom a channel is told of, from which status on, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Only these kinds; all where there is none.
    pub kinds: Vec<Kind>,
    /// Only names that fit one of these; all where there is none.
    pub subjects: Vec<String>,
    /// The least status.
    pub level: health_reporter::Status,
    /// Local time in which only fatal is told.
    pub quiet: Option<Hours>,
}

impl Route {
    /// Whether it leads a subject somewhere.
    #[must_use]
    pub fn covers(&self, subject: &Subject) -> bool {
        let is_kind = self.kinds.is_empty() || self.kinds.contains(&subject.kind);
        is_kind && (self.subjects.is_empty() || self.subjects.iter().any(|it| fits(it, &subject.name)))
    }
}

/// What was decided of a subject for a channel, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Why it is not told, or that it was.
    pub held: Held,
    /// Since when that is so, wall time.
    pub at: Timestamp,
    /// Until when it is so for sure, wall time, where time alone may change it.
    pub until: Option<Timestamp>,
    /// The notice that tells it.
    pub notice: Option<String>,
}
