//! The first half of a ZMTP 3 handshake: enough to learn what a peer is, too little to become one of its peers.

use super::Deadline;
use super::reach::Stream;
use healthcheck_core::ZmqSight;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// Signature and major version: after them a peer shows the whole of its greeting.
const OPENING: [u8; 11] = [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3];
const SIGNATURE_BYTES: usize = 10;
const GREETING_BYTES: usize = 64;
/// Where a greeting names its security mechanism.
const MECHANISM: std::ops::Range<usize> = 12..32;

const COMMAND: u8 = 0x04;
const LONG: u8 = 0x02;
/// Properties of an application come with the READY command, so it may be large; none is as large as this.
const MAX_COMMAND_BYTES: u64 = 64 << 10;

/// How long is waited for the rest of what a stranger says.
const BANNER_PAUSE: Duration = Duration::from_millis(200);
const MAX_BANNER_BYTES: usize = 512;
const MAX_SHOWN_CHARS: usize = 64;

/// Why no more is heard.
enum Pause {
    Deadline,
    Ended,
}

/// What the peer is. Our READY is never sent: only after it would a pipe to us be attached.
pub(super) async fn shake(stream: &mut dyn Stream, deadline: Deadline) -> ZmqSight {
    let mut talk =
        Talk { stream, heard: Vec::with_capacity(GREETING_BYTES * 2), is_greeted: false, deadline };
    match talk.learn().await {
        Ok(sight) => sight,
        Err(Pause::Deadline) => ZmqSight::Silent(deadline.timeout),
        Err(Pause::Ended) => ZmqSight::Closed,
    }
}

struct Talk<'a> {
    stream: &'a mut dyn Stream,
    heard: Vec<u8>,
    /// Whether the whole of our greeting was sent.
    is_greeted: bool,
    deadline: Deadline,
}

