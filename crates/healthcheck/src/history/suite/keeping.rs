//! What is taken in once, dropped when it is old, and written whatever it says.

use super::{ALWAYS, Case, Teller, at, beat, beats, changed, mark, window};
use crate::history::{Entry, Origin, Portion, Position, Selection, Slice};
use health_reporter::Status::{Error, Healthy, Unknown};
use healthcheck_core::history::retention::Kept;
use healthcheck_core::history::{Bin, Resolution};
use healthcheck_core::{Cause, Gap, GapReason, Subject};

pub(super) const CASES: [Case; 11] = [
    ("a portion is taken in once", a_portion_is_taken_in_once),
    ("a portion that begins elsewhere leaves nothing", a_portion_that_begins_elsewhere_leaves_nothing),
    ("origins are independent", origins_are_independent),
    ("a portion of nothing moves on", a_portion_of_nothing_moves_on),
    ("all of a portion or nothing", all_of_a_portion_or_nothing),
    ("hostile texts", hostile_texts),
    ("hostile times and counts", hostile_times_and_counts),
    ("what was in force outlives what is dropped", what_was_in_force_outlives_what_is_dropped),
    ("who is known outlives all that is dropped", who_is_known_outlives_all_that_is_dropped),
    ("numbers and gaps are dropped by themselves", numbers_and_gaps_are_dropped_by_themselves),
    ("a copy takes no file's place", a_copy_takes_no_files_place),
];

fn a_portion_is_taken_in_once(teller: &mut Teller) {
    let gap = Gap { from: at("11:00:00"), to: at("11:30:00"), reason: GapReason::Boot };
    let bin = Bin::of(at("12:00:00"), 1.0);
    let portion = teller.portion(vec![
        changed(5, "camera", Unknown, Healthy, "12:00:00"),
        beat("camera", "a", "12:01:00"),
        Entry::Gap(gap),
        Entry::Numbers { subject: Subject::service("camera"), metric: "a".into(), bin },
    ]);
    assert_eq!(teller.store.position(&teller.origin).unwrap(), Position::default());
    teller.store.write(&portion).unwrap();
    assert_eq!(teller.store.position(&teller.origin).unwrap(), Position { transition: 5, gap: 1, batch: 1 });
    let before = everything(teller);
    let error = teller.store.write(&portion).unwrap_err();
    assert!(error.is_elsewhere(), "{error}");
    assert_eq!(everything(teller), before);
    teller.position = portion.after;
    teller.tells([beat("camera", "a", "12:02:00")]);
    assert_eq!(teller.runs("camera").iter().map(|run| run.heartbeats).sum::<u64>(), 2);
}

/// All that can be asked for, in words.
fn everything(teller: &mut Teller) -> String {
    let of = Selection::default();
    let (statuses, runs) = (teller.store.statuses(&of).unwrap(), teller.runs_in(&of, ALWAYS));
    let (judged, gaps) =
        (teller.store.judged(&of, ALWAYS).unwrap(), teller.store.gaps("deimos", ALWAYS).unwrap());
    let series = teller.store.series(&of, Resolution::Minute, ALWAYS).unwrap();
    let position = teller.store.position(&teller.origin).unwrap();
    format!(
        "{statuses:?} {runs:?} {judged:?} {gaps:?} {series:?} {position:?} {:?}",
        teller.store.hosts().unwrap()
    )
}

fn a_portion_that_begins_elsewhere_leaves_nothing(teller: &mut Teller) {
    teller.tells([changed(5, "camera", Unknown, Healthy, "12:00:00")]);
    let before = everything(teller);
    let ahead = |change: fn(&mut Position)| {
        let mut portion = teller.portion(vec![beat("core", "a", "12:01:00"), Entry::Seen(at("12:01:00"))]);
        change(&mut portion.before);
        portion
    };
    let portions = [ahead(|it| it.batch += 1), ahead(|it| it.transition -= 1), ahead(|it| it.gap += 1)];
    for portion in portions {
        assert!(teller.store.write(&portion).unwrap_err().is_elsewhere());
        assert_eq!(everything(teller), before);
    }
}

