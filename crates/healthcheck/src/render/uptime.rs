//! Uptime on a terminal: for each subject a bar, and for how much of the time it worked.

use super::availability::{LEGEND, bar, coverage, length, ratio};
use super::named;
use super::table::{Surface, colour, symbol};
use super::text::{fit, pad, printable, width, wrapped};
use super::why::moment;
use health_reporter::Status;
use healthcheck_core::history::{Course, Window};
use healthcheck_core::{Cause, Subject};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::io::{self, Write};

const NAME_COLUMNS: std::ops::RangeInclusive<usize> = 6..=24;
/// A bar of fewer cells stands on a line of its own.
const MIN_CELLS: usize = 12;
const MAX_CELLS: usize = 60;
/// Later than this, nobody looks any more.
const LOOKED_LATELY: SignedDuration = SignedDuration::from_mins(2);
const INDENT: &str = "  ";
const GAP: &str = "  ";

/// How subjects were, over one time or several.
#[derive(Debug)]
pub(crate) struct Uptime {
    pub(crate) host: String,
    /// The instant at which it is told.
    pub(crate) at: Timestamp,
    /// The last instant at which somebody looked; nothing where nobody ever did.
    pub(crate) observed_until: Option<Timestamp>,
    /// The shortest first; the bar is of the longest.
    pub(crate) periods: Vec<Window>,
    /// In the order in which they are shown.
    pub(crate) rows: Vec<Row>,
}

/// One subject.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    /// How it is; nothing where it is no longer known.
    pub(crate) verdict: Option<(Status, Cause)>,
    pub(crate) course: Course,
}

impl Uptime {
    fn longest(&self) -> Window {
        self.periods.last().copied().unwrap_or(Window { from: self.at, to: self.at })
    }
}

/// Writes it for people; times are told in `zone`.
pub(crate) fn write(page: &Uptime, surface: Surface, zone: &TimeZone, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", fit(&format!("uptime{GAP}{}", printable(&page.host)), surface.columns))?;
    for line in unseen(page, zone).iter().flat_map(|text| wrapped(text, surface.columns, 3)) {
        writeln!(out, "{line}")?;
    }
    if page.rows.is_empty() {
        return writeln!(out, "nothing is known of that time");
    }
    let rows: Vec<Cells> = page.rows.iter().map(|row| Cells::of(row, page)).collect();
    match Layout::of(&rows, page, surface) {
        Some(layout) => layout.write(&rows, page, surface, out)?,
        None => rows.iter().try_for_each(|row| row.write_narrow(page, surface, out))?,
    }
    let legend = LEGEND.split(GAP).map(str::to_owned);
    lines_of(legend, surface.columns).iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// How long it is: one day and two are told in hours.
pub(super) fn in_hours(window: Window) -> String {
    let hours = window.length().as_hours();
    let is_whole = window.length() == SignedDuration::from_hours(hours);
    if is_whole && (1..=48).contains(&hours) { format!("{hours} h") } else { length(window.length()) }
}

/// That nobody looks now.
fn unseen(page: &Uptime, zone: &TimeZone) -> Option<String> {
    let Some(until) = page.observed_until else { return Some("nobody has looked yet".to_owned()) };
    let is_late = page.at.duration_since(until) > LOOKED_LATELY;
    is_late.then(|| format!("nobody has looked since {}", moment(until, page.at, zone)))
}

/// What is written of one subject.
struct Cells<'a> {
    row: &'a Row,
    name: String,
    /// One for each period.
    ratios: Vec<String>,
    /// Of the longest period, where that was not observed as a whole.
    coverage: String,
    outages: String,
}

impl<'a> Cells<'a> {
    fn of(row: &'a Row, page: &Uptime) -> Self {
        let known = |period: &Window| row.course.availability(row.course.known(*period));
        let longest = row.course.availability(page.longest());
        let number = row.course.outages(page.longest()).len();
        let outages =
            if number == 0 { "0".to_owned() } else { format!("{number}, {}", length(longest.down)) };
        Self {
            row,
            name: printable(&named(row.subject.kind, &row.subject.name)).into_owned(),
            ratios: page.periods.iter().map(|period| ratio(&known(period))).collect(),
            coverage: coverage(&longest).unwrap_or_default(),
            outages,
        }
    }

