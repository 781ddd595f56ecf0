//! Units, as systemd shows them over D-Bus.

mod cgroup;
mod door;
pub(crate) mod follow;
mod peer;
mod properties;

pub(crate) use cgroup::unit_of_process;
#[cfg_attr(not(test), expect(unused_imports, reason = "the monitor is about to use it"))]
pub(crate) use follow::{News, Wanted, follow};

use door::{Door, Environment};
use healthcheck_core::{ProbeError, ProbeKind, UnitActive, UnitFacts, UnitLoad};
use properties::{Clock, Properties};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use zbus::message::Message;
use zbus::{Connection, OwnedObjectPath, fdo};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "/org/freedesktop/systemd1";
const MANAGER_INTERFACE: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// More bad units than anybody reads; a machine that has them is bad enough with these.
const MAX_TROUBLED: usize = 256;
/// Services that are asked whether it is for the first time that they are started.
const MAX_STARTING: usize = 64;
/// Longer names are none: `UNIT_NAME_MAX`.
const MAX_NAME: usize = 255;
const MAX_ERROR: usize = 200;
const KINDS: [&str; 11] = [
    "service",
    "socket",
    "target",
    "timer",
    "path",
    "mount",
    "automount",
    "swap",
    "slice",
    "scope",
    "device",
];

/// Where systemd is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bus {
    /// The manager of the machine.
    System,
    /// The manager of the user who looks.
    User,
    /// Whatever is at this D-Bus address.
    Address(String),
}

/// A manager of units, connected to.
#[derive(Debug)]
pub(crate) struct Manager {
    connection: Connection,
    /// How to speak of it.
    address: String,
    /// Nobody, where it is the manager itself that listens there.
    destination: Option<&'static str>,
    /// Who runs what names no user.
    default_owner: Option<u32>,
}

impl Manager {
    /// Connects, as the environment of this process says where.
    pub(crate) async fn connect(bus: &Bus, patience: Duration) -> Result<Self, ProbeError> {
        Self::connect_in(&Environment::of_this_process(), bus, patience).await
    }

    /// Tries one address after the other, each for its share of the time; what is wrong with the first is what is
    /// wrong.
    async fn connect_in(
        environment: &Environment,
        bus: &Bus,
        patience: Duration,
    ) -> Result<Self, ProbeError> {
        let doors = environment.doors(bus);
        let share = patience / u32::try_from(doors.len().max(1)).unwrap_or(u32::MAX);
        let mut problem = None;
        for door in doors {
            let what = match timeout(share, door.open(share)).await {
                Ok(Ok(opened)) => return Ok(Self::behind(door, opened, bus)),
                Ok(Err(error)) => door.problem(&error),
                Err(_) => door.silence(share),
            };
            problem.get_or_insert(what);
        }
        Err(unavailable(problem.unwrap_or_else(|| door::NO_USER_BUS.to_owned())))
    }

    fn behind(door: Door, opened: door::Opened, bus: &Bus) -> Self {
        Self {
            connection: opened.connection,
            address: door.address,
            destination: (!opened.is_peer).then_some(SYSTEMD),
            default_owner: (*bus == Bus::System).then_some(0),
        }
    }

    /// The unit of this name, which is a service unless it says otherwise; one that does not exist is a fact.
    pub(crate) async fn unit(&self, name: &str, patience: Duration) -> Result<UnitFacts, ProbeError> {
        let unit = self.look(&full_name(name), patience).await;
        unit.map_err(|trouble| self.unavailable(&trouble, patience))
    }

    async fn look(&self, name: &str, patience: Duration) -> Result<UnitFacts, Trouble> {
        if !is_unit_name(name) {
            return Ok(not_found(name));
        }
        let path = format!("{MANAGER}/unit/{}", path_label(name));
        // An empty interface is all of them; to ask for a unit by its path loads it, as LoadUnit does.
        match self.call(&path, PROPERTIES, "GetAll", &"", patience).await {
            Ok(reply) => self.facts(name, &reply),
            Err(trouble) if trouble.is(|error| matches!(error, fdo::Error::InvalidArgs(_))) => {
                Ok(not_found(name))
            }
            Err(trouble) => Err(trouble),
        }
    }

    fn facts(&self, name: &str, reply: &Message) -> Result<UnitFacts, Trouble> {
        let body = reply.body();
        let shown = body.deserialize().map_err(|_| Trouble::Nonsense)?;
        Ok(Properties::new(shown).unit(name, Clock::now(), self.default_owner))
    }

    /// The names of all units that failed, or that are started again and again.
    pub(crate) async fn troubled(&self, patience: Duration) -> Result<Vec<String>, ProbeError> {
        let names = self.list_troubled(patience).await;
        names.map_err(|trouble| self.unavailable(&trouble, patience))
    }

