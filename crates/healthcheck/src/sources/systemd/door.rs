//! Where systemd listens, and how one gets in.

use super::{Bus, MAX_ERROR};
use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zbus::address::transport::{Transport, UnixSocket};
use zbus::connection::Builder;
use zbus::{Address, Connection, Error, fdo};

pub(super) const NO_USER_BUS: &str = "no bus of the user is known; set XDG_RUNTIME_DIR or \
                                      DBUS_SESSION_BUS_ADDRESS, or write its address to bus in [systemd]";
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

    /// The addresses to try, one after the other.
    pub(super) fn doors(&self, bus: &Bus) -> Vec<Door> {
        match bus {
            Bus::System => doors(self.system_bus.as_deref(), "dbus/system_bus_socket", Some(&self.run)),
            Bus::User => doors(self.session_bus.as_deref(), "bus", self.runtime_dir.as_deref()),
            Bus::Address(address) => doors(Some(address), "", None),
        }
    }
}

/// The named ones or the usual bus, and where that is dead the socket at which systemd itself listens.
fn doors(named: Option<&str>, usual: &str, dir: Option<&Path>) -> Vec<Door> {
    let in_dir = |below: &str| dir.map(|dir| format!("unix:path={}", dir.join(below).display()));
    let named: Vec<String> = named.into_iter().flat_map(|list| list.split(';')).map(str::to_owned).collect();
    let buses = if named.is_empty() { in_dir(usual).into_iter().collect() } else { named };
    buses.into_iter().chain(in_dir("systemd/private")).map(|address| Door { address }).collect()
}

/// A D-Bus address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) address: String,
}

/// A connection, and whether the manager itself is at its other end.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) is_peer: bool,
}

impl Door {
    /// Says hello to the bus, unless the manager itself listens there: it knows no bus, and says so.
    pub(super) async fn open(&self) -> Result<Opened, Error> {
        let address: Address = self.address.as_str().try_into()?;
        let is_peer = is_private(&address);
        if !is_peer {
            match Builder::address(address.clone()).build().await {
                Err(Error::FDO(error)) if knows_no_bus(&error) => {}
                other => return other.map(|connection| Opened { connection, is_peer }),
            }
        }
        let connection = Builder::address(address).p2p().build().await?;
        Ok(Opened { connection, is_peer: true })
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

fn is_private(address: &Address) -> bool {
    let Transport::Unix(unix) = address.transport() else { return false };
    matches!(unix.path(), UnixSocket::File(path) if path.ends_with("systemd/private"))
}

fn knows_no_bus(error: &fdo::Error) -> bool {
    matches!(
        error,
        fdo::Error::UnknownObject(_) | fdo::Error::UnknownMethod(_) | fdo::Error::UnknownInterface(_)
    )
}
