//! `[history]`: what is kept, where and for how long.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::address::{Url, postgres_url};
use super::argv::path;
use super::problems::Scope;
use super::raw::RawHistory;
use super::units::{Bytes, RETENTION, duration, format_duration, serialize_duration, size};

const DEFAULT_URL: &str = "sqlite:history.db";
/// What else is in the state directory.
const OTHERS: [&str; 5] = ["state.db", "monitor.lock", "monitor.json", "control.sock", "dead_man.json"];
const DAY: Duration = Duration::from_secs(24 * 3600);
const DEFAULT_RETENTION: Duration = Duration::from_secs(60 * 24 * 3600);
const DEFAULT_MAX_SIZE: Bytes = Bytes(1 << 30);
/// Less is not worth a history: an empty one takes nearly as much.
const LEAST_MAX_SIZE: Bytes = Bytes(16 << 20);

/// When a row is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Record {
    #[default]
    Changes,
    Heartbeats,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HistorySettings {
    #[serde(rename = "url")]
    pub(crate) store: Store,
    pub(crate) password_file: Option<PathBuf>,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) retention: Duration,
    /// What it may take in all; then the oldest is dropped before its time. Nothing where it may grow.
    pub(crate) max_size: Option<Bytes>,
    pub(crate) record: Record,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Store {
    /// As written; relative to the state directory.
    Sqlite(PathBuf),
    Postgres(Url),
}

impl Store {
    /// The database file, where it is one.
    pub(crate) fn file(&self, state_dir: &Path) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => Some(state_dir.join(path)),
            Self::Postgres(_) => None,
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl Serialize for Store {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn history(at: &Scope<'_>, raw: RawHistory) -> Option<HistorySettings> {
    let store = store(&at.key("url"), raw.url.as_deref().unwrap_or(DEFAULT_URL));
    let password_file = path(&at.key("password_file"), raw.password_file);
    if password_file.is_some() && matches!(store, Some(Store::Sqlite(_))) {
        at.key("password_file")
            .refuse_unshown("is of no use for SQLite", "leave it out, or write a postgres:// url");
    }
    let retention = duration(&at.key("retention"), raw.retention.as_ref(), RETENTION);
    let retention = retention.unwrap_or(DEFAULT_RETENTION);
    if retention < DAY {
        let text = format_duration(retention);
        at.key("retention").refuse(
            &text,
            "must be at least 1d: whole days are dropped",
            "write \"1d\" or more",
        );
    }
    let max_size = size(&at.key("max_size"), raw.max_size.as_ref(), LEAST_MAX_SIZE);
    let record = raw.record.unwrap_or_default();
    let store = store?;
    // A server is for many machines: one of them cannot say how much all may take unless it is told.
    let default = matches!(store, Store::Sqlite(_)).then_some(DEFAULT_MAX_SIZE);
    let max_size = max_size.or(default);
    Some(HistorySettings { store, password_file, retention, max_size, record })
}

fn store(at: &Scope<'_>, text: &str) -> Option<Store> {
    if text.starts_with("postgres") {
        return postgres_url(at, text).map(Store::Postgres);
    }
    let path = text.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        Some(path) if OTHERS.contains(&path) => {
            at.refuse(text, "is a file that the monitor keeps for itself", "write \"sqlite:history.db\"");
            None
        }
        Some(path) if !path.is_empty() && !path.starts_with(':') && !path.contains(['?', '\0']) => {
            Some(Store::Sqlite(PathBuf::from(path)))
        }
        Some(_) => {
            at.refuse(text, "names no file", "write \"sqlite:history.db\"");
            None
        }
        None => {
            at.refuse(text, "is not sqlite:path or postgres://…", "write \"sqlite:history.db\"");
            None
        }
    }
}