impl Talk<'_> {
    async fn learn(&mut self) -> Result<ZmqSight, Pause> {
        self.say(&OPENING).await;
        self.hear_anything().await?;
        if self.heard[0] != OPENING[0] {
            return Ok(self.stranger().await);
        }
        self.hear(SIGNATURE_BYTES).await?;
        if self.heard[SIGNATURE_BYTES - 1] != OPENING[SIGNATURE_BYTES - 1] {
            return Ok(self.stranger().await);
        }
        self.hear(OPENING.len()).await?;
        match self.heard[SIGNATURE_BYTES] {
            0 => return Ok(ZmqSight::OldVersion(1)),
            1 | 2 => return Ok(ZmqSight::OldVersion(2)),
            _ => self.hear(GREETING_BYTES).await?,
        }
        match mechanism(&self.heard[MECHANISM]) {
            Some("NULL") => self.hear_command().await,
            Some(name) => Ok(ZmqSight::Alive { socket: None, mechanism: name.to_owned() }),
            None => Ok(ZmqSight::NotZmtp(printable(&self.heard[MECHANISM]))),
        }
    }

    /// A ZMTP peer speaks as soon as it accepts. Who said nothing by half of the time may wait for the end of a line,
    /// and there is one in what a greeting is filled up with.
    async fn hear_anything(&mut self) -> Result<(), Pause> {
        let half = Instant::now() + self.deadline.left() / 2;
        match self.hear_until(1, half).await {
            Err(Pause::Deadline) => {
                self.greet(b"\r\n\r\n").await;
                self.hear(1).await
            }
            heard => heard,
        }
    }

    async fn hear_command(&mut self) -> Result<ZmqSight, Pause> {
        if !self.is_greeted {
            self.greet(b"").await;
        }
        self.hear(GREETING_BYTES + 2).await?;
        let flags = self.heard[GREETING_BYTES];
        if flags & !LONG != COMMAND {
            return Ok(ZmqSight::NotZmtp(format!("a greeting, and then a frame of kind {flags}")));
        }
        let header = if flags & LONG == 0 { 2 } else { 9 };
        self.hear(GREETING_BYTES + header).await?;
        let size = number(&self.heard[GREETING_BYTES + 1..GREETING_BYTES + header]);
        if size > MAX_COMMAND_BYTES {
            return Ok(ZmqSight::NotZmtp(format!("a greeting, and then a command of {size} bytes")));
        }
        let start = GREETING_BYTES + header;
        let end = start + usize::try_from(size).unwrap_or(usize::MAX - start);
        self.hear(end).await?;
        Ok(sight_of(&self.heard[start..end]))
    }

    /// Somebody who does not speak ZMTP 3: what it says is its name.
    async fn stranger(&mut self) -> ZmqSight {
        let until = self.deadline.at.min(Instant::now() + BANNER_PAUSE);
        while !is_first_version(&self.heard) && !has_line(&self.heard) && self.heard.len() < MAX_BANNER_BYTES
        {
            if self.hear_until(self.heard.len() + 1, until).await.is_err() {
                break;
            }
        }
        match is_first_version(&self.heard) {
            true => ZmqSight::OldVersion(1),
            false => ZmqSight::NotZmtp(printable(&self.heard)),
        }
    }

    /// The rest of our greeting: ZMTP 3.0, no security, no server.
    async fn greet(&mut self, filler: &[u8]) {
        let mut rest = [0; GREETING_BYTES - OPENING.len()];
        rest[1..5].copy_from_slice(b"NULL");
        let filled = MECHANISM.end + 1 - OPENING.len();
        rest[filled..filled + filler.len()].copy_from_slice(filler);
        self.is_greeted = true;
        self.say(&rest).await;
    }

    /// Who ended the conversation may have said something before, so a failure to speak is none.
    async fn say(&mut self, bytes: &[u8]) {
        let _ = timeout_at(self.deadline.at, self.stream.write_all(bytes)).await;
    }

    async fn hear(&mut self, count: usize) -> Result<(), Pause> {
        self.hear_until(count, self.deadline.at).await
    }

    /// Waits until as many bytes were heard in all.
    async fn hear_until(&mut self, count: usize, until: Instant) -> Result<(), Pause> {
        let mut buffer = [0; 1024];
        while self.heard.len() < count {
            match timeout_at(until, self.stream.read(&mut buffer)).await {
                Ok(Ok(read)) if read > 0 => self.heard.extend_from_slice(&buffer[..read]),
                Ok(_) => return Err(Pause::Ended),
                Err(_) => return Err(Pause::Deadline),
            }
        }
        Ok(())
    }
}

/// The name of a security mechanism: up to 20 letters and digits, filled up with zeros.
fn mechanism(field: &[u8]) -> Option<&str> {
    let name = field.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
    let is_proper = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(byte);
    std::str::from_utf8(name).ok().filter(|_| name.iter().all(is_proper))
}

/// What the first command says: READY names the socket type, ERROR comes from somebody who is alive and refuses us.
fn sight_of(command: &[u8]) -> ZmqSight {
    let alive = |socket| ZmqSight::Alive { socket, mechanism: "NULL".to_owned() };
    match split(command, 1) {
        Some((b"READY", properties)) => match socket_type(properties) {
            Some(socket) => alive(Some(printable(socket))),
            None => ZmqSight::NotZmtp("a READY command without a socket type".to_owned()),
        },
        Some((b"ERROR", _)) => alive(None),
        _ => ZmqSight::NotZmtp("a greeting, and then another command than READY".to_owned()),
    }
}

fn socket_type(mut properties: &[u8]) -> Option<&[u8]> {
    loop {
        let (name, rest) = split(properties, 1)?;
        let (value, rest) = split(rest, 4)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            return Some(value).filter(|value| !value.is_empty());
        }
        properties = rest;
    }
}

/// What a length of so many bytes announces, and what comes after it.
fn split(bytes: &[u8], length_bytes: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(length_bytes)?;
    rest.split_at_checked(usize::try_from(number(length)).ok()?)
}