fn origins_are_independent(teller: &mut Teller) {
    teller.tells([changed(5, "camera", Unknown, Healthy, "12:00:00")]);
    let first = teller.position;
    let of = |host: &str, state: &str, run: &str| Origin {
        host: host.into(),
        state: state.into(),
        run: run.into(),
    };
    let mut position = |origin| teller.store.position(&origin).unwrap();
    let another_run = Position { batch: 0, ..first };
    assert_eq!(position(of("deimos", "state-1", "run-2")), another_run);
    let another_state = Position { transition: 0, gap: 0, ..first };
    assert_eq!(position(of("deimos", "state-2", "run-1")), another_state);
    assert_eq!(position(of("phobos", "state-1", "run-1")), Position::default());
    teller.origin.run = "run-2".into();
    teller.position = another_run;
    teller.tells([changed(6, "camera", Healthy, Error, "12:01:00")]);
    let position = teller.store.position(&of("deimos", "state-1", "run-1")).unwrap();
    assert_eq!(position, Position { transition: 6, ..first });
    teller.origin.state = "state-2".into();
    teller.position = Position { transition: 0, gap: 0, batch: 1 };
    teller.tells([changed(1, "camera", Error, Healthy, "12:02:00")]);
    teller.of_host("phobos");
    teller.tells([changed(1, "camera", Unknown, Healthy, "12:00:00")]);
    assert_eq!(teller.store.statuses(&Selection::default()).unwrap().len(), 2);
    assert_eq!(teller.runs("camera").len(), 4);
}

fn a_portion_of_nothing_moves_on(teller: &mut Teller) {
    teller.tells([]);
    let portion =
        Portion { after: Position { transition: 90, gap: 7, batch: 3 }, ..teller.portion(Vec::new()) };
    teller.store.write(&portion).unwrap();
    assert_eq!(teller.store.position(&teller.origin).unwrap(), portion.after);
}

/// Whether a store counts so far or not.
fn all_of_a_portion_or_nothing(teller: &mut Teller) {
    teller.tells([beat("camera", "a", "12:00:00"), Entry::Seen(at("12:00:00"))]);
    let before = everything(teller);
    let mut portion = teller.portion(vec![
        changed(5, "camera", Healthy, Error, "12:01:00"),
        beat("core", "a", "12:01:00"),
        Entry::Seen(at("12:01:00")),
    ]);
    portion.after.batch = u64::MAX;
    match teller.store.write(&portion) {
        Ok(()) => assert_eq!(teller.store.position(&teller.origin).unwrap(), portion.after),
        Err(error) => {
            assert!(!error.is_elsewhere(), "{error}");
            assert_eq!(everything(teller), before);
            teller.tells([beat("core", "a", "12:01:00")]);
            assert!(teller.status("core").is_some());
        }
    }
}

fn hostile_texts(teller: &mut Teller) {
    let texts = [
        "it's \"; DROP TABLE system_status; --",
        "'%_\\ ?1 $1 {}",
        "ÄÖ ñ 漢字 😀\u{202e}",
        "nul \0 bell \u{7} escape \u{1b}[31m line\nend\r\u{85}",
    ];
    let clean = |text: &str| -> String {
        text.chars().map(|it| if it.is_control() { char::REPLACEMENT_CHARACTER } else { it }).collect()
    };
    for (id, text) in (1..).zip(texts) {
        let mut told = super::transition(text, Unknown, Error, "12:00:00");
        told.message = text.to_owned();
        told.evidence = [("said", text)].into_iter().collect();
        told.reasons = vec![text.to_owned().into()];
        let said = beats(text, Error, text, "12:01:00", "12:01:00", 1);
        let bin = Bin::of(at("12:00:00"), 1.0);
        let counted = Entry::Numbers { subject: told.subject.clone(), metric: text.to_owned(), bin };
        teller.tells([Entry::Transition { id, transition: told }, said, counted]);
        let row = teller.status(text).unwrap();
        assert_eq!((row.message, row.current_task.unwrap()), (clean(text), clean(text)));
        assert_eq!(&*row.subject.name, clean(text));
        let run = teller.runs(text).remove(0).transition.unwrap();
        assert_eq!((clean(&run.reasons[0]), run.message), (clean(text), clean(text)));
        assert_eq!(teller.marks(text, ALWAYS).len(), 1);
        let series = teller.store.series(&super::service(text), Resolution::Day, ALWAYS).unwrap();
        assert_eq!(series[0].metric, clean(text));
    }
    for (id, text) in (10..).zip(["x", "😀"].map(|it| it.repeat(200_000))) {
        let mut told = super::transition(&text, Unknown, Error, "12:00:00");
        told.message.clone_from(&text);
        told.reasons = vec![text.clone().into()];
        teller.tells([Entry::Transition { id, transition: told }, beat(&text, &text, "12:01:00")]);
        let row = teller.status(&text).unwrap();
        assert!(row.subject.name.ends_with('…') && text.starts_with(row.subject.name.trim_end_matches('…')));
        assert!(row.current_task.unwrap().ends_with('…'));
        assert_eq!(teller.marks(&text, ALWAYS).len(), 2);
    }
    assert_eq!(teller.store.statuses(&Selection::default()).unwrap().len(), 6);
}

