//! Golden tables, and that nothing in them is obeyed or too wide.

use super::*;
use crate::render::samples::{hostile_texts, now};
use healthcheck_core::history::Mark;
use healthcheck_core::{Gap, GapReason, Kind};

const DAY: i64 = 86_400;

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn mark(seconds_ago: i64, status: Status, cause: Cause) -> Mark {
    Mark { at: ago(seconds_ago), status, cause }
}

fn row(kind: Kind, name: &str, marks: &[Mark], gaps: &[Gap]) -> Row {
    let last = marks.last().unwrap();
    Row {
        subject: Subject::new(kind, name),
        verdict: Some((last.status, last.cause)),
        course: Course::new(marks, &[], gaps, now()),
    }
}

/// A camera that was down for two hours ten days ago and crashed a moment ago, a database that nobody looked at for a
/// day, a job that is done, and a probe that is known since two days.
fn rows() -> Vec<Row> {
    let well = |seconds| mark(seconds, Status::Healthy, Cause::SelfReported);
    let down = |seconds| mark(seconds, Status::Error, Cause::Crashed);
    let gap = Gap { from: ago(3 * DAY), to: ago(2 * DAY), reason: GapReason::MonitorDown };
    let done = mark(5 * DAY, Status::Healthy, Cause::Finished);
    let camera = [well(60 * DAY), down(10 * DAY), well(10 * DAY - 7_200), down(3)];
    let (since_long, since_lately) = ([well(60 * DAY)], [mark(2 * DAY, Status::Warning, Cause::Threshold)]);
    vec![
        row(Kind::Service, "backup", &[well(60 * DAY), done], &[]),
        row(Kind::Service, "camera", &camera, &[]),
        row(Kind::Service, "db", &since_long, &[gap]),
        row(Kind::Probe, "site", &since_lately, &[]),
    ]
}

fn uptime(rows: Vec<Row>) -> Uptime {
    let period = |days: i64| Window { from: ago(days * DAY), to: now() };
    Uptime {
        host: "deimos".into(),
        at: now(),
        observed_until: Some(now()),
        periods: [1, 7, 30].map(period).into(),
        rows,
    }
}

