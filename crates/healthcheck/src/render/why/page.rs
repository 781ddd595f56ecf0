//! The chain on a terminal.

use super::{Chain, View, people, words};
use crate::render::full_name;
use crate::render::table::{Surface, colour, symbol};
use crate::render::text::{fit, pad, printable, width, wrapped};
use health_reporter::Status;
use healthcheck_core::{ServiceView, Transition, wording};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::time::Duration;

/// Columns of the word on the left.
const LABEL_COLUMNS: usize = 15;
/// Lines that one text may take.
const MAX_LINES: usize = 6;
/// With less room than this beside them, names stand before their texts, and not in a column.
const MIN_TEXT_COLUMNS: usize = 24;
/// Checks that are shown; those that are not healthy come first.
const MAX_CHECKS: usize = 8;
const GAP: &str = "  ";

/// Writes the chain for people; times are told in `zone`.
pub(crate) fn write(chain: &Chain, surface: Surface, zone: &TimeZone, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(surface, out);
    let view = chain.view.subject();
    page.head(chain)?;
    if !view.message.is_empty() {
        page.texts("what", [view.message.as_str()])?;
    }
    page.texts(
        "cause",
        [format!("{}: {}", view.cause.as_str().replace('_', " "), words::of_cause(&chain.view))],
    )?;
    page.texts("since", [moment(view.since, chain.at, zone)])?;
    page.texts("because", &view.reasons)?;
    let evidence = view.evidence.iter().map(|(key, value)| (words::of_key(key), value.to_owned()));
    page.pairs("evidence", evidence.collect())?;
    if let View::Service(service) = &chain.view {
        page.texts("it says", says(service))?;
        page.texts("concerns", concerns(service))?;
    }
    page.texts("looked at", words::looked_at(&chain.view))?;
    page.texts("not looked at", words::not_looked_at(&chain.view))?;
    page.pairs("before", before(chain, zone))?;
    page.texts("incident", people::incident(chain, zone))?;
    page.pairs("told", people::channels(chain, zone))?;
    page.pairs("notices", people::notices(chain, zone))
}

/// What is told of one subject: words on the left, and beside them texts.
pub(in crate::render) struct Page<'a> {
    surface: Surface,
    out: &'a mut dyn Write,
}

impl<'a> Page<'a> {
    pub(in crate::render) const fn new(surface: Surface, out: &'a mut dyn Write) -> Self {
        Self { surface, out }
    }

    fn head(&mut self, chain: &Chain) -> io::Result<()> {
        let view = chain.view.subject();
        self.title(view.status, &full_name(view), &words::of_source(chain))
    }

    /// Who it is and how it is, and on the right or below it whose word that is.
    pub(in crate::render) fn title(&mut self, status: Status, name: &str, source: &str) -> io::Result<()> {
        let columns = self.surface.columns;
        let label = format!("{} {}{GAP}{status}", symbol(status), printable(name));
        let (label, source) = (fit(&label, columns), printable(source));
        let gap = columns.saturating_sub(width(&label) + width(&source));
        let shown = self.coloured(status, &label);
        if gap < GAP.len() {
            writeln!(self.out, "{shown}")?;
            return writeln!(self.out, "{GAP}{}", fit(&source, columns.saturating_sub(GAP.len())));
        }
        writeln!(self.out, "{shown}{}{source}", " ".repeat(gap))
    }

    /// What is ours and fits, as it is.
    pub(in crate::render) fn drawn(&mut self, label: &str, drawing: &str) -> io::Result<()> {
        writeln!(self.out, "{}{drawing}", pad(label, LABEL_COLUMNS))
    }

    /// Texts below one another, beside a label; nothing where there are none.
    pub(in crate::render) fn texts<T: AsRef<str>>(
        &mut self,
        label: &str,
        texts: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        let mut label = label;
        for text in texts {
            self.beside(label, &printable(text.as_ref()))?;
            label = "";
        }
        Ok(())
    }

