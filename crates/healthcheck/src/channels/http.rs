//! One request to a server, within a deadline: no redirects, nothing unbounded, and what became of it.

mod answer;
mod failure;
mod proxy;

use super::reach::{self, Attempts};
use super::{failed, refused};
use crate::secret::{Address, Secret};
use crate::tls::{Expiry, TlsConnector, bare};
use answer::About;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use health_reporter::directory::Environment;
use healthcheck_core::alerts::Outcome;
use percent_encoding::percent_decode_str;
use proxy::Proxies;
use serde_json::Value;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::{Method, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectProxyConnector, Connector, NextTimeout, SocksConnector, TcpConnector,
};
use ureq::{Agent, Proxy};

/// How long a server has for everything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
const MAX_BODY_BYTES: u64 = 64 * 1024;
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// A part of a secret address that is shorter is a word of its service's, not a secret.
const MIN_SECRET_PART: usize = 8;

/// What is asked of a server. It has secrets in it, and so no `Debug`.
pub(super) struct Request {
    method: Method,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// What must not be shown, wherever it comes from.
    secrets: Vec<String>,
    /// Who is asked, where that may be shown.
    place: Option<String>,
    /// The keys of the configuration that decide who we are for the server.
    login_keys: &'static str,
    /// Whether an answer comes from such a server as is meant.
    is_known: Option<fn(&[u8]) -> bool>,
}

impl Request {
    /// To an address that may be shown, as far as it names a host.
    pub(super) fn to(method: Method, url: &str) -> Result<Self, Outcome> {
        let uri = checked(url).map_err(|why| refused(format!("url {why}")))?;
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
        let request = Self { place: Some(format!("{host}{port}")), ..Self::plain(method, url) };
        Ok(secret_parts(uri.query().unwrap_or_default()).fold(request, Self::hiding))
    }

    /// To an address of which nothing may be shown.
    pub(super) fn to_secret(method: Method, secret: &Secret) -> Result<Self, Outcome> {
        let url = secret.read().map_err(failed)?;
        checked(&url).map_err(|why| failed(format!("the URL in {secret} {why}")))?;
        let after_host = url.splitn(4, '/').nth(3).unwrap_or_default();
        let request = Self::plain(method, &url).hiding(&url).hiding(after_host);
        Ok(secret_parts(after_host).fold(request, Self::hiding))
    }

    pub(super) fn to_address(method: Method, address: &Address) -> Result<Self, Outcome> {
        match address {
            Address::Shown(url) => Self::to(method, &url.0),
            Address::Hidden(secret) => Self::to_secret(method, secret),
        }
    }

    fn plain(method: Method, url: &str) -> Self {
        let (url, login) = without_login(url);
        let request = Self {
            method,
            url,
            headers: Vec::new(),
            body: Vec::new(),
            secrets: Vec::new(),
            place: None,
            login_keys: "the login",
            is_known: None,
        };
        match login {
            Some((user, password)) => request.logging_in(&user, &password),
            None => request,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    pub(super) fn query(mut self, query: &str) -> Self {
        self.url.push(if self.url.contains('?') { '&' } else { '?' });
        self.url.push_str(query);
        self
    }

    /// With a user and a password.
    pub(super) fn logging_in(self, user: &str, password: &str) -> Self {
        let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let header = format!("Basic {login}");
        self.hiding(password).hiding(&login).header("authorization", header)
    }

    pub(super) fn body(mut self, kind: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", kind.to_owned())
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().into_bytes())
    }

    pub(super) fn hiding(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// For a server that does not know us: where to look.
    pub(super) fn login_keys(self, login_keys: &'static str) -> Self {
        Self { login_keys, ..self }
    }

    /// Only an answer of such a server is believed: whoever sits between may accept anything.
    pub(super) fn known_by(self, is_known: fn(&[u8]) -> bool) -> Self {
        Self { is_known: Some(is_known), ..self }
    }
}

/// Whether an answer may be one of a program: whoever sits between and wants a login shows a page.
pub(super) fn is_no_page(answer: &[u8]) -> bool {
    answer.trim_ascii_start().first() != Some(&b'<')
}

/// What of an address may be a secret by itself.
fn secret_parts(address: &str) -> impl Iterator<Item = &str> {
    address.split(['/', '?', '&', '=', '#']).filter(|part| part.len() >= MIN_SECRET_PART)
}

/// What is wrong with a URL, without a word of it.
fn checked(url: &str) -> Result<Uri, &'static str> {
    let uri: Uri =
        without_login(url).0.parse().map_err(|_| "is none: it must be one line such as https://host/path")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("must begin with https:// or http://");
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    Ok(uri)
}

/// The URL without user and password, and those.
fn without_login(url: &str) -> (String, Option<(String, String)>) {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let Some((login, host)) = authority.rsplit_once('@') else { return (url.to_owned(), None) };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    (format!("{scheme}{host}{path}"), Some((decoded(user), decoded(password))))
}

/// How servers are reached. Each channel has its own, so that none waits for another.
#[derive(Debug)]
pub(crate) struct Client {
    way: Arc<Way>,
    attempts: Attempts,
}

#[derive(Debug)]
struct Way {
    deadline: Duration,
    /// The only authorities that are trusted, instead of the system's.
    ca_file: Option<PathBuf>,
    proxies: Proxies,
}

impl Client {
    pub(crate) fn new(env: &Environment, ca_file: Option<PathBuf>, deadline: Duration) -> Self {
        let way = Way { deadline, ca_file, proxies: Proxies::of(env) };
        Self { way: Arc::new(way), attempts: Attempts::default() }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.way.deadline
    }