    async fn list_troubled(&self, patience: Duration) -> Result<Vec<String>, Trouble> {
        let deadline = Instant::now() + patience;
        let (mut names, starting) = self.bad_or_starting(patience).await?;
        for name in starting {
            // One that cannot be asked is looked at like the bad ones: that tells why.
            let unit = self.look(&name, deadline.saturating_duration_since(Instant::now())).await;
            if !unit.is_ok_and(|unit| unit.restarts == 0) {
                names.push(name);
            }
        }
        names.sort_unstable();
        names.truncate(MAX_TROUBLED);
        Ok(names)
    }

    /// The units that are bad whatever else there is to them, and the services that are just being started.
    async fn bad_or_starting(&self, patience: Duration) -> Result<(Vec<String>, Vec<String>), Trouble> {
        let states = ["failed", "activating"].as_slice();
        let reply = self.call(MANAGER, MANAGER_INTERFACE, "ListUnitsFiltered", &states, patience).await?;
        let body = reply.body();
        let units: Vec<Listed<'_>> = body.deserialize().map_err(|_| Trouble::Nonsense)?;
        let bad = units.iter().filter(|unit| is_bad(unit)).map(listed_name).collect();
        let starting = units.iter().filter(|unit| !is_bad(unit) && is_service(unit));
        Ok((bad, starting.take(MAX_STARTING).map(listed_name).collect()))
    }

    async fn call<B>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
        patience: Duration,
    ) -> Result<Message, Trouble>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        let call = self.connection.call_method(self.destination, path, Some(interface), method, body);
        match timeout(patience, call).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Trouble::Silent),
        }
    }

    fn unavailable(&self, trouble: &Trouble, patience: Duration) -> ProbeError {
        self.unavailable_because(&match trouble {
            Trouble::Silent => format!("did not answer within {patience:?}"),
            Trouble::Refused(error) => format!("refuses to tell: {error}"),
            Trouble::Broken(error) => format!("cannot be asked: {error}"),
            Trouble::Nonsense => "answers what systemd does not".to_owned(),
        })
    }

    fn unavailable_because(&self, problem: &str) -> ProbeError {
        let problem = health_reporter::bounded(problem, MAX_ERROR);
        unavailable(format!("systemd at {} {problem}", self.address))
    }
}

/// Why a question has no answer.
#[derive(Debug)]
enum Trouble {
    /// It is answered: with an error.
    Refused(zbus::Error),
    /// The connection is of no use.
    Broken(zbus::Error),
    Silent,
    Nonsense,
}

impl From<zbus::Error> for Trouble {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::FDO(_) | zbus::Error::MethodError(..) => Self::Refused(error),
            other => Self::Broken(other),
        }
    }
}

impl Trouble {
    fn is(&self, which: impl Fn(&fdo::Error) -> bool) -> bool {
        matches!(self, Self::Refused(zbus::Error::FDO(error)) if which(error))
    }
}

/// What `ListUnits` says of a unit: name, description, load state, active state, sub-state, the unit that it
/// follows, its path, and its job with number, kind and path.
type Listed<'m> =
    (&'m str, &'m str, &'m str, &'m str, &'m str, &'m str, OwnedObjectPath, u32, &'m str, OwnedObjectPath);

fn is_bad((_, _, _, active, sub, ..): &Listed<'_>) -> bool {
    is_trouble(active, sub)
}

fn is_trouble(active: &str, sub: &str) -> bool {
    active == "failed" || sub.starts_with("auto-restart")
}

fn is_service((name, ..): &Listed<'_>) -> bool {
    name.ends_with(".service")
}

fn listed_name((name, ..): &Listed<'_>) -> String {
    health_reporter::bounded(name, MAX_NAME)
}

fn unavailable(problem: String) -> ProbeError {
    ProbeError::of(ProbeKind::Unit, problem)
}

fn not_found(name: &str) -> UnitFacts {
    UnitFacts {
        name: health_reporter::bounded(name, MAX_NAME),
        load: UnitLoad::NotFound,
        active: UnitActive::Inactive,
        ..UnitFacts::default()
    }
}

fn full_name(name: &str) -> String {
    let kind = name.rsplit_once('.').map(|(_, kind)| kind);
    if kind.is_some_and(|kind| KINDS.contains(&kind)) { name.to_owned() } else { format!("{name}.service") }
}

/// What systemd takes for the name of a unit; nothing else can exist.
fn is_unit_name(name: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    name.len() <= MAX_NAME && name.bytes().all(is_usual) && !name.starts_with(['.', '@'])
}

/// The part of an object path that stands for a unit: what is neither a letter nor a digit is `_` and its code,
/// and so is a digit at the beginning.
fn path_label(name: &str) -> String {
    let part = |(at, byte): (usize, u8)| match byte {
        b'0'..=b'9' if at > 0 => char::from(byte).to_string(),
        b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        _ => format!("_{byte:02x}"),
    };
    name.bytes().enumerate().map(part).collect()
}

#[cfg(test)]
pub(super) mod tests;
