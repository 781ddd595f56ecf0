//! Looks at services on a thread of its own: no lease ends because a disk or a check hangs.

use super::beat::{self, Sight, Sights};
use super::manifests::{Announced, Manifests};
use super::namespace::Namespace;
use crate::commands::running_monitor::{Directories, RunningMonitor};
use crate::commands::snapshot;
use crate::config::Config;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// Who ends waits so long for a look to end.
const FAREWELL: Duration = Duration::from_millis(300);

/// Finds the directories that are meant, and the monitor that watches them, where one runs.
pub(crate) type Find = Box<dyn Fn() -> (Directories, Option<RunningMonitor>) + Send>;

/// Whose heartbeats are wanted, and how their services are looked at.
pub(super) struct Subjects {
    pub(super) config: Config,
    pub(super) find: Find,
    pub(super) named: Vec<Namespace>,
    pub(super) manifests: Option<Manifests>,
}

/// What the last look brought.
#[derive(Debug, Clone)]
struct Seen {
    sights: Arc<Sights>,
    at: Instant,
}

/// The thread that looks, from outside.
pub(super) struct Looker {
    wanted: mpsc::SyncSender<()>,
    seen: watch::Receiver<Option<Seen>>,
    named: Vec<Namespace>,
    is_over: Arc<AtomicBool>,
}

impl Looker {
    pub(super) fn start(subjects: Subjects) -> io::Result<Self> {
        let (wanted, asked) = mpsc::sync_channel(1);
        let (tell, seen) = watch::channel(None);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let named = subjects.named.clone();
        let work = move || subjects.serve(&asked, &tell, &over);
        std::thread::Builder::new().name("looks".to_owned()).spawn(work)?;
        Ok(Self { wanted, seen, named, is_over })
    }

    /// How everybody is. A look that lasts longer than `patience` is not waited for: what was seen before counts until
    /// it is older than `fresh`.
    pub(super) async fn look(&mut self, patience: Duration, fresh: Duration) -> Arc<Sights> {
        // Where a look is still going on, it is the one that is waited for.
        let _ = self.wanted.try_send(());
        self.seen.mark_unchanged();
        let _ = timeout(patience, self.seen.changed()).await;
        let seen = self.seen.borrow().clone();
        match seen {
            None => {
                let unseen = |namespace: &Namespace| {
                    (namespace.clone(), Sight::none(namespace.as_str(), "nobody could look yet"))
                };
                Arc::new(self.named.iter().map(unseen).collect())
            }
            Some(seen) if seen.at.elapsed() <= fresh => seen.sights,
            Some(seen) => {
                let message = format!("nobody could look for {} s", seen.at.elapsed().as_secs());
                let unseen = |(namespace, sight): (&Namespace, &Sight)| {
                    (namespace.clone(), Sight::none(sight.service(), message.as_str()))
                };
                Arc::new(seen.sights.iter().map(unseen).collect())
            }
        }
    }

    /// Ends what was started for a look.
    pub(super) async fn end(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(self.wanted);
        let gone = async { while self.seen.changed().await.is_ok() {} };
        let _ = timeout(FAREWELL, gone).await;
    }
}

impl Subjects {
    fn serve(mut self, asked: &mpsc::Receiver<()>, tell: &watch::Sender<Option<Seen>>, over: &AtomicBool) {
        let mut earlier = Arc::<Sights>::default();
        while asked.recv().is_ok() {
            let at = Instant::now();
            let announced = self.announced();
            if let Some(sights) = self.look(&announced, &earlier, over) {
                earlier = Arc::new(sights);
                tell.send_replace(Some(Seen { sights: Arc::clone(&earlier), at }));
            }
        }
    }

    /// Who is named on the command line is meant whatever a manifest says.
    fn announced(&mut self) -> Announced {
        let mut announced = self.manifests.as_mut().map(Manifests::look).unwrap_or_default();
        announced.extend(self.named.iter().map(|namespace| (namespace.clone(), None)));
        announced
    }

    /// By the monitor's view, or else by a look of our own, as every snapshot; nothing if it was ended.
    fn look(&self, announced: &Announced, earlier: &Sights, over: &AtomicBool) -> Option<Sights> {
        let (meant, monitor) = (self.find)();
        if let Some(picture) = monitor.as_ref().and_then(snapshot::of_monitor) {
            return Some(beat::sights(announced, &picture.snapshot));
        }
        let picture = snapshot::look_unless(&self.config, &meant.dirs, over)?;
        let mut sights = beat::sights(announced, &picture.snapshot);
        for (namespace, sight) in &mut sights {
            if let Some(earlier) = earlier.get(namespace) {
                sight.continues(earlier);
            }
        }
        Some(sights)
    }
}
