//! Incidents on a terminal: what is wrong first, then the last that are over.

use super::availability::length;
use super::table::{Surface, colour, symbol};
use super::text::{printable, wrapped};
use super::uptime::in_hours;
use super::why::{moment, time};
use super::{Source, named};
use health_reporter::Status;
use healthcheck_core::Subject;
use healthcheck_core::alerts::{Incident, Member};
use healthcheck_core::history::{Repairs, Window};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

const INDENT: &str = "    ";
/// Lines that one subject may take.
const MAX_LINES: usize = 4;
/// Subjects of one incident that are shown.
const MAX_MEMBERS: usize = 20;
/// Subjects of which it is told how soon they were repaired.
const MAX_SUBJECTS: usize = 5;

/// What is wrong, and what was.
#[derive(Debug)]
pub(crate) struct Incidents {
    pub(crate) source: Source,
    /// The instant at which it is told.
    pub(crate) at: Timestamp,
    /// Those that are open, then those that are over, the newest first.
    pub(crate) incidents: Vec<Incident>,
    pub(crate) repairs: Repaired,
}

/// How often something broke in a window, and how soon it was repaired.
#[derive(Debug)]
pub(crate) struct Repaired {
    pub(crate) window: Window,
    pub(crate) all: Repairs,
    pub(crate) by_subject: BTreeMap<Subject, Repairs>,
}

impl Repaired {
    pub(crate) fn of(incidents: &[Incident], window: Window) -> Self {
        let (all, by_subject) = (Repairs::of_all(incidents, window), Repairs::by_subject(incidents, window));
        Self { window, all, by_subject }
    }
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
    repairs(&list.repairs, surface, out)
}

/// How soon all of them were repaired, and below it each subject, those that broke most often first.
fn repairs(repaired: &Repaired, surface: Surface, out: &mut dyn Write) -> io::Result<()> {
    if repaired.all.number == 0 {
        return Ok(());
    }
    let all = format!("in {}: {}", in_hours(repaired.window), in_words(&repaired.all, "incident"));
    block(&all, "", surface, out)?;
    let mut each: Vec<_> = repaired.by_subject.iter().collect();
    each.sort_by_key(|(_, repairs)| Reverse(repairs.number));
    for (subject, repairs) in each.iter().take(MAX_SUBJECTS) {
        let name = printable(&named(subject.kind, &subject.name)).into_owned();
        block(&format!("{name}: {}", in_words(repairs, "failure")), INDENT, surface, out)?;
    }
    match each.len().saturating_sub(MAX_SUBJECTS) {
        0 => Ok(()),
        more => writeln!(out, "{INDENT}and {more} more"),
    }
}

/// `3 incidents, 1 open, MTTR 12 min, MTBF 9 d 23 h, longest 40 min`
fn in_words(repairs: &Repairs, what: &str) -> String {
    let Repairs { number, open, mean_to_repair, mean_between, longest } = repairs;
    let plural = if *number == 1 { "" } else { "s" };
    let open = if *open > 0 { format!(", {open} open") } else { String::new() };
    let part = |word: &str, time: &Option<SignedDuration>| {
        time.map(|time| format!(", {word} {}", length(time))).unwrap_or_default()
    };
    let (mttr, mtbf) = (part("MTTR", mean_to_repair), part("MTBF", mean_between));
    format!("{number} {what}{plural}{open}{mttr}{mtbf}{}", part("longest", longest))
}

fn block(text: &str, indent: &str, surface: Surface, out: &mut dyn Write) -> io::Result<()> {
    let room = surface.columns.saturating_sub(indent.len() + 2);
    let lines = wrapped(text, room, MAX_LINES).join(&format!("\n{indent}  "));
    writeln!(out, "{indent}{lines}")
}

/// `✖ 12  error  since 11:59:57, 3 s ago  ann cares for it`
fn head(incident: &Incident, at: Timestamp, surface: Surface, zone: &TimeZone) -> String {
    let Incident { id, opened, resolved, worst, acknowledged, .. } = incident;
    let shown = if resolved.is_some() { Status::Healthy } else { *worst };
    let when = match resolved {
        None => format!("since {}", moment(*opened, at, zone)),
        Some(resolved) => {
            let lasted = length(resolved.duration_since(*opened));
            format!("from {}, over after {lasted}", time(*opened, at, zone))
        }
    };
    let cared_for = acknowledged
        .as_ref()
        .map(|it| format!("  {} cares for it", printable(&it.author)))
        .unwrap_or_default();
    let text = format!("{} {id}  {worst}  {when}{cared_for}", symbol(shown));
    let lines = wrapped(&text, surface.columns.saturating_sub(INDENT.len()), 2);
    let text = lines.join(&format!("\n{INDENT}"));
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
