//! What the looks from outside show: one value for each kind of probe.

use crate::{ContainerFacts, UnitFacts};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The kinds of looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// Asks systemd.
    Unit,
    /// Asks the container engine.
    Container,
    /// Looks for a process by a pattern.
    Process,
    /// Runs a program.
    Command,
    /// Asks a web server.
    Http,
    /// Connects.
    Tcp,
    /// Looks at a file's modification time.
    FileAge,
    /// Shakes hands with a ZMQ socket.
    Zmq,
    /// Delivers notices.
    Delivery,
}

impl ProbeKind {
    /// The word on disk, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Container => "container",
            Self::Process => "process",
            Self::Command => "command",
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::FileAge => "file_age",
            Self::Zmq => "zmq",
            Self::Delivery => "delivery",
        }
    }
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a look from outside showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeFacts {
    /// A unit, as systemd shows it.
    Unit(Box<UnitFacts>),
    /// A container, as its engine shows it.
    Container(Box<ContainerFacts>),
    /// The processes that fit a pattern.
    Process(ProcessesFound),
    /// The end of a program.
    Command(CommandFacts),
    /// The answer of a web server.
    Http(HttpFacts),
    /// What became of a connection.
    Tcp(Connection),
    /// The age of a file.
    FileAge(FileAge),
    /// What a ZMQ endpoint is.
    Zmq(ZmqFacts),
    /// Whether a channel works.
    Delivery(Delivery),
}

impl ProbeFacts {
    /// The kind of look that shows this.
    #[must_use]
    pub const fn kind(&self) -> ProbeKind {
        match self {
            Self::Unit(_) => ProbeKind::Unit,
            Self::Container(_) => ProbeKind::Container,
            Self::Process(_) => ProbeKind::Process,
            Self::Command(_) => ProbeKind::Command,
            Self::Http(_) => ProbeKind::Http,
            Self::Tcp(_) => ProbeKind::Tcp,
            Self::FileAge(_) => ProbeKind::FileAge,
            Self::Zmq(_) => ProbeKind::Zmq,
            Self::Delivery(_) => ProbeKind::Delivery,
        }
    }
}

/// Whether a channel works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Why it failed for good; nothing where it did not.
    pub problem: Option<String>,
}

/// The processes that fit a pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessesFound {
    /// What was looked for.
    pub pattern: String,
    /// How many fit; a zombie is none.
    pub count: usize,
    /// The first of them, in order.
    pub pids: Vec<u32>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandFacts {
    /// The program's name.
    pub program: String,
    /// How it ended.
    pub end: CommandEnd,
    /// What it wrote, its standard output before its standard error; text of at most 8 KiB.
    pub output: String,
}

/// The ways in which a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandEnd {
    /// With an exit code.
    Exited(i32),
    /// By a signal that was not ours.
    Killed(i32),
    /// It was killed at its time-out.
    TimedOut(Duration),
    /// It was killed because it wrote more than this, in bytes.
    Flooded(u64),
}

/// The answer of a web server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpFacts {
    /// Where it is; without anything that may be secret.
    pub place: String,
    /// The answer, or why there is none.
    pub answer: Result<HttpAnswer, Unanswered>,
    /// How long the certificate is still valid; nothing without TLS. One that is expired is `Unanswered::Tls`.
    pub certificate_left: Option<Duration>,
    /// Below this it is a warning.
    pub certificate_wanted: Duration,
}

/// An answer, and what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The status code that it must be; otherwise any from 200 to 299.
    pub status_wanted: Option<u16>,
    /// The text that the body must have in it, where it was looked for and not found.
    pub body_lacks: Option<String>,
}

/// Why a server did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// Nothing listens.
    Refused,
    /// Nothing came within this time.
    TimedOut(Duration),
    /// The name leads to no address.
    Unresolved(String),
    /// The certificate or the handshake is bad.
    Tls(String),
    /// Anything else.
    Failed(String),
}

/// What became of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Where to.
    pub address: String,
    /// Connected, or why not.
    pub outcome: Result<(), Unanswered>,
}

/// The age of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAge {
    /// Where it is.
    pub path: String,
    /// Its age; zero if its time lies in the future. Nothing if there is no file.
    pub age: Option<Duration>,
    /// How old it may be.
    pub max_age: Duration,
}

/// What a ZMQ endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZmqFacts {
    /// Where it is.
    pub endpoint: String,
    /// The socket type that it must have, as ZMTP names it: `PUB`.
    pub wanted: Option<String>,
    /// What was found.
    pub sight: ZmqSight,
    /// What became of a question to it, where one was asked.
    pub echo: Option<Echo>,
    /// How long no message came, where messages are listened for.
    pub silence: Option<Silence>,
}

/// What was found at a ZMQ endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZmqSight {
    /// A ZMTP peer.
    Alive {
        /// Its socket type; under a security mechanism it is not shown to strangers.
        socket: Option<String>,
        /// `NULL`, `PLAIN`, `CURVE`, `GSSAPI`.
        mechanism: String,
    },
    /// A ZMTP peer of a version that does not say what it is.
    OldVersion(u8),
    /// Something that does not speak ZMTP, and what it said.
    NotZmtp(String),
    /// A peer that accepts the connection and does not say what it is for so long.
    Silent(Duration),
    /// A peer that ended the conversation before it said what it is.
    Closed,
    /// No connection.
    Unreachable(Unanswered),
}

/// What became of a question to a REP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Echo {
    /// It answered.
    Answered,
    /// It did not for so long.
    TimedOut(Duration),
}

/// How long no message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Since the last message, or since listening began.
    pub lasted: Duration,
    /// How long it may be.
    pub max: Duration,
}
