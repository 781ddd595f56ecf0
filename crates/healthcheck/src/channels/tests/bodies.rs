//! What each channel sends: the exact bodies and headers, and that hostile text stays text.

use super::*;
use crate::channels::plain_text::{clean, line};
use crate::channels::specimen;
use healthcheck_core::alerts::Machine;
use serde_json::{Value, json};
use server::Received;
use std::process::{Command, Stdio};

/// What was received of each notice that was sent.
fn sent(attempt: impl FnOnce(&str) -> Outcome) -> Vec<Received> {
    let server = Server::accepting();
    assert_eq!(attempt(&server.base("127.0.0.1")), Outcome::Accepted);
    server.received()
}

fn one(attempt: impl FnOnce(&str) -> Outcome) -> Received {
    let mut received = sent(attempt);
    assert_eq!(received.len(), 1, "{received:?}");
    received.remove(0)
}

fn good() -> Client {
    client(None, LONG)
}

#[test]
fn ntfy_gets_a_card_that_the_next_notice_of_the_thread_replaces() {
    let received = one(|base| ntfy_at(base, good()).send(&notice()));
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/"));
    assert_eq!(received.header("authorization"), Some("Bearer tk_canary"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    let expected = json!({
        "topic": "topic-canary",
        "sequence_id": "deimos-7",
        "title": "deimos: camera is down",
        "message": "deimos: camera is down: crashed (signal 9)\nalso affected: recorder",
        "priority": 4,
        "tags": ["x", "opened"],
        "click": "https://deimos.example.org/",
    });
    assert_eq!(received.json(), expected);
}

#[test]
fn the_priority_follows_the_status_and_a_healed_crash_is_quiet() {
    for (status, reason, priority) in [
        (Status::Healthy, NoticeReason::Recovered, 2),
        (Status::Unknown, NoticeReason::Opened, 2),
        (Status::Warning, NoticeReason::Opened, 3),
        (Status::Error, NoticeReason::Opened, 4),
        (Status::Fatal, NoticeReason::Worse, 5),
        (Status::Error, NoticeReason::Healed, 2),
    ] {
        let told = Notice { status, reason, ..notice() };
        let received = one(|base| ntfy_at(base, good()).send(&told));
        assert_eq!(received.json()["priority"], priority, "{status} {reason}");
    }
}

#[test]
fn ntfy_takes_a_user_and_a_password_as_well() {
    let received = one(|base| {
        let login = Some(Login::Password { user: "ann".into(), password: secret("pässword") });
        let (server, topic) = (Url(format!("{base}/")), secret("t"));
        Ntfy::new(ntfy::Settings { server, topic, login, click: None }, good()).send(&notice())
    });
    assert_eq!(received.header("authorization"), Some("Basic YW5uOnDDpHNzd29yZA=="));
    assert_eq!((received.path.as_str(), received.json().get("click")), ("/", None));
}

#[test]
fn the_dead_mans_switch_is_moved_and_taken_back_by_its_id() {
    let text = "deimos stopped reporting";
    for (delay, sent_as) in [(3_600, "3600s"), (1, "10s"), (10_000_000, "259200s")] {
        let delay = Duration::from_secs(delay);
        let received = one(|base| ntfy_at(base, good()).schedule("deimos-switch", delay, "deimos", text));
        let body = received.json();
        assert_eq!((&body["delay"], &body["sequence_id"]), (&json!(sent_as), &json!("deimos-switch")));
        assert_eq!((&body["message"], &body["priority"]), (&json!(text), &json!(5)));
    }
    let received = one(|base| ntfy_at(base, good()).cancel("deimos-switch"));
    assert_eq!((received.method.as_str(), received.path.as_str()), ("DELETE", "/topic-canary/deimos-switch"));
    assert_eq!(received.header("authorization"), Some("Bearer tk_canary"));
    assert!(received.body.is_empty());
}

#[test]
fn telegram_gets_plain_text_with_a_bold_beginning() {
    let received = one(|base| telegram_at(base, good()).send(&notice()));
    assert_eq!(received.path, "/bot42:canary-token_x/sendMessage");
    let body = received.json();
    assert_eq!(body["text"], notice().text, "the title is its beginning, and is not said twice");
    assert_eq!(body["entities"], json!([{"type": "bold", "offset": 0, "length": 22}]));
    assert_eq!((&body["chat_id"], body.get("parse_mode")), (&json!("-1001"), None));
    let long = Notice { title: "😀".repeat(300), text: "😀".repeat(5_000), ..notice() };
    let body = one(|base| telegram_at(base, good()).send(&long)).json();
    let units = body["text"].as_str().unwrap().encode_utf16().count();
    assert!((4_090..=4_096).contains(&units), "{units}");
    assert!(body["entities"][0]["length"].as_u64().unwrap() <= 256);
}

#[test]
fn slack_and_discord_get_what_they_show() {
    let received = one(|base| slack_at(base, good()).send(&notice()));
    assert_eq!(received.path, "/services/T0/B0/canary-slack");
    let body = received.json();
    let header = json!({"type": "plain_text", "text": "deimos: camera is down", "emoji": false});
    assert_eq!((&body["text"], &body["blocks"][0]["text"]), (&json!("deimos: camera is down"), &header));
    assert_eq!(body["blocks"][1]["text"]["text"], notice().text);
    let received = one(|base| discord_at(base, good()).send(&notice()));
    assert_eq!(received.path, "/api/webhooks/1/canary-discord?wait=true");
    let body = received.json();
    assert_eq!(body["content"], "deimos\\: camera is down");
    assert_eq!(body["allowed_mentions"], json!({"parse": []}));
    assert_eq!(unescaped(body["embeds"][0]["description"].as_str().unwrap()), notice().text);
}

#[test]
fn a_ping_is_a_plain_request() {
    let received = one(|base| ping_at(base, good()).send());
    assert_eq!((received.method.as_str(), received.path.as_str()), ("GET", "/canary-uuid-1234"));
    let shown = one(|base| Ping::new(Address::Shown(Url(format!("{base}/up"))), good()).send());
    assert_eq!(shown.path, "/up");
}

fn hook(body: Body, notice: &Notice) -> Vec<Received> {
    sent(|base| webhook_at(base, good(), body).send(notice))
}

#[test]
fn a_webhook_gets_the_whole_notice() {
    let received = hook(Body::Healthcheck, &notice()).remove(0);
    assert_eq!(received.path, "/hook/canary-path?key=canary-key");
    assert_eq!(received.header("authorization"), Some("Bearer canary-bearer"));
    assert_eq!(received.header("webhook-id"), Some("9f8e-1"));
    let body = received.json();
    assert_eq!(
        (&body["type"], &body["timestamp"]),
        (&json!("notice.opened"), &json!("2026-11-01T03:12:02Z"))
    );
    assert_eq!(serde_json::from_value::<Notice>(body["notice"].clone()).unwrap(), notice());
}

/// Refuses or accepts each machine by its name.
fn with_sick(name: &'static str) -> Server {
    Server::new(move |received, out| {
        let is_sick = received.json()["machine"]["name"] == name;
        out.write_all(answer(if is_sick { 500 } else { 200 }, "", "").as_bytes())
    })
}

#[test]
fn f26_each_machine_of_a_notice_is_told_and_none_twice() {
    let machines = ["deimos", "phobos", "mars"].map(|name| item(Kind::Host, name, Status::Error));
    let mut told = Notice { items: machines.to_vec(), ..notice() };
    told.items.insert(1, item(Kind::Service, "camera", Status::Error));
    told.items[3].status = Status::Healthy;
    let posts = hook(Body::Machine, &told);
    let said: Vec<_> =
        posts.iter().map(|post| (post.header("webhook-id").unwrap().to_owned(), post.json())).collect();
    let body = |event: &str, name: &str, status: &str, last_seen: &str| {
        let (description, id) = ("crashed (signal 9)", name);
        json!({"event": event, "machine": {"id": id, "name": name, "hostname": name,
            "description": description, "status": status, "last_seen": last_seen}})
    };
    let expected = [
        ("9f8e-1-1".to_owned(), body("machine.offline", "deimos", "offline", "2026-11-01T03:12:00Z")),
        ("9f8e-1-3".to_owned(), body("machine.offline", "phobos", "offline", "2026-11-01T03:12:00Z")),
        ("9f8e-1-4".to_owned(), body("machine.online", "mars", "online", "2026-11-01T03:12:02Z")),
    ];
    assert_eq!(said, expected);

    let server = with_sick("deimos");
    let mut webhook = webhook_at(&server.base("127.0.0.1"), good(), Body::Machine);
    assert!(matches!(webhook.send(&told), Outcome::Failed { .. }));
    assert_eq!(server.received().len(), 3, "the others are told although the first fails");
    assert!(matches!(webhook.send(&told), Outcome::Failed { .. }));
    let again: Vec<_> = server.received().iter().map(|post| post.json()["machine"]["name"].clone()).collect();
    assert_eq!(again, ["deimos"]);
}

fn phobos(status: Status) -> Item {
    let machine = Machine {
        hostname: "phobos.lan".to_owned(),
        description: "rack 2 \u{202e}<b>".to_owned(),
        last_seen: Some("2026-11-01T03:11:29Z".parse().unwrap()),
        services: vec!["camera".to_owned()],
    };
    Item { machine: Some(machine), ..item(Kind::Host, "phobos", status) }
}

#[test]
fn what_a_machine_says_of_itself_is_told_with_it() {
    let told = Notice { items: vec![phobos(Status::Error)], ..notice() };
    let body = hook(Body::Machine, &told).remove(0).json();
    let machine = json!({"id": "phobos", "name": "phobos", "hostname": "phobos.lan",
        "description": "rack 2 <b>", "status": "offline", "last_seen": "2026-11-01T03:11:29Z"});
    assert_eq!(body, json!({"event": "machine.offline", "machine": machine}));
    let mut back = phobos(Status::Healthy);
    back.machine.as_mut().unwrap().hostname.clear();
    let body = hook(Body::Machine, &Notice { items: vec![back], ..notice() }).remove(0).json();
    assert_eq!((&body["event"], &body["machine"]["hostname"]), (&json!("machine.online"), &json!("phobos")));
    assert_eq!(body["machine"]["last_seen"], "2026-11-01T03:12:02Z", "it is there now");
}

#[test]
fn a_machine_is_one_alert_whichever_watcher_tells_of_it() {
    let by = |host: &str, status| {
        let told = Notice { host: host.to_owned(), items: vec![phobos(status)], ..notice() };
        hook(Body::Alertmanager, &told).remove(0).json()
    };
    let (one, other) = (by("deimos", Status::Error), by("ceres", Status::Healthy));
    let (alert, resolved) = (&one["alerts"][0], &other["alerts"][0]);
    assert_eq!(alert["fingerprint"], resolved["fingerprint"]);
    assert_eq!((&one["groupLabels"], &alert["labels"]["host"]), (&json!({"kind": "host"}), &json!("phobos")));
    assert_eq!(
        alert["annotations"],
        json!({"summary": "deimos: host phobos is offline", "description": "crashed (signal 9)",
            "cause": "crashed", "watcher": "deimos", "hostname": "phobos.lan", "machine": "rack 2 <b>",
            "last_seen": "2026-11-01T03:11:29Z"})
    );
    assert_eq!(resolved["annotations"]["summary"], "ceres: host phobos is back");
}

#[test]
fn whoever_wants_only_machines_hears_of_nothing_else() {
    assert!(hook(Body::Machine, &notice()).is_empty());
    let unsure = Notice { items: vec![item(Kind::Host, "deimos", Status::Unknown)], ..notice() };
    assert!(hook(Body::Machine, &unsure).is_empty(), "nobody knows whether it is away");
}

#[test]
fn a_drill_is_posted_also_to_whoever_wants_only_machines() {
    let drill = Notice { reason: NoticeReason::Drill, items: Vec::new(), ..notice() };
    let posts = hook(Body::Machine, &drill);
    let said: Vec<_> = posts.iter().map(Received::json).collect();
    let machine = json!({"id": "deimos", "name": "deimos", "hostname": "deimos", "description": "drill",
        "status": "online", "last_seen": "2026-11-01T03:12:02Z"});
    assert_eq!(said, [json!({"event": "machine.online", "machine": machine})]);
}

#[test]
fn alertmanagers_receivers_get_its_version_4() {
    let mut told = notice();
    told.items.push(Item {
        status: Status::Healthy,
        was: Status::Warning,
        until: Some("2026-11-01T03:15:00Z".parse().unwrap()),
        ..item(Kind::Probe, "site", Status::Healthy)
    });
    let body = hook(Body::Alertmanager, &told).remove(0).json();
    let alert = &body["alerts"][0];
    assert_eq!(
        (&body["version"], &body["status"], &body["receiver"]),
        (&json!("4"), &json!("firing"), &json!("phone"))
    );
    assert_eq!(body["groupKey"], "{}:{thread=\"deimos-7\"}");
    assert_eq!(body["commonLabels"], json!({"host": "deimos"}));
    let labels = json!({"alertname": "ServiceUnhealthy", "host": "deimos", "kind": "service", "name": "camera",
        "service": "camera", "severity": "critical"});
    assert_eq!((&alert["status"], &alert["labels"]), (&json!("firing"), &labels));
    assert_eq!(
        (&alert["startsAt"], &alert["endsAt"]),
        (&json!("2026-11-01T03:12:00Z"), &json!("0001-01-01T00:00:00Z"))
    );
    assert_eq!(alert["annotations"]["description"], "crashed (signal 9)");
    let over = &body["alerts"][1];
    assert_eq!((&over["status"], &over["endsAt"]), (&json!("resolved"), &json!("2026-11-01T03:15:00Z")));
    assert_eq!(over["labels"]["severity"], "warning");
    told.items[0].status = Status::Fatal;
    told.items[0].cause = Cause::CrashLooping;
    let worse = hook(Body::Alertmanager, &told).remove(0).json();
    assert_eq!(worse["alerts"][0]["fingerprint"], alert["fingerprint"], "it is the same alert");
    let drill = Notice { items: Vec::new(), reason: NoticeReason::Drill, ..notice() };
    let body = hook(Body::Alertmanager, &drill).remove(0).json();
    assert_eq!(body["alerts"][0]["annotations"]["summary"], "deimos: camera is down");
}

#[test]
fn experimances_receivers_get_a_service_or_the_system() {
    let body = hook(Body::ServiceHealth, &notice()).remove(0).json();
    assert_eq!(
        (&body["type"], &body["service"]["service_name"]),
        (&json!("service_health"), &json!("camera"))
    );
    let check = &body["service"]["checks"][0];
    assert_eq!((&check["status"], &check["message"]), (&json!("error"), &json!("crashed (signal 9)")));
    let mut several = notice();
    several.items.push(item(Kind::Resource, "disk /", Status::Warning));
    let body = hook(Body::ServiceHealth, &several).remove(0).json();
    assert_eq!(body["type"], "system_health");
    assert_eq!(body["services"]["camera"]["overall_status"], "error");
    assert_eq!(body["services"]["resource disk /"]["overall_status"], "warning");
}

const VERIFY: &str = r#"
import base64, hashlib, hmac, json, sys
from standardwebhooks.webhooks import Webhook
secret, old, headers, body = json.load(sys.stdin)
Webhook(secret).verify(body, headers)
key = base64.b64decode(secret.removeprefix("whsec_"))
expected = "sha256=" + hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
assert hmac.compare_digest(expected, headers["x-webhook-signature"])
signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
second = "v1," + base64.b64encode(hmac.new(old.encode(), signed, hashlib.sha256).digest()).decode()
assert headers["webhook-signature"].split(" ")[1] == second
try:
    Webhook(secret).verify(body + " ", headers)
except Exception:
    print("verified")
"#;

/// By the library of the standard, and by Python's own hmac.
#[test]
fn signatures_are_verified_by_others() {
    let mut told = notice();
    told.text = "ß 日本 \"quoted\"".to_owned();
    let received = hook(Body::Healthcheck, &told).remove(0);
    let headers: serde_json::Map<_, _> =
        received.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let body = String::from_utf8(received.body).unwrap();
    let asked = json!(["whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnk=", "old-canary", headers, body]);
    let python =
        Command::new("python3").args(["-c", VERIFY]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = python.unwrap();
    python.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"verified\n", "does python3 have standardwebhooks?");
}

/// What ntfy makes of a publication: topic, title, message and priority, of the body or of the headers.
fn published(received: &Received) -> (String, String, String, String) {
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/"));
    let body = received.json();
    let of = |key: &str| match &body[key] {
        Value::String(text) => text.clone(),
        Value::Null => received.header(&format!("x-{key}")).unwrap_or_default().to_owned(),
        other => other.to_string(),
    };
    // By its name or its number, as ntfy's documentation has it.
    let priority = of("priority").replace("high", "4");
    (of("topic"), of("title"), of("message"), priority)
}

const APPRISE: &str = r"
import sys, apprise
url, title, body = sys.argv[1:]
there = apprise.Apprise()
sys.exit(0 if there.add(url) and there.notify(title=title, body=body) else 1)
";

/// What another client of ntfy sends to the same server is the same.
#[test]
fn ntfy_is_spoken_as_others_speak_it() {
    let server = Server::accepting();
    let base = server.base("127.0.0.1");
    let told = Notice { title: "ß \"camera\"".to_owned(), text: "it is down".to_owned(), ..notice() };
    assert_eq!(ntfy_at(&base, good()).send(&told), Outcome::Accepted);
    let url = base.replace("http://", "ntfy://") + "/topic-canary?priority=high&image=no";
    let apprise = Command::new("python3").args(["-c", APPRISE, &url, &told.title, &told.text]).output();
    let output = apprise.unwrap();
    assert!(output.status.success(), "has python3 apprise? {output:?}");
    let received = server.received();
    let [ours, others] = &received[..] else { panic!("{received:?}") };
    assert_eq!(published(ours), published(others));
    assert_eq!(ours.header("content-type"), others.header("content-type"));
}

/// Each text anywhere in it.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| [vec![name.clone()], texts(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        out.extend(if c == '\\' { letters.next() } else { Some(c) });
    }
    out
}

