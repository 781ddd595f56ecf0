//! `healthcheck forget`: a service that is gone for good is no longer expected.

use super::running_monitor::RunningMonitor;
use super::why::unknown;
use crate::monitor::control::{Answer, Question};
use anyhow::{anyhow, bail};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The service; if its report is still there, it begins anew
    #[arg(value_name = "SERVICE")]
    service: String,
}

impl Forget {
    /// Lets the monitor drop what it knows of the service.
    pub(crate) fn forget(
        &self,
        monitor: Option<&RunningMonitor>,
        state_dir: &Path,
        dirs: &[PathBuf],
    ) -> anyhow::Result<()> {
        let Some(monitor) = monitor else { return self.forget_kept(state_dir, dirs) };
        let question = Question::Forget { service: self.service.clone() };
        let pid = monitor.pid();
        match monitor
            .ask(&question)
            .map_err(|error| anyhow!("the monitor (pid {pid}) gives no answer: {error}"))?
        {
            Answer::Done => Ok(()),
            Answer::Unknown { names } => Err(unknown(&self.service, &names)),
            other => bail!("{} is not forgotten: {}", self.service, other.problem()),
        }
    }

    /// Without a monitor nobody remembers anything.
    ///
    /// Seam: where no monitor holds `state.db`, the service is dropped there.
    fn forget_kept(&self, state_dir: &Path, dirs: &[PathBuf]) -> anyhow::Result<()> {
        let dirs: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        bail!(
            "{} is not forgotten: no monitor runs for {} or with its state in {}, and nobody else remembers it",
            self.service,
            dirs.join(", "),
            state_dir.display()
        )
    }
}
