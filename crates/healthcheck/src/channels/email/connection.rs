//! A connection that is over at a deadline, whatever its other end does.

use super::conversation::{Fault, unread};
use crate::channels::reach;
use crate::tls;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Error, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) struct Socket {
    tcp: TcpStream,
    deadline: Instant,
}

impl Socket {
    /// Each address has a share of the time, so that one that is away leaves time for the next.
    pub(super) fn connect(server: &str, deadline: Instant) -> Result<Self, Fault> {
        let found = reach::addresses(server).map_err(|error| Fault::passing(error.to_string()))?;
        let mut last = None;
        for (index, address) in found.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(found.len() - index).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
                Ok(tcp) => return Ok(Self { tcp, deadline }),
                Err(error) => last = Some(unread(&error)),
            }
        }
        Err(Fault::passing(last.unwrap_or_else(|| "its name leads to no address".to_owned())))
    }

    pub(super) fn own_address(&self) -> Option<IpAddr> {
        Some(self.tcp.local_addr().ok()?.ip())
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(self.left()?)?;
        self.tcp.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(self.left()?)?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// With and without TLS.
pub(super) enum Stream {
    Plain(Socket),
    Encrypted(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    /// With a server that proved its name.
    pub(super) fn encrypted(mut socket: Socket, server: &str, ca_file: Option<&Path>) -> Result<Self, Fault> {
        let host = tls::bare(server.rsplit_once(':').map_or(server, |(host, _)| host)).to_owned();
        let name = ServerName::try_from(host)
            .map_err(|_| Fault::lasting("its name cannot be in a certificate".to_owned()))?;
        let config = tls::config(ca_file).map_err(|problem| Fault::passing(problem.to_string()))?;
        let mut connection =
            ClientConnection::new(config, name).map_err(|error| Fault::passing(tls::in_words(&error)))?;
        while connection.is_handshaking() {
            let done = connection.complete_io(&mut socket);
            done.map_err(|error| Fault::passing(unencrypted(&error)))?;
        }
        Ok(Self::Encrypted(Box::new(StreamOwned::new(connection, socket))))
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Encrypted(tls) => tls.read(buffer),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Encrypted(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }
}

/// Who does not speak TLS at once may do so when it is asked, or the other way round.
fn unencrypted(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    let cure = if matches!(tls, Some(Error::InvalidMessage(_))) { ": starttls or implicit?" } else { "" };
    unread(error) + cure
}
