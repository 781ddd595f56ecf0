//! A watched loop inside a tokio runtime: it beats as long as the runtime gets round to it.

use crate::Reporter;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// Beats within one limit.
const BEATS: u32 = 4;

impl Reporter {
    /// Watches the tokio runtime that this is called in: if none of its threads gets round to a small task for
    /// longer than `limit`, the service hangs. Ends with the task, or when it is aborted.
    ///
    /// ```
    /// use health_reporter::Reporter;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// let watch = health.watch_runtime("runtime", Duration::from_secs(5));
    /// # watch.abort();
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as [`tokio::spawn`] does.
    pub fn watch_runtime(&self, name: &str, limit: Duration) -> JoinHandle<()> {
        let watched = self.watched_loop(name, limit);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval((limit / BEATS).max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                watched.beat();
            }
        })
    }
}
