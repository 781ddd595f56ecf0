//! HTTP and HTTPS: what a web server answers, and how long its certificate is still valid.

use super::connect::{self, NO_NAME_SERVER, bare, plain, unanswered, unresolved};
use super::paths::follow;
use super::threads::{Unfinished, finish};
use crate::tls::{self, Expiry, NoAuthorities, TlsConnector};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use healthcheck_core::{HttpAnswer, HttpFacts, ProbeError, ProbeFacts, ProbeKind, Unanswered};
use percent_encoding::percent_decode_str;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use ureq::config::{Config, RedirectAuthHeaders};
use ureq::http::{Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout, TcpConnector};
use ureq::{Agent, Body};

/// What of a body is read.
const MAX_BODY_BYTES: u64 = 256 * 1024;
const MAX_REDIRECTS: u32 = 3;

/// What is asked of a web server.
#[derive(Clone)]
pub(crate) struct Question {
    /// With user and password, if it has to have them: they are sent, and never shown.
    pub(crate) url: String,
    /// The status that it must answer; otherwise any from 200 to 299.
    pub(crate) status: Option<u16>,
    /// What must be in the body.
    pub(crate) body: Option<String>,
    /// The only authorities that are trusted, instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// With less than this left it is a warning.
    pub(crate) certificate_wanted: Duration,
}

/// Asks, and follows up to three redirects, except where a redirect is the answer that is wanted.
pub(crate) async fn look(question: &Question, timeout: Duration) -> Result<ProbeFacts, ProbeError> {
    let deadline = Instant::now() + timeout;
    let problem = |why: &str| ProbeError::of(ProbeKind::Http, why);
    if let Some(path) = &question.ca_file {
        let reached = follow(path, deadline, || ()).await;
        reached.map_err(|why| problem(&format!("cannot use ca_file {}: {}", path.display(), why.why())))?;
    }
    let (asked, expiry, names) = (question.clone(), Expiry::default(), Names::default());
    let (certificate_wanted, seen, named) = (question.certificate_wanted, expiry.clone(), names.clone());
    let answer = match finish(deadline, move || ask(&asked, timeout, seen, named)).await {
        Ok(answer) => answer?,
        Err(Unfinished::NoThread(why)) => return Err(problem(why)),
        Err(Unfinished::Stuck) if names.are_asked_for() => return Err(problem(NO_NAME_SERVER)),
        Err(Unfinished::Stuck) => Err(Unanswered::TimedOut(timeout)),
    };
    let place = place(&question.url);
    Ok(ProbeFacts::Http(HttpFacts { place, answer, certificate_left: expiry.left(), certificate_wanted }))
}

/// The URL without user, password and question. A password that is not escaped may have a slash in it, so whatever
/// stands before the last `@` is hidden.
fn place(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = plain.split_once("://").unwrap_or(("", plain));
    let rest = match rest.rsplit_once('@') {
        Some((login, place)) if login.contains('/') => format!("***@{place}"),
        Some((_, place)) => place.to_owned(),
        None => rest.to_owned(),
    };
    health_reporter::bounded(&format!("{scheme}://{rest}"), 128)
}

fn ask(
    question: &Question,
    timeout: Duration,
    expiry: Expiry,
    names: Names,
) -> Result<Result<HttpAnswer, Unanswered>, ProbeError> {
    let answered = request(question, timeout, expiry, names).and_then(|response| read(question, response));
    match answered {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) => silence(error, timeout).map(Err),
    }
}

fn request(
    question: &Question,
    timeout: Duration,
    expiry: Expiry,
    names: Names,
) -> Result<Response<Body>, ureq::Error> {
    let connector = TcpConnector::default().chain(TlsConnector::new(question.ca_file.clone(), expiry));
    let agent = Agent::with_parts(config(question, timeout), connector, names);
    let (url, login) = without_login(&question.url);
    let request = agent.get(url);
    match login {
        Some(login) => request.header("authorization", login).call(),
        None => request.call(),
    }
}

