//! `healthcheck incidents`: what is wrong and what was, and who cares for it.

use super::running_monitor::RunningMonitor;
use super::show::{Shape, show};
use crate::cli::Format;
use crate::monitor::control::{Answer, Question};
use crate::render::Source;
use crate::render::incidents::{self, Incidents, Repaired};
use crate::render::json;
use crate::state::Store;
use clap::Args;
use health_reporter::directory::Environment;
use healthcheck_core::alerts::Incident;
use healthcheck_core::history::Window;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use std::time::Duration;
use tracing::debug;

/// Incidents that are over, and are shown where nobody says since when.
const LAST: usize = 10;
const MAX_INCIDENTS: usize = 1_000;
/// Over which time it is told how soon they were repaired, where nobody says since when.
const REPAIRS: Duration = Duration::from_secs(30 * 86_400);

#[derive(Debug, Args)]
pub(crate) struct ListIncidents {
    /// Also all those that ended within this time, as in 24h; otherwise the last ten, and how soon all of the last 30d
    /// were repaired
    #[arg(long, value_name = "DURATION", value_parser = super::remembered::since)]
    since: Option<Duration>,
}

impl ListIncidents {
    /// Shows what a monitor knows, else what one left behind.
    pub(crate) fn show(
        &self,
        monitor: Option<&RunningMonitor>,
        state_dir: &Path,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        let at = Timestamp::now();
        let (source, incidents) = found(monitor, state_dir)?;
        let repairs = self.repairs(&incidents, at, first_look(state_dir));
        let list = Incidents { source, at, incidents: self.chosen(incidents, at), repairs };
        show("the list of incidents", format, env, |shape, out| match shape {
            Shape::Table(surface) => incidents::write(&list, surface, &TimeZone::system(), out),
            Shape::Json { for_people } => json::write_incidents(&list, for_people, out),
        })
    }

    /// Of all that are known, whether they are shown or not.
    fn repairs(&self, incidents: &[Incident], at: Timestamp, first_look: Timestamp) -> Repaired {
        let oldest = incidents.iter().map(|incident| incident.opened).min();
        // Where there are more than are looked at, nothing is said of the time before them.
        let known_since = oldest.filter(|_| incidents.len() >= MAX_INCIDENTS).unwrap_or(Timestamp::MIN);
        let from = before(at, self.since.unwrap_or(REPAIRS)).max(known_since).max(first_look);
        Repaired::of(incidents, Window { from: from.min(at), to: at })
    }

    fn chosen(&self, mut incidents: Vec<Incident>, at: Timestamp) -> Vec<Incident> {
        let mut left = if self.since.is_some() { MAX_INCIDENTS } else { LAST };
        let first = self.since.map_or(Timestamp::MIN, |since| before(at, since));
        incidents.retain(|incident| match incident.resolved {
            None => true,
            Some(resolved) => {
                let is_shown = left > 0 && resolved >= first;
                left -= usize::from(is_shown);
                is_shown
            }
        });
        incidents
    }
}

fn before(at: Timestamp, since: Duration) -> Timestamp {
    let since = SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX);
    at.checked_sub(since).unwrap_or(Timestamp::MIN)
}

/// Before the first word on anything, nobody looked.
fn first_look(state_dir: &Path) -> Timestamp {
    let first = Store::read_only(state_dir).and_then(|kept| kept.transitions_after(0, 1));
    let first = first.ok().and_then(|first| first.into_iter().next());
    first.map_or(Timestamp::MIN, |(_, transition)| transition.at)
}

fn found(monitor: Option<&RunningMonitor>, state_dir: &Path) -> anyhow::Result<(Source, Vec<Incident>)> {
    if let Some(monitor) = monitor {
        let pid = monitor.pid();
        match monitor.ask(&Question::Incidents) {
            Ok(Answer::Incidents(incidents)) => return Ok((Source::Monitor { pid }, incidents)),
            Ok(other) => debug!("the monitor with pid {pid} shows no incidents: {}", other.problem()),
            Err(error) => debug!("the monitor with pid {pid} gives no answer: {error}"),
        }
    }
    Ok((Source::Direct, Store::read_only(state_dir)?.incidents(MAX_INCIDENTS)?))
}
