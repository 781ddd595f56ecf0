//! A comparison of alert settings, with the keys of the snapshot.

use super::{SCHEMA_VERSION, Word};
use crate::render::replay::{By, Comparison, MAX_LISTED, Missed, Told, Totals};
use healthcheck_core::alerts::Held;
use healthcheck_core::history::Window;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema_version: u32,
    timestamp: Timestamp,
    window: Window,
    configuration: &'a str,
    remarks: &'a [String],
    sent: Side,
    tried: Side,
    /// By channel, by reason.
    channels: BTreeMap<&'a str, BTreeMap<&'static str, Counts>>,
    missed: Vec<Unheard<'a>>,
    missed_left_out: usize,
    differences: Vec<Line<'a>>,
    differences_left_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    notices: Option<Vec<Line<'a>>>,
}

#[derive(Debug, Serialize)]
struct Counts {
    sent: usize,
    tried: usize,
}

#[derive(Debug, Serialize)]
struct Side {
    notices: usize,
    pages: usize,
    urgent: usize,
    nights_paged: usize,
    nights_woken: usize,
    incidents_told: usize,
    incidents_missed: usize,
    median_delay_s: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Unheard<'a> {
    opened: Timestamp,
    resolved: Option<Timestamp>,
    worst: Word,
    subjects: Vec<Named<'a>>,
    was_told: bool,
    /// By channel.
    why: BTreeMap<&'a str, &'a Held>,
}

#[derive(Debug, Serialize)]
struct Named<'a> {
    kind: &'static str,
    name: &'a str,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    at: Timestamp,
    channel: &'a str,
    reason: &'static str,
    status: Word,
    title: &'a str,
    /// `sent`, `tried`, or `both`.
    by: &'static str,
}

impl<'a> Document<'a> {
    pub(super) fn of(comparison: &'a Comparison, lists_all: bool) -> Self {
        let limit = if lists_all { usize::MAX } else { MAX_LISTED };
        let differences: Vec<&Told> = comparison.differences().collect();
        let missed = last(&comparison.missed, limit);
        let last_differences = last(&differences, limit);
        let counts = |(sent, tried): &(usize, usize)| Counts { sent: *sent, tried: *tried };
        let channels = comparison.channels.iter().map(|channel| {
            let reasons = channel.reasons.iter().map(|(reason, it)| (reason.as_str(), counts(it)));
            (channel.name.as_str(), reasons.collect())
        });
        Self {
            schema_version: SCHEMA_VERSION,
            timestamp: comparison.at,
            window: comparison.window,
            configuration: &comparison.configuration,
            remarks: &comparison.remarks,
            sent: Side::of(&comparison.sent),
            tried: Side::of(&comparison.tried),
            channels: channels.collect(),
            missed: missed.iter().map(Unheard::of).collect(),
            missed_left_out: comparison.missed.len() - missed.len(),
            differences: last_differences.iter().map(|told| Line::of(told)).collect(),
            differences_left_out: differences.len() - last_differences.len(),
            notices: lists_all.then(|| comparison.told.iter().map(Line::of).collect()),
        }
    }
}

fn last<T>(all: &[T], limit: usize) -> &[T] {
    &all[all.len().saturating_sub(limit)..]
}

impl Side {
    fn of(totals: &Totals) -> Self {
        Self {
            notices: totals.notices,
            pages: totals.pages,
            urgent: totals.urgent,
            nights_paged: totals.nights_paged,
            nights_woken: totals.nights_woken,
            incidents_told: totals.incidents_told,
            incidents_missed: totals.incidents_missed,
            median_delay_s: totals.median_delay.map(|delay| delay.as_secs_f64()),
        }
    }
}

impl<'a> Unheard<'a> {
    fn of(missed: &'a Missed) -> Self {
        let named = missed.subjects.iter().map(|it| Named { kind: it.kind.as_str(), name: &it.name });
        Self {
            opened: missed.opened,
            resolved: missed.resolved,
            worst: missed.worst.into(),
            subjects: named.collect(),
            was_told: missed.was_told,
            why: missed.why.iter().map(|why| (why.channel.as_str(), &why.held)).collect(),
        }
    }
}

impl<'a> Line<'a> {
    fn of(told: &'a Told) -> Self {
        let by = match told.by {
            By::Both => "both",
            By::Sent => "sent",
            By::Tried => "tried",
        };
        let Told { at, channel, reason, status, title, .. } = told;
        Self { at: *at, channel, reason: reason.as_str(), status: (*status).into(), title, by }
    }
}
