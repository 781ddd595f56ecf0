//! What the monitor works by: the configuration in its own terms.

use super::outside::Planned;
use crate::commands::{looks, snapshot, telling, units};
use crate::config::{Config, Source};
use crate::sources::looks::Ask;
use crate::sources::systemd::Bus;
use healthcheck_core::alerts::{Rules, World};
use healthcheck_core::{Kind, Now, Policy, State, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that a new configuration may change.
pub(crate) struct Settings {
    pub(super) config: Config,
    pub(super) dirs: Vec<PathBuf>,
    pub(super) policy: Policy,
    pub(super) rules: Rules,
    pub(super) bus: Option<Bus>,
    pub(super) planned: Vec<Planned>,
    pauses: BTreeMap<Subject, Pauses>,
}

/// How long it is from one look to the next.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    usual: Duration,
    retry: Duration,
}

impl Settings {
    pub(crate) fn of(config: Config, dirs: Vec<PathBuf>) -> Self {
        let pauses = pauses(&config);
        let planned = looks::configured(&config).into_iter().map(|look| {
            let interval = pauses.get(&look.subject).map_or(Duration::from_secs(30), |pauses| pauses.usual);
            let max_silence = match (&look.ask, look.subject.kind) {
                (Ask::Zmq(question), Kind::Zmq) => config
                    .zmq
                    .get(&*look.subject.name)
                    .and_then(|zmq| Some((question.endpoint.clone(), zmq.max_silence?))),
                _ => None,
            };
            Planned { look, interval, max_silence }
        });
        Self {
            planned: planned.collect(),
            policy: snapshot::policy(&config, false),
            rules: telling::rules(&config),
            bus: units::bus(&config),
            pauses,
            dirs,
            config,
        }
    }

    /// What a decision is made of.
    pub(super) const fn world<'a>(&'a self, state: &'a State, now: &'a Now) -> World<'a> {
        World { state, policy: &self.policy, rules: &self.rules, now }
    }

    /// Whether nothing is to change.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.config == other.config && self.dirs == other.dirs
    }

    /// The pause after a look.
    pub(super) fn pause(&self, subject: &Subject, is_retrying: bool) -> Duration {
        let pauses = self.pauses.get(subject);
        let pause = pauses.map(|pauses| if is_retrying { pauses.retry } else { pauses.usual });
        pause.unwrap_or(Duration::from_secs(30))
    }

    /// Everything that is looked at because of the configuration.
    pub(super) fn subjects(&self) -> BTreeSet<Subject> {
        self.planned.iter().map(|planned| planned.look.subject.clone()).collect()
    }

    /// The file of the configuration, or the first that will be one when it is written.
    pub(super) fn file(&self) -> &Path {
        match &self.config.source {
            Source::File(path) => path,
            Source::Defaults => Path::new("healthcheck.toml"),
        }
    }

    /// Whether nobody said what matters on this machine.
    pub(super) fn says_nothing(&self) -> bool {
        self.config.services.is_empty() && self.config.probes.is_empty()
    }
}

fn pauses(config: &Config) -> BTreeMap<Subject, Pauses> {
    let services = config.services.iter().map(|(name, it)| (Subject::service(name), &it.schedule));
    let probes = config.probes.iter().map(|(name, it)| (Subject::new(Kind::Probe, name), &it.schedule));
    let zmq = config.zmq.iter().map(|(name, it)| (Subject::new(Kind::Zmq, name), &it.schedule));
    let all = services.chain(probes).chain(zmq);
    all.map(|(subject, it)| (subject, Pauses { usual: it.interval, retry: it.retry_interval })).collect()
}
