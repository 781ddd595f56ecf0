//! Uptime and history, with the keys of the snapshot.

use super::{SCHEMA_VERSION, Word};
use crate::render::history::{Change, Changes, Entry, Number, Said, Timeline};
use crate::render::uptime::{Row, Uptime};
use healthcheck_core::history::trend::Trend;
use healthcheck_core::history::{Course, Window};
use healthcheck_core::{Evidence, Transition};
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;

/// How subjects were.
#[derive(Debug, Serialize)]
pub(super) struct UptimeDocument<'a> {
    schema_version: u32,
    timestamp: Timestamp,
    host: &'a str,
    /// The last instant at which somebody looked.
    observed_until: Option<Timestamp>,
    subjects: Vec<SubjectUptime<'a>>,
}

#[derive(Debug, Serialize)]
struct SubjectUptime<'a> {
    kind: &'static str,
    name: &'a str,
    /// Nothing where it is no longer known.
    status: Option<Word>,
    cause: Option<&'static str>,
    windows: Vec<Share>,
}

/// For how long it was how in a window.
#[derive(Debug, Serialize)]
struct Share {
    /// How long the window is.
    window_s: f64,
    from: Timestamp,
    to: Timestamp,
    up_s: f64,
    degraded_s: f64,
    down_s: f64,
    planned_s: f64,
    not_observed_s: f64,
    /// Up and degraded, of those and down; nothing where there was none of it.
    uptime_ratio: Option<f64>,
    /// The same if it had been down while nobody looked.
    lowest_ratio: Option<f64>,
    /// The same if it had been up while nobody looked.
    highest_ratio: Option<f64>,
    /// The observed share of the window.
    coverage_ratio: Option<f64>,
    outages: usize,
    longest_outage_s: Option<f64>,
}

impl<'a> UptimeDocument<'a> {
    pub(super) fn of(page: &'a Uptime) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            timestamp: page.at,
            host: &page.host,
            observed_until: page.observed_until,
            subjects: page.rows.iter().map(|row| SubjectUptime::of(row, &page.periods)).collect(),
        }
    }
}

impl<'a> SubjectUptime<'a> {
    fn of(row: &'a Row, periods: &[Window]) -> Self {
        Self {
            kind: row.subject.kind.as_str(),
            name: &row.subject.name,
            status: row.verdict.map(|(status, _)| status.into()),
            cause: row.verdict.map(|(_, cause)| cause.as_str()),
            windows: periods.iter().map(|period| Share::of(&row.course, *period)).collect(),
        }
    }
}

impl Share {
    fn of(course: &Course, window: Window) -> Self {
        let (all, outages) = (course.availability(window), course.outages(window));
        let bounds = course.availability(course.known(window)).bounds();
        Self {
            window_s: window.length().as_secs_f64(),
            from: window.from,
            to: window.to,
            up_s: all.up.as_secs_f64(),
            degraded_s: all.degraded.as_secs_f64(),
            down_s: all.down.as_secs_f64(),
            planned_s: all.planned.as_secs_f64(),
            not_observed_s: all.not_observed.as_secs_f64(),
            uptime_ratio: all.ratio(),
            lowest_ratio: bounds.map(|(lowest, _)| lowest),
            highest_ratio: bounds.map(|(_, highest)| highest),
            coverage_ratio: all.coverage(),
            outages: outages.len(),
            longest_outage_s: outages.iter().map(|outage| outage.length()).max().map(|it| it.as_secs_f64()),
        }
    }
}

/// What changed.
#[derive(Debug, Serialize)]
pub(super) struct ChangesDocument<'a> {
    schema_version: u32,
    timestamp: Timestamp,
    host: &'a str,
    from: Timestamp,
    to: Timestamp,
    /// The newest first.
    changes: Vec<Changed<'a>>,
    /// Older ones that are not shown.
    left_out: u64,
}

#[derive(Debug, Serialize)]
struct Changed<'a> {
    kind: &'static str,
    name: &'a str,
    at: Timestamp,
    /// Nothing where nothing is known from before.
    from: Option<Word>,
    to: Word,
    cause: &'static str,
    /// For how long it was so; nothing where it still is.
    lasted_s: Option<f64>,
    #[serde(flatten)]
    judged: Option<Judged<'a>>,
    /// The heartbeats that confirmed it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeats: Option<Heartbeats<'a>>,
}

/// What was written down when it was judged.
#[derive(Debug, Serialize)]
struct Judged<'a> {
    message: &'a str,
    since: Timestamp,
    reasons: &'a [Cow<'static, str>],
    evidence: &'a Evidence,
    is_healed_by_supervisor: bool,
    is_flapping: bool,
}

/// Heartbeats, or looks, that found the same.
#[derive(Debug, Serialize)]
struct Heartbeats<'a> {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    current_task: Option<&'a str>,
}

