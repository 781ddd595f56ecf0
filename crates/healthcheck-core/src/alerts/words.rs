//! What a notice says, in words: the host first, then what matters, short enough for a phone.

use super::{Item, Notice, NoticeReason, Reboot};
use crate::{Cause, Kind, wording};
use health_reporter::Status;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

/// Names of one kind of news in a title.
const MAX_NAMED: usize = 3;
/// Beyond so many, subjects are only named.
const MAX_LINES: usize = 10;
/// Names that are told.
const MAX_NAMES: usize = 500;
/// Bytes of what was the matter with what is over.
const MAX_WAS_BYTES: usize = 100;

/// How long something lasts is not worth a word before.
const TOLD_FROM: Duration = Duration::from_secs(60);

/// Writes title and text.
pub(super) fn write(notice: &mut Notice) {
    notice.title = title(notice);
    notice.text = text(notice);
    let more = |items: &[Item]| if items.len() > MAX_LINES { items.len() } else { 0 };
    notice.left_out = more(&notice.items) + more(&notice.still_bad);
}

fn title(notice: &Notice) -> String {
    let (reboot, items): (Vec<&Item>, Vec<&Item>) =
        notice.items.iter().partition(|item| item.reason == NoticeReason::Rebooted);
    let news: Vec<String> = groups(&items).iter().map(Group::in_short).collect();
    match (reboot.first(), news.is_empty()) {
        (Some(reboot), true) => format!("{} {}", notice.host, happened(&reboot.message)),
        (Some(reboot), _) => format!("{} {}; {}", notice.host, happened(&reboot.message), news.join("; ")),
        (None, _) => format!("{}: {}", notice.host, news.join("; ")),
    }
}

/// What happened to the machine, without how it is now.
fn happened(message: &str) -> &str {
    message.split_once(", away").map_or(message, |(what, _)| what)
}

fn text(notice: &Notice) -> String {
    let mut lines: Vec<String> = Vec::new();
    let reboot = notice.items.iter().find(|item| item.reason == NoticeReason::Rebooted);
    lines.extend(reboot.map(|reboot| format!("{} {}", notice.host, reboot.message)));
    let items: Vec<&Item> = notice.items.iter().filter(|it| it.reason != NoticeReason::Rebooted).collect();
    match (&items[..], reboot) {
        ([one], None) => lines.push(format!("{}: {}", notice.host, line(one, notice.at))),
        (_, None) => lines.push(notice.title.clone()),
        _ => {}
    }
    if !lines.is_empty() && (items.len() > 1 || reboot.is_some()) {
        lines.extend(several(&items, notice.at));
    }
    lines.extend(several(&notice.still_bad.iter().collect::<Vec<_>>(), notice.at));
    lines.join("\n")
}

/// A line for each of a few, and only the names of many.
fn several(items: &[&Item], at: Timestamp) -> Vec<String> {
    if items.len() <= MAX_LINES {
        return items.iter().map(|item| line(item, at)).collect();
    }
    groups(items).iter().map(Group::in_full).collect()
}

/// Subjects of which the same is told, the worst first.
struct Group<'a> {
    state: &'static str,
    items: Vec<&'a Item>,
}

fn groups<'a>(items: &[&'a Item]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for item in items {
        match groups.iter_mut().find(|group| group.state == state(item)) {
            Some(group) => group.items.push(item),
            None => groups.push(Group { state: state(item), items: vec![item] }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.items[0].status));
    groups
}

