//! The other machines: listed once, then watched, and told as what their leases show.
//!
//! A watch may hang without an error, or be served by a member that is cut off. So a key is written every moment that
//! has to be seen through the watch: what was written and is not seen ends the watch, and another member is asked.

use super::etcd::{Change, Changes, Etcd, EtcdError, Lease, Patience, Txn, Unwatched};
use super::keys::{Keys, Place, read_told};
use super::mirror::{Machine, Presence};
use super::pace::{self, Pace};
use super::{Desk, Known, News, Part, Seen, locked};
use healthcheck_core::HostSight;
use jiff::Timestamp;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info};

/// What was written is seen through a watch that works within this time.
const UNSEEN: Duration = Duration::from_secs(2);
/// Whoever lost etcd has found it again within this time, and an interval: a pause, and one member that says nothing.
const RETURN: Duration = pace::LONGEST.saturating_add(Duration::from_secs(2));

/// What the watch shows to whoever finds out who tells people.
#[derive(Debug)]
pub(super) enum Sign {
    /// This is another etcd than before: nothing of what it had is there.
    Another,
    /// The key of the teller: its name and when it was created, or nobody.
    Teller(Option<(String, i64)>),
    /// What was told: as it was written, and when.
    Told { value: Vec<u8>, revision: i64 },
    /// Nothing can be seen.
    Blind,
    /// Everything can be seen again.
    Sighted,
}

pub(super) struct Watcher {
    desk: Rc<Desk>,
    etcd: Etcd,
    keys: Keys,
    signs: mpsc::UnboundedSender<Sign>,
    leased: watch::Receiver<Option<Lease>>,
    /// Everything up to this revision was seen.
    revision: i64,
    /// Whether all changes since the last list can be seen.
    is_listed: bool,
    cluster: u64,
    proof: Proof,
    /// How often the key is written that has to be seen: often enough for the shortest lease that was seen.
    period: Rc<Cell<Duration>>,
    pace: Pace,
    is_blind: bool,
}

/// Until when the view was whole.
#[derive(Debug, Clone, Copy)]
struct Proof {
    at: Instant,
    wall: Timestamp,
    /// The last time that it was not.
    cut: Option<Cut>,
}

/// A time without a view; several that follow one another closely are one.
#[derive(Debug, Clone, Copy)]
struct Cut {
    lasted: Duration,
    ended: Instant,
    /// When the view was last whole before that.
    before: Timestamp,
}

impl Watcher {
    pub(super) fn of(
        desk: &Rc<Desk>,
        signs: mpsc::UnboundedSender<Sign>,
        leased: watch::Receiver<Option<Lease>>,
    ) -> Self {
        let known = desk.setup.watch.clone().unwrap_or_default();
        locked(&desk.mirror).expect(&known.hosts);
        Self {
            etcd: desk.etcd(patience()),
            keys: desk.keys(),
            desk: Rc::clone(desk),
            signs,
            leased,
            revision: 0,
            is_listed: false,
            cluster: 0,
            proof: Proof::before(&known),
            period: Rc::new(Cell::new(period_of(desk.setup.ttl.saturating_sub(desk.setup.interval)))),
            pace: Pace::default(),
            is_blind: false,
        }
    }

    /// Watches for ever.
    pub(super) async fn work(mut self) {
        loop {
            let why = match self.watch().await {
                Unwatched::Compacted(revision) => {
                    info!(
                        "what happened before revision {revision} is not known any more: listing everything anew"
                    );
                    self.is_listed = false;
                    continue;
                }
                Unwatched::Broken(error) => error,
            };
            debug!("the watch ended: {why}");
            self.note_blind(&why);
            self.etcd.turn_away();
            sleep(self.pace.pause()).await;
        }
    }

    /// One watch, from its beginning to its end.
    async fn watch(&mut self) -> Unwatched {
        match self.watch_until_it_ends().await {
            Err(why) => why,
            Ok(never) => match never {},
        }
    }

    async fn watch_until_it_ends(&mut self) -> Result<std::convert::Infallible, Unwatched> {
        if !self.is_listed || !self.goes_on().await.map_err(Unwatched::Broken)? {
            self.list().await.map_err(Unwatched::Broken)?;
        }
        let begun = self.etcd.watch(&self.keys.all(), self.revision + 1).await;
        let mut watch = begun.map_err(Unwatched::Broken)?;
        let canary = Canary::fly(self);
        let mut written = canary.written.clone();
        // The oldest of what was written and not seen: what is written meanwhile is no excuse.
        let (mut unseen, mut since) = *written.borrow_and_update();
        loop {
            if unseen <= self.revision {
                (unseen, since) = *written.borrow_and_update();
            }
            let is_seen = unseen <= self.revision;
            let end = if is_seen { self.proof.at + self.blind_after() } else { since + UNSEEN };
            tokio::select! {
                changes = watch.next() => self.take(&changes?),
                _ = written.changed() => {}
                () = sleep_until(end), if !is_seen || !self.is_blind => {
                    let why = if is_seen { "nothing can be written" } else { "its watch hangs" };
                    let why = EtcdError::unreachable(&self.etcd.endpoint(), why);
                    if !is_seen {
                        return Err(Unwatched::Broken(why));
                    }
                    self.note_blind(&why);
                }
            }
        }
    }

