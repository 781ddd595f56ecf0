//! Connections to the members: HTTP/1.1, kept open, and TLS where they want it.

use super::EtcdError;
use super::words::Refusal;
use crate::tls;
use http_body_util::{BodyExt, Full, LengthLimitError};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The most that is read of an answer, and of a message of a watch.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Connections that are kept for the next question.
const MAX_IDLE: usize = 4;
const DEFAULT_PORT: u16 = 2379;

type Sender = SendRequest<Full<Bytes>>;

/// The connections to whichever member answers.
pub(super) struct Lines {
    endpoints: Vec<String>,
    ca_file: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    /// The member that is asked.
    current: Cell<usize>,
    idle: RefCell<Vec<Sender>>,
}

impl Lines {
    pub(super) fn to(
        endpoints: Vec<String>,
        ca_file: Option<PathBuf>,
        identity: Option<(PathBuf, PathBuf)>,
    ) -> Self {
        Self { endpoints, ca_file, identity, current: Cell::default(), idle: RefCell::default() }
    }

    pub(super) const fn members(&self) -> usize {
        self.endpoints.len()
    }

    pub(super) fn endpoint(&self) -> String {
        self.endpoints.get(self.current.get()).cloned().unwrap_or_default()
    }

    /// The next member; what is open to this one is given up.
    pub(super) fn turn_away(&self) {
        self.idle.borrow_mut().clear();
        self.current.set((self.current.get() + 1) % self.endpoints.len().max(1));
    }

    /// Asks the current member, and waits for so long.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &Value,
        token: Option<&str>,
        patience: Duration,
    ) -> Result<T, EtcdError> {
        let endpoint = self.endpoint();
        let asked = timeout(patience, self.exchange(&endpoint, path, question, token));
        let (status, answer) = asked.await.map_err(|_| too_late(&endpoint, patience))??;
        if status != StatusCode::OK {
            let refusal: Refusal = serde_json::from_slice(&answer).unwrap_or_default();
            return Err(refused(&endpoint, status, &refusal));
        }
        serde_json::from_slice(&answer).map_err(|error| garbled(&endpoint, &error))
    }

    /// Asks the current member, and leaves its answer to be read as it comes.
    pub(super) async fn stream(
        &self,
        path: &str,
        question: &Value,
        token: Option<&str>,
        patience: Duration,
    ) -> Result<Stream, EtcdError> {
        let endpoint = self.endpoint();
        let begun = async {
            let mut sender = self.connect(&endpoint).await?;
            let request = request(&endpoint, path, question, token)?;
            let answer = sender.send_request(request).await.map_err(|error| broken(&endpoint, &error))?;
            Ok((sender, answer))
        };
        let begun = timeout(patience, begun).await.map_err(|_| too_late(&endpoint, patience))?;
        let (sender, answer) = begun?;
        Stream::of(endpoint, sender, answer, patience).await
    }

    async fn exchange(
        &self,
        endpoint: &str,
        path: &str,
        question: &Value,
        token: Option<&str>,
    ) -> Result<(StatusCode, Bytes), EtcdError> {
        let kept = self.idle.borrow_mut().pop().filter(|sender| !sender.is_closed());
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect(endpoint).await?,
        };
        let request = request(endpoint, path, question, token)?;
        let answer = sender.send_request(request).await.map_err(|error| broken(endpoint, &error))?;
        let status = answer.status();
        let body = http_body_util::Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|error| unread(endpoint, &*error))?.to_bytes();
        if self.endpoint() == endpoint && self.idle.borrow().len() < MAX_IDLE {
            self.idle.borrow_mut().push(sender);
        }
        Ok((status, body))
    }

    async fn connect(&self, endpoint: &str) -> Result<Sender, EtcdError> {
        let uri: Uri = endpoint.parse().map_err(|error| EtcdError::unreachable(endpoint, error))?;
        let host = tls::bare(uri.host().unwrap_or_default()).to_owned();
        let place = (host.as_str(), uri.port_u16().unwrap_or(DEFAULT_PORT));
        let connected = TcpStream::connect(place).await;
        let tcp = connected.map_err(|error| EtcdError::unreachable(endpoint, error))?;
        // What is asked fits into one packet, and is waited for.
        let _ = tcp.set_nodelay(true);
        if uri.scheme_str() != Some("https") {
            return begin(endpoint, TokioIo::new(tcp)).await;
        }
        let name = ServerName::try_from(host).map_err(|error| EtcdError::unreachable(endpoint, error))?;
        let connector = TlsConnector::from(self.trust(endpoint)?);
        let encrypted = connector.connect(name, tcp).await;
        let encrypted = encrypted.map_err(|error| EtcdError::unreachable(endpoint, tls_words(&error)))?;
        begin(endpoint, TokioIo::new(encrypted)).await
    }

    fn trust(&self, endpoint: &str) -> Result<Arc<ClientConfig>, EtcdError> {
        let identity =
            self.identity.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        tls::config_of(self.ca_file.as_deref(), identity)
            .map_err(|error| EtcdError::unreachable(endpoint, error))
    }
}

