//! `healthcheck publish`: the health of services under a lease in etcd, for whoever reads a registry.

mod beat;
mod leased;
mod looker;
mod manifests;
mod namespace;

pub(crate) use looker::Find;

use crate::config::{Config, units};
use crate::fleet::etcd::{Access, Etcd, EtcdError, Patience};
use crate::fleet::pace::Pace as Pauses;
use crate::secret::Secret;
use crate::sources::machine;
use anyhow::{Context, bail};
use beat::Sights;
use clap::Args;
use health_reporter::mask_credentials;
use leased::{Entry, Leased};
use looker::{Looker, Subjects};
use manifests::Manifests;
use namespace::{KeyTemplate, Namespace};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{error, info, warn};

/// Etcd could not be reached when it began.
const NOT_REACHED: u8 = 1;
/// How long it is tried to reach etcd before that is said.
const START_WITHIN: Duration = Duration::from_secs(5);
const START_AGAIN: Duration = Duration::from_millis(250);
/// After this the keys end by themselves, with their lease.
const END_WITHIN: Duration = Duration::from_millis(800);
const PORT: u16 = 2379;
const INTERVAL: Duration = Duration::from_secs(10);
const TTL: Duration = Duration::from_secs(30);
const MAX_TTL: Duration = Duration::from_secs(24 * 3600);
/// What was seen counts for two intervals, and at least for so long.
const FRESH: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("whose").required(true).multiple(true).args(["namespaces", "auto_discover"])))]
pub(crate) struct Publish {
    /// A service, by the name that its key has; may be given several times
    #[arg(long = "namespace", value_name = "NAME", value_parser = Namespace::parse)]
    namespaces: Vec<Namespace>,
    /// Each service that has a manifest: a YAML file with a chora_service, called by its metadata.namespace
    #[arg(long)]
    auto_discover: bool,
    /// Where the manifests are
    #[arg(long, value_name = "DIR", default_value = "capabilities", requires = "auto_discover")]
    capabilities: PathBuf,
    /// The key of a service
    #[arg(long, value_name = "KEY", value_parser = KeyTemplate::parse, default_value = "/chora/capabilities/{namespace}/health")]
    key_template: KeyTemplate,
    /// How often each heartbeat is sent, as in 10s, or in seconds
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    interval: Option<Duration>,
    /// After so much silence the keys are gone, as in 30s, or in seconds
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    ttl: Option<Duration>,
    #[command(flatten)]
    etcd: EtcdFlags,
}

/// Where etcd is; otherwise as [fleet.etcd] says, or on this machine.
#[derive(Debug, Args)]
struct EtcdFlags {
    /// The host of etcd; otherwise as [fleet.etcd] says, or localhost
    #[arg(long, value_name = "HOST", conflicts_with = "etcd_endpoint")]
    etcd_host: Option<String>,
    /// Its port; otherwise 2379
    #[arg(long, value_name = "PORT", conflicts_with = "etcd_endpoint")]
    etcd_port: Option<u16>,
    /// The URL of a member of etcd; may be given several times
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    etcd_endpoint: Vec<String>,
    /// The user to sign in as, with HEALTHCHECK_ETCD_PASSWORD where there is no file
    #[arg(long, value_name = "NAME")]
    etcd_user: Option<String>,
    /// A file with the password
    #[arg(long, value_name = "FILE", requires = "etcd_user")]
    etcd_password_file: Option<PathBuf>,
    /// The only authority that is trusted, as a PEM file; otherwise those of the system
    #[arg(long, value_name = "FILE")]
    etcd_ca_file: Option<PathBuf>,
    /// Our own certificate, as a PEM file
    #[arg(long, value_name = "FILE", requires = "etcd_key_file")]
    etcd_cert_file: Option<PathBuf>,
    /// Its private key, as a PEM file
    #[arg(long, value_name = "FILE", requires = "etcd_cert_file")]
    etcd_key_file: Option<PathBuf>,
}

/// A duration, or a number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let bare = text.parse().ok().map(Duration::from_secs);
    let duration = bare.map_or_else(|| units::parse_duration(text).map_err(|error| error.to_string()), Ok)?;
    if duration.is_zero() || duration > MAX_TTL {
        return Err("must be above 0 and at most 1d".to_owned());
    }
    Ok(duration)
}

fn endpoint(text: &str) -> Result<String, String> {
    let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("must be a URL of http or https, as in http://127.0.0.1:2379".to_owned()),
    }
}

