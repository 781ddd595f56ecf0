//! `healthcheck drill`: proves each channel from here to its server, and tells how long that took.

use super::running_monitor::RunningMonitor;
use super::telling;
use crate::cli::Format;
use crate::config::{Config, units};
use crate::monitor::control::{Answer, Question};
use crate::monitor::drill::{self, DrillReport, Step};
use crate::sources::machine;
use anyhow::{Context, anyhow, bail};
use clap::Args;
use health_reporter::directory::Environment;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the monitor is asked how far it is.
const AGAIN: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// How long to wait for the channels
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration, default_value = "45s")]
    within: Duration,
}

impl Drill {
    /// Drills through the monitor, as a real notice would go; without one, from here. Whether everything arrived.
    pub(crate) fn drill(
        &self,
        monitor: Option<&RunningMonitor>,
        config: &Config,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<bool> {
        if config.channels.is_empty() && monitor.is_none() {
            bail!("there is no channel to prove: write a [channels.…] section, or set NTFY_TOPIC");
        }
        let report = match monitor {
            Some(monitor) => self.through(monitor)?,
            None => drill::alone(&machine::host_name(), telling::channels(config, env), self.within),
        };
        if report.channels.is_empty() {
            bail!("the monitor has no channel to prove: write a [channels.…] section");
        }
        show(&report, monitor.is_some(), format)?;
        Ok(report.is_well())
    }

    fn through(&self, monitor: &RunningMonitor) -> anyhow::Result<DrillReport> {
        let ask = |question: &Question| match monitor.ask(question) {
            Ok(Answer::Drill(report)) => Ok(*report),
            Ok(other) => Err(anyhow!("no drill: {}", other.problem())),
            Err(error) => Err(anyhow!("the monitor (pid {}) gives no answer: {error}", monitor.pid())),
        };
        let begun = ask(&Question::Drill)?;
        let end = Instant::now() + self.within;
        loop {
            let report = ask(&Question::Drilled)?;
            if report.id != begun.id {
                bail!("another drill was begun meanwhile");
            }
            if report.is_complete() || Instant::now() >= end {
                return Ok(report);
            }
            std::thread::sleep(AGAIN);
        }
    }
}

fn show(report: &DrillReport, by_monitor: bool, format: Option<Format>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let is_terminal = out.is_terminal();
    let written = match format.unwrap_or(if is_terminal { Format::Table } else { Format::Json }) {
        Format::Table => table(report, by_monitor, &mut out),
        Format::Json => {
            let shown = serde_json::json!({ "by_monitor": by_monitor, "drill": report });
            writeln!(out, "{shown:#}")
        }
        _ => bail!("a drill is shown with --format table or json only"),
    };
    written.and_then(|()| out.flush()).context("cannot write the drill")
}

/// A line a channel: whether everything arrived, and how long each step took.
fn table(report: &DrillReport, by_monitor: bool, out: &mut impl Write) -> io::Result<()> {
    let width = report.channels.keys().map(String::len).max().unwrap_or_default();
    for (name, steps) in &report.channels {
        let is_well = steps.len() == 2 && steps.iter().all(|step| step.error.is_none());
        let told: Vec<String> = steps.iter().map(in_words).collect();
        let told = if told.is_empty() { "no answer".to_owned() } else { told.join(", ") };
        writeln!(out, "{} {name:width$}  {told}", if is_well { '●' } else { '✖' })?;
    }
    let way = if by_monitor { "by the monitor" } else { "from here: no monitor runs" };
    writeln!(out, "sent {way}")
}

fn in_words(step: &Step) -> String {
    let ms = step.waited_ms + step.took_ms;
    match &step.error {
        None => format!("{} accepted after {ms:.0} ms", step.step),
        Some(error) => format!("{} {} after {ms:.0} ms: {error}", step.step, step.outcome),
    }
}
