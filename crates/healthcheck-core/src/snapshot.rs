//! All verdicts at one instant, as a plain value.

mod graph;
mod views;

pub use views::{CheckView, Recorded, ServiceView, SubjectView};

use crate::state::Record;
use crate::{Kind, Now, Policy, Priority, State, Subject};
use graph::Graph;
use health_reporter::Status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use views::Told;

/// All verdicts at one instant, those on other machines apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The instant, wall time.
    pub timestamp: Timestamp,
    /// The worst of all, optional ones as at most a warning; unknown where there is nothing to judge.
    #[serde(deserialize_with = "crate::saved::word")]
    pub overall_status: Status,
    /// How many are how.
    pub counts: Counts,
    /// Each service, in the order of names.
    pub services: Vec<ServiceView>,
    /// Each other subject, by kind and name.
    pub others: Vec<SubjectView>,
}

/// How many subjects are how, resources apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Healthy ones, those that are stopped or finished among them.
    pub healthy: usize,
    /// Unknown ones.
    pub unknown: usize,
    /// Warnings.
    pub warning: usize,
    /// Errors.
    pub error: usize,
    /// Fatal ones.
    pub fatal: usize,
    /// All of them.
    pub total: usize,
}

impl Snapshot {
    /// What a state holds, seen at an instant: the verdicts are those that were judged, told as of now.
    #[must_use]
    pub fn of(state: &State, now: &Now, policy: &Policy) -> Self {
        let told = views::told_now(state, now, policy);
        let records = views::here(state).map(|(subject, record)| (subject.clone(), record.clone()));
        Self::show(now, told.into_iter().zip(records))
    }

    /// The same of a state in which everything was judged at this very instant: nothing is judged again, and
    /// nothing copied.
    #[must_use]
    pub fn taken(state: State, now: &Now, policy: &Policy) -> Self {
        let told = views::as_judged(&state, now, policy);
        Self::show(now, told.into_iter().zip(state.into_records()))
    }

    fn show(now: &Now, told: impl Iterator<Item = (Told, (Subject, Record))>) -> Self {
        let (mut services, mut others) = (Vec::with_capacity(told.size_hint().0), Vec::new());
        for (told, (subject, record)) in told.filter(|(told, _)| told.is_shown) {
            let is_flapping = record.is_flapping(now);
            match subject.kind {
                Kind::Service => services.push(views::service(told, subject, record, is_flapping)),
                _ => {
                    let verdict = told.verdict.unwrap_or(record.verdict);
                    others.push(views::subject(subject, verdict, &record.memory, is_flapping));
                }
            }
        }
        Self::of_views(now.wall, services, others)
    }

    /// The verdicts that were recorded of an instant that is over. Of a service there is no more to see than its
    /// verdict and what it was doing; what it counts and depends on is as the policy says now.
    #[must_use]
    pub fn recorded(at: Timestamp, recorded: Vec<Recorded>, policy: &Policy) -> Self {
        let here = recorded.into_iter().filter(|recorded| recorded.subject.kind != Kind::Host);
        let (services, others): (Vec<_>, Vec<_>) =
            here.partition(|recorded| recorded.subject.kind == Kind::Service);
        let mut services: Vec<_> =
            services.into_iter().map(|it| views::recorded_service(it, policy)).collect();
        services.sort_by(|one, other| one.subject.name.cmp(&other.subject.name));
        let mut others: Vec<_> = others.into_iter().map(|it| views::recorded(it).0).collect();
        others.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
        Self::of_views(at, services, others)
    }

    /// Only one other machine, where it is known.
    #[must_use]
    pub fn of_host(state: &State, name: &str, now: &Now, policy: &Policy) -> Option<Self> {
        let subject = Subject::new(Kind::Host, name);
        let record = state.record(&subject)?;
        let verdict = views::verdict_now(state, &subject, record, now, policy);
        let view = views::subject(subject, verdict, &record.memory, record.is_flapping(now));
        Some(Self::of_views(now.wall, Vec::new(), vec![view]))
    }

    fn of_views(timestamp: Timestamp, mut services: Vec<ServiceView>, others: Vec<SubjectView>) -> Self {
        Graph::of(&services).explain(&mut services);
        let mut snapshot =
            Self { timestamp, overall_status: Status::Unknown, counts: Counts::default(), services, others };
        snapshot.overall_status = snapshot.shares().max().unwrap_or(Status::Unknown);
        let counted = snapshot.subjects().filter(|view| view.kind != Kind::Resource);
        snapshot.counts = Counts::of(counted.map(|view| view.status));
        snapshot
    }

    /// Each view, the services first.
    pub fn subjects(&self) -> impl Iterator<Item = &SubjectView> {
        self.services.iter().map(|service| &service.subject).chain(&self.others)
    }

    /// The view of a service.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceView> {
        let found = self.services.binary_search_by(|service| (*service.subject.name).cmp(name));
        found.ok().map(|at| &self.services[at])
    }

    /// Whether nothing was found or expected that can be judged; resources alone do not count.
    #[must_use]
    pub fn has_nothing_to_judge(&self) -> bool {
        self.services.is_empty() && self.others.iter().all(|view| view.kind == Kind::Resource)
    }

    /// What each subject contributes to the whole.
    fn shares(&self) -> impl Iterator<Item = Status> {
        let is_judged = !self.has_nothing_to_judge();
        let services =
            self.services.iter().filter_map(|service| share(service.subject.status, service.priority));
        services.chain(self.others.iter().map(|view| view.status)).filter(move |_| is_judged)
    }
}

impl State {
    /// The worst verdict on anything of this machine, optional ones as at most a warning; unknown where there is none.
    #[must_use]
    pub fn overall_status(&self, policy: &Policy) -> Status {
        let own = self.records().filter(|(subject, _)| subject.kind != Kind::Host);
        let shares = own.filter_map(|(subject, record)| {
            let service = policy.service(&subject.name).filter(|_| subject.kind == Kind::Service);
            share(record.verdict.status, service.map(|service| service.priority).unwrap_or_default())
        });
        shares.max().unwrap_or(Status::Unknown)
    }
}

/// An optional subject worries at most, and not with what nobody knows.
fn share(status: Status, priority: Priority) -> Option<Status> {
    match (priority, status) {
        (Priority::Critical, status) => Some(status),
        (Priority::Optional, Status::Unknown) => None,
        (Priority::Optional, status) => Some(status.min(Status::Warning)),
    }
}

impl Counts {
    fn of(statuses: impl Iterator<Item = Status>) -> Self {
        statuses.fold(Self::default(), |mut counts, status| {
            *counts.of_status(status) += 1;
            counts.total += 1;
            counts
        })
    }

    const fn of_status(&mut self, status: Status) -> &mut usize {
        match status {
            Status::Healthy => &mut self.healthy,
            Status::Unknown => &mut self.unknown,
            Status::Warning => &mut self.warning,
            Status::Error => &mut self.error,
            Status::Fatal => &mut self.fatal,
        }
    }
}
