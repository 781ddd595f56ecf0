//! When it is time for planned work.

use healthcheck_core::alerts::{Hours, MaintenanceWindow};
use healthcheck_core::history::Window;
use jiff::civil::{Time, Weekday, time};
use jiff::tz::TimeZone;

fn window(from: Time, until: Time, days: &[Weekday]) -> MaintenanceWindow {
    MaintenanceWindow { subjects: Vec::new(), days: days.to_vec(), hours: Hours { from, until } }
}

fn between(from: &str, to: &str) -> Window {
    Window { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

#[test]
fn each_day_has_its_hours() {
    let nightly = window(time(2, 0, 0, 0), time(4, 0, 0, 0), &[]);
    let asked = between("2026-03-01T03:00:00Z", "2026-03-03T02:30:00Z");
    let wanted = [
        between("2026-03-01T03:00:00Z", "2026-03-01T04:00:00Z"),
        between("2026-03-02T02:00:00Z", "2026-03-02T04:00:00Z"),
        between("2026-03-03T02:00:00Z", "2026-03-03T02:30:00Z"),
    ];
    assert_eq!(nightly.times(asked, &TimeZone::UTC), wanted);
}

/// The day is that on which it begins; what is told is what mutes at that instant.
#[test]
fn across_midnight_it_is_of_the_day_before() {
    // 2026-03-01 is a Sunday.
    let late = window(time(23, 0, 0, 0), time(1, 0, 0, 0), &[Weekday::Sunday]);
    let asked = between("2026-03-02T00:30:00Z", "2026-03-09T12:00:00Z");
    let wanted = [
        between("2026-03-02T00:30:00Z", "2026-03-02T01:00:00Z"),
        between("2026-03-08T23:00:00Z", "2026-03-09T01:00:00Z"),
    ];
    assert_eq!(late.times(asked, &TimeZone::UTC), wanted);
}

#[test]
fn it_is_local_time_on_the_day_of_the_change_too() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let nightly = window(time(1, 0, 0, 0), time(4, 0, 0, 0), &[]);
    // The clock goes from two to three.
    let asked = between("2026-03-28T22:00:00Z", "2026-03-29T10:00:00Z");
    assert_eq!(nightly.times(asked, &berlin), [between("2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z")]);
}
