//! `healthcheck replay`: what other alert settings would have sent, beside what was really sent.

mod compare;

use super::running_monitor::RunningMonitor;
use super::show::{Shape, show};
use super::{snapshot, telling};
use crate::cli::Format;
use crate::config::Config;
use crate::render::json;
use crate::render::replay::{self, Comparison};
use crate::state::{Reader, Store};
use anyhow::Context;
use clap::Args;
use compare::Sent;
use health_reporter::directory::Environment;
use healthcheck_core::alerts::{Outgoing, OutgoingState, Story, replay as live_again};
use healthcheck_core::history::Window;
use healthcheck_core::{Evidence, Gap, Transition};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// So much is read of a table at once.
const PORTION: usize = 1_000;
const MAX_ACTS: usize = 100_000;
/// More notices than are kept.
const MAX_NOTICES: usize = 20_000;
/// What is seen within so much time of each other the monitor keeps together.
const TOGETHER: Duration = Duration::from_millis(2);

/// Waits of this length are known when the window begins; of what was before, only how it ended.
const WARM_UP: SignedDuration = SignedDuration::from_hours(48);

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// How far to go back, as in 30d; what happened is kept for 60d
    #[arg(long, value_name = "DURATION", value_parser = super::remembered::since, default_value = "30d")]
    since: Duration,
    /// List every notice, not only the last that differ
    #[arg(long)]
    all: bool,
}

impl Replay {
    /// Tries the alert settings of a configuration on what a monitor kept.
    pub(crate) fn show(
        &self,
        monitor: Option<&RunningMonitor>,
        config: &Config,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        let at = Timestamp::now();
        let comparison = self.compare(at, monitor.is_some(), config)?;
        let rules = telling::rules(config);
        show("the comparison", format, env, |shape, out| match shape {
            Shape::Table(surface) => replay::write(&comparison, self.all, surface, &rules.zone, out),
            Shape::Json { for_people } => json::write_replay(&comparison, self.all, for_people, out),
        })
    }

    fn compare(&self, at: Timestamp, is_watched: bool, config: &Config) -> anyhow::Result<Comparison> {
        let reader = Store::read_only(&config.state_dir)?;
        let since = SignedDuration::try_from(self.since).context("--since is too long")?;
        let from =
            at.checked_sub(since).context("--since is too long: at most so long as there is a calendar")?;
        let story = story(&reader)?;
        // After the last sign of a monitor nobody would have been told anything.
        let to = if is_watched { at } else { at.min(story.known.last_look()) };
        let window = Window { from: from.min(to), to };
        let (policy, rules) = (snapshot::policy(config, false), telling::rules(config));
        let kept = reader.notices(MAX_NOTICES)?;
        let remarks = remarks(&story, &kept, window);
        let story = story.shortened(window.from.saturating_sub(WARM_UP)?);
        let replayed = live_again(&story, &policy, &rules, window);
        let is_sent = |it: &Outgoing| it.state == OutgoingState::Accepted;
        let sent = kept.into_iter().rev().filter(is_sent).map(Sent::of).collect();
        let comparison = compare::compare(sent, replayed, window, &rules.zone);
        Ok(Comparison { at, configuration: config.source.to_string(), remarks, ..comparison })
    }
}

/// Everything that is kept of what happened.
fn story(reader: &Reader) -> anyhow::Result<Story> {
    let mut transitions: Vec<(i64, Transition)> = Vec::new();
    loop {
        let after = transitions.last().map_or(0, |(id, _)| *id);
        let portion = reader.transitions_after(after, PORTION)?;
        if portion.is_empty() {
            break;
        }
        // Nobody is told of the evidence, and it is most of what there is.
        let brief = |it: Transition| Transition { reasons: Vec::new(), evidence: Evidence::default(), ..it };
        transitions.extend(portion.into_iter().map(|(id, transition)| (id, brief(transition))));
    }
    let gaps: Vec<Gap> = reader.gaps_after(0, usize::MAX)?.into_iter().map(|(_, gap)| gap).collect();
    Ok(Story::of(transitions, reader.acts(MAX_ACTS)?, gaps, TOGETHER, reader.state()?))
}

/// What is not known of the window.
fn remarks(story: &Story, kept: &[Outgoing], window: Window) -> Vec<String> {
    let later = |at: Timestamp| Some(at).filter(|at| window.from < *at && *at < window.to);
    let happened = story.steps.first().and_then(|step| later(step.at()));
    let happened = happened.map(|at| format!("what happened is known since {at:.0} only"));
    let is_full = kept.len() >= compare::KEPT_NOTICES;
    let sent = kept.last().filter(|_| is_full).and_then(|oldest| later(oldest.notice.at));
    let sent = sent.map(|at| format!("what was sent is known since {at:.0} only"));
    happened.into_iter().chain(sent).collect()
}
