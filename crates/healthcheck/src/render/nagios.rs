//! The snapshot as the output of a Nagios or Icinga plug-in: one line with performance data, then one a trouble.

use super::gauges::{Gauge, Unit, gauges};
use super::issues::{Issue, issues};
use super::plug_in::{Names, clipped, in_known_unit, measured, seconds, text};
use super::{Picture, full_name, headline};
use health_reporter::Status;
use healthcheck_core::SubjectView;
use std::io::{self, Write};

/// Docker keeps 4,096 bytes of what a health check says, and Nagios 8 KiB.
const FIRST_LINE_BYTES: usize = 4_000;
const OUTPUT_BYTES: usize = 8_000;
/// What the first line takes without its numbers.
const TEXT_BYTES: usize = 1_500;
/// Troubles that the first line names.
const NAMED: usize = 5;
const MESSAGE_BYTES: usize = 200;
const NAME_BYTES: usize = 80;

/// Writes the snapshot as a plug-in does.
pub(crate) fn write(picture: &Picture, out: &mut dyn Write) -> io::Result<()> {
    let issues = issues(picture);
    let first = first_line(picture, &issues);
    writeln!(out, "{first}")?;
    long_output(&issues, OUTPUT_BYTES - first.len()).iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn first_line(picture: &Picture, issues: &[Issue<'_>]) -> String {
    let mut line = clipped(&short_text(picture, issues), TEXT_BYTES) + " |";
    for item in perfdata(picture) {
        if line.len() + 1 + item.len() > FIRST_LINE_BYTES {
            break;
        }
        line = line + " " + &item;
    }
    line
}

fn short_text(picture: &Picture, issues: &[Issue<'_>]) -> String {
    let named: Vec<String> = issues.iter().take(NAMED).map(in_words).collect();
    let more = issues.len() - named.len();
    let mut told = named.join("; ");
    if more > 0 {
        told = format!("{told}; and {more} more");
    }
    let separator = if told.is_empty() { "" } else { ": " };
    format!("HEALTH {} - {}{separator}{told}", word(picture.overall_status()), headline::on_all(picture))
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Healthy => "OK",
        Status::Warning => "WARNING",
        Status::Error | Status::Fatal => "CRITICAL",
        Status::Unknown => "UNKNOWN",
    }
}

fn in_words(issue: &Issue<'_>) -> String {
    let name = clipped(&text(&issue.full_name()), NAME_BYTES);
    format!("{name} {}: {}", issue.status, clipped(&text(issue.message), MESSAGE_BYTES))
}

/// One line a trouble, the worst first, and how many have no room.
fn long_output(issues: &[Issue<'_>], room: usize) -> Vec<String> {
    const LAST_BYTES: usize = 32;
    let (mut lines, mut taken) = (Vec::new(), LAST_BYTES);
    for issue in issues {
        let line = in_words(issue);
        taken += line.len() + 1;
        if taken > room {
            lines.push(format!("and {} more", issues.len() - lines.len()));
            break;
        }
        lines.push(line);
    }
    lines
}

/// The counts, the numbers of the machine, then durations and numbers of looks from outside.
fn perfdata(picture: &Picture) -> Vec<String> {
    let mut names = Names::default();
    let mut items = Vec::new();
    let mut add = |label: &str, measured: Option<String>| {
        items.extend(
            measured.map(|measured| format!("'{}'={measured}", names.take(&self::label(label), ' '))),
        );
    };
    for (label, count) in counts(picture) {
        add(label, Some(format!("{count};;;0")));
    }
    for gauge in gauges(picture) {
        add(&gauge.name(), measured(gauge.value, unit(&gauge), gauge.limits.as_ref(), gauge.max()));
    }
    for view in picture.snapshot.subjects() {
        let took = view.took.and_then(|took| measured(seconds(took), "s", None, None));
        add(&full_name(view), took);
    }
    for view in picture.snapshot.subjects() {
        command_numbers(view).for_each(|(label, measured)| add(&label, measured));
    }
    items
}

fn command_numbers(view: &SubjectView) -> impl Iterator<Item = (String, Option<String>)> {
    view.metrics.iter().map(|metric| {
        let (value, unit) = in_known_unit(metric);
        (format!("{} {}", full_name(view), metric.label), measured(value, unit, None, None))
    })
}

pub(super) const fn counts(picture: &Picture) -> [(&'static str, usize); 6] {
    let counts = picture.snapshot.counts;
    [
        ("total", counts.total),
        ("healthy", counts.healthy),
        ("unknown", counts.unknown),
        ("warning", counts.warning),
        ("error", counts.error),
        ("fatal", counts.fatal),
    ]
}

const fn unit(gauge: &Gauge<'_>) -> &'static str {
    match gauge.unit {
        Unit::Percent => "%",
        Unit::Bytes => "B",
        Unit::Celsius | Unit::Load => "",
    }
}

/// Without what ends a label.
fn label(name: &str) -> String {
    let plain = text(name).replace(['\'', '=', '\u{fffd}'], "_");
    let short = clipped(plain.trim(), NAME_BYTES);
    if short.is_empty() { "_".to_owned() } else { short }
}
