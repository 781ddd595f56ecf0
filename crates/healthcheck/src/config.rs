//! The configuration: found, read, and turned into the settings of each part, with all its errors told at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

mod address;
mod alerts;
mod argv;
mod channels;
mod dead_man;
mod environment;
mod fleet;
mod hidden;
mod history;
mod hours;
mod locate;
mod maintenance;
mod name;
mod probes;
mod problems;
mod raw;
mod resources;
mod routes;
mod schedule;
mod services;
mod shape;
mod systemd;
pub(crate) mod units;
mod validate;
mod zmq;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub(crate) use address::{Url, ZmqEndpoint};
pub(crate) use alerts::{AlertSettings, Level};
pub(crate) use channels::{
    ChannelSettings, EmailSettings, NtfyAccess, NtfySettings, TelegramSettings, Tls, WebhookFormat,
    WebhookSettings, WebhookTarget,
};
pub(crate) use dead_man::{DeadManSettings, PingTarget};
pub(crate) use fleet::{EtcdLogin, EtcdSettings, FleetSettings};
pub(crate) use history::{HistorySettings, Record, Store};
pub(crate) use hours::Hours;
pub(crate) use locate::{Source, Surroundings};
pub(crate) use maintenance::{Day, Maintenance};
pub(crate) use probes::{HttpLook, Look, ProbeSettings};
pub(crate) use problems::ConfigErrors;
pub(crate) use raw::schema;
pub(crate) use resources::{ResourceSettings, Threshold};
pub(crate) use routes::{Kind, Route};
pub(crate) use services::{Priority, ServiceLooks, ServiceSettings};
pub(crate) use systemd::{Bus, SystemdSettings};
pub(crate) use zmq::ZmqSettings;

/// The whole configuration, valid. Serialised it has the keys of the file, every default filled in, no secret in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Config {
    #[serde(skip)]
    pub(crate) source: Source,
    #[serde(skip)]
    pub(crate) warnings: Vec<String>,
    /// The environment says that this is no development machine.
    #[serde(skip)]
    pub(crate) production: bool,
    /// Below which state is kept.
    #[serde(skip)]
    pub(crate) state_dir: PathBuf,
    pub(crate) project: Option<String>,
    /// Empty where the reporter's defaults count.
    pub(crate) health_dirs: Vec<PathBuf>,
    pub(crate) services: BTreeMap<String, ServiceSettings>,
    pub(crate) zmq: BTreeMap<String, ZmqSettings>,
    pub(crate) probes: BTreeMap<String, ProbeSettings>,
    pub(crate) resources: ResourceSettings,
    pub(crate) alerts: AlertSettings,
    pub(crate) channels: BTreeMap<String, ChannelSettings>,
    pub(crate) routes: Vec<Route>,
    pub(crate) maintenance: Vec<Maintenance>,
    pub(crate) dead_man: DeadManSettings,
    pub(crate) systemd: SystemdSettings,
    pub(crate) history: HistorySettings,
    pub(crate) fleet: FleetSettings,
}

/// Finds, reads and checks the configuration; without a file, the defaults.
///
/// # Errors
///
/// Everything that is wrong with the file and with the environment variables that belong to it, at once.
pub(crate) fn load(given: &Surroundings<'_>) -> Result<Config, ConfigErrors> {
    validate::validate(locate::locate(given)?, given)
}
