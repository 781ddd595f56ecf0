//! What becomes of transitions and heartbeats.

use super::{Case, Teller, at, beat, beats, changed, mark, transition};
use crate::history::{Entry, Record, RunRow};
use health_reporter::Status::{Error, Healthy, Unknown, Warning};
use healthcheck_core::history::Beats;
use healthcheck_core::{Cause, Subject};

pub(super) const CASES: [Case; 12] = [
    ("a transition opens a run", a_transition_opens_a_run),
    ("heartbeats that say the same", heartbeats_that_say_the_same),
    ("a heartbeat that is known", a_heartbeat_that_is_known),
    ("another task is another run", another_task_is_another_run),
    ("the first heartbeat tells the task", the_first_heartbeat_tells_the_task),
    ("heartbeats that say something else", heartbeats_that_say_something_else),
    ("heartbeats come before their transition", heartbeats_come_before_their_transition),
    ("what was found out later", what_was_found_out_later),
    ("what is found out of another one changes nothing", what_is_found_out_of_another_one_changes_nothing),
    ("who is forgotten", who_is_forgotten),
    ("another way of recording", another_way_of_recording),
    ("a thousand transitions at once", a_thousand_transitions_at_once),
];

fn a_transition_opens_a_run(teller: &mut Teller) {
    teller
        .tells([beat("camera", "indexing", "11:59:00"), changed(1, "camera", Healthy, Error, "12:00:00.25")]);
    let runs = teller.runs("camera");
    let expected = RunRow {
        id: runs[1].id,
        host: "deimos".into(),
        subject: Subject::service("camera"),
        status: Error,
        cause: Cause::Crashed,
        current_task: Some("indexing".into()),
        begun_at: at("12:00:00.25"),
        heartbeat_timestamp: at("12:00:00.25"),
        heartbeats: 0,
        created_at: runs[1].created_at,
        opens: true,
        transition: Some(transition("camera", Healthy, Error, "12:00:00.25")),
    };
    assert_eq!(runs[1..], [expected]);
    assert!(runs[0].opens && runs[0].transition.is_none() && runs[0].id < runs[1].id);
    let row = teller.status("camera").unwrap();
    assert_eq!((row.status, row.cause, row.changed_at), (Error, Cause::Crashed, at("12:00:00.25")));
    assert_eq!((row.message.as_str(), row.host.as_str()), ("camera is error", "deimos"));
    assert_eq!((row.current_task.as_deref(), row.last_heartbeat), (Some("indexing"), Some(at("11:59:00"))));
}

fn heartbeats_that_say_the_same(teller: &mut Teller) {
    teller.tells([
        beat("camera", "indexing", "12:00:00"),
        beats("camera", Healthy, "indexing", "12:01:00", "12:03:00", 3),
    ]);
    teller.tells([beat("core", "", "12:03:30"), beat("camera", "indexing", "12:04:00")]);
    let row = teller.status("camera").unwrap();
    assert_eq!((row.last_heartbeat, row.changed_at), (Some(at("12:04:00")), at("12:00:00")));
    assert_eq!((row.status, row.message.as_str()), (Healthy, ""));
    let runs = teller.runs("camera");
    assert_eq!(runs.iter().map(|run| run.heartbeats).sum::<u64>(), 5);
    assert_eq!(runs.iter().map(|run| run.opens).collect::<Vec<_>>()[1..], vec![false; runs.len() - 1]);
    assert!(runs[0].opens && runs.iter().all(|run| run.transition.is_none()));
    let times: Vec<_> = runs.iter().map(|run| (run.begun_at, run.heartbeat_timestamp)).collect();
    match teller.record {
        Record::Changes => assert_eq!(times, [(at("12:00:00"), at("12:04:00"))]),
        Record::Heartbeats => {
            assert_eq!(times[..2], [(at("12:00:00"), at("12:00:00")), (at("12:01:00"), at("12:03:00"))]);
            assert_eq!(times[2..], [(at("12:04:00"), at("12:04:00"))]);
        }
    }
    assert_eq!(teller.status("core").unwrap().current_task, None);
}

/// The next monitor reads the report that the last one left behind.
fn a_heartbeat_that_is_known(teller: &mut Teller) {
    let again = |first: &str, last: &str, count| match beats("camera", Healthy, "a", first, last, count) {
        Entry::Beats(beats) => Entry::Beats(Beats { may_be_known: true, ..beats }),
        other => other,
    };
    let (noon, later) = ("2025-06-01T12:00:00.5Z", "2025-06-01T12:01:00Z");
    teller.tells([beat("camera", "a", noon)]);
    teller.tells([again(noon, noon, 1)]);
    teller.tells([again(noon, later, 2)]);
    let heard: u64 = teller.runs("camera").iter().map(|run| run.heartbeats).sum();
    assert_eq!(heard, 2, "the one at noon, and the one after it");
    teller.tells([again("2025-06-01T12:02:00Z", "2025-06-01T12:02:00Z", 1)]);
    assert_eq!(teller.runs("camera").iter().map(|run| run.heartbeats).sum::<u64>(), 3, "one that is new");
}

