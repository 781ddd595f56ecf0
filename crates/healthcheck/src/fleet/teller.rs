//! Which of several watchers tells people of machines: whoever created the key of the teller, for as long as his lease
//! lives. The revision of that creation is in everything that he writes, so that who was paused and passed over writes
//! nothing any more; and he asks before each notice.

use super::etcd::{Done, Etcd, EtcdError, Lease, Patience, Txn};
use super::keys::{Keys, Told, read_told, written_told};
use super::pace::{Pace, up_to};
use super::watcher::Sign;
use super::{Desk, News, Order, locked};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::info;

/// Not everybody wants to be the teller at the same instant.
const HESITATION: Duration = Duration::from_millis(200);

pub(super) struct Teller {
    desk: Rc<Desk>,
    etcd: Etcd,
    keys: Keys,
    leased: watch::Receiver<Option<Lease>>,
    /// When the key was created by which this machine is the teller.
    since: Option<i64>,
    /// Whether somebody holds the key, as far as is known.
    is_held: bool,
    /// When it is tried to become the teller.
    next: Option<Instant>,
    pace: Pace,
    /// With which revision was last written what was told.
    told_revision: i64,
    /// What is to be written.
    unwritten: Option<Told>,
}

impl Teller {
    pub(super) fn of(desk: &Rc<Desk>, leased: watch::Receiver<Option<Lease>>) -> Self {
        let patience = Patience { attempt: Duration::from_secs(1), whole: Duration::from_secs(3) };
        Self {
            etcd: desk.etcd(patience),
            keys: desk.keys(),
            desk: Rc::clone(desk),
            leased,
            since: None,
            is_held: true,
            next: None,
            pace: Pace::default(),
            told_revision: 0,
            unwritten: None,
        }
    }

    pub(super) async fn work(
        mut self,
        mut signs: mpsc::UnboundedReceiver<Sign>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        loop {
            let next = self.next;
            tokio::select! {
                Some(sign) = signs.recv() => self.see(sign),
                Some(order) = orders.recv() => self.obey(order).await,
                changed = self.leased.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.note_lease();
                }
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    self.next = None;
                    self.go_on().await;
                }
                else => return,
            }
        }
    }

    fn see(&mut self, sign: Sign) {
        match sign {
            Sign::Another => {
                self.step_down("etcd lost its data");
                self.told_revision = 0;
            }
            Sign::Teller(Some((name, created))) => {
                self.is_held = true;
                if self.since.is_some_and(|since| since < created) {
                    self.step_down("another watcher tells people now");
                }
                *locked(&self.desk.teller) = Some(name);
            }
            Sign::Teller(None) => {
                *locked(&self.desk.teller) = None;
                self.is_held = false;
                // Our own key may have been taken away by somebody.
                self.step_down("nobody tells people");
                self.want();
            }
            Sign::Told { value, revision } => {
                if revision > self.told_revision && self.since.is_none() {
                    self.told_revision = revision;
                    self.desk.tell(News::Told(read_told(&value)));
                }
            }
            Sign::Blind => self.step_down("etcd cannot be seen"),
            // The key may still be ours: our lease may have outlived that time.
            Sign::Sighted => {
                self.is_held = false;
                self.want();
            }
        }
    }

    fn note_lease(&mut self) {
        if self.leased.borrow_and_update().is_none() {
            self.step_down("this machine's lease ended");
        } else {
            self.want();
        }
    }

    /// Tries to become the teller soon, where nobody is.
    fn want(&mut self) {
        if self.desk.setup.may_tell && !self.is_held && self.since.is_none() && self.next.is_none() {
            self.next = Some(Instant::now() + up_to(HESITATION));
        }
    }

    fn step_down(&mut self, why: &str) {
        if self.since.take().is_some() {
            info!("this machine does not tell of other machines any more: {why}");
            self.unwritten = None;
            self.desk.tell(News::Teller(false));
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Confirm { channel, notice, told } => {
                let may_send = self.confirm(told).await;
                self.desk.tell(News::Confirmed { channel, notice, may_send });
            }
            Order::Told(told) if self.since.is_some() => {
                self.unwritten = Some(told);
                self.go_on().await;
            }
            Order::Told(_) | Order::Stop(..) => {}
        }
    }

    /// What is still to be done: to become the teller, or to write what was told.
    async fn go_on(&mut self) {
        let done = match (self.since, self.unwritten.clone()) {
            (Some(since), Some(told)) => self.write(since, &told).await,
            (None, _) => self.run_for_it().await,
            (Some(_), None) => Ok(()),
        };
        match done {
            Ok(()) => self.pace.start_over(),
            Err(_) => self.next = Some(Instant::now() + self.pace.pause()),
        }
    }

    async fn run_for_it(&mut self) -> Result<(), EtcdError> {
        let lease = *self.leased.borrow();
        let Some(lease) = lease else { return Ok(()) };
        let (key, name) = (self.keys.teller(), self.desk.setup.host.clone());
        let run =
            Txn::default().if_created_at(&key, 0).put(&key, name.as_bytes(), Some(lease)).else_get(&key);
        let Done { has_succeeded, revision, found } = self.etcd.commit(run).await?;
        // An answer may have been lost: then it is ours already.
        let ours = found.iter().find(|entry| entry.lease == lease.0).map(|entry| entry.create_revision);
        self.is_held = true;
        let since = if has_succeeded { Some(revision) } else { ours };
        let Some(since) = since else { return Ok(()) };
        // What was told until now, as most members know it, and nobody else changes it any more.
        let told = self.etcd.get(&self.keys.told()).await?;
        self.told_revision = told.as_ref().map_or(0, |told| told.mod_revision);
        self.since = Some(since);
        info!("this machine tells people of other machines from now on");
        *locked(&self.desk.teller) = Some(name);
        // Where etcd lost it, what every watcher heard before is all that there is.
        if let Some(told) = told {
            self.desk.tell(News::Told(read_told(&told.value)));
        }
        self.desk.tell(News::Teller(true));
        Ok(())
    }

    /// Writes what is about to be told, which only the teller can; who cannot find out whether he is does not tell.
    async fn confirm(&mut self, told: Told) -> bool {
        self.unwritten = Some(told);
        for _ in 0..3 {
            let (Some(since), Some(told)) = (self.since, self.unwritten.clone()) else { break };
            if self.write(since, &told).await.is_err() {
                self.step_down("it cannot be made sure that it is the one who tells");
                // The key may still be ours.
                self.is_held = false;
                self.next = Some(Instant::now() + self.pace.pause());
            }
        }
        self.since.is_some() && self.unwritten.is_none()
    }

    async fn write(&mut self, since: i64, told: &Told) -> Result<(), EtcdError> {
        let (teller, key, value) = (self.keys.teller(), self.keys.told(), written_told(told));
        let write = Txn::default()
            .if_created_at(&teller, since)
            .if_modified_at(&key, self.told_revision)
            .put(&key, &value, None)
            .else_get(&teller)
            .else_get(&key);
        let Done { has_succeeded, revision, found } = self.etcd.commit(write).await?;
        if has_succeeded {
            (self.told_revision, self.unwritten) = (revision, None);
            return Ok(());
        }
        let at = |key: &str| found.iter().find(|entry| entry.key == key.as_bytes());
        if at(&teller).is_none_or(|entry| entry.create_revision != since) {
            self.step_down("another watcher tells people now");
            return Ok(());
        }
        // Nobody but the teller writes it: it was ours, and the answer was lost.
        self.told_revision = at(&key).map_or(0, |entry| entry.mod_revision);
        self.next = Some(Instant::now());
        Ok(())
    }
}
