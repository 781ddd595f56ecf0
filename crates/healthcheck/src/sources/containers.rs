//! Containers, as their engine shows them on its Unix socket: Docker's, or Podman's which answers alike.

mod engine;
mod inspection;

use healthcheck_core::{ContainerFacts, ContainerState, ProbeError, ProbeFacts, ProbeKind};
use jiff::Timestamp;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An engine, by its socket.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    socket: PathBuf,
}

impl Engine {
    pub(crate) const fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// `DOCKER_HOST`, else the first of the usual sockets that exists.
    pub(crate) fn found(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ProbeError> {
        let of_user = variable("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let usual =
            ["/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock"].map(PathBuf::from);
        let usual = usual.into_iter().chain(of_user.map(|dir| dir.join("podman/podman.sock")));
        match variable("DOCKER_HOST").filter(|host| !host.is_empty()) {
            Some(host) => named(&host).map(Self::at),
            None => first_of(&usual.collect::<Vec<_>>()).map(Self::at),
        }
    }

    /// Looks at the container of this name or id.
    pub(crate) async fn look(&self, name: &str, timeout: Duration) -> Result<ProbeFacts, ProbeError> {
        let problem =
            |why: String| ProbeError::of(ProbeKind::Container, format!("{}: {why}", self.socket.display()));
        let answer = engine::ask(&self.socket, name, timeout).await.map_err(problem)?;
        let facts = match answer {
            Some(json) => inspection::facts(name, &json, Timestamp::now()).map_err(problem)?,
            None => ContainerFacts {
                name: name.to_owned(),
                state: ContainerState::Absent,
                ..ContainerFacts::default()
            },
        };
        Ok(ProbeFacts::Container(Box::new(facts)))
    }
}

/// An address may have a password in it, and is not shown.
fn named(host: &OsString) -> Result<PathBuf, ProbeError> {
    let path = host.to_str().and_then(|host| host.strip_prefix("unix://")).filter(|path| !path.is_empty());
    path.map(PathBuf::from).ok_or_else(|| {
        ProbeError::of(
            ProbeKind::Container,
            "DOCKER_HOST is no unix:///path: only an engine of this machine is asked",
        )
    })
}

fn first_of(paths: &[PathBuf]) -> Result<PathBuf, ProbeError> {
    match paths.iter().find(|path| exists(path)) {
        Some(path) => Ok(path.clone()),
        None => {
            let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            let problem = format!(
                "no container engine at {}: start it, or set DOCKER_HOST=unix:///path",
                paths.join(", ")
            );
            Err(ProbeError::of(ProbeKind::Container, problem))
        }
    }
}

/// Where we may not look there is one, perhaps: then it is the engine that says so.
fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

#[cfg(test)]
mod tests;
