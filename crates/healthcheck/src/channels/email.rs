//! A mail, with text and HTML; those of one incident are one thread.

mod connection;
mod conversation;
mod message;

use super::Channel;
use super::plain_text::{ERROR_BYTES, short_line};
use super::reach::Attempts;
use crate::secret::Secret;
use conversation::{Conversation, Fault};
use healthcheck_core::alerts::{Notice, Outcome};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the whole delivery may take, where nothing else is said.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// After a greeting without; it never falls back.
    Starttls,
    Implicit,
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `host:port`.
    pub(crate) server: String,
    pub(crate) tls: Tls,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) login: Option<Login>,
    /// The only authority that is trusted; otherwise those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// For the whole delivery.
    pub(crate) timeout: Duration,
}

#[derive(Debug)]
pub(crate) struct Email {
    delivery: Delivery,
    attempts: Attempts,
}

#[derive(Debug, Clone)]
struct Delivery {
    settings: Arc<Settings>,
    done: Progress,
}

/// How far a notice came in the attempts so far.
#[derive(Debug, Clone, Default)]
struct Progress {
    notice: String,
    /// Who has it, or never will.
    settled: BTreeSet<String>,
    is_with_anybody: bool,
}

impl Email {
    pub(crate) fn new(settings: Settings) -> Self {
        let delivery = Delivery { settings: Arc::new(settings), done: Progress::default() };
        Self { delivery, attempts: Attempts::default() }
    }
}

impl Delivery {
    fn deliver(&mut self, notice: &Notice) -> Result<(), Fault> {
        let deadline = Instant::now() + self.settings.timeout;
        let password = self.settings.login.as_ref().map(|login| login.password.read());
        let password = password.transpose().map_err(Fault::passing)?;
        let mail = message::mail(notice, &self.settings)?;
        let mut server = Conversation::begin(&self.settings, &notice.host, deadline)?;
        if let (Some(login), Some(password)) = (&self.settings.login, &password) {
            server.sign_in(&login.user, password)?;
        }
        self.hand_over(&mut server, &mail)
    }

    /// A receiver that was refused for good keeps the mail from nobody else; one that was refused for now gets it at
    /// the next attempt, and only that one.
    fn hand_over(&mut self, server: &mut Conversation, mail: &[u8]) -> Result<(), Fault> {
        server.sender(&self.settings.from)?;
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for to in self.settings.to.iter().filter(|to| !self.done.settled.contains(*to)) {
            match server.receiver(to) {
                Ok(()) => taken.push(to.clone()),
                Err(fault) if fault.is_answer => refused.push((to.clone(), fault)),
                Err(fault) => return Err(fault),
            }
        }
        if !taken.is_empty() {
            server.message(mail)?;
        }
        server.leave();
        self.done.is_with_anybody |= !taken.is_empty();
        self.done.settled.extend(taken);
        self.tell_refused(refused)
    }

    fn tell_refused(&mut self, refused: Vec<(String, Fault)>) -> Result<(), Fault> {
        let all = self.settings.to.len();
        let is_for_now = refused.iter().any(|(_, fault)| !fault.is_lasting);
        let Some((to, first)) = refused.iter().find(|(_, fault)| fault.is_lasting != is_for_now) else {
            return Ok(());
        };
        let told = match refused.len() {
            1 if all == 1 => first.error.clone(),
            count => format!("{count} of {all} receivers were refused, first {to}: {}", first.error),
        };
        let told = Fault { error: told, is_lasting: !is_for_now, is_answer: true };
        self.done.settled.extend(refused.into_iter().filter(|(_, fault)| fault.is_lasting).map(|(to, _)| to));
        if is_for_now || !self.done.is_with_anybody {
            return Err(told);
        }
        tracing::warn!(
            server = self.settings.server,
            "{}; the others have the mail",
            short_line(&told.error, ERROR_BYTES)
        );
        Ok(())
    }
}

impl Channel for Email {
    fn send(&mut self, notice: &Notice) -> Outcome {
        let done = &mut self.delivery.done;
        if done.notice != notice.id {
            *done = Progress { notice: notice.id.clone(), ..Progress::default() };
        }
        let (mut delivery, notice) = (self.delivery.clone(), notice.clone());
        let work = move || {
            let result = delivery.deliver(&notice);
            (delivery.done, result)
        };
        let settings = self.delivery.settings.clone();
        match self.attempts.within(settings.timeout, work) {
            Ok((done, result)) => {
                self.delivery.done = done;
                result.map_or_else(|fault| fault.told(&settings.server), |()| Outcome::Accepted)
            }
            Err(outcome) => outcome,
        }
    }
}

#[cfg(test)]
mod tests;
