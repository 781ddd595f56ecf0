//! What an operator asks for: who cares for an incident, and of what nobody is to be told.

use super::Monitor;
use super::control::Answer;
use crate::render::why::People;
use healthcheck_core::Subject;
use healthcheck_core::alerts::{Incident, Silence};
use jiff::{SignedDuration, Timestamp};

const MAX_SILENCES: usize = 1_000;
const MAX_PATTERN_BYTES: usize = 128;
const MAX_REASON_BYTES: usize = 256;
const MAX_AUTHOR_BYTES: usize = 64;
/// Whoever wants to be told of something never again removes it.
const LONGEST: SignedDuration = SignedDuration::from_hours(365 * 24);
/// Between the question and its answer.
const SLACK: SignedDuration = SignedDuration::from_mins(1);
/// Incidents that are over, and are shown.
const MAX_INCIDENTS: usize = 1_000;
/// Notices that are shown of one subject.
const MAX_NOTICES: usize = 8;

impl Monitor {
    /// Those that are open are as they are known, not only as they were last kept.
    pub(super) fn incidents(&self) -> Answer {
        let mut incidents: Vec<Incident> = self.alerts.open_incidents().cloned().collect();
        incidents.reverse();
        let kept = self.ledger.store().incidents(MAX_INCIDENTS).unwrap_or_default();
        incidents.extend(kept.into_iter().filter(|incident| !incident.is_open()));
        Answer::Incidents(incidents)
    }

    pub(super) fn acknowledge(&mut self, incident: u64, author: &str) -> Answer {
        if let Err(problem) = is_short_line("the author", author, MAX_AUTHOR_BYTES) {
            return Answer::refused(problem);
        }
        match self.alerts.acknowledge(incident, author, Timestamp::now()) {
            Ok(()) => self.done(Answer::Done),
            Err(error) => Answer::refused(error.to_string()),
        }
    }

    pub(super) fn silences(&self) -> Answer {
        Answer::Silences(self.alerts.silences().cloned().collect())
    }

    /// Mutes, or moves on what was muted while the same command runs.
    pub(super) fn silence(&mut self, wanted: Silence) -> Answer {
        let is_known = |it: &Silence| it.while_command.is_some() && it.while_command == wanted.while_command;
        let is_new = !self.alerts.silences().any(is_known);
        if is_new && self.alerts.silences().count() >= MAX_SILENCES {
            return Answer::refused(format!("there are {MAX_SILENCES} silences already: end some of them"));
        }
        let now = Timestamp::now();
        if let Err(problem) = is_silence(&wanted, now) {
            return Answer::refused(problem);
        }
        let muted = self.state.records().filter(|(subject, _)| wanted.covers(subject, now)).count();
        let id = self.alerts.silence(Silence { created: now, ..wanted });
        self.done(Answer::Silenced { id, muted })
    }

    pub(super) fn unsilence(&mut self, id: u64) -> Answer {
        match self.alerts.unsilence(id, Timestamp::now()) {
            Some(_) => self.done(Answer::Done),
            None => Answer::refused(format!("there is no silence {id}: `healthcheck silences` shows them")),
        }
    }

    /// Who is told because of it is told now, and what is answered is kept.
    fn done(&mut self, answer: Answer) -> Answer {
        self.is_plan_due = true;
        self.settle();
        answer
    }

    /// How it stands between a subject and those who are told of it.
    pub(super) fn people(&self, subject: &Subject) -> People {
        let store = self.ledger.store();
        let kept = |id| store.incident(id).ok().flatten();
        let notices = store.notices_of(subject, MAX_NOTICES).unwrap_or_default();
        People::of(&self.alerts, subject, kept, notices)
    }
}

fn is_silence(wanted: &Silence, now: Timestamp) -> Result<(), String> {
    if wanted.pattern.is_empty() {
        return Err("nothing is called \"\": name what is muted, or * for everything".to_owned());
    }
    is_short_line("the pattern", &wanted.pattern, MAX_PATTERN_BYTES)?;
    is_short_line("the reason", &wanted.reason, MAX_REASON_BYTES)?;
    is_short_line("the author", &wanted.author, MAX_AUTHOR_BYTES)?;
    is_short_line("the command", wanted.while_command.as_deref().unwrap_or_default(), MAX_REASON_BYTES)?;
    let lasts = wanted.until.duration_since(now);
    if lasts <= SignedDuration::ZERO || lasts > LONGEST + SLACK {
        return Err("a silence lasts for more than nothing and at most 365d".to_owned());
    }
    Ok(())
}

fn is_short_line(what: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.len() > limit {
        return Err(format!("{what} has {} bytes, at most {limit} are taken", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} has control characters in it"));
    }
    Ok(())
}
