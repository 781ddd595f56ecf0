//! Numbers, maintenance, gaps and machines.

use super::{ALWAYS, Case, Teller, at, beat, machine, service, window};
use crate::history::{Entry, Host, Presence, Selection};
use healthcheck_core::history::{Bin, Resolution, Window};
use healthcheck_core::{Gap, GapReason, Kind, Subject};
use jiff::Timestamp;

pub(super) const CASES: [Case; 9] = [
    ("numbers are put together", numbers_are_put_together),
    ("numbers are told by subject and metric", numbers_are_told_by_subject_and_metric),
    ("numbers of a window", numbers_of_a_window),
    ("what is no number is left out", what_is_no_number_is_left_out),
    ("maintenance that goes on is one", maintenance_that_goes_on_is_one),
    ("maintenance does not overlap", maintenance_does_not_overlap),
    ("gaps of a machine", gaps_of_a_machine),
    ("machines and until when they were seen", machines_and_until_when_they_were_seen),
    ("machines that others watch", machines_that_others_watch),
];

fn numbers(name: &str, metric: &str, bin: Bin) -> Entry {
    Entry::Numbers { subject: Subject::service(name), metric: metric.to_owned(), bin }
}

fn bins(teller: &mut Teller, name: &str, resolution: Resolution, window: Window) -> Vec<Bin> {
    let series = teller.store.series(&service(name), resolution, window).unwrap();
    series.into_iter().flat_map(|series| series.bins).collect()
}

fn numbers_are_put_together(teller: &mut Teller) {
    let bin = |time, count, sum, minimum, maximum| Bin { at: at(time), count, sum, minimum, maximum };
    teller.tells([
        numbers("camera", "latency_ms", bin("12:00:00", 3, 6.0, 1.0, 3.0)),
        numbers("camera", "latency_ms", bin("12:01:00", 1, 10.5, 10.5, 10.5)),
        numbers("camera", "latency_ms", bin("12:00:00", 1, -2.0, -2.0, -2.0)),
    ]);
    teller.tells([
        numbers("camera", "latency_ms", bin("13:59:00", 1, 4.0, 4.0, 4.0)),
        numbers("camera", "latency_ms", bin("2025-06-02T00:00:00Z", 1, 1.0, 1.0, 1.0)),
    ]);
    let minutes = bins(teller, "camera", Resolution::Minute, ALWAYS);
    let first = [bin("12:00:00", 4, 4.0, -2.0, 3.0), bin("12:01:00", 1, 10.5, 10.5, 10.5)];
    assert_eq!((minutes.len(), &minutes[..2]), (4, &first[..]));
    let hours = bins(teller, "camera", Resolution::Hour, ALWAYS);
    assert_eq!((hours.len(), hours[0]), (3, bin("12:00:00", 5, 14.5, -2.0, 10.5)));
    let days = bins(teller, "camera", Resolution::Day, ALWAYS);
    assert_eq!((days.len(), days[0]), (2, bin("00:00:00", 6, 18.5, -2.0, 10.5)));
}

fn numbers_are_told_by_subject_and_metric(teller: &mut Teller) {
    let one = |value| Bin::of(at("12:00:00"), value);
    let disk = Subject::new(Kind::Resource, "camera");
    teller.tells([
        numbers("core", "b", one(1.0)),
        Entry::Numbers { subject: disk.clone(), metric: "used_ratio".into(), bin: one(2.0) },
        numbers("camera", "z", one(3.0)),
        numbers("camera", "a", one(4.0)),
    ]);
    teller.of_host("apollo");
    teller.tells([numbers("wall", "a", one(5.0))]);
    let told = |of: &Selection, teller: &mut Teller| -> Vec<_> {
        let series = teller.store.series(of, Resolution::Hour, ALWAYS).unwrap();
        series.into_iter().map(|it| (it.host, it.subject.to_string(), it.metric, it.bins[0].sum)).collect()
    };
    let told_all: Vec<_> = told(&Selection::default(), teller);
    let all: Vec<_> = told_all.iter().map(|it| (it.0.as_str(), it.1.as_str(), it.2.as_str(), it.3)).collect();
    let camera = [("deimos", "service camera", "a", 4.0), ("deimos", "service camera", "z", 3.0)];
    assert_eq!(all[0], ("apollo", "service wall", "a", 5.0));
    assert_eq!(all[1..3], camera);
    assert_eq!(
        all[3..],
        [("deimos", "service core", "b", 1.0), ("deimos", "resource camera", "used_ratio", 2.0)]
    );
    let of_disk = Selection { host: Some("deimos".into()), subject: Some(disk) };
    assert_eq!(told(&of_disk, teller).len(), 1);
    assert_eq!(told(&Selection { host: Some("apollo".into()), subject: None }, teller).len(), 1);
    assert_eq!(told(&Selection { host: Some("nobody".into()), subject: None }, teller), []);
}