async fn begin<T>(endpoint: &str, io: TokioIo<T>) -> Result<Sender, EtcdError>
where
    TokioIo<T>: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let (sender, connection) = handshake(io).await.map_err(|error| broken(endpoint, &error))?;
    // It ends with whoever sends through it, who hears of its errors.
    spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

fn request(
    endpoint: &str,
    path: &str,
    question: &Value,
    token: Option<&str>,
) -> Result<Request<Full<Bytes>>, EtcdError> {
    let uri: Uri = endpoint.parse().map_err(|error| EtcdError::unreachable(endpoint, error))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let body = Full::new(Bytes::from(question.to_string()));
    let request = Request::post(format!("/v3/{path}"))
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json");
    let request = token.into_iter().fold(request, |it, token| it.header(header::AUTHORIZATION, token));
    request.body(body).map_err(|error| EtcdError::unreachable(endpoint, error))
}

/// An answer that goes on, in lines.
pub(super) struct Stream {
    endpoint: String,
    /// The connection ends with it.
    _sender: Sender,
    body: Incoming,
    read: Vec<u8>,
}

impl Stream {
    async fn of(
        endpoint: String,
        sender: Sender,
        answer: Response<Incoming>,
        patience: Duration,
    ) -> Result<Self, EtcdError> {
        let (status, body) = (answer.status(), answer.into_body());
        if status != StatusCode::OK {
            let text = timeout(patience, http_body_util::Limited::new(body, MAX_BYTES).collect()).await;
            let text =
                text.ok().and_then(Result::ok).map_or_else(Bytes::new, http_body_util::Collected::to_bytes);
            return Err(refused(&endpoint, status, &serde_json::from_slice(&text).unwrap_or_default()));
        }
        Ok(Self { endpoint, _sender: sender, body, read: Vec::new() })
    }

    /// The next line, whenever it comes. Whoever stops to wait loses nothing.
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, EtcdError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.read[searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(searched + end + 1);
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            searched = self.read.len();
            if searched > MAX_BYTES {
                return Err(EtcdError::unreachable(&self.endpoint, "it sends a message of more than 16 MiB"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    frame.into_data().iter().for_each(|data| self.read.extend_from_slice(data));
                }
                Some(Err(error)) => return Err(broken(&self.endpoint, &error)),
                None => return Err(EtcdError::unreachable(&self.endpoint, "it ended the watch")),
            }
        }
    }

    pub(super) fn said(&self, code: i64, message: &str) -> EtcdError {
        EtcdError::said(&self.endpoint, code, message)
    }

    pub(super) fn garbled(&self, error: &serde_json::Error) -> EtcdError {
        garbled(&self.endpoint, error)
    }
}

fn refused(endpoint: &str, status: StatusCode, refusal: &Refusal) -> EtcdError {
    match refusal.words() {
        "" => EtcdError::unreachable(endpoint, format!("it answers {status}, not as etcd 3.4 or later does")),
        words => EtcdError::said(endpoint, refusal.code(), words),
    }
}

fn unread(endpoint: &str, error: &(dyn std::error::Error + Send + Sync + 'static)) -> EtcdError {
    match error.is::<LengthLimitError>() {
        true => EtcdError::too_large(endpoint, "it answers with more than 16 MiB"),
        false => EtcdError::unreachable(endpoint, error),
    }
}

fn garbled(endpoint: &str, error: &serde_json::Error) -> EtcdError {
    EtcdError::unreachable(endpoint, format!("it does not answer as etcd 3.4 or later does: {error}"))
}

fn too_late(endpoint: &str, patience: Duration) -> EtcdError {
    EtcdError::unreachable(endpoint, format!("no answer within {:.1} s", patience.as_secs_f64()))
}

fn broken(endpoint: &str, error: &hyper::Error) -> EtcdError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    EtcdError::unreachable(endpoint, format!("{error}{cause}"))
}

/// What is wrong with a certificate, as it is told everywhere.
fn tls_words(error: &std::io::Error) -> impl fmt::Display + use<> {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(|| error.to_string(), tls::in_words)
}
