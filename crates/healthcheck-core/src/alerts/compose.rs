//! The notice that follows from what is due: the root first, what belongs together in one.

use super::desk::{Desk, Owed, Told};
use super::standing::Due;
use super::{Alerts, Item, Machine, Notice, NoticeReason, Trouble, World, words};
use crate::{Cause, Kind, Priority, Subject};
use health_reporter::Status;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

/// Subjects that are named; of the others only how many there are.
const MAX_ITEMS: usize = 500;
/// Names of the affected that are told.
const MAX_AFFECTED: usize = 32;
/// More threads than this at once are told as one.
const MAX_THREADS: usize = 3;
/// What began within so much time began at once.
const SAME: Duration = Duration::from_secs(2);

impl Alerts {
    /// The next notice to a channel, where something is due.
    pub(super) fn notice(&self, name: &str, desk: &Desk, due: &Due, world: &World<'_>) -> Option<Notice> {
        let is_reboot = self.reboot_at(name, desk, world).is_some_and(|at| at <= self.head.clock.at);
        if due.is_empty() && !is_reboot {
            return None;
        }
        let mut items: Vec<Item> =
            due.iter().map(|(subject, reason)| self.item(desk, subject, *reason, world)).collect();
        keep_apart(&mut items, is_reboot);
        let is_digest = !is_reboot && self.keep_one_thread(desk, &mut items);
        items.sort_by_cached_key(|item| {
            (Reverse(item.affected.len().min(1)), Reverse(item.status), item.subject.clone())
        });
        if is_reboot {
            items.insert(0, self.reboot(world)?);
        }
        let reason = if is_digest { NoticeReason::Digest } else { reason_of(&items) };
        let thread = match items.first().filter(|_| !is_reboot) {
            Some(first) => self.thread_of_item(desk, first),
            None => format!("{}-b{}", self.head.instance, self.head.last_notice + 1),
        };
        Some(self.complete(name, desk, items, reason, thread, world))
    }

    fn complete(
        &self,
        name: &str,
        desk: &Desk,
        mut items: Vec<Item>,
        reason: NoticeReason,
        thread: String,
        world: &World<'_>,
    ) -> Notice {
        let status = items.iter().map(|item| urgency(item, world)).max().unwrap_or(Status::Unknown);
        let incident = items.iter().find_map(|item| item.incident);
        // What is left out of the words is told all the same: the list is what was told.
        let still_bad = self.still_bad(desk, &thread, &items, world);
        items.iter_mut().for_each(|item| item.affected.truncate(MAX_AFFECTED));
        let mut notice = Notice {
            id: format!("{}-{}", self.head.instance, self.head.last_notice + 1),
            channel: name.to_owned(),
            host: world.rules.host.clone(),
            at: world.now.wall,
            reason,
            status,
            incident,
            thread,
            title: String::new(),
            text: String::new(),
            items,
            still_bad,
            left_out: 0,
        };
        words::write(&mut notice);
        notice
    }

    /// Keeps what belongs to the most urgent thread, where there are only a few; whether it is all of many.
    fn keep_one_thread(&self, desk: &Desk, items: &mut Vec<Item>) -> bool {
        let threads: Vec<String> = items.iter().map(|item| self.thread_of_item(desk, item)).collect();
        if threads.iter().collect::<BTreeSet<_>>().len() > MAX_THREADS {
            return true;
        }
        let urgent = items.iter().zip(&threads).max_by_key(|(item, _)| (item.status, Reverse(item.since)));
        if let Some((_, urgent)) = urgent {
            let mut is_kept = threads.iter().map(|thread| thread == urgent);
            items.retain(|_| is_kept.next() == Some(true));
        }
        false
    }

    /// Where a subject was told of, as long as that is not over; else its incident's own.
    pub(super) fn thread_of(&self, desk: &Desk, subject: &Subject) -> String {
        let told = desk.told.get(subject);
        if let Some(told) = told.filter(|told| told.status != Status::Healthy) {
            return told.thread.clone();
        }
        let owed = told.and_then(|told| told.owed.as_ref()).and_then(|owed| owed.incident);
        let own = self.troubles.get(subject).map(|trouble| trouble.incident);
        self.thread(owed.or(own).unwrap_or_default())
    }