fn another_task_is_another_run(teller: &mut Teller) {
    let tasks = ["indexing", "moving", "", "indexing"];
    for (minute, task) in tasks.iter().enumerate() {
        teller.tells([beat("camera", task, &format!("12:0{minute}:00"))]);
    }
    let runs = teller.runs("camera");
    let told: Vec<_> =
        runs.iter().map(|run| (run.current_task.as_deref().unwrap_or(""), run.opens)).collect();
    assert_eq!(told, [("indexing", true), ("moving", false), ("", false), ("indexing", false)]);
    let row = teller.status("camera").unwrap();
    assert_eq!((row.current_task.as_deref(), row.changed_at), (Some("indexing"), at("12:00:00")));
}

fn the_first_heartbeat_tells_the_task(teller: &mut Teller) {
    teller.tells([changed(1, "camera", Unknown, Healthy, "12:00:00")]);
    assert_eq!(teller.runs("camera")[0].current_task, None);
    teller.tells([beat("camera", "warming up", "12:00:01")]);
    teller.tells([beat("camera", "indexing", "12:00:02")]);
    let runs = teller.runs("camera");
    let tasks: Vec<_> = runs.iter().map(|run| run.current_task.as_deref().unwrap()).collect();
    match teller.record {
        Record::Changes => {
            assert_eq!(tasks, ["warming up", "indexing"]);
            assert_eq!((runs[0].heartbeats, runs[0].heartbeat_timestamp), (1, at("12:00:01")));
        }
        Record::Heartbeats => {
            assert_eq!(tasks, ["warming up", "warming up", "indexing"]);
            assert_eq!((runs[0].heartbeats, runs[0].heartbeat_timestamp), (0, at("12:00:00")));
        }
    }
    assert!(runs[0].opens && runs[0].transition.is_some() && runs[1..].iter().all(|run| !run.opens));
    assert_eq!(teller.status("camera").unwrap().message, "camera is healthy");
}

fn heartbeats_that_say_something_else(teller: &mut Teller) {
    teller.tells([changed(1, "camera", Unknown, Error, "12:00:00")]);
    teller.tells([beat("camera", "indexing", "12:01:00"), beat("camera", "indexing", "12:02:00")]);
    let opens: Vec<_> = teller.runs("camera").iter().map(|run| (run.status, run.opens)).take(2).collect();
    assert_eq!(opens, [(Error, true), (Healthy, true)]);
    let row = teller.status("camera").unwrap();
    assert_eq!((row.status, row.cause), (Healthy, Cause::SelfReported));
    assert_eq!((row.changed_at, row.message.as_str()), (at("12:01:00"), ""));
    let marks = teller.marks("camera", super::ALWAYS);
    let first = mark("12:00:00", Error, Cause::Crashed);
    assert_eq!(marks, [first, mark("12:01:00", Healthy, Cause::SelfReported)]);
}

fn heartbeats_come_before_their_transition(teller: &mut Teller) {
    teller.tells([beat("camera", "indexing", "12:00:00"), beat("camera", "indexing", "12:01:00")]);
    teller
        .tells([changed(1, "camera", Unknown, Healthy, "12:01:00"), beat("camera", "indexing", "12:02:00")]);
    let row = teller.status("camera").unwrap();
    assert_eq!((row.message.as_str(), row.changed_at), ("camera is healthy", at("12:01:00")));
    assert_eq!(row.current_task.as_deref(), Some("indexing"));
    let runs = teller.runs("camera");
    assert_eq!(runs.iter().map(|run| run.heartbeats).sum::<u64>(), 3);
    assert_eq!(runs.iter().filter(|run| run.transition.is_some()).count(), 1);
}

/// Message, reasons, evidence, whether it was healed and whether it flaps: all of it takes the place of what was known.
fn what_was_found_out_later(teller: &mut Teller) {
    teller.tells([
        changed(7, "camera", Healthy, Error, "12:00:00"),
        changed(8, "core", Healthy, Error, "12:00:00"),
    ]);
    let mut later = transition("camera", Healthy, Error, "12:00:00");
    later.message = "crashed: out of memory".into();
    later.reasons = vec!["the kernel says so".into()];
    later.evidence = [("kernel", "oom-kill")].into_iter().collect();
    later.is_healed_by_supervisor = true;
    later.is_flapping = !later.is_flapping;
    teller.tells([Entry::Amended { id: 7, transition: later.clone() }]);
    assert_eq!(teller.runs("camera")[0].transition.as_ref(), Some(&later));
    assert_eq!(teller.status("camera").unwrap().message, later.message);
    let other = teller.runs("core").remove(0).transition;
    assert_eq!(other, Some(transition("core", Healthy, Error, "12:00:00")));
    later.message = "it is over, and that is known".into();
    teller.tells([
        changed(9, "camera", Error, Healthy, "12:01:00"),
        Entry::Amended { id: 7, transition: later.clone() },
    ]);
    assert_eq!(teller.runs("camera")[0].transition.as_ref(), Some(&later));
    assert_eq!(teller.status("camera").unwrap().message, "camera is healthy");
    assert_eq!(teller.runs("camera").len(), 2);
}

