//! TLS below HTTP and SMTP: whom to trust, what is wrong with a certificate, and until when it is valid.

mod anyone;
mod own_authority;

use crate::system_error::plain;
use anyone::Anyone;
use own_authority::Verifier;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::error::Error as StdError;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};
use x509_cert::der::Decode;
use x509_cert::time::Time;

const MAX_CA_FILE_BYTES: u64 = 1024 * 1024;
const MAX_NAMES_SHOWN: usize = 3;
const DAY_S: u64 = 24 * 60 * 60;

/// When the first of the certificates that were served ends, in seconds since 1970.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expiry(Arc<Mutex<Option<u64>>>);

impl Expiry {
    pub(crate) fn left(&self) -> Option<Duration> {
        let end = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        end.map(|end| Duration::from_secs(end.saturating_sub(UnixTime::now().as_secs())))
    }

    fn note(&self, certificate: &CertificateDer<'_>) {
        let Some((_, end)) = validity(certificate) else { return };
        let end = end.as_secs();
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *first = Some(first.map_or(end, |first| first.min(end)));
    }
}

/// Nobody can be trusted, and why.
#[derive(Debug)]
pub(crate) struct NoAuthorities(String);

impl fmt::Display for NoAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for NoAuthorities {}

/// The host of a URL without the brackets of an address of version 6.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// From when to when a certificate is valid.
fn validity(certificate: &CertificateDer<'_>) -> Option<(UnixTime, UnixTime)> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let time = |time: Time| UnixTime::since_unix_epoch(time.to_unix_duration());
    Some((time(validity.not_before), time(validity.not_after)))
}

/// Puts TLS on a connection to an `https` server.
#[derive(Debug)]
pub(crate) struct TlsConnector {
    ca_file: Option<PathBuf>,
    expiry: Expiry,
}

impl TlsConnector {
    pub(crate) fn new(ca_file: Option<PathBuf>, expiry: Expiry) -> Self {
        Self { ca_file, expiry }
    }
}

/// Trust in whoever answers: what is sent cannot be read on its way, but nothing says to whom it goes.
pub(crate) fn config_that_trusts_anyone() -> Result<Arc<ClientConfig>, NoAuthorities> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Anyone { algorithms: provider.signature_verification_algorithms });
    trusting(provider, verifier, None)
}

fn trusting(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<(&Path, &Path)>,
) -> Result<Arc<ClientConfig>, NoAuthorities> {
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| NoAuthorities(error.to_string()))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let chain = certificates_in(certificate, "cert_file").map_err(NoAuthorities)?;
    let config = builder.with_client_auth_cert(chain, private_key(key)?);
    let unfit = |error| NoAuthorities(format!("cannot use {}: {error}", certificate.display()));
    config.map(Arc::new).map_err(unfit)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, NoAuthorities> {
    let problem = |why: &str| NoAuthorities(format!("cannot use key_file {}: {why}", path.display()));
    let pem = read_file(path).map_err(|error| problem(&plain(&error)))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| problem("it has no key in PEM in it"))
}

/// Trust in the authorities of a file alone, or in those of the system.
pub(crate) fn config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, NoAuthorities> {
    config_of(ca_file, None)
}

/// The same for one who shows a certificate of his own: files of it and of its key.
pub(crate) fn config_of(
    ca_file: Option<&Path>,
    identity: Option<(&Path, &Path)>,
) -> Result<Arc<ClientConfig>, NoAuthorities> {
    let certificates = match ca_file {
        Some(path) => private_authorities(path),
        None => authorities_of_the_system(),
    };
    let certificates = certificates.map_err(NoAuthorities)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.iter().cloned());
    let authorities = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build();
    let unusable = || NoAuthorities("none of the trusted authorities can be used".to_owned());
    let verifier = Verifier { authorities: authorities.map_err(|_| unusable())?, certificates };
    trusting(provider, Arc::new(verifier), identity)
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails, below: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(below) = below else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(below)));
        }
        let host = bare(details.uri.host().unwrap_or_default()).to_owned();
        let name = ServerName::try_from(host).map_err(|_| Error::HostNotFound)?;
        let config = config(self.ca_file.as_deref()).map_err(|problem| Error::Other(problem.into()))?;
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut socket = TransportAdapter::new(below.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        tls.complete_io(&mut socket)?;
        if let Some(certificate) = tls.peer_certificates().and_then(<[_]>::first) {
            self.expiry.note(certificate);
        }
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(tls, socket) })))
    }
}

fn private_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    certificates_in(path, "ca_file")
}

/// The certificates of a file, which the configuration calls so.
fn certificates_in(path: &Path, called: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let problem = |why: &str| format!("cannot use {called} {}: {why}", path.display());
    let pem = read_file(path).map_err(|error| problem(&plain(&error)))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|_| problem("it is not PEM"))?;
    if certificates.is_empty() {
        return Err(problem("it has no certificate in it: it must be one in PEM, with its BEGIN line"));
    }
    if certificates.iter().any(|certificate| validity(certificate).is_none()) {
        return Err(problem("it has a certificate in it that cannot be read"));
    }
    Ok(certificates)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_CA_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn authorities_of_the_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    if certificates.is_empty() {
        return Err(
            "no authorities to trust on this system: install ca-certificates, or set ca_file".to_owned()
        );
    }
    Ok(certificates)
}

/// Whether a server has the certificate of an authority.
fn is_authority_itself(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity"))
}

/// What is wrong, for people.
pub(crate) fn in_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate_in_words(error),
        rustls::Error::AlertReceived(alert) => format!("the server ends the handshake: {alert:?}"),
        rustls::Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        rustls::Error::PeerIncompatible(_) => "it has no TLS version or cipher that is safe today".to_owned(),
        _ => "the handshake failed".to_owned(),
    }
}

fn certificate_in_words(error: &CertificateError) -> String {
    let days = |from: &UnixTime, to: &UnixTime| match to.as_secs().saturating_sub(from.as_secs()) / DAY_S {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            format!("its certificate expired {} ago", days(not_after, time))
        }
        CertificateError::Expired => "its certificate expired".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("its certificate becomes valid in {}: is a clock wrong?", days(time, not_before))
        }
        CertificateError::NotValidYet => "its certificate is not valid yet: is a clock wrong?".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("its certificate is for {}, not for {}", names(presented), expected.to_str())
        }
        CertificateError::NotValidForName => "its certificate is for another name".to_owned(),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is from an unknown authority: add that to the system's, or set ca_file"
                .to_owned()
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        error if is_authority_itself(error) => {
            "its certificate is its own authority: to trust it, name it by ca_file".to_owned()
        }
        _ => "its certificate cannot be used".to_owned(),
    }
}

/// The first of the names as rustls writes them: `DnsName("example.org")`. They come from the server.
fn names(presented: &[String]) -> String {
    let name = |name: &String| {
        let name = name.split('"').nth(1).unwrap_or(name);
        name.chars().filter(char::is_ascii_graphic).take(80).collect::<String>()
    };
    match presented {
        [] => "no name".to_owned(),
        names => names.iter().take(MAX_NAMES_SHOWN).map(name).collect::<Vec<_>>().join(", "),
    }
}

/// HTTP's bytes within TLS.
pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}
