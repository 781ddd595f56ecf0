//! What an operator asks for, and what is shown to him.

use super::{Acknowledgement, Alerts, Decided, Deed, Incident, Outgoing, Silence, World};
use crate::{Now, Subject};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How it stands between a subject and one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelView {
    /// The channel.
    pub channel: String,
    /// What was decided last, where anything was.
    pub decided: Option<Decided>,
    /// What is on its way that tells of the subject.
    pub outgoing: Option<Outgoing>,
    /// Why the channel does not work.
    pub problem: Option<String>,
}

/// There is no open incident of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchIncident(pub u64);

impl std::error::Error for NoSuchIncident {}

impl fmt::Display for NoSuchIncident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no incident {} is open: `healthcheck incidents` shows those that are", self.0)
    }
}

impl Alerts {
    /// Mutes what fits a pattern. A silence of the same `while_command` and author is moved on. Its number.
    pub fn silence(&mut self, silence: Silence) -> u64 {
        let is_same = |known: &&Silence| {
            silence.while_command.is_some()
                && (&known.pattern, &known.while_command, &known.author, &known.reason)
                    == (&silence.pattern, &silence.while_command, &silence.author, &silence.reason)
        };
        let known = self.silences.values().find(is_same).map(|known| (known.id, known.created));
        let (id, created) = known.unwrap_or_else(|| {
            self.head.last_silence += 1;
            self.dirty.head = true;
            (self.head.last_silence, silence.created)
        });
        let at = silence.created;
        let silence = Silence { id, created, ..silence };
        self.record(at, Deed::Silenced(silence.clone()));
        self.silences.insert(id, silence);
        self.looks.touch_all();
        self.plan_at_once();
        self.dirty.silences.insert(id);
        id
    }

    /// Mutes under a number that was given before.
    pub(super) fn mute(&mut self, silence: Silence) {
        self.looks.touch_all();
        self.plan_at_once();
        self.silences.insert(silence.id, silence);
    }

    /// Ends a silence; it is returned if there was one.
    pub fn unsilence(&mut self, id: u64, at: Timestamp) -> Option<Silence> {
        let silence = self.drop_silence(id)?;
        self.record(at, Deed::Unsilenced { silence: id });
        Some(silence)
    }

    fn drop_silence(&mut self, id: u64) -> Option<Silence> {
        self.dirty.silences.insert(id);
        self.looks.touch_all();
        self.plan_at_once();
        self.silences.remove(&id)
    }

    /// The silences, in the order in which they were asked for.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.values()
    }

    /// Says that somebody cares for an incident: there are no reminders of it any more.
    ///
    /// # Errors
    ///
    /// There is no open incident of this number.
    pub fn acknowledge(&mut self, id: u64, author: &str, at: Timestamp) -> Result<(), NoSuchIncident> {
        let open = self.incidents.get_mut(&id).filter(|incident| incident.is_open());
        let incident = open.ok_or(NoSuchIncident(id))?;
        incident.acknowledged = Some(Acknowledgement { author: author.to_owned(), at });
        let bad = incident.members.iter().filter(|member| member.recovered.is_none());
        let subjects: Vec<Subject> = bad.map(|member| member.subject.clone()).collect();
        subjects.iter().for_each(|subject| self.looks.touch(subject));
        self.record(at, Deed::Acknowledged { incident: id, subjects, author: author.to_owned() });
        self.dirty.incidents.insert(id);
        self.plan_at_once();
        Ok(())
    }

    /// The incidents that are not over, oldest first.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().filter(|incident| incident.is_open())
    }

    /// The incident that a subject belongs to, or last belonged to.
    #[must_use]
    pub fn incident_of(&self, subject: &Subject) -> Option<u64> {
        self.troubles.get(subject).map(|trouble| trouble.incident)
    }

    /// How it stands between a subject and each channel, by name.
    #[must_use]
    pub fn channels_of(&self, subject: &Subject) -> Vec<ChannelView> {
        let at = self.head.clock.at;
        let view = |(name, desk): (&String, &super::desk::Desk)| {
            let outgoing = desk.outgoing.as_ref();
            let tells = |outgoing: &&Outgoing| outgoing.notice.items.iter().any(|it| it.subject == *subject);
            ChannelView {
                channel: name.clone(),
                decided: desk.told.get(subject).and_then(|told| told.decision.clone()),
                outgoing: outgoing.filter(tells).cloned(),
                problem: desk.problem(at).map(str::to_owned),
            }
        };
        self.desks.iter().map(view).collect()
    }

    /// Each channel, and why it failed for good where it did.
    pub fn channel_problems(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let at = self.head.clock.at;
        self.real_desks().iter().map(move |(name, desk)| (name.as_str(), desk.problem(at)))
    }

    /// Looks at everything anew, and tries each channel again at once: whoever changed the configuration may have
    /// mended it.
    pub fn give_another_chance(&mut self, now: &Now) {
        self.advance(now);
        self.is_stale = true;
        self.looks.touch_all();
        self.plan_at_once();
        for (name, desk) in &mut self.desks {
            desk.head.next_attempt = std::time::Duration::ZERO;
            self.dirty.channels.insert(name.clone());
        }
    }

    pub(super) fn expire_silences(&mut self, world: &World<'_>) {
        let wall = world.now.wall;
        let over: Vec<u64> =
            self.silences.values().filter(|silence| silence.until <= wall).map(|it| it.id).collect();
        for id in over {
            self.drop_silence(id);
        }
    }
}
