//! A client of etcd, by the JSON of its gateway (`/v3/*`) over HTTP/1.1: nothing but a C compiler is needed to build it.
//! Written from etcd's API reference of version 3.4.

mod line;
mod trouble;
mod watch;
mod words;

pub(crate) use trouble::EtcdError;
pub(crate) use watch::{Change, Changes, Unwatched, Watch};
pub(crate) use words::Entry;

use crate::secret::Secret;
use line::Lines;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;
use words::{Granted, KeptAlive, Login, Ranged, Streamed, Transacted, encoded, range_end};

/// etcd's own limit is 128 operations in one transaction.
pub(crate) const MAX_OPERATIONS: usize = 100;
/// Keys that are read with one request.
const PAGE: usize = 1_000;

/// Where etcd is, and as whom it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// URLs of the members: `http://host:port` or `https://…`.
    pub(crate) endpoints: Vec<String>,
    pub(crate) login: Option<(String, Secret)>,
    /// The only authorities that are trusted, instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Our own certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// With one member.
    pub(crate) attempt: Duration,
    /// In all, before it is said that etcd cannot be reached.
    pub(crate) whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempt: Duration::from_millis(1_500), whole: Duration::from_secs(5) }
    }
}

/// A lease, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease(pub(crate) i64);

/// All keys below a prefix, as they were at one revision.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) revision: i64,
    /// Which etcd this is: another one has other revisions.
    pub(crate) cluster: u64,
    pub(crate) entries: Vec<Entry>,
}

/// How a transaction ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Whether everything was as it was compared with.
    pub(crate) has_succeeded: bool,
    pub(crate) revision: i64,
    /// What was asked for.
    pub(crate) found: Vec<Entry>,
}

/// The members of an etcd, asked one after the other until one answers. It is used by one thread.
pub(crate) struct Etcd {
    lines: Lines,
    login: Option<(String, Secret)>,
    token: RefCell<Option<String>>,
    patience: Cell<Patience>,
}

impl Etcd {
    pub(crate) fn new(access: Access, patience: Patience) -> Self {
        let Access { endpoints, login, ca_file, identity } = access;
        Self {
            lines: Lines::to(endpoints, ca_file, identity),
            login,
            token: RefCell::default(),
            patience: patience.into(),
        }
    }

    /// Waits less, or more, from now on.
    pub(crate) fn hurry(&self, patience: Patience) {
        self.patience.set(patience);
    }

    /// The member that is asked first.
    pub(crate) fn endpoint(&self) -> String {
        self.lines.endpoint()
    }

    /// Asks another member first from now on.
    pub(crate) fn turn_away(&self) {
        self.lines.turn_away();
    }

