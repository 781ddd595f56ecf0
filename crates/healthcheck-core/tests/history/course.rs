//! How long a subject was how, computed by hand.

use crate::world::{at, gap, mark, told, window};
use health_reporter::Status;
use healthcheck_core::history::{Availability, Bucket, Course, Mark};
use healthcheck_core::{Cause, GapReason};
use jiff::SignedDuration;

const HOUR: i64 = 3_600;

/// Up at 0, worried at 100, down at 200, up at 300, and looked at until 1,000.
fn plain() -> Vec<Mark> {
    vec![
        mark(0, Status::Healthy),
        mark(100, Status::Warning),
        mark(200, Status::Error),
        mark(300, Status::Healthy),
    ]
}

fn seconds(up: i64, degraded: i64, down: i64, planned: i64, not_observed: i64) -> Availability {
    let [up, degraded, down, planned, not_observed] =
        [up, degraded, down, planned, not_observed].map(SignedDuration::from_secs);
    Availability { up, degraded, down, planned, not_observed }
}

#[test]
fn each_status_counts_until_the_next() {
    let course = Course::new(&plain(), &[], &[], at(1_000));
    let wanted = [
        (-50, 0, Bucket::NotObserved),
        (0, 100, Bucket::Up),
        (100, 200, Bucket::Degraded),
        (200, 300, Bucket::Down),
        (300, 1_000, Bucket::Up),
        (1_000, 1_050, Bucket::NotObserved),
    ];
    assert_eq!(told(&course, window(-50, 1_050)), wanted);
    assert_eq!(course.availability(window(-50, 1_050)), seconds(800, 100, 100, 0, 100));
    assert_eq!(told(&course, window(250, 350)), [(250, 300, Bucket::Down), (300, 350, Bucket::Up)]);
    assert_eq!(course.outages(window(0, 1_000)), [window(200, 300)]);
    assert_eq!(told(&course, window(500, 500)), []);
}

#[test]
fn each_verdict_has_its_bucket() {
    let bucket = |status, cause| {
        let course = Course::new(&[Mark { at: at(0), status, cause }], &[], &[], at(10));
        told(&course, window(0, 10))[0].2
    };
    assert_eq!(bucket(Status::Fatal, Cause::Crashed), Bucket::Down);
    assert_eq!(bucket(Status::Healthy, Cause::Stopped), Bucket::Planned);
    assert_eq!(bucket(Status::Healthy, Cause::Finished), Bucket::Planned);
    assert_eq!(bucket(Status::Warning, Cause::Stopped), Bucket::Degraded);
    assert_eq!(bucket(Status::Unknown, Cause::ProbeUnavailable), Bucket::NotObserved);
    assert_eq!(bucket(Status::Error, Cause::NotObserved), Bucket::NotObserved);
}

#[test]
fn what_was_not_observed_wins_over_what_was_planned_and_that_over_the_status() {
    let gaps = [gap(240, 260, GapReason::MonitorDown)];
    let course = Course::new(&plain(), &[window(220, 250), window(990, 1_010)], &gaps, at(1_000));
    let wanted = [
        (200, 220, Bucket::Down),
        (220, 240, Bucket::Planned),
        (240, 260, Bucket::NotObserved),
        (260, 300, Bucket::Down),
        (300, 990, Bucket::Up),
        (990, 1_000, Bucket::Planned),
        (1_000, 1_100, Bucket::NotObserved),
    ];
    assert_eq!(told(&course, window(200, 1_100)), wanted);
    assert_eq!(course.outages(window(0, 1_000)), [window(200, 220), window(260, 300)]);
}

#[test]
fn maintenance_does_not_make_observed_what_was_not() {
    let marks = [mark(0, Status::Unknown), mark(100, Status::Healthy)];
    let course = Course::new(&marks, &[window(-50, 150)], &[], at(200));
    let wanted = [(-100, 100, Bucket::NotObserved), (100, 150, Bucket::Planned), (150, 200, Bucket::Up)];
    assert_eq!(told(&course, window(-100, 200)), wanted);
}

/// The wall clock jumped from 100 to 100 + 1 h: the hour between never was.
#[test]
fn a_clock_that_is_set_forward_makes_no_time() {
    let marks = [mark(0, Status::Healthy), mark(HOUR + 150, Status::Error)];
    let gaps = [gap(100, HOUR + 100, GapReason::ClockSet)];
    let course = Course::new(&marks, &[], &gaps, at(HOUR + 200));
    assert_eq!(course.availability(window(0, HOUR + 200)), seconds(150, 0, 50, 0, HOUR));
}

