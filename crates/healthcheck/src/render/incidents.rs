//! Incidents on a terminal: what is wrong first, then the last that are over.

use super::table::{Surface, colour, symbol};
use super::text::{fit, printable, wrapped};
use super::why::{moment, time};
use super::{Source, named};
use health_reporter::Status;
use healthcheck_core::alerts::{Incident, Member};
use healthcheck_core::wording;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::time::Duration;

const INDENT: &str = "    ";
/// Lines that one subject may take.
const MAX_LINES: usize = 4;
/// Subjects of one incident that are shown.
const MAX_MEMBERS: usize = 20;

/// What is wrong, and what was.
#[derive(Debug)]
pub(crate) struct Incidents {
    pub(crate) source: Source,
    /// The instant at which it is told.
    pub(crate) at: Timestamp,
    /// Those that are open, then those that are over, the newest first.
    pub(crate) incidents: Vec<Incident>,
}

/// Writes them for people; times are told in `zone`.
pub(crate) fn write(
    list: &Incidents,
    surface: Surface,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> io::Result<()> {
    if matches!(list.source, Source::Direct) {
        writeln!(out, "no monitor runs: this is what the last one left behind")?;
    }
    if list.incidents.is_empty() {
        return writeln!(out, "no incidents");
    }
    for incident in &list.incidents {
        writeln!(out, "{}", head(incident, list.at, surface, zone))?;
        for line in incident.members.iter().take(MAX_MEMBERS).flat_map(|member| lines(member, surface)) {
            writeln!(out, "{INDENT}{line}")?;
        }
        let more = incident.members.len().saturating_sub(MAX_MEMBERS);
        if more > 0 {
            writeln!(out, "{INDENT}and {more} more")?;
        }
    }
    Ok(())
}

/// `✖ 12  error  since 11:59:57, 3 s ago  ann cares for it`
fn head(incident: &Incident, at: Timestamp, surface: Surface, zone: &TimeZone) -> String {
    let Incident { id, opened, resolved, worst, acknowledged, .. } = incident;
    let shown = if resolved.is_some() { Status::Healthy } else { *worst };
    let when = match resolved {
        None => format!("since {}", moment(*opened, at, zone)),
        Some(resolved) => {
            let lasted = Duration::try_from(resolved.duration_since(*opened)).unwrap_or_default();
            format!("from {}, over after {}", time(*opened, at, zone), wording::duration(lasted))
        }
    };
    let cared_for = acknowledged
        .as_ref()
        .map(|it| format!("  {} cares for it", printable(&it.author)))
        .unwrap_or_default();
    let text = format!("{} {id}  {worst}  {when}{cared_for}", symbol(shown));
    let text = fit(&text, surface.columns).into_owned();
    if surface.colour { format!("{}{text}\u{1b}[0m", colour(shown)) } else { text }
}

/// Who, and what is or was the matter.
fn lines(member: &Member, surface: Surface) -> Vec<String> {
    let name = named(member.subject.kind, &member.subject.name);
    let is_over = if member.recovered.is_some() { "● " } else { "" };
    let label = format!("{is_over}{}  ", printable(&name));
    let cause = member.cause.as_str().replace('_', " ");
    let what = match &*member.message {
        "" => cause,
        message if message.starts_with(&cause) => message.to_owned(),
        message => format!("{cause}: {message}"),
    };
    let indent = INDENT.len() + 2;
    let text = format!("{label}{}", printable(&what));
    let room = surface.columns.saturating_sub(indent);
    let broken = wrapped(&text, room, MAX_LINES).into_iter().enumerate();
    broken.map(|(number, line)| if number == 0 { line } else { format!("  {line}") }).collect()
}

#[cfg(test)]
mod tests;
