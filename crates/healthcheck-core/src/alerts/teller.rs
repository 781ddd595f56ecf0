//! Who tells people of machines: one watcher of several, the teller. What its channels accepted all of them know.

use super::desk::{Desk, Told};
use super::{Alerts, Decided, Deed, Held, Item, Notice, NoticeReason, Outgoing, OutgoingState, World};
use crate::saved;
use crate::{Kind, Subject};
use health_reporter::Status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Two times of one telling that went through two clocks.
const SAME: Duration = Duration::from_secs(2);

/// What a channel's server last accepted of a machine, whoever told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The machine.
    pub subject: Subject,
    /// How it was said to be; healthy where it was told to be back, or nothing was told yet.
    #[serde(deserialize_with = "saved::word")]
    pub status: Status,
    /// What the server may have accepted since, where that is something else: it is being sent, or its answer was lost.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "saved::word_if_any")]
    pub unsure: Option<Status>,
    /// The thread in which it was told.
    pub thread: String,
    /// When it was told, wall time.
    pub at: Timestamp,
}

impl Item {
    /// Whether it tells how a machine is, which only the teller may do. That this one restarted each tells for itself.
    #[must_use]
    pub fn is_of_host(&self) -> bool {
        self.subject.kind == Kind::Host && self.reason != NoticeReason::Rebooted
    }
}

impl Notice {
    /// Whether it tells how machines are: then it is to be sent only by the teller, and tells of nothing else.
    #[must_use]
    pub fn tells_hosts(&self) -> bool {
        self.items.iter().chain(&self.still_bad).any(Item::is_of_host)
    }
}

impl Alerts {
    /// Whether machines are told of here.
    #[must_use]
    pub const fn tells_hosts(&self) -> bool {
        !self.head.leaves_hosts
    }

    /// From now on machines are told of here, or by another watcher. Whoever becomes the teller takes in first, with
    /// [`Alerts::heard`] and [`Alerts::unheard`], what the last one told.
    pub fn tell_hosts(&mut self, tells: bool, at: Timestamp) {
        if self.tells_hosts() == tells {
            return;
        }
        self.head.leaves_hosts = !tells;
        self.dirty.head = true;
        self.record(at, Deed::TellsHosts { tells });
        self.looks.touch_all();
        self.plan_at_once();
    }

    /// A notice that was handed out is not sent, because somebody else is the teller: it is neither owed nor doubted.
    /// That he is follows by [`Alerts::tell_hosts`]; else the same is decided again.
    pub fn recall(&mut self, channel: &str, notice: &str) {
        self.swap_shelved();
        let wall = self.head.clock.wall_of(self.head.clock.at);
        let desk = self.desks.get_mut(channel);
        if let Some(desk) = desk.filter(|desk| desk.sends(notice)) {
            desk.is_sending = false;
            if let Some(outgoing) = desk.leave(wall) {
                outgoing.notice.items.iter().for_each(|item| self.looks.touch(&item.subject));
                self.dirty.outgoing(&outgoing);
                self.dirty.channels.insert(channel.to_owned());
            }
        }
        self.swap_shelved();
        self.plan_at_once();
    }

    /// Takes over what a channel accepted from the teller, with what it may have accepted; what it was owed of that it
    /// is owed no more.
    pub fn heard(&mut self, channel: &str, heard: &[Heard], world: &World<'_>) {
        self.advance(world.now);
        if !world.rules.channels.contains_key(channel) {
            return;
        }
        self.swap_shelved();
        let of_hosts = heard.iter().filter(|heard| heard.subject.kind == Kind::Host);
        let news: Vec<Heard> = of_hosts.filter(|heard| self.hear(channel, heard, world)).cloned().collect();
        self.swap_shelved();
        if !news.is_empty() {
            self.record(world.now.wall, Deed::Heard { channel: channel.to_owned(), heard: news });
            self.plan_at_once();
        }
    }

    /// Whether it is news.
    fn hear(&mut self, channel: &str, heard: &Heard, world: &World<'_>) -> bool {
        let at = self.head.clock.at;
        let ago = Duration::try_from(world.now.wall.duration_since(heard.at)).unwrap_or_default();
        let began = self.troubles.get(&heard.subject).filter(|it| it.is_open()).map(|it| it.since_at);
        let told = self.desks.entry(channel.to_owned()).or_default().told.entry(heard.subject.clone());
        let is_news = told.or_default().hear(heard, at.saturating_sub(ago), began);
        if is_news {
            self.dirty.told.insert((channel.to_owned(), heard.subject.clone()));
            self.looks.touch(&heard.subject);
        }
        is_news
    }

