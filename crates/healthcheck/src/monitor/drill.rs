//! A drill: an incident that is none, sent through every channel, each step timed.

use super::Monitor;
use super::control::Answer;
use super::posts::Delivered;
use crate::channels::Channel;
use health_reporter::Status;
use healthcheck_core::alerts::{Notice, NoticeReason, Outcome};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What of a drill is known by now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DrillReport {
    /// By what its notices are known.
    pub(crate) id: String,
    /// Each channel with what became of its steps so far.
    pub(crate) channels: BTreeMap<String, Vec<Step>>,
}

/// One notice of a drill through one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// `opened` or `recovered`.
    pub(crate) step: String,
    pub(crate) outcome: String,
    pub(crate) error: Option<String>,
    /// How long it waited for the channel.
    pub(crate) waited_ms: f64,
    /// How long the channel took.
    pub(crate) took_ms: f64,
}

/// A drill that takes longer makes room for the next one.
const UNDER_WAY: Duration = Duration::from_secs(60);
/// What the id of each notice of a drill contains.
const MARK: &str = "-drill-";
/// The incident begins, and is over.
const STEPS: [&str; 2] = ["opened", "recovered"];

impl DrillReport {
    pub(crate) fn of(id: String, channels: impl Iterator<Item = String>) -> Self {
        Self { id, channels: channels.map(|name| (name, Vec::new())).collect() }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.channels.values().all(|steps| steps.len() == STEPS.len())
    }

    /// Whether every channel took everything.
    pub(crate) fn is_well(&self) -> bool {
        let accepted =
            |steps: &Vec<Step>| steps.iter().all(|step| step.outcome == Outcome::Accepted.as_str());
        self.is_complete() && self.channels.values().all(accepted)
    }

    fn note(&mut self, channel: &str, outcome: &Outcome, waited: Duration, took: Duration) {
        let Some(steps) = self.channels.get_mut(channel) else { return };
        let Some(step) = STEPS.get(steps.len()) else { return };
        steps.push(Step {
            step: (*step).to_owned(),
            outcome: outcome.as_str().to_owned(),
            error: outcome.error().map(str::to_owned),
            waited_ms: waited.as_secs_f64() * 1e3,
            took_ms: took.as_secs_f64() * 1e3,
        });
    }
}

/// The notices of a drill through one channel, in order.
fn notices(host: &str, channel: &str, id: &str, now: Timestamp) -> [Notice; 2] {
    let notice = |step: &str, status, title: &str, text: &str| Notice {
        id: format!("{id}-{step}"),
        channel: channel.to_owned(),
        host: host.to_owned(),
        at: now,
        reason: NoticeReason::Drill,
        status,
        incident: None,
        thread: id.to_owned(),
        title: format!("{host}: {title}"),
        text: format!("{host}: {text}"),
        items: Vec::new(),
        still_bad: Vec::new(),
        left_out: 0,
    };
    let opened = "a drill: nothing is wrong, and this is how it would be told";
    [
        notice(STEPS[0], Status::Warning, "drill", opened),
        notice(STEPS[1], Status::Healthy, "the drill is over", "the drill is over: this channel works"),
    ]
}

/// A drill without a monitor: each channel on a thread of its own, for so long at most.
pub(crate) fn alone(
    host: &str,
    channels: BTreeMap<String, Box<dyn Channel>>,
    within: Duration,
) -> DrillReport {
    let now = Timestamp::now();
    let id = format!("drill-{}", now.as_millisecond());
    let mut report = DrillReport::of(id.clone(), channels.keys().cloned());
    let (done, results) = mpsc::channel();
    for (name, mut channel) in channels {
        let (done, notices) = (done.clone(), notices(host, &name, &id, now));
        let send = move || {
            for notice in notices {
                let began = Instant::now();
                let outcome = channel.send(&notice);
                let _ = done.send((name.clone(), outcome, began.elapsed()));
            }
        };
        // Who gets no thread is shown as not answered.
        drop(std::thread::Builder::new().name("channel".to_owned()).spawn(send));
    }
    drop(done);
    let end = Instant::now() + within;
    while let Ok((name, outcome, took)) = results.recv_timeout(end.saturating_duration_since(Instant::now()))
    {
        report.note(&name, &outcome, Duration::ZERO, took);
    }
    report
}