impl<'a> ChangesDocument<'a> {
    pub(super) fn of(page: &'a Changes) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            timestamp: page.at,
            host: &page.host,
            from: page.window.from,
            to: page.window.to,
            changes: page.changes.iter().map(Changed::of).collect(),
            left_out: page.more,
        }
    }
}

impl<'a> Changed<'a> {
    fn of(change: &'a Change) -> Self {
        Self {
            kind: change.subject.kind.as_str(),
            name: &change.subject.name,
            at: change.at,
            from: change.from.map(Word::from),
            to: change.to.into(),
            cause: change.cause.as_str(),
            lasted_s: change.lasted.map(|lasted| lasted.as_secs_f64()),
            judged: change.transition.as_ref().map(Judged::of),
            heartbeats: change.said.as_ref().map(Heartbeats::of),
        }
    }
}

impl<'a> Judged<'a> {
    fn of(transition: &'a Transition) -> Self {
        Self {
            message: &transition.message,
            since: transition.since,
            reasons: &transition.reasons,
            evidence: &transition.evidence,
            is_healed_by_supervisor: transition.is_healed_by_supervisor,
            is_flapping: transition.is_flapping,
        }
    }
}

impl<'a> Heartbeats<'a> {
    fn of(said: &'a Said) -> Self {
        Self {
            count: said.heartbeats,
            first: said.first,
            last: said.last,
            current_task: said.task.as_deref(),
        }
    }
}

/// Everything that is known of one subject.
#[derive(Debug, Serialize)]
pub(super) struct TimelineDocument<'a> {
    schema_version: u32,
    timestamp: Timestamp,
    host: &'a str,
    kind: &'static str,
    name: &'a str,
    /// Nothing where it is no longer known.
    status: Option<Word>,
    cause: Option<&'static str>,
    message: Option<&'a str>,
    since: Option<Timestamp>,
    current_task: Option<&'a str>,
    last_heartbeat: Option<Timestamp>,
    uptime: Share,
    /// The newest first.
    entries: Vec<Happened<'a>>,
    /// Older ones that are not shown.
    left_out: u64,
    numbers: Vec<Numbers<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Happened<'a> {
    Change(Changed<'a>),
    Heartbeats(Heartbeats<'a>),
    Gap { from: Timestamp, to: Timestamp, reason: &'static str },
    Maintenance { from: Timestamp, to: Timestamp },
}

#[derive(Debug, Serialize)]
struct Numbers<'a> {
    metric: &'a str,
    count: u64,
    minimum: f64,
    mean: f64,
    maximum: f64,
    /// Nothing where there are too few to tell.
    trend: Option<Tendency>,
}

#[derive(Debug, Serialize)]
struct Tendency {
    direction: &'static str,
    per_day: f64,
    change_ratio: Option<f64>,
    /// From 0 to 1.
    confidence: f64,
    over_s: f64,
}

impl<'a> TimelineDocument<'a> {
    pub(super) fn of(line: &'a Timeline) -> Self {
        let standing = line.standing.as_ref();
        Self {
            schema_version: SCHEMA_VERSION,
            timestamp: line.at,
            host: &line.host,
            kind: line.subject.kind.as_str(),
            name: &line.subject.name,
            status: standing.map(|it| it.status.into()),
            cause: standing.map(|it| it.cause.as_str()),
            message: standing.map(|it| it.message.as_str()),
            since: standing.map(|it| it.since),
            current_task: standing.and_then(|it| it.task.as_deref()),
            last_heartbeat: standing.and_then(|it| it.last_heartbeat),
            uptime: Share::of(&line.course, line.window),
            entries: line.entries.iter().map(Happened::of).collect(),
            left_out: line.more,
            numbers: line.numbers.iter().map(Numbers::of).collect(),
        }
    }
}

impl<'a> Happened<'a> {
    fn of(entry: &'a Entry) -> Self {
        match entry {
            Entry::Change(change) => Self::Change(Changed::of(change)),
            Entry::Said(said) => Self::Heartbeats(Heartbeats::of(said)),
            Entry::Gap(gap) => Self::Gap { from: gap.from, to: gap.to, reason: gap.reason.as_str() },
            Entry::Maintenance(window) => Self::Maintenance { from: window.from, to: window.to },
        }
    }
}

impl<'a> Numbers<'a> {
    fn of(number: &'a Number) -> Self {
        let Number { metric, all, trend } = number;
        let trend = trend.as_ref().map(Tendency::of);
        let (minimum, maximum) = (all.minimum, all.maximum);
        Self { metric, count: all.count, minimum, mean: all.mean(), maximum, trend }
    }
}

impl Tendency {
    fn of(trend: &Trend) -> Self {
        Self {
            direction: trend.direction.as_str(),
            per_day: trend.per_day,
            change_ratio: trend.change_ratio,
            confidence: trend.confidence,
            over_s: trend.over.as_secs_f64(),
        }
    }
}
