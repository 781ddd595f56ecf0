//! Reaching a server within a deadline, whatever a name server or a file system does; and what keeps us from it, in words.

use super::failed;
use crate::system_error::{own_fault, plain};
use crate::tls;
use healthcheck_core::alerts::Outcome;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How much longer is waited, so that what hindered it can be told.
const SLACK: Duration = Duration::from_millis(300);
/// So many attempts may hang beyond their deadline, in a name server or on a dead mount.
const MAX_STUCK: usize = 3;
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// The attempts of one channel. What may hang, the secrets' files too, is on a thread of its own, which is left behind
/// at the deadline.
#[derive(Debug, Default)]
pub(super) struct Attempts(Arc<AtomicUsize>);

impl Attempts {
    pub(super) fn within<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Outcome> {
        let (tell, told) = mpsc::channel();
        let under_way = UnderWay::begin(&self.0)?;
        let work = move || {
            let result = work();
            drop(under_way);
            // Whoever waited may have gone.
            let _ = tell.send(result);
        };
        let started = thread::Builder::new().name("attempt".to_owned()).spawn(work);
        started.map_err(|error| failed(format!("cannot start a thread: {}", in_words(&error))))?;
        told.recv_timeout(deadline + SLACK).map_err(|error| match error {
            RecvTimeoutError::Timeout => failed(too_late(deadline)),
            RecvTimeoutError::Disconnected => failed("the attempt broke off"),
        })
    }
}

/// Counts an attempt until it has truly ended.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(count: &Arc<AtomicUsize>) -> Result<Self, Outcome> {
        if count.load(Ordering::Relaxed) >= MAX_STUCK {
            return Err(failed(format!(
                "{MAX_STUCK} attempts still hang: does a name server or a mount not answer?"
            )));
        }
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Self(count.clone()))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A name that leads nowhere.
#[derive(Debug)]
pub(super) struct Nameless(io::Error);

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its name leads to no address: ")?;
        let text = in_words(&self.0);
        f.write_str(text.rsplit(": ").next().unwrap_or_default())
    }
}

impl StdError for Nameless {}

/// Looked up in this very thread: nobody waits for it beyond the deadline.
pub(super) fn addresses(place: impl ToSocketAddrs) -> Result<Vec<SocketAddr>, Nameless> {
    Ok(place.to_socket_addrs().map_err(Nameless)?.take(MAX_ADDRESSES).collect())
}

pub(super) fn too_late(deadline: Duration) -> String {
    format!("no answer within {} s", deadline.as_secs_f32())
}

pub(super) fn in_words(error: &io::Error) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::in_words(error);
    }
    if let Some(problem) = own_fault(error) {
        return problem;
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused: nobody listens there".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
        ErrorKind::UnexpectedEof => "the connection was closed before the answer".to_owned(),
        _ => plain(error),
    }
}
