//! The face of a fleet at several widths, of hostile ones, and of very many.

use super::{FleetPicture, MachineView, Presence, ServiceView, write};
use crate::render::samples::{hostile_texts, now};
use crate::render::table::Surface;
use crate::render::text::width;
use crate::render::{Remark, Source};
use health_reporter::Status;
use healthcheck_core::Cause;
use jiff::{SignedDuration, Timestamp};

pub(in crate::render) fn picture(machines: impl IntoIterator<Item = (String, MachineView)>) -> FleetPicture {
    FleetPicture {
        source: Source::Monitor { pid: 42 },
        timestamp: now(),
        host: "deimos".into(),
        prefix: "/health".into(),
        endpoints: vec!["http://127.0.0.1:2379".into()],
        teller: Some("deimos".into()),
        remarks: Vec::new(),
        machines: machines.into_iter().collect(),
    }
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

pub(in crate::render) fn well(name: &str) -> (String, MachineView) {
    let view = MachineView {
        presence: Presence::Online,
        status: Status::Healthy,
        cause: Cause::SelfReported,
        message: String::new(),
        since: ago(86_400),
        hostname: format!("{name}.lan"),
        description: "rack 2".into(),
        last_seen: Some(now()),
        version: "0.1.0".into(),
        reported: Status::Healthy,
        is_own: name == "deimos",
        services: [("camera".to_owned(), service(Status::Healthy, "self_reported", ""))].into(),
    };
    (name.to_owned(), view)
}

pub(in crate::render) fn lost(name: &str) -> (String, MachineView) {
    let mut service = service(Status::Unknown, "not_observed", "its machine is offline, was healthy");
    service.since = Some(ago(31));
    let view = MachineView {
        presence: Presence::Offline,
        status: Status::Error,
        cause: Cause::Overdue,
        message: format!("its lease ended, last seen 31 s ago; {name}.lan, rack 2; ran camera"),
        since: ago(31),
        last_seen: Some(ago(31)),
        services: [("camera".to_owned(), service)].into(),
        ..well(name).1
    };
    (name.to_owned(), view)
}

fn stopped(name: &str) -> (String, MachineView) {
    let view = MachineView {
        presence: Presence::Stopped,
        cause: Cause::Stopped,
        message: "stopped (reboot)".into(),
        since: ago(300),
        last_seen: Some(ago(300)),
        ..well(name).1
    };
    (name.to_owned(), view)
}

fn service(status: Status, cause: &str, message: &str) -> ServiceView {
    let (cause, message) = (cause.to_owned(), message.to_owned());
    ServiceView { status, cause, message, since: Some(ago(120)), current_task: None }
}

fn troubled(name: &str) -> (String, MachineView) {
    let (name, mut view) = well(name);
    let mut camera = service(Status::Error, "crashed", "crashed (signal 9) 3 s ago, was up 4 h 12 min");
    camera.current_task = Some("indexing 2024-11-03".into());
    let transcoder = service(Status::Warning, "self_reported", "queue 812 of 1000");
    view.services = [("camera".to_owned(), camera), ("transcoder".to_owned(), transcoder)].into();
    view.services.insert("core".to_owned(), service(Status::Healthy, "self_reported", ""));
    view.reported = Status::Error;
    (name, view)
}

fn shown(picture: &FleetPicture, columns: usize) -> String {
    let mut out = Vec::new();
    write(picture, Surface { columns, colour: false }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn assert_shows(picture: &FleetPicture, columns: usize, wanted: &str) {
    let shown = shown(picture, columns);
    assert!(shown == wanted, "wanted:\n{wanted}\nshown:\n{shown}");
}

fn fleet() -> FleetPicture {
    let mut picture = picture([
        well("deimos"),
        well("ceres"),
        lost("phobos"),
        stopped("mars"),
        troubled("vesta"),
        troubled("pallas"),
    ]);
    picture.machines.get_mut("pallas").unwrap().services.clear();
    picture
}

#[test]
fn the_face_of_a_fleet_on_80_columns() {
    assert_shows(
        &fleet(),
        80,
        "\
healthcheck fleet  /health · 6 machines                    3 of 6 need attention
✖ phobos  error    its lease ended, last seen 31 s ago; phobos.lan, rack 2; ran
                   camera
✖ pallas  error    says of itself: error                      pallas.lan, rack 2
✖ vesta   error    2 of 3 services need attention              vesta.lan, rack 2
  ✖ camera      error    crashed (signal 9) 3 s ago, was up 4 h 12 min  task: i…
  ▲ transcoder  warning  queue 812 of 1000, for 2 min
● ceres  ● deimos  ■ mars stopped 5 min ago
",
    );
}

#[test]
fn the_face_of_a_fleet_on_60_columns() {
    assert_shows(
        &fleet(),
        60,
        "\
healthcheck fleet  /health · 6 machi…  3 of 6 need attention
✖ phobos  error    its lease ended, last seen 31 s ago;
                   phobos.lan, rack 2; ran camera
✖ pallas  error    says of itself: error  pallas.lan, rack 2
✖ vesta   error    2 of 3 services need attention
  ✖ camera      error    crashed (signal 9) 3 s ago, was up…
  ▲ transcoder  warning  queue 812 of 1000, for 2 min
● ceres  ● deimos  ■ mars stopped 5 min ago
",
    );
}

#[test]
fn the_head_says_how_many_there_are() {
    for (picture, wanted) in [
        (picture([]), "no machines"),
        (picture([well("deimos")]), "it is well"),
        (picture([well("deimos"), stopped("mars")]), "all 2 are well"),
        (picture([well("deimos"), lost("mars")]), "1 of 2 needs attention"),
        (picture([lost("deimos"), lost("mars")]), "2 of 2 need attention"),
    ] {
        let shown = shown(&picture, 80);
        assert!(shown.lines().next().unwrap().ends_with(&format!("  {wanted}")), "{shown}");
    }
}

#[test]
fn the_whole_is_as_bad_as_the_worst_that_is_seen() {
    assert_eq!(picture([]).overall_status(), Status::Unknown);
    assert_eq!(picture([well("a"), stopped("b")]).overall_status(), Status::Healthy);
    assert_eq!(picture([well("a"), lost("b")]).overall_status(), Status::Error);
    let mut warned = well("a");
    warned.1.services.insert("camera".into(), service(Status::Warning, "threshold", ""));
    assert_eq!(picture([warned]).overall_status(), Status::Warning);
    let mut full = well("a");
    full.1.reported = Status::Error;
    assert_eq!(picture([full]).overall_status(), Status::Error, "a disk is no service");
    let mut unwatched = lost("a");
    (unwatched.1.presence, unwatched.1.status) = (Presence::Unknown, Status::Unknown);
    unwatched.1.services.insert("camera".into(), service(Status::Fatal, "crashed", ""));
    assert_eq!(picture([unwatched]).overall_status(), Status::Unknown, "nobody knows it now");
}

#[test]
fn ten_thousand_machines_have_a_bound() {
    let bad = (0..5_000).map(|number| lost(&format!("bad-{number:04}")));
    let good = (0..5_000).map(|number| well(&format!("good-{number:04}")));
    let shown = shown(&picture(bad.chain(good)), 80);
    assert!(shown.lines().count() < 600, "{}", shown.lines().count());
    assert!(shown.lines().next().unwrap().ends_with("5000 of 10000 need attention"), "{shown}");
    assert!(shown.contains("and 4800 more machines need attention\n"), "{shown}");
    assert!(shown.ends_with("and 4600 more\n"), "{shown}");
}

#[test]
fn many_bad_services_of_one_machine_have_a_bound() {
    let (name, mut view) = well("deimos");
    let bad = (0..2_000).map(|it| (format!("service-{it:04}"), service(Status::Error, "crashed", "crashed")));
    view.services = bad.collect();
    let shown = shown(&picture([(name, view)]), 80);
    assert!(shown.ends_with("\n  and 1992 more services\n") && shown.lines().count() == 11, "{shown}");
}

#[test]
fn no_line_of_a_fleet_is_wider_than_the_terminal_whatever_is_said() {
    for text in hostile_texts() {
        let mut troubled = troubled(&text);
        (troubled.1.hostname, troubled.1.description) = (text.clone(), text.clone());
        for service in troubled.1.services.values_mut() {
            (service.message, service.cause) = (text.clone(), text.clone());
            service.current_task = Some(text.clone());
        }
        let (name, service) = troubled.1.services.pop_last().unwrap();
        troubled.1.services.insert(text.clone() + &name, service);
        let mut lost = lost(&format!("{text}2"));
        lost.1.message = text.clone();
        let mut picture = picture([troubled, lost, well(&format!("{text}3")), stopped(&format!("{text}4"))]);
        picture.prefix.clone_from(&text);
        picture.remarks.push(Remark {
            about: "etcd".into(),
            status: Status::Unknown,
            message: text.clone(),
            counts: true,
        });
        for columns in [40, 41, 57, 60, 80, 200] {
            for line in shown(&picture, columns).lines() {
                assert!(width(line) <= columns, "{} columns in {columns}: {line:?}", width(line));
                assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
        }
    }
}
