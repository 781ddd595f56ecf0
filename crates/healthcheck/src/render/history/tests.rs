//! Golden pages, and that nothing on them is obeyed or too wide.

use super::*;
use crate::render::json;
use crate::render::samples::{hostile_texts, now};
use crate::render::table::Surface;
use crate::render::text::width;
use healthcheck_core::history::Mark;
use healthcheck_core::history::trend::trend;
use healthcheck_core::{Evidence, GapReason, Kind};
use jiff::tz::TimeZone;

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn window(hours: i64) -> Window {
    Window { from: ago(hours * 3_600), to: now() }
}

fn change(name: &str, seconds_ago: i64, from: Status, to: Status, cause: Cause, message: &str) -> Change {
    let (subject, at) = (Subject::service(name), ago(seconds_ago));
    let evidence = [("exit", "signal 9"), ("journal", "no frame within 5 s: giving up on this device")];
    let transition = Transition {
        subject: subject.clone(),
        from,
        to,
        cause,
        at,
        message: message.into(),
        since: at,
        reasons: vec!["its process is gone".into()],
        evidence: Evidence::from_iter(evidence),
        is_healed_by_supervisor: false,
        is_flapping: false,
    };
    Change {
        at,
        subject,
        from: Some(from),
        to,
        cause,
        lasted: None,
        transition: Some(transition),
        said: None,
    }
}

fn crashed() -> Change {
    change(
        "camera",
        3,
        Status::Healthy,
        Status::Error,
        Cause::Crashed,
        "crashed (signal 9), last beat 4 s ago",
    )
}

fn recovered() -> Change {
    let lasted = Some(SignedDuration::from_secs(3_597));
    let said =
        Said { task: Some("indexing 2024-11".into()), first: ago(3_590), last: ago(4), heartbeats: 3_412 };
    Change {
        lasted,
        said: Some(said),
        ..change("camera", 3_600, Status::Error, Status::Healthy, Cause::SelfReported, "")
    }
}

/// A camera that crashed, the same when it had recovered, and a job that was done.
fn some() -> Vec<Change> {
    let done = Change {
        subject: Subject::new(Kind::Probe, "site"),
        from: None,
        transition: None,
        ..change("", 7_200, Status::Unknown, Status::Healthy, Cause::Finished, "")
    };
    vec![crashed(), recovered(), done]
}

fn changes(changes: Vec<Change>, more: u64) -> Changes {
    Changes { host: "deimos".into(), at: now(), window: window(24), changes, more }
}

fn numbers() -> Vec<Number> {
    let number = |metric: &str, values: &[f64]| {
        let of = |(hour, value): (i64, &f64)| Bin::of(ago(3_600 * (24 - hour)), *value);
        let bins: Vec<Bin> = (0..).zip(values).map(of).collect();
        Number {
            metric: metric.into(),
            all: bins.iter().copied().reduce(Bin::and).unwrap(),
            trend: trend(&bins),
        }
    };
    let slower: Vec<f64> = (0..24).map(|hour| 10.0 + f64::from(hour) / 4.0).collect();
    vec![
        number("check.database.duration_ms", &slower),
        number("cpu_ratio", &[0.25]),
        number("memory_bytes", &[1_048_576.0, 3_145_728.0]),
    ]
}

fn timeline() -> Timeline {
    let mark = |seconds, status, cause| Mark { at: ago(seconds), status, cause };
    let marks = [
        mark(90_000, Status::Healthy, Cause::SelfReported),
        mark(7_000, Status::Error, Cause::Crashed),
        mark(3_600, Status::Healthy, Cause::SelfReported),
        mark(3, Status::Error, Cause::Crashed),
    ];
    let gap = Gap { from: ago(32_000), to: ago(31_760), reason: GapReason::MonitorDown };
    let said = Said { task: Some("capturing".into()), first: ago(40_000), last: ago(7_010), heartbeats: 1 };
    let entries = vec![
        Entry::Change(Box::new(crashed())),
        Entry::Change(Box::new(recovered())),
        Entry::Maintenance(Window { from: ago(20_000), to: ago(10_000) }),
        Entry::Gap(gap.clone()),
        Entry::Said(said),
    ];
    let standing = Standing {
        status: Status::Error,
        cause: Cause::Crashed,
        message: "crashed (signal 9), last beat 4 s ago".into(),
        task: Some("indexing 2024-11".into()),
        since: ago(3),
        last_heartbeat: Some(ago(4)),
    };
    Timeline {
        host: "deimos".into(),
        at: now(),
        window: window(24),
        subject: Subject::service("camera"),
        standing: Some(standing),
        course: Course::new(&marks, &[Window { from: ago(20_000), to: ago(10_000) }], &[gap], now()),
        entries,
        more: 2,
        numbers: numbers(),
    }
}

