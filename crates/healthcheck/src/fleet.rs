//! Many machines: who lives is known by leases in etcd.
//!
//! One thread speaks with etcd: it holds this machine's lease and keys ([`publisher`]), looks at those of the others
//! ([`watcher`]), and finds out which of several watchers tells people ([`teller`]). It takes [`Order`]s, sends
//! [`News`], and nobody ever waits for it.

pub(crate) mod etcd;
pub(crate) mod keys;
pub(crate) mod mirror;
pub(crate) mod pace;
mod publisher;
mod teller;
mod watcher;

pub(crate) use publisher::Standing;

use etcd::{Access, Etcd, Patience};
use healthcheck_core::{HostAbout, HostSight};
use jiff::Timestamp;
use keys::{Keys, Told, Tombstone};
use mirror::Mirror;
use publisher::Publisher;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use teller::Teller;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;
use watcher::Watcher;

/// How long a stop as planned waits for etcd.
const FAREWELL: Duration = Duration::from_millis(800);

/// What a machine takes part in a fleet with.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) access: Access,
    pub(crate) prefix: String,
    /// The name of this machine.
    pub(crate) host: String,
    /// The lease ends so long after it was renewed last.
    pub(crate) ttl: Duration,
    /// It is renewed so often.
    pub(crate) interval: Duration,
    /// Whether the other machines are watched, and if so what was known of them before.
    pub(crate) watch: Option<Known>,
    /// Whether this machine has a way to tell people of others.
    pub(crate) may_tell: bool,
}

impl Setup {
    /// Whether other machines are watched, and told of by one of several.
    pub(crate) const fn is_one_of_several(&self) -> bool {
        self.watch.is_some() && self.may_tell
    }
}

/// What is known of other machines from before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) hosts: Vec<String>,
    /// When anything was last looked at.
    pub(crate) until: Timestamp,
}

/// What the thread is to do.
#[derive(Debug)]
enum Order {
    /// To find out whether this machine is still the one that tells, before a notice is sent, and to let the others
    /// know that it may be.
    Confirm { channel: String, notice: String, told: Told },
    /// To let the others know what was told.
    Told(Told),
    /// To say goodbye, and then whether that was heard; one for good is said until it is.
    Stop(Tombstone, watch::Sender<Option<bool>>),
}

/// What the thread found out.
#[derive(Debug)]
pub(crate) enum News {
    /// How it stands with other machines.
    Seen(Vec<Seen>),
    /// The other machines cannot be watched, and why.
    Blind(String),
    /// Whether this machine is the one that tells people of machines.
    Teller(bool),
    /// What people were told, by whichever watcher.
    Told(Told),
    /// Whether a notice may be sent.
    Confirmed { channel: String, notice: String, may_send: bool },
    /// What is wrong with our own lease, or with watching; nothing where it is well.
    Health { part: Part, problem: Option<String> },
}

/// What may be wrong with a fleet as this machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Publishing,
    Watching,
}

/// How it stands with one machine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) host: String,
    /// Nothing if it is to be forgotten.
    pub(crate) sight: Option<HostSight>,
    pub(crate) about: Option<HostAbout>,
}

/// The thread, from outside.
pub(crate) struct Fleet {
    orders: mpsc::UnboundedSender<Order>,
    standing: watch::Sender<Standing>,
    mirror: Shared,
    teller: Arc<Mutex<Option<String>>>,
    setup: Setup,
}

/// Whether a goodbye was heard, once that is known.
pub(crate) type Heard = watch::Receiver<Option<bool>>;

