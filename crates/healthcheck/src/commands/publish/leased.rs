//! Keys in etcd that live as long as we do: one lease for all of them, granted anew with its keys after any loss.

use super::namespace::Namespace;
use crate::fleet::etcd::{Etcd, EtcdError, Lease, MAX_OPERATIONS, Txn};
use std::collections::BTreeMap;
use std::time::Duration;

/// A key, and what it is to have.
pub(super) struct Entry {
    pub(super) namespace: Namespace,
    pub(super) key: String,
    pub(super) value: Vec<u8>,
}

/// A key that is there.
#[derive(Debug)]
struct Held {
    key: String,
    /// When we wrote it last: who wrote it since has made it his own.
    revision: i64,
}

pub(super) struct Leased {
    etcd: Etcd,
    ttl: Duration,
    lease: Option<Lease>,
    held: BTreeMap<Namespace, Held>,
}

impl Leased {
    pub(super) const fn new(etcd: Etcd, ttl: Duration) -> Self {
        Self { etcd, ttl, lease: None, held: BTreeMap::new() }
    }

    /// Sees to it that there is a lease, for its whole time from now on.
    pub(super) async fn renew(&mut self) -> Result<(), EtcdError> {
        if let Some(lease) = self.lease
            && self.etcd.keep_alive(lease).await?.is_some()
        {
            return Ok(());
        }
        self.lease = None;
        self.lease = Some(self.etcd.grant(self.ttl).await?);
        Ok(())
    }

    /// Writes all of them, and takes away what is not among them any more.
    pub(super) async fn hold(&mut self, entries: &[Entry]) -> Result<(), EtcdError> {
        match self.write(entries).await {
            // It ended between its renewal and now.
            Err(error) if error.is_lease_gone() => {
                self.lease = None;
                self.renew().await?;
                self.write(entries).await?;
            }
            written => written?,
        }
        self.drop_others(entries).await
    }

    async fn write(&mut self, entries: &[Entry]) -> Result<(), EtcdError> {
        for portion in entries.chunks(MAX_OPERATIONS) {
            let put = |txn: Txn, entry: &Entry| txn.put(&entry.key, &entry.value, self.lease);
            let done = self.etcd.commit(portion.iter().fold(Txn::default(), put)).await?;
            for Entry { namespace, key, .. } in portion {
                let held = Held { key: key.clone(), revision: done.revision };
                self.held.insert(namespace.clone(), held);
            }
        }
        Ok(())
    }

    async fn drop_others(&mut self, entries: &[Entry]) -> Result<(), EtcdError> {
        let is_wanted =
            |namespace: &Namespace| entries.binary_search_by(|entry| entry.namespace.cmp(namespace)).is_ok();
        let gone: Vec<_> = self.held.keys().filter(|namespace| !is_wanted(namespace)).cloned().collect();
        for namespace in gone {
            if let Some(Held { key, revision }) = self.held.get(&namespace) {
                let txn = Txn::default().if_modified_at(key, *revision).delete(key);
                self.etcd.commit(txn).await?;
            }
            self.held.remove(&namespace);
        }
        Ok(())
    }

    /// Ends the lease, and with it every key that is still ours.
    pub(super) async fn end(self) -> Result<(), EtcdError> {
        match self.lease {
            Some(lease) => self.etcd.revoke(lease).await,
            None => Ok(()),
        }
    }
}
