//! Everything that is known of one subject.

use super::{Change, Entry, Number, Said, Timeline};
use crate::render::availability::{bar, coverage, length, ratio};
use crate::render::named;
use crate::render::table::{Surface, symbol};
use crate::render::text::fit;
use crate::render::uptime::in_hours;
use crate::render::why::{Page, moment, of_key, time};
use health_reporter::Status;
use healthcheck_core::history::Window;
use healthcheck_core::{Gap, GapReason, Kind, wording};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{self, Write};

const MAX_CELLS: usize = 60;
/// Pieces of evidence that are shown of one change.
const MAX_EVIDENCE: usize = 4;
/// Columns that one piece of evidence may take in all.
const MAX_EVIDENCE_COLUMNS: usize = 160;

/// Writes it for people; times are told in `zone`.
pub(crate) fn write(
    line: &Timeline,
    surface: Surface,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut page = Page::new(surface, out);
    let status = line.standing.as_ref().map_or(Status::Unknown, |standing| standing.status);
    page.title(status, &named(line.subject.kind, &line.subject.name), &line.host)?;
    head(line, zone, &mut page)?;
    let cells = line.course.bar(line.window, page.room().min(MAX_CELLS));
    page.drawn(&in_hours(line.window), &bar(&cells, surface))?;
    page.texts("", [share(line)])?;
    page.pairs("changes", entries(line, zone))?;
    let more = (line.more > 0).then(|| format!("and {} more", line.more));
    page.texts("", more)?;
    page.pairs("numbers", line.numbers.iter().map(number).collect())
}

/// How it is, and what it is doing.
fn head(line: &Timeline, zone: &TimeZone, page: &mut Page<'_>) -> io::Result<()> {
    let Some(standing) = &line.standing else {
        return page.texts("what", ["it is no longer known"]);
    };
    let cause = standing.cause.as_str().replace('_', " ");
    let what = Some(standing.message.as_str()).filter(|message| !message.is_empty());
    page.texts("what", [what.unwrap_or(&cause)])?;
    page.texts("since", [moment(standing.since, line.at, zone)])?;
    page.texts("task", &standing.task)?;
    page.texts("last beat", standing.last_heartbeat.map(|beat| moment(beat, line.at, zone)))
}

/// `99.95 %, observed 98.2 %, 2 outages of 12 min in all`
fn share(line: &Timeline) -> String {
    let all = line.course.availability(line.window);
    let observed = coverage(&all).map(|share| format!(", observed {share}")).unwrap_or_default();
    let outages = match line.course.outages(line.window).len() {
        0 => String::new(),
        1 => format!(", 1 outage of {}", length(all.down)),
        number => format!(", {number} outages of {} in all", length(all.down)),
    };
    let ratio = ratio(&line.course.availability(line.course.known(line.window)));
    let up = if ratio.ends_with('%') { " up" } else { "" };
    format!("{ratio}{up}{observed}{outages}")
}

/// When, and what. Texts of the same instant stand below each other.
fn entries(line: &Timeline, zone: &TimeZone) -> Vec<(String, String)> {
    let told = |entry: &Entry| {
        let at = time(entry.at(), line.at, zone);
        texts(entry, line, zone).into_iter().map(move |text| (at.clone(), text))
    };
    line.entries.iter().flat_map(told).collect()
}

fn texts(entry: &Entry, line: &Timeline, zone: &TimeZone) -> Vec<String> {
    match entry {
        Entry::Change(change) => of_change(change, line, zone),
        Entry::Said(said) => vec![of_said(said, line, zone)],
        Entry::Gap(gap) => vec![of_gap(gap, line.at, zone)],
        Entry::Maintenance(Window { to, .. }) => {
            vec![format!("■ maintenance until {}", time(*to, line.at, zone))]
        }
    }
}

/// The change, below it what confirmed it first and what was seen.
fn of_change(change: &Change, line: &Timeline, zone: &TimeZone) -> Vec<String> {
    let lasted = length(change.lasted_until(line.at));
    let lasted =
        if change.lasted.is_some() { format!("lasted {lasted}") } else { format!("{lasted} so far") };
    let sign = if change.cause.is_planned() { "■" } else { symbol(change.to) };
    let told = change.transition.as_ref();
    let healed =
        told.filter(|it| it.is_healed_by_supervisor).map_or("", |_| ", started again by its supervisor");
    let flapping = told.filter(|it| it.is_flapping).map_or("", |_| ", it changes often");
    let text = format!("{sign} {}{healed}{flapping}, {}; {lasted}", change.step(), change.why());
    let said = change.said.iter().map(|said| format!("- {}", of_said(said, line, zone)));
    let evidence = told.into_iter().flat_map(|told| told.evidence.iter()).take(MAX_EVIDENCE);
    let evidence = evidence
        .map(|(key, value)| fit(&format!("- {}: {value}", of_key(key)), MAX_EVIDENCE_COLUMNS).into_owned());
    [text].into_iter().chain(said).chain(evidence.filter(|_| change.to != Status::Healthy)).collect()
}

fn of_said(said: &Said, line: &Timeline, zone: &TimeZone) -> String {
    let Said { task, last, heartbeats, .. } = said;
    let what = match (line.subject.kind, heartbeats) {
        (_, 0) => "no heartbeat".to_owned(),
        (Kind::Service, 1) => "1 heartbeat".to_owned(),
        (Kind::Service, number) => format!("{number} heartbeats"),
        (_, number) => format!("seen {number}×"),
    };
    let until =
        if *heartbeats == 0 { String::new() } else { format!(" until {}", time(*last, line.at, zone)) };
    let task = task.as_ref().map(|task| format!(", task: {task}")).unwrap_or_default();
    format!("{what}{until}{task}")
}

fn of_gap(gap: &Gap, now: Timestamp, zone: &TimeZone) -> String {
    let why = match gap.reason {
        GapReason::MonitorDown => "the monitor did not run",
        GapReason::NotKept => "it is kept no longer",
        GapReason::Boot => "the machine booted",
        GapReason::Suspended => "the machine was suspended",
        GapReason::ClockSet => "the clock was set forward",
    };
    let lasted = length(gap.to.duration_since(gap.from));
    format!("· not observed until {} ({lasted}): {why}", time(gap.to, now, zone))
}

/// Its name; its mean and its bounds, and where it goes.
fn number(number: &Number) -> (String, String) {
    let Number { metric, all, trend } = number;
    let value = |value| value_of(metric, value);
    let trend = trend.map(|trend| format!("; {}", trend.words(metric))).unwrap_or_default();
    let range = if all.minimum < all.maximum {
        format!(", {} to {}", value(all.minimum), value(all.maximum))
    } else {
        String::new()
    };
    (metric.clone(), format!("{} on average{range}{trend}", value(all.mean())))
}

/// In the unit that the name ends with.
fn value_of(metric: &str, value: f64) -> String {
    if metric.ends_with("_ratio") {
        return format!("{} %", wording::number(value * 100.0));
    }
    let unit = match metric {
        metric if metric.ends_with("_bytes") => return wording::bytes(value),
        metric if metric.ends_with("_ms") => " ms",
        metric if metric.ends_with("_s") => " s",
        metric if metric.ends_with("_celsius") => " °C",
        _ => "",
    };
    format!("{}{unit}", wording::number(value))
}
