//! Silences on a terminal: what is muted, until when, by whom and why.

use super::Source;
use super::table::Surface;
use super::text::{fit, pad, printable, width};
use super::why::time;
use healthcheck_core::alerts::Silence;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{self, Write};

/// What is muted by an operator.
#[derive(Debug)]
pub(crate) struct Silences {
    pub(crate) source: Source,
    /// The instant at which it is told.
    pub(crate) at: Timestamp,
    /// In the order in which they were asked for.
    pub(crate) silences: Vec<Silence>,
}

/// Writes them for people; times are told in `zone`.
pub(crate) fn write(
    list: &Silences,
    surface: Surface,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> io::Result<()> {
    if matches!(list.source, Source::Direct) {
        writeln!(out, "no monitor runs: this is what the last one left behind")?;
    }
    if list.silences.is_empty() {
        return writeln!(out, "nothing is muted");
    }
    let rows: Vec<[String; 4]> = list.silences.iter().map(|silence| row(silence, list.at, zone)).collect();
    let column = |at: usize| rows.iter().map(|row| width(&row[at])).max().unwrap_or_default();
    let columns = [column(0), column(1), column(2)];
    for [id, pattern, until, why] in &rows {
        let [id, pattern, until] = [pad(id, columns[0]), pad(pattern, columns[1]), pad(until, columns[2])];
        let line = format!("{id}  {pattern}  {until}  {why}");
        writeln!(out, "{}", fit(line.trim_end(), surface.columns))?;
    }
    Ok(())
}

fn row(silence: &Silence, at: Timestamp, zone: &TimeZone) -> [String; 4] {
    let until = match &silence.while_command {
        Some(command) => format!("while {}", printable(command)),
        None => format!("until {}", time(silence.until, at, zone)),
    };
    let reason =
        if silence.reason.is_empty() { String::new() } else { format!(": {}", printable(&silence.reason)) };
    let why = format!("{}{reason}", printable(&silence.author));
    [silence.id.to_string(), printable(&silence.pattern).into_owned(), until, why]
}

#[cfg(test)]
mod tests;
