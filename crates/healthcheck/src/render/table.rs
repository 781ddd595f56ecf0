//! The snapshot as a table: what is wrong first, status by symbol and word, colour only on top.

use super::text::{fit, pad, printable, width};
use super::{Mode, Picture};
use health_reporter::{State, Status};
use healthcheck_core::{Capacity, Cause, ServiceView, wording};
use jiff::Timestamp;
use std::io::{self, Write};
use std::time::Duration;

/// Columns of a status: the longest word is `healthy` or `warning`.
const STATUS_COLUMNS: usize = 7;
const NAME_COLUMNS: std::ops::RangeInclusive<usize> = 6..=24;
/// Narrower than this, what stands on the right is left out.
const MIN_MESSAGE_COLUMNS: usize = 24;
const GAP: &str = "  ";

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
    table.remarks(picture)?;
    table.well(picture)?;
    table.resources(picture)
}

struct Table<'a> {
    surface: Surface,
    out: &'a mut dyn Write,
}

impl Table<'_> {
    fn head(&mut self, picture: &Picture) -> io::Result<()> {
        let mut left = format!("healthcheck  {}", printable(&picture.host));
        for part in picture.project.as_deref().into_iter().chain([mode(picture.mode)]) {
            left = format!("{left} · {}", printable(part));
        }
        let right = verdict_on_all(picture);
        let left = fit(&left, self.surface.columns.saturating_sub(width(&right) + GAP.len()));
        let gap = self.surface.columns.saturating_sub(width(&left) + width(&right)).max(GAP.len());
        writeln!(self.out, "{left}{}{}", " ".repeat(gap), self.coloured(picture.overall_status(), &right))
    }

    fn remarks(&mut self, picture: &Picture) -> io::Result<()> {
        for remark in &picture.remarks {
            let (symbol, word) = (symbol(remark.status), remark.status.as_str());
            let line = format!("{symbol} {}  {word}  {}", remark.about, printable(&remark.message));
            for (number, part) in wrapped(&line, self.surface.columns).iter().enumerate() {
                let indent = if number == 0 { "" } else { GAP };
                writeln!(self.out, "{indent}{}", self.coloured(remark.status, part))?;
            }
        }
        Ok(())
    }

    /// One line for each that is not healthy, the worst first.
    fn attention(&mut self, picture: &Picture) -> io::Result<()> {
        let mut bad: Vec<_> = picture.snapshot.services.iter().filter(|view| !is_well(view)).collect();
        bad.sort_by_key(|view| std::cmp::Reverse(view.subject.status));
        let longest = bad.iter().map(|view| width(&view.subject.name)).max().unwrap_or(0);
        let name_columns = longest.clamp(*NAME_COLUMNS.start(), *NAME_COLUMNS.end());
        for view in bad {
            self.row(view, name_columns, picture.snapshot.timestamp)?;
        }
        Ok(())
    }

    /// On one line with what it was doing, or on as many as the cause needs.
    fn row(&mut self, view: &ServiceView, name_columns: usize, now: Timestamp) -> io::Result<()> {
        let verdict = &view.subject;
        let name = pad(&fit(&verdict.name, name_columns), name_columns);
        let label = format!("{} {name}{GAP}{:STATUS_COLUMNS$}", symbol(verdict.status), verdict.status);
        let indent = width(&label) + GAP.len();
        let room = self.surface.columns.saturating_sub(indent).max(MIN_MESSAGE_COLUMNS);
        let (message, aside) = (message(view, now), aside(view));
        let label = self.coloured(verdict.status, &label);
        let aside_room = room.saturating_sub(width(&message) + GAP.len());
        if width(&message) > room || aside_room < width(&aside).min(MIN_MESSAGE_COLUMNS) {
            let lines = wrapped(&message, room).join(&format!("\n{}", " ".repeat(indent)));
            return writeln!(self.out, "{label}{GAP}{lines}");
        }
        let aside = fit(&aside, aside_room);
        let line = format!("{}{aside}", pad(&message, room - width(&aside)));
        writeln!(self.out, "{label}{GAP}{}", line.trim_end())
    }

    /// Those that are well, one after the other.
    fn well(&mut self, picture: &Picture) -> io::Result<()> {
        let mut line = 0;
        for view in picture.snapshot.services.iter().filter(|view| is_well(view)) {
            let text = in_short(view, picture.snapshot.timestamp);
            if line > 0 && line + GAP.len() + width(&text) > self.surface.columns {
                writeln!(self.out)?;
                line = 0;
            }
            let gap = if line == 0 { "" } else { GAP };
            write!(self.out, "{gap}{}", self.coloured(view.subject.status, &text))?;
            line += gap.len() + width(&text);
        }
        if line > 0 { writeln!(self.out) } else { Ok(()) }
    }

    fn resources(&mut self, picture: &Picture) -> io::Result<()> {
        let Some(resources) = &picture.resources else { return Ok(()) };
        let memory = resources.memory.map(|memory| format!("memory {}", percent(memory)));
        let swap = resources.swap.map(|swap| format!("swap {}", percent(swap)));
        let load = resources.load.map(|load| format!("load {:.1} of {}", load.one, load.cores));
        let parts: Vec<String> = [memory, swap, load].into_iter().flatten().collect();
        writeln!(self.out, "resources     {}", parts.join(GAP))
    }

    fn coloured(&self, status: Status, text: &str) -> String {
        if self.surface.colour { format!("{}{text}\u{1b}[0m", colour(status)) } else { text.to_owned() }
    }
}