fn page(uptime: &Uptime, columns: usize, colour: bool) -> String {
    let mut out = Vec::new();
    write(uptime, Surface { columns, colour }, &TimeZone::UTC, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn assert_shows(uptime: &Uptime, columns: usize, wanted: &str) {
    let shown = page(uptime, columns, false);
    assert!(shown == wanted, "wanted:\n{wanted}\nshown:\n{shown}");
}

#[test]
fn each_has_a_bar_and_its_shares_on_80_columns() {
    assert_shows(
        &uptime(rows()),
        80,
        "\
uptime  deimos
              the last 30 d      24 h         7 d        30 d  observed  outages
■ backup      ●●●●●●●●●●●●■■  planned       100 %       100 %                  0
✖ camera      ●●●●●●●●●✖●●●✖  99.99 %     99.99 %     99.72 %             2, 2 h
● db          ●●●●●●●●●●●●●●    100 %  85.7–100 %  96.6–100 %    96.6 %        0
▲ probe site  ·············▲    100 %       100 %       100 %     6.6 %        0
● up  ▲ degraded  ✖ down  ■ planned  · not observed
",
    );
}

#[test]
fn each_has_lines_of_its_own_on_40_columns() {
    assert_shows(
        &uptime(rows()),
        40,
        "\
uptime  deimos
■ backup
  ●●●●●●●●●●●●●●●●●●●●●●●●●■■■■■
  24 h planned  7 d 100 %  30 d 100 %
  outages 0
✖ camera
  ●●●●●●●●●●●●●●●●●●●●✖●●●●●●●●✖
  24 h 99.99 %  7 d 99.99 %
  30 d 99.72 %  outages 2, 2 h
● db
  ●●●●●●●●●●●●●●●●●●●●●●●●●●●·●●
  24 h 100 %  7 d 85.7–100 %
  30 d 96.6–100 %  observed 96.6 %
  outages 0
▲ probe site
  ····························▲▲
  24 h 100 %  7 d 100 %  30 d 100 %
  observed 6.6 %  outages 0
● up  ▲ degraded  ✖ down  ■ planned
· not observed
",
    );
}

#[test]
fn there_is_room_for_more_cells_on_120_columns() {
    let shown = page(&uptime(rows()), 120, false);
    assert!(shown.lines().all(|line| width(line) <= 120) && shown.lines().count() == 7, "{shown}");
}

#[test]
fn one_time_that_was_asked_for_is_told_alone() {
    let mut asked = uptime(rows().into_iter().take(1).collect());
    asked.periods = vec![Window { from: ago(3_600), to: now() }];
    assert_shows(
        &asked,
        40,
        "\
uptime  deimos
          the last 1 h      1 h  outages
■ backup  ■■■■■■■■■■■■  planned        0
● up  ▲ degraded  ✖ down  ■ planned
· not observed
",
    );
}

#[test]
fn colour_is_only_on_top() {
    let coloured = page(&uptime(rows()), 80, true);
    let escapes = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[34m", "\u{1b}[90m", "\u{1b}[0m"];
    assert!(escapes.iter().all(|escape| coloured.contains(escape)), "{coloured:?}");
    let plain = escapes.iter().fold(coloured, |text, escape| text.replace(escape, ""));
    assert_eq!(plain, page(&uptime(rows()), 80, false));
}

#[test]
fn it_is_said_that_nobody_looks_and_that_nothing_is_known() {
    let mut unseen = uptime(Vec::new());
    unseen.observed_until = Some(ago(3_600));
    let wanted = "uptime  deimos\nnobody has looked since 11:00:00, 1 h ago\nnothing is known of that time\n";
    assert_shows(&unseen, 80, wanted);
    unseen.observed_until = None;
    assert_shows(&unseen, 80, "uptime  deimos\nnobody has looked yet\nnothing is known of that time\n");
}

#[test]
fn who_is_no_longer_known_has_no_status() {
    let mut gone = uptime(rows().into_iter().skip(2).take(1).collect());
    gone.rows[0].verdict = None;
    assert!(page(&gone, 80, false).contains("\n  db  "), "{}", page(&gone, 80, false));
}

#[test]
fn nothing_is_obeyed_or_too_wide() {
    for text in hostile_texts() {
        let mut hostile = uptime(rows());
        hostile.host.clone_from(&text);
        hostile.rows.push(row(Kind::Service, &text, &[mark(DAY, Status::Fatal, Cause::Hung)], &[]));
        hostile.rows.push(row(Kind::Resource, &text, &[mark(DAY, Status::Unknown, Cause::Hung)], &[]));
        for columns in [40, 57, 80, 200] {
            for line in page(&hostile, columns, false).lines() {
                assert!(width(line) <= columns, "{} columns in {columns}: {line:?}", width(line));
                assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
        }
    }
}

#[test]
fn programs_get_each_bucket_and_the_bounds() {
    let mut out = Vec::new();
    crate::render::json::write_uptime(&uptime(rows()), false, &mut out).unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&shown["schema_version"], &shown["host"]), (&1.into(), &"deimos".into()));
    let (camera, db) = (&shown["subjects"][1], &shown["subjects"][2]);
    assert_eq!((&camera["name"], &camera["status"]), (&"camera".into(), &"error".into()));
    let month = &camera["windows"][2];
    assert_eq!((&month["window_s"], &month["down_s"]), (&(30.0 * 86_400.0).into(), &7_203.0.into()));
    assert_eq!((&month["outages"], &month["longest_outage_s"]), (&2.into(), &7_200.0.into()));
    let week = &db["windows"][1];
    assert_eq!((&week["uptime_ratio"], &week["highest_ratio"]), (&1.0.into(), &1.0.into()));
    assert_eq!((&week["lowest_ratio"], &week["coverage_ratio"]), (&(6.0 / 7.0).into(), &(6.0 / 7.0).into()));
    let buckets = ["up_s", "degraded_s", "down_s", "planned_s", "not_observed_s"];
    let sum: f64 = buckets.iter().map(|bucket| week[bucket].as_f64().unwrap()).sum();
    assert_eq!(sum, 7.0 * 86_400.0);
}
