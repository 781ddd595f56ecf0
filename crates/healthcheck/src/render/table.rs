//! The snapshot as a table: what is wrong first, status by symbol and word, colour only on top.

mod flow;
mod machine;
mod rows;
#[cfg(test)]
mod tests;

pub(super) use flow::Item;
pub(super) use rows::Row;

use super::text::{fit, pad, printable, width, wrapped};
use super::{Picture, Remark, Source, headline};
use health_reporter::Status;
use healthcheck_core::{SubjectView, wording};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::time::Duration;

/// Columns of a status: the longest word is `healthy` or `warning`.
pub(super) const STATUS_COLUMNS: usize = 7;
pub(super) const NAME_COLUMNS: std::ops::RangeInclusive<usize> = 6..=24;
/// Narrower than this, what stands on the right is left out, or stands on a line of its own.
const MIN_MESSAGE_COLUMNS: usize = 24;
/// Lines that one message may take.
const MAX_MESSAGE_LINES: usize = 6;
pub(super) const GAP: &str = "  ";

/// The surface that is written on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surface {
    pub(crate) columns: usize,
    pub(crate) colour: bool,
}

/// Writes the snapshot for people.
pub(crate) fn write(picture: &Picture, surface: Surface, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table { surface, out };
    table.head(picture)?;
    table.attention(picture)?;
    table.remarks(&picture.remarks)?;
    table.flow("", GAP.len(), &well(picture))?;
    table.flow("resources", GAP.len(), &machine::numbers(picture))?;
    table.flow("zmq", GAP.len() + 1, &machine::endpoints(picture))
}

pub(super) struct Table<'a> {
    pub(super) surface: Surface,
    pub(super) out: &'a mut dyn Write,
}

impl Table<'_> {
    /// What was looked at, and on the right or below it how the whole is.
    fn head(&mut self, picture: &Picture) -> io::Result<()> {
        let mut left = format!("healthcheck  {}", printable(&picture.host));
        if picture.source == Source::History {
            let local = picture.snapshot.timestamp.to_zoned(TimeZone::system());
            left = format!("{left} as of {}", local.strftime("%F %T"));
        }
        for part in picture.project.as_deref().into_iter().chain([picture.mode.as_str()]) {
            left = format!("{left} · {}", printable(part));
        }
        self.opening(&left, &headline::on_all(picture), picture.overall_status())
    }

    /// The first line, or two of them where it is narrow.
    pub(super) fn opening(&mut self, left: &str, right: &str, status: Status) -> io::Result<()> {
        let columns = self.surface.columns;
        let room = columns.saturating_sub(width(right) + GAP.len());
        if room < width(left).min(MIN_MESSAGE_COLUMNS) {
            writeln!(self.out, "{}", fit(left, columns))?;
            return self.lines(status, right, "");
        }
        let left = fit(left, room);
        let gap = columns.saturating_sub(width(&left) + width(right));
        writeln!(self.out, "{left}{}{}", " ".repeat(gap), self.coloured(status, right))
    }

    pub(super) fn remarks(&mut self, remarks: &[Remark]) -> io::Result<()> {
        remarks.iter().try_for_each(|remark| {
            let (symbol, word) = (symbol(remark.status), remark.status.as_str());
            let line =
                format!("{symbol} {}  {word}  {}", printable(&remark.about), printable(&remark.message));
            self.lines(remark.status, &line, GAP)
        })
    }

    /// A text on as many lines as it needs, all but the first of them indented.
    fn lines(&mut self, status: Status, text: &str, indent: &str) -> io::Result<()> {
        let room = self.surface.columns.saturating_sub(indent.len());
        for (number, line) in wrapped(text, room, MAX_MESSAGE_LINES).iter().enumerate() {
            let indent = if number == 0 { "" } else { indent };
            writeln!(self.out, "{indent}{}", self.coloured(status, line))?;
        }
        Ok(())
    }

    /// One row for each that is not healthy, the worst first.
    fn attention(&mut self, picture: &Picture) -> io::Result<()> {
        let rows = rows::of(picture);
        let longest = rows.iter().map(|row| width(&row.name)).max().unwrap_or(0);
        let name_columns = longest.clamp(*NAME_COLUMNS.start(), *NAME_COLUMNS.end());
        rows.iter().try_for_each(|row| self.row(row, name_columns))
    }

    /// On one line with what it was doing, or on as many as the message needs.
    pub(super) fn row(&mut self, row: &Row, name_columns: usize) -> io::Result<()> {
        let name = pad(&fit(&row.name, name_columns), name_columns);
        let label = format!("{} {name}{GAP}{:STATUS_COLUMNS$}", symbol(row.status), row.status);
        let indent = width(&label) + GAP.len();
        let room = self.surface.columns.saturating_sub(indent);
        if room < MIN_MESSAGE_COLUMNS {
            let label = self.coloured(row.status, label.trim_end());
            return writeln!(self.out, "{label}\n{GAP}{}", self.block(&row.message, GAP.len()));
        }
        let label = self.coloured(row.status, &label);
        let aside_room = room.saturating_sub(width(&row.message) + GAP.len());
        if width(&row.message) > room || aside_room < width(&row.aside).min(MIN_MESSAGE_COLUMNS) {
            return writeln!(self.out, "{label}{GAP}{}", self.block(&row.message, indent));
        }
        let aside = fit(&row.aside, aside_room);
        let line = format!("{}{aside}", pad(&row.message, room - width(&aside)));
        writeln!(self.out, "{label}{GAP}{}", line.trim_end())
    }

    /// Lines below one another, the first of which begins where the cursor is.
    fn block(&self, text: &str, indent: usize) -> String {
        let lines = wrapped(text, self.surface.columns.saturating_sub(indent), MAX_MESSAGE_LINES);
        lines.join(&format!("\n{}", " ".repeat(indent)))
    }

    pub(super) fn coloured(&self, status: Status, text: &str) -> String {
        if self.surface.colour { format!("{}{text}\u{1b}[0m", colour(status)) } else { text.to_owned() }
    }
}

