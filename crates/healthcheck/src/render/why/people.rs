//! Who was told, or why nobody was, as people say it.

use super::Chain;
use super::page::{moment, time};
use health_reporter::Status;
use healthcheck_core::alerts::{ChannelView, Decided, Held, Incident, Outgoing, OutgoingState};
use healthcheck_core::wording;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

/// The incident, and who cares for it.
pub(super) fn incident(chain: &Chain, zone: &TimeZone) -> Vec<String> {
    let Some(incident) = &chain.past.people.incident else { return Vec::new() };
    let Incident { id, opened, resolved, .. } = incident;
    let line = match resolved {
        None => format!("{id}, open since {}", moment(*opened, chain.at, zone)),
        Some(resolved) => {
            let lasted = Duration::try_from(resolved.duration_since(*opened)).unwrap_or_default();
            format!(
                "{id}, over since {}, it lasted {}",
                moment(*resolved, chain.at, zone),
                wording::duration(lasted)
            )
        }
    };
    let others = incident.members.iter().filter(|member| member.subject.name != chain.view.subject().name);
    let with = match others.count() {
        0 => String::new(),
        1 => ", with one other".to_owned(),
        more => format!(", with {more} others"),
    };
    let cared_for = incident.acknowledged.as_ref().map(|acknowledged| {
        format!("{} cares for it since {}", acknowledged.author, time(acknowledged.at, chain.at, zone))
    });
    [format!("{line}{with}")].into_iter().chain(cared_for).collect()
}

/// Each channel: that it was told, or why not. Nobody asks about what is well and was never told.
pub(super) fn channels(chain: &Chain, zone: &TimeZone) -> Vec<(String, String)> {
    let channels = &chain.past.people.channels;
    if channels.is_empty() && chain.view.subject().status > Status::Unknown {
        return vec![("nobody".to_owned(), "no monitor has a channel to tell it through".to_owned())];
    }
    let is_of_interest = |view: &&ChannelView| view.decided.is_some() || view.outgoing.is_some();
    let is_wrong = chain.view.subject().status > Status::Healthy;
    let shown = channels.iter().filter(|view| is_wrong || is_of_interest(view));
    shown.map(|view| (view.channel.clone(), channel(view, chain.at, zone))).collect()
}

fn channel(view: &ChannelView, at: Timestamp, zone: &TimeZone) -> String {
    let words = match (&view.outgoing, &view.decided) {
        (Some(outgoing), _) => on_its_way(outgoing),
        (None, Some(decided)) => decision(decided, at, zone),
        (None, None) => "nothing was to be told yet".to_owned(),
    };
    match &view.problem {
        Some(problem) => format!("{words}; the channel does not work: {problem}"),
        None => words,
    }
}

fn on_its_way(outgoing: &Outgoing) -> String {
    let id = &outgoing.notice.id;
    match (outgoing.attempts, &outgoing.last_error) {
        (0, _) => format!("on its way as notice {id}"),
        (attempts, None) => format!("on its way as notice {id}, {} so far", times(attempts)),
        (attempts, Some(error)) => format!("on its way as notice {id}, {} so far: {error}", times(attempts)),
    }
}

fn decision(decided: &Decided, at: Timestamp, zone: &TimeZone) -> String {
    let until = decided.until.map(|until| time(until, at, zone));
    let since = moment(decided.at, at, zone);
    match (&decided.held, &decided.notice, until) {
        (Held::Told, Some(notice), _) => format!("told by notice {notice}, {since}"),
        (Held::Told, None, Some(until)) => format!("told; if it lasts, again at {until}"),
        (Held::Told, None, None) => "told".to_owned(),
        (held, _, Some(until)) => format!("not told: {held}, until {until}"),
        (held, _, None) => format!("not told: {held}"),
    }
}

/// The last notices of it: when, and what became of them.
pub(super) fn notices(chain: &Chain, zone: &TimeZone) -> Vec<(String, String)> {
    let told = |it: &Outgoing| (time(it.notice.at, chain.at, zone), notice(it));
    chain.past.people.notices.iter().map(told).collect()
}

fn notice(outgoing: &Outgoing) -> String {
    let notice = &outgoing.notice;
    let state = match outgoing.state {
        OutgoingState::Waiting => "on its way",
        OutgoingState::Accepted => "accepted",
        OutgoingState::Replaced => "replaced by a later one",
        OutgoingState::Refused => "refused",
        OutgoingState::DryRun => "not sent, since this is a dry run",
    };
    let attempts = match outgoing.attempts {
        0 | 1 => String::new(),
        attempts => format!(" after {}", times(attempts)),
    };
    let error = outgoing.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{} to {}, notice {}, {state}{attempts}{error}", notice.reason, notice.channel, notice.id)
}

fn times(attempts: u32) -> String {
    if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") }
}
