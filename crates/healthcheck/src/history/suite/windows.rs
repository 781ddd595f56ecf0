//! What is asked for, and when.

use super::{ALWAYS, Case, Teller, at, beat, beats, changed, mark, service, window};
use crate::history::{Record, RunRow, Selection};
use health_reporter::Status::{Error, Healthy, Unknown, Warning};
use healthcheck_core::history::Window;
use healthcheck_core::{Cause, Kind, Subject};

pub(super) const CASES: [Case; 10] = [
    ("what was in force at the beginning", what_was_in_force_at_the_beginning),
    ("runs that reach into a window", runs_that_reach_into_a_window),
    ("the newest runs first, and no more than are wanted", the_newest_runs_first),
    ("what opened in a window", what_opened_in_a_window),
    ("openings of many", openings_of_many),
    ("the run at an instant", the_run_at_an_instant),
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
        let mut take = |run: RunRow| {
            taken.push(run.current_task.unwrap());
            taken.len() < 7
        };
        teller.store.runs(&of, ALWAYS, &mut take).unwrap();
        assert_eq!((taken.len(), taken[0].clone()), (7, format!("task {newest}")));
    }
}

/// What is asked for, of all runs of everyone.
fn openings(teller: &mut Teller, of: &Selection, asked: Window) -> Vec<RunRow> {
    let mut openings = Vec::new();
    let mut take = |run| {
        openings.push(run);
        true
    };
    teller.store.openings(of, asked, &mut take).unwrap();
    let mut all = teller.runs_in(of, asked);
    all.retain(|run| run.opens && run.begun_at >= asked.from && run.begun_at < asked.to);
    all.sort_by_key(|run| std::cmp::Reverse((run.begun_at, run.id)));
    assert_eq!(openings, all);
    openings
}

fn what_opened_in_a_window(teller: &mut Teller) {
    teller.tells([
        changed(1, "camera", Unknown, Healthy, "10:00:00"),
        beats("camera", Healthy, "a", "10:01:00", "10:29:00", 29),
        beats("camera", Healthy, "b", "10:30:00", "10:59:00", 30),
        changed(2, "camera", Healthy, Error, "11:00:00"),
        changed(3, "camera", Error, Healthy, "12:00:00"),
        beats("camera", Healthy, "b", "12:01:00", "12:59:00", 59),
        beats("camera", Warning, "b", "13:00:00", "13:00:00", 1),
    ]);
    for (from, to, expected) in [
        ("09:00:00", "14:00:00", "13 12 11 10"),
        ("10:00:00", "12:00:00", "11 10"),
        ("10:00:01", "12:00:01", "12 11"),
        ("10:30:00", "11:00:00", ""),
        ("12:30:00", "13:00:00", ""),
        ("13:00:00", "13:00:01", "13"),
    ] {
        let found = openings(teller, &service("camera"), window(from, to));
        let hours: Vec<String> = found.iter().map(|run| run.begun_at.strftime("%H").to_string()).collect();
        assert_eq!(hours.join(" "), expected, "{from} {to}");
    }
    let of_transitions = openings(teller, &service("camera"), ALWAYS);
    let told: Vec<bool> = of_transitions.iter().map(|run| run.transition.is_some()).collect();
    assert_eq!(told, [false, true, true, true]);
}

/// Over the end of a month, of many, and no more than are wanted.
fn openings_of_many(teller: &mut Teller) {
    let opened = |number: i64| {
        let name = ["camera", "core", "wall"][usize::try_from(number).unwrap() % 3];
        let at = at("2025-05-31T23:00:00Z") + jiff::SignedDuration::from_secs(number * 10);
        let (from, to) = if number / 3 % 2 == 0 { (Error, Healthy) } else { (Healthy, Error) };
        [changed(number + 1, name, from, to, &at.to_string()), beat_of(name, to, at)]
    };
    teller.tells((0..720).flat_map(opened).collect::<Vec<_>>());
    let all = openings(teller, &Selection::default(), ALWAYS);
    assert_eq!((all.len(), openings(teller, &service("core"), ALWAYS).len()), (720, 240));
    let mut taken = Vec::new();
    let mut take = |run| {
        taken.push(run);
        taken.len() < 7
    };
    teller.store.openings(&Selection::default(), ALWAYS, &mut take).unwrap();
    assert_eq!(taken, all[..7]);
}

fn beat_of(name: &str, status: health_reporter::Status, at: jiff::Timestamp) -> crate::history::Entry {
    let time = (at + jiff::SignedDuration::from_secs(1)).to_string();
    beats(name, status, "", &time, &time, 1)
}

fn the_run_at_an_instant(teller: &mut Teller) {
    let foreign = beats("camera", Healthy, "of another", "09:00:00", "20:00:00", 9);
    teller.tells([
        changed(1, "camera", Unknown, Healthy, "10:00:00"),
        beats("camera", Healthy, "a", "10:10:00", "10:20:00", 11),
        beats("camera", Healthy, "b", "10:30:00", "10:40:00", 11),
        changed(2, "camera", Healthy, Error, "11:00:00"),
        beats("core", Healthy, "of core", "09:00:00", "20:00:00", 9),
        beats("camera", Error, "c", "2025-07-02T10:00:00Z", "2025-07-02T10:00:00Z", 1),
    ]);
    teller.of_host("phobos");
    teller.tells([foreign]);
    let mut run_at = |time: &str| {
        let (camera, time) = (Subject::service("camera"), at(time));
        let found = teller.store.run_at("deimos", &camera, time).unwrap();
        let of = Selection { host: Some("deimos".into()), subject: Some(camera) };
        let mut all = teller.runs_in(&of, ALWAYS);
        all.retain(|run| run.begun_at <= time);
        assert_eq!(found, all.into_iter().next(), "{time}");
        found
    };
    assert_eq!(run_at("09:59:59"), None);
    assert_eq!(run_at("10:00:00").unwrap().begun_at, at("10:00:00"));
    for (time, task) in [
        ("10:20:00", "a"),
        ("10:29:59", "a"),
        ("10:40:00", "b"),
        ("10:59:59", "b"),
        ("2025-07-03T00:00:00Z", "c"),
    ] {
        assert_eq!(run_at(time).unwrap().current_task.as_deref(), Some(task), "{time}");
    }
    assert_eq!(run_at("11:00:00").unwrap().status, Error);
    for minute in 0..60 {
        run_at(&format!("10:{minute:02}:30"));
        run_at(&format!("10:{minute:02}:00"));
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
