//! What systemd hears: READY, STATUS, WATCHDOG and STOPPING follow the report.

use crate::report::HealthReport;
use crate::shared::Shared;
use crate::{State, Status, clock};
use sd_notify::NotifyState;
use std::io;
use std::sync::{Arc, Weak};

/// What systemd was told, so that it is told once.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    is_ready: bool,
    is_stopping: bool,
    status: String,
}

impl Supervisor {
    /// Before the report is written: the disk may hang, and systemd must not wait for it.
    pub(crate) fn tell(&mut self, report: &HealthReport) {
        let status = status_line(report);
        let mut news = Vec::new();
        if report.state == State::Running && !self.is_ready {
            self.is_ready = true;
            news.push(NotifyState::Ready);
        }
        if matches!(report.state, State::Stopping | State::Stopped | State::Finished) && !self.is_stopping {
            self.is_stopping = true;
            news.push(NotifyState::Stopping);
        }
        if status != self.status {
            news.push(NotifyState::Status(&status));
        }
        if !news.is_empty() {
            // Without a socket, or with nobody behind it, there is nobody to tell.
            let _ = sd_notify::notify(&news);
        }
        self.status = status;
    }
}

fn status_line(report: &HealthReport) -> String {
    let worst =
        report.checks.iter().filter(|check| check.status > Status::Healthy).max_by_key(|check| check.status);
    let line = match worst {
        Some(check) => format!("{}: {} {}", check.status, check.name, check.message.as_deref().unwrap_or("")),
        None => format!("{} {}", report.overall_status, report.current_task.as_deref().unwrap_or("")),
    };
    line.trim_end().replace(['\n', '\r'], " ")
}

/// A thread of its own, where systemd wants a watchdog fed: a disk that hangs is no reason to be killed, a
/// watched loop that is silent and a fatal status are.
pub(crate) fn feed_watchdog(shared: &Arc<Shared>) -> io::Result<()> {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return Ok(()) };
    let shared: Weak<Shared> = Arc::downgrade(shared);
    std::thread::Builder::new().name("health watchdog".to_owned()).spawn(move || {
        while let Some(shared) = shared.upgrade() {
            if !shared.has_late_loop(clock::boottime()) && shared.overall_status() != Status::Fatal {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
            drop(shared);
            std::thread::sleep(timeout / 2);
        }
    })?;
    Ok(())
}
