//! A drill: an incident that is none, sent through every channel, each step timed.

use super::Monitor;
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

impl Monitor {
    /// Sends the notices of a drill; by its id it is asked for what became of them.
    pub(super) fn drill(&mut self) -> DrillReport {
        let now = Timestamp::now();
        let id = format!("{}-drill-{}", self.alerts.instance(), now.as_millisecond());
        let channels: Vec<String> = self.settings.config.channels.keys().cloned().collect();
        for channel in &channels {
            for notice in notices(&self.settings.rules.host, channel, &id, now) {
                self.posts.send(notice, 1);
            }
        }
        self.drill = DrillReport::of(id, channels.into_iter());
        self.drill.clone()
    }

    /// Whether a delivery was one of the drill's, which then is noted.
    pub(super) fn note_drilled(&mut self, delivered: &Delivered) -> bool {
        let is_drills = !self.drill.id.is_empty() && delivered.notice.starts_with(&self.drill.id);
        if is_drills {
            let Delivered { channel, outcome, waited, took, .. } = delivered;
            self.drill.note(channel, outcome, *waited, *took);
        }
        is_drills
    }
}