    fn label(&self, columns: usize, surface: Surface) -> String {
        let (sign, colour) = match self.row.verdict {
            Some((status, cause)) if cause.is_planned() => ("■", colour(status)),
            Some((status, _)) => (symbol(status), colour(status)),
            None => (" ", ""),
        };
        let name = pad(&fit(&self.name, columns), columns);
        if surface.colour { format!("{colour}{sign}\u{1b}[0m {name}") } else { format!("{sign} {name}") }
    }

    /// Below each other: the name, the bar, the numbers.
    fn write_narrow(&self, page: &Uptime, surface: Surface, out: &mut dyn Write) -> io::Result<()> {
        let room = surface.columns.saturating_sub(INDENT.len());
        let name_columns = width(&self.name).min(room);
        writeln!(out, "{}", self.label(name_columns, surface))?;
        let cells = self.row.course.bar(page.longest(), room.min(MAX_CELLS / 2));
        writeln!(out, "{INDENT}{}", bar(&cells, surface))?;
        let named = page.periods.iter().zip(&self.ratios);
        let ratios = named.map(|(period, ratio)| format!("{} {ratio}", in_hours(*period)));
        let observed = (!self.coverage.is_empty()).then(|| format!("observed {}", self.coverage));
        let rest = observed.into_iter().chain([format!("outages {}", self.outages)]);
        lines_of(ratios.chain(rest), room).iter().try_for_each(|line| writeln!(out, "{INDENT}{line}"))
    }
}

/// Items one after the other, none of them broken where it fits.
fn lines_of(items: impl Iterator<Item = String>, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if width(line) + GAP.len() + width(&item) <= room => {
                *line = format!("{line}{GAP}{item}");
            }
            _ => lines.push(fit(&item, room).into_owned()),
        }
    }
    lines
}

/// How wide each column is, where a bar has room beside them.
struct Layout {
    name: usize,
    cells: usize,
    headings: Vec<String>,
    ratios: Vec<usize>,
    coverage: usize,
    outages: usize,
}

impl Layout {
    fn of(rows: &[Cells<'_>], page: &Uptime, surface: Surface) -> Option<Self> {
        let widest = |text: &dyn for<'a> Fn(&'a Cells<'_>) -> &'a str| {
            rows.iter().map(|row| width(text(row))).max().unwrap_or_default()
        };
        let headings: Vec<String> = page.periods.iter().copied().map(in_hours).collect();
        let of_ratio = |at: usize| widest(&|row| &row.ratios[at]).max(width(&headings[at]));
        let ratios: Vec<usize> = (0..headings.len()).map(of_ratio).collect();
        let coverage = match widest(&|row| &row.coverage) {
            0 => 0,
            columns => columns.max("observed".len()),
        };
        let outages = widest(&|row| &row.outages).max("outages".len());
        let name = widest(&|row| &row.name).clamp(*NAME_COLUMNS.start(), *NAME_COLUMNS.end());
        let columns = ratios.iter().copied().chain([coverage, outages]).filter(|columns| *columns > 0);
        let beside: usize = columns.map(|columns| columns + GAP.len()).sum();
        let cells = surface.columns.checked_sub(INDENT.len() + name + GAP.len() + beside)?.min(MAX_CELLS);
        (cells >= MIN_CELLS).then_some(Self { name, cells, headings, ratios, coverage, outages })
    }

    fn write(
        &self,
        rows: &[Cells<'_>],
        page: &Uptime,
        surface: Surface,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let over = page.longest();
        let heading = pad(&fit(&format!("the last {}", in_hours(over)), self.cells), self.cells);
        let headings = self.columns(&self.headings, "observed", "outages");
        writeln!(out, "{INDENT}{}{GAP}{heading}{headings}", pad("", self.name))?;
        rows.iter().try_for_each(|row| {
            let bar = bar(&row.row.course.bar(over, self.cells), surface);
            let columns = self.columns(&row.ratios, &row.coverage, &row.outages);
            writeln!(out, "{}{GAP}{bar}{columns}", row.label(self.name, surface))
        })
    }

    /// What stands on the right of the bar.
    fn columns(&self, ratios: &[String], coverage: &str, outages: &str) -> String {
        let ratios = ratios.iter().map(String::as_str).zip(self.ratios.iter().copied());
        let all = ratios.chain([(coverage, self.coverage), (outages, self.outages)]);
        let shown = all.filter(|(_, columns)| *columns > 0).map(|(text, columns)| {
            let blanks = " ".repeat(columns.saturating_sub(width(text)));
            format!("{GAP}{blanks}{text}")
        });
        shown.collect()
    }
}

#[cfg(test)]
mod tests;