fn hostile_times_and_counts(teller: &mut Teller) {
    teller.tells([beats("camera", Healthy, "a", "12:00:00", "12:00:00", u64::MAX)]);
    teller.tells([beats("camera", Healthy, "a", "12:01:00", "12:01:00", u64::MAX)]);
    assert!(teller.runs("camera").iter().all(|run| run.heartbeats >= i64::MAX.unsigned_abs()));
    teller.tells([beats("core", Healthy, "a", "12:01:00", "11:59:00", 1)]);
    assert_eq!(teller.status("core").unwrap().last_heartbeat, Some(at("11:59:00")));
    let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    let mut told = super::transition("wall", Unknown, Error, "12:00:00");
    (told.since, told.at) = (first, at("9998-12-31T23:59:59Z"));
    teller.tells([Entry::Transition { id: 1, transition: told }, Entry::Seen(first), Entry::Seen(last)]);
    assert_eq!(teller.status("wall").unwrap().status, Error);
    assert_eq!((teller.runs("wall").len(), teller.store.hosts().unwrap().len()), (1, 1));
}

/// Drops everything of a kind that is over before an instant.
#[track_caller]
fn drop_before(teller: &mut Teller, of: Kept, end: &str) -> Vec<Slice> {
    let stock = teller.store.stock().unwrap();
    assert!(stock.bytes > 0 && stock.slices.windows(2).all(|it| it[0].window.from <= it[1].window.from));
    assert!(stock.slices.iter().all(|slice| slice.rows > 0 && slice.window.from < slice.window.to));
    let old: Vec<_> = stock.slices.into_iter().filter(|it| it.of == of && it.window.to <= at(end)).collect();
    for slice in &old {
        while !teller.store.prune(slice, 7).unwrap().is_done {}
        assert!(teller.store.prune(slice, 7).unwrap().is_done, "again, there is nothing");
    }
    let left = teller.store.stock().unwrap().slices;
    assert!(!left.iter().any(|it| it.of == of && it.window.to <= at(end)), "{left:?}");
    old
}

fn what_was_in_force_outlives_what_is_dropped(teller: &mut Teller) {
    teller.tells([changed(1, "camera", Unknown, Healthy, "2025-01-10T00:00:00Z")]);
    let busy = |day: u32| {
        let time = format!("2025-{:02}-{:02}T12:00:00Z", 1 + day / 28, 1 + day % 28);
        beat("camera", &format!("task {day}"), &time)
    };
    teller.tells((10..84).map(busy).collect::<Vec<_>>());
    teller.tells([changed(2, "camera", Healthy, Error, "2025-04-05T00:00:00Z")]);
    let (of, up) = (window("2025-03-05T00:00:00Z", "2025-04-10T00:00:00Z"), Cause::SelfReported);
    let up = mark("2025-01-10T00:00:00Z", Healthy, up);
    let marks = [up, mark("2025-04-05T00:00:00Z", Error, Cause::Crashed)];
    assert_eq!(teller.marks("camera", of), marks);
    let before = teller.runs("camera").len();
    let dropped = drop_before(teller, Kept::Runs, "2025-03-01T00:00:00Z");
    let rows: u64 = dropped.iter().map(|slice| slice.rows).sum();
    assert!(rows >= 40, "{dropped:?}");
    assert_eq!(teller.runs("camera").len(), before - usize::try_from(rows).unwrap());
    assert_eq!(teller.marks("camera", of), marks);
    assert_eq!(teller.marks("camera", window("2025-02-01T00:00:00Z", "2025-02-02T00:00:00Z")), [up]);
    drop_before(teller, Kept::Runs, "2025-06-01T00:00:00Z");
    assert_eq!(teller.runs("camera"), []);
    assert_eq!(teller.marks("camera", window("2025-04-06T00:00:00Z", "2025-04-10T00:00:00Z")), marks[1..]);
}