impl Publish {
    /// Sends heartbeats until a signal ends it; returns the exit code.
    pub(crate) fn publish(&self, config: &Config, find: Find) -> anyhow::Result<u8> {
        let pace = self.pace(config)?;
        let manifests = self.manifests()?;
        let access = self.etcd.access(config)?;
        let endpoints =
            access.endpoints.iter().map(|url| mask_credentials(url)).collect::<Vec<_>>().join(", ");
        let subjects = Subjects { config: config.clone(), find, named: self.namespaces.clone(), manifests };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let looker = Looker::start(subjects).context("cannot start a thread to look at services")?;
        let work = async {
            let signals = Signals::new()?;
            let leased = Leased::new(Etcd::new(access, Patience::default()), pace.ttl);
            let host = machine::host_name();
            let hearts =
                Hearts { pace, template: self.key_template.clone(), host, leased, counts: BTreeMap::new() };
            hearts.run(looker, signals, &endpoints).await
        };
        let code = tokio::task::LocalSet::new().block_on(&runtime, work);
        runtime.shutdown_background();
        code
    }

    fn pace(&self, config: &Config) -> anyhow::Result<Pace> {
        let etcd = config.fleet.etcd.as_ref();
        let ttl = self.ttl.or(etcd.map(|etcd| etcd.ttl)).unwrap_or(TTL);
        let usual = etcd.map_or(INTERVAL, |etcd| etcd.interval);
        // A lease that was shortened on the command line is renewed as often in its time.
        let usual = if usual < ttl { usual } else { ttl / 3 };
        let interval = self.interval.unwrap_or(usual);
        if ttl.subsec_nanos() > 0 || ttl < Duration::from_secs(2) {
            bail!("--ttl must be whole seconds, from 2 on");
        }
        if interval >= ttl {
            let (interval, ttl) = (units::format_duration(interval), units::format_duration(ttl));
            bail!("--interval {interval} must be shorter than --ttl, which is {ttl}: write a third of it");
        }
        Ok(Pace { interval, ttl })
    }

    fn manifests(&self) -> anyhow::Result<Option<Manifests>> {
        if !self.auto_discover {
            return Ok(None);
        }
        let dir = &self.capabilities;
        let manifests = Manifests::of(dir).with_context(|| {
            format!("cannot read {}: --capabilities says where the manifests are", dir.display())
        });
        manifests.map(Some)
    }
}

impl EtcdFlags {
    /// Whoever names another etcd names his credentials for it as well: those of one are never sent to another.
    fn access(&self, config: &Config) -> anyhow::Result<Access> {
        let named = self.endpoints();
        let configured = config.fleet.etcd.as_ref().filter(|_| named.is_empty());
        let login = configured.and_then(|etcd| etcd.login.clone());
        let (user, file) = match &self.etcd_user {
            Some(user) => (Some(user.clone()), self.etcd_password_file.clone()),
            None => login.map_or((None, None), |login| (Some(login.user), login.password_file)),
        };
        let own = self.etcd_cert_file.clone().zip(self.etcd_key_file.clone());
        let identity = configured.and_then(|etcd| etcd.identity.clone());
        let access = Access {
            endpoints: match configured {
                Some(etcd) => etcd.endpoints.iter().map(|url| url.expose().to_owned()).collect(),
                None if named.is_empty() => vec![self.endpoint(None, None)],
                None => named,
            },
            login: user.map(|user| Ok::<_, anyhow::Error>((user, password(file, config)?))).transpose()?,
            ca_file: self.etcd_ca_file.clone().or(configured.and_then(|etcd| etcd.ca_file.clone())),
            identity: own.or(identity.map(|it| (it.cert_file, it.key_file))),
        };
        let is_encrypted = access.endpoints.iter().any(|url| url.starts_with("https:"));
        if !is_encrypted && (access.ca_file.is_some() || access.identity.is_some()) {
            bail!("certificates are of no use without encryption: name etcd by --etcd-endpoint https://…");
        }
        Ok(access)
    }

    fn endpoints(&self) -> Vec<String> {
        match (&self.etcd_host, self.etcd_port) {
            (None, None) => self.etcd_endpoint.clone(),
            (host, port) => vec![self.endpoint(host.as_deref(), port)],
        }
    }

    fn endpoint(&self, host: Option<&str>, port: Option<u16>) -> String {
        let host = host.unwrap_or("localhost");
        // An address of version 6 has colons of its own.
        let is_bare = host.contains(':') && !host.starts_with('[');
        let host = if is_bare { format!("[{host}]") } else { host.to_owned() };
        let is_encrypted = self.etcd_ca_file.is_some() || self.etcd_cert_file.is_some();
        let scheme = if is_encrypted { "https" } else { "http" };
        format!("{scheme}://{host}:{}", port.unwrap_or(PORT))
    }
}

