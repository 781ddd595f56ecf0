//! The changes of all, a row each.

use super::{Change, Changes};
use crate::render::availability::length;
use crate::render::named;
use crate::render::table::{Surface, colour, symbol};
use crate::render::text::{fit, pad, printable, width, wrapped};
use crate::render::uptime::in_hours;
use crate::render::why::time;
use health_reporter::Status;
use jiff::tz::TimeZone;
use std::io::{self, Write};

const MAX_NAME_COLUMNS: usize = 24;
/// With less room than this for what is the matter, it stands below.
const MIN_WHY_COLUMNS: usize = 24;
/// Lines that one change may take of what is the matter.
const MAX_LINES: usize = 3;
const GAP: &str = "  ";
const INDENT: usize = 4;

/// Writes them for people; times are told in `zone`.
pub(crate) fn write(
    page: &Changes,
    surface: Surface,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> io::Result<()> {
    let over = in_hours(page.window);
    let head = format!("history{GAP}{}{GAP}the last {over}", printable(&page.host));
    writeln!(out, "{}", fit(&head, surface.columns))?;
    if page.changes.is_empty() {
        return writeln!(out, "nothing changed in that time");
    }
    let rows: Vec<Row> = page.changes.iter().map(|change| Row::of(change, page, zone)).collect();
    let layout = Layout::of(&rows, surface);
    rows.iter().try_for_each(|row| layout.write(row, out))?;
    if page.more > 0 {
        writeln!(out, "and {} more", page.more)?;
    }
    Ok(())
}

struct Row {
    time: String,
    sign: &'static str,
    status: Status,
    name: String,
    step: String,
    lasted: String,
    why: String,
}

impl Row {
    fn of(change: &Change, page: &Changes, zone: &TimeZone) -> Self {
        let sign = if change.cause.is_planned() { "■" } else { symbol(change.to) };
        Self {
            time: time(change.at, page.at, zone),
            sign,
            status: change.to,
            name: printable(&named(change.subject.kind, &change.subject.name)).into_owned(),
            step: change.step(),
            lasted: length(change.lasted_until(page.at)),
            why: printable(&change.why()).into_owned(),
        }
    }
}

struct Layout {
    surface: Surface,
    time: usize,
    name: usize,
    step: usize,
    lasted: usize,
}

impl Layout {
    fn of(rows: &[Row], surface: Surface) -> Self {
        let widest = |text: fn(&Row) -> &str| rows.iter().map(|row| width(text(row))).max().unwrap_or(0);
        Self {
            surface,
            time: widest(|row| &row.time),
            name: widest(|row| &row.name).min(MAX_NAME_COLUMNS),
            step: widest(|row| &row.step),
            lasted: widest(|row| &row.lasted),
        }
    }

    fn write(&self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        let columns = [self.name + GAP.len(), self.step, self.lasted, 0];
        let indent = self.time + columns.iter().map(|columns| GAP.len() + columns).sum::<usize>();
        let room = self.surface.columns.saturating_sub(indent);
        if room < MIN_WHY_COLUMNS {
            return self.write_narrow(row, out);
        }
        let name = pad(&fit(&row.name, self.name), self.name);
        let (time, step, lasted) =
            (pad(&row.time, self.time), pad(&row.step, self.step), pad(&row.lasted, self.lasted));
        let why = wrapped(&row.why, room, MAX_LINES).join(&format!("\n{}", " ".repeat(indent)));
        let line = format!("{name}{GAP}{step}{GAP}{lasted}{GAP}{why}");
        writeln!(out, "{time}{GAP}{} {}", self.sign(row), line.trim_end())
    }

    fn write_narrow(&self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        let head = format!("{}{GAP}{}", row.name, row.time);
        let room = self.surface.columns.saturating_sub(INDENT);
        writeln!(out, "{} {}", self.sign(row), fit(&head, self.surface.columns.saturating_sub(2)))?;
        let what = format!("{} for {}, {}", row.step, row.lasted, row.why);
        let mut lines = wrapped(&what, room, MAX_LINES + 1).into_iter();
        lines.try_for_each(|line| writeln!(out, "{}{line}", " ".repeat(INDENT)))
    }

    fn sign(&self, row: &Row) -> String {
        let Row { sign, status, .. } = row;
        if self.surface.colour { format!("{}{sign}\u{1b}[0m", colour(*status)) } else { (*sign).to_owned() }
    }
}
