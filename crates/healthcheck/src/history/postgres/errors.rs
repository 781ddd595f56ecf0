//! What is wrong with a server, in one line with its cure.

use super::server::as_of_postgres;
use crate::history::HistoryError;
use crate::system_error::{own_fault, plain};
use crate::tls;
use std::error::Error as StdError;
use std::fmt::Write;
use std::io;
use std::time::Duration;
use tokio_postgres::error::{DbError, SqlState};

/// What is told of what a server says.
const SAID_CHARS: usize = 200;

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    Server(tokio_postgres::Error),
    /// It let us in, and then did not answer for so long.
    Late(Duration),
    LateToConnect(Duration),
    /// The store is not where the portion begins.
    Elsewhere,
    /// Its tables are of this version.
    Newer(i32),
    Own(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl Failure {
    /// Whether it is only that somebody else uses what is wanted.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self, Self::Server(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// Whether what is wanted is no longer there.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Server(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE))
    }

    pub(super) fn told_of(self, server: &str) -> HistoryError {
        let why = match self {
            Self::Elsewhere => return HistoryError::elsewhere(),
            Self::Server(error) => in_words(&error),
            Self::Late(limit) => {
                format!(
                    "no answer within {limit:?}: see whether it hangs, or is waiting for a lock or its disk"
                )
            }
            Self::LateToConnect(limit) => {
                format!(
                    "cannot connect within {limit:?}: see whether it hangs, and whether a firewall is between"
                )
            }
            Self::Newer(version) => format!(
                "its tables were made by a newer healthcheck (version {version}): they are only read; update this program"
            ),
            Self::Own(why) => why,
        };
        HistoryError::new(format!("{server}: {why}"))
    }
}

fn in_words(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said_in_words(said);
    }
    let cause = error.source();
    if let Some(words) = cause.and_then(handshake_in_words) {
        return words;
    }
    match cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
        Some(error) => io_in_words(error),
        None if error.is_closed() => "it ended the connection: see its log".to_owned(),
        None => own_words(error, cause),
    }
}

fn own_words(error: &tokio_postgres::Error, cause: Option<&(dyn StdError + 'static)>) -> String {
    let cause = cause.map(ToString::to_string).unwrap_or_default();
    if cause.contains("password missing") {
        return "it wants a password: set [history] password_file".to_owned();
    }
    if cause.contains("does not support TLS") {
        return "it does not speak TLS: switch that on (ssl = on), or write sslmode=prefer".to_owned();
    }
    let mut words = error.to_string();
    if !cause.is_empty() {
        let _ = write!(words, ": {cause}");
    }
    line(&words)
}

/// What TLS has against it, however deep that lies.
fn handshake_in_words(cause: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(cause);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(as_of_postgres(&tls::in_words(error)));
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source());
    }
    None
}

fn io_in_words(error: &io::Error) -> String {
    let why = line(&plain(error));
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            format!("{why}: start it, or correct [history] url")
        }
        io::ErrorKind::PermissionDenied => format!("{why}: let the user of the monitor reach its socket"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            format!("it ended the connection ({why}): see its log")
        }
        _ => own_fault(error).unwrap_or(why),
    }
}

fn said_in_words(said: &DbError) -> String {
    let cure = cure(said.code());
    let message = line(said.message());
    if cure.is_empty() {
        format!("{message} (SQLSTATE {})", said.code().code())
    } else {
        format!("{message}: {cure}")
    }
}

fn cure(code: &SqlState) -> &'static str {
    let known = [
        (SqlState::INVALID_PASSWORD, "correct [history] password_file, or the user in its url"),
        (
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "correct the user in [history] url, or its pg_hba.conf",
        ),
        (SqlState::INVALID_CATALOG_NAME, "create the database (createdb), or correct [history] url"),
        (
            SqlState::INSUFFICIENT_PRIVILEGE,
            "grant it (GRANT CREATE ON SCHEMA …, or make this user own the tables)",
        ),
        (SqlState::INVALID_SCHEMA_NAME, "create the schema that is first in its search_path"),
        (
            SqlState::READ_ONLY_SQL_TRANSACTION,
            "name the primary in [history] url, or end default_transaction_read_only",
        ),
        (SqlState::DISK_FULL, "make room on the disk of the server"),
        (SqlState::OUT_OF_MEMORY, "give the server more memory"),
        (SqlState::TOO_MANY_CONNECTIONS, "raise its max_connections"),
        (SqlState::CANNOT_CONNECT_NOW, "it is not ready yet, or never will be: see its log"),
        (SqlState::ADMIN_SHUTDOWN, "start it again"),
        (SqlState::CRASH_SHUTDOWN, "see its log"),
        (SqlState::LOCK_NOT_AVAILABLE, "see in pg_locks who holds it"),
        (SqlState::QUERY_CANCELED, "see what keeps the server busy"),
        (SqlState::IO_ERROR, "see its log, and look after its disk"),
        (SqlState::DATA_CORRUPTED, "see its log, and restore a backup"),
        (SqlState::INDEX_CORRUPTED, "see its log, and REINDEX"),
        (
            SqlState::UNDEFINED_TABLE,
            "if that stays so, a table of the history was dropped: restore a backup, or drop all of them",
        ),
        (
            SqlState::UNDEFINED_COLUMN,
            "a table of the history was changed: restore a backup, or drop all of them",
        ),
    ];
    known.iter().find(|(known, _)| known == code).map_or("", |(_, cure)| cure)
}

/// In one line, without what is obeyed or hides something, and cut.
fn line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut kept = text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !turns(*c));
    let mut line: String = kept.by_ref().take(SAID_CHARS).collect();
    if kept.next().is_some() {
        line.push('…');
    }
    line
}