/// The drill of this moment, or the last one.
#[derive(Debug, Default)]
pub(super) struct Drill {
    report: DrillReport,
    began: Option<Timestamp>,
    /// What each channel is told when it has answered the first step.
    ahead: BTreeMap<String, Notice>,
}

impl Drill {
    pub(super) fn report(&self) -> DrillReport {
        self.report.clone()
    }

    /// Begins anew, with what is to be told first.
    fn begin(
        &mut self,
        host: &str,
        instance: &str,
        channels: &[String],
        now: Timestamp,
    ) -> Option<Vec<Notice>> {
        if self.is_under_way(now) {
            return None;
        }
        let id = format!("{instance}{MARK}{}", now.as_millisecond());
        let both = channels.iter().map(|channel| (channel.clone(), notices(host, channel, &id, now)));
        let (mut first, mut ahead) = (Vec::new(), BTreeMap::new());
        for (channel, [opened, recovered]) in both {
            first.push(opened);
            ahead.insert(channel, recovered);
        }
        let report = DrillReport::of(id, channels.iter().cloned());
        *self = Self { report, began: Some(now), ahead };
        Some(first)
    }

    fn is_under_way(&self, now: Timestamp) -> bool {
        let age = self.began.and_then(|began| Duration::try_from(now.duration_since(began)).ok());
        !self.report.is_complete() && age.is_some_and(|age| age < UNDER_WAY)
    }

    /// Takes in how a step ended, and gives what is to be told next. What is left of an earlier drill proves nothing.
    fn note(&mut self, delivered: &Delivered) -> Option<Notice> {
        let Delivered { channel, outcome, waited, took, .. } = delivered;
        if !delivered.notice.starts_with(&self.report.id) {
            return None;
        }
        self.report.note(channel, outcome, *waited, *took);
        self.ahead.remove(channel)
    }
}

impl Monitor {
    /// Sends the first notice of a drill through each channel, and the second when the first has ended: so it stands
    /// before a real one for one notice at most. By its id it is asked for what became of them.
    pub(super) fn drill(&mut self) -> Answer {
        let channels: Vec<String> = self.settings.config.channels.keys().cloned().collect();
        let (host, instance) = (&self.settings.rules.host, self.alerts.instance());
        let Some(first) = self.drill.begin(host, instance, &channels, Timestamp::now()) else {
            return Answer::refused("a drill is under way: try again in a minute");
        };
        first.into_iter().for_each(|notice| self.posts.send(notice, 1, None));
        Answer::Drill(Box::new(self.drill.report()))
    }

    /// Whether a delivery was one of a drill's, which then is noted.
    pub(super) fn note_drilled(&mut self, delivered: &Delivered) -> bool {
        let is_drills = delivered.notice.contains(MARK);
        if is_drills && let Some(next) = self.drill.note(delivered) {
            self.posts.send(next, 1, None);
        }
        is_drills
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(notice: &Notice) -> Delivered {
        Delivered {
            channel: notice.channel.clone(),
            notice: notice.id.clone(),
            attempt: 1,
            outcome: Outcome::Accepted,
            waited: Duration::ZERO,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn one_drill_at_a_time_step_by_step_and_nothing_of_an_earlier_one_counts() {
        let (mut drill, channels) = (Drill::default(), ["phone".to_owned()]);
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = drill.begin("deimos", "abc", &channels, at(0)).unwrap();
        assert_eq!(first.len(), 1, "the second step waits for the first");
        assert!(drill.begin("deimos", "abc", &channels, at(59)).is_none(), "it is under way");
        let second = drill.begin("deimos", "abc", &channels, at(60)).unwrap();
        assert!(drill.note(&ended(&first[0])).is_none() && drill.report().channels["phone"].is_empty());
        let last = drill.note(&ended(&second[0])).unwrap();
        assert!(drill.note(&ended(&last)).is_none() && drill.report().is_well());
        assert!(drill.begin("deimos", "abc", &channels, at(61)).is_some(), "it is over");
    }
}
