//! The body that Alertmanager posts, version 4: most receivers of alerts read it.

use health_reporter::Status;
use healthcheck_core::Kind;
use healthcheck_core::alerts::{Item, Notice};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

/// What Alertmanager writes where there is no end.
const NO_END: &str = "0001-01-01T00:00:00Z";

pub(super) fn body(notice: &Notice) -> Value {
    let mut alerts: Vec<Value> =
        notice.items.iter().chain(&notice.still_bad).map(|item| alert(notice, item)).collect();
    if alerts.is_empty() {
        alerts.push(of_notice_itself(notice));
    }
    let is_firing = alerts.iter().any(|alert| alert["status"] == "firing");
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{thread=\"{}\"}}", notice.thread),
        "truncatedAlerts": 0,
        "status": word(is_firing),
        "receiver": notice.channel,
        "groupLabels": group(notice),
        "commonLabels": common(&alerts, "labels"),
        "commonAnnotations": common(&alerts, "annotations"),
        "externalURL": "",
        "alerts": alerts,
    })
}

/// Machines are of no one machine, whichever tells of them.
fn group(notice: &Notice) -> Value {
    let is_of_machines =
        !notice.items.is_empty() && notice.items.iter().all(|item| item.subject.kind == Kind::Host);
    if is_of_machines { json!({"kind": "host"}) } else { json!({"host": notice.host}) }
}

const fn word(is_firing: bool) -> &'static str {
    if is_firing { "firing" } else { "resolved" }
}

fn alert(notice: &Notice, item: &Item) -> Value {
    let (kind, name) = (item.subject.kind, &*item.subject.name);
    // A machine is the same alert whichever watcher tells of it.
    let host = if kind == Kind::Host { name } else { &notice.host };
    let is_firing = item.until.is_none() && item.status != Status::Healthy;
    let mut labels = json!({
        "alertname": alert_name(kind),
        "host": host,
        "kind": kind.as_str(),
        "name": name,
        "severity": severity(if is_firing { item.status } else { item.was }),
    });
    if kind == Kind::Service {
        labels["service"] = name.into();
    }
    let end = if is_firing { Value::from(NO_END) } else { json!(item.until.unwrap_or(notice.at)) };
    json!({
        "status": word(is_firing),
        "labels": labels,
        "annotations": annotations(notice, item),
        "startsAt": item.since,
        "endsAt": end,
        "generatorURL": "",
        "fingerprint": fingerprint(&[host, kind.as_str(), name]),
    })
}

/// What may change while it is the same alert.
fn annotations(notice: &Notice, item: &Item) -> Value {
    let name = &*item.subject.name;
    let is = match (item.subject.kind, item.status) {
        (Kind::Host, Status::Error | Status::Fatal) => format!("host {name} is offline"),
        (Kind::Host, Status::Healthy) => format!("host {name} is back"),
        (Kind::Host, status) => format!("host {name} is {status}"),
        (_, status) => format!("{name} is {status}"),
    };
    let mut said = json!({
        "summary": format!("{}: {is}", notice.host),
        "description": item.message,
        "cause": item.cause.as_str(),
    });
    if let Some(machine) = &item.machine {
        said["watcher"] = json!(notice.host);
        said["hostname"] = json!(machine.hostname);
        said["machine"] = json!(machine.description);
        said["last_seen"] = json!(machine.last_seen.map(|at| at.to_string()).unwrap_or_default());
    }
    said
}

/// A drill is of nobody but the machine.
fn of_notice_itself(notice: &Notice) -> Value {
    let is_firing = notice.status.is_bad();
    let end = if is_firing { Value::from(NO_END) } else { json!(notice.at) };
    json!({
        "status": word(is_firing),
        "labels": {
            "alertname": "Healthcheck",
            "host": notice.host,
            "kind": "host",
            "name": notice.host,
            "severity": severity(notice.status),
        },
        "annotations": {"summary": notice.title, "description": notice.text, "cause": notice.reason.as_str()},
        "startsAt": notice.at,
        "endsAt": end,
        "generatorURL": "",
        "fingerprint": fingerprint(&[&notice.host, "notice", &notice.thread]),
    })
}

/// The same as long as it is bad, whatever the cause becomes: it is a part of the identity.
const fn alert_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Service => "ServiceUnhealthy",
        Kind::Zmq => "ZmqUnhealthy",
        Kind::Probe => "ProbeUnhealthy",
        Kind::Resource => "ResourceUnhealthy",
        Kind::Host => "HostUnhealthy",
        Kind::Channel => "ChannelUnhealthy",
    }
}

const fn severity(status: Status) -> &'static str {
    match status {
        Status::Fatal | Status::Error => "critical",
        Status::Warning => "warning",
        Status::Unknown | Status::Healthy => "info",
    }
}

/// The same for the same subject at each time, as 16 hexadecimal digits.
fn fingerprint(parts: &[&str]) -> String {
    let hash = digest(&SHA256, parts.join("\n").as_bytes());
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What all of them say alike.
fn common(alerts: &[Value], of: &str) -> Map<String, Value> {
    let Some((first, others)) = alerts.split_first() else { return Map::new() };
    let mut common = first[of].as_object().cloned().unwrap_or_default();
    common.retain(|name, value| others.iter().all(|alert| alert[of].get(name) == Some(value)));
    common
}