    /// Named texts, the names in a column of their own where there is room.
    pub(in crate::render) fn pairs(&mut self, label: &str, pairs: Vec<(String, String)>) -> io::Result<()> {
        let longest = pairs.iter().map(|(name, _)| width(&printable(name))).max().unwrap_or(0);
        let room = self.room().saturating_sub(longest + GAP.len());
        let (mut label, mut former) = (label, String::new());
        for (name, text) in pairs {
            let (name, text) = (printable(&name).into_owned(), printable(&text).into_owned());
            if room < MIN_TEXT_COLUMNS {
                self.beside(label, &if name == former { text } else { format!("{name}: {text}") })?;
            } else {
                // Several texts of one name stand below it.
                let shown = if name == former { "" } else { &name };
                let indent = format!("\n{}", " ".repeat(LABEL_COLUMNS + longest + GAP.len()));
                let text = wrapped(&text, room, MAX_LINES).join(&indent);
                let line = format!("{}{}{GAP}{text}", pad(label, LABEL_COLUMNS), pad(shown, longest));
                writeln!(self.out, "{}", line.trim_end())?;
            }
            (label, former) = ("", name);
        }
        Ok(())
    }

    fn beside(&mut self, label: &str, text: &str) -> io::Result<()> {
        let lines = wrapped(text, self.room(), MAX_LINES).join(&format!("\n{}", " ".repeat(LABEL_COLUMNS)));
        writeln!(self.out, "{}", format!("{}{lines}", pad(label, LABEL_COLUMNS)).trim_end())
    }

    pub(in crate::render) const fn room(&self) -> usize {
        self.surface.columns.saturating_sub(LABEL_COLUMNS)
    }

    fn coloured(&self, status: Status, text: &str) -> String {
        if self.surface.colour { format!("{}{text}\u{1b}[0m", colour(status)) } else { text.to_owned() }
    }
}

/// What the service itself says beside its status: its task, and the checks that are not healthy.
fn says(service: &ServiceView) -> Vec<String> {
    let task = service.current_task.iter().map(|task| format!("task: {task}"));
    let inside = service.name_inside.iter().map(|name| format!("its name is {name}"));
    let bad: Vec<_> = service.checks.iter().filter(|check| check.status != Status::Healthy).collect();
    let checks = bad.iter().take(MAX_CHECKS).map(|check| {
        let message = if check.message.is_empty() { String::new() } else { format!(": {}", check.message) };
        format!("{} {} {}{message}", symbol(check.status), check.name, check.status)
    });
    let more = bad.len().saturating_sub(MAX_CHECKS);
    let more = (more > 0).then(|| format!("and {more} more checks that are not healthy"));
    task.chain(inside).chain(checks).chain(more).collect()
}

/// What it has to do with others.
fn concerns(service: &ServiceView) -> Vec<String> {
    let root = service.root.iter().map(|root| format!("it is so because of {root}"));
    let left_out = match service.affects_left_out {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let affected = (!service.affects.is_empty())
        .then(|| format!("also affected: {}{left_out}", service.affects.join(", ")));
    root.chain(affected).collect()
}

/// The last changes: when, and what.
fn before(chain: &Chain, zone: &TimeZone) -> Vec<(String, String)> {
    let told = |transition: &Transition| (time(transition.at, chain.at, zone), change(transition));
    chain.past.transitions.iter().map(told).collect()
}

/// `healthy → error, crashed (signal 9)`: the cause, where the message does not begin with it.
fn change(transition: &Transition) -> String {
    let Transition { from, to, cause, message, .. } = transition;
    let cause = cause.as_str().replace('_', " ");
    let healed = if transition.is_healed_by_supervisor { ", started again by its supervisor" } else { "" };
    let flapping = if transition.is_flapping { ", it changes often" } else { "" };
    let why = match &**message {
        "" => cause,
        message if message.starts_with(&cause) => message.to_owned(),
        message => format!("{cause}: {message}"),
    };
    format!("{from} → {to}{healed}{flapping}, {why}")
}

/// `11:59:57, 3 s ago`
pub(in crate::render) fn moment(then: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let at = time(then, now, zone);
    match Duration::try_from(now.duration_since(then)) {
        Ok(ago) if ago >= Duration::from_secs(1) => format!("{at}, {} ago", wording::duration(ago)),
        _ => format!("{at}, just now"),
    }
}

/// With its day where that is another one.
pub(in crate::render) fn time(then: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (local, today) = (then.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = if local.date() == today.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    local.strftime(format).to_string()
}