fn list_page(page: &Changes, columns: usize, colour: bool) -> String {
    let mut out = Vec::new();
    write_changes(page, Surface { columns, colour }, &TimeZone::UTC, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn timeline_page(line: &Timeline, columns: usize, colour: bool) -> String {
    let mut out = Vec::new();
    write_timeline(line, Surface { columns, colour }, &TimeZone::UTC, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn assert_is(shown: &str, wanted: &str) {
    assert!(shown == wanted, "wanted:\n{wanted}\nshown:\n{shown}");
}

#[test]
fn the_changes_of_all_on_80_columns() {
    assert_is(
        &list_page(&changes(some(), 5), 80, false),
        "\
history  deimos  the last 24 h
11:59:57  ✖ camera      healthy → error  3 s     crashed (signal 9), last beat 4
                                                 s ago
11:00:00  ● camera      error → healthy  59 min  self reported
10:00:00  ■ probe site  healthy          2 h     finished
and 5 more
",
    );
}

#[test]
fn the_changes_of_all_on_40_columns() {
    assert_is(
        &list_page(&changes(some(), 0), 40, false),
        "\
history  deimos  the last 24 h
✖ camera  11:59:57
    healthy → error for 3 s, crashed
    (signal 9), last beat 4 s ago
● camera  11:00:00
    error → healthy for 59 min, self
    reported
■ probe site  10:00:00
    healthy for 2 h, finished
",
    );
}

#[test]
fn changes_of_other_days_have_their_day() {
    let mut old = recovered();
    old.at = ago(90_000);
    assert_is(
        &list_page(&changes(vec![old], 0), 80, false),
        "\
history  deimos  the last 24 h
2025-05-31 11:00:00  ● camera  error → healthy  59 min  self reported
",
    );
}

#[test]
fn it_is_said_that_nothing_changed() {
    let shown = list_page(&changes(Vec::new(), 0), 80, false);
    assert_is(&shown, "history  deimos  the last 24 h\nnothing changed in that time\n");
}

#[test]
fn everything_that_is_known_of_one_on_80_columns() {
    assert_is(
        &timeline_page(&timeline(), 80, false),
        "\
✖ camera  error                                                           deimos
what           crashed (signal 9), last beat 4 s ago
since          11:59:57, 3 s ago
task           indexing 2024-11
last beat      11:59:56, 4 s ago
24 h           ●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●■■■■■■■●●✖✖✖●✖
               95.2–95.6 % up, observed 99.7 %, 2 outages of 56 min in all
changes        11:59:57  ✖ healthy → error, crashed (signal 9), last beat 4 s
                         ago; 3 s so far
                         - how it ended: signal 9
                         - last in the journal: no frame within 5 s: giving up
                         on this device
               11:00:00  ● error → healthy, self reported; lasted 59 min
                         - 3412 heartbeats until 11:59:56, task: indexing
                         2024-11
               06:26:40  ■ maintenance until 09:13:20
               03:06:40  · not observed until 03:10:40 (4 min): the monitor did
                         not run
               00:53:20  1 heartbeat until 10:03:10, task: capturing
               and 2 more
numbers        check.database.duration_ms  12.9 ms on average, 10 ms to 15.8 ms;
                                           getting slower: +57 % in 23 h,
                                           confidence over 99 %
               cpu_ratio                   25 % on average
               memory_bytes                2 MiB on average, 1 MiB to 3 MiB
",
    );
}

#[test]
fn everything_that_is_known_of_one_on_40_columns() {
    let mut short = timeline();
    short.entries.drain(1..3);
    short.numbers.truncate(1);
    assert_is(
        &timeline_page(&short, 40, false),
        "\
✖ camera  error                   deimos
what           crashed (signal 9), last
               beat 4 s ago
since          11:59:57, 3 s ago
task           indexing 2024-11
last beat      11:59:56, 4 s ago
24 h           ●●●●●●●●●●●●●●●●●●●■■■✖✖✖
               95.2–95.6 % up, observed
               99.7 %, 2 outages of 56
               min in all
changes        11:59:57: ✖ healthy →
               error, crashed (signal
               9), last beat 4 s ago; 3
               s so far
               - how it ended: signal 9
               - last in the journal: no
               frame within 5 s: giving
               up on this device
               03:06:40: · not observed
               until 03:10:40 (4 min):
               the monitor did not run
               00:53:20: 1 heartbeat
               until 10:03:10, task:
               capturing
               and 2 more
numbers        check.database.duration_m
               s: 12.9 ms on average, 10
               ms to 15.8 ms; getting
               slower: +57 % in 23 h,
               confidence over 99 %
",
    );
}

#[test]
fn who_is_no_longer_known_has_a_past_all_the_same() {
    let mut gone = timeline();
    (gone.standing, gone.numbers, gone.more) = (None, Vec::new(), 0);
    gone.entries.truncate(1);
    assert_is(
        &timeline_page(&gone, 80, false),
        "\
? camera  unknown                                                         deimos
what           it is no longer known
24 h           ●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●■■■■■■■●●✖✖✖●✖
               95.2–95.6 % up, observed 99.7 %, 2 outages of 56 min in all
changes        11:59:57  ✖ healthy → error, crashed (signal 9), last beat 4 s
                         ago; 3 s so far
                         - how it ended: signal 9
                         - last in the journal: no frame within 5 s: giving up
                         on this device
",
    );
}

#[test]
fn colour_is_only_on_top() {
    let plain = |coloured: String| {
        let escapes = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[34m", "\u{1b}[90m", "\u{1b}[0m"];
        assert!(coloured.contains(escapes[0]) && coloured.contains(escapes[1]), "{coloured:?}");
        escapes.iter().fold(coloured, |text, escape| text.replace(escape, ""))
    };
    let list = changes(some(), 5);
    assert_eq!(plain(list_page(&list, 80, true)), list_page(&list, 80, false));
    assert_eq!(plain(timeline_page(&timeline(), 80, true)), timeline_page(&timeline(), 80, false));
}

#[test]
fn nothing_is_obeyed_or_too_wide() {
    for text in hostile_texts() {
        let mut evil = change(&text, 5, Status::Healthy, Status::Fatal, Cause::Hung, &text);
        let said = Said { task: Some(text.clone()), first: ago(3), last: ago(1), heartbeats: u64::MAX };
        evil.said = Some(said.clone());
        evil.transition.as_mut().unwrap().evidence =
            [("journal", text.as_str()), ("panic", &text)].into_iter().collect();
        let mut line = timeline();
        (line.subject, line.host) = (Subject::new(Kind::Probe, &text), text.clone());
        let standing = line.standing.as_mut().unwrap();
        (standing.message, standing.task) = (text.clone(), Some(text.clone()));
        line.entries.extend([Entry::Change(Box::new(evil.clone())), Entry::Said(said)]);
        line.numbers.push(Number { metric: text.clone(), all: Bin::of(now(), 1e300), trend: None });
        let mut list = changes(vec![evil, crashed()], u64::MAX);
        list.host.clone_from(&text);
        for columns in [40, 57, 80, 200] {
            let shown = timeline_page(&line, columns, false) + &list_page(&list, columns, false);
            for line in shown.lines() {
                assert!(width(line) <= columns, "{} columns in {columns}: {line:?}", width(line));
                assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
        }
    }
}

#[test]
fn programs_get_all_of_it() {
    let (mut all, mut one) = (Vec::new(), Vec::new());
    json::write_changes(&changes(some(), 5), false, &mut all).unwrap();
    json::write_timeline(&timeline(), false, &mut one).unwrap();
    let [all, one]: [serde_json::Value; 2] = [all, one].map(|text| serde_json::from_slice(&text).unwrap());
    assert_eq!((&all["schema_version"], &all["left_out"]), (&1.into(), &5.into()));
    let [crashed, recovered, done] = [0, 1, 2].map(|at| &all["changes"][at]);
    assert_eq!(
        (&crashed["from"], &crashed["to"], &crashed["cause"]),
        (&"healthy".into(), &"error".into(), &"crashed".into())
    );
    assert_eq!((&crashed["lasted_s"], &crashed["evidence"]["exit"]), (&().into(), &"signal 9".into()));
    assert_eq!((&recovered["lasted_s"], &recovered["heartbeats"]["count"]), (&3_597.0.into(), &3_412.into()));
    assert_eq!((&done["kind"], &done["from"], done.get("message")), (&"probe".into(), &().into(), None));
    assert_eq!((&one["name"], &one["current_task"]), (&"camera".into(), &"indexing 2024-11".into()));
    assert_eq!((&one["uptime"]["not_observed_s"], &one["uptime"]["outages"]), (&240.0.into(), &2.into()));
    let types = one["entries"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap());
    assert_eq!(types.collect::<Vec<_>>(), ["change", "change", "maintenance", "gap", "heartbeats"]);
    assert_eq!(one["numbers"][0]["trend"]["direction"], "rising");
    assert_eq!((&one["numbers"][1]["mean"], &one["numbers"][1]["trend"]), (&0.25.into(), &().into()));
}
