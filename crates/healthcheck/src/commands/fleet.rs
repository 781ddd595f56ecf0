//! `healthcheck fleet`: how it stands with all machines; and that one of them does not come back.

mod picture;
#[cfg(test)]
mod tests;

pub(crate) use picture::{Seen, fleet_picture};

use super::etcd_access::access;
use super::interrupted::unless_interrupted;
use super::running_monitor::RunningMonitor;
use super::show::{Shape, confirm, show};
use super::snapshot::{self, exit_code};
use super::why::unknown;
use crate::cli::{ExitCodes, Format};
use crate::config::{Config, EtcdSettings};
use crate::fleet::etcd::{Etcd, EtcdError, Patience, Txn};
use crate::fleet::keys::{self, Keys, Place, Tombstone};
use crate::fleet::mirror::Mirror;
use crate::monitor::control::{Answer, Question};
use crate::render::fleet::{self as face, FleetPicture};
use crate::render::{Source, json};
use crate::sources::machine;
use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use health_reporter::directory::Environment;
use jiff::Timestamp;
use serde_json::json;
use std::future::Future;
use std::io::{self, ErrorKind};
use tokio::task::LocalSet;
use tracing::debug;

#[derive(Debug, Args)]
pub(crate) struct Fleet {
    #[command(subcommand)]
    command: Option<Order>,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Let everybody forget a machine that is gone for good
    Forget(ForgetHost),
}

#[derive(Debug, Args)]
struct ForgetHost {
    /// The machine, as `healthcheck fleet` names it; if it ever runs again, it is there again
    #[arg(value_name = "HOST")]
    host: String,
}

impl Fleet {
    /// Shows all machines, or does what is ordered. Returns the exit code.
    pub(crate) fn run(
        &self,
        monitor: Option<&RunningMonitor>,
        config: &Config,
        env: &Environment,
        format: Option<Format>,
        codes: ExitCodes,
    ) -> anyhow::Result<u8> {
        match &self.command {
            None => {
                if !matches!(format, None | Some(Format::Table | Format::Json)) {
                    bail!("the fleet is shown with --format table or json only");
                }
                let picture = seen(monitor, config)?;
                shown(&picture, format, env)?;
                Ok(exit_code(picture.overall_status(), codes))
            }
            Some(Order::Forget(order)) => order.forget(monitor, config, env, format).map(|()| 0),
        }
    }
}

