//! What `GET /containers/{name}/json` answers.

use healthcheck_core::{ContainerFacts, ContainerHealth, ContainerState};
use jiff::Timestamp;
use serde::Deserialize;
use std::time::Duration;

const MAX_LINE_BYTES: usize = 300;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspection {
    state: State,
    #[serde(default)]
    name: String,
    restart_count: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(rename = "OOMKilled", default)]
    oom_killed: bool,
    #[serde(default)]
    exit_code: i64,
    error: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    health: Option<Health>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    #[serde(default)]
    status: String,
    log: Option<Vec<Look>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Look {
    output: Option<String>,
}

/// Takes the facts out of the answer about the container that was asked for by `name`.
pub(super) fn facts(name: &str, json: &[u8], now: Timestamp) -> Result<ContainerFacts, String> {
    let read: Result<Inspection, _> = serde_json::from_slice(json);
    let Inspection { state, name: full_name, restart_count } =
        read.map_err(|_| "its answer is not that of a container engine".to_owned())?;
    let own_name = full_name.trim_start_matches('/');
    let word = ContainerState::from_word(&state.status);
    Ok(ContainerFacts {
        name: line(if own_name.is_empty() { name } else { own_name }).unwrap_or_default(),
        state: word,
        health: state.health.as_ref().and_then(|health| health_of(&health.status)),
        health_output: state.health.as_ref().and_then(last_words),
        exit_code: state.exit_code,
        oom_killed: state.oom_killed,
        restarts: restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default(),
        since: since(&state, word, now),
        error: state.error.as_deref().and_then(line),
    })
}

fn health_of(word: &str) -> Option<ContainerHealth> {
    match word {
        "starting" => Some(ContainerHealth::Starting),
        "healthy" => Some(ContainerHealth::Healthy),
        "unhealthy" => Some(ContainerHealth::Unhealthy),
        _ => None,
    }
}

fn last_words(health: &Health) -> Option<String> {
    health.log.as_ref()?.last()?.output.as_deref().and_then(line)
}

/// The first line that says something, cut.
fn line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line[..line.floor_char_boundary(MAX_LINE_BYTES)].to_owned())
}

/// The year 1 stands for never.
fn since(state: &State, word: ContainerState, now: Timestamp) -> Option<Duration> {
    let is_up = matches!(word, ContainerState::Running | ContainerState::Paused);
    let at = if is_up { state.started_at.as_deref() } else { state.finished_at.as_deref() };
    let at: Timestamp = at?.parse().ok()?;
    (at > Timestamp::UNIX_EPOCH).then(|| Duration::try_from(now.duration_since(at)).unwrap_or_default())
}
