//! What is remembered of another machine: how its lease was last seen, and how much of its time to come back is left.

use crate::{Farewell, HostAbout, HostFacts, HostSight, MAX_NAMED_SERVICES, Now, wording};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Nobody is granted more than that before it is believed that he is lost.
const MAX_GRACE: Duration = Duration::from_secs(86_400);

/// How a machine was last seen, and since when it is seen like that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Leased {
    pub(crate) facts: HostFacts,
    /// When it was first seen like that in this boot: by the two together no later step of the wall clock matters.
    seen_wall: Timestamp,
    seen_boottime: Duration,
    /// From when on time counts, as time awake: time in which nobody watched counts against nobody.
    counts_from_awake: Duration,
    /// How long it had not been seen when time began to count.
    unseen: Duration,
    /// How much of its grace was left when time began to count.
    grace: Duration,
}

impl Leased {
    /// What is remembered after a look. The same sight again moves no deadline, and whoever is lost stays lost: what
    /// it was granted before it was believed is not granted twice.
    pub(crate) fn after(former: Option<Self>, facts: HostFacts, now: &Now) -> Self {
        let facts = plain(facts);
        let about = facts.about.clone();
        let Some(former) = former else { return Self::new(facts, now) };
        let about = about.or_else(|| former.facts.about.clone());
        let mut leased = match (&former.facts.sight, &facts.sight) {
            (HostSight::Lost { .. }, HostSight::Lost { grace, .. }) => {
                let left = former.grace_left(now).min(*grace);
                Self { grace: left + former.counted(now), ..former }
            }
            (one, other) if one == other => former,
            _ => Self::new(facts, now),
        };
        leased.facts.about = about;
        leased
    }

    fn new(facts: HostFacts, now: &Now) -> Self {
        let (unseen, grace) = match &facts.sight {
            HostSight::Lost { last_seen, grace } => (now.since_wall(*last_seen).unwrap_or_default(), *grace),
            HostSight::Alive | HostSight::Stopped(_) => Default::default(),
        };
        let (seen_wall, seen_boottime) = (now.wall, now.boottime);
        Self { facts, seen_wall, seen_boottime, counts_from_awake: now.awake(), unseen, grace }
    }

    /// When it was first seen like that.
    pub(crate) const fn seen_wall(&self) -> Timestamp {
        self.seen_wall
    }

    /// How long it was watched since it was lost.
    fn counted(&self, now: &Now) -> Duration {
        now.awake().saturating_sub(self.counts_from_awake)
    }

    /// How long it still has to come back before it is believed that it is lost.
    pub(crate) fn grace_left(&self, now: &Now) -> Duration {
        self.grace.saturating_sub(self.counted(now))
    }

    /// How much is left of a time for which nobody need know that it is lost.
    pub(crate) fn left_of(&self, threshold: Duration, now: &Now) -> Duration {
        threshold.saturating_sub(self.unseen + self.counted(now))
    }

    /// How long ago it was last seen, by a clock that cannot be set.
    pub(crate) fn unseen_for(&self, last_seen: Timestamp, now: &Now) -> Duration {
        let before = Duration::try_from(self.seen_wall.duration_since(last_seen)).unwrap_or_default();
        before + now.boottime.saturating_sub(self.seen_boottime)
    }

    /// Nobody watched for so long, the watcher being awake.
    pub(crate) fn leave_unwatched(&mut self, lasted: Duration) {
        self.counts_from_awake += lasted;
    }

    /// The watcher has booted; it was watched until then.
    pub(crate) fn after_boot(mut self, watched_until_awake: Duration) -> Self {
        let counted = watched_until_awake.saturating_sub(self.counts_from_awake);
        self.unseen += counted;
        self.grace = self.grace.saturating_sub(counted);
        Self { counts_from_awake: Duration::ZERO, seen_boottime: Duration::ZERO, ..self }
    }

    /// The first look in this boot: from now on time counts again.
    pub(crate) fn watched_again(self, now: &Now) -> Self {
        let (seen_wall, seen_boottime) = (now.wall, now.boottime);
        Self { counts_from_awake: now.awake(), seen_wall, seen_boottime, ..self }
    }

    /// What it takes on the heap, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let about = self.facts.about.as_ref().map_or(0, |about| {
            let names: usize = about.services.iter().map(|name| size_of::<String>() + name.len()).sum();
            about.hostname.len() + about.description.len() + names
        });
        let reason = match &self.facts.sight {
            HostSight::Stopped(farewell) => farewell.reason.len(),
            HostSight::Alive | HostSight::Lost { .. } => 0,
        };
        size_of::<Self>() + about + reason
    }
}

/// All texts are another machine's.
fn plain(facts: HostFacts) -> HostFacts {
    let label = |text: &str| wording::label(text, wording::MAX_NAME_BYTES);
    let sight = match facts.sight {
        HostSight::Stopped(farewell) => {
            HostSight::Stopped(Farewell { reason: label(&farewell.reason), ..farewell })
        }
        HostSight::Lost { last_seen, grace } => HostSight::Lost { last_seen, grace: grace.min(MAX_GRACE) },
        HostSight::Alive => HostSight::Alive,
    };
    let about = facts.about.map(|about| HostAbout {
        hostname: label(&about.hostname),
        description: label(&about.description),
        services: about.services.iter().take(MAX_NAMED_SERVICES).map(|name| label(name)).collect(),
        service_count: about.service_count.max(about.services.len()),
    });
    HostFacts { sight, about }
}
