//! From what a store has to what is shown.

use super::*;
use crate::commands::remembered::fake::{Fake, now};
use crate::history::{Judged, RunRow};
use crate::render::history::{Change, Said};
use health_reporter::Status;
use healthcheck_core::history::Mark;
use healthcheck_core::{Cause, Evidence, GapReason, Kind, Transition};
use jiff::SignedDuration;

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

/// A row of heartbeats from so many seconds ago to so many.
fn run(name: &str, from: i64, to: i64, heartbeats: u64, task: Option<&str>) -> RunRow {
    RunRow {
        id: 0,
        host: "deimos".into(),
        subject: Subject::service(name),
        status: Status::Healthy,
        cause: Cause::SelfReported,
        current_task: task.map(str::to_owned),
        begun_at: ago(from),
        heartbeat_timestamp: ago(to),
        heartbeats,
        created_at: ago(from),
        opens: false,
        transition: None,
    }
}

/// The same, and the verdict changed with it.
fn opening(row: RunRow, from: Option<Status>, to: Status) -> RunRow {
    let transition = from.map(|from| Transition {
        subject: row.subject.clone(),
        from,
        to,
        cause: row.cause,
        at: row.begun_at,
        message: "because".into(),
        since: row.begun_at,
        reasons: Vec::new(),
        evidence: Evidence::default(),
        is_healed_by_supervisor: false,
        is_flapping: false,
    });
    RunRow { status: to, opens: true, transition, ..row }
}

fn fake(runs: Vec<RunRow>) -> Fake {
    Fake { last_seen: Some(now()), runs, ..Fake::default() }
}

fn asked(name: Option<&str>, limit: u32) -> History {
    History { name: name.map(str::to_owned), since: None, limit }
}

fn changes(fake: &mut Fake, limit: u32) -> Changes {
    asked(None, limit).changes(&mut Remembered::of(fake, "deimos", now()).unwrap()).unwrap()
}

fn timeline(fake: &mut Fake, limit: u32) -> Timeline {
    let mut past = Remembered::of(fake, "deimos", now()).unwrap();
    asked(Some("camera"), limit).timeline("camera", &mut past).unwrap()
}

fn judged(name: &str) -> Judged {
    let mark = Mark { at: ago(90_000), status: Status::Healthy, cause: Cause::SelfReported };
    Judged {
        host: "deimos".into(),
        subject: Subject::service(name),
        marks: vec![mark],
        maintenance: vec![Window { from: ago(40), to: ago(35) }],
    }
}

fn told(change: &Change) -> (String, i64, Option<Status>, Option<i64>) {
    let (at, lasted) = (now().duration_since(change.at).as_secs(), change.lasted.map(|it| it.as_secs()));
    (change.subject.name.to_string(), at, change.from, lasted)
}

/// The rows come by their last heartbeat: what was confirmed just now may have begun long ago.
#[test]
fn of_all_the_newest_changes_come_first_whoever_was_confirmed_last() {
    let (well, bad) = (Some(Status::Healthy), Some(Status::Error));
    let runs = vec![
        opening(run("wall", 50_000, 1, 5_000, None), bad, Status::Healthy),
        opening(run("camera", 60, 2, 6, None), bad, Status::Healthy),
        run("camera", 75, 70, 1, None),
        opening(run("camera", 90, 70, 0, None), well, Status::Error),
        opening(run("wall", 50_100, 50_050, 3, None), None, Status::Error),
        opening(run("wall", 90_000, 60_000, 3, None), None, Status::Fatal),
    ];
    let shown = changes(&mut fake(runs.clone()), 100);
    let wanted = [
        ("camera".to_owned(), 60, bad, None),
        ("camera".to_owned(), 90, well, Some(30)),
        ("wall".to_owned(), 50_000, bad, None),
        // What it changed from is known by its transition only, once that is out of the window.
        ("wall".to_owned(), 50_100, None, Some(100)),
    ];
    assert_eq!(shown.changes.iter().map(told).collect::<Vec<_>>(), wanted);
    assert_eq!(shown.more, 0);
    let fewer = changes(&mut fake(runs), 2);
    assert_eq!((fewer.changes.iter().map(told).collect::<Vec<_>>(), fewer.more), (wanted[..2].to_vec(), 2));
}

fn said(task: Option<&str>, first: i64, last: i64, heartbeats: u64) -> Said {
    Said { task: task.map(str::to_owned), first: ago(first), last: ago(last), heartbeats }
}

fn shape(entries: &[Entry]) -> Vec<(&'static str, i64, Option<Said>)> {
    let shape = |entry: &Entry| {
        let (word, said) = match entry {
            Entry::Change(change) => ("change", change.said.clone()),
            Entry::Said(said) => ("said", Some(said.clone())),
            Entry::Gap(_) => ("gap", None),
            Entry::Maintenance(_) => ("maintenance", None),
        };
        (word, now().duration_since(entry.at()).as_secs(), said)
    };
    entries.iter().map(shape).collect()
}

/// `record = "changes"`: the run of the transition was confirmed by its heartbeats.
fn by_changes() -> Vec<RunRow> {
    vec![
        run("camera", 20, 10, 2, Some("rest")),
        opening(run("camera", 60, 30, 3, Some("work")), Some(Status::Error), Status::Healthy),
        opening(run("camera", 100, 100, 0, None), Some(Status::Healthy), Status::Error),
    ]
}