    fn thread_of_item(&self, desk: &Desk, item: &Item) -> String {
        match item.reason {
            NoticeReason::Healed => format!("{}-q", self.head.instance),
            _ => self.thread_of(desk, &item.subject),
        }
    }

    fn thread(&self, incident: u64) -> String {
        format!("{}-i{incident}", self.head.instance)
    }

    /// What a channel is told of one subject.
    pub(super) fn item(
        &self,
        desk: &Desk,
        subject: &Subject,
        reason: NoticeReason,
        world: &World<'_>,
    ) -> Item {
        let told = desk.told.get(subject);
        let trouble = self.troubles.get(subject);
        let owed = told.and_then(|told| told.owed.as_ref());
        let is_over = matches!(reason, NoticeReason::Recovered | NoticeReason::Passed | NoticeReason::Healed);
        let status =
            if is_over { Status::Healthy } else { trouble.map_or(Status::Healthy, Trouble::status_now) };
        let affected = self.affected.get(subject).filter(|_| !is_over).cloned().unwrap_or_default();
        let (since, until) = self.span(told, trouble, world);
        if let Some(owed) = owed.filter(|owed| reason == NoticeReason::Passed && is_older(owed, trouble)) {
            return Item { machine: Machine::of(subject, world.state), ..passed(subject, owed) };
        }
        Item {
            subject: subject.clone(),
            incident: trouble.map(|trouble| trouble.incident).or_else(|| owed.and_then(|it| it.incident)),
            reason,
            status,
            was: told.map_or(Status::Healthy, |told| was(told, reason)),
            cause: trouble.map_or(Cause::NotObserved, |trouble| trouble.cause),
            message: trouble.map(|trouble| trouble.message.clone()).unwrap_or_default(),
            ended: trouble.filter(|_| is_over).and_then(ended),
            since,
            until: until.filter(|_| status == Status::Healthy),
            affected,
            times_today: trouble.map_or(0, |trouble| trouble.healed_today.1),
            machine: Machine::of(subject, world.state),
        }
    }

    /// From when until when it was bad: of what the channel was told of, the whole time.
    fn span(
        &self,
        told: Option<&Told>,
        trouble: Option<&Trouble>,
        world: &World<'_>,
    ) -> (Timestamp, Option<Timestamp>) {
        let (at, wall) = (self.head.clock.at, world.now.wall);
        let began = told.filter(|told| told.status != Status::Healthy).and_then(|told| told.began);
        let end = trouble.and_then(|trouble| trouble.end.as_ref());
        let since = trouble.map(|trouble| trouble.since(at, wall));
        let earlier = began.filter(|began| trouble.is_none_or(|trouble| *began + SAME < trouble.since_at));
        let until = end.map_or((at, wall), |end| (end.at, end.wall));
        let whole = earlier.map(|began| until.1.checked_sub(until.0.saturating_sub(began)).unwrap_or(wall));
        (
            whole.or(since).unwrap_or(wall),
            end.map(|end| end.wall).or_else(|| trouble.is_none().then_some(wall)),
        )
    }

    /// Who else the thread says is bad, and still is.
    fn still_bad(&self, desk: &Desk, thread: &str, items: &[Item], world: &World<'_>) -> Vec<Item> {
        let news: BTreeSet<&Subject> = items.iter().map(|item| &item.subject).collect();
        let is_of_hosts = items.iter().any(Item::is_of_host);
        let told = desk.told.iter().filter(|(subject, told)| {
            let is_of_family = (subject.kind == Kind::Host) == is_of_hosts;
            told.status != Status::Healthy && told.thread == thread && is_of_family && !news.contains(subject)
        });
        let open = told.filter(|(subject, _)| self.troubles.get(*subject).is_some_and(Trouble::is_open));
        open.take(MAX_ITEMS)
            .map(|(subject, _)| self.item(desk, subject, NoticeReason::Reminder, world))
            .collect()
    }

