//! A question to a REP or ROUTER socket: whether the application answers, not only its library.

use super::reach::Peer;
use super::{Deadline, THREAD_OF_QUESTIONS, connected, unavailable};
use ::zmq::Error;
use healthcheck_core::{Echo, ProbeError};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

pub(super) async fn ask(peer: Peer, text: &[u8], deadline: Deadline) -> Result<Echo, ProbeError> {
    let (left, text) = (deadline.left(), text.to_vec());
    let failed = unavailable(format!("the question to {peer} could not be asked"));
    let asked = tokio::task::spawn_blocking(move || exchange(&peer, &text, left));
    match timeout_at(deadline.at, asked).await {
        Ok(answer) => answer.unwrap_or(Err(failed)),
        Err(_) => Ok(Echo::TimedOut(left)),
    }
}

/// It ends by itself when its time is over, whoever waits for it.
fn exchange(peer: &Peer, text: &[u8], timeout: Duration) -> Result<Echo, ProbeError> {
    let until = Instant::now() + timeout;
    let socket = connected(::zmq::REQ, peer, |socket| socket.set_affinity(THREAD_OF_QUESTIONS))?;
    let send = |left| {
        socket.set_sndtimeo(left)?;
        socket.send(text, 0)
    };
    let receive = |left| {
        socket.set_rcvtimeo(left)?;
        socket.recv_msg(0).map(drop)
    };
    match within(until, send).and_then(|()| within(until, receive)) {
        Ok(()) => Ok(Echo::Answered),
        Err(Error::EAGAIN) => Ok(Echo::TimedOut(timeout)),
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
