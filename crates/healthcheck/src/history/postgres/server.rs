//! Where the server is, as a URL of libpq says it, and what proves us to it.

use crate::system_error::plain;
use crate::tls;
use percent_encoding::percent_decode_str;
use rustix::fs::OFlags;
use rustls::ClientConfig;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

const MAX_PASSWORD_BYTES: u64 = 64 * 1024;
/// Where servers have their sockets if the URL names no host.
const SOCKET_DIR: &str = "/run/postgresql";
const DEFAULT_PORT: u16 = 5432;
/// A connection that a firewall forgot is noticed within the minute.
const SILENT_FOR: Duration = Duration::from_secs(30);
const UNANSWERED_FOR: Duration = Duration::from_secs(10);

/// A server, and what it has to show before it is believed.
pub(super) struct Server {
    config: Config,
    password_file: Option<PathBuf>,
    trust: Trust,
    name: String,
}

/// Whom to take for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trust {
    /// Anyone: as libpq does where it need not verify.
    Anyone,
    /// Who is vouched for by an authority of the file, or else of the system.
    Authorities(Option<PathBuf>),
}

impl Server {
    pub(super) fn of(url: &str, password_file: Option<PathBuf>) -> Result<Self, String> {
        let (bare, tls) = TlsWords::taken_from(url);
        let mut config: Config = bare.parse().map_err(|_| not_one())?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host(SOCKET_DIR);
        }
        let trust = tls.apply(&mut config)?;
        config.application_name("healthcheck").keepalives(true).keepalives_idle(SILENT_FOR);
        config.keepalives_interval(UNANSWERED_FOR).keepalives_retries(3).tcp_user_timeout(SILENT_FOR);
        let name = name(&config);
        Ok(Self { config, password_file, trust, name })
    }

    /// For people: without user and password.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What is read again at each connect: files, which may lie on something that hangs.
    pub(super) fn credentials(&self) -> impl FnOnce() -> Result<Credentials, String> + Send + 'static {
        let (mut config, trust) = (self.config.clone(), self.trust.clone());
        let password_file = self.password_file.clone();
        move || {
            if let Some(path) = &password_file {
                config.password(password(path)?);
            }
            let tls = match &trust {
                Trust::Anyone => tls::config_that_trusts_anyone(),
                Trust::Authorities(file) => tls::config(file.as_deref()),
            };
            let tls = tls.map_err(|error| as_of_postgres(&error.to_string()))?;
            Ok(Credentials { config, tls })
        }
    }
}

/// All that a connection begins with.
pub(super) struct Credentials {
    pub(super) config: Config,
    pub(super) tls: Arc<ClientConfig>,
}

/// The settings of channels have another name for it.
pub(super) fn as_of_postgres(words: &str) -> String {
    words.replace("ca_file", "sslrootcert")
}

/// An unescaped password may be anywhere in it, so nothing of it is shown.
fn not_one() -> String {
    "[history] url is not one that PostgreSQL understands: write postgres://user@host:port/database, with %xx for what is special in it"
        .to_owned()
}

/// What a URL says about TLS that the client does not know itself.
#[derive(Debug, Default)]
struct TlsWords {
    mode: Option<String>,
    root_certificate: Option<String>,
}

impl TlsWords {
    /// The URL without them.
    fn taken_from(url: &str) -> (String, Self) {
        let mut words = Self::default();
        let Some((before, query)) = url.split_once('?') else { return (url.to_owned(), words) };
        let mut rest = Vec::new();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("sslmode", value)) => words.mode = Some(decoded(value)),
                Some(("sslrootcert", value)) => words.root_certificate = Some(decoded(value)),
                _ => rest.push(pair),
            }
        }
        (format!("{before}?{}", rest.join("&")), words)
    }

    /// A file of authorities is there to be verified by, also where the mode alone would not.
    fn apply(self, config: &mut Config) -> Result<Trust, String> {
        let is_local = is_local(config);
        let file = self.root_certificate.filter(|file| file != "system").map(PathBuf::from);
        let verified = Trust::Authorities(file.clone());
        let (mode, trust) = match self.mode.as_deref().unwrap_or("prefer") {
            "disable" => (SslMode::Disable, Trust::Anyone),
            "allow" | "prefer" => (SslMode::Prefer, Trust::Anyone),
            "require" if file.is_none() => (SslMode::Require, Trust::Anyone),
            "require" | "verify-ca" | "verify-full" => (SslMode::Require, verified),
            _ => return Err(unknown_mode()),
        };
        config.ssl_mode(if is_local { SslMode::Disable } else { mode });
        Ok(trust)
    }
}

