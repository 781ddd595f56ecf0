//! What one channel was told, and what is on its way to it.

use super::delivery::{OutgoingState, backoff};
use super::standing::Standing;
use super::{Item, Notice, NoticeReason, Outcome, Outgoing};
use crate::saved;
use crate::{Cause, Subject};
use health_reporter::Status;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many notices within [`RATE_WINDOW`] are enough: what is due then is gathered.
const MAX_RATE: usize = 20;
const RATE_WINDOW: Duration = Duration::from_secs(600);
/// Beyond that there is one in so much time.
const CROWDED_PAUSE: Duration = Duration::from_secs(60);
/// No server keeps us waiting for longer.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// The pause between digests when the day's budget is spent.
const SPENT_PAUSE: Duration = Duration::from_secs(3_600);
/// A channel that fails for so long has failed for good.
const BROKEN_AFTER: Duration = Duration::from_secs(600);
/// What was told of a subject is of no use any more after this time.
const KEPT_FOR: Duration = Duration::from_secs(3_600);

/// What a channel was told, and what is on its way to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Desk {
    pub(crate) head: DeskHead,
    pub(crate) told: BTreeMap<Subject, Told>,
    pub(crate) outgoing: Option<Outgoing>,
    /// Somebody is just trying to deliver what is on its way.
    pub(crate) is_sending: bool,
    /// What is on its way was tried in this run of the program: nobody else knows how that ended.
    pub(crate) is_tried: bool,
    /// What was decided last.
    pub(crate) standing: Standing,
}

/// How it stands with a channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeskHead {
    /// When the next attempt is due.
    pub(crate) next_attempt: Duration,
    pub(crate) failing_since: Option<Duration>,
    /// How many attempts in a row failed.
    pub(crate) failures: u32,
    pub(crate) last_error: Option<String>,
    /// How many notices in a row it refused.
    pub(crate) refused: u32,
    /// When the last notices went out.
    pub(crate) sent: Vec<Duration>,
    pub(crate) sent_today: (Date, u32),
    /// The machine is back, and this channel was not told yet.
    pub(crate) is_reboot_due: bool,
}

/// What a channel was told of a subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// What its server last accepted; healthy where nothing is wrong or was told.
    #[serde(deserialize_with = "saved::word")]
    pub(crate) status: Status,
    pub(crate) thread: String,
    /// Since when what it was told of lasts, on the clock of the alerts.
    pub(crate) began: Option<Duration>,
    /// When anything was last told of it.
    pub(crate) at: Option<Duration>,
    /// When it was last told of each status; `unknown` stands for quiet lines.
    pub(crate) last: BTreeMap<String, Duration>,
    /// How often it was told again without being news.
    pub(crate) reminders: u32,
    /// What its server may have accepted since, where that is something else and the answer was lost.
    #[serde(deserialize_with = "saved::word_if_any")]
    pub(crate) unsure: Option<Status>,
    /// What should have been told already.
    pub(crate) owed: Option<Owed>,
    pub(crate) is_flapping_told: bool,
    pub(crate) flapping_at: Option<Duration>,
    pub(crate) healed: Option<Duration>,
    /// Why nothing is told, or that it was, and since when.
    pub(crate) decision: Option<super::Decided>,
}

/// What should have been told already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Owed {
    #[serde(deserialize_with = "saved::word")]
    pub(crate) status: Status,
    pub(crate) cause: Cause,
    pub(crate) message: String,
    pub(crate) since: Timestamp,
    pub(crate) incident: Option<u64>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            status: Status::Healthy,
            thread: String::new(),
            began: None,
            at: None,
            last: BTreeMap::new(),
            reminders: 0,
            unsure: None,
            owed: None,
            is_flapping_told: false,
            flapping_at: None,
            healed: None,
            decision: None,
        }
    }
}

impl Told {
    /// When the same may be told again.
    pub(crate) fn cool_at(&self, status: Status, cooldown: Duration) -> Option<Duration> {
        self.last.get(status.as_str()).map(|at| *at + cooldown)
    }