impl Group<'_> {
    fn in_short(&self) -> String {
        let names = self.names(MAX_NAMED);
        match self.items[..] {
            [one] => format!("{names} {}{}", self.state, times(one)),
            _ => format!("{names} {}", plural(self.state)),
        }
    }

    fn in_full(&self) -> String {
        format!("{} {}", self.names(MAX_NAMES), plural(self.state))
    }

    fn names(&self, limit: usize) -> String {
        let are_hosts = self.items.len() > 1 && self.items.iter().all(|it| it.subject.kind == Kind::Host);
        let name = |item: &&Item| if are_hosts { item.subject.name.to_string() } else { name(item) };
        let mut names: Vec<String> = self.items.iter().take(limit).map(name).collect();
        let more = self.items.len() - names.len();
        let of = if are_hosts { "hosts " } else { "" };
        let last = if more > 0 { Some(format!("{more} more")) } else { names.pop() };
        match last {
            Some(last) if names.is_empty() => last,
            Some(last) => format!("{of}{} and {last}", names.join(", ")),
            None => String::new(),
        }
    }
}

/// One subject in one line.
fn line(item: &Item, at: Timestamp) -> String {
    let (name, state) = (name(item), state(item));
    let matter = match item.status {
        Status::Healthy => over(item),
        _ => matter(item, at),
    };
    let affected = match &item.affected[..] {
        [] => String::new(),
        affected => format!("; also affected: {}", affected.join(", ")),
    };
    format!("{name} {state}{matter}{affected}")
}

/// What is the matter, and since when, said once.
fn matter(item: &Item, at: Timestamp) -> String {
    let (message, lasts) =
        (wording::line(&item.message, wording::MAX_MESSAGE_BYTES), elapsed(item.since, at));
    let age = wording::duration(Duration::from_secs(lasts.as_secs()));
    let is_new = lasts < Duration::from_secs(1);
    match (item.reason, without_age(&message)) {
        (NoticeReason::Reminder, (what, rest)) => {
            let rest = rest.map(|(_, rest)| rest).unwrap_or_default();
            format!(" after {age}{}", clause(&format!("{what}{rest}")))
        }
        (_, (what, Some((_, rest)))) if is_new => format!("{}{rest}", clause(what)),
        (_, (what, Some((seen, rest)))) => format!("{}{seen} {age} ago{rest}", clause(what)),
        (NoticeReason::Worse, _) if item.was == Status::Warning => {
            format!("{}, after {age} with a warning", clause(&message))
        }
        (NoticeReason::Worse | NoticeReason::Better, _) => clause(&message),
        _ if lasts < TOLD_FROM || message.contains(" ago") || message.contains(", for ") => clause(&message),
        _ => format!("{}, for {age}", clause(&message)),
    }
}

fn clause(what: &str) -> String {
    if what.is_empty() { String::new() } else { format!(": {what}") }
}

/// What is before and after the age of its last beat: since when it is down is said in its place. A machine was last
/// seen then.
fn without_age(message: &str) -> (&str, Option<(&'static str, &str)>) {
    let split = |mark: &str, said: &'static str| {
        let (what, rest) = message.split_once(mark)?;
        Some((what, Some((said, rest.split_once(" ago")?.1))))
    };
    let parts = split(", last beat ", "").or_else(|| split(", last seen ", ", last seen"));
    parts.unwrap_or((message, None))
}

/// How long it took, and what it was.
fn over(item: &Item) -> String {
    let lasted = item.until.filter(|_| item.reason != NoticeReason::Flapping);
    let lasted = lasted.map(|until| elapsed(item.since, until));
    let lasted = lasted.map(|it| Duration::from_millis(u64::try_from(it.as_millis()).unwrap_or(u64::MAX)));
    let after = match (item.reason, lasted) {
        (_, None) => String::new(),
        (NoticeReason::Passed, Some(lasted)) => format!(", {} in all", wording::duration(lasted)),
        (_, Some(lasted)) => format!(" after {}", wording::duration(lasted)),
    };
    // Of a machine that is back there is no more to say.
    let was = if item.subject.kind == Kind::Host { "" } else { in_short(&item.message) };
    let was = wording::line(was, MAX_WAS_BYTES);
    let was = if was.is_empty() { was } else { format!(" (was: {was})") };
    format!("{after}{}{was}", times(item))
}