    /// What a channel was told of machines that are not said to be well, to be known to all watchers. It names what is
    /// being sent as well: kept before it is sent, it outlives whoever sends it.
    #[must_use]
    pub fn shared(&self, channel: &str) -> Vec<Heard> {
        let Some(desk) = self.real_desks().get(channel) else { return Vec::new() };
        let sent = desk.outgoing.as_ref().filter(|_| desk.is_sending).map(|outgoing| &outgoing.notice);
        let items = sent.iter().flat_map(|notice| &notice.items).filter(|item| item.is_of_host());
        let flying: BTreeMap<&Subject, &Item> = items.map(|item| (&item.subject, item)).collect();
        let told = desk.told.keys().filter(|subject| subject.kind == Kind::Host);
        let hosts: BTreeSet<&Subject> = told.chain(flying.keys().copied()).collect();
        let nobody = Told::default();
        let of = |subject: &Subject| {
            let told = desk.told.get(subject).unwrap_or(&nobody);
            let unsure = told.unsure.max(flying.get(subject).map(|item| item.status));
            let unsure = unsure.filter(|unsure| *unsure != told.status);
            let thread = sent.filter(|_| told.status == Status::Healthy).map(|notice| &notice.thread);
            Heard {
                subject: subject.clone(),
                status: told.status,
                unsure,
                thread: thread.unwrap_or(&told.thread).clone(),
                at: self.head.clock.wall_before(told.at.unwrap_or(self.head.clock.at)),
            }
        };
        let heard = hosts.into_iter().map(of);
        heard.filter(|it| it.status != Status::Healthy || it.unsure.is_some()).collect()
    }

    /// What is believed to be open with a channel, and that everything that is shared says nothing of: it is said to be
    /// well. Whoever has all that is shared hears this as well.
    #[must_use]
    pub fn unheard(&self, channel: &str, heard: &[Heard], at: Timestamp) -> Vec<Heard> {
        let Some(desk) = self.real_desks().get(channel) else { return Vec::new() };
        let named: BTreeSet<&Subject> = heard.iter().map(|heard| &heard.subject).collect();
        let open = desk.told.iter().filter(|(subject, told)| subject.kind == Kind::Host && told.is_open());
        open.filter(|(subject, _)| !named.contains(subject))
            .map(|(subject, told)| Heard {
                subject: subject.clone(),
                status: Status::Healthy,
                unsure: None,
                thread: told.thread.clone(),
                at,
            })
            .collect()
    }

    /// Who does not tell of machines has nothing on its way that does, unless it is just being sent.
    pub(super) fn leave_to_teller(&mut self, name: &str, desk: &mut Desk, world: &World<'_>) {
        let is_left = self.head.leaves_hosts && !desk.is_sending;
        if !is_left || !desk.outgoing.as_ref().is_some_and(|outgoing| outgoing.notice.tells_hosts()) {
            return;
        }
        desk.give_up();
        if let Some(outgoing) = desk.leave(world.now.wall) {
            self.dirty.outgoing(&outgoing);
            self.dirty.channels.insert(name.to_owned());
        }
    }
}

impl Desk {
    fn sends(&self, notice: &str) -> bool {
        self.is_sending && self.outgoing.as_ref().is_some_and(|outgoing| outgoing.notice.id == notice)
    }

    /// What is on its way is told by somebody else.
    fn leave(&mut self, wall: Timestamp) -> Option<Outgoing> {
        let mut outgoing = self.outgoing.take()?;
        (outgoing.state, outgoing.ended) = (OutgoingState::Replaced, Some(wall));
        self.is_tried = false;
        Some(outgoing)
    }
}

impl Told {
    /// Takes over what somebody else told at an instant; whether it is news.
    fn hear(&mut self, heard: &Heard, at: Duration, began: Option<Duration>) -> bool {
        let unsure = heard.unsure.filter(|unsure| *unsure != heard.status);
        let is_same = (self.status, self.unsure) == (heard.status, unsure) && self.owed.is_none();
        let is_told_again = self.at.is_none_or(|known| at > known + SAME);
        let is_well = heard.status == Status::Healthy && unsure.is_none();
        if is_same && (heard.status == Status::Healthy || !is_told_again) {
            return false;
        }
        self.reminders = if is_same { self.reminders.saturating_add(1) } else { 0 };
        if self.status == Status::Healthy {
            self.began = Some(began.unwrap_or(at).min(at));
        }
        (self.status, self.unsure, self.owed) = (heard.status, unsure, None);
        self.thread.clone_from(&heard.thread);
        if is_well || heard.status != Status::Healthy {
            self.at = Some(at);
            self.last.insert(heard.status.as_str().to_owned(), at);
            self.decision = Some(Decided { held: Held::Told, at: heard.at, until: None, notice: None });
        }
        true
    }
}
