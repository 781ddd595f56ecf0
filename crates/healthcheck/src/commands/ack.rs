//! `healthcheck ack`: somebody cares for an incident, so that nobody is reminded of it.

use super::operator::{ask, author};
use super::running_monitor::RunningMonitor;
use super::show::confirm;
use crate::cli::Format;
use crate::monitor::control::Question;
use clap::Args;
use health_reporter::directory::Environment;
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct Ack {
    /// Its number, as `healthcheck incidents` shows it
    #[arg(value_name = "INCIDENT")]
    incident: u64,
    /// Who cares; otherwise SUDO_USER, USER or the user's name
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

impl Ack {
    pub(crate) fn acknowledge(
        &self,
        monitor: Option<&RunningMonitor>,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        let author = author(self.author.as_deref(), env);
        ask(monitor, &Question::Acknowledge { incident: self.incident, author: author.clone() })?;
        let words = format!("{author} cares for incident {}: there are no reminders of it", self.incident);
        confirm("it", format, env, &words, &json!({ "acknowledged": self.incident, "author": author }))
    }
}
