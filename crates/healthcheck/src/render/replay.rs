//! What other alert settings would have sent beside what was sent: totals first, then what would have been missed, then
//! where the two differ.

use super::named;
use super::table::Surface;
use super::text::{fit, pad, printable, width};
use super::why::time;
use health_reporter::Status;
use healthcheck_core::alerts::{Held, NoticeReason};
use healthcheck_core::history::Window;
use healthcheck_core::{Subject, wording};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

/// Differences, and missed incidents, that are listed.
pub(crate) const MAX_LISTED: usize = 20;
/// Names that stand for an incident.
const MAX_NAMED: usize = 3;
const GAP: &str = "  ";

/// Both sides of a window.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The instant at which it is told.
    pub(crate) at: Timestamp,
    pub(crate) window: Window,
    /// What is tried.
    pub(crate) configuration: String,
    pub(crate) sent: Totals,
    pub(crate) tried: Totals,
    /// By name.
    pub(crate) channels: Vec<ChannelTotals>,
    /// Of which nobody would have been told, the oldest first.
    pub(crate) missed: Vec<Missed>,
    /// Every notice of either side, the oldest first.
    pub(crate) told: Vec<Told>,
    /// What is not known.
    pub(crate) remarks: Vec<String>,
}

/// One side.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) notices: usize,
    /// Notices of an error, or worse.
    pub(crate) pages: usize,
    /// Notices of what is fatal: they wake people.
    pub(crate) urgent: usize,
    /// Nights with a page.
    pub(crate) nights_paged: usize,
    /// Nights with something urgent.
    pub(crate) nights_woken: usize,
    /// Incidents of which anybody was told.
    pub(crate) incidents_told: usize,
    pub(crate) incidents_missed: usize,
    /// From the beginning of an incident to the first who was told.
    pub(crate) median_delay: Option<Duration>,
}

/// How many notices a channel got, by reason: that were sent, and that would have been.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelTotals {
    pub(crate) name: String,
    pub(crate) reasons: BTreeMap<NoticeReason, (usize, usize)>,
}

/// An incident of which nobody would have been told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) opened: Timestamp,
    pub(crate) resolved: Option<Timestamp>,
    pub(crate) worst: Status,
    pub(crate) subjects: Vec<Subject>,
    /// Whether somebody was told of it in truth.
    pub(crate) was_told: bool,
    /// What held it back, by channel.
    pub(crate) why: Vec<Why>,
}

/// What kept a channel from being told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) channel: String,
    pub(crate) held: Held,
}

/// One notice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) at: Timestamp,
    pub(crate) channel: String,
    pub(crate) reason: NoticeReason,
    pub(crate) status: Status,
    pub(crate) title: String,
    pub(crate) by: By,
}

/// Who tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// It was sent, and would have been.
    Both,
    /// It was sent, and would not have been.
    Sent,
    /// It would have been sent, and was not.
    Tried,
}

impl Comparison {
    /// Where the two sides differ.
    pub(crate) fn differences(&self) -> impl Iterator<Item = &Told> {
        self.told.iter().filter(|told| told.by != By::Both)
    }
}

impl Missed {
    /// Who, in a few words.
    fn names(&self) -> String {
        let first: Vec<String> =
            self.subjects.iter().take(MAX_NAMED).map(|it| named(it.kind, &it.name)).collect();
        let more = self.subjects.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", printable(&first.join(", ")))
    }

    /// Why nobody is told: what is the same for all channels is said once.
    fn reason(&self) -> String {
        let Some(first) = self.why.first() else { return "over before anybody could be told".to_owned() };
        if self.why.iter().all(|why| why.held == first.held) {
            return printable(&held(&first.held)).into_owned();
        }
        let each = self.why.iter().map(|why| format!("{}: {}", why.channel, held(&why.held)));
        printable(&each.collect::<Vec<_>>().join("; ")).into_owned()
    }
}

/// What was waited for, where it was over before that.
fn held(held: &Held) -> String {
    match held {
        Held::GroupWait | Held::RestartWait | Held::Returning | Held::Grace => format!("over while {held}"),
        held => held.to_string(),
    }
}

/// Writes it for people; times are told in `zone`.
pub(crate) fn write(
    comparison: &Comparison,
    lists_all: bool,
    surface: Surface,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = head(comparison, zone);
    lines.extend(table(&totals(comparison)));
    lines.extend(missed(comparison, lists_all, zone));
    lines.extend(told(comparison, lists_all, zone));
    lines.iter().try_for_each(|line| writeln!(out, "{}", fit(line.trim_end(), surface.columns)))
}

