//! What a heartbeat says of a service: the verdict on it, never more than what was seen.

use super::manifests::Announced;
use super::namespace::Namespace;
use health_reporter::{Status, bounded};
use healthcheck_core::{Cause, Kind, Snapshot, SubjectView};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

const MAX_MESSAGE_BYTES: usize = 256;
/// A longer one is no service's, and would only be carried along.
const MAX_SERVICE_BYTES: usize = 64;

/// How each service was at one look.
pub(super) type Sights = BTreeMap<Namespace, Sight>;

/// How a service was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Sight {
    status: Status,
    cause: Cause,
    message: String,
    service: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

/// The value of a key.
#[derive(Serialize)]
struct Beat<'a> {
    namespace: &'a str,
    host: &'a str,
    timestamp: Timestamp,
    heartbeat_count: u64,
    #[serde(flatten)]
    sight: &'a Sight,
}

impl Sight {
    fn of(view: &SubjectView) -> Self {
        Self {
            status: view.status,
            cause: view.cause,
            message: plain(&view.message),
            service: plain(&view.name),
            since: Some(view.since),
        }
    }

    /// Nobody saw anything of it.
    pub(super) fn none(service: &str, message: impl Into<String>) -> Self {
        let service = bounded(&plain(service), MAX_SERVICE_BYTES);
        let (status, cause) = (Status::Unknown, Cause::NotObserved);
        Self { status, cause, message: message.into(), service, since: None }
    }

    /// A look of our own knows nothing of the one before: who is as he was then has been so since.
    pub(super) fn continues(&mut self, earlier: &Self) {
        let is_same =
            (self.status, self.cause, &self.service) == (earlier.status, earlier.cause, &earlier.service);
        if is_same && earlier.since.is_some() {
            self.since = earlier.since;
        }
    }

    pub(super) fn service(&self) -> &str {
        &self.service
    }

    /// As it is written into etcd.
    pub(super) fn value(&self, namespace: &Namespace, host: &str, count: u64) -> Vec<u8> {
        let timestamp = Timestamp::now();
        let timestamp = timestamp.round(jiff::Unit::Millisecond).unwrap_or(timestamp);
        let beat =
            Beat { namespace: namespace.as_str(), host, timestamp, heartbeat_count: count, sight: self };
        serde_json::to_vec(&beat).unwrap_or_default()
    }
}

/// How each of those who are announced is in this snapshot.
pub(super) fn sights(announced: &Announced, snapshot: &Snapshot) -> Sights {
    let sight = |(namespace, service): (&Namespace, &Option<String>)| {
        let named = service.as_deref().and_then(|name| find(snapshot, name));
        let view = named.or_else(|| find(snapshot, namespace.as_str()));
        let nothing = || Sight::none(namespace.as_str(), "there is no report and no check of this name");
        (namespace.clone(), view.map_or_else(nothing, Sight::of))
    };
    announced.iter().map(sight).collect()
}

/// The service of this name, or the worst of its instances; else what is looked at under this name.
fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a SubjectView> {
    let is_instance = |other: &str| other.split_once('@').is_some_and(|(service, _)| service == name);
    let services = snapshot.services.iter().map(|service| &service.subject);
    let meant = services.filter(|view| &*view.name == name || is_instance(&view.name));
    let worst = meant.reduce(|worst, view| if view.status > worst.status { view } else { worst });
    let mut looked_at = snapshot.others.iter().filter(|view| matches!(view.kind, Kind::Probe | Kind::Zmq));
    worst.or_else(|| looked_at.find(|view| &*view.name == name))
}

/// Foreign text without what controls anything or turns the direction of writing.
fn plain(text: &str) -> String {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept: String = text.chars().filter(|c| !c.is_control() && !turns(*c)).collect();
    bounded(&kept, MAX_MESSAGE_BYTES)
}
