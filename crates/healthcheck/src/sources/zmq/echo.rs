//! A question to a REP or ROUTER socket: whether the application answers, not only its library.

use super::reach::Peer;
use super::{Deadline, MAX_ANSWER_BYTES, THREAD_OF_QUESTIONS, connected, unavailable};
use crate::sources::threads::{Unfinished, finish};
use ::zmq::Error;
use healthcheck_core::{Echo, ProbeError};
use std::time::Instant;

/// That no thread was free to ask is not the peer's silence.
pub(super) async fn ask(peer: Peer, text: &[u8], deadline: Deadline) -> Result<Echo, ProbeError> {
    let (left, text) = (deadline.left(), text.to_vec());
    let failed = |why: &str| unavailable(format!("cannot ask {peer}: {why}"));
    let (asked, until) = (peer.clone(), deadline.at.into_std());
    match finish(deadline.at, move || exchange(&asked, &text, until)).await {
        Ok(Ok(true)) => Ok(Echo::Answered),
        Ok(Ok(false)) | Err(Unfinished::Stuck) => Ok(Echo::TimedOut(left)),
        Ok(Err(error)) => Err(error),
        Err(Unfinished::NoThread(why)) => Err(failed(why)),
    }
}

/// Whether it answers in time.
fn exchange(peer: &Peer, text: &[u8], until: Instant) -> Result<bool, ProbeError> {
    let socket = connected(::zmq::REQ, peer, |socket| {
        socket.set_maxmsgsize(MAX_ANSWER_BYTES)?;
        socket.set_affinity(THREAD_OF_QUESTIONS)
    })?;
    let send = |left| {
        socket.set_sndtimeo(left)?;
        socket.send(text, 0)
    };
    let receive = |left| {
        socket.set_rcvtimeo(left)?;
        socket.recv_msg(0).map(drop)
    };
    match within(until, send).and_then(|()| within(until, receive)) {
        Ok(()) => Ok(true),
        Err(Error::EAGAIN) => Ok(false),
        Err(error) => Err(unavailable(format!("cannot ask {peer}: {error}"))),
    }
}

/// Does it with the milliseconds that are left, again where a signal interrupted it.
fn within(until: Instant, mut act: impl FnMut(i32) -> Result<(), Error>) -> Result<(), Error> {
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        match act(i32::try_from(left).unwrap_or(i32::MAX)) {
            Err(Error::EINTR) => {}
            done => return done,
        }
    }
}
