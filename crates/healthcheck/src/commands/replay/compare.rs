//! What was sent beside what would have been.

use crate::render::replay::{By, ChannelTotals, Comparison, Missed, Told, Totals, Why};
use health_reporter::Status;
use healthcheck_core::Subject;
use healthcheck_core::alerts::{Fate, Hours, Incident, Item, Notice, NoticeReason, Outgoing, Replayed};
use healthcheck_core::history::Window;
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// So many of the last notices are kept.
pub(super) const KEPT_NOTICES: usize = 10_000;
/// The same notice, if it was sent within so much time of when it would have been.
const SAME: SignedDuration = SignedDuration::from_secs(60);
/// What is told of an incident after its end is told within so much time.
const LATE: SignedDuration = SignedDuration::from_hours(1);
/// When people sleep.
const NIGHT: Hours = Hours { from: time(22, 0, 0, 0), until: time(7, 0, 0, 0) };

/// A notice that a channel's server accepted, and when.
#[derive(Debug)]
pub(super) struct Sent {
    notice: Notice,
    accepted: Timestamp,
}

impl Sent {
    pub(super) fn of(outgoing: Outgoing) -> Self {
        let accepted = outgoing.ended.unwrap_or(outgoing.notice.at);
        Self { notice: outgoing.notice, accepted }
    }
}

/// Both sides of a window; those that were sent are in order, and may be from before it.
pub(super) fn compare(sent: Vec<Sent>, replayed: Replayed, window: Window, zone: &TimeZone) -> Comparison {
    let heard: Vec<Option<Timestamp>> =
        replayed.fates.iter().map(|fate| first_sent(&sent, &fate.incident)).collect();
    let is_in = |sent: &Sent| window.from <= sent.notice.at && sent.notice.at < window.to;
    let sent: Vec<Notice> = sent.into_iter().filter(is_in).map(|it| it.notice).collect();
    let tried_heard: Vec<Option<Timestamp>> = replayed.fates.iter().map(Fate::told).collect();
    Comparison {
        at: window.to,
        window,
        configuration: String::new(),
        sent: totals(&sent, &heard, &replayed.fates, zone),
        tried: totals(&replayed.notices, &tried_heard, &replayed.fates, zone),
        channels: channels(&sent, &replayed.notices),
        missed: missed(&replayed.fates, &heard),
        told: side_by_side(sent, replayed.notices),
        remarks: Vec::new(),
    }
}

/// When anybody was really told of an incident. Its number may be another one by other rules.
fn first_sent(sent: &[Sent], incident: &Incident) -> Option<Timestamp> {
    let is_member = |item: &&Item| incident.members.iter().any(|member| member.subject == item.subject);
    let mut believed: BTreeMap<(&str, &str), Status> = BTreeMap::new();
    for it in sent {
        let at = it.notice.at;
        for item in it.notice.items.iter().filter(is_member) {
            if at < incident.opened {
                believed.insert((&it.notice.channel, &item.subject.name), item.status);
            } else if tells(item, at, incident) {
                return Some(it.accepted);
            }
        }
    }
    // Who was told before and not that it was over knew it.
    believed.values().any(|status| *status > Status::Unknown).then_some(incident.opened)
}

fn tells(item: &Item, at: Timestamp, incident: &Incident) -> bool {
    let is_before_end =
        |slack: SignedDuration| incident.resolved.is_none_or(|resolved| at.duration_since(resolved) <= slack);
    match item.reason {
        NoticeReason::Rebooted | NoticeReason::Recovered => false,
        NoticeReason::Passed | NoticeReason::Healed | NoticeReason::Flapping => is_before_end(LATE),
        _ => is_before_end(SignedDuration::ZERO),
    }
}

fn totals(notices: &[Notice], heard: &[Option<Timestamp>], fates: &[Fate], zone: &TimeZone) -> Totals {
    let of = |least: Status| notices.iter().filter(move |notice| notice.status >= least);
    let delay =
        |(told, fate): (&Option<Timestamp>, &Fate)| Some((*told)?.duration_since(fate.incident.opened));
    let told = heard.iter().zip(fates).filter_map(delay);
    let mut delays: Vec<Duration> = told.map(|delay| Duration::try_from(delay).unwrap_or_default()).collect();
    delays.sort_unstable();
    Totals {
        notices: notices.len(),
        pages: of(Status::Error).count(),
        urgent: of(Status::Fatal).count(),
        nights_paged: nights(of(Status::Error), zone),
        nights_woken: nights(of(Status::Fatal), zone),
        incidents_told: delays.len(),
        incidents_missed: fates.len() - delays.len(),
        median_delay: delays.get(delays.len() / 2).copied(),
    }
}

