//! A picture that was passed on, from the monitor to whoever shows it, is the same picture.

use super::samples::{hostile, hostile_texts, picture, troubled, well};
use super::table::Surface;
use super::{Mode, Picture, Source, checkmk, health_json, json, nagios, prometheus, table};
use health_reporter::Status;
use healthcheck_core::{CheckView, Evidence, Quantity};
use std::io::{self, Write};
use std::time::Duration;

type Format = fn(&Picture, &mut dyn Write) -> io::Result<()>;

const FORMATS: [(&str, Format); 7] = [
    ("table", |picture, out| table::write(picture, Surface { columns: 80, colour: true }, out)),
    ("json", |picture, out| json::write(picture, false, out)),
    ("json for people", |picture, out| json::write(picture, true, out)),
    ("nagios", nagios::write),
    ("prometheus", prometheus::write),
    ("health+json", |picture, out| health_json::write(picture, true, out)),
    ("checkmk", checkmk::write),
];

fn written(format: Format, picture: &Picture) -> String {
    let mut out = Vec::new();
    format(picture, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Every number has all its digits, and everything that may be there is there.
fn full() -> Picture {
    let mut picture = troubled();
    picture.mode = Mode::Systemd;
    let resources = picture.resources.as_mut().unwrap();
    (resources.cpu_ratio, resources.pressure.memory_ratio) = (Some(0.1 + 0.2), Some(1.0 / 3.0));
    resources.temperatures[0].celsius = -f64::MIN_POSITIVE;
    let limits = picture.limits.get_mut(&Quantity::Memory).unwrap();
    (limits.error, limits.clear, limits.hold) = (Some(2.0 / 3.0), Some(f64::MAX), Duration::new(600, 1));
    let service = &mut picture.snapshot.services[2];
    service.process.as_mut().unwrap().cpu_s = 123_456_789.123_456_79;
    (service.age_s, service.root, service.name_inside) =
        (Some(0.1 + 0.7), Some("db".into()), Some("x".into()));
    (service.state, service.checks_left_out) = (None, 3);
    service.checks = vec![CheckView {
        name: "capture".into(),
        status: Status::Fatal,
        message: "no frame".into(),
        since: Some(service.subject.since),
    }];
    service.subject.evidence =
        Evidence::from_iter([("second", "2"), ("first", "1"), ("second", "another of the name")]);
    service.subject.took = Some(Duration::from_nanos(1));
    picture
}

#[track_caller]
fn assert_same(picture: &Picture) {
    let line = serde_json::to_string(picture).unwrap();
    assert!(!line.contains('\n'), "one line");
    let passed_on: Picture = serde_json::from_str(&line).unwrap();
    assert_eq!(passed_on.snapshot, picture.snapshot);
    assert_eq!((&passed_on.limits, &passed_on.remarks), (&picture.limits, &picture.remarks));
    for (name, format) in FORMATS {
        assert!(written(format, &passed_on) == written(format, picture), "{name} of {line}");
    }
}

#[test]
fn a_picture_that_was_passed_on_is_the_same_in_every_format() {
    let mut empty = picture(Vec::new(), Vec::new());
    (empty.resources, empty.project) = (None, None);
    for picture in [empty, troubled(), full(), picture(vec![well("a"), well("b@2")], Vec::new())] {
        assert_same(&picture);
    }
    hostile_texts().iter().for_each(|text| assert_same(&hostile(text)));
}

#[test]
fn only_json_says_who_looked() {
    let (direct, mut watched) = (troubled(), troubled());
    watched.source = Source::Monitor { pid: 4711 };
    for (name, format) in FORMATS {
        let (shown, wanted) = (written(format, &watched), written(format, &direct));
        assert_eq!(shown != wanted, name.starts_with("json"), "{name}");
    }
    let shown: serde_json::Value = serde_json::from_str(&written(FORMATS[1].1, &watched)).unwrap();
    assert_eq!((&shown["source"], &shown["monitor_pid"]), (&"monitor".into(), &4711.into()));
    let shown: serde_json::Value = serde_json::from_str(&written(FORMATS[1].1, &direct)).unwrap();
    assert_eq!((&shown["source"], shown.get("monitor_pid")), (&"direct".into(), None));
}
