//! The least that looking at ZMQ endpoints costs: both greetings and the other's READY over bare sockets, all at once,
//! one line printed for each. `infra/bench.sh` runs it beside `healthcheck`.

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;

const GREETING_BYTES: usize = 64;

struct Talk {
    socket: OwnedFd,
    address: String,
    is_greeted: bool,
    heard: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut talks = Vec::new();
    for address in std::env::args().skip(1) {
        let talk = Talk::start(address)?;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&poll, &talk.socket, epoll::EventData::new_u64(talks.len() as u64), interest)?;
        talks.push(Some(talk));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let mut events = Vec::with_capacity(talks.len());
    let mut left = talks.len();
    while left > 0 {
        epoll::wait(&poll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let slot = &mut talks[usize::try_from(event.data.u64())?];
            let Some(talk) = slot else { continue };
            if let Some(found) = talk.go_on()? {
                writeln!(out, "{} {found}", talk.address)?;
                *slot = None;
                left -= 1;
            }
        }
    }
    Ok(out.flush()?)
}

impl Talk {
    fn start(address: String) -> Result<Self, Box<dyn Error>> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match connect(&socket, &address.parse::<SocketAddr>()?) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self { socket, address, is_greeted: false, heard: Vec::with_capacity(256) })
    }

    /// The socket type, as soon as it is known.
    fn go_on(&mut self) -> Result<Option<String>, Errno> {
        if !self.is_greeted {
            let mut greeting = [0; GREETING_BYTES];
            greeting[..16].copy_from_slice(b"\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL");
            write(&self.socket, &greeting)?;
            self.is_greeted = true;
        }
        loop {
            match read(&self.socket, spare_capacity(&mut self.heard)) {
                Ok(0) => return Ok(Some("closed".to_owned())),
                Ok(_) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error),
            }
            if let Some(found) = self.found() {
                return Ok(Some(found));
            }
        }
    }

    fn found(&self) -> Option<String> {
        let command = self.heard.get(GREETING_BYTES..)?;
        let size = usize::from(*command.get(1)?);
        let properties = command.get(2..2 + size)?.strip_prefix(b"\x05READY\x0bSocket-Type\0\0\0")?;
        let (length, rest) = properties.split_first()?;
        Some(String::from_utf8_lossy(rest.get(..usize::from(*length))?).into_owned())
    }
}
