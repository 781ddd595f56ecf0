//! Looks from outside, on a thread of their own that begins when there is something to look at. The loop that judges
//! never waits for it.

use crate::sources::journal::{self, Lines};
use crate::sources::looks::{Ask, Eyes, Look, patterns, runtime};
use crate::sources::systemd::Bus;
use crate::sources::systemd::follow::{self, News as UnitNews, Wanted};
use crate::sources::zmq::{Endpoint, Listener};
use healthcheck_core::{Aftermath, Facts, Observation, ProbeError, ProbeFacts, Subject};
use std::io;
use std::rc::Rc;
use std::thread::Builder;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio::time::sleep;

/// News that may wait for the loop.
const MAX_WAITING: usize = 1_024;
/// How long the journal may take.
const JOURNAL: Duration = Duration::from_secs(3);
/// Ends that are looked up in the journal at once.
const MAX_AFTERMATHS: usize = 4;

/// Something that is looked at again and again.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) look: Look,
    pub(super) interval: Duration,
    /// A publisher must send a message at least this often.
    pub(super) max_silence: Option<(Endpoint, Duration)>,
}

/// What came from outside.
pub(super) enum News {
    /// A look; whoever judged it says how soon it is to be repeated.
    Looked {
        observation: Observation,
        again: oneshot::Sender<Duration>,
    },
    Units(UnitNews),
    /// What the journal knows of the end of a run.
    Aftermath {
        subject: Subject,
        aftermath: Result<Aftermath, ProbeError>,
    },
}

enum Order {
    Plan(Vec<Planned>),
    Aftermath { subject: Subject, run: journal::Run },
}

/// The thread, once there is one.
pub(super) struct Outside {
    news: mpsc::Sender<News>,
    orders: Option<mpsc::UnboundedSender<Order>>,
    wanted: watch::Sender<Wanted>,
    bus: Option<Bus>,
}

impl Outside {
    pub(super) fn new(bus: Option<Bus>) -> (Self, mpsc::Receiver<News>) {
        let (news, received) = mpsc::channel(MAX_WAITING);
        (Self { news, orders: None, wanted: watch::Sender::default(), bus }, received)
    }

    /// Looks at these from now on, and at nothing else. Those that went on before begin anew.
    pub(super) fn plan(&mut self, planned: Vec<Planned>) -> io::Result<()> {
        if planned.is_empty() && self.orders.is_none() {
            return Ok(());
        }
        self.order(Order::Plan(planned))
    }

    /// Follows these units from now on.
    pub(super) fn follow(&mut self, wanted: &Wanted) -> io::Result<()> {
        if self.bus.is_none() || *self.wanted.borrow() == *wanted {
            return Ok(());
        }
        self.start()?;
        self.wanted.send_replace(wanted.clone());
        Ok(())
    }

    /// Looks up in the journal how a run ended.
    pub(super) fn look_up(&mut self, subject: Subject, run: journal::Run) -> io::Result<()> {
        self.order(Order::Aftermath { subject, run })
    }

    fn order(&mut self, order: Order) -> io::Result<()> {
        self.start()?;
        // The thread ends only with this end of the channel.
        let _ = self.orders.as_ref().map(|orders| orders.send(order));
        Ok(())
    }

    fn start(&mut self) -> io::Result<()> {
        if self.orders.is_some() {
            return Ok(());
        }
        let (orders, received) = mpsc::unbounded_channel();
        let worker =
            Worker { news: self.news.clone(), wanted: self.wanted.subscribe(), bus: self.bus.clone() };
        let apart = Apart(Some(runtime()?));
        Builder::new().name("outside".to_owned()).spawn(move || apart.block_on(worker.work(received)))?;
        self.orders = Some(orders);
        Ok(())
    }
}

/// A runtime that is waited for by nobody, also where it has got no thread: a dead mount, or a name server, may hold
/// one for long.
struct Apart(Option<Runtime>);

