//! From what a store has to what is shown.

use super::*;
use crate::commands::remembered::fake::{Fake, now};
use crate::history::StatusRow;
use healthcheck_core::history::Mark;
use healthcheck_core::{GapReason, Kind};
use jiff::SignedDuration;

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn judged(kind: Kind, name: &str, marks: &[(i64, Status, Cause)]) -> Judged {
    let mark = |(seconds, status, cause): &(i64, Status, Cause)| Mark {
        at: ago(*seconds),
        status: *status,
        cause: *cause,
    };
    Judged {
        host: "deimos".into(),
        subject: Subject::new(kind, name),
        marks: marks.iter().map(mark).collect(),
        maintenance: vec![Window { from: ago(500), to: ago(400) }],
    }
}

fn status(kind: Kind, name: &str) -> StatusRow {
    StatusRow {
        host: "deimos".into(),
        subject: Subject::new(kind, name),
        status: Status::Error,
        cause: Cause::Crashed,
        message: String::new(),
        current_task: None,
        changed_at: ago(10),
        last_heartbeat: None,
    }
}

fn some() -> Fake {
    let well = (90 * 86_400, Status::Healthy, Cause::SelfReported);
    Fake {
        last_seen: Some(ago(10)),
        statuses: vec![status(Kind::Probe, "site"), status(Kind::Service, "camera")],
        judged: vec![
            judged(Kind::Probe, "site", &[well]),
            judged(Kind::Service, "camera", &[well, (1_010, Status::Error, Cause::Crashed)]),
            judged(Kind::Service, "left", &[well, (3_610, Status::Unknown, Cause::NotObserved)]),
            judged(Kind::Service, "long ago", &[(90 * 86_400, Status::Unknown, Cause::NotObserved)]),
        ],
        gaps: vec![Gap { from: ago(310), to: ago(210), reason: GapReason::Boot }],
        ..Fake::default()
    }
}

fn page(name: Option<&str>, since: Option<u64>) -> anyhow::Result<uptime::Uptime> {
    let asked = Uptime { name: name.map(str::to_owned), since: since.map(Duration::from_secs) };
    asked.page(&mut Remembered::of(&mut some(), "deimos", now()).unwrap())
}

#[test]
fn services_come_first_and_who_left_long_ago_not_at_all() {
    let page = page(None, None).unwrap();
    let names: Vec<String> = page.rows.iter().map(|row| row.subject.to_string()).collect();
    assert_eq!(names, ["service camera", "service left", "probe site"]);
    assert_eq!(page.rows[0].verdict, Some((Status::Error, Cause::Crashed)));
    assert_eq!(page.rows[1].verdict, None);
    let lengths: Vec<i64> = page.periods.iter().map(|period| period.length().as_hours()).collect();
    assert_eq!((lengths, page.periods[0].to), (vec![24, 7 * 24, 30 * 24], ago(10)));
}

#[test]
fn maintenance_and_gaps_are_taken_out() {
    let page = page(Some("camera"), Some(2_000)).unwrap();
    let share = page.rows[0].course.availability(page.periods[0]);
    let seconds = [share.up, share.down, share.planned, share.not_observed].map(|it| it.as_secs());
    assert_eq!((page.rows.len(), seconds), (1, [1_000, 800, 100, 100]));
}

#[test]
fn one_that_was_forgotten_is_asked_for_by_its_name_and_others_are_not_known() {
    assert_eq!(page(Some("left"), None).unwrap().rows.len(), 1);
    let error = page(Some("camra"), None).unwrap_err().to_string();
    assert_eq!(error, "nothing is known of camra, did you mean camera?; known are probe site, camera");
}

#[test]
fn of_a_machine_that_is_not_known_nothing_was_observed() {
    let asked = Uptime { name: None, since: None };
    let mut fake = Fake { last_seen: None, ..some() };
    let page = asked.page(&mut Remembered::of(&mut fake, "deimos", now()).unwrap()).unwrap();
    assert_eq!(page.observed_until, None);
    assert!(page.rows.iter().all(|row| row.course.availability(page.periods[2]).coverage() == Some(0.0)));
}

#[test]
fn it_is_asked_for_with_a_time() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        asked: Uptime,
    }
    let line = <Line as clap::Parser>::try_parse_from(["uptime", "camera", "--since", "90d"]).unwrap();
    assert_eq!(
        (line.asked.name.as_deref(), line.asked.since.map(|it| it.as_secs())),
        (Some("camera"), Some(90 * 86_400))
    );
    assert!(<Line as clap::Parser>::try_parse_from(["uptime", "--since", "90"]).is_err());
}

/// Whatever mark is left of a time before what is kept.
#[test]
fn what_is_older_than_what_is_kept_was_not_observed() {
    let (mut fake, day) = (some(), SignedDuration::from_hours(24));
    let asked = Uptime { name: Some("camera".to_owned()), since: Some(Duration::from_secs(30 * 86_400)) };
    let mut past = Remembered::of(&mut fake, "deimos", now()).unwrap();
    let observed = |past: &mut Remembered<'_>| {
        let page = asked.page(past).unwrap();
        let share = page.rows[0].course.availability(page.periods[0]);
        (share.total(), share.total() - share.not_observed)
    };
    let whole = observed(&mut past);
    past.kept_since = past.last(Duration::from_secs(86_400)).from;
    let kept = observed(&mut past);
    assert_eq!((kept.0, whole.1 - kept.1), (whole.0, day * 29), "all but the last day");
}
