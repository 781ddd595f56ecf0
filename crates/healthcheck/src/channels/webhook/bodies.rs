//! What is posted of a notice: our own body, and those of the programs that were here before.

use super::{Body, alertmanager};
use crate::channels::plain_text::clean_json;
use health_reporter::Status;
use healthcheck_core::Kind;
use healthcheck_core::alerts::{Item, Notice, NoticeReason};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// One request.
#[derive(Clone)]
pub(super) struct Post {
    /// The same at each attempt.
    pub(super) id: String,
    pub(super) body: Value,
}

/// What there is to post, clean of everything that is obeyed or hides something.
pub(super) fn posts(body: Body, notice: &Notice) -> Vec<Post> {
    let one = |body: Value| vec![Post { id: notice.id.clone(), body }];
    let mut posts = match body {
        Body::Healthcheck => one(healthcheck(notice)),
        Body::Machine => machines(notice),
        Body::Alertmanager => one(alertmanager::body(notice)),
        Body::ServiceHealth => one(service_health(notice)),
    };
    posts.iter_mut().for_each(|post| post.body = clean_json(post.body.take()));
    posts
}

fn healthcheck(notice: &Notice) -> Value {
    json!({
        "type": format!("notice.{}", notice.reason),
        "timestamp": notice.at,
        "notice": serde_json::to_value(notice).unwrap_or_default(),
    })
}

/// Numbered by their places in the notice, so that each has the same id at each attempt.
fn machines(notice: &Notice) -> Vec<Post> {
    // What is posted proves the channel: nothing posted would be accepted as well.
    if notice.reason == NoticeReason::Drill {
        let body = machine_is(&notice.host, &notice.host, "online", "drill", notice.at);
        return vec![Post { id: notice.id.clone(), body }];
    }
    let machines = notice.items.iter().enumerate().filter(|(_, item)| item.subject.kind == Kind::Host);
    let post = |(n, item): (usize, &Item)| {
        Some(Post { id: format!("{}-{}", notice.id, n + 1), body: machine(notice, item)? })
    };
    machines.filter_map(post).collect()
}

/// Nothing of a machine of which nobody could tell, or which stays what it is: there or away.
fn machine(notice: &Notice, item: &Item) -> Option<Value> {
    let is_offline = match item.status {
        Status::Error | Status::Fatal => true,
        Status::Healthy => false,
        Status::Warning if matches!(item.was, Status::Error | Status::Fatal) => false,
        Status::Warning | Status::Unknown => return None,
    };
    let word = if is_offline { "offline" } else { "online" };
    let name = &*item.subject.name;
    let machine = item.machine.as_ref();
    let hostname = machine.map(|it| &*it.hostname).filter(|hostname| !hostname.is_empty()).unwrap_or(name);
    // Of whoever says nothing of itself, what is the matter is all that there is to say.
    let description = machine.map_or(&*item.message, |it| &*it.description);
    let last_seen = machine.and_then(|it| it.last_seen).unwrap_or(item.since);
    let last_seen = if is_offline { last_seen } else { notice.at };
    Some(machine_is(name, hostname, word, description, last_seen))
}

/// The id of a machine is its name, for ever.
fn machine_is(name: &str, hostname: &str, word: &str, description: &str, last_seen: Timestamp) -> Value {
    json!({
        "event": format!("machine.{word}"),
        "machine": {
            "id": name,
            "name": name,
            "hostname": hostname,
            "description": description,
            "status": word,
            "last_seen": last_seen,
        },
    })
}

/// As Experimance's health service posts it: one service alone, or everything that is told by its name.
fn service_health(notice: &Notice) -> Value {
    match notice.items.as_slice() {
        [item] if item.subject.kind == Kind::Service => {
            json!({"type": "service_health", "timestamp": notice.at, "service": service(item)})
        }
        items => {
            let name = |item: &Item| match item.subject.kind {
                Kind::Service => item.subject.name.to_string(),
                _ => item.subject.to_string(),
            };
            let services: Map<String, Value> = items.iter().map(|item| (name(item), service(item))).collect();
            json!({"type": "system_health", "timestamp": notice.at, "services": services})
        }
    }
}

fn service(item: &Item) -> Value {
    let changed = item.until.unwrap_or(item.since);
    json!({
        "service_name": &*item.subject.name,
        "overall_status": item.status.as_str(),
        "last_updated": changed,
        "last_check": changed,
        "uptime": null,
        "restart_count": item.times_today,
        "error_count": u8::from(item.status.is_bad()),
        "checks": [{
            "name": item.cause.as_str(),
            "status": item.status.as_str(),
            "message": item.message,
            "timestamp": changed,
            "metadata": {"reason": item.reason.as_str(), "affected": item.affected},
        }],
    })
}
