//! A connection that is over at a deadline, whatever its other end does.

use super::conversation::Fault;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

pub(super) struct Socket {
    tcp: TcpStream,
    deadline: Instant,
}

impl Socket {
    /// Each address has a share of the time, so that one that is away leaves time for the next.
    pub(super) fn connect(server: &str, deadline: Instant) -> Result<Self, Fault> {
        let addresses = resolve(server, deadline)?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (index, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
                Ok(tcp) => return Ok(Self { tcp, deadline }),
                Err(error) => last = error,
            }
        }
        Err(Fault::passing(format!("cannot connect: {last}")))
    }

    pub(super) fn own_address(&self) -> Option<IpAddr> {
        Some(self.tcp.local_addr().ok()?.ip())
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

/// The resolver knows no deadline: it is left behind, and ends by its own.
fn resolve(server: &str, deadline: Instant) -> Result<Vec<SocketAddr>, Fault> {
    if let Ok(address) = server.parse() {
        return Ok(vec![address]);
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let name = server.to_owned();
    let resolver = thread::Builder::new().name("resolver".to_owned());
    let started = resolver.spawn(move || {
        let addresses = name.to_socket_addrs().map(|found| found.take(MAX_ADDRESSES).collect());
        // Whoever waited may have gone.
        let _ = sender.send(addresses);
    });
    started.map_err(|error| Fault::passing(format!("cannot resolve its name: {error}")))?;
    match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(Fault::passing(format!("cannot resolve its name: {error}"))),
        Err(_) => Err(Fault::passing("no name server answers in time".to_owned())),
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
