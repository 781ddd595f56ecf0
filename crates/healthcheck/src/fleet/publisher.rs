//! This machine's lease and keys: put where something changed, and again whenever they were lost.

use super::etcd::{Etcd, EtcdError, Lease, MAX_OPERATIONS, Patience, Txn};
use super::keys::{HostValue, Keys, ServiceValue, Tombstone, written};
use super::pace::{Pace, up_to};
use super::{Desk, News, Part};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info};

/// Changes within this time are put together.
const TOGETHER: Duration = Duration::from_millis(20);

/// How it stands with this machine and its services.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Standing {
    pub(crate) host: HostValue,
    pub(crate) services: BTreeMap<String, ServiceValue>,
}

impl Standing {
    /// Whether somebody should see now what changed, and not only with the next renewal.
    fn differs_much(&self, other: &Self) -> bool {
        let judged = |standing: &Self| -> Vec<_> {
            let services = standing.services.iter();
            services.map(|(name, value)| (name.clone(), value.status, value.cause.clone())).collect()
        };
        self.host.status != other.host.status || judged(self) != judged(other)
    }
}

pub(super) struct Publisher {
    desk: Rc<Desk>,
    etcd: Etcd,
    keys: Keys,
    /// For whoever else binds keys to our lease.
    lease: watch::Sender<Option<Lease>>,
    /// What etcd has, while it has our lease.
    put: Standing,
    pace: Pace,
    has_begun: bool,
}

type Stopping = watch::Receiver<Option<Tombstone>>;

impl Publisher {
    pub(super) fn of(desk: &Rc<Desk>, lease: watch::Sender<Option<Lease>>) -> Self {
        let attempt = (desk.setup.interval / 2).clamp(Duration::from_millis(300), Duration::from_secs(2));
        let patience = Patience { attempt, whole: attempt * 3 };
        Self {
            etcd: desk.etcd(patience),
            keys: desk.keys(),
            desk: Rc::clone(desk),
            lease,
            put: Standing::default(),
            pace: Pace::default(),
            has_begun: false,
        }
    }

    /// Holds the lease and keeps the keys true, until it is asked to stop.
    pub(super) async fn work(mut self, mut wanted: watch::Receiver<Standing>, mut stopping: Stopping) {
        let tombstone = tokio::select! {
            () = self.hold(&mut wanted) => return,
            tombstone = farewell(&mut stopping) => tombstone,
        };
        if let Err(error) = self.leave(&tombstone).await {
            info!("the other machines are not told that this one stops: {error}");
        }
    }

    async fn hold(&mut self, wanted: &mut watch::Receiver<Standing>) {
        // What there is to say is known a moment after the start.
        if wanted.wait_for(|standing| !standing.host.host.is_empty()).await.is_err() {
            return;
        }
        loop {
            let held = match self.begin(wanted).await {
                Ok(lease) => self.renew(lease, wanted).await,
                Err(error) => Err(error),
            };
            self.lease.send_replace(None);
            match held {
                // It ended in etcd, or with it: everybody finds that out at the same time.
                Ok(()) => sleep(up_to(self.desk.setup.interval / 4)).await,
                Err(error) => {
                    self.trouble(Some(&error));
                    sleep(self.pace.pause()).await;
                }
            }
        }
    }

    /// A new lease with all keys; whoever lives has not stopped.
    async fn begin(&mut self, wanted: &mut watch::Receiver<Standing>) -> Result<Lease, EtcdError> {
        let lease = self.etcd.grant(self.desk.setup.ttl).await?;
        let standing = wanted.borrow_and_update().clone();
        let host = &self.desk.setup.host;
        let mut first = Txn::default().delete(&self.keys.stopped(host));
        if !self.has_begun {
            // Of a run before, which may have had other services.
            first = first.delete_below(&self.keys.services(host));
        }
        let first = first.put(&self.keys.host(host), &self.host_value(&standing), Some(lease));
        self.etcd.commit(first).await?;
        self.put = Standing { host: standing.host.clone(), services: BTreeMap::new() };
        self.put_changes(&standing, lease).await?;
        self.has_begun = true;
        self.trouble(None);
        self.lease.send_replace(Some(lease));
        Ok(lease)
    }