/// Of at most 8 bytes, the highest first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// ZMTP 1 begins with a frame that holds an identity, most often none: the length, no flags, the identity. What is
/// as long as that only by chance goes on.
fn is_first_version(heard: &[u8]) -> bool {
    match heard {
        [1, 0] => true,
        [0xff, ..] => heard.len() >= SIGNATURE_BYTES && (1..=256).contains(&number(&heard[1..9])),
        [length, 0, ..] => heard.len() == 1 + usize::from(*length),
        _ => false,
    }
}

fn has_line(heard: &[u8]) -> bool {
    heard.trim_ascii_start().contains(&b'\n')
}

/// The first line of what somebody says whom nobody knows: nothing in it moves a cursor or passes for something else.
fn printable(bytes: &[u8]) -> String {
    let line =
        bytes.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    if !line.iter().any(u8::is_ascii_graphic) {
        return format!("{} bytes that are no text", bytes.len());
    }
    let shown = |byte: &u8| if *byte == b' ' || byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
    line.iter().map(shown).take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(properties: &[(&str, &str)]) -> Vec<u8> {
        let mut command = b"\x05READY".to_vec();
        for (name, value) in properties {
            command.push(u8::try_from(name.len()).unwrap());
            command.extend(name.as_bytes());
            command.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
            command.extend(value.as_bytes());
        }
        command
    }

    #[test]
    fn the_socket_type_is_found_among_other_properties() {
        let command = ready(&[("Identity", ""), ("X-Version", "2"), ("socket-type", "XPUB")]);
        let socket = Some("XPUB".to_owned());
        assert_eq!(sight_of(&command), ZmqSight::Alive { socket, mechanism: "NULL".to_owned() });
        for cut in 0..command.len() {
            assert!(matches!(sight_of(&command[..cut]), ZmqSight::NotZmtp(_)), "cut at {cut}");
        }
    }

    #[test]
    fn lengths_beyond_the_command_are_no_panic() {
        for length in [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 200]] {
            let mut command = b"\x05READY\x0bSocket-Type".to_vec();
            command.extend(length);
            command.extend(b"PUB");
            assert!(matches!(sight_of(&command), ZmqSight::NotZmtp(_)));
        }
        assert!(matches!(sight_of(b"\xff"), ZmqSight::NotZmtp(_)));
        assert!(matches!(sight_of(b"\x05ERROR\x03400"), ZmqSight::Alive { socket: None, .. }));
    }

    #[test]
    fn mechanisms_are_names() {
        assert_eq!(mechanism(b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), Some("CURVE"));
        assert_eq!(mechanism(&[0; 20]), None);
        assert_eq!(mechanism(b"EVIL\x1b[2J\0\0\0\0\0\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn a_banner_is_one_line_of_what_can_be_printed() {
        for (said, shown) in [
            (&b"SSH-2.0-OpenSSH_9.2\r\nmore"[..], "SSH-2.0-OpenSSH_9.2"),
            (b"\r\n\r\nHTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400 Bad Request"),
            (b"\x1b[2J\x1b]0;owned\x07 \xe2\x80\xae", ".[2J.]0;owned. ..."),
            (b"\x00\x01\x02", "3 bytes that are no text"),
            (b"", "0 bytes that are no text"),
        ] {
            assert_eq!(printable(said), shown);
        }
        assert_eq!(printable(&[b'x'; 4096]).len(), MAX_SHOWN_CHARS);
    }

    #[test]
    fn the_first_version_is_told_from_what_begins_like_it() {
        for old in [&b"\x01\x00"[..], b"\x05\x00abcd", b"\xff\0\0\0\0\0\0\0\x01\x00"] {
            assert!(is_first_version(old), "{old:?}");
        }
        for other in
            [&b"J\0\0\0\x0a8.0.36\0"[..], b"SSH-", b"", b"\x01", b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff"]
        {
            assert!(!is_first_version(other), "{other:?}");
        }
    }
}