/// Whether it is all of it, or its beginning with a mark.
fn is_of(shown: &str, meant: &str) -> bool {
    shown == meant || shown.strip_suffix('…').is_some_and(|head| meant.starts_with(head) && head.len() > 200)
}

fn assert_is_text(received: &[Received]) {
    for request in received {
        assert!(request.header("x-injected").is_none());
        for text in texts(&request.json()) {
            assert!(!text.contains(specimen::is_hidden), "{text:?}");
        }
    }
}

#[test]
fn hostile_text_stays_text_in_every_channel() {
    for text in specimen::naughty() {
        let told = specimen::saying(&text);
        let (title, whole) = (line(&told.title), clean(&told.text).into_owned());
        let (title, whole) = (title.trim(), whole.trim());
        let ntfy = sent(|base| ntfy_at(base, good()).send(&told));
        let body = ntfy[0].json();
        assert!(is_of(body["message"].as_str().unwrap(), whole) && body["topic"] == "topic-canary", "{body}");
        assert_eq!(body.as_object().unwrap().len(), 7, "no key is added");
        let telegram = sent(|base| telegram_at(base, good()).send(&told));
        let body = telegram[0].json();
        let all = if whole.starts_with(title) { whole.to_owned() } else { format!("{title}\n{whole}") };
        assert!(is_of(body["text"].as_str().unwrap(), &all) || title.len() > 256, "{body}");
        assert_eq!(body["entities"].as_array().unwrap().len(), 1, "only our own is markup");
        let (slack, discord) = (
            sent(|base| slack_at(base, good()).send(&told)),
            sent(|base| discord_at(base, good()).send(&told)),
        );
        slack_shows(&slack[0].json(), title, whole);
        discord_shows(&discord[0].json(), title, whole);
        for body in [Body::Healthcheck, Body::Alertmanager, Body::ServiceHealth, Body::Machine] {
            assert_is_text(&hook(body, &told));
        }
        for received in [ntfy, telegram, slack, discord] {
            assert_is_text(&received);
        }
    }
}

