//! The page at several widths, and that nothing on it is obeyed by a terminal.

use super::{Chain, Past, People, View, write};
use crate::render::samples::{hostile, hostile_texts, incident, notice, now, probe, service, troubled, zmq};
use crate::render::table::Surface;
use crate::render::text::width;
use crate::render::{Picture, Source, json};
use health_reporter::Status;
use healthcheck_core::alerts::{Acknowledgement, ChannelView, Decided, Held};
use healthcheck_core::{Cause, CheckView, Evidence, Kind, Subject, Transition};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

fn page(chain: &Chain, columns: usize, colour: bool) -> String {
    let mut out = Vec::new();
    write(chain, Surface { columns, colour }, &TimeZone::UTC, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn assert_shows(chain: &Chain, columns: usize, wanted: &str) {
    let shown = page(chain, columns, false);
    assert!(shown == wanted, "wanted:\n{wanted}\nshown:\n{shown}");
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn transition(seconds_ago: i64, from: Status, to: Status, cause: Cause, message: &str) -> Transition {
    Transition {
        subject: Subject::service("camera"),
        from,
        to,
        cause,
        at: ago(seconds_ago),
        message: message.into(),
        since: ago(seconds_ago),
        reasons: vec!["its process is gone".into()],
        evidence: Evidence::default(),
        is_healed_by_supervisor: false,
        is_flapping: false,
    }
}

/// It crashed twice; after the first time it was started again.
fn transitions() -> Vec<Transition> {
    let restarted = Transition {
        is_healed_by_supervisor: true,
        ..transition(86_400, Status::Error, Status::Healthy, Cause::SelfReported, "")
    };
    let now = "crashed (signal 9), last beat 4 s ago";
    vec![
        transition(3, Status::Healthy, Status::Error, Cause::Crashed, now),
        restarted,
        transition(86_402, Status::Unknown, Status::Error, Cause::Crashed, "died, exit unknown"),
    ]
}

/// A camera that crashed, with everything that can be told of it.
fn crashed() -> Chain {
    let mut camera = service(
        "camera",
        Status::Error,
        Cause::Crashed,
        "crashed (signal 9), last beat 4 s ago, was up 4 h 12 min",
    );
    camera.subject.since = ago(3);
    camera.subject.reasons = vec!["its process is gone".into(), "its report has no goodbye".into()];
    camera.subject.evidence = Evidence::from_iter([
        ("state", "running"),
        ("last_beat", "4 s ago"),
        ("exit", "signal 9"),
        ("journal", "opening /dev/video0"),
        ("journal", "no frame within 5 s, and the buffer of the driver is full: giving up on this device"),
    ]);
    (camera.process, camera.current_task) = (None, Some("indexing 2024-11-03".into()));
    camera.checks = vec![CheckView {
        name: "capture".into(),
        status: Status::Warning,
        message: "12 frames dropped".into(),
        since: None,
    }];
    camera.affects = vec!["recorder".into(), "wall".into()];
    Chain {
        source: Source::Monitor { pid: 4711 },
        at: now(),
        view: View::Service(Box::new(camera)),
        past: Past { transitions: transitions(), people: People::default() },
    }
}

#[test]
fn from_the_evidence_to_the_verdict_on_80_columns() {
    assert_shows(
        &crashed(),
        80,
        "\
✖ camera  error                                 as the monitor (pid 4711) has it
what           crashed (signal 9), last beat 4 s ago, was up 4 h 12 min
cause          crashed: it ended without a goodbye
since          11:59:57, 3 s ago
because        its process is gone
               its report has no goodbye
evidence       its own state        running
               last beat            4 s ago
               how it ended         signal 9
               last in the journal  opening /dev/video0
                                    no frame within 5 s, and the buffer of the
                                    driver is full: giving up on this device
it says        task: indexing 2024-11-03
               ▲ capture warning: 12 frames dropped
concerns       also affected: recorder, wall
looked at      its report (4 s old, due within 30 s)
               its process 42
not looked at  anything from outside (no unit, container or probe belongs to it)
before         11:59:57             healthy → error, crashed (signal 9), last
                                    beat 4 s ago
               2025-05-31 12:00:00  error → healthy, started again by its
                                    supervisor, self reported
               2025-05-31 11:59:58  unknown → error, crashed: died, exit unknown
told           nobody  no monitor has a channel to tell it through
",
    );
}

#[test]
fn on_40_columns() {
    let mut chain = crashed();
    chain.past.transitions.truncate(1);
    if let View::Service(camera) = &mut chain.view {
        camera.subject.evidence = [("state", "running"), ("exit", "signal 9")].into_iter().collect();
        camera.checks.clear();
    }
    assert_shows(
        &chain,
        40,
        "\
✖ camera  error
  as the monitor (pid 4711) has it
what           crashed (signal 9), last
               beat 4 s ago, was up 4 h
               12 min
cause          crashed: it ended without
               a goodbye
since          11:59:57, 3 s ago
because        its process is gone
               its report has no goodbye
evidence       its own state: running
               how it ended: signal 9
it says        task: indexing 2024-11-03
concerns       also affected: recorder,
               wall
looked at      its report (4 s old, due
               within 30 s)
               its process 42
not looked at  anything from outside (no
               unit, container or probe
               belongs to it)
before         11:59:57: healthy →
               error, crashed (signal
               9), last beat 4 s ago
told           nobody: no monitor has a
               channel to tell it
               through
",
    );
}

#[test]
fn what_was_not_looked_at_is_said() {
    let mut chain = crashed();
    let mut silent = service("backup", Status::Healthy, Cause::SelfReported, "");
    (silent.pid, silent.process, silent.subject.reasons) = (None, None, Vec::new());
    (chain.view, chain.past, chain.source) =
        (View::Service(Box::new(silent)), Past::default(), Source::Direct);
    assert_shows(
        &chain,
        80,
        "\
● backup  healthy                                        as a direct look has it
cause          self reported: it says so itself
since          12:00:00, just now
looked at      its report (4 s old, due within 30 s)
not looked at  its process (no report names one)
               anything from outside (no unit, container or probe belongs to it)
",
    );
}

#[test]
fn a_probe_is_asked_for_by_its_name_or_with_its_kind() {
    let mut picture = troubled();
    let find = |picture: &Picture, name: &str| {
        let chain = Chain::of(&picture.snapshot, name, |_| Past::default())?;
        Some(chain.view.subject().kind)
    };
    assert_eq!(find(&picture, "depth"), Some(Kind::Zmq));
    assert_eq!(find(&picture, "zmq depth"), Some(Kind::Zmq));
    assert_eq!(find(&picture, "camera"), Some(Kind::Service));
    picture.snapshot.others.push(probe("depth", Status::Healthy, ""));
    assert_eq!(find(&picture, "depth"), None, "it is not said which");
    assert_eq!(find(&picture, "probe depth"), Some(Kind::Probe));
    picture.snapshot.others.push(zmq("camera", Status::Healthy, ""));
    assert_eq!(find(&picture, "camera"), Some(Kind::Service));
    assert!(super::names(&picture.snapshot).contains(&"probe db".to_owned()));
}

#[test]
fn nothing_on_the_page_is_obeyed_or_too_wide() {
    for text in hostile_texts() {
        let picture = hostile(&text);
        for view in picture.snapshot.subjects() {
            let mut chain =
                Chain::of(&picture.snapshot, &format!("{} {}", view.kind, view.name), |_| Past::default());
            if view.kind == Kind::Service {
                chain = Chain::of(&picture.snapshot, &view.name, |_| Past::default());
            }
            let Some(mut chain) = chain else { continue };
            if let View::Service(service) = &mut chain.view {
                let check = CheckView {
                    name: text.clone(),
                    status: Status::Fatal,
                    message: text.clone(),
                    since: None,
                };
                (service.checks, service.name_inside) = (vec![check; 20], Some(text.clone()));
                service.subject.evidence =
                    [("journal", text.as_str()), ("panic", &text)].into_iter().collect();
                service.subject.reasons = vec![text.clone().into()];
            }
            chain.past.transitions = vec![transition(5, Status::Healthy, Status::Error, Cause::Hung, &text)];
            chain.past.people = told(&text);
            for columns in [40, 57, 80, 200] {
                for line in page(&chain, columns, false).lines() {
                    assert!(width(line) <= columns, "{} columns in {columns}: {line:?}", width(line));
                    assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
                }
            }
        }
    }
}

#[test]
fn colour_is_only_on_top() {
    let coloured = page(&crashed(), 80, true);
    assert!(coloured.starts_with("\u{1b}[31m✖ camera  error\u{1b}[0m"), "{coloured:?}");
    assert_eq!(coloured.replace("\u{1b}[31m", "").replace("\u{1b}[0m", ""), page(&crashed(), 80, false));
}

#[test]
fn programs_get_the_keys_of_the_snapshot_and_the_transitions() {
    let shown = |chain: &Chain| -> serde_json::Value {
        let mut out = Vec::new();
        json::write_chain(chain, false, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    };
    let camera = shown(&crashed());
    assert_eq!((&camera["kind"], &camera["name"]), (&"service".into(), &"camera".into()));
    assert_eq!((&camera["status"], &camera["cause"]), (&"error".into(), &"crashed".into()));
    assert_eq!((&camera["source"], &camera["monitor_pid"]), (&"monitor".into(), &4711.into()));
    assert_eq!(camera["checks"][0]["name"], "capture");
    assert_eq!(camera["transitions"][1]["is_healed_by_supervisor"], true);
    assert_eq!(camera["transitions"][0]["from"], "healthy");
    let depth = Chain::of(&troubled().snapshot, "depth", |_| Past::default()).unwrap();
    assert_eq!(shown(&depth)["evidence"]["endpoint"], "tcp://127.0.0.1:5556");
}

/// It goes over the socket, and looks the same on the other side.
#[test]
fn a_chain_that_was_passed_on_is_the_same() {
    let (mut chain, line) = (crashed(), serde_json::to_string(&crashed()).unwrap());
    let passed_on: Chain = serde_json::from_str(&line).unwrap();
    chain.source = Source::Direct;
    assert_eq!(page(&passed_on, 80, false), page(&chain, 80, false));
    assert_eq!((passed_on.view, passed_on.past.transitions), (chain.view, chain.past.transitions));
    assert_eq!(passed_on.past.people.channels, chain.past.people.channels);
}

/// One channel was told, the others were not yet or not at all; each for another reason.
fn told(text: &str) -> People {
    let view = |channel: &str, held: Option<Held>| ChannelView {
        channel: channel.to_owned(),
        decided: held.map(|held| Decided { held, at: ago(2), until: None, notice: None }),
        outgoing: None,
        problem: None,
    };
    let mut phone = view("phone", Some(Held::Told));
    phone.decided.as_mut().unwrap().notice = Some("a-7".to_owned());
    let mut desk = view("desk", Some(Held::Silenced { id: 3 }));
    desk.decided.as_mut().unwrap().until = Some(now() + SignedDuration::from_hours(1));
    let mut mail = view("mail", Some(Held::Busy));
    mail.outgoing = Some(notice("a-8", "mail", "waiting", 3, Some(text)));
    mail.problem = Some(text.to_owned());
    let mut open = incident(12, None, &["camera", "wall", "recorder"], text);
    open.acknowledged = Some(Acknowledgement { author: "ann".to_owned(), at: ago(1) });
    People {
        incident: Some(open),
        channels: vec![desk, mail, phone, view("pager", None)],
        notices: vec![
            notice("a-8", "mail", "waiting", 3, Some(text)),
            notice("a-7", "phone", "accepted", 1, None),
            notice("a-6", "phone", "replaced", 2, Some("timed out")),
        ],
    }
}

#[test]
fn it_goes_on_to_who_was_told_and_why_nobody_else_was() {
    let mut chain = crashed();
    chain.past = Past { transitions: Vec::new(), people: told("connection refused") };
    let shown = page(&chain, 100, false);
    let (_, told) = shown.split_once("incident").unwrap();
    let wanted = "       12, open since 11:57:00, 3 min ago, with 2 others
               ann cares for it since 11:59:59
told           desk   not told: muted by silence 3, until 13:00:00
               mail   on its way as notice a-8, 3 attempts so far: connection refused; the channel
                      does not work: connection refused
               phone  told by notice a-7, 11:59:58, 2 s ago
               pager  nothing was to be told yet
notices        11:57:00  opened to mail, notice a-8, on its way after 3 attempts: connection refused
                         opened to phone, notice a-7, accepted
                         opened to phone, notice a-6, replaced by a later one after 2 attempts:
                         timed out
";
    assert!(told == wanted, "wanted:\n{wanted}\nshown:\n{told}");
}

#[test]
fn an_incident_that_is_over_is_shown_as_such_and_who_was_never_concerned_is_not() {
    let mut chain = crashed();
    let well = service("camera", Status::Healthy, Cause::SelfReported, "");
    chain.view = View::Service(Box::new(well));
    let mut people = told("");
    (people.incident, people.notices) = (Some(incident(12, Some(60), &["camera"], "")), Vec::new());
    people.channels.retain(|view| view.decided.is_none());
    chain.past = Past { transitions: Vec::new(), people };
    let shown = page(&chain, 100, false);
    let wanted = "incident       12, over since 11:59:00, 1 min ago, it lasted 2 min\n";
    assert!(shown.ends_with(wanted), "{shown}");
}

#[test]
fn programs_get_who_was_told_and_why_not() {
    let mut chain = crashed();
    chain.past.people = told("connection refused");
    let mut out = Vec::new();
    json::write_chain(&chain, false, &mut out).unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let (incident, channels) = (&shown["incident"], &shown["channels"]);
    assert_eq!((&incident["id"], &incident["acknowledged"]["author"]), (&12.into(), &"ann".into()));
    assert_eq!(incident["subjects"][1]["name"], "wall");
    assert_eq!(channels[0]["decided"]["held"], serde_json::json!({ "reason": "silenced", "id": 3 }));
    assert_eq!(channels[0]["because"], "muted by silence 3");
    assert_eq!(
        (&channels[1]["on_its_way"]["attempts"], &channels[1]["problem"]),
        (&3.into(), &"connection refused".into())
    );
    assert_eq!(channels[2]["decided"]["notice"], "a-7");
    let notice = &shown["notices"][2];
    assert_eq!((&notice["state"], &notice["error"]), (&"replaced".into(), &"timed out".into()));
}
