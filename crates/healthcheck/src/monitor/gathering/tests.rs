use super::*;
use health_reporter::Status;
use healthcheck_core::alerts::{Hours, MaintenanceWindow};
use healthcheck_core::{Cause, Evidence};
use jiff::civil::time;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn beat(at: Timestamp) -> Beat {
    Beat { at, may_be_known: false }
}

fn now(second: i64) -> Now {
    now_at(second, second)
}

fn now_at(wall: i64, boottime: i64) -> Now {
    let boottime = Duration::from_secs(u64::try_from(1_000 + boottime).unwrap());
    Now { wall: at(wall), boottime, ..Now::default() }
}

fn verdict(status: Status) -> Verdict {
    Verdict {
        status,
        cause: Cause::SelfReported,
        message: String::new(),
        reasons: Vec::new(),
        evidence: Evidence::default(),
        since: at(0),
    }
}

fn camera() -> Subject {
    Subject::service("camera")
}

fn ledgered(last: i64) -> Ledgered {
    Ledgered { state: "s".to_owned(), last }
}

fn all(gathering: &mut Gathering, now: &Now) -> Batch {
    gathering.cut_all(&ledgered(7), now, [camera()].iter(), &Rules::default())
}

#[test]
fn heartbeats_that_say_the_same_are_one_and_those_that_do_not_are_not() {
    let mut gathering = Gathering::of("run".to_owned(), Record::Changes);
    let well = verdict(Status::Healthy);
    for (second, task) in [(0, "a"), (1, "a"), (2, "b"), (3, "a")] {
        gathering.beat(&camera(), &well, Some(task), beat(at(second)));
    }
    assert_eq!(gathering.next_boottime(Duration::ZERO), None, "they wait for the pulse");
    let batch = all(&mut gathering, &now(4));
    let told = batch.beats.iter().map(|it| (it.task.as_deref().unwrap(), it.first, it.last, it.count));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [("a", at(0), at(1), 2), ("b", at(2), at(2), 1), ("a", at(3), at(3), 1)]
    );
    assert_eq!((batch.number, batch.after, batch.until), (1, 7, at(4)));
    assert_eq!(all(&mut gathering, &now(5)).beats, []);
}

#[test]
fn each_heartbeat_is_one_where_that_is_wanted_and_is_handed_over_soon() {
    let mut gathering = Gathering::of("run".to_owned(), Record::Heartbeats);
    let boottime = Duration::from_secs(50);
    assert_eq!(gathering.next_boottime(boottime), None);
    (0..3).for_each(|second| gathering.beat(&camera(), &verdict(Status::Healthy), None, beat(at(second))));
    let due = gathering.next_boottime(boottime);
    assert_eq!(due, Some(boottime + EACH_WITHIN));
    assert_eq!(gathering.next_boottime(boottime + EACH_WITHIN / 2), due, "it does not move");
    assert_eq!(all(&mut gathering, &now(4)).beats.len(), 3);
    assert_eq!(gathering.next_boottime(boottime), None);
    (0..MAX_BEATS).for_each(|_| gathering.beat(&camera(), &verdict(Status::Healthy), None, beat(at(1))));
    assert_eq!(gathering.next_boottime(boottime), Some(boottime));
}

/// A heartbeat belongs to the verdict under which it came: the batch of the former ones goes before the transition.
#[test]
fn what_was_said_before_a_change_stays_before_it() {
    let mut gathering = Gathering::of("run".to_owned(), Record::Changes);
    gathering.beat(&camera(), &verdict(Status::Healthy), None, beat(at(0)));
    gathering.beat(&Subject::service("audio"), &verdict(Status::Healthy), None, beat(at(0)));
    gathering.turn(&camera());
    gathering.beat(&camera(), &verdict(Status::Error), None, beat(at(1)));
    let before = gathering.cut_before(&ledgered(7), at(2)).unwrap();
    let after = gathering.cut(&ledgered(8), at(2));
    let told = |batch: &Batch| -> Vec<_> {
        batch.beats.iter().map(|beats| (beats.subject.name.to_string(), beats.status)).collect()
    };
    assert_eq!(
        (before.number, before.after, told(&before)),
        (1, 7, vec![("camera".to_owned(), Status::Healthy)])
    );
    assert_eq!((after.number, after.after), (2, 8));
    assert_eq!(told(&after), [("audio".to_owned(), Status::Healthy), ("camera".to_owned(), Status::Error)]);
    assert_eq!(gathering.cut_before(&ledgered(8), at(3)), None);
}

#[test]
fn a_report_that_is_read_again_is_no_heartbeat() {
    let mut gathering = Gathering::of("run".to_owned(), Record::Changes);
    let mut newness = |second| gathering.newness(&camera(), at(second));
    assert_eq!([newness(0), newness(0), newness(1)], [Newness::First, Newness::Known, Newness::New]);
    gathering.forget(&camera(), at(2));
    assert_eq!(gathering.newness(&camera(), at(1)), Newness::First);
}

#[test]
fn numbers_are_put_together_by_the_minute() {
    let mut gathering = Gathering::of("run".to_owned(), Record::Changes);
    let minute = Resolution::Minute.begin_of(at(600));
    for (second, value) in [(0, 1.0), (1, 5.0), (60, 2.0)] {
        let instant = minute.checked_add(SignedDuration::from_secs(second)).unwrap();
        gathering.measure(&camera(), vec![("x_ms".to_owned(), value)], instant);
    }
    let numbers = all(&mut gathering, &now(700)).numbers;
    let first = Bin { at: minute, count: 2, sum: 6.0, minimum: 1.0, maximum: 5.0 };
    let second = Bin::of(minute.checked_add(SignedDuration::from_secs(60)).unwrap(), 2.0);
    assert_eq!(numbers, [first, second].map(|bin| (camera(), "x_ms".to_owned(), bin)));
}

#[test]
fn f12_a_clock_that_is_set_forward_makes_a_gap_and_one_that_is_set_back_makes_none() {
    let mut gathering = Gathering::of("run".to_owned(), Record::Changes);
    let mut after = |wall, boottime| {
        let now = now_at(wall, boottime);
        gathering.note_clock(&now);
        all(&mut gathering, &now).gaps
    };
    assert_eq!(after(0, 0), []);
    assert_eq!(after(3_660, 60), [Gap { from: at(60), to: at(3_660), reason: GapReason::ClockSet }]);
    assert_eq!(after(120, 120), [], "set back");
    assert_eq!(after(181, 180), [], "a second is drift");
}

#[test]
fn maintenance_is_told_for_the_time_since_the_last_batch() {
    let mut gathering = Gathering::of("run".to_owned(), Record::Changes);
    // 1,800,000,000 is 08:00:00 in UTC.
    let hours = Hours { from: time(8, 0, 30, 0), until: time(8, 2, 0, 0) };
    let window = MaintenanceWindow { subjects: vec!["cam*".to_owned()], days: Vec::new(), hours };
    let rules = Rules { maintenance: vec![window], ..Rules::default() };
    let subjects = [camera(), Subject::service("audio")];
    let mut told =
        |second| gathering.cut_all(&ledgered(0), &now(second), subjects.iter(), &rules).maintenance;
    assert_eq!(told(0), []);
    assert_eq!(told(60), [(camera(), Window { from: at(30), to: at(60) })]);
    assert_eq!(told(180), [(camera(), Window { from: at(60), to: at(120) })]);
    assert_eq!(told(240), []);
}