/// Those that begin in it, and the one in the middle of which it begins.
fn numbers_of_a_window(teller: &mut Teller) {
    for hour in 10..14 {
        teller.tells([numbers("camera", "a", Bin::of(at(&format!("{hour}:30:00")), f64::from(hour)))]);
    }
    let hours = bins(teller, "camera", Resolution::Hour, window("11:15:00", "13:00:00"));
    assert_eq!(hours.iter().map(|bin| bin.sum).collect::<Vec<_>>(), [11.0, 12.0]);
    let minutes = bins(teller, "camera", Resolution::Minute, window("11:31:00", "12:30:00"));
    assert_eq!(minutes, []);
    assert_eq!(bins(teller, "camera", Resolution::Day, window("22:00:00", "23:00:00")).len(), 1);
    let series = teller.store.series(&service("camera"), Resolution::Minute, window("20:00:00", "21:00:00"));
    assert_eq!(series.unwrap(), [], "a series without a number is not told");
}

fn what_is_no_number_is_left_out(teller: &mut Teller) {
    let time = at("12:00:00");
    let none = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN];
    let mut entries: Vec<_> =
        none.into_iter().map(|value| numbers("camera", "a", Bin::of(time, value))).collect();
    entries.push(numbers("camera", "a", Bin { count: 0, ..Bin::of(time, 1.0) }));
    entries.push(numbers("camera", "a", Bin { count: u64::MAX, ..Bin::of(time, 2.0) }));
    entries.push(numbers("camera", "a", Bin::of(time, 2.0)));
    teller.tells(entries);
    let told = bins(teller, "camera", Resolution::Minute, ALWAYS);
    assert_eq!((told.len(), told[0].sum, told[0].minimum, told[0].maximum), (1, 4.0, 2.0, 2.0));
    assert!(told[0].count >= i64::MAX.unsigned_abs());
}

fn maintenance(name: &str, from: &str, to: &str) -> Entry {
    Entry::Maintenance { subject: Subject::service(name), window: window(from, to) }
}

fn maintenance_that_goes_on_is_one(teller: &mut Teller) {
    teller.tells([beat("camera", "", "11:00:00"), beat("core", "", "11:00:00")]);
    teller
        .tells([maintenance("camera", "12:00:00", "12:01:00"), maintenance("core", "12:00:00", "12:01:00")]);
    teller.tells([
        maintenance("camera", "12:01:00", "12:02:00"),
        maintenance("camera", "12:02:00", "12:03:00"),
    ]);
    teller.tells([
        maintenance("camera", "12:30:00", "12:31:00"),
        maintenance("camera", "12:31:00", "12:31:00"),
    ]);
    let told = teller.judged("camera", ALWAYS).maintenance;
    assert_eq!(told, [window("12:00:00", "12:03:00"), window("12:30:00", "12:31:00")]);
    let within = teller.judged("camera", window("12:02:30", "12:30:00")).maintenance;
    assert_eq!(within, [window("12:00:00", "12:03:00")]);
    assert_eq!(teller.judged("core", ALWAYS).maintenance, [window("12:00:00", "12:01:00")]);
}

fn maintenance_does_not_overlap(teller: &mut Teller) {
    teller.tells([
        beat("camera", "", "11:00:00"),
        maintenance("camera", "12:00:00", "12:10:00"),
        maintenance("camera", "12:05:00", "12:07:00"),
        maintenance("camera", "11:55:00", "12:01:00"),
        maintenance("camera", "11:50:00", "11:40:00"),
    ]);
    assert_eq!(teller.judged("camera", ALWAYS).maintenance, [window("11:55:00", "12:10:00")]);
}

