//! All machines on a terminal: those first that are not there, then those on which something is wrong.

use super::{FleetPicture, MachineView, Presence, ServiceView};
use crate::render::Source;
use crate::render::table::{GAP, Item, NAME_COLUMNS, Row, STATUS_COLUMNS, Surface, Table, symbol};
use crate::render::text::{fit, pad, printable, width};
use health_reporter::Status;
use healthcheck_core::wording;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::io::{self, Write};
use std::time::Duration;

/// Machines that need attention and are shown, each in lines of its own.
const MAX_TROUBLED: usize = 200;
/// Services of one of them that are shown.
const MAX_SERVICES: usize = 8;
/// Machines that are well and are named.
const MAX_WELL: usize = 400;

/// Writes it for people.
pub(crate) fn write(picture: &FleetPicture, surface: Surface, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table { surface, out };
    table.opening(&title(picture), &headline(picture), picture.overall_status())?;
    attention(picture, &mut table)?;
    table.remarks(&picture.remarks)?;
    table.flow("", GAP.len(), &well(picture))
}

fn title(picture: &FleetPicture) -> String {
    let by = match picture.source {
        Source::Monitor { .. } => "",
        Source::Direct | Source::History => " · a look of our own",
    };
    format!("healthcheck fleet  {} · {}{by}", printable(&picture.prefix), machines(picture.machines.len()))
}

fn machines(count: usize) -> String {
    format!("{count} machine{}", if count == 1 { "" } else { "s" })
}

/// `1 of 50 needs attention`
fn headline(picture: &FleetPicture) -> String {
    let is_bad = |view: &&MachineView| view.worst() != Status::Healthy;
    let (total, bad) = (picture.machines.len(), picture.machines.values().filter(is_bad).count());
    let has_remarks = picture.remarks.iter().any(|remark| remark.status != Status::Healthy);
    let but = if has_remarks { ", but remarks need attention" } else { "" };
    match (total, bad) {
        (0, _) => "no machines".to_owned(),
        (1, 0) => format!("it is well{but}"),
        (total, 0) => format!("all {total} are well{but}"),
        (total, 1) => format!("1 of {total} needs attention"),
        (total, bad) => format!("{bad} of {total} need attention"),
    }
}

/// Each machine that needs attention, and below it what is bad there.
fn attention(picture: &FleetPicture, table: &mut Table<'_>) -> io::Result<()> {
    let bad = picture.machines.iter().filter(|(_, view)| view.worst() != Status::Healthy);
    let mut bad: Vec<_> = bad.collect();
    bad.sort_by_key(|(_, view)| (Reverse(view.status), Reverse(view.worst())));
    let columns = columns_of(bad.iter().take(MAX_TROUBLED).map(|(name, _)| *name));
    for (name, view) in bad.iter().take(MAX_TROUBLED) {
        table.row(&row(name, view, picture.timestamp), columns)?;
        services(view, picture.timestamp, table)?;
    }
    and_more(bad.len().saturating_sub(MAX_TROUBLED), "", "machines need attention", table)
}

/// Columns of names that stand below one another.
fn columns_of<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    let longest = names.map(|name| width(&printable(name))).max().unwrap_or(0);
    longest.clamp(*NAME_COLUMNS.start(), *NAME_COLUMNS.end())
}

/// What is bad on a machine, the worst first.
fn services(view: &MachineView, now: Timestamp, table: &mut Table<'_>) -> io::Result<()> {
    let services = view.troubled();
    let shown = || services.iter().take(MAX_SERVICES);
    let columns = columns_of(shown().map(|(name, _)| *name));
    for (name, service) in shown() {
        let label = label(name, service, columns);
        writeln!(table.out, "{GAP}{}", line(&label, service, now, table))?;
    }
    and_more(services.len().saturating_sub(MAX_SERVICES), GAP, "services", table)
}

fn and_more(count: usize, indent: &str, what: &str, table: &mut Table<'_>) -> io::Result<()> {
    if count == 0 { Ok(()) } else { writeln!(table.out, "{indent}and {count} more {what}") }
}

