//! `healthcheck retire`: this machine says goodbye for good.

use super::running_monitor::RunningMonitor;
use super::telling;
use crate::config::Config;
use crate::monitor::control::{Answer, Question};
use anyhow::{anyhow, bail};
use clap::Args;
use health_reporter::directory::Environment;

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Retire {}

impl Retire {
    /// Takes the dead-man's message back, so that nobody misses this machine. A monitor that is started later arms it
    /// again.
    pub(crate) fn retire(
        monitor: Option<&RunningMonitor>,
        config: &Config,
        env: &Environment,
    ) -> anyhow::Result<()> {
        let Some(monitor) = monitor else { return alone(config, env) };
        let pid = monitor.pid();
        match monitor.ask(&Question::Retire) {
            Ok(Answer::Done) => Ok(()),
            Ok(other) => Err(anyhow!("not retired: {}", other.problem())),
            Err(error) => Err(anyhow!("the monitor (pid {pid}) gives no answer: {error}")),
        }
    }
}

/// The message of a monitor that runs no more.
fn alone(config: &Config, env: &Environment) -> anyhow::Result<()> {
    let Some(switch) = telling::switch(config, env, String::new()) else { return Ok(()) };
    match switch.retire().error() {
        None => Ok(()),
        Some(error) => bail!("not retired, the message still waits: {error}"),
    }
}
