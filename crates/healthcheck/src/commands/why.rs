//! `healthcheck why`: how a verdict came about.

use super::running_monitor::RunningMonitor;
use super::show::Shape;
use super::snapshot;
use crate::cli::Format;
use crate::config::Config;
use crate::monitor::control::{Answer, Question};
use crate::render::Source;
use crate::render::json;
use crate::render::why::{self, Chain, Past, People};
use crate::state::Store;
use anyhow::anyhow;
use clap::Args;
use health_reporter::directory::Environment;
use healthcheck_core::Subject;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use tracing::debug;

/// More alike than this is a slip of the pen.
const ALIKE: f64 = 0.8;
/// Names that are told of all that are there.
const MAX_NAMES: usize = 20;
/// Transitions that are shown of one subject.
const MAX_TRANSITIONS: usize = 8;
/// Notices that are shown of one subject.
const MAX_NOTICES: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The service, or the name of anything else that is judged, if need be with its kind: "zmq events"
    #[arg(value_name = "SERVICE")]
    name: String,
}

impl Why {
    /// What the monitor knows of it, else what a look of our own shows.
    pub(crate) fn chain(
        &self,
        monitor: Option<&RunningMonitor>,
        config: &Config,
        dirs: &[PathBuf],
    ) -> anyhow::Result<Chain> {
        let question = Question::Why { service: self.name.clone() };
        match monitor.and_then(|monitor| Some((monitor.ask(&question).ok()?, monitor.pid()))) {
            Some((Answer::Why(chain), pid)) => {
                return Ok(Chain { source: Source::Monitor { pid }, ..*chain });
            }
            Some((Answer::Unknown { names }, _)) => return Err(unknown(&self.name, &names)),
            Some((other, pid)) => debug!("the monitor with pid {pid} does not say why: {}", other.problem()),
            None => {}
        }
        let picture = snapshot::look(config, dirs, None);
        let kept = |subject: &Subject| past(&config.state_dir, subject).unwrap_or_default();
        Chain::of(&picture.snapshot, &self.name, kept)
            .ok_or_else(|| unknown(&self.name, &why::names(&picture.snapshot)))
    }
}

/// What a monitor left behind.
fn past(state_dir: &Path, subject: &Subject) -> Option<Past> {
    let kept = Store::read_only(state_dir).and_then(|kept| {
        let transitions = kept.last_transitions(subject, MAX_TRANSITIONS)?;
        let notices = kept.notices_of(subject, MAX_NOTICES)?;
        let incident = |id| kept.incident(id).ok().flatten();
        let people = People::of(&kept.alerts()?, subject, incident, notices);
        let transitions = transitions.into_iter().map(|(_, transition)| transition).collect();
        Ok(Past { transitions, people })
    });
    kept.inspect_err(|error| debug!("no past is known: {error}")).ok()
}

/// Shows the chain on the standard output.
pub(crate) fn show(chain: &Chain, format: Option<Format>, env: &Environment) -> anyhow::Result<()> {
    super::show::show("why", format, env, |shape, out| match shape {
        Shape::Table(surface) => why::write(chain, surface, &TimeZone::system(), out),
        Shape::Json { for_people } => json::write_chain(chain, for_people, out),
    })
}

/// That there is nothing of this name, and what there is.
pub(crate) fn unknown(name: &str, names: &[String]) -> anyhow::Error {
    let mut alike: Vec<_> = names.iter().map(|known| (strsim::jaro_winkler(name, known), known)).collect();
    alike.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let nearest = alike.first().filter(|(likeness, _)| *likeness >= ALIKE);
    let meant = nearest.map(|(_, known)| format!(", did you mean {}?", shown(known))).unwrap_or_default();
    let known: Vec<_> = names.iter().take(MAX_NAMES).map(|name| shown(name)).collect();
    let more = match names.len().saturating_sub(MAX_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match known[..] {
        [] => anyhow!("nothing is known of {}, nor of anything else", shown(name)),
        _ => anyhow!("nothing is known of {}{meant}; known are {}{more}", shown(name), known.join(", ")),
    }
}

/// A name on one line: plain where it can be.
fn shown(name: &str) -> String {
    if name.is_empty() || name.chars().any(char::is_control) { format!("{name:?}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let names = ["audio", "camera", "camera@2", "zmq events"].map(str::to_owned);
        assert_eq!(
            unknown("camra", &names).to_string(),
            "nothing is known of camra, did you mean camera?; known are audio, camera, camera@2, zmq events"
        );
        assert_eq!(
            unknown("x\u{1b}[2J", &names[..1]).to_string(),
            "nothing is known of \"x\\u{1b}[2J\"; known are audio"
        );
        assert_eq!(unknown("x", &[]).to_string(), "nothing is known of x, nor of anything else");
        let many: Vec<_> = (0..25).map(|number| format!("service{number}")).collect();
        assert!(unknown("x", &many).to_string().ends_with("service19 and 5 more"));
    }
}