fn who_is_known_outlives_all_that_is_dropped(teller: &mut Teller) {
    teller.tells([
        changed(1, "camera", Unknown, Error, "2025-01-10T00:00:00Z"),
        changed(2, "core", Unknown, Healthy, "2025-01-10T00:00:00Z"),
        beats("core", Healthy, "a", "2025-01-10T01:00:00Z", "2025-01-11T01:00:00Z", 9),
        changed(3, "gone", Unknown, Healthy, "2025-01-10T00:00:00Z"),
        Entry::Forgotten { subject: Subject::service("gone"), at: at("2025-01-20T00:00:00Z") },
    ]);
    let statuses = teller.store.statuses(&Selection::default()).unwrap();
    drop_before(teller, Kept::Runs, "2025-03-01T00:00:00Z");
    assert_eq!(teller.store.statuses(&Selection::default()).unwrap(), statuses);
    assert_eq!(teller.runs_in(&Selection::default(), ALWAYS), []);
    let now = window("2025-04-01T00:00:00Z", "2025-04-02T00:00:00Z");
    assert_eq!(teller.marks("camera", now), [mark("2025-01-10T00:00:00Z", Error, Cause::Crashed)]);
    assert_eq!(teller.marks("core", now), [mark("2025-01-10T00:00:00Z", Healthy, Cause::SelfReported)]);
    assert!(teller.marks("gone", now).iter().all(|mark| mark.cause == Cause::NotObserved));
    // The run that they would confirm is dropped.
    teller.tells([beats("core", Healthy, "a", "2025-04-01T01:00:00Z", "2025-04-01T01:00:00Z", 1)]);
    let run = teller.runs("core").remove(0);
    assert_eq!((run.begun_at, run.opens, run.heartbeats), (at("2025-04-01T01:00:00Z"), false, 1));
    assert_eq!(teller.status("core").unwrap().changed_at, at("2025-01-10T00:00:00Z"));
}

fn numbers_and_gaps_are_dropped_by_themselves(teller: &mut Teller) {
    let mut entries = Vec::new();
    for day in 1..=28 {
        for month in 1..=3 {
            let time = at(&format!("2025-{month:02}-{day:02}T12:00:00Z"));
            let (subject, bin) = (Subject::service("camera"), Bin::of(time, 1.0));
            entries.push(Entry::Numbers { subject, metric: "a".into(), bin });
            let to = time + jiff::SignedDuration::from_secs(60);
            entries.push(Entry::Gap(Gap { from: time, to, reason: GapReason::Suspended }));
        }
    }
    entries.push(changed(1, "camera", Unknown, Healthy, "2025-01-01T00:00:00Z"));
    teller.tells(entries);
    let mut left = |of| {
        drop_before(teller, of, "2025-03-01T00:00:00Z");
        let numbers = Resolution::ALL.map(|it| {
            let series = teller.store.series(&Selection::default(), it, ALWAYS).unwrap();
            series.iter().map(|series| series.bins.len()).sum::<usize>()
        });
        (numbers, teller.store.gaps("deimos", ALWAYS).unwrap().len(), teller.runs("camera").len())
    };
    assert_eq!(left(Kept::Minutes), ([28, 84, 84], 84, 1));
    assert_eq!(left(Kept::Hours), ([28, 28, 84], 84, 1));
    assert_eq!(left(Kept::Gaps), ([28, 28, 84], 28, 1));
    assert_eq!(left(Kept::Days), ([28, 28, 28], 28, 1));
    assert_eq!(left(Kept::Runs), ([28, 28, 28], 28, 0));
}

fn a_copy_takes_no_files_place(teller: &mut Teller) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("there");
    std::fs::write(&path, "somebody's").unwrap();
    let error = teller.store.backup(&path).unwrap_err();
    assert!(error.to_string().contains("there"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's");
}