    /// Whether something is still to be told, or may have to be.
    pub(crate) fn is_open(&self) -> bool {
        self.status != Status::Healthy || self.owed.is_some() || self.unsure.is_some()
    }

    /// Whether it still matters what was told.
    pub(crate) fn is_kept(&self, at: Duration, cooldown: Duration) -> bool {
        let kept_for = KEPT_FOR.max(cooldown);
        self.is_open()
            || self.is_flapping_told
            || self.last.values().chain(&self.flapping_at).chain(&self.healed).any(|it| *it + kept_for > at)
    }

    fn accept(&mut self, item: &Item, notice: &Notice, at: Duration, wall: Timestamp) {
        self.at = Some(at);
        if item.reason == NoticeReason::Healed {
            self.last.insert(Status::Unknown.as_str().to_owned(), at);
            return;
        }
        self.last.insert(item.status.as_str().to_owned(), at);
        (self.owed, self.unsure) = (None, None);
        if self.status == Status::Healthy {
            let lasted = Duration::try_from(wall.duration_since(item.since)).unwrap_or_default();
            self.began = Some(at.saturating_sub(lasted));
        }
        self.reminders = if item.reason == NoticeReason::Reminder { self.reminders + 1 } else { 0 };
        if item.reason == NoticeReason::Flapping {
            (self.is_flapping_told, self.flapping_at) = (true, Some(at));
        }
        self.status = item.status;
        self.thread.clone_from(&notice.thread);
    }

    /// It may have been told: the answer was lost, or never came.
    fn doubt(&mut self, item: &Item) {
        if item.reason != NoticeReason::Healed && item.status != self.status {
            self.unsure = self.unsure.max(Some(item.status));
        }
    }

    /// It should be told, and cannot be just now.
    pub(crate) fn owe(&mut self, item: &Item) {
        let is_bad = !matches!(item.reason, NoticeReason::Healed) && item.status > Status::Unknown;
        let is_worse = self.owed.as_ref().is_none_or(|owed| owed.status < item.status);
        if is_bad && is_worse {
            self.owed = Some(Owed {
                status: item.status,
                cause: item.cause,
                message: item.message.clone(),
                since: item.since,
                incident: item.incident,
            });
        }
    }
}

impl Desk {
    /// When there may be another notice, where there were too many.
    pub(crate) fn rate_limited_until(
        &self,
        at: Duration,
        budget: Option<u32>,
        left_of_day: Duration,
        today: Date,
    ) -> Option<Duration> {
        let recent = self.head.sent.iter().filter(|sent| **sent + RATE_WINDOW > at).count();
        let last = self.head.sent.last().filter(|_| recent >= MAX_RATE);
        let by_rate = last.map(|last| *last + CROWDED_PAUSE);
        let by_budget = budget.and_then(|budget| self.budget_until(at, budget, left_of_day, today));
        by_rate.into_iter().chain(by_budget).max().filter(|until| *until > at)
    }

    /// The last fifth of the budget is spread over what was left of the day when the last one went out.
    fn budget_until(
        &self,
        at: Duration,
        budget: u32,
        left_of_day: Duration,
        today: Date,
    ) -> Option<Duration> {
        let (day, count) = self.head.sent_today;
        if day != today {
            return None;
        }
        let (end, last) = (at + left_of_day, *self.head.sent.last()?);
        match budget.saturating_sub(count) {
            0 => Some((last + SPENT_PAUSE).min(end)),
            left if left > (budget / 5).max(1) => None,
            left => Some(last + end.saturating_sub(last) / left.saturating_add(1)),
        }
    }

