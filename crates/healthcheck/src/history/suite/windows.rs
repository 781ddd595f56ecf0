//! What is asked for, and when.

use super::{ALWAYS, Case, Teller, at, beat, beats, changed, mark, service, window};
use crate::history::{Record, Selection};
use health_reporter::Status::{Error, Healthy, Unknown, Warning};
use healthcheck_core::{Cause, Kind, Subject};

pub(super) const CASES: [Case; 7] = [
    ("what was in force at the beginning", what_was_in_force_at_the_beginning),
    ("runs that reach into a window", runs_that_reach_into_a_window),
    ("the newest runs first, and no more than are wanted", the_newest_runs_first),
    ("by machine and by subject", by_machine_and_by_subject),
    ("who is judged", who_is_judged),
    ("a clock that is set back", a_clock_that_is_set_back),
    ("microseconds", microseconds),
];

fn what_was_in_force_at_the_beginning(teller: &mut Teller) {
    teller.tells([
        changed(1, "camera", Unknown, Healthy, "10:00:00"),
        beats("camera", Healthy, "a", "10:01:00", "10:59:00", 59),
        beats("camera", Healthy, "b", "11:00:00", "11:29:00", 30),
        changed(2, "camera", Healthy, Error, "11:30:00"),
        changed(3, "camera", Error, Healthy, "12:00:00"),
    ]);
    let (up, again) =
        (mark("10:00:00", Healthy, Cause::SelfReported), mark("12:00:00", Healthy, Cause::SelfReported));
    let down = mark("11:30:00", Error, Cause::Crashed);
    for (from, to, expected) in [
        ("09:00:00", "13:00:00", &[up, down, again][..]),
        ("10:00:00", "11:00:00", &[up]),
        ("11:15:00", "11:45:00", &[up, down]),
        ("11:30:00", "12:00:00", &[down]),
        ("11:30:01", "12:00:01", &[down, again]),
        ("20:00:00", "21:00:00", &[again]),
        ("08:00:00", "10:00:00", &[]),
    ] {
        assert_eq!(teller.marks("camera", window(from, to)), expected, "{from} {to}");
    }
}

fn runs_that_reach_into_a_window(teller: &mut Teller) {
    teller.tells([
        beats("camera", Healthy, "a", "10:00:00", "10:59:00", 60),
        beats("camera", Healthy, "b", "11:00:00", "11:59:00", 60),
        beats("camera", Healthy, "c", "12:00:00", "12:59:00", 60),
    ]);
    let mut tasks = |from, to| -> String {
        let runs = teller.runs_in(&service("camera"), window(from, to));
        runs.iter().filter_map(|run| run.current_task.clone()).collect()
    };
    assert_eq!(tasks("10:30:00", "11:30:00"), "ba");
    assert_eq!(tasks("10:59:00", "11:00:00"), "a");
    assert_eq!(tasks("10:59:01", "11:00:00"), "");
    assert_eq!(tasks("11:10:00", "11:11:00"), "b");
    assert_eq!(tasks("09:00:00", "20:00:00"), "cba");
    assert_eq!(tasks("13:00:00", "20:00:00"), "");
}

/// By their last confirmation.
fn the_newest_runs_first(teller: &mut Teller) {
    let beat_at = |number: u32| {
        let (name, time) = (
            ["camera", "core", "wall"][number as usize % 3],
            format!("12:{:02}:{:02}", number / 60, number % 60),
        );
        beat(name, &format!("task {number}"), &time)
    };
    for first in (0..900).step_by(300) {
        teller.tells((first..first + 300).map(beat_at).collect::<Vec<_>>());
    }
    let all = teller.runs_in(&Selection::default(), ALWAYS);
    assert_eq!(all.len(), 900);
    assert!(all.windows(2).all(|pair| pair[0].heartbeat_timestamp > pair[1].heartbeat_timestamp));
    for of in [Selection::default(), service("core")] {
        let (mut taken, newest) = (Vec::new(), if of.subject.is_some() { 898 } else { 899 });
        let mut take = |run: crate::history::RunRow| {
            taken.push(run.current_task.unwrap());
            taken.len() < 7
        };
        teller.store.runs(&of, ALWAYS, &mut take).unwrap();
        assert_eq!((taken.len(), taken[0].clone()), (7, format!("task {newest}")));
    }
}

