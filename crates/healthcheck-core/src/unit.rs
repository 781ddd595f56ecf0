//! A unit, as systemd shows it.

use crate::Exit;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A unit, as systemd shows it: the properties of `org.freedesktop.systemd1.Unit` and `.Service`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitFacts {
    /// Its name: `core@experimance.service`.
    pub name: String,
    /// Whether there is such a unit, of `LoadState`.
    pub load: UnitLoad,
    /// `ActiveState`.
    pub active: UnitActive,
    /// `SubState`: `running`, `exited`, `auto-restart`, …
    pub sub: String,
    /// `Result`: `success`, `exit-code`, `signal`, `watchdog`, `oom-kill`, `start-limit-hit`, …
    pub result: String,
    /// Whether it is there to do one thing and to end: `Type` is `oneshot`.
    pub is_oneshot: bool,
    /// How its main process ended last, where it ended.
    pub exit: Option<Exit>,
    /// Its main process, or the last one: `ExecMainPID`.
    pub main_pid: Option<u32>,
    /// `NRestarts`: it starts anew with a manual restart and with `reset-failed`.
    pub restarts: u64,
    /// Whether systemd starts it again after a failure: `Restart` is `always`, `on-failure` and the like.
    pub is_restarted: bool,
    /// How long its `ActiveState` is what it is, without the time that the machine was suspended.
    pub since: Option<Duration>,
    /// How long the machine was suspended in this boot: `since` may be that much longer.
    pub suspended: Duration,
    /// How long its main process ran, where it ended.
    pub last_run: Option<Duration>,
    /// Whether it was active in this boot.
    pub was_active: bool,
    /// `StatusText`: what it says of itself.
    pub status_text: Option<String>,
    /// `MemoryCurrent`, in bytes.
    pub memory_bytes: Option<u64>,
    /// `CPUUsageNSec`, in seconds.
    pub cpu_s: Option<f64>,
    /// `WatchdogUSec`: how often it must say that it lives.
    pub watchdog: Option<Duration>,
    /// `UnitFileState`: `enabled`, `disabled`, `static`, …
    pub file_state: String,
    /// The files that it is made of: `FragmentPath`, `DropInPaths`, `SourcePath`.
    pub files: Vec<String>,
    /// `InvocationID` in hexadecimal digits: its journal lines carry it too.
    pub invocation_id: Option<String>,
    /// The user that it runs as, where that is known.
    pub owner_uid: Option<u32>,
}

impl UnitFacts {
    /// Whether its main process runs, as far as systemd says.
    pub(crate) fn runs(&self) -> bool {
        !self.is_about_to_restart() && !matches!(self.active, UnitActive::Inactive | UnitActive::Failed)
    }

    /// Whether its main process ended, and systemd is about to start it again.
    pub(crate) fn is_about_to_restart(&self) -> bool {
        let is_waiting = self.active == UnitActive::Activating && self.sub.starts_with("auto-restart");
        is_waiting || self.sub.ends_with("before-auto-restart")
    }
}

/// Whether there is such a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitLoad {
    /// It is there.
    #[default]
    Loaded,
    /// There is none of this name.
    NotFound,
    /// It must not be started.
    Masked,
    /// Its file is wrong.
    Broken,
    /// There is no systemd to ask on this machine.
    NoSystemd,
}

/// `ActiveState`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitActive {
    /// It runs, or did what it had to.
    Active,
    /// It runs, and reads its configuration again.
    Reloading,
    /// It does not run.
    #[default]
    Inactive,
    /// It ended, and not well.
    Failed,
    /// It is starting, or waits to be started again.
    Activating,
    /// It is stopping.
    Deactivating,
    /// Something else.
    Other,
}

impl UnitActive {
    /// The state of this name.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "reloading" | "refreshing" => Self::Reloading,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            _ => Self::Other,
        }
    }

    /// The name of the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Other => "in an unknown state",
        }
    }
}
