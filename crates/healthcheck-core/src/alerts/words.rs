//! What a notice says, in words: the host first, then what matters.

use super::{Item, Notice, NoticeReason, Reboot};
use crate::{Kind, wording};
use health_reporter::Status;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write;
use std::time::Duration;

/// Names in a title.
const MAX_NAMED: usize = 3;
/// Lines of a text.
const MAX_LINES: usize = 100;

/// Writes title and text.
pub(super) fn write(notice: &mut Notice) {
    notice.title = title(notice);
    notice.text = text(notice);
}

fn title(notice: &Notice) -> String {
    let (host, items) = (&notice.host, &notice.items);
    if let Some(reboot) = items.iter().find(|item| item.reason == NoticeReason::Rebooted) {
        let worse = items.len() - 1;
        let more = if worse == 0 { String::new() } else { format!(", {worse} not well") };
        return format!("{host} {}{more}", if reboot.until.is_some() { "is back" } else { "restarted" });
    }
    let (bad, over): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|it| it.status > Status::Unknown);
    match (&bad[..], &over[..]) {
        ([one], []) | ([], [one]) => format!("{host}: {} {}", name(one), state(one)),
        ([], [first, ..]) if over.iter().all(|item| item.reason == first.reason) => {
            format!("{host}: {} {}", names(&over), plural(state(first)))
        }
        ([], _) => format!("{host}: {} {}", names(&over), "are back"),
        (_, []) => format!("{host}: {} {}", names(&bad), common(&bad)),
        _ => format!("{host}: {} {}; {} back", names(&bad), common(&bad), over.len()),
    }
}

fn text(notice: &Notice) -> String {
    let mut lines: Vec<String> = notice.items.iter().map(|item| line(item, notice.at)).collect();
    if let Some(first) = lines.first_mut() {
        let host = &notice.host;
        let is_reboot = notice.items.first().is_some_and(|item| item.reason == NoticeReason::Rebooted);
        *first = if is_reboot { format!("{host} {first}") } else { format!("{host}: {first}") };
    }
    lines.extend(notice.still_bad.iter().map(|item| format!("still: {}", line(item, notice.at))));
    let more = lines.len().saturating_sub(MAX_LINES);
    lines.truncate(MAX_LINES);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// One subject in one line.
fn line(item: &Item, at: Timestamp) -> String {
    if item.reason == NoticeReason::Rebooted {
        return item.message.clone();
    }
    let mut line = format!("{} {}", name(item), state(item));
    let lasted = item.until.map(|until| elapsed(item.since, until));
    match (item.reason, lasted) {
        (NoticeReason::Healed, Some(lasted)) => {
            let _ = write!(line, " after {}{}", wording::duration(lasted), times(item));
        }
        (_, Some(lasted)) if item.status == Status::Healthy => {
            let _ = write!(line, " after {}", wording::duration(lasted));
        }
        _ => {}
    }
    if !item.message.is_empty() {
        let was = if item.status == Status::Healthy { " (was: " } else { ": " };
        let end = if item.status == Status::Healthy { ")" } else { "" };
        let _ = write!(line, "{was}{}{end}", wording::line(&item.message, wording::MAX_MESSAGE_BYTES));
    }
    if item.status > Status::Unknown {
        let _ = write!(line, ", since {}", ago(item.since, at));
    }
    if !item.affected.is_empty() {
        let _ = write!(line, "; also affected: {}", item.affected.join(", "));
    }
    line
}

fn times(item: &Item) -> String {
    match item.times_today {
        0 | 1 => String::new(),
        times => format!(", {times} times today"),
    }
}

/// How a subject is, after its name.
fn state(item: &Item) -> &'static str {
    match (item.reason, item.status) {
        (NoticeReason::Flapping, Status::Healthy) => "is flapping, healthy for the moment",
        (NoticeReason::Flapping, _) => "is flapping",
        (NoticeReason::Healed, _) => "was restarted",
        (NoticeReason::Passed, _) => "was down and is back",
        (NoticeReason::Reminder, Status::Warning) => "still has a warning",
        (NoticeReason::Reminder, _) => "is still down",
        (NoticeReason::Better, Status::Warning) => "is better, with a warning",
        (_, Status::Healthy) => "is back",
        (_, Status::Warning) => "has a warning",
        (_, Status::Fatal) => "is down, fatal",
        _ => "is down",
    }
}

fn plural(state: &str) -> String {
    state.replacen("is ", "are ", 1).replacen("was ", "were ", 1).replacen("has ", "have ", 1)
}

/// How several are: as the worst of them.
fn common(items: &[&Item]) -> String {
    let worst = items.iter().max_by_key(|item| item.status);
    plural(worst.map_or("are down", |item| state(item)))
}

fn names(items: &[&Item]) -> String {
    let named: Vec<String> = items.iter().take(MAX_NAMED).map(|item| name(item)).collect();
    match (named.len(), items.len().saturating_sub(MAX_NAMED)) {
        (_, more @ 1..) => format!("{} and {more} more", named.join(", ")),
        (0 | 1, _) => named.join(""),
        (_, _) => {
            let (last, first) = named.split_last().map_or(("", &named[..]), |(last, first)| (last, first));
            format!("{} and {last}", first.join(", "))
        }
    }
}

/// A service by its name, anything else with its kind.
fn name(item: &Item) -> String {
    match item.subject.kind {
        Kind::Service | Kind::Resource => item.subject.name.to_string(),
        kind => format!("{kind} {}", item.subject.name),
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn ago(since: Timestamp, at: Timestamp) -> String {
    match elapsed(since, at) {
        moment if moment < Duration::from_secs(1) => "this moment".to_owned(),
        passed => wording::duration(passed),
    }
}

/// What is told of a machine that is back.
pub(super) fn reboot(reboot: &Reboot, zone: &TimeZone, back: usize, all: usize) -> String {
    let time = zone.to_datetime(reboot.up).time();
    let how = if reboot.was_clean { "" } else { " without a shutdown" };
    let away = wording::duration(elapsed(reboot.down, reboot.up));
    format!("restarted{how} at {:02}:{:02}, away {away}; {back} of {all} back", time.hour(), time.minute())
}