/// The first clause: what is between brackets belongs together, and what it is now is said elsewhere.
fn in_short(message: &str) -> &str {
    let mut depth = 0_u32;
    let end = message.char_indices().find(|(at, letter)| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && [", ", "; "].iter().any(|end| message[*at..].starts_with(end))
    });
    end.map_or(message, |(at, _)| &message[..at])
}

fn times(item: &Item) -> String {
    match (item.reason, item.times_today) {
        (NoticeReason::Healed, times @ 2..) => format!(", {times} times today"),
        _ => String::new(),
    }
}

/// How a subject is, after its name.
fn state(item: &Item) -> &'static str {
    match (item.reason, item.status) {
        (NoticeReason::Flapping, Status::Healthy) => "is flapping, well for the moment",
        (NoticeReason::Flapping, Status::Warning) => "is flapping, with a warning for the moment",
        (NoticeReason::Flapping, _) if item.subject.kind == Kind::Host => {
            "is flapping, offline for the moment"
        }
        (NoticeReason::Flapping, _) => "is flapping, down for the moment",
        (NoticeReason::Healed, _) => "was restarted",
        (NoticeReason::Passed, _) => passed(item),
        (_, Status::Healthy) => end(item),
        (NoticeReason::Reminder, status) => still(item.subject.kind, status),
        (NoticeReason::Better, Status::Warning) => "is better, with a warning",
        (_, Status::Warning) => "has a warning",
        (NoticeReason::Better, _) => "is better, and still down",
        (_, status) => bad(item.subject.kind, status),
    }
}

fn bad(kind: Kind, status: Status) -> &'static str {
    match (kind, status) {
        (Kind::Channel, _) => "does not work",
        (Kind::Resource, _) => "is beyond its limit",
        (Kind::Host, _) => "is offline",
        (_, Status::Fatal) => "is down (fatal)",
        _ => "is down",
    }
}

fn still(kind: Kind, status: Status) -> &'static str {
    match (kind, status) {
        (_, Status::Warning) => "still has a warning",
        (Kind::Channel, _) => "still does not work",
        (Kind::Resource, _) => "is still beyond its limit",
        (Kind::Host, _) => "is still offline",
        _ => "is still down",
    }
}

/// What it was meanwhile.
fn passed(item: &Item) -> &'static str {
    match (item.subject.kind, item.was) {
        (_, Status::Warning) => "had a warning and is well again",
        (Kind::Channel, _) => "did not work and works again",
        (Kind::Resource, _) => "was beyond its limit and is well again",
        (Kind::Host, _) => "was offline and is back",
        _ => "was down and is back",
    }
}

/// How it ended.
fn end(item: &Item) -> &'static str {
    match item.ended {
        Some(Cause::Stopped) => "is stopped now",
        Some(Cause::Finished) => "has finished now",
        Some(Cause::NotObserved) => "is no longer watched",
        _ if item.subject.kind == Kind::Channel => "works again",
        _ if item.subject.kind == Kind::Host => "is back",
        _ if item.was == Status::Warning => "is well again",
        _ => "is back",
    }
}

fn plural(state: &str) -> String {
    let words = [("is ", "are "), ("was ", "were "), ("has ", "have "), ("does ", "do ")];
    words.iter().fold(state.to_owned(), |state, (one, many)| state.replace(one, many))
}

/// A service and a number by their names, anything else with its kind.
fn name(item: &Item) -> String {
    match item.subject.kind {
        Kind::Service | Kind::Resource => item.subject.name.to_string(),
        kind => format!("{kind} {}", item.subject.name),
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// What is told of a machine that is back.
pub(super) fn reboot(reboot: &Reboot, zone: &TimeZone, back: usize, all: usize) -> String {
    let time = zone.to_datetime(reboot.up).time();
    let how = if reboot.was_clean { "" } else { " without a shutdown" };
    let away = wording::duration(elapsed(reboot.down, reboot.up));
    format!("restarted{how} at {:02}:{:02}, away {away}; {back} of {all} back", time.hour(), time.minute())
}