fn row(name: &str, view: &MachineView, now: Timestamp) -> Row {
    let message = printable(&matter(view)).into_owned();
    let message = if needs_since(view) { message + &since(view.since, now) } else { message };
    // Whoever is missed is described by the message.
    let aside = if view.status == Status::Healthy { place(view) } else { String::new() };
    Row { status: view.worst(), name: printable(name).into_owned(), message, aside }
}

/// What is the matter with a machine, in a line.
fn matter(view: &MachineView) -> String {
    if view.status != Status::Healthy {
        let cause = view.cause.as_str();
        return if view.message.is_empty() { cause.to_owned() } else { view.message.clone() };
    }
    match (view.troubled().len(), view.services.len()) {
        (0, _) => format!("says of itself: {}", view.reported),
        (1, 1) => "its only service needs attention".to_owned(),
        (1, all) => format!("1 of {all} services needs attention"),
        (bad, all) => format!("{bad} of {all} services need attention"),
    }
}

const fn needs_since(view: &MachineView) -> bool {
    matches!((view.status, view.presence), (Status::Unknown, _) | (Status::Warning, Presence::Stopped))
}

/// What it is called, and what people wrote about it.
fn place(view: &MachineView) -> String {
    let texts = [&*view.hostname, &*view.description];
    let texts: Vec<_> = texts.iter().filter(|text| !text.is_empty()).map(|text| printable(text)).collect();
    texts.join(", ")
}

fn label(name: &str, service: &ServiceView, columns: usize) -> String {
    let name = pad(&fit(&printable(name), columns), columns);
    format!("{} {name}{GAP}{:STATUS_COLUMNS$}", symbol(service.status), service.status)
}

/// A service that is bad, in one line.
fn line(label: &str, service: &ServiceView, now: Timestamp, table: &Table<'_>) -> String {
    let room = table.surface.columns.saturating_sub(GAP.len());
    if width(label) + GAP.len() >= room {
        return table.coloured(service.status, &fit(label.trim_end(), room));
    }
    let said = if service.message.is_empty() { &service.cause } else { &service.message };
    let mut text = printable(said).into_owned();
    // Of the others the message says it.
    if matches!(&*service.cause, "self_reported" | "threshold" | "probe_failed") {
        text += &service.since.map(|at| since(at, now)).unwrap_or_default();
    }
    if let Some(task) = &service.current_task {
        text = format!("{text}{GAP}task: {}", printable(task));
    }
    let text = fit(&text, room - width(label) - GAP.len()).into_owned();
    format!("{}{GAP}{text}", table.coloured(service.status, label)).trim_end().to_owned()
}

fn since(at: Timestamp, now: Timestamp) -> String {
    held(at, now).map(|held| format!(", for {held}")).unwrap_or_default()
}

fn held(at: Timestamp, now: Timestamp) -> Option<String> {
    let held = Duration::try_from(now.duration_since(at)).ok()?;
    (held >= Duration::from_secs(1)).then(|| wording::duration(held))
}

/// Machines that are well, those that are at rest last.
fn well(picture: &FleetPicture) -> Vec<Item> {
    let well = picture.machines.iter().filter(|(_, view)| view.worst() == Status::Healthy);
    let mut well: Vec<_> = well.collect();
    well.sort_by_key(|(_, view)| view.presence == Presence::Stopped);
    let more = well.len().saturating_sub(MAX_WELL);
    let named = well.into_iter().take(MAX_WELL);
    let mut items: Vec<_> = named
        .map(|(name, view)| Item::of(Status::Healthy, in_short(name, view, picture.timestamp)))
        .collect();
    if more > 0 {
        items.push(Item::plain(format!("and {more} more")));
    }
    items
}

/// `● deimos`, or with its goodbye: `■ mars stopped 5 min ago`.
fn in_short(name: &str, view: &MachineView, now: Timestamp) -> String {
    let name = printable(name);
    if view.presence != Presence::Stopped {
        return format!("{} {name}", symbol(view.status));
    }
    let at = view.last_seen.unwrap_or(view.since);
    let ago = held(at, now).map(|held| format!(" {held} ago")).unwrap_or_default();
    format!("■ {name} stopped{ago}")
}