/// How many nights there is any of them in; a night is of the day on which it begins.
fn nights<'a>(notices: impl Iterator<Item = &'a Notice>, zone: &TimeZone) -> usize {
    let night = |notice: &Notice| -> Option<Date> {
        let local = zone.to_datetime(notice.at);
        let evening = if local.time() < NIGHT.until { local.date().yesterday().ok()? } else { local.date() };
        NIGHT.contains(local.time()).then_some(evening)
    };
    notices.filter_map(night).collect::<BTreeSet<_>>().len()
}

fn channels(sent: &[Notice], tried: &[Notice]) -> Vec<ChannelTotals> {
    let mut channels: BTreeMap<String, ChannelTotals> = BTreeMap::new();
    let each = sent.iter().map(|it| (it, By::Sent)).chain(tried.iter().map(|it| (it, By::Tried)));
    for (notice, by) in each {
        let channel = channels.entry(notice.channel.clone()).or_default();
        channel.name.clone_from(&notice.channel);
        let counts = channel.reasons.entry(notice.reason).or_default();
        *(if by == By::Sent { &mut counts.0 } else { &mut counts.1 }) += 1;
    }
    channels.into_values().collect()
}

/// The incidents of which nobody would have been told.
fn missed(fates: &[Fate], heard: &[Option<Timestamp>]) -> Vec<Missed> {
    let missed = fates.iter().zip(heard).filter(|(fate, _)| fate.told().is_none());
    missed
        .map(|(fate, sent)| Missed {
            opened: fate.incident.opened,
            resolved: fate.incident.resolved,
            worst: fate.incident.worst,
            subjects: fate.incident.members.iter().map(|member| member.subject.clone()).collect(),
            was_told: sent.is_some(),
            why: fate
                .heard
                .iter()
                .filter_map(|(channel, it)| Some(Why { channel: channel.clone(), held: it.held.clone()? }))
                .collect(),
        })
        .collect()
}

/// What a notice is about: the same was sent where this is the same, at about the same time.
fn signature(notice: &Notice) -> (String, NoticeReason, Vec<(Subject, NoticeReason)>) {
    let mut items: Vec<_> = notice.items.iter().map(|item| (item.subject.clone(), item.reason)).collect();
    items.sort();
    (notice.channel.clone(), notice.reason, items)
}

/// All notices in order, and who would have sent each.
fn side_by_side(sent: Vec<Notice>, tried: Vec<Notice>) -> Vec<Told> {
    let mut open: BTreeMap<_, VecDeque<usize>> = BTreeMap::new();
    for (at, notice) in tried.iter().enumerate() {
        open.entry(signature(notice)).or_default().push_back(at);
    }
    let mut found = BTreeSet::new();
    let mut told = Vec::new();
    for notice in sent {
        let same = open.get_mut(&signature(&notice)).and_then(|open| same_time(open, &tried, notice.at));
        told.push(of(notice, if same.is_some() { By::Both } else { By::Sent }));
        found.extend(same);
    }
    let alone = tried.into_iter().enumerate().filter(|(at, _)| !found.contains(at));
    told.extend(alone.map(|(_, notice)| of(notice, By::Tried)));
    told.sort_by_key(|told| told.at);
    told
}

/// Takes the first that is of about this time; what is older is no more asked for.
fn same_time(open: &mut VecDeque<usize>, tried: &[Notice], at: Timestamp) -> Option<usize> {
    while let Some(first) = open.front().copied() {
        let later = tried[first].at.duration_since(at);
        if later > SAME {
            return None;
        }
        open.pop_front();
        if later >= -SAME {
            return Some(first);
        }
    }
    None
}

fn of(notice: Notice, by: By) -> Told {
    let Notice { at, channel, reason, status, title, .. } = notice;
    Told { at, channel, reason, status, title, by }
}

#[cfg(test)]
mod tests;