/// What the other machines say, for whoever shows it.
type Shared = Arc<Mutex<Mirror>>;

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fleet {
    /// Takes part from now on; what it finds out is sent to `news`.
    ///
    /// # Errors
    ///
    /// The system gives no thread, or no descriptor.
    pub(crate) fn begin(setup: Setup, news: mpsc::UnboundedSender<News>) -> io::Result<Self> {
        let (orders, received) = mpsc::unbounded_channel();
        let (standing, wanted) = watch::channel(Standing::default());
        let (mirror, teller) = (Shared::default(), Arc::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let desk =
            Desk { setup: setup.clone(), news, mirror: Arc::clone(&mirror), teller: Arc::clone(&teller) };
        let work = move || {
            LocalSet::new().block_on(&runtime, desk.work(received, wanted));
            leave(runtime);
        };
        Builder::new().name("fleet".to_owned()).spawn(work)?;
        Ok(Self { orders, standing, mirror, teller, setup })
    }

    /// Whether what is told of other machines is told by one of several.
    pub(crate) const fn is_one_of_several(&self) -> bool {
        self.setup.is_one_of_several()
    }

    /// Whether it would be begun in the same way, whatever is known by now.
    pub(crate) fn is_set_up_as(&self, other: &Setup) -> bool {
        let Setup { access, prefix, host, ttl, interval, watch, may_tell } = &self.setup;
        (access, prefix, host, ttl) == (&other.access, &other.prefix, &other.host, &other.ttl)
            && (interval, watch.is_some(), may_tell)
                == (&other.interval, other.watch.is_some(), &other.may_tell)
    }

    /// How long a lease surely lives that did live, where it is renewed as it should be.
    pub(crate) const fn outlives(&self) -> Duration {
        self.setup.ttl.saturating_sub(self.setup.interval)
    }

    /// What all machines say, where they are watched.
    pub(crate) fn mirror(&self) -> Option<MutexGuard<'_, Mirror>> {
        self.setup.watch.as_ref().map(|_| locked(&self.mirror))
    }

    /// The watcher that tells people, as far as it is known.
    pub(crate) fn teller(&self) -> Option<String> {
        locked(&self.teller).clone()
    }

    /// How it stands with this machine; nothing happens where that is as it was.
    pub(crate) fn publish(&self, standing: Standing) {
        self.standing.send_if_modified(|held| {
            let is_news = *held != standing;
            if is_news {
                *held = standing;
            }
            is_news
        });
    }

    /// Asks whether a notice may be sent; [`News::Confirmed`] answers. What was told so far names it as well.
    pub(crate) fn confirm(&self, channel: &str, notice: &str, told: Told) {
        self.order(Order::Confirm { channel: channel.to_owned(), notice: notice.to_owned(), told });
    }

    /// What the channels of this machine were told; kept where all watchers find it.
    pub(crate) fn told(&self, told: Told) {
        self.order(Order::Told(told));
    }

    /// Says goodbye to the others, and does not wait for it; whether it was heard is received.
    pub(crate) fn leave(self, tombstone: Tombstone) -> Heard {
        let (done, heard) = watch::channel(None);
        self.order(Order::Stop(tombstone, done));
        heard
    }

    /// Says goodbye to the others. It takes less than a second, whatever hangs.
    pub(crate) fn stop(self, tombstone: Tombstone) {
        let (done, heard) = watch::channel(None);
        self.order(Order::Stop(tombstone, done));
        let end = Instant::now() + FAREWELL + Duration::from_millis(100);
        // Whoever waits here has nothing else to do any more, and no runtime to wait with.
        while heard.borrow().is_none() && heard.has_changed().is_ok() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn order(&self, order: Order) {
        // The thread ends only after it was stopped.
        let _ = self.orders.send(order);
    }
}

/// A name server may hold one of its threads for long.
fn leave(runtime: Runtime) {
    runtime.shutdown_background();
}

/// What all parts of the thread work with.
struct Desk {
    setup: Setup,
    news: mpsc::UnboundedSender<News>,
    mirror: Shared,
    teller: Arc<Mutex<Option<String>>>,
}

impl Desk {
    fn etcd(&self, patience: Patience) -> Etcd {
        Etcd::new(self.setup.access.clone(), patience)
    }

    fn keys(&self) -> Keys {
        Keys::below(&self.setup.prefix)
    }

    fn tell(&self, news: News) {
        // Without a loop there is nobody to tell.
        let _ = self.news.send(news);
    }

    async fn work(self, mut orders: mpsc::UnboundedReceiver<Order>, wanted: watch::Receiver<Standing>) {
        let desk = Rc::new(self);
        let (lease, leased) = watch::channel(None);
        let (stop, stopping) = watch::channel(None);
        let publishing = spawn_local(Publisher::of(&desk, lease).work(wanted, stopping));
        let mut asked = None;
        if desk.setup.watch.is_some() {
            let (signs, seen) = mpsc::unbounded_channel();
            let (ask, questions) = mpsc::unbounded_channel();
            spawn_local(Watcher::of(&desk, signs, leased.clone()).work());
            spawn_local(Teller::of(&desk, leased).work(seen, questions));
            asked = Some(ask);
        }
        while let Some(order) = orders.recv().await {
            match (order, &asked) {
                (Order::Stop(tombstone, done), _) => {
                    let patience = if tombstone.retired { Duration::MAX } else { FAREWELL };
                    stop.send_replace(Some(tombstone));
                    let heard = timeout(patience, publishing).await;
                    done.send_replace(Some(matches!(heard, Ok(Ok(true)))));
                    return;
                }
                (order, Some(asked)) => drop(asked.send(order)),
                (Order::Confirm { channel, notice, .. }, None) => {
                    desk.tell(News::Confirmed { channel, notice, may_send: true });
                }
                (Order::Told(_), None) => {}
            }
        }
    }
}
