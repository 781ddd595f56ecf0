//! `healthcheck --at TIME`: the snapshot as it was, out of the history.

use super::remembered::ON_ITS_WAY;
use super::snapshot;
use super::store::Opened;
use super::units;
use crate::config::Config;
use crate::config::units::parse_duration;
use crate::history::{HistoryStore, Judged, RunRow, Selection};
use crate::render::{Mode, Picture, Remark, Source};
use health_reporter::Status;
use healthcheck_core::history::{Mark, Window};
use healthcheck_core::{Cause, Evidence, Gap, Policy, Recorded, Snapshot, Verdict};
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};

/// An instant that is over, as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

/// `2026-11-22T10:00:00Z`, local `2026-11-22 10:00` or `10:00` of today, or `3h` ago.
pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    let now = Zoned::now();
    let at =
        parse(text, &now).ok_or("write 2026-11-22T10:00:00Z, \"2026-11-22 10:00\", 10:00 or 3h (ago)")?;
    if at > now.timestamp() {
        return Err("lies in the future".to_owned());
    }
    Ok(Moment(at))
}

fn parse(text: &str, now: &Zoned) -> Option<Timestamp> {
    let zone: &TimeZone = now.time_zone();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    if let Ok(ago) = parse_duration(text) {
        return now.timestamp().checked_sub(ago).ok();
    }
    if let Ok(local) = text.parse::<DateTime>() {
        return Some(local.to_zoned(zone.clone()).ok()?.timestamp());
    }
    let time = text.parse::<Time>().ok()?;
    let today = now.date().to_datetime(time).to_zoned(zone.clone()).ok()?;
    let is_over = today.timestamp() <= now.timestamp();
    let day = if is_over { today } else { today.checked_sub(Span::new().days(1)).ok()? };
    Some(day.timestamp())
}

/// Everything as it was judged at an instant.
pub(crate) fn picture(config: &Config, opened: &mut Opened, at: Timestamp) -> anyhow::Result<Picture> {
    let policy = snapshot::policy(config, true);
    let of = Selection { host: Some(opened.host.clone()), subject: None };
    let instant = Window { from: at, to: at + SignedDuration::from_micros(1) };
    let store = &mut *opened.store;
    let gap = not_observed(store, &opened.host, instant, opened.is_written)?;
    let mut recorded = Vec::new();
    for judged in store.judged(&of, instant)? {
        let Some(mark) = judged.marks.last().copied().filter(|mark| mark.at <= at) else { continue };
        recorded.push(of_subject(store, &judged, mark, at, gap.as_ref())?);
    }
    Ok(shown(config, opened, at, recorded, policy))
}

fn shown(
    config: &Config,
    opened: &Opened,
    at: Timestamp,
    recorded: Vec<Recorded>,
    policy: Policy,
) -> Picture {
    let is_nothing = recorded.is_empty();
    let snapshot = Snapshot::recorded(at, recorded, &policy);
    let remark =
        |message: String| Remark { about: "history".into(), status: Status::Unknown, message, counts: false };
    let nothing = is_nothing.then(|| remark(format!("nothing is recorded of {at:.0}")));
    Picture {
        source: Source::History,
        host: opened.host.clone(),
        project: config.project.clone(),
        mode: if units::bus(config).is_some() { Mode::Systemd } else { Mode::Processes },
        snapshot,
        resources: None,
        limits: policy.limits,
        remarks: opened.remark.clone().map(remark).into_iter().chain(nothing).collect(),
    }
}

/// Why nobody looked at that instant, where nobody did.
fn not_observed(
    store: &mut dyn HistoryStore,
    host: &str,
    instant: Window,
    is_written: bool,
) -> anyhow::Result<Option<String>> {
    if let Some(Gap { from, to, reason }) = store.gaps(host, instant)?.into_iter().next() {
        let reason = reason.as_str().replace('_', " ");
        return Ok(Some(format!("nobody looked from {} to {}: {reason}", local(from), local(to))));
    }
    let known = store.hosts()?.into_iter().find(|known| known.name == host);
    let last_seen = known.map_or(Timestamp::MIN, |known| known.last_seen);
    let is_on_its_way = is_written && Timestamp::now().duration_since(last_seen) <= ON_ITS_WAY;
    let is_unseen = last_seen < instant.from && !is_on_its_way;
    Ok(is_unseen.then(|| format!("nobody has looked since {}", local(last_seen))))
}

fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%F %T").to_string()
}

fn of_subject(
    store: &mut dyn HistoryStore,
    judged: &Judged,
    mark: Mark,
    at: Timestamp,
    gap: Option<&String>,
) -> anyhow::Result<Recorded> {
    let of = Selection { host: Some(judged.host.clone()), subject: Some(judged.subject.clone()) };
    let begun = Window { from: mark.at, to: mark.at + SignedDuration::from_micros(1) };
    let latest = store.run_at(&judged.host, &judged.subject, at)?;
    let mut opening = None;
    store.openings(&of, begun, &mut |run| {
        opening = Some(run);
        false
    })?;
    let verdict = match gap {
        None => verdict(mark, opening),
        Some(gap) => Verdict { message: gap.clone(), ..verdict_of(Status::Unknown, Cause::NotObserved, at) },
    };
    Ok(Recorded { subject: judged.subject.clone(), verdict, task: latest.and_then(|run| run.current_task) })
}

fn verdict_of(status: Status, cause: Cause, since: Timestamp) -> Verdict {
    Verdict {
        status,
        cause,
        message: String::new(),
        reasons: Vec::new(),
        evidence: Evidence::default(),
        since,
    }
}

fn verdict(mark: Mark, opening: Option<RunRow>) -> Verdict {
    let plain = verdict_of(mark.status, mark.cause, mark.at);
    match opening.and_then(|run| run.transition) {
        Some(it) => Verdict {
            message: it.message,
            reasons: it.reasons,
            evidence: it.evidence,
            since: it.since,
            ..plain
        },
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_as_people_write_it() {
        let now: Zoned = "2026-11-22T13:00:00+01:00[Europe/Berlin]".parse().unwrap();
        for (text, instant) in [
            ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
            ("2026-11-20 10:00", "2026-11-20T09:00:00Z"),
            ("2026-11-20T10:00:07", "2026-11-20T09:00:07Z"),
            ("3h", "2026-11-22T09:00:00Z"),
            ("12:30", "2026-11-22T11:30:00Z"),
            ("13:30", "2026-11-21T12:30:00Z"),
        ] {
            assert_eq!(parse(text, &now), Some(instant.parse().unwrap()), "{text}");
        }
        for text in ["", "yesterday", "25:00", "3"] {
            assert_eq!(parse(text, &now), None, "{text}");
        }
        assert!(moment("2999-01-01T00:00:00Z").unwrap_err().contains("future"));
    }
}