    /// The machine is back.
    fn reboot(&self, world: &World<'_>) -> Option<Item> {
        let reboot = self.head.reboot.as_ref()?;
        let services: Vec<Status> = world
            .state
            .subjects(Kind::Service)
            .filter_map(|subject| Some(world.state.verdict(subject)?.status))
            .collect();
        let is_back = |status: &&Status| matches!(status, Status::Healthy | Status::Warning);
        let back = services.iter().filter(is_back).count();
        Some(Item {
            subject: Subject::new(Kind::Host, &world.rules.host),
            incident: None,
            reason: NoticeReason::Rebooted,
            status: Status::Warning,
            was: Status::Healthy,
            cause: Cause::NotObserved,
            message: words::reboot(reboot, &world.rules.zone, back, services.len()),
            since: reboot.down,
            until: Some(reboot.up),
            affected: Vec::new(),
            ended: None,
            times_today: 0,
            machine: None,
        })
    }
}

/// Machines are told of by one watcher only, so never with anything else: of both, what is more urgent comes first. How
/// this machine came back needs nobody's leave.
fn keep_apart(items: &mut Vec<Item>, is_reboot: bool) {
    let worst = |is_of_host: bool| {
        items.iter().filter(|item| item.is_of_host() == is_of_host).map(|item| item.status).max()
    };
    let hosts_first = !is_reboot && worst(true) >= worst(false);
    items.retain(|item| item.is_of_host() == hosts_first);
}

/// Whether something else was the matter since.
fn is_older(owed: &Owed, trouble: Option<&Trouble>) -> bool {
    trouble.is_none_or(|trouble| Some(trouble.incident) != owed.incident)
}

/// What was the matter before that: when it ended nobody remembers.
fn passed(subject: &Subject, owed: &Owed) -> Item {
    Item {
        subject: subject.clone(),
        incident: owed.incident,
        reason: NoticeReason::Passed,
        status: Status::Healthy,
        was: owed.status,
        cause: owed.cause,
        message: owed.message.clone(),
        since: owed.since,
        until: None,
        affected: Vec::new(),
        ended: None,
        times_today: 0,
        machine: None,
    }
}

/// What the channel was told last; of what passed, what it should have been.
fn was(told: &Told, reason: NoticeReason) -> Status {
    let owed = told.owed.as_ref().map(|owed| owed.status).or(told.unsure);
    owed.filter(|_| reason == NoticeReason::Passed).unwrap_or(told.status)
}

/// What it is now, where that is not simply well again.
fn ended(trouble: &Trouble) -> Option<Cause> {
    let cause = trouble.end.as_ref()?.cause;
    matches!(cause, Cause::Stopped | Cause::Finished | Cause::NotObserved).then_some(cause)
}

/// How urgent one subject is: an optional one worries at most.
fn urgency(item: &Item, world: &World<'_>) -> Status {
    let service = world.policy.service(&item.subject.name).filter(|_| item.subject.kind == Kind::Service);
    let is_optional = service.is_some_and(|service| service.priority == Priority::Optional);
    match item.status {
        status if is_optional => status.min(Status::Warning),
        Status::Healthy if item.reason == NoticeReason::Healed => Status::Unknown,
        status => status,
    }
}

/// What a notice is about, in one word.
fn reason_of(items: &[Item]) -> NoticeReason {
    const ORDER: [NoticeReason; 9] = [
        NoticeReason::Rebooted,
        NoticeReason::Opened,
        NoticeReason::Worse,
        NoticeReason::Flapping,
        NoticeReason::Better,
        NoticeReason::Recovered,
        NoticeReason::Passed,
        NoticeReason::Reminder,
        NoticeReason::Healed,
    ];
    let has = |reason: &NoticeReason| items.iter().any(|item| item.reason == *reason);
    ORDER.into_iter().find(has).unwrap_or(NoticeReason::Digest)
}