fn head(comparison: &Comparison, zone: &TimeZone) -> Vec<String> {
    let Comparison { at, window, configuration, remarks, .. } = comparison;
    let (from, to) = (time(window.from, *at, zone), time(window.to, *at, zone));
    let mut lines =
        vec![format!("from {from} to {to}, with the alert settings of {}", printable(configuration))];
    lines.extend(remarks.iter().map(|remark| printable(remark).into_owned()));
    lines.push(String::new());
    lines
}

/// What is counted, how much was sent, and how much would have been.
fn totals(comparison: &Comparison) -> Vec<[String; 3]> {
    let (sent, tried) = (&comparison.sent, &comparison.tried);
    let row =
        |what: &str, of: fn(&Totals) -> usize| [what.to_owned(), of(sent).to_string(), of(tried).to_string()];
    let delay = |totals: &Totals| totals.median_delay.map_or_else(|| "-".to_owned(), wording::duration);
    let mut rows = vec![["".to_owned(), "sent".to_owned(), "tried".to_owned()]];
    rows.extend([
        row("notices", |it| it.notices),
        row("pages (error or fatal)", |it| it.pages),
        row("urgent (fatal)", |it| it.urgent),
        row("nights (22-07) with a page", |it| it.nights_paged),
        row("nights (22-07) woken", |it| it.nights_woken),
        row("incidents told", |it| it.incidents_told),
        row("incidents missed", |it| it.incidents_missed),
        ["first notice after (median)".to_owned(), delay(sent), delay(tried)],
    ]);
    for channel in &comparison.channels {
        let name = printable(&channel.name);
        let counts = channel.reasons.iter();
        rows.extend(counts.map(|(reason, (sent, tried))| {
            [format!("{name}: {reason}"), sent.to_string(), tried.to_string()]
        }));
    }
    rows
}

fn table(rows: &[[String; 3]]) -> Vec<String> {
    let column = |at: usize| rows.iter().map(|row| width(&row[at])).max().unwrap_or_default();
    let columns = [column(0), column(1), column(2)];
    let right =
        |text: &str, columns: usize| format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))));
    let line = |[what, sent, tried]: &[String; 3]| {
        format!("{}{GAP}{}{GAP}{}", pad(what, columns[0]), right(sent, columns[1]), right(tried, columns[2]))
    };
    rows.iter().map(line).collect()
}

fn missed(comparison: &Comparison, lists_all: bool, zone: &TimeZone) -> Vec<String> {
    let line = |missed: &Missed| {
        let opened = time(missed.opened, comparison.at, zone);
        let lasted = missed.resolved.and_then(|it| Duration::try_from(it.duration_since(missed.opened)).ok());
        let lasted =
            lasted.map_or_else(|| "still open".to_owned(), |it| format!("for {}", wording::duration(it)));
        let was = if missed.was_told { "" } else { " (nor was it told)" };
        format!("{opened}{GAP}{}{GAP}{}, {lasted}: {}{was}", missed.worst, missed.names(), missed.reason())
    };
    let lines: Vec<String> = comparison.missed.iter().map(line).collect();
    listed("nobody would have been told of", lines, lists_all)
}

fn told(comparison: &Comparison, lists_all: bool, zone: &TimeZone) -> Vec<String> {
    let line = |told: &Told| {
        let by = match told.by {
            By::Both => " ",
            By::Sent => "-",
            By::Tried => "+",
        };
        let (at, channel) = (time(told.at, comparison.at, zone), printable(&told.channel));
        format!("{by} {at}{GAP}{channel}{GAP}{}{GAP}{}", told.reason, printable(&told.title))
    };
    if lists_all {
        let lines = comparison.told.iter().map(line).collect();
        return listed("every notice (- was sent only, + would have been)", lines, true);
    }
    let lines: Vec<String> = comparison.differences().map(line).collect();
    if lines.is_empty() {
        return vec![String::new(), "what was sent is what would have been".to_owned()];
    }
    listed("where they differ (- was sent only, + would have been)", lines, false)
}

/// The last of them below a title.
fn listed(title: &str, mut lines: Vec<String>, lists_all: bool) -> Vec<String> {
    if lines.is_empty() {
        return Vec::new();
    }
    let more = if lists_all { 0 } else { lines.len().saturating_sub(MAX_LISTED) };
    lines.drain(..more);
    let mut all = vec![String::new(), title.to_owned()];
    if more > 0 {
        all.push(format!("{GAP}and {more} more before"));
    }
    all.extend(lines.into_iter().map(|line| format!("{GAP}{line}")));
    all
}

#[cfg(test)]
mod tests;
