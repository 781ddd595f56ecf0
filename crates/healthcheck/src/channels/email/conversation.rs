//! SMTP, as far as a mail is handed over. The server is nobody's friend: what it says is bounded and waited for until the
//! deadline only, and nothing that it said before the encryption counts after it.

use super::connection::{Socket, Stream};
use super::{Settings, Tls};
use crate::channels::plain_text::{WORDS_BYTES, line, short_line};
use crate::channels::reach;
use crate::channels::unaccepted;
use crate::secret::masked;
use base64::prelude::{BASE64_STANDARD, Engine};
use healthcheck_core::alerts::Outcome;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

/// Twice as long as the standard lets a line be.
const MAX_LINE_BYTES: usize = 1024;
const MAX_LINES: usize = 100;

/// Why a mail was not delivered.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: String,
    /// Trying again would not help.
    pub(super) is_lasting: bool,
    /// The server said so, and the conversation can go on.
    pub(super) is_answer: bool,
}

impl Fault {
    pub(super) const fn passing(error: String) -> Self {
        Self { error, is_lasting: false, is_answer: false }
    }

    pub(super) const fn lasting(error: String) -> Self {
        Self { error, is_lasting: true, is_answer: false }
    }

    /// For people, with the server's name.
    pub(super) fn told(&self, server: &str) -> Outcome {
        unaccepted(self.is_lasting, &format!("{server}: {}", self.error))
    }
}

/// Why nothing came, for people.
pub(super) fn unread(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer in time".to_owned(),
        _ => reach::in_words(error),
    }
}

struct Answer {
    code: u16,
    lines: Vec<String>,
}

impl Answer {
    fn offers(&self, extension: &str) -> bool {
        self.words(extension).is_some()
    }

    /// What follows the name of an extension.
    fn words(&self, extension: &str) -> Option<Vec<&str>> {
        self.lines.iter().skip(1).find_map(|line| {
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            words.next().filter(|name| name.eq_ignore_ascii_case(extension))?;
            Some(words.collect())
        })
    }
}

pub(super) struct Conversation {
    stream: Stream,
    /// What was received and not read yet.
    received: Vec<u8>,
    greeting: Answer,
    /// What no error shows.
    secrets: Vec<String>,
}

impl Conversation {
    /// Connects, and encrypts where that is wanted.
    pub(super) fn begin(settings: &Settings, host: &str, deadline: Instant) -> Result<Self, Fault> {
        let ca_file = settings.ca_file.as_deref();
        let socket = Socket::connect(&settings.server, deadline)?;
        let own = name_of(host, socket.own_address());
        let stream = match settings.tls {
            Tls::Implicit => Stream::encrypted(socket, &settings.server, ca_file)?,
            Tls::Starttls | Tls::None => Stream::Plain(socket),
        };
        let greeting = Answer { code: 0, lines: Vec::new() };
        let mut server = Self { stream, received: Vec::new(), greeting, secrets: Vec::new() };
        server.expect("its greeting", 220)?;
        server.greet(&own)?;
        if settings.tls != Tls::Starttls {
            return Ok(server);
        }
        let mut server = server.encrypted(&settings.server, ca_file)?;
        server.greet(&own)?;
        Ok(server)
    }

    fn greet(&mut self, own: &str) -> Result<(), Fault> {
        self.greeting = self.ask(&format!("EHLO {own}"), "EHLO", 250)?;
        Ok(())
    }

    fn encrypted(mut self, server: &str, ca_file: Option<&Path>) -> Result<Self, Fault> {
        if !self.greeting.offers("STARTTLS") {
            let cure = "it offers no STARTTLS: set tls to \"implicit\" and the port that goes with it, or ask its operator";
            return Err(Fault::lasting(cure.to_owned()));
        }
        self.ask("STARTTLS", "STARTTLS", 220)?;
        if !self.received.is_empty() {
            return Err(Fault::passing("it says more than was asked before the encryption".to_owned()));
        }
        match self.stream {
            Stream::Plain(socket) => Ok(Self { stream: Stream::encrypted(socket, server, ca_file)?, ..self }),
            Stream::Encrypted(_) => Ok(self),
        }
    }

