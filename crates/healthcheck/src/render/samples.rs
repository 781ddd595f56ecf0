//! Pictures made by hand, for tests.

use super::{Mode, Picture, Remark, Source};
use health_reporter::{State, Status};
use healthcheck_core::alerts::{Incident, Outgoing, Silence};
use healthcheck_core::{
    Capacity, Cause, Counts, Descriptors, Disk, Evidence, Inodes, Kind, Limits, Load, Metric, Pressure,
    Priority, ProcessCost, Quantity, Resources, ServiceView, Snapshot, SubjectView, Temperature,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn now() -> Timestamp {
    "2025-06-01T12:00:00Z".parse().unwrap()
}

pub(super) fn subject(kind: Kind, name: &str, status: Status, cause: Cause, message: &str) -> SubjectView {
    SubjectView {
        kind,
        name: name.into(),
        status,
        cause,
        message: message.into(),
        since: now(),
        reasons: vec!["because".into()],
        evidence: Evidence::default(),
        is_flapping: false,
        took: None,
        metrics: Vec::new(),
    }
}

pub(super) fn service(name: &str, status: Status, cause: Cause, message: &str) -> ServiceView {
    ServiceView {
        subject: subject(Kind::Service, name, status, cause, message),
        priority: Priority::Critical,
        state: Some(State::Running),
        current_task: None,
        name_inside: None,
        checks: Vec::new(),
        checks_left_out: 0,
        deadline_s: Some(30.0),
        age_s: Some(4.0),
        uptime_s: Some(15_120.0),
        last_updated: Some(now()),
        restart_count: 1,
        error_count: 2,
        messages_sent: 3,
        messages_received: 4,
        pid: Some(42),
        process: Some(ProcessCost { cpu_s: 1.5, memory_bytes: 1 << 20, descriptors: Some(7), threads: 3 }),
        depends_on: Vec::new(),
        root: None,
        affects: Vec::new(),
        affects_left_out: 0,
    }
}

pub(super) fn well(name: &str) -> ServiceView {
    service(name, Status::Healthy, Cause::SelfReported, "")
}

pub(super) fn probe(name: &str, status: Status, message: &str) -> SubjectView {
    let cause = if status == Status::Healthy { Cause::SelfReported } else { Cause::ProbeFailed };
    SubjectView {
        took: Some(Duration::from_micros(12_300)),
        ..subject(Kind::Probe, name, status, cause, message)
    }
}

pub(super) fn zmq(name: &str, status: Status, message: &str) -> SubjectView {
    SubjectView {
        kind: Kind::Zmq,
        took: Some(Duration::from_micros(200)),
        evidence: [("endpoint", "tcp://127.0.0.1:5556"), ("socket", "PUB")].into_iter().collect(),
        ..probe(name, status, message)
    }
}

pub(super) fn resource(name: &str, status: Status, message: &str) -> SubjectView {
    let cause = if status == Status::Healthy { Cause::SelfReported } else { Cause::Threshold };
    subject(Kind::Resource, name, status, cause, message)
}

pub(super) fn metric(label: &str, value: f64, unit: &str) -> Metric {
    Metric { label: label.into(), value, unit: unit.into() }
}

pub(super) fn disk(mount_point: &str, used_percent: u64) -> Disk {
    Disk {
        mount_point: mount_point.into(),
        device: "/dev/vda1".into(),
        kind: "ext4".into(),
        bytes: Capacity { total_bytes: 100_000, available_bytes: (100 - used_percent) * 1_000 },
        inodes: Some(Inodes { total: 1_000, available: 900 }),
        is_read_only: false,
    }
}

pub(super) fn resources() -> Resources {
    Resources {
        memory: Some(Capacity { total_bytes: 1_000, available_bytes: 590 }),
        swap: Some(Capacity { total_bytes: 1_000, available_bytes: 1_000 }),
        load: Some(Load { one: 0.7, five: 0.4, fifteen: 0.2, cores: 2 }),
        cpu_ratio: Some(0.12),
        pressure: Pressure { cpu_ratio: Some(0.0), memory_ratio: None, io_ratio: Some(0.002) },
        disks: vec![disk("/", 63)],
        temperatures: vec![Temperature { name: "coretemp Package id 0".into(), celsius: 45.0 }],
        descriptors: Some(Descriptors { open: 1_000, max: 100_000 }),
    }
}

fn limits(warning: f64, is_bad_below: bool) -> Limits {
    Limits { warning: Some(warning), error: None, clear: None, hold: Duration::ZERO, is_bad_below }
}

/// A picture of these subjects, judged as the worst of them is.
pub(super) fn picture(services: Vec<ServiceView>, others: Vec<SubjectView>) -> Picture {
    let mut counts = Counts::default();
    let mut overall_status = Status::Unknown;
    let views = services.iter().map(|view| &view.subject).chain(&others);
    for (number, view) in views.enumerate() {
        overall_status = if number == 0 { view.status } else { overall_status.max(view.status) };
        if view.kind == Kind::Resource {
            continue;
        }
        counts.total += 1;
        *match view.status {
            Status::Healthy => &mut counts.healthy,
            Status::Unknown => &mut counts.unknown,
            Status::Warning => &mut counts.warning,
            Status::Error => &mut counts.error,
            Status::Fatal => &mut counts.fatal,
        } += 1;
    }
    Picture {
        source: Source::Direct,
        host: "deimos".into(),
        project: Some("experimance".into()),
        mode: Mode::Processes,
        snapshot: Snapshot { timestamp: now(), overall_status, counts, services, others },
        resources: Some(resources()),
        limits: BTreeMap::from([
            (Quantity::Memory, limits(0.9, false)),
            (Quantity::Disk, limits(0.95, false)),
            (Quantity::DiskFree, limits(1_000.0, true)),
        ]),
        remarks: Vec::new(),
    }
}

/// The one in which something of every kind is wrong.
pub(super) fn troubled() -> Picture {
    let mut camera =
        service("camera", Status::Error, Cause::Crashed, "crashed (signal 9) 3 s ago, was up 4 h 12 min");
    camera.current_task = Some("indexing 2024-11-03".into());
    let transcoder = ServiceView {
        subject: SubjectView {
            since: now() - SignedDuration::from_mins(2),
            ..service("transcoder", Status::Warning, Cause::SelfReported, "queue 812 of 1000").subject
        },
        ..well("transcoder")
    };
    let mut agent = service("agent", Status::Healthy, Cause::Stopped, "");
    agent.subject.since = now() - SignedDuration::from_mins(5);
    let services = vec![agent, well("audio"), camera, well("core"), well("display"), transcoder];
    let others = vec![
        zmq("depth", Status::Error, "tcp://127.0.0.1:5556 refused"),
        zmq("events", Status::Healthy, "PUB"),
        probe("db", Status::Healthy, "accepting connections"),
    ];
    picture(services, others)
}

/// Everything says everything that could be taken for something else.
pub(super) fn hostile(text: &str) -> Picture {
    let evil = |kind, status, cause| SubjectView {
        took: Some(Duration::from_millis(3)),
        metrics: vec![metric(text, 1.5, "ms"), metric(text, 2.0, "GB"), metric("load", 1e300, "")],
        ..subject(kind, text, status, cause, text)
    };
    let mut service = service("camera", Status::Error, Cause::SelfReported, text);
    service.current_task = Some(text.into());
    service.root = Some(text.into());
    service.affects = vec![text.into(); 3];
    service.subject.metrics = vec![metric(text, -0.0, "furlong")];
    let others = vec![
        evil(Kind::Zmq, Status::Warning, Cause::ProbeFailed),
        evil(Kind::Zmq, Status::Healthy, Cause::SelfReported),
        evil(Kind::Probe, Status::Error, Cause::ProbeFailed),
        evil(Kind::Probe, Status::Healthy, Cause::SelfReported),
        resource(&format!("disk {text}"), Status::Warning, text),
    ];
    let mut picture = picture(vec![service, well("Health"), well("resource memory")], others);
    picture.host = text.into();
    picture.project = Some(text.into());
    let resources = picture.resources.as_mut().unwrap();
    resources.disks.extend([disk(text, 97), disk(text, 98), disk("/b", 5), disk("/c", 6), disk("/d", 7)]);
    resources.temperatures.push(Temperature { name: text.into(), celsius: -3.5 });
    picture.remarks =
        vec![Remark { about: "twice".into(), status: Status::Warning, message: text.into(), counts: true }];
    picture
}

/// Texts that were taken for something else once.
pub(super) fn hostile_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "a'b=c|d;e\"f\\g\\n",
        "line\nfeed\r\n\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m",
        "<!channel> @everyone <<<local>>>",
        "日本語の長いメッセージ、空白がありません。もっと長く、もっともっと長く、もっともっともっと長く",
        "👩‍👩‍👧‍👦 ☺️ 🏳️‍🌈 ❤️‍🔥 e\u{301}\u{302}\u{303} ﷺ",
        "\u{202e}txt.exe שלום مرحبا \u{2066}x\u{2069}",
        "'label'=1;2;3;4;5 | 'other'=2",
        "0 \"Health\" - all is well",
        "} 1\n# HELP x y\nx{a=\"b\"} 1",
        "disk:/a:b",
    ]
    .map(str::to_owned)
    .into();
    texts.push("0123456789 ".repeat(1_000));
    texts.push("長".repeat(4_000));
    texts
}