/// `record = "heartbeats"`: a row each.
fn by_heartbeats() -> Vec<RunRow> {
    vec![
        run("camera", 10, 10, 1, Some("rest")),
        run("camera", 20, 20, 1, Some("rest")),
        run("camera", 30, 30, 1, Some("work")),
        run("camera", 40, 40, 1, Some("work")),
        run("camera", 50, 50, 1, Some("work")),
        opening(run("camera", 60, 60, 0, None), Some(Status::Error), Status::Healthy),
        opening(run("camera", 100, 100, 0, None), Some(Status::Healthy), Status::Error),
    ]
}

#[test]
fn f20_of_one_everything_is_told_in_the_same_way_from_both_kinds_of_rows() {
    let wanted = [
        ("said", 20, Some(said(Some("rest"), 20, 10, 2))),
        ("change", 60, Some(said(Some("work"), 60, 30, 3))),
        ("change", 100, None),
    ];
    for runs in [by_changes(), by_heartbeats()] {
        let mut fake = fake(runs);
        fake.judged = vec![Judged { maintenance: Vec::new(), ..judged("camera") }];
        assert_eq!(shape(&timeline(&mut fake, 100).entries), wanted);
    }
}

#[test]
fn gaps_and_maintenance_stand_where_they_were_and_the_oldest_are_left_out() {
    let mut fake = fake(by_changes());
    fake.judged = vec![judged("camera")];
    fake.gaps = vec![Gap { from: ago(80), to: ago(70), reason: GapReason::MonitorDown }];
    let words = |line: &Timeline| shape(&line.entries).into_iter().map(|it| it.0).collect::<Vec<_>>();
    let line = timeline(&mut fake, 100);
    assert_eq!(words(&line), ["said", "maintenance", "change", "gap", "change"]);
    assert_eq!(line.course.availability(line.window).not_observed.as_secs(), 10 + 7 * 86_400 - 90_000);
    let fewer = timeline(&mut fake, 2);
    assert_eq!((words(&fewer), fewer.more), (vec!["said", "maintenance"], 3));
}

/// What was in force at the beginning is no change in the window; what was said then is told.
#[test]
fn what_began_before_the_window_did_not_change_in_it() {
    let mut fake =
        fake(vec![opening(run("camera", 8 * 86_400, 5, 900, Some("work")), None, Status::Healthy)]);
    fake.judged = vec![judged("camera")];
    let entries = timeline(&mut fake, 100).entries;
    assert_eq!(shape(&entries)[1], ("said", 8 * 86_400, Some(said(Some("work"), 8 * 86_400, 5, 900))));
    assert!(changes(&mut fake, 100).changes.is_empty());
}

#[test]
fn numbers_are_told_with_their_trend() {
    let bins =
        (0..50).map(|hour| Bin::of(ago(3_600 * (50 - hour)), 10.0 + f64::from(u32::try_from(hour).unwrap())));
    let series = |metric: &str, bins: Vec<Bin>| Series {
        host: "deimos".into(),
        subject: Subject::service("camera"),
        metric: metric.into(),
        bins,
    };
    let mut fake = fake(Vec::new());
    fake.judged = vec![judged("camera")];
    fake.series = vec![
        (Resolution::Hour, series("http.latency_ms", bins.collect())),
        (Resolution::Hour, series("nothing", Vec::new())),
        (Resolution::Minute, series("threads", vec![Bin::of(now(), 1.0)])),
    ];
    let numbers = timeline(&mut fake, 100).numbers;
    assert_eq!((numbers.len(), &*numbers[0].metric, numbers[0].all.count), (1, "http.latency_ms", 50));
    assert!((numbers[0].trend.unwrap().per_day - 24.0).abs() < 1e-6);
    assert_eq!(resolution(OF_ALL), Resolution::Minute);
    assert_eq!(resolution(Duration::from_secs(60 * 86_400)), Resolution::Day);
}

#[test]
fn a_thing_of_another_kind_is_asked_for_with_it() {
    let mut fake = fake(Vec::new());
    let site = Subject::new(Kind::Probe, "site");
    fake.judged = vec![Judged { subject: site.clone(), ..judged("") }];
    let mut past = Remembered::of(&mut fake, "deimos", now()).unwrap();
    assert_eq!(asked(Some("x"), 1).timeline("probe site", &mut past).unwrap().subject, site);
}

#[test]
fn it_is_asked_for_with_a_time_and_a_limit() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        asked: History,
    }
    let parse = |words: &[&str]| {
        let line = <Line as clap::Parser>::try_parse_from([&["history"], words].concat())?;
        Ok::<_, clap::Error>((
            line.asked.name,
            line.asked.since.map(|since| since.as_secs()),
            line.asked.limit,
        ))
    };
    assert_eq!(parse(&[]).unwrap(), (None, None, 100));
    let all = parse(&["camera", "--since", "30d", "--limit", "5"]).unwrap();
    assert_eq!(all, (Some("camera".to_owned()), Some(30 * 86_400), 5));
    assert!(parse(&["--limit", "0"]).is_err() && parse(&["--since", "0s"]).is_err());
}
