//! Listens at a PUB or XPUB socket, only to know when the last message came.

use super::reach::Peer;
use super::{Deadline, Endpoint, THREAD_OF_LISTENERS, connected, meet, unavailable};
use ::zmq::{DONTWAIT, Error, POLLIN, PollItem, Socket, poll};
use health_reporter::clock;
use healthcheck_core::{ProbeError, Silence, ZmqSight};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How long the handshake at the beginning may take.
const HANDSHAKE: Duration = Duration::from_secs(1);

/// How many messages may wait for us here.
const MAX_WAITING: i32 = 16;
/// So many are taken before it is looked whether this is the end.
const PORTION: usize = 1000;

/// A publisher that went away is looked for again after so many milliseconds, more and more slowly.
const RECONNECT_MS: i32 = 250;
const RECONNECT_MAX_MS: i32 = 2000;
/// A publisher whose machine vanished is noticed after so many seconds, and then connected to anew.
const KEEPALIVE_IDLE_S: i32 = 30;
const KEEPALIVE_INTERVAL_S: i32 = 10;
const KEEPALIVE_COUNT: i32 = 3;

/// Subscribed to everything that a publisher sends. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Listener {
    /// When the last message came, or else listening began: nanoseconds of `CLOCK_BOOTTIME`.
    heard_ns: Arc<AtomicU64>,
    /// Closing it wakes the thread for the last time.
    bell: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Begins to listen, if there is a publisher now. It takes the time of a handshake, at most a second.
    pub(crate) fn start(endpoint: &Endpoint) -> Result<Self, ProbeError> {
        let problem = |error| unavailable(format!("cannot listen at {endpoint}: {error}"));
        let socket = subscribed(&publisher(endpoint)?)?;
        let heard_ns = Arc::new(AtomicU64::new(now_ns()));
        let (bell, rung) = UnixStream::pair().map_err(problem)?;
        let heard = Arc::clone(&heard_ns);
        let listening = Builder::new().name("zmq-listener".to_owned());
        let thread = listening.spawn(move || listen(&socket, &rung, &heard)).map_err(problem)?;
        Ok(Self { heard_ns, bell: Some(bell), thread: Some(thread) })
    }

    /// How long no message came.
    pub(crate) fn silence(&self, max: Duration) -> Silence {
        let heard = Duration::from_nanos(self.heard_ns.load(Ordering::Relaxed));
        Silence { lasted: clock::boottime().saturating_sub(heard), max }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.bell.take());
        if let Some(thread) = self.thread.take() {
            // Whatever it ended by, it ended.
            let _ = thread.join();
        }
    }
}

/// Where a publisher is. All others are refused: at a PUSH socket, listening takes the messages away from others.
fn publisher(endpoint: &Endpoint) -> Result<Peer, ProbeError> {
    match shake_hands(endpoint)? {
        (ZmqSight::Alive { socket: Some(socket), .. }, Some(peer)) if socket == "PUB" || socket == "XPUB" => {
            Ok(peer)
        }
        (ZmqSight::Alive { socket: Some(socket), .. }, _) => {
            Err(unavailable(format!("{endpoint} is {socket}: only PUB and XPUB can be listened at")))
        }
        (ZmqSight::Alive { mechanism, .. }, _) => {
            Err(unavailable(format!("{endpoint} does not show its type under {mechanism}: no listening")))
        }
        _ => Err(unavailable(format!("nobody to listen to at {endpoint} yet"))),
    }
}

/// In a thread of its own: the caller may be one that drives other looks, where nothing else may be driven.
fn shake_hands(endpoint: &Endpoint) -> Result<(ZmqSight, Option<Peer>), ProbeError> {
    let failed = || unavailable(format!("cannot shake hands with {endpoint}"));
    let at = endpoint.clone();
    let shaking = Builder::new().spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let met = runtime.block_on(async { meet(&at, Deadline::after(HANDSHAKE)).await });
        // Not waiting for a resolver that does not answer.
        runtime.shutdown_background();
        Some(met)
    });
    let met = shaking.map_err(|_| failed())?.join();
    met.ok().flatten().ok_or_else(failed)?
}

fn subscribed(peer: &Peer) -> Result<Socket, ProbeError> {
    connected(::zmq::SUB, peer, |socket| {
        socket.set_affinity(THREAD_OF_LISTENERS)?;
        socket.set_rcvhwm(MAX_WAITING)?;
        socket.set_reconnect_ivl(RECONNECT_MS)?;
        socket.set_reconnect_ivl_max(RECONNECT_MAX_MS)?;
        socket.set_tcp_keepalive(1)?;
        socket.set_tcp_keepalive_idle(KEEPALIVE_IDLE_S)?;
        socket.set_tcp_keepalive_intvl(KEEPALIVE_INTERVAL_S)?;
        socket.set_tcp_keepalive_cnt(KEEPALIVE_COUNT)?;
        socket.set_subscribe(b"")
    })
}

/// Takes what comes as soon as it comes, so that no publisher has to keep it for us.
fn listen(socket: &Socket, rung: &UnixStream, heard_ns: &AtomicU64) {
    let mut message = ::zmq::Message::new();
    loop {
        let mut items = [socket.as_poll_item(POLLIN), PollItem::from_fd(rung.as_raw_fd(), POLLIN)];
        match poll(&mut items, -1) {
            Err(Error::EINTR) => continue,
            Err(_) => return,
            Ok(_) if items[1].is_readable() || items[1].is_error() => return,
            Ok(_) => {}
        }
        let mut portion = 0..PORTION;
        if socket.recv(&mut message, DONTWAIT).is_ok() {
            heard_ns.store(now_ns(), Ordering::Relaxed);
        }
        while portion.next().is_some() && socket.recv(&mut message, DONTWAIT).is_ok() {}
    }
}

fn now_ns() -> u64 {
    u64::try_from(clock::boottime().as_nanos()).unwrap_or(u64::MAX)
}
