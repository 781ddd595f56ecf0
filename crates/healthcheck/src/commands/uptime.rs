//! `healthcheck uptime`: for how much of the time everything worked.

use super::remembered::{Remembered, since};
use super::show::{Shape, show};
use super::store::Opened;
use crate::cli::Format;
use crate::history::Judged;
use crate::render::json;
use crate::render::uptime::{self, Row};
use clap::Args;
use health_reporter::Status;
use health_reporter::directory::Environment;
use healthcheck_core::history::Window;
use healthcheck_core::{Cause, Gap, Subject};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is told where nobody says since when.
const PERIODS_S: [u64; 3] = [86_400, 7 * 86_400, 30 * 86_400];

#[derive(Debug, Args)]
pub(crate) struct Uptime {
    /// Only this service, or anything else that is judged, if need be with its kind: "zmq events"
    #[arg(value_name = "SERVICE")]
    name: Option<String>,
    /// Over this time, as in 90d; otherwise over 24 h, 7 d and 30 d
    #[arg(long, value_name = "DURATION", value_parser = since)]
    since: Option<Duration>,
}

impl Uptime {
    /// Shows on the standard output what a store knows of a machine.
    pub(crate) fn show(
        &self,
        opened: &mut Opened,
        now: Timestamp,
        format: Option<Format>,
        env: &Environment,
    ) -> anyhow::Result<()> {
        let page = self.page(&mut opened.remembered(now)?)?;
        show("uptime", format, env, |shape, out| match shape {
            Shape::Table(surface) => uptime::write(&page, surface, &TimeZone::system(), out),
            Shape::Json { for_people } => json::write_uptime(&page, for_people, out),
        })
    }

    fn page(&self, past: &mut Remembered<'_>) -> anyhow::Result<uptime::Uptime> {
        let now = past.now;
        let lengths =
            self.since.map_or_else(|| PERIODS_S.map(Duration::from_secs).into(), |since| vec![since]);
        let periods: Vec<Window> = lengths.into_iter().map(|length| past.last(length)).collect();
        let longest = periods.last().copied().unwrap_or(Window { from: now, to: now });
        let subject = self.name.as_deref().map(|name| past.subject(name, longest)).transpose()?;
        let rows = rows(past, subject.as_ref(), longest)?;
        let (host, observed_until) = (past.host.to_owned(), past.observed_until);
        Ok(uptime::Uptime { host, at: now, observed_until, periods, rows })
    }
}

/// Services first. Who is no longer known, and was not observed in the window either, is left out.
fn rows(past: &mut Remembered<'_>, subject: Option<&Subject>, window: Window) -> anyhow::Result<Vec<Row>> {
    let gaps = past.gaps(window)?;
    let held = past.statuses(subject)?.into_iter().map(|row| (row.subject, (row.status, row.cause)));
    let held: BTreeMap<Subject, (Status, Cause)> = held.collect();
    let mut judged = past.judged(subject, window)?;
    judged.sort_by(|one, two| one.subject.cmp(&two.subject));
    let row = |judged: Judged| row(past, judged, &gaps, &held);
    let is_told = |row: &Row| {
        row.verdict.is_some() || row.course.availability(window).coverage().is_some_and(|share| share > 0.0)
    };
    Ok(judged.into_iter().map(row).filter(is_told).collect())
}

fn row(
    past: &Remembered<'_>,
    judged: Judged,
    gaps: &[Gap],
    held: &BTreeMap<Subject, (Status, Cause)>,
) -> Row {
    let course = past.course(&judged, gaps);
    Row { verdict: held.get(&judged.subject).copied(), subject: judged.subject, course }
}

#[cfg(test)]
mod tests;
