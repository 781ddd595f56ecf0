//! A mail, with text and HTML; those of one incident are one thread.

mod connection;
mod conversation;
mod message;
mod trust;

use super::Channel;
use super::plain::{ERROR_BYTES, one_line};
use conversation::{Conversation, Fault};
use healthcheck_core::alerts::{Notice, Outcome};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the whole delivery may take, where nothing else is said.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
const MAX_PASSWORD_BYTES: u64 = 64 * 1024;

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
    pub(crate) password_file: PathBuf,
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

pub(crate) struct Email {
    settings: Settings,
    done: Progress,
}

/// How far a notice came in the attempts so far.
#[derive(Default)]
struct Progress {
    notice: String,
    /// Who has it, or never will.
    settled: BTreeSet<String>,
    is_with_anybody: bool,
}

impl Email {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, done: Progress::default() }
    }

    fn deliver(&mut self, notice: &Notice) -> Result<(), Fault> {
        let deadline = Instant::now() + self.settings.timeout;
        let password = self.settings.login.as_ref().map(|login| Password::of(&login.password_file));
        let password = password.transpose()?;
        let mail = message::mail(notice, &self.settings)?;
        let mut server = Conversation::begin(&self.settings, &notice.host, deadline)?;
        if let (Some(login), Some(password)) = (&self.settings.login, &password) {
            server.sign_in(&login.user, &password.0)?;
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
            one_line(&told.error, ERROR_BYTES)
        );
        Ok(())
    }
}

impl Channel for Email {
    fn send(&mut self, notice: &Notice) -> Outcome {
        if self.done.notice != notice.id {
            self.done = Progress { notice: notice.id.clone(), ..Progress::default() };
        }
        let Err(fault) = self.deliver(notice) else { return Outcome::Accepted };
        let error = one_line(&format!("{}: {}", self.settings.server, fault.error), ERROR_BYTES);
        if fault.is_lasting {
            Outcome::Refused { error }
        } else {
            Outcome::Failed { error, retry_after: None }
        }
    }
}

/// Read at each delivery, since it may have been changed; `Debug` shows nothing of it.
struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

impl Password {
    fn of(path: &Path) -> Result<Self, Fault> {
        let fault = |why: &str| Fault::passing(format!("password_file {}: {why}", path.display()));
        let mut text = String::new();
        let file = File::open(path).map_err(|error| fault(&error.to_string()))?;
        let read = file.take(MAX_PASSWORD_BYTES + 1).read_to_string(&mut text);
        read.map_err(|_| fault("it cannot be read as text"))?;
        if text.len() as u64 > MAX_PASSWORD_BYTES {
            return Err(fault("it is larger than 64 KiB"));
        }
        match text.trim() {
            "" => Err(fault("it is empty")),
            password => Ok(Self(password.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
