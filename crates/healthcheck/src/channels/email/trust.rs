//! TLS with a mail server: whom to trust, and what is wrong with a handshake.

use super::connection::{Socket, Stream};
use super::conversation::{Fault, unread};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, StreamOwned};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

const MAX_CA_FILE_BYTES: u64 = 1024 * 1024;

/// The same connection, encrypted, with a server that proved its name.
pub(super) fn encrypt(mut socket: Socket, server: &str, ca_file: Option<&Path>) -> Result<Stream, Fault> {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host)
        .map_err(|_| Fault::lasting("its name cannot be in a certificate".into()))?;
    let config = config(ca_file).map_err(Fault::passing)?;
    let mut tls = ClientConnection::new(config, name).map_err(|error| Fault::passing(error.to_string()))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).map_err(|error| Fault::passing(in_words(&error)))?;
    }
    Ok(Stream::Encrypted(Box::new(StreamOwned::new(tls, socket))))
}

fn config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    let (added, _) = match ca_file {
        Some(path) => roots.add_parsable_certificates(private_authorities(path)?),
        None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    };
    match (added, ca_file) {
        (0, None) => {
            Err("no authorities to trust on this system: install ca-certificates, or set ca_file".to_owned())
        }
        (0, Some(path)) => {
            Err(format!("ca_file {}: it has no certificate in it that can be used", path.display()))
        }
        _ => Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())),
    }
}

fn private_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let problem = |why: &str| format!("ca_file {}: {why}", path.display());
    let mut pem = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_CA_FILE_BYTES).read_to_end(&mut pem));
    read.map_err(|error| problem(&error.to_string()))?;
    let certificates: Result<_, _> = CertificateDer::pem_slice_iter(&pem).collect();
    certificates.map_err(|_| problem("it is not PEM"))
}

fn in_words(error: &io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return unread(error);
    };
    match tls {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is from an unknown authority: add that to the system's, or set ca_file"
                .to_owned()
        }
        Error::InvalidMessage(_) => "it does not speak TLS here: starttls or implicit?".to_owned(),
        other => format!("no encryption: {other}"),
    }
}
