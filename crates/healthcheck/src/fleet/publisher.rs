//! This machine's lease and keys: put where something changed, and again whenever they were lost.

use super::etcd::{Done, Etcd, EtcdError, Lease, MAX_OPERATIONS, Patience, Txn};
use super::keys::{self, HostValue, Keys, ServiceValue, Tombstone, written};
use super::pace::{Pace, up_to};
use super::{Desk, FAREWELL, News, Part};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info};

/// How often it is made sure that our keys are there.
const CHECK: Duration = Duration::from_secs(60);
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
    /// A lease that was granted, whatever became of what was to be bound to it.
    granted: Option<Lease>,
    checked: Instant,
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
            granted: None,
            checked: Instant::now(),
            pace: Pace::default(),
            has_begun: false,
        }
    }

    /// Holds the lease and keeps the keys true, until it is asked to stop. Whether its goodbye was heard.
    pub(super) async fn work(
        mut self,
        mut wanted: watch::Receiver<Standing>,
        mut stopping: Stopping,
    ) -> bool {
        let tombstone = tokio::select! {
            () = self.hold(&mut wanted) => return false,
            tombstone = farewell(&mut stopping) => tombstone,
        };
        while let Err(error) = self.leave(&tombstone).await {
            info!("the other machines are not told that this one stops: {error}");
            if !tombstone.retired {
                return false;
            }
            sleep(self.pace.pause()).await;
        }
        true
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
                Ok(()) => {
                    self.granted = None;
                    sleep(up_to(self.desk.setup.interval / 4)).await;
                }
                Err(error) => {
                    self.trouble(Some(&error));
                    sleep(self.pace.pause()).await;
                }
            }
        }
    }

    /// A lease with all keys; whoever lives has not stopped.
    async fn begin(&mut self, wanted: &mut watch::Receiver<Standing>) -> Result<Lease, EtcdError> {
        let lease = self.lease().await?;
        let standing = wanted.borrow_and_update().clone();
        let host = &self.desk.setup.host;
        let tombstone = self.keys.stopped(host);
        let since = self.etcd.get(&tombstone).await?.map_or(0, |tombstone| tombstone.mod_revision);
        // What arrives late does not take away a goodbye that was said since.
        let mut first = Txn::default().if_modified_at(&tombstone, since).delete(&tombstone);
        if !self.has_begun {
            // Of a run before, which may have had other services.
            first = first.delete_below(&self.keys.services(host));
        }
        let first = first.put(&self.keys.host(host), &self.host_value(&standing), Some(lease));
        if !self.etcd.commit(first).await?.has_succeeded {
            return Err(EtcdError::unreachable(
                &self.etcd.endpoint(),
                "another monitor of this machine stops just now",
            ));
        }
        self.checked = Instant::now();
        self.put = Standing { host: standing.host.clone(), services: BTreeMap::new() };
        self.put_changes(&standing, lease).await?;
        self.has_begun = true;
        self.trouble(None);
        self.lease.send_replace(Some(lease));
        Ok(lease)
    }

    /// The lease that was granted and is not used yet, or a new one.
    async fn lease(&mut self) -> Result<Lease, EtcdError> {
        if let Some(granted) = self.granted
            && self.etcd.keep_alive(granted).await?.is_some()
        {
            return Ok(granted);
        }
        let lease = self.etcd.grant(self.desk.setup.ttl).await?;
        self.granted = Some(lease);
        Ok(lease)
    }

    /// Whether our key is still there, and ours: somebody may have deleted it, or an etcd was restored from a backup.
    async fn check(&mut self, lease: Lease) -> Result<(), EtcdError> {
        if self.checked.elapsed() < CHECK.max(self.desk.setup.interval) {
            return Ok(());
        }
        let key = self.keys.host(&self.desk.setup.host);
        let is_ours = Txn::default().if_leased_by(&key, lease).else_get(&key);
        let Done { has_succeeded, found, .. } = self.etcd.commit(is_ours).await?;
        self.checked = Instant::now();
        if has_succeeded {
            return Ok(());
        }
        let other = found.first().and_then(|entry| keys::read::<HostValue>(&entry.value));
        if other.is_some_and(|other| other.boot_id != self.put.host.boot_id) {
            let why = "another machine has the name of this one: names of machines must differ";
            return Err(EtcdError::unreachable(&self.etcd.endpoint(), why));
        }
        self.put = Standing::default();
        Ok(())
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
                Ok(Some(_)) => match self.check(lease).await {
                    Ok(()) => self.put_changes(&standing, lease).await,
                    Err(error) => Err(error),
                },
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

    /// Nobody sees the keys go without seeing why. There is time to ask each member once, also if one hangs.
    async fn leave(&self, tombstone: &Tombstone) -> Result<(), EtcdError> {
        let host = &self.desk.setup.host;
        let members = u32::try_from(self.desk.setup.access.endpoints.len()).unwrap_or(1).max(1);
        self.etcd.hurry(Patience { attempt: FAREWELL / (members + 1), whole: FAREWELL });
        let (key, stopped) = (self.keys.host(host), self.keys.stopped(host));
        let tombstone = written(tombstone);
        if let Some(lease) = self.granted {
            let goodbye = Txn::default()
                .if_leased_by(&key, lease)
                .put(&stopped, &tombstone, None)
                .delete(&key)
                .delete_below(&self.keys.services(host))
                .delete(&self.keys.watcher(host));
            if self.etcd.commit(goodbye).await?.has_succeeded {
                return self.etcd.revoke(lease).await;
            }
        }
        // Not while another run of this machine lives.
        let late = Txn::default().if_created_at(&key, 0).put(&stopped, &tombstone, None);
        self.etcd.commit(late).await?;
        match self.granted {
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
