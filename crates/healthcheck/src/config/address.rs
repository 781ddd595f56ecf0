//! Where things are: URLs, `host:port`, ZMQ endpoints; and how they are shown without what is secret in them.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::problems::Scope;

/// Shown in place of a secret.
pub(super) const MASK: &str = "***";
const POSTGRES: [&str; 2] = ["postgres", "postgresql"];

/// A URL; `Debug`, `Display` and serialisation show it masked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    whole: String,
    /// Its path is a secret as well.
    has_secret_path: bool,
}

impl Url {
    /// The whole URL, with what may be secret in it.
    pub(crate) fn expose(&self) -> &str {
        &self.whole
    }

    /// `host[:port]`, without what may be secret.
    pub(super) fn authority(&self) -> &str {
        let rest = self.whole.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, after)| after)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = mask(&self.whole);
        let path = masked.find("://").and_then(|at| Some(at + 3 + masked[at + 3..].find('/')?));
        match path.filter(|_| self.has_secret_path) {
            Some(path) => write!(f, "{}/{MASK}", &masked[..path]),
            None => f.write_str(&masked),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Hides user, password and query of anything that looks like a URL, or like one without its scheme. It hides
/// up to the last `@`, because an unescaped password may have `/`, `?` and `@` in it.
pub(crate) fn mask(text: &str) -> String {
    let (scheme, rest) = text.split_at(text.find("://").map_or(0, |at| at + 3));
    let with_login = |(login, _): &(&str, &str)| !scheme.is_empty() || login.contains(':');
    let after_login = rest.rsplit_once('@').filter(with_login).map(|(_, after)| after);
    let (login, rest) = after_login.map_or((String::new(), rest), |after| (format!("{MASK}@"), after));
    match rest.split_once('?') {
        Some((before, _)) if !scheme.is_empty() => format!("{scheme}{login}{before}?{MASK}"),
        _ => format!("{scheme}{login}{rest}"),
    }
}

/// A URL of one of the schemes.
pub(super) fn url(at: &Scope<'_>, text: &str, schemes: &[&str]) -> Option<Url> {
    match url_fault(text, schemes) {
        None => Some(Url { whole: text.to_owned(), has_secret_path: false }),
        Some(problem) => {
            at.refuse(
                text,
                problem,
                format!("write \"{}://host\", with :port and /path if needed", schemes[0]),
            );
            None
        }
    }
}

/// The same for a URL that is a secret as a whole: not even an error shows it.
pub(super) fn secret_url(at: &Scope<'_>, text: &str, schemes: &[&str]) -> Option<Url> {
    match url_fault(text, schemes) {
        None => Some(Url { whole: text.to_owned(), has_secret_path: true }),
        Some(problem) => {
            at.refuse_unshown(
                problem,
                format!("write {}://host, with :port and /path if needed", schemes[0]),
            );
            None
        }
    }
}

/// A URL of a PostgreSQL server, as libpq reads it: its host may be a directory with a socket, or none.
pub(super) fn postgres_url(at: &Scope<'_>, text: &str) -> Option<Url> {
    let is_postgres_host = |host: &str| host.is_empty() || is_socket_dir(host) || is_host(host);
    match url_fault_with(text, &POSTGRES, is_postgres_host) {
        None => Some(Url { whole: text.to_owned(), has_secret_path: false }),
        Some(problem) => {
            let cure = "write \"postgres://user@host:port/database\", or \"postgres://user@%2Frun%2Fpostgresql/database\" for a socket";
            at.refuse(text, problem, cure);
            None
        }
    }
}

/// A path, each of its slashes as `%2F`.
fn is_socket_dir(text: &str) -> bool {
    let is_one = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~' | b'%');
    text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%2f")) && text.bytes().all(is_one)
}

fn url_fault(text: &str, schemes: &[&str]) -> Option<String> {
    url_fault_with(text, schemes, is_host)
}

fn url_fault_with(text: &str, schemes: &[&str], is_host: impl Fn(&str) -> bool) -> Option<String> {
    let Some((_, rest)) = text.split_once("://").filter(|(scheme, _)| schemes.contains(scheme)) else {
        return Some(format!("is not a URL of {}", schemes.join(" or ")));
    };
    if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("has a blank or a control character in it".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, after)| after);
    authority_fault(host_port, is_host).map(str::to_owned)
}

fn authority_fault(host_port: &str, is_host: impl Fn(&str) -> bool) -> Option<&'static str> {
    let (host, port) = split_port(host_port);
    if !is_host(host) {
        return Some("names no host");
    }
    port.is_some_and(|port| !is_port(port)).then_some("has a port that is not 1 to 65535")
}

/// `host:port`, the host an IPv6 address in brackets, any other address or a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct HostPort(String);