/// An incident that began three minutes ago; the last one of its subjects recovered so many seconds ago.
pub(super) fn incident(id: u64, over: Option<i64>, names: &[&str], message: &str) -> Incident {
    let ago = |seconds| now() - SignedDuration::from_secs(seconds);
    let member = |name: &&str| {
        json!({ "subject": { "kind": "service", "name": name }, "status": "error", "cause": "crashed",
                "message": message, "since": ago(180), "recovered": over.map(ago) })
    };
    let members: Vec<_> = names.iter().map(member).collect();
    serde_json::from_value(json!({
        "id": id, "opened": ago(180), "resolved": over.map(ago), "worst": "error", "acknowledged": null,
        "members": members, "opened_at": { "secs": 1, "nanos": 0 },
    }))
    .unwrap()
}

/// A notice of three minutes ago.
pub(super) fn notice(id: &str, channel: &str, state: &str, attempts: u32, error: Option<&str>) -> Outgoing {
    let at = now() - SignedDuration::from_secs(180);
    let notice = json!({
        "id": id, "channel": channel, "host": "deimos", "at": at, "reason": "opened", "status": "error",
        "incident": 12, "thread": "a-i12", "title": "deimos: camera is down", "text": "", "items": [],
        "still_bad": [], "left_out": 0,
    });
    serde_json::from_value(json!({
        "notice": notice, "state": state, "attempts": attempts, "last_error": error, "ended": null,
    }))
    .unwrap()
}

pub(super) fn silence(id: u64, pattern: &str, reason: &str, command: Option<&str>) -> Silence {
    Silence {
        id,
        pattern: pattern.to_owned(),
        until: now() + SignedDuration::from_mins(90),
        while_command: command.map(str::to_owned),
        reason: reason.to_owned(),
        author: "ann".to_owned(),
        created: now(),
    }
}
