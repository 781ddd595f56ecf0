//! Mutes hold back pages, and nothing else.

use crate::host::*;
use health_reporter::Status;
use healthcheck_core::alerts::{Held, Hours, MaintenanceWindow};
use jiff::civil::time;

#[test]
fn a_silence_mutes_and_what_is_still_bad_at_its_end_is_told_then() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.silence("cam*", 600.0);
    host.all(&["camera", "core"], Host::errs);
    host.pass(500.0);
    assert_eq!(host.news(), ["deimos: core is down"]);
    assert_eq!(host.held("camera"), Some(Held::Silenced { id: 1 }));
    host.pass(101.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
    assert_eq!(host.alerts.silences().count(), 0);
}

#[test]
fn what_is_over_before_a_silence_ends_is_told_to_nobody() {
    let mut host = Host::running(&[("camera", &[])]);
    host.silence("*", 600.0);
    host.errs("camera");
    host.pass(60.0);
    host.heals("camera");
    host.crashes("camera");
    host.pass(3.0);
    host.starts("camera");
    host.pass(HOUR);
    assert!(host.news().is_empty(), "not even a quiet line");
}

#[test]
fn the_recovery_of_what_was_told_passes_a_silence_and_a_reminder_does_not() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(10.0);
    host.silence("camera", 3.0 * HOUR);
    host.pass(2.0 * HOUR);
    host.heals("camera");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: camera is back"]);
}

#[test]
fn who_ends_a_silence_is_told_at_once() {
    let mut host = Host::running(&[("camera", &[])]);
    let id = host.silence("camera", HOUR);
    host.errs("camera");
    host.pass(60.0);
    host.unsilence(id);
    host.pass(0.1);
    assert_eq!(host.news(), ["deimos: camera is down"]);
}

#[test]
fn a_silence_of_one_holds_back_nobody_else_of_its_incident() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.warns("camera");
    host.errs("core");
    host.pass(10.0);
    host.news();
    host.rules.group_wait = std::time::Duration::from_secs(60);
    host.silence("core", HOUR);
    host.says("core", Status::Fatal, "burnt");
    host.errs("camera");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is down"], "and the other is not pulled in");
}

#[test]
fn maintenance_mutes_by_schedule() {
    let mut host = Host::running(&[("camera", &[])]);
    // It is 14:46 on a Sunday.
    let hours = Hours { from: time(14, 0, 0, 0), until: time(15, 0, 0, 0) };
    host.rules.maintenance = vec![MaintenanceWindow { subjects: Vec::new(), days: Vec::new(), hours }];
    host.errs("camera");
    host.pass(780.0);
    assert_eq!((host.news().len(), host.held("camera")), (0, Some(Held::Maintenance)));
    host.pass(30.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
}

fn quiet() -> Host {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.channel().routes[0].quiet = Some(Hours { from: time(22, 0, 0, 0), until: time(7, 0, 0, 0) });
    host
}

#[test]
fn quiet_hours_let_pass_only_what_is_fatal() {
    let mut host = quiet();
    host.pass(10.0 * HOUR);
    host.errs("camera");
    host.says("core", Status::Fatal, "burnt");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: core is down (fatal)"]);
    assert_eq!(host.held("camera"), Some(Held::Quiet));
    host.heals("core");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: core is back"], "what was told is told as over");
    host.pass(6.5 * HOUR);
    assert_eq!(host.news(), ["deimos: camera is down"], "at seven");
    let at = host.server("phone").last().at;
    assert_eq!(host.rules.zone.to_datetime(at).time(), time(7, 0, 0, 0));
}

#[test]
fn who_is_told_by_another_route_has_no_quiet_hours() {
    let mut host = quiet();
    let route = host.channel().routes[0].clone();
    host.channel().routes.push(healthcheck_core::alerts::Route {
        quiet: None,
        level: Status::Error,
        ..route
    });
    host.pass(10.0 * HOUR);
    host.warns("core");
    host.errs("camera");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
}

#[test]
fn a_step_of_the_wall_clock_moves_only_what_is_meant_by_it() {
    let story = |step: i64| {
        let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
        host.errs("camera");
        host.pass(60.0);
        host.step_clock(step);
        host.heals("camera");
        host.pass(10.0);
        host.errs("camera");
        host.pass(2.0 * HOUR);
        host.heals("camera");
        host.pass(10.0);
        let text = host.server("phone").last().text.clone();
        (host.news(), text)
    };
    assert_eq!(story(0), story(7 * 3_600));
    assert_eq!(story(0), story(-7 * 3_600));
    let mut host = Host::running(&[("camera", &[])]);
    host.silence("*", 6.0 * HOUR);
    host.errs("camera");
    host.pass(60.0);
    host.step_clock(7 * 3_600);
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera is down"], "the silence was until a time of the clock");
}

/// In the hour that comes twice an end has two instants, and the first may have passed.
#[test]
fn quiet_hours_that_end_in_the_hour_that_comes_twice_end_once() {
    let mut host = Host::running(&[("camera", &[])]);
    host.rules.zone = jiff::tz::TimeZone::posix("CET-1CEST,J152/0,J152/16:30").unwrap();
    let hours = Hours { from: time(13, 0, 0, 0), until: time(16, 0, 0, 0) };
    host.rules.channels.get_mut("phone").unwrap().routes[0].quiet = Some(hours);
    host.errs("camera");
    host.pass(30.0);
    let next = host.alerts.next_deadline().unwrap();
    assert!(next > host.now().boottime, "it would be asked again without end");
}
