//! The monitor's own health: a report as any service has one, and systemd's watchdog fed while the loop goes round.

use health_reporter::{LoopHandle, Reporter, Status};
use std::path::Path;
use std::time::Duration;
use tracing::warn;

/// How often the monitor reports, and looks at everything that needs no event.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// The monitor's report.
pub(super) struct Own {
    reporter: Option<Reporter>,
    beat: Option<LoopHandle>,
    pulse: Duration,
}

impl Own {
    /// Begins to report into `dir`. Whoever cannot report watches all the same.
    pub(super) fn reporting(dir: &Path, watchdog: Option<Duration>) -> Self {
        // A beat comes with each round; the watchdog is not fed any more well before it would bite.
        let limit = watchdog.map_or(INTERVAL * 5 / 2, |watchdog| watchdog / 2);
        let builder = Reporter::builder("healthcheck").dir(dir).interval(INTERVAL).deadline(INTERVAL * 3);
        let builder = builder.service_version(env!("CARGO_PKG_VERSION")).record_panics(true).starting();
        let reporter = builder.start().inspect_err(|error| warn!("no report of my own: {error}")).ok();
        let beat = reporter.as_ref().map(|reporter| reporter.watched_loop("judge", limit));
        Self { reporter, beat, pulse: limit * 2 / 5 }
    }

    /// Waits until the first report is out: what an earlier run left there says nothing of this one.
    pub(super) fn come_out(&self) {
        if let Some(error) = self.reporter.as_ref().and_then(|it| it.flush().err()) {
            warn!("no report of my own yet: {error}");
        }
    }

    /// How often the loop must go round, whatever happens.
    pub(super) const fn pulse(&self) -> Duration {
        self.pulse
    }

    /// The loop has gone round.
    pub(super) fn beat(&self) {
        if let Some(beat) = &self.beat {
            beat.beat();
        }
    }

    pub(super) fn ready(&self) {
        if let Some(reporter) = &self.reporter {
            reporter.ready();
        }
    }

    /// How one source or sink is: what is wrong with it, or how much there is of it.
    pub(super) fn tell(&self, part: &str, problem: Option<&str>, well: &str) {
        let Some(reporter) = &self.reporter else { return };
        match problem {
            Some(problem) => reporter.record(part, Status::Warning, problem),
            None => reporter.record(part, Status::Healthy, well),
        }
    }

    /// What need not be there, and is not.
    pub(super) fn note(&self, part: &str, text: &str) {
        if let Some(reporter) = &self.reporter {
            reporter.record(part, Status::Healthy, text);
        }
    }

    /// Whether our own report could not be written.
    pub(super) fn cannot_write(&self) -> bool {
        self.reporter.as_ref().is_some_and(|reporter| reporter.write_failures() > 0)
    }

    pub(super) fn stop(self, reason: &str) {
        if let Some(reporter) = self.reporter {
            reporter.stop(reason);
        }
    }
}

/// How long systemd waits for a sign of life, where it does.
pub(super) fn watchdog() -> Option<Duration> {
    let number = |key| std::env::var(key).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0).map(Duration::from_micros)
}