fn shown(picture: &FleetPicture, format: Option<Format>, env: &Environment) -> anyhow::Result<()> {
    let shown = show("the fleet", format, env, |shape, out| match shape {
        Shape::Table(surface) => face::write(picture, surface, out),
        Shape::Json { for_people } => json::write_fleet(picture, for_people, out),
    });
    match shown {
        // Whoever closed the pipe has seen enough, and is told by the exit code how it is.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        shown => shown,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// What the monitor knows that watches the others, else a look of our own.
fn seen(monitor: Option<&RunningMonitor>, config: &Config) -> anyhow::Result<FleetPicture> {
    match monitor.and_then(of_monitor) {
        Some(picture) => Ok(picture),
        None => look(config, &machine::host_name()),
    }
}

fn of_monitor(monitor: &RunningMonitor) -> Option<FleetPicture> {
    let pid = monitor.pid();
    match monitor.ask(&Question::Fleet).ok()? {
        Answer::Fleet(picture) => Some(FleetPicture { source: Source::Monitor { pid }, ..*picture }),
        other => {
            debug!("the monitor with pid {pid} shows no machines: {}", other.problem());
            None
        }
    }
}

/// What is in etcd, judged. A machine whose lease has ended left nothing there: it is known by what people were told.
fn look(config: &Config, host: &str) -> anyhow::Result<FleetPicture> {
    let settings = settings(config)?;
    let etcd = client(config)?;
    let listed = ask(config, async { Listed::of(&etcd, &settings.prefix).await })?;
    let policy = snapshot::policy(config, true);
    let state = picture::judged(&listed.mirror, &listed.told, &snapshot::now(), policy);
    let (at, host, teller) = (Timestamp::now(), keys::name(host), listed.teller);
    let seen = Seen { at, host, etcd: settings, teller, remarks: Vec::new() };
    Ok(fleet_picture(&listed.mirror, &state, seen))
}

/// Everything below a prefix.
struct Listed {
    mirror: Mirror,
    told: keys::Told,
    teller: Option<String>,
}

impl Listed {
    async fn of(etcd: &Etcd, prefix: &str) -> Result<Self, EtcdError> {
        let keys = Keys::below(prefix);
        let listing = etcd.list(&keys.all(), |key| keys.longest(key)).await?;
        let mut mirror = Mirror::default();
        mirror.list(&keys, &listing.entries);
        let value = |place: &Place| {
            let found = listing.entries.iter().find(|entry| keys.place(&entry.key).as_ref() == Some(place));
            found.map(|entry| &entry.value[..])
        };
        let told = value(&Place::Told).map(keys::read_told).unwrap_or_default();
        let teller = value(&Place::Teller).map(|value| keys::name(&String::from_utf8_lossy(value)));
        Ok(Self { mirror, told, teller })
    }

    fn names(&self) -> Vec<String> {
        let told = picture::missed(&self.told).into_keys().map(str::to_owned);
        let mut names: Vec<String> =
            self.mirror.machines().map(|(name, _)| name.clone()).chain(told).collect();
        names.sort();
        names.dedup();
        names
    }
}

impl ForgetHost {
    fn forget(
        &self,
        monitor: Option<&RunningMonitor>,
        config: &Config,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        let settings = settings(config)?;
        let etcd = client(config)?;
        let listed = ask(config, async { Listed::of(&etcd, &settings.prefix).await })?;
        let mut names = listed.names();
        // Whoever watches also knows those of whom nothing is left in etcd.
        names.extend(monitor.and_then(of_monitor).into_iter().flat_map(|it| it.machines.into_keys()));
        names.sort();
        names.dedup();
        if !names.contains(&self.host) {
            return Err(unknown(&self.host, &names));
        }
        let keys = Keys::below(&settings.prefix);
        let txn = Txn::default().if_created_at(&keys.host(&self.host), 0);
        let txn = farewell(txn, &keys, &self.host, "forgotten");
        if !ask(config, etcd.commit(txn))?.has_succeeded {
            bail!("{} is alive: run `healthcheck retire` there, and end its monitor", self.host);
        }
        let words = format!("{} is forgotten: nobody misses it any more", self.host);
        confirm("it", format, env, &words, &json!({ "forgotten": self.host }))
    }
}

/// This machine says goodbye for good, where no monitor of it does so. Returns whether there is anybody to be told.
pub(super) fn retire(config: &Config) -> anyhow::Result<bool> {
    let Some(settings) = &config.fleet.etcd else { return Ok(false) };
    let (keys, host) = (Keys::below(&settings.prefix), machine::host_name());
    let txn = farewell(Txn::default(), &keys, &host, "retired");
    let etcd = client(config)?;
    ask(config, etcd.commit(txn)).map(|_| true)
}

/// Leaves a tombstone that says that nobody is to miss a machine, in place of everything that it said.
fn farewell(txn: Txn, keys: &Keys, host: &str, reason: &str) -> Txn {
    let reason = reason.to_owned();
    let tombstone = Tombstone { at: Timestamp::now(), reason, expected_back: None, retired: true };
    let txn = txn.put(&keys.stopped(host), &keys::written(&tombstone), None);
    txn.delete(&keys.host(host)).delete_below(&keys.services(host))
}

fn settings(config: &Config) -> anyhow::Result<&EtcdSettings> {
    let cure = "no other machines are known: write [fleet.etcd] with endpoints = [\"http://…:2379\"] into the \
                configuration";
    config.fleet.etcd.as_ref().ok_or_else(|| anyhow!(cure))
}

fn client(config: &Config) -> anyhow::Result<Etcd> {
    Ok(Etcd::new(access(config, settings(config)?), Patience::default()))
}

/// Waits for an answer of etcd; where there is none, says who was asked.
fn ask<T>(config: &Config, work: impl Future<Output = Result<T, EtcdError>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = LocalSet::new().block_on(&runtime, unless_interrupted(work));
    // A name that is being resolved may hold its thread for long.
    runtime.shutdown_background();
    answer.map_err(|error| {
        let endpoints = config.fleet.etcd.iter().flat_map(|etcd| &etcd.endpoints);
        let asked: Vec<_> = endpoints.map(ToString::to_string).collect();
        anyhow!("the machines are not known: {error}; asked were [fleet.etcd] endpoints {}", asked.join(", "))
    })
}