fn password(file: Option<PathBuf>, config: &Config) -> anyhow::Result<Secret> {
    let given = config.fleet.etcd_password.as_ref();
    match (file, given) {
        (Some(file), _) => Ok(Secret::File(file)),
        (None, Some(password)) => Ok(Secret::Value(password.expose().to_owned())),
        (None, None) => {
            bail!("a user needs a password: --etcd-password-file or HEALTHCHECK_ETCD_PASSWORD has it")
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    interval: Duration,
    ttl: Duration,
}

/// What ends us.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let [first, second, third] = &mut self.0;
        tokio::select! { _ = first.recv() => {}, _ = second.recv() => {}, _ = third.recv() => {} }
    }

    /// The work's end, or nothing if a signal came before it.
    async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let work = pin!(work);
        tokio::select! { biased; () = self.any() => None, done = work => Some(done) }
    }
}

/// Everything that beats.
struct Hearts {
    pace: Pace,
    template: KeyTemplate,
    host: String,
    leased: Leased,
    counts: BTreeMap<Namespace, u64>,
}

impl Hearts {
    async fn run(mut self, mut looker: Looker, mut signals: Signals, endpoints: &str) -> anyhow::Result<u8> {
        let code = match signals.unless(self.begin()).await {
            Some(Err(problem)) => {
                let cure = "start it, or say where it is by --etcd-host and --etcd-port, or --etcd-endpoint";
                error!("cannot begin with etcd at {endpoints}: {problem}; {cure}");
                NOT_REACHED
            }
            Some(Ok(())) => {
                signals.unless(self.beat(&mut looker)).await;
                0
            }
            None => 0,
        };
        tokio::join!(self.end(), looker.end());
        Ok(code)
    }

    /// Gets a lease; an etcd that is just being started is waited for.
    async fn begin(&mut self) -> Result<(), EtcdError> {
        let end = Instant::now() + START_WITHIN;
        loop {
            match self.leased.renew().await {
                Err(error) if error.is_unreachable() && Instant::now() + START_AGAIN < end => {
                    sleep(START_AGAIN).await;
                }
                ended => return ended,
            }
        }
    }

    /// Never gives up.
    async fn beat(&mut self, looker: &mut Looker) {
        let (mut lost_at, mut pauses) = (None::<Instant>, Pauses::default());
        loop {
            let next = Instant::now() + self.pace.interval;
            let Err(error) = self.round(looker).await else {
                if let Some(at) = lost_at.take() {
                    warn!("etcd is back after {} s, and all heartbeats with it", at.elapsed().as_secs());
                }
                pauses.start_over();
                sleep_until(next).await;
                continue;
            };
            if lost_at.is_none() {
                warn!("{error}: trying again; the keys end with their lease meanwhile");
                lost_at = Some(Instant::now());
            }
            sleep(pauses.pause().min(self.pace.interval)).await;
        }
    }

    /// Once all of them. The lease is renewed while it is looked.
    async fn round(&mut self, looker: &mut Looker) -> Result<(), EtcdError> {
        let fresh = (self.pace.interval * 2).max(FRESH);
        let look = looker.look(self.pace.interval / 2, fresh);
        let (sights, renewed) = tokio::join!(look, self.leased.renew());
        renewed?;
        let entries = self.entries(&sights);
        self.leased.hold(&entries).await?;
        self.counts.retain(|namespace, _| sights.contains_key(namespace));
        for namespace in sights.keys() {
            *self.counts.entry(namespace.clone()).or_default() += 1;
        }
        info!("{} heartbeats sent", entries.len());
        Ok(())
    }

    /// In the order of namespaces.
    fn entries(&self, sights: &Sights) -> Vec<Entry> {
        let entry = |(namespace, sight): (&Namespace, &beat::Sight)| {
            let count = self.counts.get(namespace).copied().unwrap_or_default() + 1;
            Entry {
                namespace: namespace.clone(),
                key: self.template.key(namespace),
                value: sight.value(namespace, &self.host, count),
            }
        };
        sights.iter().map(entry).collect()
    }

    async fn end(self) {
        let ended = timeout(END_WITHIN, self.leased.end()).await;
        let problem = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "etcd does not answer".to_owned(),
        };
        let ttl = units::format_duration(self.pace.ttl);
        warn!("the keys are not removed, they end within {ttl}: {problem}");
    }
}

#[cfg(test)]
mod tests;
