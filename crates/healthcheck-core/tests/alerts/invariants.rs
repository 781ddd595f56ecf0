//! What must hold in every world.

use crate::host::Host;
use crate::server::{Server, counts};
use health_reporter::Status;
use healthcheck_core::Subject;
use healthcheck_core::alerts::{Alerts, ChannelRules, Held, Item, Notice, NoticeReason};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many messages an hour are enough for anybody.
const MAX_AN_HOUR: usize = 150;
const HOUR: Duration = Duration::from_secs(3_600);
const FLAPPING_PAUSE: Duration = Duration::from_secs(1_200);

/// What is decided is true and unmuted, and what is not told has a reason.
pub(crate) fn check_plan(host: &Host, notices: &[Notice]) -> Option<String> {
    let items = notices.iter().flat_map(|notice| notice.items.iter().map(move |item| (notice, item)));
    items
        .filter(|(_, item)| item.reason != NoticeReason::Rebooted)
        .find_map(|(notice, item)| is_wrong(host, notice, item))
        .or_else(|| unexplained(host))
}

/// Whoever looks only at what changed, and at what the time has come for, decides the same as who looks at everything.
pub(crate) fn check_looks(host: &Host, mut before: Alerts, notices: &[Notice]) -> Option<String> {
    before.look_at_everything();
    let all = host.with_other(&mut before, Alerts::plan);
    let (few, everything) = (&host.alerts, &before);
    if all != notices {
        return Some(format!("{notices:#?} of what changed, {all:#?} of everything"));
    }
    if (few.everything(), few.changes()) != (everything.everything(), everything.changes()) {
        return Some(format!(
            "{:#?} of what changed, {:#?} of everything",
            few.changes(),
            everything.changes()
        ));
    }
    // The end of a mute is asked for again in a second at the soonest, from when it was asked for last.
    let (few, everything) = (few.next_deadline(), everything.next_deadline());
    let is_same = few == everything
        || few.zip(everything).is_some_and(|(few, all)| few < all && all < few + Duration::from_secs(1));
    (!is_same).then(|| format!("next at {few:?} of what changed, at {everything:?} of everything"))
}

fn is_wrong(host: &Host, notice: &Notice, item: &Item) -> Option<String> {
    let rules = &host.rules.channels[&notice.channel];
    let truth = host.truth.get(&item.subject).copied().unwrap_or(Status::Healthy);
    let what = format!("{}: {} of {}", notice.id, item.reason, item.subject.name);
    if item.status != truth {
        return Some(format!("{what} says {}, and it is {truth}", item.status));
    }
    let is_page =
        !matches!(item.reason, NoticeReason::Recovered | NoticeReason::Passed | NoticeReason::Better)
            && (rules.hears(&item.subject, item.status) || item.reason == NoticeReason::Healed);
    (is_page && is_muted(host, rules, item)).then(|| format!("{what} is muted"))
}

fn is_muted(host: &Host, rules: &ChannelRules, item: &Item) -> bool {
    let (wall, zone, subject) = (host.now().wall, &host.rules.zone, &item.subject);
    let status = item.status.max(Status::Warning);
    let is_quiet = rules
        .routes
        .iter()
        .filter(|route| route.level <= status && route.covers(subject))
        .all(|route| route.quiet.is_some_and(|quiet| quiet.contains(zone.to_datetime(wall).time())));
    host.alerts.silences().any(|silence| silence.covers(subject, wall))
        || host.rules.maintenance.iter().any(|window| window.covers(subject, wall, zone))
        || (status < Status::Fatal && is_quiet)
}

/// Every bad subject that a channel hears is told, on its way, or held for a reason.
fn unexplained(host: &Host) -> Option<String> {
    for (subject, truth) in host.truth.iter().filter(|(_, truth)| **truth > Status::Unknown) {
        for view in host.alerts.channels_of(subject) {
            let Some(rules) = host.rules.channels.get(&view.channel) else { continue };
            let is_explained = match view.decided.map(|decided| decided.held) {
                None => false,
                Some(Held::Told) => believed(&host.servers[&view.channel], rules, subject) == *truth,
                Some(_) => true,
            };
            if rules.hears(subject, *truth) && !is_explained && view.outgoing.is_none() {
                return Some(format!("{}: {} is {truth}, for no reason", view.channel, subject.name));
            }
        }
    }
    None
}

fn heard(rules: &ChannelRules, subject: &Subject, status: Status) -> Status {
    if rules.hears(subject, status) { status } else { Status::Healthy }
}

fn believed(server: &Server, rules: &ChannelRules, subject: &Subject) -> Status {
    let status = server.believes.get(subject).copied().unwrap_or(Status::Healthy);
    heard(rules, subject, status)
}

/// What each server believes is what is true.
pub(crate) fn converges(host: &Host, when: &str) -> Option<String> {
    for (name, rules) in &host.rules.channels {
        for (subject, truth) in &host.truth {
            let truth = heard(rules, subject, *truth);
            let believed = host.servers.get(name).map_or(Status::Healthy, |it| believed(it, rules, subject));
            let is_inhibited = matches!(host.held_of(name, subject), Some(Held::Inhibited { .. }));
            if truth != believed && !(is_inhibited && truth > Status::Unknown) {
                let held = host.held_of(name, subject);
                let of = &subject.name;
                return Some(format!("{when}: {name} believes {of} {believed}, it is {truth} ({held:?})"));
            }
        }
    }
    None
}

/// Nothing is told too often.
pub(crate) fn check_story(host: &Host) -> Option<String> {
    host.servers.iter().find_map(|(name, server)| {
        let problem = cooled(host, server).or_else(|| bounded(server)).or_else(|| repeated(host, server))?;
        Some(format!("{name}: {problem}"))
    })
}

fn cooled(host: &Host, server: &Server) -> Option<String> {
    let mut last: BTreeMap<(&Subject, &str), Duration> = BTreeMap::new();
    for (t, notice) in &server.accepted {
        for item in notice.items.iter().filter(|item| item.reason != NoticeReason::Rebooted) {
            let (slot, pause) = match item.reason {
                NoticeReason::Flapping => ("flapping", FLAPPING_PAUSE),
                NoticeReason::Healed => ("quiet line", host.rules.cooldown),
                _ => (item.status.as_str(), host.rules.cooldown),
            };
            let former = last.get(&(&item.subject, slot));
            if let Some(former) = former.filter(|former| **former + pause > *t) {
                let after = *t - *former;
                return Some(format!(
                    "{} tells {slot} of {} again after {after:?}",
                    notice.id, item.subject.name
                ));
            }
            if server.is_answered(&notice.id) {
                last.insert((&item.subject, slot), *t);
                if counts(item.reason) {
                    last.insert((&item.subject, item.status.as_str()), *t);
                }
            }
        }
    }
    None
}

fn bounded(server: &Server) -> Option<String> {
    let told = &server.accepted;
    let is_crowded = |(at, (t, _)): (usize, &(Duration, Notice))| {
        told.get(at + MAX_AN_HOUR).is_some_and(|(later, _)| *later < *t + HOUR)
    };
    told.iter().enumerate().any(is_crowded).then(|| format!("more than {MAX_AN_HOUR} messages in an hour"))
}

fn repeated(host: &Host, server: &Server) -> Option<String> {
    let reasons = host.kills + server.lost;
    (server.repeats > reasons).then(|| format!("{} repeats, {reasons} reasons for any", server.repeats))
}