    /// Whether what is to be seen follows upon what was seen. An etcd that lost its data begins anew, under its old
    /// name: a watch from a revision that it does not have yet would be silent until then.
    async fn goes_on(&self) -> Result<bool, EtcdError> {
        if self.proof.at.elapsed() >= self.blind_after() {
            return Ok(false);
        }
        let (revision, cluster) = self.etcd.revision(&self.keys.all()).await?;
        Ok(revision >= self.revision && cluster == self.cluster)
    }

    /// Everything as it is now; what is not there any more ended at some time since.
    async fn list(&mut self) -> Result<(), EtcdError> {
        let listing = self.etcd.list(&self.keys.all(), |key| self.keys.longest(key)).await?;
        let is_another =
            self.cluster != 0 && (self.cluster != listing.cluster || listing.revision < self.revision);
        if is_another {
            info!("this is another etcd than before, or one that lost its data");
            self.sign(Sign::Another);
        }
        (self.cluster, self.is_listed) = (listing.cluster, true);
        self.note_sight(is_another);
        let at = |key: &str| listing.entries.iter().find(|entry| entry.key == key.as_bytes());
        let told = at(&self.keys.told()).map_or((Vec::new(), 0), |it| (it.value.clone(), it.mod_revision));
        let teller = at(&self.keys.teller()).map(|it| (text(&it.value), it.create_revision));
        let missed: Vec<String> = read_told(&told.0).hosts().into_iter().collect();
        let hosts = {
            let mut mirror = locked(&self.desk.mirror);
            mirror.expect(&missed);
            mirror.list(&self.keys, &listing.entries)
        };
        self.revision = listing.revision;
        self.heed(&hosts);
        self.tell(&hosts);
        self.sign(Sign::Told { value: told.0, revision: told.1 });
        self.sign(Sign::Teller(teller));
        Ok(())
    }

    fn take(&mut self, changes: &Changes) {
        if changes.revision > 0 {
            self.note_sight(false);
        }
        for change in &changes.changes {
            self.sign_of(change);
        }
        let touched = locked(&self.desk.mirror).take(&self.keys, &changes.changes);
        self.revision = self.revision.max(changes.revision);
        self.heed(&touched);
        self.tell(&touched);
    }

    fn sign_of(&self, change: &Change) {
        let (Change::Put(super::etcd::Entry { key, .. }) | Change::Deleted(key)) = change;
        match (self.keys.place(key), change) {
            (Some(Place::Teller), Change::Put(entry)) => {
                self.sign(Sign::Teller(Some((text(&entry.value), entry.create_revision))));
            }
            (Some(Place::Teller), Change::Deleted(_)) => self.sign(Sign::Teller(None)),
            (Some(Place::Told), Change::Put(entry)) => {
                self.sign(Sign::Told { value: entry.value.clone(), revision: entry.mod_revision });
            }
            _ => {}
        }
    }

    fn sign(&self, sign: Sign) {
        let _ = self.signs.send(sign);
    }

    /// Tells how it stands with machines.
    fn tell(&self, hosts: &BTreeSet<String>) {
        let mut mirror = locked(&self.desk.mirror);
        let own = super::keys::name(&self.desk.setup.host);
        // Nobody says of himself that he is away.
        let known = hosts.iter().filter_map(|host| Some((host, mirror.machine(host)?)));
        let known = known.filter(|(host, machine)| **host != own || machine.is_alive);
        let seen: Vec<Seen> = known.map(|(host, machine)| self.seen(host, machine)).collect();
        seen.iter().filter(|seen| seen.sight.is_none()).for_each(|seen| mirror.forget(&seen.host));
        drop(mirror);
        if !seen.is_empty() {
            self.desk.tell(News::Seen(seen));
        }
    }

    fn seen(&self, host: &str, machine: &Machine) -> Seen {
        let sight = match machine.presence() {
            Presence::Alive => Some(HostSight::Alive),
            Presence::Stopped(farewell) => Some(HostSight::Stopped(farewell)),
            Presence::Retired => None,
            Presence::Gone => Some(self.lost(machine)),
        };
        Seen { host: host.to_owned(), sight, about: machine.about() }
    }

    fn lost(&self, machine: &Machine) -> HostSight {
        let slack = slack(machine).max(self.shortest_cut());
        let cut = self.proof.cut.filter(|cut| cut.lasted >= slack);
        let left =
            |cut: Cut| (cut.ended + machine.interval() + RETURN).checked_duration_since(Instant::now());
        let ended = machine.ended.unwrap_or_else(Timestamp::now);
        let renewed = ended.checked_sub(machine.ttl()).unwrap_or_default();
        match cut.and_then(|cut| Some((left(cut)?, cut.before))) {
            // When it ended was not seen.
            Some((grace, before)) if machine.ended.is_none() => {
                HostSight::Lost { last_seen: renewed.min(before), grace }
            }
            Some((grace, _)) => HostSight::Lost { last_seen: renewed, grace },
            None => HostSight::Lost { last_seen: renewed, grace: Duration::ZERO },
        }
    }