/// Services and probes that are well, those that are at rest last.
fn well(picture: &Picture) -> Vec<Item> {
    let mut well: Vec<_> = picture.counted().filter(|view| view.status == Status::Healthy).collect();
    well.sort_by_key(|view| view.cause.is_planned());
    let now = picture.snapshot.timestamp;
    well.into_iter().map(|view| Item::of(view.status, in_short(view, now))).collect()
}

/// `● core`, or with its goodbye: `■ agent stopped 5 min ago`.
fn in_short(view: &SubjectView, now: Timestamp) -> String {
    let name = printable(&view.name);
    if !view.cause.is_planned() {
        return format!("{} {name}", symbol(view.status));
    }
    let ago = held(view, now).map(|held| format!(" {held} ago")).unwrap_or_default();
    format!("■ {name} {}{ago}", view.cause)
}

/// How long it is as it is, where that is a second or more.
fn held(view: &SubjectView, now: Timestamp) -> Option<String> {
    let held = Duration::try_from(now.duration_since(view.since)).ok()?;
    (held >= Duration::from_secs(1)).then(|| wording::duration(held))
}

pub(super) const fn symbol(status: Status) -> &'static str {
    match status {
        Status::Healthy => "●",
        Status::Unknown => "?",
        Status::Warning => "▲",
        Status::Error => "✖",
        Status::Fatal => "‼",
    }
}

pub(super) const fn colour(status: Status) -> &'static str {
    match status {
        Status::Healthy => "\u{1b}[32m",
        Status::Unknown => "\u{1b}[35m",
        Status::Warning => "\u{1b}[33m",
        Status::Error => "\u{1b}[31m",
        Status::Fatal => "\u{1b}[1;31m",
    }
}
