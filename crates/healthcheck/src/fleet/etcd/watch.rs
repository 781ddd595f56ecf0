//! What changes below a prefix, as it happens.

use super::EtcdError;
use super::line::Stream;
use super::words::{Entry, Streamed, Watched};

/// A watch that is established, or about to be.
pub(crate) struct Watch {
    stream: Stream,
    /// What belongs to an answer that is not whole yet.
    begun: Vec<Change>,
    revision: i64,
}

/// What changed with one revision, or several.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Everything up to this revision was seen; 0 where the watch has only begun.
    pub(crate) revision: i64,
    pub(crate) changes: Vec<Change>,
}

/// One key that changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put(Entry),
    /// It was deleted, or its lease ended.
    Deleted(Vec<u8>),
}

/// Why a watch is over.
#[derive(Debug)]
pub(crate) enum Unwatched {
    /// What happened before this revision is not known any more: everything is to be listed anew.
    Compacted(i64),
    Broken(EtcdError),
}

impl Watch {
    pub(super) const fn of(stream: Stream) -> Self {
        Self { stream, begun: Vec::new(), revision: 0 }
    }

    /// The next changes. It waits as long as it takes, and may be dropped at any time.
    pub(crate) async fn next(&mut self) -> Result<Changes, Unwatched> {
        loop {
            let watched = self.read().await?;
            if watched.compact_revision > 0 {
                return Err(Unwatched::Compacted(watched.compact_revision));
            }
            if watched.canceled {
                let why = self.stream.said(0, &format!("it ended the watch: {}", watched.cancel_reason));
                return Err(Unwatched::Broken(why));
            }
            let (is_created, is_part) = (watched.created, watched.fragment);
            // What the header says may be later than what was sent until now.
            let last = watched.events.iter().map(|event| event.kv.mod_revision).max();
            self.revision = self.revision.max(last.unwrap_or_default());
            self.begun.extend(watched.events.into_iter().map(|event| match event.kind.as_str() {
                "DELETE" => Change::Deleted(event.kv.key),
                _ => Change::Put(event.kv),
            }));
            if !is_part && (is_created || !self.begun.is_empty()) {
                let changes = std::mem::take(&mut self.begun);
                return Ok(Changes { revision: self.revision, changes });
            }
        }
    }

    async fn read(&mut self) -> Result<Watched, Unwatched> {
        let line = self.stream.line().await.map_err(Unwatched::Broken)?;
        let streamed: Streamed<Watched> =
            serde_json::from_slice(&line).map_err(|error| Unwatched::Broken(self.stream.garbled(&error)))?;
        match (streamed.result, streamed.error) {
            (Some(watched), _) => Ok(watched),
            (None, Some(refusal)) => {
                Err(Unwatched::Broken(self.stream.said(refusal.code(), refusal.words())))
            }
            (None, None) => Err(Unwatched::Broken(self.stream.said(0, "it says nothing"))),
        }
    }
}
