//! `healthcheck forget`: a service that is gone for good is no longer expected.

use super::running_monitor::RunningMonitor;
use super::why::unknown;
use crate::monitor::control::{Answer, Question};
use crate::state::{Effects, Store};
use anyhow::{anyhow, bail};
use clap::Args;
use healthcheck_core::alerts::Changes;
use healthcheck_core::{Kind, Subject};
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

    /// Where no monitor runs, what the last one left behind is changed.
    fn forget_kept(&self, state_dir: &Path, dirs: &[PathBuf]) -> anyhow::Result<()> {
        if state_dir.join("state.db").exists() {
            let (mut store, mut state, _) = Store::open(state_dir)?;
            let subject = Subject::service(&self.service);
            if state.forget(&subject) {
                let head = state.head();
                let records = vec![(&subject, None)];
                let alerts = &Changes::default();
                store.commit(&Effects { head: &head, records, transitions: &[], gap: None, alerts })?;
                return Ok(());
            }
            let names: Vec<String> = state.subjects(Kind::Service).map(|it| it.name.to_string()).collect();
            return Err(unknown(&self.service, &names));
        }
        let dirs: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        bail!(
            "{} is not forgotten: no monitor runs for {} or with its state in {}, and nobody else remembers it",
            self.service,
            dirs.join(", "),
            state_dir.display()
        )
    }
}