impl HostPort {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) fn host_port(at: &Scope<'_>, text: &str, example: &str) -> Option<HostPort> {
    let problem = match split_port(text) {
        (host, Some(port)) if is_host(host) && is_port(port) => return Some(HostPort(text.to_owned())),
        (host, Some(_)) if is_host(host) => "has a port that is not 1 to 65535",
        _ => "is not host:port",
    };
    at.refuse(text, problem, format!("write \"{example}\""));
    None
}

/// A ZMQ endpoint to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ZmqEndpoint {
    Tcp(HostPort),
    Ipc(PathBuf),
}

impl fmt::Display for ZmqEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host_port) => write!(f, "tcp://{}", host_port.as_str()),
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
        }
    }
}

impl Serialize for ZmqEndpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn zmq_endpoint(at: &Scope<'_>, text: &str) -> Option<ZmqEndpoint> {
    let problem = match text.split_once("://") {
        Some(("ipc", path)) if !path.is_empty() => return Some(ZmqEndpoint::Ipc(PathBuf::from(path))),
        Some(("tcp", host_port)) => match split_port(host_port) {
            (host, Some(port)) if is_host(host) && is_port(port) => {
                return Some(ZmqEndpoint::Tcp(HostPort(host_port.to_owned())));
            }
            ("*", _) => "is where a server listens, not where to connect to",
            _ => "is not tcp://host:port",
        },
        _ => "is not tcp://host:port or ipc://path",
    };
    at.refuse(text, problem, "write \"tcp://127.0.0.1:5555\" or \"ipc:///run/app/events\"");
    None
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_host(text: &str) -> bool {
    if let Some(v6) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address = v6.split('%').next().unwrap_or_default();
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_in_a_url_is_hidden() {
        for (text, shown) in [
            ("https://example.org/hook", "https://example.org/hook"),
            ("https://user:canary@example.org/hook", "https://***@example.org/hook"),
            ("https://canary@example.org/", "https://***@example.org/"),
            ("postgres://u:can/a@ry@db:5432/health", "postgres://***@db:5432/health"),
            ("https://example.org/hook?key=canary", "https://example.org/hook?***"),
            ("htps://user:canary@host?x=canary", "htps://***@host?***"),
            ("postgres://u:can?ary@db", "postgres://***@db"),
            ("u:canary@host:1", "***@host:1"),
            ("camera@2", "camera@2"),
            ("what?", "what?"),
        ] {
            assert_eq!(mask(text), shown);
            let url = Url { whole: text.to_owned(), has_secret_path: false };
            assert!(!format!("{url:?} {url}").contains("canary"));
        }
    }

    #[test]
    fn a_secret_path_is_hidden_as_well() {
        for (text, shown) in [
            ("https://hooks.example.org/T/canary", "https://hooks.example.org/***"),
            ("https://u:can/ary@host:1/T/canary?x=canary", "https://***@host:1/***"),
            ("https://host?canary", "https://host?***"),
            ("https://host", "https://host"),
        ] {
            let url = Url { whole: text.to_owned(), has_secret_path: true };
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), format!("Url({shown})")));
        }
    }

    #[test]
    fn a_postgres_url_may_name_a_socket_or_no_host() {
        let errors = std::cell::RefCell::new(Vec::new());
        let root = Scope::root("a.toml", &errors);
        for good in [
            "postgres://u:p@db.example:5433/health?sslmode=require",
            "postgresql://monitor@%2Frun%2Fpostgresql/health",
            "postgres://%2fvar%2Frun:5433/health",
            "postgres:///health?host=/run/postgresql",
            "postgres://monitor@/health",
            "postgres://[::1]/health",
        ] {
            assert_eq!(postgres_url(&root, good).map(|url| url.expose().to_owned()).as_deref(), Some(good));
        }
        for bad in [
            "postgres://%41/health",
            "postgres://a%2Fb/health",
            "postgres://%2Frun:0/health",
            "postgres:/health",
        ] {
            assert_eq!(postgres_url(&root, bad), None, "{bad}");
        }
        assert_eq!(errors.borrow().len(), 4);
        assert!(
            url_fault("https://%2Frun/", &["https"]).is_some()
                && url_fault("https:///x", &["https"]).is_some()
        );
    }

    #[test]
    fn urls_need_scheme_host_and_a_port_that_exists() {
        let faults = |text| url_fault(text, &["http", "https"]);
        for good in [
            "http://a",
            "https://a.b:1/x?y#z",
            "http://[::1]:80/",
            "http://u:p@a:65535",
            "http://[fe80::1%eth0]/",
        ] {
            assert_eq!(faults(good), None, "{good}");
        }
        for bad in [
            "",
            "a",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:x",
            "http://a b",
            "http://[::g]",
        ] {
            assert!(faults(bad).is_some(), "{bad}");
        }
    }
}