const fn mode(mode: Mode) -> &'static str {
    mode.as_str()
}

fn verdict_on_all(picture: &Picture) -> String {
    let counts = picture.snapshot.counts;
    let bad = counts.total - counts.healthy;
    match (counts.total, bad) {
        (0, _) => "no services".to_owned(),
        (1, 0) => "1 service is well".to_owned(),
        (total, 0) => format!("all {total} are well"),
        (total, 1) => format!("1 of {total} needs attention"),
        (total, bad) => format!("{bad} of {total} need attention"),
    }
}

fn is_well(view: &ServiceView) -> bool {
    view.subject.status == Status::Healthy
}

fn message(view: &ServiceView, now: Timestamp) -> String {
    let verdict = &view.subject;
    let message = if verdict.message.is_empty() { verdict.cause.as_str() } else { &verdict.message };
    let mut text = printable(message).into_owned() + &since_when(view, now);
    if let Some(root) = &view.root {
        text = format!("{text} (because of {})", printable(root));
    }
    if !view.affects.is_empty() {
        text = format!("{text}; also affected: {}", printable(&view.affects.join(", ")));
        if view.affects_left_out > 0 {
            text = format!("{text} and {} more", view.affects_left_out);
        }
    }
    text
}

/// Since when it is so, where the message does not say it already.
fn since_when(view: &ServiceView, now: Timestamp) -> String {
    let Some(held) = held(view, now) else { return String::new() };
    match view.subject.cause {
        Cause::Crashed if view.state == Some(State::Finished) => format!(", {held} ago"),
        Cause::Crashed | Cause::OomKilled | Cause::Hung | Cause::Overdue | Cause::NeverStarted => {
            String::new()
        }
        _ => format!(", for {held}"),
    }
}

fn held(view: &ServiceView, now: Timestamp) -> Option<String> {
    let held = Duration::try_from(now.duration_since(view.subject.since)).ok()?;
    (held >= Duration::from_secs(1)).then(|| wording::duration(held))
}

/// What stands on the right: what it was doing, else when it last said something.
fn aside(view: &ServiceView) -> String {
    if let Some(task) = &view.current_task {
        return format!("task: {}", printable(task));
    }
    let is_fresh = view.subject.cause == Cause::SelfReported;
    match view.age_s.filter(|_| is_fresh).map(Duration::try_from_secs_f64) {
        Some(Ok(age)) => format!("beat {} ago", wording::duration(age)),
        _ => String::new(),
    }
}

/// `● core`, or with its goodbye: `■ agent stopped 5 min ago`.
fn in_short(view: &ServiceView, now: Timestamp) -> String {
    let verdict = &view.subject;
    if !verdict.cause.is_planned() {
        return format!("{} {}", symbol(verdict.status), verdict.name);
    }
    let ago = held(view, now).map(|held| format!(" {held} ago")).unwrap_or_default();
    format!("■ {} {}{ago}", verdict.name, verdict.cause)
}

fn percent(capacity: Capacity) -> String {
    format!("{:.0} %", capacity.used_ratio() * 100.0)
}

const fn symbol(status: Status) -> &'static str {
    match status {
        Status::Healthy => "●",
        Status::Unknown => "?",
        Status::Warning => "▲",
        Status::Error => "✖",
        Status::Fatal => "‼",
    }
}

const fn colour(status: Status) -> &'static str {
    match status {
        Status::Healthy => "\u{1b}[32m",
        Status::Unknown => "\u{1b}[35m",
        Status::Warning => "\u{1b}[33m",
        Status::Error => "\u{1b}[31m",
        Status::Fatal => "\u{1b}[1;31m",
    }
}

/// `text` in lines of at most `columns`, broken at blanks where there are any.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && width(line) + width(word.trim_end()) + GAP.len() > columns {
            lines.push(word.to_owned());
        } else {
            line.push_str(word);
        }
    }
    lines.iter().map(|line| fit(line.trim_end(), columns).into_owned()).collect()
}
