//! `healthcheck history`: what changed, of all or of one with everything that is known of it.

mod fold;
#[cfg(test)]
mod tests;

use super::remembered::{Remembered, since};
use super::show::{Shape, show};
use super::store::Opened;
use crate::cli::Format;
use crate::history::{Series, StatusRow};
use crate::render::history::{self, Changes, Entry, Number, Standing, Timeline};
use crate::render::json;
use clap::Args;
use fold::{OfAll, OfOne};
use health_reporter::directory::Environment;
use healthcheck_core::history::trend::trend;
use healthcheck_core::history::{Bin, Course, Resolution, Window};
use healthcheck_core::{Gap, Subject};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::cmp::Reverse;
use std::time::Duration;

/// How far back is told of all, and of one.
const OF_ALL: Duration = Duration::from_secs(86_400);
const OF_ONE: Duration = Duration::from_secs(7 * 86_400);
/// Up to here minutes tell most, and then hours.
const BY_MINUTES: Duration = Duration::from_secs(36 * 3_600);
const BY_HOURS: Duration = Duration::from_secs(21 * 86_400);

#[derive(Debug, Args)]
pub(crate) struct History {
    /// The service, or anything else that is judged, if need be with its kind: "zmq events"; otherwise all
    #[arg(value_name = "SERVICE")]
    name: Option<String>,
    /// How far back, as in 30d; otherwise 24h of all, 7d of one
    #[arg(long, value_name = "DURATION", value_parser = since)]
    since: Option<Duration>,
    /// How many changes at most, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

impl History {
    /// Shows on the standard output what a store knows of a machine.
    pub(crate) fn show(
        &self,
        opened: &mut Opened,
        now: Timestamp,
        format: Option<Format>,
        env: &Environment,
    ) -> anyhow::Result<()> {
        let mut past = opened.remembered(now)?;
        let zone = TimeZone::system();
        if let Some(name) = &self.name {
            let line = self.timeline(name, &mut past)?;
            return show("history", format, env, |shape, out| match shape {
                Shape::Table(surface) => history::write_timeline(&line, surface, &zone, out),
                Shape::Json { for_people } => json::write_timeline(&line, for_people, out),
            });
        }
        let changes = self.changes(&mut past)?;
        show("history", format, env, |shape, out| match shape {
            Shape::Table(surface) => history::write_changes(&changes, surface, &zone, out),
            Shape::Json { for_people } => json::write_changes(&changes, for_people, out),
        })
    }

    fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    fn changes(&self, past: &mut Remembered<'_>) -> anyhow::Result<Changes> {
        let window = past.last(self.since.unwrap_or(OF_ALL));
        let mut fold = OfAll::new(window.from, self.limit());
        let selection = past.selection(None);
        past.store.openings(&selection, window, &mut |row| fold.take(row))?;
        let (changes, more) = fold.into_changes();
        Ok(Changes { host: past.host.to_owned(), at: past.now, window, changes, more })
    }

    fn timeline(&self, name: &str, past: &mut Remembered<'_>) -> anyhow::Result<Timeline> {
        let length = self.since.unwrap_or(OF_ONE);
        let window = past.last(length);
        let subject = past.subject(name, window)?;
        let gaps = past.gaps(window)?;
        let (course, maintenance) = course(past, &subject, window, &gaps)?;
        let (entries, more) = self.entries(past, &subject, window, gaps, maintenance)?;
        let series = past.store.series(&past.selection(Some(&subject)), resolution(length), window)?;
        Ok(Timeline {
            host: past.host.to_owned(),
            at: past.now,
            window,
            standing: past.statuses(Some(&subject))?.into_iter().next().map(standing),
            course,
            entries,
            more,
            numbers: series.into_iter().filter_map(number).collect(),
            subject,
        })
    }

    /// Everything that happened, the newest first.
    fn entries(
        &self,
        past: &mut Remembered<'_>,
        subject: &Subject,
        window: Window,
        gaps: Vec<Gap>,
        maintenance: Vec<Window>,
    ) -> anyhow::Result<(Vec<Entry>, u64)> {
        let mut fold = OfOne::new(window.from, self.limit());
        let selection = past.selection(Some(subject));
        past.store.runs(&selection, window, &mut |row| fold.take(row))?;
        let (mut entries, more) = fold.into_entries();
        entries.extend(gaps.into_iter().map(Entry::Gap));
        entries.extend(maintenance.into_iter().map(Entry::Maintenance));
        entries.sort_by_key(|entry| Reverse(entry.at()));
        let left_out = entries.len().saturating_sub(self.limit());
        entries.truncate(self.limit());
        Ok((entries, more + left_out as u64))
    }
}

fn course(
    past: &mut Remembered<'_>,
    subject: &Subject,
    window: Window,
    gaps: &[Gap],
) -> anyhow::Result<(Course, Vec<Window>)> {
    let judged = past.judged(Some(subject), window)?.into_iter().next();
    let maintenance = judged.as_ref().map(|judged| judged.maintenance.clone()).unwrap_or_default();
    let course = judged.map(|judged| past.course(&judged, gaps)).unwrap_or_default();
    Ok((course, maintenance))
}

const fn resolution(length: Duration) -> Resolution {
    match length.as_secs() {
        seconds if seconds <= BY_MINUTES.as_secs() => Resolution::Minute,
        seconds if seconds <= BY_HOURS.as_secs() => Resolution::Hour,
        _ => Resolution::Day,
    }
}

fn standing(row: StatusRow) -> Standing {
    Standing {
        status: row.status,
        cause: row.cause,
        message: row.message,
        task: row.current_task,
        since: row.changed_at,
        last_heartbeat: row.last_heartbeat,
    }
}

fn number(series: Series) -> Option<Number> {
    let all = series.bins.iter().copied().reduce(Bin::and)?;
    Some(Number { metric: series.metric, all, trend: trend(&series.bins) })
}