    /// A time without a view that is no accident: the key that has to be seen comes more often.
    fn shortest_cut(&self) -> Duration {
        self.period.get() * 2
    }

    /// Looks often enough for the leases of these.
    fn heed(&self, hosts: &BTreeSet<String>) {
        let mirror = locked(&self.desk.mirror);
        let machines = hosts.iter().filter_map(|host| mirror.machine(host)).filter(|it| it.is_alive);
        let needed = machines.map(|machine| period_of(slack(machine))).min();
        self.period.set(self.period.get().min(needed.unwrap_or(Duration::MAX)));
    }

    /// The view is whole. After a time without one in which a lease may have ended only because its machine could not
    /// reach etcd either, whoever is lost may come back.
    fn note_sight(&mut self, is_another: bool) {
        let now = Instant::now();
        let lasted = if is_another { Duration::MAX } else { now.duration_since(self.proof.at) };
        if lasted >= self.shortest_cut() {
            let cut = Cut { lasted, ended: now, before: self.proof.wall };
            self.proof.cut = Some(self.proof.cut.map_or(cut, |former| cut.after(former)));
        }
        (self.proof.at, self.proof.wall) = (now, Timestamp::now());
        self.pace.start_over();
        if std::mem::take(&mut self.is_blind) {
            self.desk.tell(News::Health { part: Part::Watching, problem: None });
            self.sign(Sign::Sighted);
            let all = locked(&self.desk.mirror).machines().map(|(host, _)| host.clone()).collect();
            self.tell(&all);
        }
    }

    fn note_blind(&mut self, why: &EtcdError) {
        let is_long = self.proof.at.elapsed() >= self.blind_after();
        let problem = format!("the other machines are not watched: {why}");
        if is_long && !std::mem::replace(&mut self.is_blind, true) {
            self.desk.tell(News::Blind(problem.clone()));
            self.sign(Sign::Blind);
        }
        if is_long {
            self.desk.tell(News::Health { part: Part::Watching, problem: Some(problem) });
        }
    }

    /// Without a view for longer than this, a lease may have ended because its machine could not reach etcd either.
    fn blind_after(&self) -> Duration {
        let setup = &self.desk.setup;
        setup.ttl.saturating_sub(setup.interval).max(Duration::from_secs(1))
    }
}

impl Proof {
    /// Whoever is not there at the first look had no chance to come back since the last one before.
    fn before(known: &Known) -> Self {
        let now = Instant::now();
        let has_looked = known.until > Timestamp::UNIX_EPOCH;
        let before = if has_looked { known.until } else { Timestamp::now() };
        let cut = Cut { lasted: Duration::MAX, ended: now, before };
        Self { at: now, wall: before, cut: Some(cut) }
    }
}

impl Cut {
    /// With the one before, if there was no time to come back between them.
    fn after(self, former: Self) -> Self {
        if self.ended.duration_since(former.ended) >= self.lasted.saturating_add(RETURN) {
            return self;
        }
        Self { lasted: self.lasted.saturating_add(former.lasted), before: former.before, ..self }
    }
}

/// Without etcd for longer than this, a machine may lose its lease.
fn slack(machine: &Machine) -> Duration {
    machine.ttl().saturating_sub(machine.interval())
}

/// How often is to be looked where leases have so much time.
fn period_of(slack: Duration) -> Duration {
    (slack / 10).clamp(Duration::from_millis(300), Duration::from_secs(2))
}

fn text(bytes: &[u8]) -> String {
    super::keys::name(&String::from_utf8_lossy(bytes))
}

const fn patience() -> Patience {
    Patience { attempt: Duration::from_secs(1), whole: Duration::from_secs(3) }
}

/// A key that is written again and again, for as long as this is there.
struct Canary {
    /// The revision with which it was last written, and when that was known.
    written: watch::Receiver<(i64, Instant)>,
    task: JoinHandle<()>,
}

impl Canary {
    fn fly(watcher: &Watcher) -> Self {
        let (tell, written) = watch::channel((0, Instant::now()));
        let (etcd, key) = (watcher.desk.etcd(patience()), watcher.keys.watcher(&watcher.desk.setup.host));
        let (leased, period) = (watcher.leased.clone(), Rc::clone(&watcher.period));
        let task = spawn_local(async move {
            for count in 0_u64.. {
                let lease = *leased.borrow();
                if lease.is_some() {
                    let put = Txn::default().put(&key, count.to_string().as_bytes(), lease);
                    if let Ok(done) = etcd.commit(put).await {
                        tell.send_replace((done.revision, Instant::now()));
                    }
                }
                sleep(period.get()).await;
            }
        });
        Self { written, task }
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.task.abort();
    }
}
