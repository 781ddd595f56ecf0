//! Where systemd listens, and how one gets in.

use super::peer::Peer;
use super::{Bus, MAX_ERROR};
use crate::sources::paths;
use crate::sources::threads::Unfinished;
use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use zbus::address::transport::{Transport, Unix, UnixSocket};
use zbus::connection::Builder;
use zbus::{Address, Connection, Error};

pub(super) const NO_USER_BUS: &str = "no bus of the user is known; set XDG_RUNTIME_DIR or \
                                      DBUS_SESSION_BUS_ADDRESS, or write its address to bus in [systemd]";
/// Below the folder of the manager of the machine, or of the user.
const PRIVATE: &str = "systemd/private";
const CURE: &str = "start it, or write another address to bus in [systemd]";

/// What tells where the buses are.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    /// `DBUS_SYSTEM_BUS_ADDRESS`
    pub(super) system_bus: Option<String>,
    /// `DBUS_SESSION_BUS_ADDRESS`
    pub(super) session_bus: Option<String>,
    /// `XDG_RUNTIME_DIR`
    pub(super) runtime_dir: Option<PathBuf>,
    /// `/run`
    pub(super) run: PathBuf,
}

impl Environment {
    pub(super) fn of_this_process() -> Self {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            system_bus: text("DBUS_SYSTEM_BUS_ADDRESS"),
            session_bus: text("DBUS_SESSION_BUS_ADDRESS"),
            runtime_dir: text("XDG_RUNTIME_DIR").map(PathBuf::from),
            run: PathBuf::from("/run"),
        }
    }

    /// The addresses to try, one after the other: the usual bus, or the named one, and where that is dead the
    /// socket at which systemd itself listens.
    pub(super) fn doors(&self, bus: &Bus) -> Vec<Door> {
        let (named, dir, usual) = match bus {
            Bus::System => (self.system_bus.as_ref(), Some(&self.run), "dbus/system_bus_socket"),
            Bus::User => (self.session_bus.as_ref(), self.runtime_dir.as_ref(), "bus"),
            Bus::Address(address) => (Some(address), None, ""),
        };
        let in_dir = |below: &str| dir.map(|dir| address_of(dir.join(below))).into_iter();
        let buses = match named {
            Some(list) => list.split(';').map(str::to_owned).collect(),
            None => in_dir(usual).collect::<Vec<_>>(),
        };
        let may_be_systemd = dir.is_none();
        let all = buses.into_iter().chain(in_dir(PRIVATE));
        all.map(|address| Door { address, may_be_systemd }).collect()
    }
}

fn address_of(path: PathBuf) -> String {
    Address::from(Transport::Unix(Unix::new(UnixSocket::File(path)))).to_string()
}

/// A D-Bus address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) address: String,
    /// Whether systemd itself may listen there under any name.
    may_be_systemd: bool,
}

/// A connection, and whether systemd itself is at its other end.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) is_peer: bool,
}

impl Door {
    /// Says hello to the bus, unless systemd itself listens there: it does not answer to that.
    pub(super) async fn open(&self, patience: Duration) -> Result<Opened, Error> {
        let address: Address = self.address.as_str().try_into()?;
        let file = socket_file(&address).map(Path::to_owned);
        if let Some(path) = &file {
            reach(path, &address, patience).await?;
        }
        match file {
            Some(path) if path.ends_with(PRIVATE) => open_peer(address, &path).await,
            Some(path) if self.may_be_systemd => {
                match timeout(patience / 2, open_bus(address.clone())).await {
                    Ok(opened) => opened,
                    Err(_) => open_peer(address, &path).await,
                }
            }
            _ => open_bus(address).await,
        }
    }

    pub(super) fn silence(&self, timeout: Duration) -> String {
        format!("nothing answers at {} within {timeout:?}; {CURE}", self.address)
    }

    pub(super) fn problem(&self, error: &Error) -> String {
        let address = &self.address;
        match error {
            Error::Connection(error, _) => match error.kind() {
                ErrorKind::NotFound => format!("there is no socket for {address}; {CURE}"),
                ErrorKind::ConnectionRefused => format!("nothing listens at {address}; {CURE}"),
                ErrorKind::PermissionDenied => {
                    format!("no permission to connect to {address}; run as another user, or {CURE}")
                }
                _ => format!("cannot connect to {address}: {error}; {CURE}"),
            },
            Error::Address(_) => {
                format!("{address} is no D-Bus address; write one like \"unix:path=/run/bus\"")
            }
            other => {
                let problem = health_reporter::bounded(&other.to_string(), MAX_ERROR);
                format!("what listens at {address} is no D-Bus for us: {problem}; {CURE}")
            }
        }
    }
}

/// Where it leads to a dead mount, connecting would never return, not even to whoever limits its time.
async fn reach(path: &Path, address: &Address, patience: Duration) -> Result<(), Error> {
    match paths::follow(path, Instant::now() + patience / 2, || ()).await {
        Err(stuck @ Unfinished::Stuck) => {
            let error = std::io::Error::other(stuck.why());
            Err(Error::Connection(Arc::new(error), Box::new(address.clone())))
        }
        _ => Ok(()),
    }
}

fn socket_file(address: &Address) -> Option<&Path> {
    match address.transport() {
        Transport::Unix(unix) => match unix.path() {
            UnixSocket::File(path) => Some(path),
            _ => None,
        },
        _ => None,
    }
}

async fn open_bus(address: Address) -> Result<Opened, Error> {
    let connection = Builder::address(address).build().await?;
    Ok(Opened { connection, is_peer: false })
}

async fn open_peer(address: Address, path: &Path) -> Result<Opened, Error> {
    let peer = Peer::connect(path).await;
    let peer = peer.map_err(|error| Error::Connection(Arc::new(error), Box::new(address)))?;
    let connection = Builder::socket(peer).p2p().build().await?;
    Ok(Opened { connection, is_peer: true })
}
