//! Connects to an endpoint, and tells what is down from what could not be looked at.

use super::{Deadline, Endpoint, unavailable};
use crate::sources::connect::{self, plain};
use crate::sources::paths;
use healthcheck_core::{ProbeError, ProbeKind, Unanswered};
use rustix::io::Errno;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// How often is looked whether a queue that was full has room.
const QUEUE_PAUSE: Duration = Duration::from_millis(10);

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

type Connected = (Box<dyn Stream>, Peer);

/// Why there is no connection.
pub(super) enum Missed {
    Unanswered(Unanswered),
    NotLooked(ProbeError),
}

impl From<Unanswered> for Missed {
    fn from(why: Unanswered) -> Self {
        Self::Unanswered(why)
    }
}

impl From<ProbeError> for Missed {
    fn from(error: ProbeError) -> Self {
        Self::NotLooked(error)
    }
}

/// Where exactly somebody was met.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    Ipc(PathBuf),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
        }
    }
}

impl Peer {
    pub(super) fn is_ipv6(&self) -> bool {
        matches!(self, Self::Tcp(SocketAddr::V6(_)))
    }

    /// What libzmq takes as its address: text without NUL.
    pub(super) fn address(&self) -> Result<String, ProbeError> {
        let address = match self {
            Self::Tcp(address) => Some(format!("tcp://{address}")),
            Self::Ipc(path) => path.to_str().map(|path| format!("ipc://{path}")),
        };
        let is_text = |address: &String| !address.contains('\0');
        address
            .filter(is_text)
            .ok_or_else(|| unavailable(format!("{self} is no text: libzmq cannot connect")))
    }
}

pub(super) async fn connect(endpoint: &Endpoint, deadline: Deadline) -> Result<Connected, Missed> {
    match endpoint {
        Endpoint::Tcp(host_port) => tcp(host_port, deadline).await,
        Endpoint::Ipc(path) => ipc(path, deadline).await,
    }
}

async fn tcp(host_port: &str, deadline: Deadline) -> Result<Connected, Missed> {
    let named = |error: ProbeError| unavailable(format!("cannot connect to tcp://{host_port}: {error}"));
    let met = connect::try_all(ProbeKind::Zmq, host_port, deadline.timeout).await;
    let (stream, address) = met.map_err(named)??;
    Ok((Box::new(stream), Peer::Tcp(address)))
}

async fn ipc(path: &Path, deadline: Deadline) -> Result<Connected, Missed> {
    let mut full = None;
    loop {
        let knocked = match abstract_name(path) {
            Some(name) => Ok(paths::connect_to_name(name)),
            None => paths::connect(path, deadline.at).await,
        };
        // For one more try there may have been no time left.
        let unfinished = |why| full.take().unwrap_or_else(|| not_looked(path, why));
        let knocked = knocked.map_err(unfinished)?;
        match knocked.and_then(UnixStream::from_std) {
            Ok(stream) => return Ok((Box::new(stream), Peer::Ipc(path.to_owned()))),
            // Its queue is full: whoever listens there has not accepted anybody for a while.
            Err(error) if error.kind() == ErrorKind::WouldBlock && !deadline.left().is_zero() => {
                full = Some(missed_ipc(path, &error, deadline));
                tokio::time::sleep(QUEUE_PAUSE.min(deadline.left())).await;
            }
            Err(error) => return Err(missed_ipc(path, &error, deadline)),
        }
    }
}

/// Libzmq writes the NUL of the abstract namespace as `@`.
fn abstract_name(path: &Path) -> Option<&str> {
    path.to_str().and_then(|path| path.strip_prefix('@'))
}

fn missed_ipc(path: &Path, error: &io::Error, deadline: Deadline) -> Missed {
    let failed = |problem: &str| Missed::Unanswered(Unanswered::Failed(problem.to_owned()));
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR) => failed("does not exist"),
        Some(Errno::PROTOTYPE) => failed("is another kind of socket"),
        Some(Errno::NOTSOCK) => failed("is no socket"),
        Some(Errno::ACCESS | Errno::PERM) => {
            not_looked(path, &format!("{}: let this user write to the socket", plain(error)))
        }
        Some(Errno::NAMETOOLONG | Errno::INVAL) => not_looked(path, &plain(error)),
        _ => match connect::unanswered(ProbeKind::Zmq, error, deadline.timeout) {
            Ok(why) => Missed::Unanswered(why),
            Err(problem) => not_looked(path, &problem.to_string()),
        },
    }
}

fn not_looked(path: &Path, why: &str) -> Missed {
    Missed::NotLooked(unavailable(format!("cannot connect to ipc://{}: {why}", path.display())))
}