/// Another `state.db` gave the same number to something else; and one may be dropped already.
fn what_is_found_out_of_another_one_changes_nothing(teller: &mut Teller) {
    let told = transition("camera", Healthy, Error, "12:00:00");
    teller.tells([changed(7, "camera", Healthy, Error, "12:00:00")]);
    let amended = |id, name, time| Entry::Amended { id, transition: transition(name, Error, Warning, time) };
    teller.tells([
        amended(7, "core", "12:00:00"),
        amended(7, "camera", "12:00:01"),
        amended(6, "camera", "12:00:00"),
    ]);
    teller.of_host("phobos");
    teller.tells([amended(7, "camera", "12:00:00")]);
    assert_eq!(teller.runs("camera").remove(0).transition, Some(told));
    assert_eq!((teller.runs("camera").len(), teller.runs("core").len()), (1, 0));
}

fn who_is_forgotten(teller: &mut Teller) {
    let (camera, time) = (Subject::service("camera"), at("12:05:00"));
    let forgotten = Entry::Forgotten { subject: camera, at: time };
    teller.tells([
        changed(1, "camera", Unknown, Error, "12:00:00"),
        beat("core", "", "12:00:00"),
        forgotten.clone(),
    ]);
    assert_eq!(teller.status("camera"), None);
    assert!(teller.status("core").is_some());
    let runs = teller.runs("camera");
    assert_eq!(runs.len(), 2);
    assert_eq!((runs[1].status, runs[1].cause, runs[1].opens), (Unknown, Cause::NotObserved, true));
    assert_eq!((runs[1].begun_at, runs[1].heartbeats, runs[1].transition.is_none()), (time, 0, true));
    let marks = [mark("12:00:00", Error, Cause::Crashed), mark("12:05:00", Unknown, Cause::NotObserved)];
    assert_eq!(teller.marks("camera", super::ALWAYS), marks);
    teller.tells([forgotten, Entry::Forgotten { subject: Subject::service("nobody"), at: time }]);
    assert_eq!((teller.runs("camera").len(), teller.runs("nobody").len()), (2, 0));
    teller.tells([beat("camera", "again", "12:10:00")]);
    let row = teller.status("camera").unwrap();
    assert_eq!((row.status, row.changed_at), (Healthy, at("12:10:00")));
    assert_eq!(teller.marks("camera", super::ALWAYS).len(), 3);
}

fn another_way_of_recording(teller: &mut Teller) {
    teller.tells([beat("camera", "indexing", "12:00:00"), beat("camera", "indexing", "12:01:00")]);
    teller.record = match teller.record {
        Record::Changes => Record::Heartbeats,
        Record::Heartbeats => Record::Changes,
    };
    teller.tells([beat("camera", "indexing", "12:02:00"), beat("camera", "indexing", "12:03:00")]);
    let counts: Vec<_> = teller.runs("camera").iter().map(|run| run.heartbeats).collect();
    assert_eq!(counts, if teller.record == Record::Heartbeats { [2, 1, 1].to_vec() } else { vec![1, 3] });
    assert_eq!(teller.runs("camera").iter().filter(|run| run.opens).count(), 1);
}

fn a_thousand_transitions_at_once(teller: &mut Teller) {
    let entries: Vec<_> = (1..=1_000_i64)
        .map(|id| {
            let (from, to) = if id % 2 == 0 { (Error, Healthy) } else { (Healthy, Error) };
            changed(id, "camera", from, to, &format!("12:{:02}:{:02}", id / 60, id % 60))
        })
        .collect();
    teller.tells(entries);
    let runs = teller.runs("camera");
    assert_eq!((runs.len(), teller.marks("camera", super::ALWAYS).len()), (1_000, 1_000));
    assert!(runs.iter().all(|run| run.opens && run.transition.is_some()));
    assert!(runs.windows(2).all(|pair| pair[0].begun_at < pair[1].begun_at));
    let position = teller.store.position(&teller.origin).unwrap();
    assert_eq!((position.transition, position.batch), (1_000, 1));
}
