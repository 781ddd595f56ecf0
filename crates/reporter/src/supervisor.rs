//! What systemd hears: READY, STATUS, WATCHDOG and STOPPING follow the report.

use crate::report::HealthReport;
use crate::shared::Shared;
use crate::{State, Status, clock};
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Weak};
use std::time::Duration;

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
        let now = Self {
            is_ready: self.is_ready || report.state == State::Running,
            is_stopping: matches!(report.state, State::Stopping | State::Stopped | State::Finished),
            status: status_line(report),
        };
        let mut news = String::new();
        if now.is_ready && !self.is_ready {
            news.push_str("READY=1\n");
        }
        if now.is_stopping && !self.is_stopping {
            news.push_str("STOPPING=1\n");
        }
        if now.status != self.status {
            news.push_str(&format!("STATUS={}\n", now.status));
        }
        if news.is_empty() || is_told(&notify(&news)) {
            *self = now;
        }
    }
}

/// With nobody behind the socket there is nobody to tell; all else may go better with the next report.
fn is_told(outcome: &io::Result<()>) -> bool {
    let nobody =
        |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
    outcome.as_ref().err().is_none_or(nobody)
}

/// One datagram, now or not at all: a supervisor that does not take its messages is not waited for.
fn notify(message: &str) -> io::Result<()> {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let datagram = UnixDatagram::unbound()?;
    datagram.set_nonblocking(true)?;
    datagram.connect_addr(&address(&socket)?)?;
    datagram.send(message.as_bytes())?;
    Ok(())
}

/// A path, or a name that is in no file system after an `@`.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(socket),
    }
}

/// The time after which a watchdog that was not fed bites, if there is one for this process.
fn watchdog_timeout() -> Option<Duration> {
    let number = |key| std::env::var(key).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0).map(Duration::from_micros)
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
    let Some(timeout) = watchdog_timeout() else { return Ok(()) };
    let shared: Weak<Shared> = Arc::downgrade(shared);
    std::thread::Builder::new().name("health watchdog".to_owned()).spawn(move || {
        while let Some(shared) = shared.upgrade() {
            if !shared.has_late_loop(clock::boottime()) && shared.overall_status() != Status::Fatal {
                // A queue that is full of messages has one that feeds the watchdog as well.
                let _ = notify("WATCHDOG=1\n");
            }
            drop(shared);
            std::thread::sleep(timeout / 2);
        }
    })?;
    Ok(())
}