fn gaps_of_a_machine(teller: &mut Teller) {
    let gap = |from, to, reason| Gap { from: at(from), to: at(to), reason };
    let down = gap("12:00:00", "12:30:00", GapReason::MonitorDown);
    let boot = gap("12:30:00", "12:31:00.5", GapReason::Boot);
    let late = gap("14:00:00", "15:00:00", GapReason::Suspended);
    teller.tells([Entry::Gap(down.clone()), Entry::Gap(boot.clone())]);
    teller.tells([Entry::Gap(late.clone())]);
    teller.of_host("apollo");
    teller.tells([Entry::Gap(gap("12:00:00", "12:30:00", GapReason::ClockSet))]);
    assert_eq!(teller.store.gaps("deimos", ALWAYS).unwrap(), [down.clone(), boot.clone(), late.clone()]);
    assert_eq!(teller.store.gaps("deimos", window("12:10:00", "14:00:00")).unwrap(), [down, boot]);
    assert_eq!(teller.store.gaps("deimos", window("14:59:00", "16:00:00")).unwrap(), [late]);
    assert_eq!(teller.store.gaps("deimos", window("15:00:00", "16:00:00")).unwrap(), []);
    assert_eq!(teller.store.gaps("apollo", ALWAYS).unwrap()[0].reason, GapReason::ClockSet);
    assert_eq!(teller.store.gaps("nobody", ALWAYS).unwrap(), []);
}

/// A clock that is set back takes along what is known.
fn machines_and_until_when_they_were_seen(teller: &mut Teller) {
    assert_eq!(teller.store.hosts().unwrap(), []);
    let seen = |time| Entry::Seen(at(time));
    teller.tells([seen("12:00:00"), seen("12:01:00")]);
    teller.of_host("apollo");
    teller.tells([seen("2031-01-01T00:00:00Z")]);
    teller.tells([seen("12:00:30")]);
    let host = |name: &str, last_seen: Timestamp| Host { name: name.to_owned(), last_seen };
    let expected = [host("apollo", at("12:00:30")), host("deimos", at("12:01:00"))];
    assert_eq!(teller.store.hosts().unwrap(), expected);
}

/// A watcher never says until when it is known what happened on a machine that says it itself.
fn machines_that_others_watch(teller: &mut Teller) {
    let row = |name: &str, status: Option<&str>, last_seen: &str| {
        let text = |it: &str| status.map(|_| it.to_owned());
        let (hostname, description) = (text(&format!("{name}.lan")), text("rack 2"));
        (name.to_owned(), name.to_owned(), hostname, description, status.map(str::to_owned), at(last_seen))
    };
    let own = Entry::Machine(machine("deimos", Presence::Online, at("11:00:00")));
    let mars = |status, time| Entry::Machine(machine("mars", status, at(time)));
    teller.tells([own, mars(Presence::Online, "12:00:00"), Entry::Seen(at("12:01:00"))]);
    let expected = [row("deimos", Some("online"), "12:01:00"), row("mars", Some("online"), "12:00:00")];
    assert_eq!(teller.store.machines().unwrap(), expected);
    let hosts: Vec<_> = teller.store.hosts().unwrap().into_iter().map(|host| host.name).collect();
    assert_eq!(hosts, ["deimos"], "mars feeds nothing");

    teller.of_host("apollo");
    let deimos = Entry::Machine(machine("deimos", Presence::Offline, at("12:30:00")));
    teller.tells([deimos, mars(Presence::Unknown, "12:20:00"), mars(Presence::Stopped, "12:29:00")]);
    let expected = [row("deimos", Some("offline"), "12:01:00"), row("mars", Some("stopped"), "12:29:00")];
    assert_eq!(teller.store.machines().unwrap(), expected);
    teller.tells([Entry::Seen(at("12:31:00"))]);

    teller.of_host("mars");
    teller.tells([Entry::Seen(at("12:32:00"))]);
    teller.of_host("deimos");
    teller.position = teller.store.position(&teller.origin).unwrap();
    teller.tells([mars(Presence::Offline, "13:00:00"), Entry::Seen(at("13:01:00"))]);
    let expected = [
        row("apollo", None, "12:31:00"),
        row("deimos", Some("offline"), "13:01:00"),
        row("mars", Some("offline"), "12:32:00"),
    ];
    assert_eq!(teller.store.machines().unwrap(), expected);
}