fn by_machine_and_by_subject(teller: &mut Teller) {
    let zmq = |time| {
        let mut told = super::transition("camera", Unknown, Error, time);
        told.subject = Subject::new(Kind::Zmq, "camera");
        crate::history::Entry::Transition { id: 9, transition: told }
    };
    teller.tells([beat("core", "", "12:00:00"), beat("camera", "", "12:00:00"), zmq("12:00:00")]);
    teller.of_host("apollo");
    teller.tells([beat("camera", "", "12:00:00")]);
    let of = |host: Option<&str>, subject| Selection { host: host.map(str::to_owned), subject };
    let camera = || Some(Subject::service("camera"));
    for (of, expected) in [
        (
            of(None, None),
            "apollo service camera, deimos service camera, deimos service core, deimos zmq camera",
        ),
        (of(Some("deimos"), None), "deimos service camera, deimos service core, deimos zmq camera"),
        (of(None, camera()), "apollo service camera, deimos service camera"),
        (of(Some("apollo"), camera()), "apollo service camera"),
        (of(Some("deimos"), Some(Subject::new(Kind::Zmq, "camera"))), "deimos zmq camera"),
        (of(Some("nobody"), camera()), ""),
    ] {
        let listed = |it: Vec<String>| it.join(", ");
        let statuses = teller.store.statuses(&of).unwrap();
        assert_eq!(
            listed(statuses.iter().map(|it| format!("{} {}", it.host, it.subject)).collect()),
            expected
        );
        let judged = teller.store.judged(&of, ALWAYS).unwrap();
        assert_eq!(listed(judged.iter().map(|it| format!("{} {}", it.host, it.subject)).collect()), expected);
        let mut runs: Vec<_> =
            teller.runs_in(&of, ALWAYS).iter().map(|it| (it.host.clone(), it.subject.clone())).collect();
        runs.sort();
        assert_eq!(listed(runs.iter().map(|it| format!("{} {}", it.0, it.1)).collect()), expected);
    }
}

/// Also who is no longer known; not who was not known yet.
fn who_is_judged(teller: &mut Teller) {
    teller.tells([
        beat("camera", "", "12:00:00"),
        crate::history::Entry::Forgotten { subject: Subject::service("camera"), at: at("13:00:00") },
        beat("core", "", "14:00:00"),
    ]);
    let mut names = |from, to| -> Vec<String> {
        let judged = teller.store.judged(&Selection::default(), window(from, to)).unwrap();
        judged.iter().map(|it| it.subject.name.to_string()).collect()
    };
    assert_eq!(names("11:00:00", "12:00:00"), [""; 0]);
    assert_eq!(names("11:00:00", "12:30:00"), ["camera"]);
    assert_eq!(names("12:30:00", "14:30:00"), ["camera", "core"]);
}

fn a_clock_that_is_set_back(teller: &mut Teller) {
    teller.tells([
        changed(1, "camera", Unknown, Healthy, "10:00:00"),
        beat("camera", "a", "11:00:00"),
        changed(2, "camera", Healthy, Error, "12:00:00"),
        beats("camera", Error, "a", "12:01:00", "12:01:00", 1),
    ]);
    teller.tells([beats("camera", Error, "a", "09:00:00", "09:10:00", 11)]);
    let last = teller.runs("camera").pop().unwrap();
    if teller.record == Record::Changes {
        assert_eq!((last.heartbeats, last.heartbeat_timestamp), (12, at("12:01:00")));
    }
    assert_eq!(teller.status("camera").unwrap().last_heartbeat, Some(at("09:10:00")));
    teller.tells([changed(3, "camera", Error, Warning, "09:30:00")]);
    let row = teller.status("camera").unwrap();
    assert_eq!((row.status, row.changed_at), (Warning, at("09:30:00")));
    let cause = row.cause;
    let now = [mark("09:30:00", Warning, cause)];
    assert_eq!(teller.marks("camera", window("11:00:00", "13:00:00")), now);
    assert_eq!(teller.marks("camera", window("09:00:00", "13:00:00")), now);
    teller.tells([changed(4, "camera", Warning, Healthy, "11:30:00")]);
    let both = [now[0], mark("11:30:00", Healthy, Cause::SelfReported)];
    assert_eq!(teller.marks("camera", window("11:00:00", "13:00:00")), both);
}

fn microseconds(teller: &mut Teller) {
    let [fine, kept] = ["12:00:00.123456789", "12:00:00.123456"];
    teller.tells([changed(1, "camera", Unknown, Healthy, fine), beat("camera", "a", "12:00:00.999999999")]);
    let run = teller.runs("camera").remove(0);
    assert_eq!((run.begun_at, run.transition.unwrap().at), (at(kept), at(kept)));
    let row = teller.status("camera").unwrap();
    assert_eq!((row.changed_at, row.last_heartbeat), (at(kept), Some(at("12:00:00.999999"))));
    let mut later = super::transition("camera", Unknown, Healthy, fine);
    later.message = "found again".into();
    teller.tells([crate::history::Entry::Amended { id: 1, transition: later }]);
    assert_eq!(teller.status("camera").unwrap().message, "found again");
}