    /// Tries once. It is over at the deadline, whatever the server, a name server or a file system does.
    pub(super) fn send(
        &self,
        prepare: impl FnOnce() -> Result<Request, Outcome> + Send + 'static,
    ) -> Outcome {
        let way = self.way.clone();
        let work = move || prepare().map_or_else(|outcome| outcome, |request| way.perform(request));
        self.attempts.within(self.deadline(), work).unwrap_or_else(|outcome| outcome)
    }
}

impl Way {
    fn perform(&self, mut request: Request) -> Outcome {
        let secrets = std::mem::take(&mut request.secrets);
        let place = request.place.take();
        let outcome = self.exchange(request, &secrets).unwrap_or_else(|outcome| outcome);
        answer::told(outcome, place.as_deref(), &secrets)
    }

    fn exchange(&self, request: Request, secrets: &[String]) -> Result<Outcome, Outcome> {
        let Request { method, url, headers, body, login_keys, is_known, .. } = request;
        let agent = self.agent(&url)?;
        let mut built = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            built = built.header(name, value);
        }
        // Of what we send only a secret or a URL can be no header.
        let unsendable = || refused(format!("what is configured cannot be sent: check {login_keys}"));
        let request = built.body(body).map_err(|_| unsendable())?;
        let mut response = agent.run(request).map_err(|error| failure::outcome(error, self.deadline))?;
        let mut body = Vec::new();
        // What a server says beside an acceptance is of no interest, unless it has to prove who it is.
        if !response.status().is_success() || is_known.is_some() {
            // What did not come is not shown.
            let _ = response.body_mut().as_reader().take(MAX_BODY_BYTES).read_to_end(&mut body);
        }
        let about = About { login_keys, is_known, secrets };
        Ok(answer::outcome(response.status().as_u16(), response.headers(), &body, &about))
    }

    fn agent(&self, url: &str) -> Result<Agent, Outcome> {
        let config = Config::builder()
            .timeout_global(Some(self.deadline))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEADER_BYTES)
            // A server may have closed it by the next time, and then it is not known what it has taken.
            .max_idle_connections(0)
            .proxy(self.proxies.proxy(url)?)
            .user_agent(concat!("healthcheck/", env!("CARGO_PKG_VERSION")))
            .build();
        let tls = TlsConnector::new(self.ca_file.clone(), Expiry::default());
        let tcp = ().chain(SocksConnector::default()).chain(ConnectProxyConnector::default());
        Ok(Agent::with_parts(config, tcp.chain(TcpConnector::default()).chain(tls), Names))
    }
}

/// Names, looked up in this very thread: nobody waits for it beyond the deadline.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let is_proxy = config.proxy().map(Proxy::uri) == Some(uri);
        let default = match uri.scheme_str() {
            Some("https") => 443,
            Some(scheme) if scheme.starts_with("socks") && is_proxy => 1080,
            _ => 80,
        };
        let host = bare(uri.host().unwrap_or_default());
        let found = reach::addresses((host, uri.port_u16().unwrap_or(default)));
        let mut addresses = self.empty();
        let found = found.map_err(|error| ureq::Error::Other(error.into()))?;
        found.into_iter().for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}