    /// All keys below a prefix, at one revision. Of a value that is longer than its key may have only the beginning is
    /// kept.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        longest: impl Fn(&[u8]) -> usize,
    ) -> Result<Listing, EtcdError> {
        let end = range_end(prefix.as_bytes());
        let mut listing = Listing { revision: 0, cluster: 0, entries: Vec::new() };
        let (mut from, mut limit) = (prefix.as_bytes().to_vec(), PAGE);
        loop {
            let question = json!({
                "key": encoded(&from), "range_end": encoded(&end), "limit": limit, "revision": listing.revision,
            });
            let mut page: Ranged = match self.ask("kv/range", &question).await {
                // Somebody writes long values: a few of them are asked for at once.
                Err(error) if error.is_too_large() && limit > 1 => {
                    limit = (limit / 10).max(1);
                    continue;
                }
                page => page?,
            };
            if listing.revision == 0 {
                (listing.revision, listing.cluster) = (page.header.revision, page.header.cluster_id);
            }
            page.kvs.iter_mut().for_each(|entry| entry.shorten(longest(&entry.key)));
            listing.entries.extend(page.kvs);
            match listing.entries.last().filter(|_| page.more) {
                Some(last) => from = [&last.key[..], b"\0"].concat(),
                None => return Ok(listing),
            }
        }
    }

    /// At which revision most members are, and which etcd they are.
    pub(crate) async fn revision(&self, prefix: &str) -> Result<(i64, u64), EtcdError> {
        let question = json!({ "key": encoded(prefix.as_bytes()), "keys_only": true });
        let Ranged { header, .. } = self.ask("kv/range", &question).await?;
        Ok((header.revision, header.cluster_id))
    }

    /// The entry of a key, where there is one, as most members agree that it is.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Entry>, EtcdError> {
        let ranged: Ranged = self.ask("kv/range", &json!({ "key": encoded(key.as_bytes()) })).await?;
        Ok(ranged.kvs.into_iter().next())
    }

    /// Does all of it, or nothing. It may be done more than once where an answer was lost.
    pub(crate) async fn commit(&self, txn: Txn) -> Result<Done, EtcdError> {
        let Txn { compare, success, failure } = txn;
        let question = json!({ "compare": compare, "success": success, "failure": failure });
        let Transacted { header, succeeded, responses } = self.ask("kv/txn", &question).await?;
        let found = responses.into_iter().filter_map(|response| response.response_range);
        let found = found.flat_map(|ranged| ranged.kvs).collect();
        Ok(Done { has_succeeded: succeeded, revision: header.revision, found })
    }

    /// A lease that ends when it was not renewed for `ttl`, in whole seconds.
    pub(crate) async fn grant(&self, ttl: Duration) -> Result<Lease, EtcdError> {
        // With a number of ours an answer that was lost does no harm.
        let lease = Lease(some_number());
        let question = json!({ "TTL": ttl.as_secs().max(1), "ID": lease.0.to_string() });
        match self.ask::<Granted>("lease/grant", &question).await {
            Ok(granted) => Ok(Lease(granted.id)),
            Err(error) if error.is_lease_there() => Ok(lease),
            Err(error) => Err(error),
        }
    }

    /// Renews a lease; nothing if it has ended.
    pub(crate) async fn keep_alive(&self, lease: Lease) -> Result<Option<Duration>, EtcdError> {
        let question = json!({ "ID": lease.0.to_string() });
        match self.ask::<Streamed<KeptAlive>>("lease/keepalive", &question).await {
            Ok(Streamed { result: Some(kept), .. }) => Ok(kept.left()),
            Ok(Streamed { error, .. }) => {
                let refusal = error.unwrap_or_default();
                let error = EtcdError::said(&self.endpoint(), refusal.code(), refusal.words());
                if error.is_lease_gone() { Ok(None) } else { Err(error) }
            }
            Err(error) if error.is_lease_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a lease, and with it its keys.
    pub(crate) async fn revoke(&self, lease: Lease) -> Result<(), EtcdError> {
        match self.ask::<Value>("lease/revoke", &json!({ "ID": lease.0.to_string() })).await {
            Err(error) if !error.is_lease_gone() => Err(error),
            _ => Ok(()),
        }
    }

    /// Everything that changes below a prefix from a revision on.
    pub(crate) async fn watch(&self, prefix: &str, from_revision: i64) -> Result<Watch, EtcdError> {
        let create = json!({
            "key": encoded(prefix.as_bytes()),
            "range_end": encoded(&range_end(prefix.as_bytes())),
            "start_revision": from_revision.to_string(),
            "fragment": true,
        });
        // A token that is not good any more would end the watch, and not be refused.
        self.token.take();
        self.sign_in_where_needed().await?;
        let question = json!({ "create_request": create });
        let token = self.token.borrow().clone();
        self.lines
            .stream("watch", &question, token.as_deref(), self.patience.get().attempt)
            .await
            .map(Watch::of)
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, question: &Value) -> Result<T, EtcdError> {
        let end = Instant::now() + self.patience.get().whole;
        let mut failed = 0;
        loop {
            let error = match self.ask_once(path, question, end).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failed += 1;
            let is_old_token = error.wants_login() && self.token.take().is_some();
            if error.is_unreachable() {
                self.lines.turn_away();
            }
            let may_help = is_old_token || error.is_unreachable();
            if !may_help || failed > self.lines.members() || Instant::now() >= end {
                return Err(error);
            }
        }
    }

    async fn ask_once<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &Value,
        end: Instant,
    ) -> Result<T, EtcdError> {
        self.sign_in_where_needed().await?;
        let token = self.token.borrow().clone();
        let attempt = self.patience.get().attempt.min(end.saturating_duration_since(Instant::now()));
        self.lines.ask(path, question, token.as_deref(), attempt).await
    }

    async fn sign_in_where_needed(&self) -> Result<(), EtcdError> {
        let Some((user, password)) = &self.login else { return Ok(()) };
        if self.token.borrow().is_some() {
            return Ok(());
        }
        let password = password.read().map_err(EtcdError::refused)?;
        let question = json!({ "name": user, "password": password });
        match self.lines.ask::<Login>("auth/authenticate", &question, None, self.patience.get().attempt).await
        {
            Ok(login) => drop(self.token.replace(Some(login.token))),
            // Whoever asks for no password takes whoever comes.
            Err(error) if error.is_auth_off() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What is done together, if everything is as it is compared with.
#[derive(Debug, Default)]
pub(crate) struct Txn {
    compare: Vec<Value>,
    success: Vec<Value>,
    failure: Vec<Value>,
}

impl Txn {
    /// Only if the key was created at this revision; 0 stands for a key that is not there.
    pub(crate) fn if_created_at(mut self, key: &str, revision: i64) -> Self {
        self.compare.push(json!({
            "key": encoded(key.as_bytes()), "target": "CREATE", "result": "EQUAL", "create_revision": revision.to_string(),
        }));
        self
    }

    /// Only if the key was last written at this revision; 0 stands for a key that is not there.
    pub(crate) fn if_modified_at(mut self, key: &str, revision: i64) -> Self {
        self.compare.push(json!({
            "key": encoded(key.as_bytes()), "target": "MOD", "result": "EQUAL", "mod_revision": revision.to_string(),
        }));
        self
    }

    /// Only if the key is bound to this lease.
    pub(crate) fn if_leased_by(mut self, key: &str, lease: Lease) -> Self {
        self.compare.push(json!({
            "key": encoded(key.as_bytes()), "target": "LEASE", "result": "EQUAL", "lease": lease.0.to_string(),
        }));
        self
    }

    pub(crate) fn put(mut self, key: &str, value: &[u8], lease: Option<Lease>) -> Self {
        let lease = lease.map_or(0, |lease| lease.0).to_string();
        let put = json!({ "key": encoded(key.as_bytes()), "value": encoded(value), "lease": lease });
        self.success.push(json!({ "request_put": put }));
        self
    }

    pub(crate) fn delete(mut self, key: &str) -> Self {
        self.success.push(json!({ "request_delete_range": { "key": encoded(key.as_bytes()) } }));
        self
    }

    pub(crate) fn delete_below(mut self, prefix: &str) -> Self {
        let (key, end) = (encoded(prefix.as_bytes()), encoded(&range_end(prefix.as_bytes())));
        self.success.push(json!({ "request_delete_range": { "key": key, "range_end": end } }));
        self
    }

    /// Else tells what the key has.
    pub(crate) fn else_get(mut self, key: &str) -> Self {
        self.failure.push(json!({ "request_range": { "key": encoded(key.as_bytes()) } }));
        self
    }

    /// How many operations it has.
    pub(crate) fn len(&self) -> usize {
        self.success.len()
    }
}

/// A number that nobody else thinks of: 62 bits.
fn some_number() -> i64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let drawn = RandomState::new().build_hasher().finish() >> 2;
    i64::try_from(drawn).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests;