    /// Notes how an attempt ended, and returns what is no longer on its way.
    pub(crate) fn settle(&mut self, outcome: &Outcome, at: Duration, wall: Timestamp, today: Date) {
        self.is_sending = false;
        self.is_tried = true;
        let Some(outgoing) = &mut self.outgoing else { return };
        outgoing.attempts = outgoing.attempts.saturating_add(1);
        outgoing.last_error = outcome.error().map(str::to_owned);
        match outcome {
            Outcome::Accepted => {
                (outgoing.state, outgoing.ended) = (OutgoingState::Accepted, Some(wall));
                self.accept(at, wall, today);
            }
            Outcome::Failed { retry_after, error } => {
                self.head.failures = self.head.failures.saturating_add(1);
                let pause = backoff(&outgoing.notice.id, self.head.failures);
                let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
                self.head.next_attempt = at + pause.max(asked);
                self.head.failing_since.get_or_insert(at);
                self.head.last_error = Some(error.clone());
                self.doubt_all();
                self.owe_all();
            }
            Outcome::Refused { error } => {
                (outgoing.state, outgoing.ended) = (OutgoingState::Refused, Some(wall));
                self.head.last_error = Some(error.clone());
                self.head.refused = self.head.refused.saturating_add(1);
                self.head.failing_since.get_or_insert(at);
                self.head.next_attempt = at + pause_after_refusal(self.head.refused);
                self.owe_all();
            }
        }
    }

    /// The server has what was on its way.
    pub(crate) fn accept(&mut self, at: Duration, wall: Timestamp, today: Date) {
        let Some(outgoing) = &self.outgoing else { return };
        let notice = &outgoing.notice;
        for item in notice.items.iter().filter(|item| item.reason != NoticeReason::Rebooted) {
            self.told.entry(item.subject.clone()).or_default().accept(item, notice, at, wall);
        }
        // Whoever is named as still bad needs no reminder of his own.
        for item in &notice.still_bad {
            let told = self.told.entry(item.subject.clone()).or_default();
            told.at = Some(at);
            told.reminders += u32::from(notice.reason == NoticeReason::Reminder);
        }
        if notice.items.iter().any(|item| item.reason == NoticeReason::Rebooted) {
            self.head.is_reboot_due = false;
        }
        let (day, count) = self.head.sent_today;
        self.head.sent_today = (today, if day == today { count.saturating_add(1) } else { 1 });
        self.head.sent.push(at);
        let excess = self.head.sent.len().saturating_sub(MAX_RATE);
        self.head.sent.drain(..excess);
        self.works();
    }

    fn works(&mut self) {
        (self.head.failing_since, self.head.last_error) = (None, None);
        (self.head.refused, self.head.failures) = (0, 0);
        self.head.next_attempt = Duration::ZERO;
    }

    /// Nobody tries any more whether it works.
    pub(crate) const fn give_up(&mut self) {
        if self.head.refused == 0 {
            self.head.failing_since = None;
        }
    }

    fn doubt_all(&mut self) {
        let Some(outgoing) = &self.outgoing else { return };
        for item in outgoing.notice.items.iter().filter(|item| item.reason != NoticeReason::Rebooted) {
            self.told.entry(item.subject.clone()).or_default().doubt(item);
        }
    }

    pub(crate) fn owe_all(&mut self) {
        let Some(outgoing) = &self.outgoing else { return };
        for item in &outgoing.notice.items {
            if item.reason != NoticeReason::Rebooted {
                self.told.entry(item.subject.clone()).or_default().owe(item);
            }
        }
    }

    /// Why the channel does not work, where it failed for good.
    pub(crate) fn problem(&self, at: Duration) -> Option<&str> {
        let error = self.head.last_error.as_deref()?;
        let is_long = self.broken_at().is_some_and(|broken| broken <= at);
        (self.head.refused > 0 || is_long).then_some(error)
    }

    /// When the channel will have failed for good.
    pub(crate) fn broken_at(&self) -> Option<Duration> {
        self.head.failing_since.filter(|_| self.outgoing.is_some()).map(|since| since + BROKEN_AFTER)
    }
}

/// Who refused may have been mended, and does not want to be asked often.
fn pause_after_refusal(refused: u32) -> Duration {
    Duration::from_secs(match refused {
        0 | 1 => 60,
        2 => 300,
        3 => 1_800,
        _ => 3_600,
    })
}
