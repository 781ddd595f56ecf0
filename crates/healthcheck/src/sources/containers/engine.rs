//! One question to an engine over its Unix socket.

use crate::sources::connect::plain;
use crate::sources::paths;
use crate::sources::threads::{Unfinished, finish};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::io::Errno;
use serde::Deserialize;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::{StatusCode, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

const MAX_ANSWER_BYTES: u64 = 1024 * 1024;
const LITERAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the engine says of the container, or nothing if it has none of this name.
pub(super) async fn ask(socket: &Path, name: &str, timeout: Duration) -> Result<Option<Vec<u8>>, String> {
    let deadline = Instant::now() + timeout;
    let silent = || format!("the engine did not answer within {} s", timeout.as_secs_f64());
    let connected = paths::connect(socket, deadline).await.map_err(str::to_owned)?;
    let stream = connected.and_then(blocking).map_err(|error| why_not_connected(&error))?;
    let url = format!("http://engine/containers/{}/json", utf8_percent_encode(name, LITERAL));
    match finish(deadline, move || exchange(stream, &url, timeout)).await {
        Ok(Ok((status, body))) => judge(status, body),
        Ok(Err(ureq::Error::Timeout(_))) | Err(Unfinished::Stuck) => Err(silent()),
        Ok(Err(error)) => Err(why_not_answered(error)),
        Err(Unfinished::NoThread(why)) => Err(why.to_owned()),
    }
}

/// Connected where it cannot block for ever, as it would at an engine that accepts nobody.
fn blocking(stream: UnixStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn why_not_connected(error: &io::Error) -> String {
    let cure = match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::CONNREFUSED) => {
            "start the container engine, or set DOCKER_HOST=unix:///path"
        }
        Some(Errno::ACCESS | Errno::PERM) => {
            "let this user talk to the engine, by the group docker for instance"
        }
        Some(Errno::AGAIN) => "the engine accepts no more connections",
        Some(Errno::MFILE) => "raise LimitNOFILE or ulimit -n",
        _ => return plain(error),
    };
    format!("{}: {cure}", plain(error))
}

fn why_not_answered(error: ureq::Error) -> String {
    match error {
        ureq::Error::BodyExceedsLimit(limit) => format!("its answer is larger than {} KiB", limit / 1024),
        ureq::Error::Io(error) => format!("it hung up: {}", plain(&error)),
        _ => "its answer is not that of a container engine".to_owned(),
    }
}

fn judge(status: StatusCode, body: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
    /// As it is in each of an engine's errors.
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "message")]
        _message: String,
    }
    match status {
        StatusCode::OK => Ok(Some(body)),
        StatusCode::NOT_FOUND if serde_json::from_slice::<Refusal>(&body).is_ok() => Ok(None),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
            Err(format!("it answers {}: let this user ask the engine", status.as_u16()))
        }
        _ => Err(format!("it answers {}: is it a container engine, and well?", status.as_u16())),
    }
}

fn exchange(stream: UnixStream, url: &str, timeout: Duration) -> Result<(StatusCode, Vec<u8>), ureq::Error> {
    let config = Config::builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("healthcheck/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = Agent::with_parts(config, Socket(Mutex::new(Some(stream))), Nowhere);
    let mut response = agent.get(url).header("connection", "close").call()?;
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec()?;
    Ok((response.status(), body))
}

/// The engine has no address: it is connected to already.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(addresses)
    }
}

/// Gives its connection to the one who asks first.
#[derive(Debug)]
struct Socket(Mutex<Option<UnixStream>>);

impl Connector for Socket {
    type Out = SocketTransport;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<SocketTransport>, ureq::Error> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(stream.map(|stream| SocketTransport { stream, buffers: LazyBuffers::new(input, output) }))
    }
}

#[derive(Debug)]
struct SocketTransport {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Transport for SocketTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.set_write_timeout(Some(patience(timeout)))?;
        self.stream.write_all(&self.buffers.output()[..amount]).map_err(|error| timed_out(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.set_read_timeout(Some(patience(timeout)))?;
        let amount = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| timed_out(error, timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        false
    }
}

/// No time at all would mean for ever.
fn patience(timeout: NextTimeout) -> Duration {
    (*timeout.after).clamp(Duration::from_millis(1), Duration::from_secs(3600))
}

fn timed_out(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => ureq::Error::Io(error),
    }
}
