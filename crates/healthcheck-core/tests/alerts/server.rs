//! The server of a channel, and what becomes of what is sent to it.

use health_reporter::Status;
use healthcheck_core::Subject;
use healthcheck_core::alerts::{Notice, NoticeReason, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How it goes with what is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Weather {
    #[default]
    Works,
    /// The connection is refused.
    Down,
    /// The server takes it, and its answer is lost.
    Loses,
    /// It wants none of it.
    Refuses,
    /// It wants to be left alone.
    Later(u64),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    pub(crate) weather: Weather,
    /// How long an answer takes.
    pub(crate) latency: Duration,
    /// What it accepted, once each, and when first.
    pub(crate) accepted: Vec<(Duration, Notice)>,
    /// What it believes of each subject.
    pub(crate) believes: BTreeMap<Subject, Status>,
    /// The ids of which we never got the answer.
    unanswered: BTreeSet<String>,
    /// How often anything came twice.
    pub(crate) repeats: u32,
    pub(crate) lost: u32,
    pub(crate) attempts: u32,
    pub(crate) problem: Option<String>,
    seen: usize,
}

impl Server {
    pub(crate) fn take(&mut self, notice: Notice, t: Duration) -> (Outcome, Duration) {
        self.attempts += 1;
        let error = "refused".to_owned();
        let outcome = match self.weather {
            Weather::Works => Outcome::Accepted,
            Weather::Down | Weather::Loses => Outcome::Failed { error, retry_after: None },
            Weather::Later(s) => Outcome::Failed { error, retry_after: Some(Duration::from_secs(s)) },
            Weather::Refuses => Outcome::Refused { error },
        };
        self.lost += u32::from(self.weather == Weather::Loses);
        if matches!(self.weather, Weather::Works | Weather::Loses) {
            self.accept(notice, t);
        }
        (outcome, self.latency)
    }

    fn accept(&mut self, notice: Notice, t: Duration) {
        for item in notice.items.iter().filter(|item| counts(item.reason)) {
            self.believes.insert(item.subject.clone(), item.status);
        }
        let known = self.accepted.iter().find(|(_, known)| known.id == notice.id);
        if let Some((_, known)) = known {
            let is_same = *known == notice;
            self.problem = match (is_same, self.unanswered.contains(&notice.id)) {
                (false, _) => Some(format!("{} tells something else", notice.id)),
                (_, false) => Some(format!("{} was sent twice without need", notice.id)),
                _ => self.problem.take(),
            };
            self.repeats += 1;
            return;
        }
        self.unanswered.insert(notice.id.clone());
        self.accepted.push((t, notice));
    }

    /// The monitor has the answer.
    pub(crate) fn answered(&mut self, id: &str, outcome: &Outcome) {
        if *outcome == Outcome::Accepted {
            self.unanswered.remove(id);
        }
    }

    /// Whether the monitor knows that it was accepted.
    pub(crate) fn is_answered(&self, id: &str) -> bool {
        !self.unanswered.contains(id)
    }

    pub(crate) fn titles(&self) -> Vec<String> {
        self.accepted.iter().map(|(_, notice)| notice.title.clone()).collect()
    }

    pub(crate) fn news(&mut self) -> Vec<String> {
        let titles = self.titles();
        let news = titles[self.seen..].to_vec();
        self.seen = titles.len();
        news
    }

    pub(crate) fn last(&self) -> &Notice {
        &self.accepted.last().unwrap().1
    }
}

/// Whether it tells how a subject is.
pub(crate) const fn counts(reason: NoticeReason) -> bool {
    !matches!(reason, NoticeReason::Healed | NoticeReason::Rebooted)
}