/// It was down at 200; then the clock went back to 150, where it was found well at 160 and worried at 180.
#[test]
fn a_clock_that_is_set_back_overwrites_what_was_marked_later() {
    let marks = [
        mark(0, Status::Healthy),
        mark(200, Status::Error),
        mark(160, Status::Healthy),
        mark(180, Status::Warning),
    ];
    let course = Course::new(&marks, &[], &[], at(300));
    let wanted = [(0, 180, Bucket::Up), (180, 300, Bucket::Degraded)];
    assert_eq!(told(&course, window(0, 300)), wanted);
    assert_eq!(course.outages(window(0, 300)), []);
}

#[test]
fn of_marks_at_one_instant_the_last_counts_and_a_gap_that_goes_back_is_none() {
    let marks = [mark(0, Status::Error), mark(0, Status::Healthy)];
    let course = Course::new(&marks, &[window(50, 40)], &[gap(30, 20, GapReason::ClockSet)], at(100));
    assert_eq!(told(&course, window(0, 100)), [(0, 100, Bucket::Up)]);
}

#[test]
fn nothing_is_known_of_who_was_never_judged() {
    let course = Course::new(&[], &[window(0, 10)], &[], at(100));
    let availability = course.availability(window(0, 100));
    assert_eq!(availability, seconds(0, 0, 0, 0, 100));
    assert_eq!((availability.ratio(), availability.bounds()), (None, Some((0.0, 1.0))));
    assert_eq!((availability.coverage(), availability.worst()), (Some(0.0), Bucket::NotObserved));
}

#[test]
fn a_share_is_of_the_time_that_it_was_meant_to_work_and_was_observed() {
    let of = seconds(700, 200, 100, 3_000, 1_000);
    assert_eq!((of.ratio(), of.bounds()), (Some(0.9), Some((0.45, 0.95))));
    assert_eq!(of.coverage(), Some(0.8));
    assert_eq!(of.total(), SignedDuration::from_secs(5_000));
    let planned = seconds(0, 0, 0, 10, 0);
    assert_eq!((planned.ratio(), planned.bounds(), planned.coverage()), (None, None, Some(1.0)));
    assert_eq!((Availability::default().ratio(), Availability::default().coverage()), (None, None));
}

#[test]
fn a_cell_shows_the_worst_and_else_what_took_longest() {
    assert_eq!(seconds(99, 0, 1, 0, 0).worst(), Bucket::Down);
    assert_eq!(seconds(99, 1, 0, 0, 900).worst(), Bucket::Degraded);
    assert_eq!(seconds(40, 0, 0, 30, 30).worst(), Bucket::Up);
    assert_eq!(seconds(40, 0, 0, 60, 0).worst(), Bucket::Planned);
    assert_eq!(seconds(40, 0, 0, 0, 60).worst(), Bucket::NotObserved);
    assert_eq!(seconds(50, 0, 0, 0, 50).worst(), Bucket::Up);
}

#[test]
fn a_bar_has_a_cell_for_each_part() {
    let course = Course::new(&plain(), &[], &[], at(1_000));
    let bar = course.bar(window(0, 400), 4);
    let worst: Vec<Bucket> = bar.iter().map(Availability::worst).collect();
    assert_eq!(worst, [Bucket::Up, Bucket::Degraded, Bucket::Down, Bucket::Up]);
    assert_eq!(course.bar(window(0, 300), 2), [seconds(100, 50, 0, 0, 0), seconds(0, 50, 100, 0, 0)]);
    assert_eq!(course.bar(window(0, 300), 0), []);
    assert_eq!(course.bar(window(0, 0), 2), [Availability::default(); 2]);
}

/// Who restarts the monitor does not make another outage of what is down.
#[test]
fn a_time_in_which_nobody_looked_divides_no_outage_unless_something_was_judged_in_it() {
    let down = |second| mark(second, Status::Error);
    let well = |second| mark(second, Status::Healthy);
    let gaps = [gap(100, 200, GapReason::MonitorDown)];
    let once = Course::new(&[well(0), down(50), down(210), well(300)], &[], &gaps, at(1_000));
    assert_eq!(once.outages(window(0, 1_000)), [window(50, 300)]);
    assert_eq!(once.availability(window(0, 1_000)).down, SignedDuration::from_secs(150));
    let twice = Course::new(&[well(0), down(50), well(150), down(160), well(300)], &[], &gaps, at(1_000));
    assert_eq!(twice.outages(window(0, 1_000)), [window(50, 100), window(200, 300)]);
}