/// Sockets speak no TLS. An address wins over whatever host is named beside it.
fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts();
    let is_socket = |host: &Host| matches!(host, Host::Unix(_));
    config.get_hostaddrs().is_empty() && !hosts.is_empty() && hosts.iter().all(is_socket)
}

fn unknown_mode() -> String {
    "[history] url: its sslmode is not one that is known: write disable, prefer, require or verify-full"
        .to_owned()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn name(config: &Config) -> String {
    let port = config.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    let at = match (config.get_hosts().first(), config.get_hostaddrs().first()) {
        (Some(Host::Tcp(host)), _) if host.contains(':') => format!("[{host}]:{port}"),
        (Some(Host::Tcp(host)), _) => format!("{host}:{port}"),
        (Some(Host::Unix(dir)), _) => format!("{}/.s.PGSQL.{port}", dir.display()),
        (None, Some(address)) => format!("{address}:{port}"),
        (None, None) => String::new(),
    };
    format!("PostgreSQL {}", format!("{at} {database}").trim().escape_debug())
}

/// Without the blanks around it; or what is wrong, without a word of it.
fn password(path: &Path) -> Result<String, String> {
    let problem = |why: &str| format!("cannot read password_file {}: {why}", path.display());
    let bytes = read_file(path).map_err(|error| problem(&with_cure(&error)))?;
    if bytes.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(problem("it is larger than 64 KiB: a password is one short line"));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| problem("it is not UTF-8: a password is one line of text"))?;
    match text.trim() {
        "" => Err(problem("it is empty: write the password into it")),
        text => Ok(text.to_owned()),
    }
}

/// Never waits for a writer of a pipe, and never reads what has no end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_PASSWORD_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn with_cure(error: &io::Error) -> String {
    let why = plain(error);
    match error.kind() {
        io::ErrorKind::NotFound => format!("{why}: write the password into it"),
        io::ErrorKind::PermissionDenied => format!("{why}: let the user of the monitor read it"),
        _ => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_never_spoken_to_as_if_it_were_a_socket() {
        let mode = |url: &str| Server::of(url, None).unwrap().config.get_ssl_mode();
        for hosts in
            ["hostaddr=10.0.0.5", "host=/run/postgresql&hostaddr=10.0.0.5", "host=a&hostaddr=10.0.0.5"]
        {
            for word in ["require", "verify-ca", "verify-full"] {
                let url = format!("postgres:///health?{hosts}&sslmode={word}");
                assert_eq!(mode(&url), SslMode::Require, "{url}");
            }
            assert_eq!(mode(&format!("postgres:///health?{hosts}")), SslMode::Prefer, "{hosts}");
        }
        for local in
            ["postgres:///health", "postgres:///health?host=/run/postgresql", "postgres://u@%2Frun%2Fpg/db"]
        {
            assert_eq!(mode(local), SslMode::Disable, "{local}");
        }
        let between = "postgres://%2Frun%2Fpostgresql,db.example/health?sslmode=require";
        assert_eq!(mode(between), SslMode::Require);
    }

    #[test]
    fn verifying_the_authority_is_verifying_all() {
        let trust =
            |word: &str| Server::of(&format!("postgres://db/health?sslmode={word}"), None).unwrap().trust;
        assert_eq!(trust("verify-ca"), Trust::Authorities(None));
        assert_eq!(trust("verify-full"), Trust::Authorities(None));
        assert_eq!(trust("require"), Trust::Anyone);
    }
}