    /// Renews the lease and keeps its keys true, until it is no more.
    async fn renew(&mut self, lease: Lease, wanted: &mut watch::Receiver<Standing>) -> Result<(), EtcdError> {
        let interval = self.desk.setup.interval;
        // Those who began together do not go on together.
        let mut renewal = Instant::now() + up_to(interval);
        let mut is_troubled = false;
        loop {
            let is_time = tokio::select! {
                () = sleep_until(renewal) => true,
                () = much_changed(wanted, &self.put), if !is_troubled => false,
            };
            let kept = if is_time { self.etcd.keep_alive(lease).await } else { Ok(Some(interval)) };
            let standing = wanted.borrow_and_update().clone();
            let done = match kept {
                Ok(None) => return Ok(()),
                Ok(Some(_)) => self.put_changes(&standing, lease).await,
                Err(error) => Err(error),
            };
            is_troubled = done.is_err();
            match done {
                Err(error) if error.is_lease_gone() => return Ok(()),
                Err(error) => {
                    debug!("the lease is not renewed, or its keys are not put: {error}");
                    self.trouble(Some(&error));
                    renewal = Instant::now() + self.pace.pause();
                }
                Ok(()) if is_time => {
                    self.trouble(None);
                    renewal = Instant::now() + interval;
                }
                Ok(()) => {}
            }
        }
    }

    /// Puts what is not in etcd as it is here, and takes away what is not here any more.
    async fn put_changes(&mut self, standing: &Standing, lease: Lease) -> Result<(), EtcdError> {
        let host = self.desk.setup.host.clone();
        let (mut txn, mut done) = (Txn::default(), self.put.clone());
        for (service, value) in &standing.services {
            if done.services.get(service) == Some(value) {
                continue;
            }
            txn = txn.put(&self.keys.service(&host, service), &written(value), Some(lease));
            done.services.insert(service.clone(), value.clone());
            if txn.len() >= MAX_OPERATIONS {
                self.etcd.commit(std::mem::take(&mut txn)).await?;
                self.put.services.clone_from(&done.services);
            }
        }
        let gone = self.put.services.keys().filter(|service| !standing.services.contains_key(*service));
        for service in gone.cloned().collect::<Vec<_>>() {
            txn = txn.delete(&self.keys.service(&host, &service));
            done.services.remove(&service);
            if txn.len() >= MAX_OPERATIONS {
                self.etcd.commit(std::mem::take(&mut txn)).await?;
                self.put.services.clone_from(&done.services);
            }
        }
        if self.put.host != standing.host {
            txn = txn.put(&self.keys.host(&host), &self.host_value(standing), Some(lease));
            done.host = standing.host.clone();
        }
        if txn.len() > 0 {
            self.etcd.commit(txn).await?;
        }
        self.put = done;
        Ok(())
    }

    fn host_value(&self, standing: &Standing) -> Vec<u8> {
        let setup = &self.desk.setup;
        written(&HostValue {
            ttl_s: setup.ttl.as_secs(),
            interval_s: setup.interval.as_secs_f64(),
            timestamp: Some(Timestamp::now()),
            ..standing.host.clone()
        })
    }

    /// Nobody sees the keys go without seeing why.
    async fn leave(&self, tombstone: &Tombstone) -> Result<(), EtcdError> {
        let host = &self.desk.setup.host;
        let goodbye = Txn::default()
            .put(&self.keys.stopped(host), &written(tombstone), None)
            .delete(&self.keys.host(host))
            .delete_below(&self.keys.services(host))
            .delete(&self.keys.watcher(host));
        self.etcd.commit(goodbye).await?;
        let lease = *self.lease.borrow();
        match lease {
            Some(lease) => self.etcd.revoke(lease).await,
            None => Ok(()),
        }
    }

    fn trouble(&mut self, error: Option<&EtcdError>) {
        if error.is_none() {
            self.pace.start_over();
        }
        let problem = error.map(|error| format!("this machine's lease is not renewed: {error}"));
        self.desk.tell(News::Health { part: Part::Publishing, problem });
    }
}

/// Until there is something that others should see now; what is less waits for the next renewal.
async fn much_changed(wanted: &mut watch::Receiver<Standing>, put: &Standing) {
    if wanted.wait_for(|standing| standing.differs_much(put)).await.is_err() {
        std::future::pending::<()>().await;
    }
    sleep(TOGETHER).await;
}

async fn farewell(stopping: &mut Stopping) -> Tombstone {
    loop {
        if let Some(tombstone) = stopping.borrow_and_update().clone() {
            return tombstone;
        }
        if stopping.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
