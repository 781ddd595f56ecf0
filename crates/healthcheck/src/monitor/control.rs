//! The control socket: whoever is on this machine may look at what the monitor knows, its own user may change it.
//!
//! One line of JSON in, one line of JSON out, closed. Nobody who says nothing, drips, says too much or does not read
//! holds up anybody else: there is room for few, and who is silent makes room for who speaks.
mod door;
#[cfg(test)]
pub(crate) mod pretended;
#[cfg(test)]
mod tests;

pub(crate) use door::serve;

use super::dead_man::Retired;
use super::drill::DrillReport;
use crate::render::Picture;
use crate::render::fleet::FleetPicture;
use crate::render::why::Chain;
use healthcheck_core::alerts::{Incident, Silence};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::oneshot;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
const OPEN_TO_ALL: Mode = Mode::from_raw_mode(0o666);

/// What a monitor is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Question {
    /// Everything, at this instant.
    Snapshot,
    /// All machines that it watches.
    Fleet,
    /// How it came to the verdict on one.
    Why { service: String },
    /// To drop what it knows of one.
    Forget { service: String },
    /// What is wrong, and what was.
    Incidents,
    /// To remind nobody of an incident.
    Acknowledge { incident: u64, author: String },
    /// To tell nobody of something. The number and the time of its beginning are given by the monitor.
    Silence { silence: Silence },
    /// What is muted.
    Silences,
    /// To end a silence.
    Unsilence { id: u64 },
    /// To read its configuration again.
    Reload,
    /// To send a notice of nothing through each channel.
    Drill,
    /// What became of that.
    Drilled,
    /// To take the dead-man's message back.
    Retire,
    /// To write down in the history what has happened until now.
    Remember,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Snapshot(Box<Picture>),
    Fleet(Box<FleetPicture>),
    Why(Box<Chain>),
    Drill(Box<DrillReport>),
    /// Those that are open, then the last that are over, the newest first.
    Incidents(Vec<Incident>),
    Silences(Vec<Silence>),
    /// It is muted; so many subjects that are known have such a name.
    Silenced {
        id: u64,
        muted: usize,
    },
    /// What became of the dead-man's message.
    Retired(Retired),
    /// What was asked for is done.
    Done,
    /// There is nothing of this name; these are there.
    Unknown {
        names: Vec<String>,
    },
    /// It was not done, and why.
    Refused {
        problem: String,
    },
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    /// Whether it was asked by root or by our own user. Nobody else gets as far as here with a question that changes
    /// something.
    pub(crate) may_change: bool,
    /// One line of JSON: `Answer::line`.
    pub(crate) reply: oneshot::Sender<String>,
}

impl Question {
    pub(crate) const fn changes(&self) -> bool {
        match self {
            Self::Snapshot | Self::Why { .. } | Self::Drilled | Self::Incidents | Self::Silences => false,
            Self::Remember | Self::Fleet => false,
            Self::Forget { .. } | Self::Reload | Self::Drill | Self::Retire => true,
            Self::Acknowledge { .. } | Self::Silence { .. } | Self::Unsilence { .. } => true,
        }
    }

    /// How long the monitor has for its answer; then it says no. A server that is far away has its say too.
    pub(crate) const fn answered_within(&self) -> Duration {
        match self {
            Self::Retire => Duration::from_secs(14),
            _ => Duration::from_secs(5),
        }
    }

    pub(crate) fn line(&self) -> String {
        line(self)
    }
}

impl Answer {
    pub(crate) fn refused(problem: impl Into<String>) -> Self {
        Self::Refused { problem: problem.into() }
    }

    /// Why it is not what was asked for.
    pub(crate) fn problem(&self) -> &str {
        match self {
            Self::Refused { problem } => problem,
            _ => "it speaks of something else",
        }
    }

    /// The line that is sent, without its end.
    pub(crate) fn line(&self) -> String {
        line(self)
    }
}

fn line(message: &impl Serialize) -> String {
    // Nothing in a message can fail to be written; whoever reads nothing takes it for no answer.
    serde_json::to_string(message).unwrap_or_default()
}

/// A socket that listens. Its file ends with it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    file: (u64, u64),
}

impl Listener {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path`, and removes a socket there at which nobody listens any more.
///
/// # Errors
///
/// The system's; `AddrInUse` if somebody listens there; `AlreadyExists` if there is something else than a socket.
pub(crate) fn bind(path: &Path) -> io::Result<Listener> {
    let address = Address::of(path)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    if let Err(error) = net::bind(&socket, &address.socket) {
        if error != Errno::ADDRINUSE {
            return Err(error.into());
        }
        remove_dead(path)?;
        net::bind(&socket, &address.socket)?;
    }
    let file = open_to_all(path)?;
    net::listen(&socket, BACKLOG)?;
    Ok(Listener { socket: socket.into(), path: path.to_owned(), file })
}

fn remove_dead(path: &Path) -> io::Result<()> {
    let is_socket = rustix::fs::lstat(path).map(|stat| FileType::from_raw_mode(stat.st_mode).is_socket());
    if !is_socket? {
        let problem = format!("{} is no socket: remove it, or use another state directory", path.display());
        return Err(io::Error::new(ErrorKind::AlreadyExists, problem));
    }
    match connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // A queue that is full is somebody's.
        Ok(_) | Err(_) => {
            let problem = format!("another process listens at {}", path.display());
            Err(io::Error::new(ErrorKind::AddrInUse, problem))
        }
    }
}

/// Lets everybody connect. The file is asked and changed through one handle: a link that somebody puts in its place
/// leads nowhere.
fn open_to_all(path: &Path) -> io::Result<(u64, u64)> {
    let handle = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&handle)?;
    if !FileType::from_raw_mode(stat.st_mode).is_socket() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    rustix::fs::chmodat(CWD, by_handle(&handle), OPEN_TO_ALL, rustix::fs::AtFlags::empty())?;
    Ok((stat.st_dev, stat.st_ino))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Connects, without waiting for room in the queue. The socket does not block.
///
/// # Errors
///
/// The system's; `ConnectionRefused` if nobody listens, `WouldBlock` if too many wait.
pub(crate) fn connect(path: &Path) -> io::Result<OwnedFd> {
    let address = Address::of(path)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    net::connect(&socket, &address.socket)?;
    Ok(socket)
}

/// The address of a path. One that is too long for an address goes by a handle of its directory.
struct Address {
    socket: SocketAddrUnix,
    _dir: Option<OwnedFd>,
}

impl Address {
    fn of(path: &Path) -> io::Result<Self> {
        match SocketAddrUnix::new(path) {
            Err(Errno::NAMETOOLONG) => Self::by_directory(path),
            socket => Ok(Self { socket: socket?, _dir: None }),
        }
    }

    fn by_directory(path: &Path) -> io::Result<Self> {
        let (dir, name) = path.parent().zip(path.file_name()).ok_or(ErrorKind::InvalidInput)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(dir, flags, Mode::empty())?;
        Ok(Self { socket: SocketAddrUnix::new(by_handle(&dir).join(name))?, _dir: Some(dir) })
    }
}

fn by_handle(handle: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}
