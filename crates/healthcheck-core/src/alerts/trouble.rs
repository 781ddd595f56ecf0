//! What is the matter with one subject, whoever is told of it.

use crate::saved;
use crate::{Cause, Now, Subject, Transition};
use health_reporter::Status;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Two clocks that differ by less were not set.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// The trouble of a subject, from its first bad transition on; when it is over it is the last one that it had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    pub(crate) incident: u64,
    #[serde(deserialize_with = "saved::word")]
    pub(crate) status: Status,
    pub(crate) cause: Cause,
    pub(crate) message: String,
    /// Since when it is bad, wall time.
    pub(crate) since: Timestamp,
    /// When it became bad, as far as the evidence tells, on the clock of the alerts.
    pub(crate) since_at: Duration,
    /// When it became what it is, on the same clock: a supervisor has its time from then on.
    pub(crate) fell: Duration,
    pub(crate) end: Option<End>,
    /// What was told as its cause when that was last looked at.
    pub(crate) inhibited_by: Option<Subject>,
    /// When it was last left alone by its cause.
    pub(crate) freed: Option<Duration>,
    /// When a supervisor last brought it back in time.
    pub(crate) healed: Option<Duration>,
    pub(crate) healed_today: (Date, u32),
}

/// How a trouble ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) at: Duration,
    pub(crate) wall: Timestamp,
    /// What it is now, where that is not simply healthy.
    pub(crate) cause: Cause,
}

impl Trouble {
    pub(crate) fn new(incident: u64, transition: &Transition, at: Duration) -> Self {
        Self {
            incident,
            status: transition.to,
            cause: transition.cause,
            message: transition.message.clone(),
            since: transition.since,
            since_at: at.saturating_sub(elapsed(transition.since, transition.at)),
            fell: at,
            end: None,
            inhibited_by: None,
            freed: None,
            healed: None,
            healed_today: (Date::ZERO, 0),
        }
    }

    /// The next one of the same subject.
    pub(crate) fn again(self, incident: u64, transition: &Transition, at: Duration) -> Self {
        let (healed, healed_today) = (self.healed, self.healed_today);
        Self { healed, healed_today, ..Self::new(incident, transition, at) }
    }

    /// The same trouble, as it is now. Whoever learns more of a crash does not wait longer for that.
    pub(crate) fn goes_on(&mut self, transition: &Transition, at: Duration) {
        self.fell = if self.may_heal() { self.fell } else { at };
        (self.status, self.cause) = (transition.to, transition.cause);
        self.message.clone_from(&transition.message);
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// How it is: healthy when it is over.
    pub(crate) const fn status_now(&self) -> Status {
        if self.is_open() { self.status } else { Status::Healthy }
    }

    /// Whether somebody may start it again by himself.
    pub(crate) const fn may_heal(&self) -> bool {
        matches!(self.cause, Cause::Crashed | Cause::OomKilled)
    }

    /// Since when it is bad, by the wall clock as it is set now: it may have been set meanwhile.
    pub(crate) fn since(&self, at: Duration, wall: Timestamp) -> Timestamp {
        let (at, wall) = self.end.as_ref().map_or((at, wall), |end| (end.at, end.wall));
        let lasted = at.saturating_sub(self.since_at);
        let is_right = elapsed(self.since, wall).abs_diff(lasted) < CLOCK_TOLERANCE;
        if is_right { self.since } else { wall.checked_sub(lasted).unwrap_or(self.since) }
    }

    pub(crate) fn end(&mut self, transition: &Transition, at: Duration) {
        self.end = Some(End { at, wall: transition.at, cause: transition.cause });
    }

    /// A supervisor was faster than we would have told of it.
    pub(crate) fn heal(&mut self, at: Duration, now: &Now, zone: &TimeZone) {
        let today = zone.to_datetime(now.wall).date();
        let (day, count) = self.healed_today;
        self.healed_today = (today, if day == today { count.saturating_add(1) } else { 1 });
        self.healed = Some(at);
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
