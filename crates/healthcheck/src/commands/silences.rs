//! `healthcheck silences` and `healthcheck unsilence`: what is muted, and what no longer.

use super::operator::ask;
use super::running_monitor::RunningMonitor;
use super::show::{Shape, confirm, show};
use crate::cli::Format;
use crate::monitor::control::{Answer, Question};
use crate::render::Source;
use crate::render::json;
use crate::render::silences::{self, Silences};
use crate::state::Store;
use clap::Args;
use health_reporter::directory::Environment;
use healthcheck_core::alerts::Silence;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::Path;
use tracing::debug;

#[derive(Debug, Args)]
pub(crate) struct Unsilence {
    /// Its number, as `healthcheck silences` shows it
    #[arg(value_name = "ID")]
    id: u64,
}

impl Unsilence {
    pub(crate) fn end(
        &self,
        monitor: Option<&RunningMonitor>,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        ask(monitor, &Question::Unsilence { id: self.id })?;
        let words = format!("silence {} is over: what is still bad is told", self.id);
        confirm("it", format, env, &words, &serde_json::json!({ "ended": self.id }))
    }
}

/// Shows what a monitor mutes, else what one muted when it ended.
pub(crate) fn list(
    monitor: Option<&RunningMonitor>,
    state_dir: &Path,
    env: &Environment,
    format: Option<Format>,
) -> anyhow::Result<()> {
    let at = Timestamp::now();
    let (source, mut silences) = found(monitor, state_dir)?;
    silences.retain(|silence| silence.until > at);
    let list = Silences { source, at, silences };
    show("the list of silences", format, env, |shape, out| match shape {
        Shape::Table(surface) => silences::write(&list, surface, &TimeZone::system(), out),
        Shape::Json { for_people } => json::write_silences(&list, for_people, out),
    })
}

fn found(monitor: Option<&RunningMonitor>, state_dir: &Path) -> anyhow::Result<(Source, Vec<Silence>)> {
    if let Some(monitor) = monitor {
        let pid = monitor.pid();
        match monitor.ask(&Question::Silences) {
            Ok(Answer::Silences(silences)) => return Ok((Source::Monitor { pid }, silences)),
            Ok(other) => debug!("the monitor with pid {pid} shows no silences: {}", other.problem()),
            Err(error) => debug!("the monitor with pid {pid} gives no answer: {error}"),
        }
    }
    Ok((Source::Direct, Store::read_only(state_dir)?.silences()?))
}