fn config(question: &Question, timeout: Duration) -> Config {
    let is_redirect_wanted = question.status.is_some_and(|status| (300..400).contains(&status));
    Config::builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(if is_redirect_wanted { 0 } else { MAX_REDIRECTS })
        .max_redirects_will_error(!is_redirect_wanted)
        .redirect_auth_headers(RedirectAuthHeaders::Never)
        // A connection that was used may be closed by the time that a redirect would use it again.
        .max_idle_connections(0)
        .proxy(None)
        .user_agent(concat!("healthcheck/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The URL without user and password, and what is sent for them.
fn without_login(url: &str) -> (String, Option<String>) {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let Some((login, host)) = authority.rsplit_once('@') else { return (url.to_owned(), None) };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let mut plain: Vec<u8> = percent_decode_str(user).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    (format!("{scheme}{host}{path}"), Some(format!("Basic {}", BASE64_STANDARD.encode(plain))))
}

/// The whole body has to come, as far as it is read, within the time.
fn read(question: &Question, mut response: Response<Body>) -> Result<HttpAnswer, ureq::Error> {
    let mut body = Vec::new();
    response.body_mut().as_reader().take(MAX_BODY_BYTES).read_to_end(&mut body)?;
    let has = |text: &&String| String::from_utf8_lossy(&body).contains(text.as_str());
    let body_lacks = question.body.as_ref().filter(|text| !has(text)).cloned();
    Ok(HttpAnswer { status: response.status().as_u16(), status_wanted: question.status, body_lacks })
}

/// What the lack of an answer shows, without a word of the URL: it may have secrets in it.
fn silence(error: ureq::Error, timeout: Duration) -> Result<Unanswered, ProbeError> {
    use ureq::Error;
    let failed = |text: &str| Ok(Unanswered::Failed(text.to_owned()));
    match error {
        Error::Timeout(_) => Ok(Unanswered::TimedOut(timeout)),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => Ok(Unanswered::Tls(tls::in_words(error))),
            None => unanswered(ProbeKind::Http, &error, timeout),
        },
        Error::Other(error) => obstacle(error.as_ref()),
        Error::HostNotFound => Ok(Unanswered::Unresolved("no address".to_owned())),
        Error::TooManyRedirects => Ok(Unanswered::Failed(format!("more than {MAX_REDIRECTS} redirects"))),
        Error::LargeResponseHeader(_, limit) => {
            Ok(Unanswered::Failed(format!("its headers are larger than {} KiB", limit / 1024)))
        }
        Error::Http(_) | Error::BadUri(_) => failed("the URL is none that can be asked"),
        Error::Protocol(error) => failed(in_words(&error.to_string())),
        _ => failed("it could not be asked"),
    }
}

/// What of HTTP's rules was broken; the error's own words may quote the server.
fn in_words(error: &str) -> &'static str {
    if error.contains("location") {
        "it redirects to nowhere"
    } else if error.contains("too many headers") {
        "it sends too many headers"
    } else {
        "its answer is not HTTP"
    }
}

/// A name that leads nowhere, as our own part of the conversation found.
#[derive(Debug)]
struct Nameless(io::Error);

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.0))
    }
}

impl StdError for Nameless {}

fn obstacle(error: &(dyn StdError + Send + Sync + 'static)) -> Result<Unanswered, ProbeError> {
    if let Some(Nameless(error)) = error.downcast_ref() {
        return unresolved(ProbeKind::Http, error);
    }
    match error.downcast_ref::<NoAuthorities>() {
        Some(problem) => Err(ProbeError::of(ProbeKind::Http, problem.to_string())),
        None => Ok(Unanswered::Failed("it could not be asked".to_owned())),
    }
}

/// Names, looked up in this very thread: nobody waits for it beyond the time-out. Knows whether it is just at that.
#[derive(Debug, Clone, Default)]
struct Names(Arc<AtomicBool>);

impl Names {
    fn are_asked_for(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let host = bare(uri.host().unwrap_or_default());
        self.0.store(true, Ordering::Relaxed);
        let found = connect::addresses(host, uri.port_u16().unwrap_or(default));
        self.0.store(false, Ordering::Relaxed);
        let found = found.map_err(|error| ureq::Error::Other(Nameless(error).into()))?;
        let mut addresses = self.empty();
        found.into_iter().for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

#[cfg(test)]
mod tests;
