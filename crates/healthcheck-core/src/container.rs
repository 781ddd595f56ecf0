//! A container, as its engine shows it.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A container, as its engine shows it: `GET /containers/{name}/json` of the Docker Engine API, which Podman
/// speaks too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerFacts {
    /// Its name, without the slash.
    pub name: String,
    /// `State.Status`, or that there is none of this name.
    pub state: ContainerState,
    /// `State.Health.Status`, where it has a health check.
    pub health: Option<ContainerHealth>,
    /// What its health check said last; one line.
    pub health_output: Option<String>,
    /// `State.ExitCode`.
    pub exit_code: i64,
    /// `State.OOMKilled`.
    pub oom_killed: bool,
    /// `RestartCount`.
    pub restarts: u64,
    /// How long it has been running, or not running any more.
    pub since: Option<Duration>,
    /// `State.Error`.
    pub error: Option<String>,
}

/// `State.Status` of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// There is no container of this name.
    Absent,
    /// It was never started.
    Created,
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It ended, and is about to be started again.
    Restarting,
    /// It is being removed.
    Removing,
    /// It ended.
    Exited,
    /// It ended, and could not be cleaned up.
    Dead,
    /// Something else.
    #[default]
    Other,
}

impl ContainerState {
    /// The state of this name.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "created" | "configured" | "initialized" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" | "stopping" => Self::Removing,
            "exited" | "stopped" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Other,
        }
    }

    /// The name of the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Other => "in an unknown state",
        }
    }
}

/// `State.Health.Status` of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerHealth {
    /// Its health check is not yet to be believed.
    Starting,
    /// Its health check succeeds.
    Healthy,
    /// Its health check fails.
    Unhealthy,
}
