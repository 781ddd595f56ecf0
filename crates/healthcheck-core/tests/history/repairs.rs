//! How often something broke, and how soon it was repaired.

use crate::world::{at, window};
use healthcheck_core::Subject;
use healthcheck_core::alerts::Incident;
use healthcheck_core::history::Repairs;
use jiff::SignedDuration;
use serde_json::json;

type Member<'a> = (&'a str, i64, Option<i64>);

fn incident(id: u64, opened: i64, resolved: Option<i64>, members: &[Member<'_>]) -> Incident {
    let member = |(name, since, recovered): &Member<'_>| {
        json!({ "subject": { "kind": "service", "name": name }, "status": "error", "cause": "crashed",
                "message": "", "since": at(*since), "recovered": recovered.map(at) })
    };
    serde_json::from_value(json!({
        "id": id, "opened": at(opened), "resolved": resolved.map(at), "worst": "error", "acknowledged": null,
        "members": members.iter().map(member).collect::<Vec<_>>(), "opened_at": { "secs": 1, "nanos": 0 },
    }))
    .unwrap()
}

fn s(seconds: i64) -> Option<SignedDuration> {
    Some(SignedDuration::from_secs(seconds))
}

/// Broken 100 to 160, 200 to 240 while another one was broken as well, and from 900 on.
fn some() -> Vec<Incident> {
    vec![
        incident(1, 100, Some(160), &[("camera", 100, Some(150)), ("wall", 110, Some(160))]),
        incident(2, 200, Some(240), &[("camera", 200, Some(240))]),
        incident(3, 220, Some(260), &[("db", 220, Some(260))]),
        incident(4, 900, None, &[("camera", 900, None)]),
    ]
}

#[test]
fn all_of_them_together() {
    let wanted = Repairs {
        number: 4,
        open: 1,
        mean_to_repair: s((60 + 40 + 40) / 3).map(|it| it + SignedDuration::from_nanos(666_666_666)),
        // 1,000 s without 60, without 200 to 260, and without the last 100, over four.
        mean_between: s((1_000 - 60 - 60 - 100) / 4),
        longest: s(100),
    };
    assert_eq!(Repairs::of_all(&some(), window(0, 1_000)), wanted);
}

#[test]
fn each_subject_for_itself() {
    let of = Repairs::by_subject(&some(), window(0, 1_000));
    let camera = of[&Subject::service("camera")];
    assert_eq!((camera.number, camera.open, camera.mean_to_repair), (3, 1, s(45)));
    assert_eq!((camera.mean_between, camera.longest), (s((1_000 - 50 - 40 - 100) / 3), s(100)));
    assert_eq!(of[&Subject::service("wall")].mean_to_repair, s(50));
    assert_eq!(of.len(), 3);
}

#[test]
fn what_began_before_the_window_is_repaired_in_it_and_does_not_break_in_it() {
    let repairs = Repairs::of_all(&some(), window(120, 190));
    assert_eq!((repairs.number, repairs.mean_to_repair, repairs.longest), (1, s(60), s(60)));
    assert_eq!(repairs.mean_between, None);
    assert_eq!(Repairs::of_all(&some(), window(300, 800)), Repairs::default());
    assert_eq!(Repairs::by_subject(&some(), window(300, 800)).len(), 0);
}

/// It ended after the window, so that in the window it is not yet repaired.
#[test]
fn what_ends_later_is_not_repaired_in_the_window() {
    let repairs = Repairs::of_all(&some(), window(0, 130));
    assert_eq!((repairs.number, repairs.mean_to_repair, repairs.mean_between), (1, None, s(100)));
}

#[test]
fn what_ends_before_it_begins_took_no_time() {
    let back = [incident(1, 500, Some(400), &[("camera", 500, Some(400))])];
    let repairs = Repairs::of_all(&back, window(0, 1_000));
    assert_eq!((repairs.mean_to_repair, repairs.mean_between, repairs.longest), (s(0), s(1_000), s(0)));
}

#[test]
fn without_any_there_is_nothing_to_tell() {
    assert_eq!(Repairs::of_all(&[], window(0, 1_000)), Repairs::default());
}