impl Apart {
    fn block_on(&self, work: impl Future<Output = ()>) {
        if let Some(runtime) = &self.0 {
            LocalSet::new().block_on(runtime, work);
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the thread works with.
struct Worker {
    news: mpsc::Sender<News>,
    wanted: watch::Receiver<Wanted>,
    bus: Option<Bus>,
}

impl Worker {
    async fn work(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut planned = JoinSet::new();
        let aftermaths = Rc::new(tokio::sync::Semaphore::new(MAX_AFTERMATHS));
        if let Some(bus) = self.bus.clone() {
            let news = self.news.clone();
            // What cannot be taken now is looked at again with the next signal, or the slow look.
            let tell = move |unit| drop(news.try_send(News::Units(unit)));
            spawn_local(follow::follow(bus, self.wanted.clone(), tell));
        }
        while let Some(order) = orders.recv().await {
            match order {
                Order::Plan(looks) => {
                    planned.abort_all();
                    planned = self.begin(looks);
                }
                Order::Aftermath { subject, run } => {
                    let (news, aftermaths) = (self.news.clone(), Rc::clone(&aftermaths));
                    spawn_local(async move {
                        let _permit = aftermaths.acquire().await;
                        let aftermath = aftermath(&run).await;
                        // Without a loop there is nobody to tell.
                        let _ = news.send(News::Aftermath { subject, aftermath }).await;
                    });
                }
            }
        }
    }

    fn begin(&self, looks: Vec<Planned>) -> JoinSet<()> {
        let eyes = Rc::new(Eyes::with(None).lasting());
        let asked: Vec<Look> = looks.iter().map(|planned| planned.look.clone()).collect();
        let patterns = Rc::new(patterns(&asked));
        let mut tasks = JoinSet::new();
        for planned in looks {
            let (eyes, patterns, news) = (Rc::clone(&eyes), Rc::clone(&patterns), self.news.clone());
            tasks.spawn_local(async move { go_on_looking(planned, &eyes, &patterns, &news).await });
        }
        tasks
    }
}

/// One look after the other, each as soon as the one before it was judged and its pause is over.
async fn go_on_looking(planned: Planned, eyes: &Eyes, patterns: &[String], news: &mpsc::Sender<News>) {
    let mut listener = None;
    loop {
        let mut observation = eyes.look_again(&planned.look, patterns).await;
        let silence = listen(&planned, &mut listener, &mut observation).await;
        let (again, pause) = oneshot::channel();
        if news.send(News::Looked { observation, again }).await.is_err() {
            return;
        }
        let pause = pause.await.unwrap_or(planned.interval);
        sleep(silence.map_or(pause, |end| pause.min(end))).await;
    }
}

/// How long the publisher is silent, and when it will have been for too long.
async fn listen(
    planned: &Planned,
    listener: &mut Option<Listener>,
    observation: &mut Observation,
) -> Option<Duration> {
    let (endpoint, max) = planned.max_silence.clone()?;
    if listener.is_none() {
        // Its handshake takes a thread up to a second.
        let started = tokio::task::spawn_blocking(move || Listener::start(&endpoint)).await;
        *listener = started.ok().and_then(Result::ok);
    }
    let silence = listener.as_ref()?.silence(max);
    if let Ok(Facts::Probe(ProbeFacts::Zmq(zmq))) = &mut observation.outcome {
        zmq.silence = Some(silence);
    }
    let left = max.checked_sub(silence.lasted)?;
    Some(left + Duration::from_millis(1))
}

async fn aftermath(run: &journal::Run) -> Result<Aftermath, ProbeError> {
    let Lines { lines, oom, exit } = journal::last_lines(run, JOURNAL).await?;
    Ok(Aftermath { pid: run.pid.into(), journal: lines, oom, exit })
}

impl Planned {
    /// Whether it is a question to systemd, which is followed instead.
    pub(super) fn unit(&self) -> Option<(&Subject, &str)> {
        match &self.look.ask {
            Ask::Unit(unit) => Some((&self.look.subject, unit)),
            _ => None,
        }
    }
}
