//! systemd's own socket, at which D-Bus is spoken without a bus. What it says there, it says by the name of
//! `org.freedesktop.systemd1`; only a bus may give that name away, and zbus refuses it as that of a peer.

use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};
use zbus::export::async_trait::async_trait;

/// The part of a message that tells how long it is.
const HEAD: usize = 16;
/// The properties of a unit are 25 KiB.
const MAX_MESSAGE: usize = 16 << 20;
const MAX_LINE: usize = 1024;
/// Where a sender is named in the fields of a header: the seventh, which is a text.
const SENDER: [u8; 4] = [7, 1, b's', 0];

/// A connection to systemd itself.
#[derive(Debug)]
pub(super) struct Peer(UnixStream);

/// What it says, a message at a time.
#[derive(Debug)]
pub(super) struct Reader {
    stream: OwnedReadHalf,
    /// Before the first message is a line: the end of the authentication.
    is_greeted: bool,
    ready: Vec<u8>,
    taken: usize,
}

#[derive(Debug)]
pub(super) struct Writer(OwnedWriteHalf);

impl Peer {
    /// A queue that is full is waited for: the caller limits how long.
    pub(super) async fn connect(path: &Path) -> io::Result<Self> {
        loop {
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                other => return other.map(Self),
            }
        }
    }
}

impl Socket for Peer {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let (stream, writer) = self.0.into_split();
        Split::new(Reader { stream, is_greeted: false, ready: Vec::new(), taken: 0 }, Writer(writer))
    }
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        if self.taken == self.ready.len() {
            self.ready = if self.is_greeted { self.message().await? } else { self.line().await? };
            self.taken = 0;
        }
        let left = &self.ready[self.taken..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.taken += count;
        Ok((count, Vec::new()))
    }
}

impl Reader {
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") && line.len() < MAX_LINE {
            line.push(self.stream.read_u8().await?);
        }
        self.is_greeted = true;
        Ok(line)
    }

    async fn message(&mut self) -> io::Result<Vec<u8>> {
        let mut message = vec![0; HEAD];
        self.stream.read_exact(&mut message).await?;
        let fields = length(&message, 12);
        let total = fields.next_multiple_of(8).saturating_add(HEAD).saturating_add(length(&message, 4));
        if total > MAX_MESSAGE {
            return Err(io::Error::new(ErrorKind::InvalidData, "a message is too long"));
        }
        message.resize(total, 0);
        self.stream.read_exact(&mut message[HEAD..]).await?;
        rename_sender(&mut message, HEAD + fields);
        Ok(message)
    }
}

/// A 32-bit length, in the byte order that the first byte names.
fn length(message: &[u8], at: usize) -> usize {
    let bytes = message.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    let length =
        if message.first() == Some(&b'B') { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    length as usize
}

/// Puts a name as a bus gives it in place of the well-known one, of the same length.
fn rename_sender(message: &mut [u8], end: usize) {
    let starts = (HEAD..end.min(message.len())).step_by(8);
    let Some(at) = starts.into_iter().find(|at| message[*at..].starts_with(&SENDER)) else { return };
    let length = length(message, at + 4);
    let name = at.saturating_add(8)..at.saturating_add(8).saturating_add(length);
    if let Some(name) = message.get_mut(name).filter(|name| name.len() > 3 && name[0] != b':') {
        name.fill(b'_');
        name[..3].copy_from_slice(b":1.");
    }
}

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, buffer: &[u8], _descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.write(buffer).await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a reply of systemd 252, with its sender as the last field.
    fn reply(name: &[u8]) -> Vec<u8> {
        let mut message = b"l\x02\x01\x01\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
        message.extend(b"\x05\x01u\0\x02\0\0\0");
        message.extend(SENDER);
        message.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
        message.extend(name);
        message.push(0);
        message
    }

    #[test]
    fn a_well_known_sender_becomes_one_that_a_bus_gives() {
        let mut message = reply(b"org.freedesktop.systemd1");
        let end = message.len();
        rename_sender(&mut message, end);
        assert_eq!(message, reply(b":1._____________________"));
        let mut unique = reply(b":1.42");
        rename_sender(&mut unique, end);
        assert_eq!(unique, reply(b":1.42"));
    }

    #[test]
    fn torn_and_lying_heads_are_no_panic() {
        let whole = reply(b"org.freedesktop.systemd1");
        for cut in 0..whole.len() {
            rename_sender(&mut whole[..cut].to_vec(), cut);
            rename_sender(&mut whole[..cut].to_vec(), usize::MAX);
            let mut lying = whole.clone();
            lying[cut] = 0xff;
            rename_sender(&mut lying, whole.len());
        }
    }
}