    pub(super) fn sign_in(&mut self, user: &str, password: &str) -> Result<(), Fault> {
        if !self.stream.is_encrypted() {
            return Err(Fault::lasting(
                "the password would be sent unencrypted: set tls to \"starttls\"".to_owned(),
            ));
        }
        let plain = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        let encoded = BASE64_STANDARD.encode(password);
        self.secrets = vec![plain.clone(), encoded.clone(), password.to_owned()];
        let ways = self.greeting.words("AUTH").unwrap_or_default();
        let offers = |way: &str| ways.iter().any(|offered| offered.eq_ignore_ascii_case(way));
        if offers("PLAIN") {
            return self.ask(&format!("AUTH PLAIN {plain}"), "the login", 235).map(drop);
        }
        if !offers("LOGIN") {
            return Err(Fault::lasting("it offers neither PLAIN nor LOGIN to sign in".to_owned()));
        }
        self.ask("AUTH LOGIN", "the login", 334)?;
        self.ask(&BASE64_STANDARD.encode(user), "the user", 334)?;
        self.ask(&encoded, "the login", 235).map(drop)
    }

    pub(super) fn sender(&mut self, from: &str) -> Result<(), Fault> {
        self.ask(&format!("MAIL FROM:<{}>", path(from)?), "the sender", 250).map(drop)
    }

    pub(super) fn receiver(&mut self, to: &str) -> Result<(), Fault> {
        self.ask(&format!("RCPT TO:<{}>", path(to)?), "the receiver", 250).map(drop)
    }

    pub(super) fn message(&mut self, mail: &[u8]) -> Result<(), Fault> {
        self.ask("DATA", "the mail", 354)?;
        let mut body = Vec::with_capacity(mail.len() + 64);
        for line in mail.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                body.push(b'.');
            }
            body.extend_from_slice(line);
        }
        body.extend_from_slice(if mail.ends_with(b"\r\n") { b".\r\n" } else { b"\r\n.\r\n" });
        self.stream
            .write_all(&body)
            .map_err(|error| Fault::passing(format!("the mail: {}", unread(&error))))?;
        self.expect("the mail", 250).map(drop)
    }

    /// Whether it says goodbye does not matter any more.
    pub(super) fn leave(&mut self) {
        let _ = self.stream.write_all(b"QUIT\r\n");
    }

    fn ask(&mut self, command: &str, what: &str, wanted: u16) -> Result<Answer, Fault> {
        let sent = self.stream.write_all(format!("{command}\r\n").as_bytes());
        sent.map_err(|error| Fault::passing(format!("{what}: {}", unread(&error))))?;
        self.expect(what, wanted)
    }

    fn expect(&mut self, what: &str, wanted: u16) -> Result<Answer, Fault> {
        let answer = self.answer().map_err(|error| Fault::passing(format!("{what}: {}", unread(&error))))?;
        // 251 is a 250 too: the mail will be forwarded.
        if answer.code / 10 == wanted / 10 {
            return Ok(answer);
        }
        let said = masked(&line(&answer.lines.join(" ")), &self.secrets);
        let said = short_line(&said, WORDS_BYTES);
        let error = format!("{what}: {} {said}", answer.code);
        Err(Fault { error, is_lasting: (500..600).contains(&answer.code), is_answer: true })
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let garbage = || io::Error::other("it does not speak SMTP");
        let mut lines = Vec::new();
        while lines.len() < MAX_LINES {
            let line = self.line()?;
            let (code, rest) = line.split_at_checked(3).ok_or_else(garbage)?;
            let code = code.parse().ok().filter(|code| (200..600).contains(code)).ok_or_else(garbage)?;
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            match rest.as_bytes().first() {
                Some(b'-') => {}
                Some(b' ') | None => return Ok(Answer { code, lines }),
                Some(_) => return Err(garbage()),
            }
        }
        Err(garbage())
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.received.len() > MAX_LINE_BYTES {
                return Err(io::Error::other("it does not speak SMTP"));
            }
            let mut buffer = [0; MAX_LINE_BYTES];
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.received.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// A name that a server can look up, or the address from which we come.
fn name_of(host: &str, address: Option<IpAddr>) -> String {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if host.contains('.') && host.chars().all(known) {
        return host.to_owned();
    }
    match address {
        Some(IpAddr::V4(address)) => format!("[{address}]"),
        Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        None => "localhost".to_owned(),
    }
}

fn path(address: &str) -> Result<&str, Fault> {
    let odd = |b: u8| !b.is_ascii_graphic() || matches!(b, b'<' | b'>');
    if address.bytes().any(odd) {
        let cure = "write the domain in its ASCII form (xn--…)";
        return Err(Fault::lasting(format!("the address {address} is not ASCII: {cure}")));
    }
    Ok(address)
}
