//! Probes and endpoints.

use super::{Picture, Word};
use healthcheck_core::{Evidence, Kind, Metric, SubjectView};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The verdict on something that was looked at from outside.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Look<'a> {
    status: Word,
    /// Why, one of a closed set: `self_reported` where all is well, `probe_failed`, `probe_unavailable`, …
    cause: &'static str,
    /// What it showed, for people.
    message: &'a str,
    /// Since when status and cause are what they are.
    #[schemars(with = "String")]
    since: Timestamp,
    /// The decisions that led to the verdict.
    #[schemars(with = "Vec<&'a str>")]
    reasons: &'a [Cow<'static, str>],
    /// What was seen.
    #[schemars(with = "BTreeMap<&'a str, &'a str>")]
    evidence: &'a Evidence,
    /// How long the look took.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<f64>,
    /// What a command measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Number<'a>>,
}

/// A number that a command measured.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Metric")]
pub(super) struct Number<'a> {
    label: &'a str,
    value: f64,
    /// As the command wrote it: nothing, `s`, `ms`, `us`, `%`, `B`, `KB`, `MB`, `GB`, `TB`, `c`.
    unit: &'a str,
}

pub(super) fn of_kind(picture: &Picture, kind: Kind) -> BTreeMap<&str, Look<'_>> {
    picture.others(kind).map(|view| (&*view.name, Look::of(view))).collect()
}

impl<'a> Look<'a> {
    pub(super) fn of(view: &'a SubjectView) -> Self {
        Self {
            status: view.status.into(),
            cause: view.cause.as_str(),
            message: &view.message,
            since: view.since,
            reasons: &view.reasons,
            evidence: &view.evidence,
            took_ms: took_ms(view),
            metrics: numbers(view),
        }
    }
}

/// To the microsecond.
pub(super) fn took_ms(view: &SubjectView) -> Option<f64> {
    view.took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3)
}

pub(super) fn numbers(view: &SubjectView) -> Vec<Number<'_>> {
    let each = view.metrics.iter();
    each.map(|Metric { label, value, unit }| Number { label, value: *value, unit }).collect()
}
