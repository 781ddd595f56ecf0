//! `healthcheck retire`: this machine says goodbye for good.

use super::fleet;
use super::running_monitor::RunningMonitor;
use super::show::confirm;
use super::telling;
use crate::cli::Format;
use crate::config::Config;
use crate::monitor::control::{Answer, Question};
use crate::monitor::dead_man::Retired;
use anyhow::anyhow;
use clap::Args;
use health_reporter::directory::Environment;
use serde_json::json;
use std::fmt::Display;

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Retire {}

impl Retire {
    /// Takes the dead-man's message back, so that nobody misses this machine. A monitor that is started later arms it
    /// again.
    pub(crate) fn retire(
        monitor: Option<&RunningMonitor>,
        config: &Config,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        let (retired, is_told) = match monitor {
            // It says goodbye to the other machines itself: the lease is its own.
            Some(monitor) => (through(monitor)?, config.fleet.etcd.is_some()),
            // The message of a monitor that runs no more.
            None => {
                let retired = telling::switch(config, env, String::new()).retire().map_err(not_retired)?;
                (retired, fleet::retire(config).map_err(still_missed)?)
            }
        };
        let message = match retired {
            Retired::TakenBack => "taken back",
            Retired::NoneWaited => "none waited",
        };
        let words = format!("nobody misses this machine any more, the dead-man's message: {message}");
        let document = json!({ "retired": true, "message": message, "other_machines_told": is_told });
        confirm("it", format, env, &words, &document)
    }
}

fn through(monitor: &RunningMonitor) -> anyhow::Result<Retired> {
    let pid = monitor.pid();
    match monitor.ask(&Question::Retire) {
        Ok(Answer::Retired(retired)) => Ok(retired),
        Ok(other) => Err(not_retired(other.problem())),
        Err(error) => Err(anyhow!("the monitor (pid {pid}) gives no answer: {error}")),
    }
}

fn still_missed(problem: anyhow::Error) -> anyhow::Error {
    problem.context("the dead-man's message is taken back, but other machines may still miss this one")
}

fn not_retired(problem: impl Display) -> anyhow::Error {
    anyhow!("not retired, the message may still come: {problem}")
}
