//! ZMQ endpoints: whether somebody is there, what it is, whether it answers, and how long it said nothing.

mod echo;
mod handshake;
mod listener;
mod reach;
#[cfg(test)]
mod tests;

pub(crate) use listener::Listener;

use healthcheck_core::{ProbeError, ProbeFacts, ProbeKind, ZmqFacts, ZmqSight};
use reach::{Missed, Peer};
use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::Instant;

/// Where a ZMQ socket listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `host:port`; an IPv6 address is in brackets.
    Tcp(String),
    /// A path, or `@name` in the abstract namespace.
    Ipc(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
        }
    }
}

/// What is asked of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) endpoint: Endpoint,
    /// The socket type that it must have, as ZMTP names it; here it is only passed on.
    pub(crate) wanted: Option<String>,
    /// A message that a REP or ROUTER socket answers, with anything.
    pub(crate) echo: Option<Vec<u8>>,
}

/// Looks at an endpoint. The handshake ends before a ZMTP peer takes us for one, so that a PUSH peer sends us nothing.
pub(crate) async fn look(question: &Question, timeout: Duration) -> Result<ProbeFacts, ProbeError> {
    let deadline = Deadline::after(timeout);
    let (sight, peer) = meet(&question.endpoint, deadline).await?;
    let echo = match (&question.echo, &sight, peer) {
        (Some(text), ZmqSight::Alive { .. }, Some(peer)) => Some(echo::ask(peer, text, deadline).await?),
        _ => None,
    };
    Ok(ProbeFacts::Zmq(ZmqFacts {
        endpoint: question.endpoint.to_string(),
        wanted: question.wanted.clone(),
        sight,
        echo,
        silence: None,
    }))
}

/// Shakes hands: what is there, and where exactly that was.
async fn meet(endpoint: &Endpoint, deadline: Deadline) -> Result<(ZmqSight, Option<Peer>), ProbeError> {
    let (mut stream, peer) = match reach::connect(endpoint, deadline).await {
        Ok(connected) => connected,
        Err(Missed::Unanswered(why)) => return Ok((ZmqSight::Unreachable(why), None)),
        Err(Missed::NotLooked(error)) => return Err(error),
    };
    Ok((handshake::shake(stream.as_mut(), deadline).await, Some(peer)))
}

/// When a look must be over.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self { at: Instant::now() + timeout, timeout }
    }

    fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

fn unavailable(problem: impl Into<String>) -> ProbeError {
    ProbeError::of(ProbeKind::Zmq, problem)
}

/// The threads of libzmq: what each socket is bound to, because a slow resolver stops the thread that asks it.
const THREADS: i32 = 2;
const THREAD_OF_QUESTIONS: u64 = 0b01;
const THREAD_OF_LISTENERS: u64 = 0b10;

/// Larger messages end their connection, instead of filling our memory: those that are listened to may be large, an
/// answer need not be.
const MAX_MESSAGE_BYTES: i64 = 64 << 20;
const MAX_ANSWER_BYTES: i64 = 64 << 10;

/// The one context. It is never dropped, so that the end of the process waits for nothing of it.
static CONTEXT: LazyLock<::zmq::Context> = LazyLock::new(|| {
    let context = ::zmq::Context::new();
    // At worst there is one thread.
    let _ = context.set_io_threads(THREADS);
    context
});

/// A socket that is set up, and then connected to the peer; what it has not sent is lost when it is closed.
fn connected(
    kind: ::zmq::SocketType,
    peer: &Peer,
    set_up: impl Fn(&::zmq::Socket) -> ::zmq::Result<()>,
) -> Result<::zmq::Socket, ProbeError> {
    let address = peer.address()?;
    require_descriptors(peer)?;
    let connect = || {
        let socket = CONTEXT.socket(kind)?;
        socket.set_linger(0)?;
        socket.set_maxmsgsize(MAX_MESSAGE_BYTES)?;
        socket.set_ipv6(peer.is_ipv6())?;
        set_up(&socket)?;
        socket.connect(&address)?;
        Ok(socket)
    };
    connect().map_err(|error: ::zmq::Error| unavailable(format!("no ZMQ socket for {peer}: {error}")))
}

/// Libzmq ends the whole process where it finds no descriptor while it starts: so it is not asked to without some.
fn require_descriptors(peer: &Peer) -> Result<(), ProbeError> {
    const PAIRS: usize = 6;
    let spare: std::io::Result<Vec<_>> = (0..PAIRS).map(|_| UnixStream::pair()).collect();
    spare.map(drop).map_err(|error| unavailable(format!("no ZMQ socket for {peer}: {error}")))
}
