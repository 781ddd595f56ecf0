//! The page at several widths, and that nothing on it is obeyed by a terminal.

use super::{Chain, View, write};
use crate::render::samples::{hostile, hostile_texts, now, probe, service, troubled, zmq};
use crate::render::table::Surface;
use crate::render::text::width;
use crate::render::{Picture, Source, json};
use health_reporter::Status;
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
        transitions: transitions(),
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
",
    );
}

#[test]
fn on_40_columns() {
    let mut chain = crashed();
    chain.transitions.truncate(1);
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
",
    );
}

#[test]
fn what_was_not_looked_at_is_said() {
    let mut chain = crashed();
    let mut silent = service("backup", Status::Healthy, Cause::SelfReported, "");
    (silent.pid, silent.process, silent.subject.reasons) = (None, None, Vec::new());
    (chain.view, chain.transitions, chain.source) =
        (View::Service(Box::new(silent)), Vec::new(), Source::Direct);
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
        let chain = Chain::of(&picture.snapshot, name, |_| Vec::new())?;
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
                Chain::of(&picture.snapshot, &format!("{} {}", view.kind, view.name), |_| Vec::new());
            if view.kind == Kind::Service {
                chain = Chain::of(&picture.snapshot, &view.name, |_| Vec::new());
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
            chain.transitions = vec![transition(5, Status::Healthy, Status::Error, Cause::Hung, &text)];
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
    let depth = Chain::of(&troubled().snapshot, "depth", |_| Vec::new()).unwrap();
    assert_eq!(shown(&depth)["evidence"]["endpoint"], "tcp://127.0.0.1:5556");
}

/// It goes over the socket, and looks the same on the other side.
#[test]
fn a_chain_that_was_passed_on_is_the_same() {
    let (mut chain, line) = (crashed(), serde_json::to_string(&crashed()).unwrap());
    let passed_on: Chain = serde_json::from_str(&line).unwrap();
    chain.source = Source::Direct;
    assert_eq!(page(&passed_on, 80, false), page(&chain, 80, false));
    assert_eq!((passed_on.view, passed_on.transitions), (chain.view, chain.transitions));
}