fn slack_shows(body: &Value, title: &str, whole: &str) {
    for text in texts(body) {
        assert!(!text.contains(['<', '>']), "it could be a mention: {text}");
    }
    let shown = |value: &Value| {
        let text = value.as_str().unwrap();
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    };
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50 && blocks.iter().all(|block| block["text"]["type"] == "plain_text"));
    let header = shown(&blocks[0]["text"]["text"]);
    assert!(header.trim() == title || header.ends_with('…'), "{header}");
    assert!(blocks[0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
    let sections: Vec<_> = blocks[1..].iter().map(|block| shown(&block["text"]["text"])).collect();
    // Where a section ends, the end of a line is not shown.
    assert!(is_of(&sections.concat().replace('\n', ""), &whole.replace('\n', "")), "{sections:?}");
}

fn discord_shows(body: &Value, title: &str, whole: &str) {
    assert_eq!(body["allowed_mentions"], json!({"parse": []}));
    let content = body["content"].as_str().unwrap();
    assert!(content.encode_utf16().count() <= 2_000 && is_of(&unescaped(content), title), "{content}");
    if whole == title {
        assert!(body.get("embeds").is_none(), "it is not said twice");
        return;
    }
    let description = body["embeds"][0]["description"].as_str().unwrap();
    assert!(
        description.encode_utf16().count() <= 4_096 && is_of(&unescaped(description), whole),
        "{description}"
    );
    let mut letters = description.chars();
    while let Some(c) = letters.next() {
        if c == '\\' {
            letters.next();
        }
        assert!(!"*_~`|<>#[]()@:-".contains(c), "a sign of markup is not escaped: {description}");
    }
}
