//! Connects to an endpoint, and tells what is down from what could not be looked at.

use super::{Deadline, Endpoint, unavailable};
use crate::sources::threads::{Unfinished, finish};
use healthcheck_core::{ProbeError, Unanswered};
use rustix::io::Errno;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

/// A name with more addresses than this is not tried further.
const MAX_ADDRESSES: usize = 8;

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
    let addresses = resolve(host_port, deadline).await?;
    let mut first = None;
    for (tried, address) in addresses.iter().enumerate() {
        // Each gets its share, so that one that is silent does not cost the others their chance.
        let share = deadline.left() / u32::try_from(addresses.len() - tried).unwrap_or(1);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) if is_own(&stream, *address) => {
                first.get_or_insert(Missed::Unanswered(Unanswered::Refused))
            }
            Ok(Ok(stream)) => return Ok((Box::new(stream), Peer::Tcp(*address))),
            Ok(Err(error)) => first.get_or_insert(missed(&format!("tcp://{host_port}"), &error, deadline)),
            Err(_) => first.get_or_insert(timed_out(deadline)),
        };
    }
    Err(first.unwrap_or_else(|| timed_out(deadline)))
}

/// Where nobody listens, a connection may by chance begin at the very port that it leads to, and meet itself.
fn is_own(stream: &TcpStream, address: SocketAddr) -> bool {
    stream.local_addr().is_ok_and(|own| own == address)
}

/// The addresses of a name, those of IPv4 first: unless told otherwise, libzmq listens there only.
async fn resolve(host_port: &str, deadline: Deadline) -> Result<Vec<SocketAddr>, Missed> {
    let unusable = || Missed::NotLooked(unavailable(format!("tcp://{host_port} is not tcp://host:port")));
    let (host, port) = host_port.rsplit_once(':').ok_or_else(unusable)?;
    let port: u16 = port.parse().map_err(|_| unusable())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = host.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let name = (host.to_owned(), port);
    let found = match finish(deadline.at, move || name.to_socket_addrs()).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) if is_ours(&error) => return Err(not_looked(&format!("tcp://{host_port}"), &error)),
        Ok(Err(_)) => return Err(Missed::Unanswered(Unanswered::Unresolved(host.to_owned()))),
        Err(Unfinished::Stuck) => return Err(timed_out(deadline)),
        Err(Unfinished::NoThread(why)) => {
            return Err(Missed::NotLooked(unavailable(format!("cannot resolve {host}: {why}"))));
        }
    };
    let mut addresses: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    match addresses.is_empty() {
        true => Err(Missed::Unanswered(Unanswered::Unresolved(host.to_owned()))),
        false => Ok(addresses),
    }
}

async fn ipc(path: &Path, deadline: Deadline) -> Result<Connected, Missed> {
    let socket_path = socket_path(path);
    loop {
        match timeout_at(deadline.at, UnixStream::connect(&socket_path)).await {
            Ok(Ok(stream)) => return Ok((Box::new(stream), Peer::Ipc(path.to_owned()))),
            // Its queue is full: whoever listens there has not accepted anybody for a while.
            Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock && !deadline.left().is_zero() => {
                tokio::time::sleep(QUEUE_PAUSE.min(deadline.left())).await;
            }
            Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => return Err(timed_out(deadline)),
            Ok(Err(error)) => return Err(missed_ipc(path, &error, deadline)),
            Err(_) => return Err(timed_out(deadline)),
        }
    }
}

/// Libzmq writes the NUL of the abstract namespace as `@`.
fn socket_path(path: &Path) -> PathBuf {
    match path.to_str().and_then(|path| path.strip_prefix('@')) {
        Some(name) => PathBuf::from(format!("\0{name}")),
        None => path.to_owned(),
    }
}

fn missed_ipc(path: &Path, error: &io::Error, deadline: Deadline) -> Missed {
    let is_other_file = || std::fs::metadata(path).is_ok_and(|metadata| !metadata.file_type().is_socket());
    let failed = |problem: &str| Missed::Unanswered(Unanswered::Failed(problem.to_owned()));
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => failed("does not exist"),
        _ if Errno::from_io_error(error) == Some(Errno::PROTOTYPE) => failed("is another kind of socket"),
        ErrorKind::ConnectionRefused if is_other_file() => failed("is no socket"),
        _ => missed(&format!("ipc://{}", path.display()), error, deadline),
    }
}

fn missed(endpoint: &str, error: &io::Error, deadline: Deadline) -> Missed {
    if is_ours(error) {
        return not_looked(endpoint, error);
    }
    Missed::Unanswered(match error.kind() {
        ErrorKind::ConnectionRefused => Unanswered::Refused,
        ErrorKind::TimedOut => Unanswered::TimedOut(deadline.timeout),
        _ => Unanswered::Failed(reason(error)),
    })
}

fn not_looked(endpoint: &str, error: &io::Error) -> Missed {
    Missed::NotLooked(unavailable(format!("cannot connect to {endpoint}: {}", reason(error))))
}

fn timed_out(deadline: Deadline) -> Missed {
    Missed::Unanswered(Unanswered::TimedOut(deadline.timeout))
}

/// Whether it is this side that cannot look: no descriptor, port or memory is left, or it is not allowed.
fn is_ours(error: &io::Error) -> bool {
    const OURS: [Errno; 10] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::ACCESS,
        Errno::PERM,
        Errno::AFNOSUPPORT,
        Errno::INVAL,
        Errno::NAMETOOLONG,
    ];
    error.kind() == ErrorKind::InvalidInput
        || Errno::from_io_error(error).is_some_and(|errno| OURS.contains(&errno))
}

/// The system's words, as a fragment and without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
