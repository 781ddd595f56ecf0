//! `[zmq.NAME]`: endpoints that must answer.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{ZmqEndpoint, zmq_endpoint};
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ZmqSettings {
    pub(crate) endpoint: ZmqEndpoint,
    /// What it must be, where that is demanded.
    pub(crate) socket: Option<Socket>,
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
    Some(ZmqSettings { endpoint: endpoint?, socket: raw.socket, max_silence, schedule })
}
