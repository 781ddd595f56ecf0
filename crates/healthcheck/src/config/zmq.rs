//! `[zmq.NAME]`: endpoints that must answer.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{ZmqEndpoint, zmq_endpoint};
use super::argv;
use super::name;
use super::problems::Scope;
use super::raw::RawZmq;
use super::schedule::{Schedule, TIMEOUT_CONNECT, schedule};
use super::units::{POSITIVE, duration, serialize_duration_if};

/// The type of a socket at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Socket {
    Pub,
    Sub,
    XPub,
    XSub,
    Push,
    Pull,
    Req,
    Rep,
    Dealer,
    Router,
    Pair,
}

impl Socket {
    /// As ZMTP names it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pub => "PUB",
            Self::Sub => "SUB",
            Self::XPub => "XPUB",
            Self::XSub => "XSUB",
            Self::Push => "PUSH",
            Self::Pull => "PULL",
            Self::Req => "REQ",
            Self::Rep => "REP",
            Self::Dealer => "DEALER",
            Self::Router => "ROUTER",
            Self::Pair => "PAIR",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ZmqSettings {
    pub(crate) endpoint: ZmqEndpoint,
    /// What it must be, where that is demanded.
    pub(crate) socket: Option<Socket>,
    /// A question that it must answer.
    pub(crate) echo: Option<String>,
    #[serde(serialize_with = "serialize_duration_if")]
    pub(crate) max_silence: Option<Duration>,
    #[serde(flatten)]
    pub(crate) schedule: Schedule,
}

pub(super) fn zmq(at: &Scope<'_>, raw: BTreeMap<String, RawZmq>) -> BTreeMap<String, ZmqSettings> {
    let named = raw.into_iter().filter(|(name, _)| name::check_key(at, name));
    named.filter_map(|(name, raw)| Some((name.clone(), endpoint(&at.key(&name), &raw)?))).collect()
}

fn endpoint(at: &Scope<'_>, raw: &RawZmq) -> Option<ZmqSettings> {
    let endpoint = raw.endpoint.as_ref().and_then(|text| zmq_endpoint(&at.key("endpoint"), text));
    let max_silence = duration(&at.key("max_silence"), raw.max_silence.as_ref(), POSITIVE);
    let schedule = schedule(at, &raw.schedule, TIMEOUT_CONNECT);
    let echo = echo(at, raw);
    Some(ZmqSettings { endpoint: endpoint?, socket: raw.socket, echo, max_silence, schedule })
}

/// Only these two take a question from anybody and answer it.
fn echo(at: &Scope<'_>, raw: &RawZmq) -> Option<String> {
    let question = argv::text(&at.key("echo"), raw.echo.clone())?;
    if raw.socket.is_some_and(|socket| !matches!(socket, Socket::Rep | Socket::Router)) {
        at.key("echo").refuse_unshown("needs a REP or ROUTER socket", "leave it out");
    }
    Some(question)
}
