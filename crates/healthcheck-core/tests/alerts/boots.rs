//! A machine comes back.

use crate::host::*;
use healthcheck_core::alerts::{Hours, NoticeReason};
use jiff::civil::time;

const SERVICES: [(&str, &[&str]); 3] = [("camera", &[]), ("core", &[]), ("wall", &[])];

#[test]
fn a_machine_that_is_back_is_one_message() {
    let mut host = Host::running(&SERVICES);
    host.pass(12.0 * HOUR);
    host.reboots(false, 240.0);
    host.pass(20.0);
    host.all(&["camera", "core", "wall"], Host::starts);
    host.pass(HOUR);
    assert_eq!(host.news(), ["deimos restarted without a shutdown at 02:50"]);
    let notice = host.server("phone").last();
    assert_eq!(notice.reason, NoticeReason::Rebooted);
    assert_eq!(notice.text, "deimos restarted without a shutdown at 02:50, away 4 min; 3 of 3 back");
}

#[test]
fn who_did_not_come_back_is_in_the_same_message() {
    let mut host = Host::running(&SERVICES);
    host.reboots(false, 240.0);
    host.pass(20.0);
    host.all(&["camera", "core"], Host::starts);
    host.pass(HOUR - 60.0);
    assert_eq!(host.news(), ["deimos restarted without a shutdown at 14:50; wall is down"]);
    let text = &host.server("phone").last().text;
    assert!(text.contains("2 of 3 back\nwall is down: no report since boot"), "{text}");
}

#[test]
fn what_was_bad_before_the_boot_and_is_well_now_is_in_it_too() {
    let mut host = Host::running(&SERVICES);
    host.errs("camera");
    host.pass(HOUR / 2.0);
    host.news();
    host.reboots(false, 240.0);
    host.pass(20.0);
    host.all(&["camera", "core", "wall"], Host::starts);
    host.pass(HOUR);
    assert_eq!(host.news(), ["deimos restarted without a shutdown at 15:20; camera is back"]);
}

#[test]
fn who_is_not_looked_at_yet_after_a_boot_is_not_back() {
    let mut host = Host::running(&SERVICES);
    host.errs("camera");
    host.pass(10.0);
    host.news();
    host.reboots(true, 30.0);
    host.pass(20.0);
    host.all(&["core", "wall"], Host::starts);
    host.pass(0.5 * HOUR);
    assert!(host.news().is_empty(), "it was bad, and is not there");
    host.starts("camera");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera is back"]);
}

#[test]
fn a_shutdown_is_no_message() {
    let mut host = Host::running(&SERVICES);
    host.reboots(true, 240.0);
    host.pass(20.0);
    host.all(&["camera", "core", "wall"], Host::starts);
    host.pass(HOUR);
    assert!(host.news().is_empty());
}

#[test]
fn nobody_is_woken_by_a_boot_in_quiet_hours() {
    let mut host = Host::running(&SERVICES);
    host.channel().routes[0].quiet = Some(Hours { from: time(22, 0, 0, 0), until: time(7, 0, 0, 0) });
    host.pass(12.0 * HOUR);
    host.reboots(false, 240.0);
    host.pass(20.0);
    host.all(&["camera", "core", "wall"], Host::starts);
    host.pass(HOUR);
    assert!(host.news().is_empty());
    host.pass(4.0 * HOUR);
    assert_eq!(host.news(), ["deimos restarted without a shutdown at 02:50"]);
}

#[test]
fn waits_go_on_across_a_boot() {
    let mut host = Host::running(&SERVICES);
    host.rules.cooldown = std::time::Duration::from_secs(3_600);
    host.errs("camera");
    host.pass(60.0);
    host.heals("camera");
    host.pass(60.0);
    host.news();
    host.reboots(true, 600.0);
    host.pass(20.0);
    host.all(&["camera", "core", "wall"], Host::starts);
    host.pass(60.0);
    host.errs("camera");
    host.pass(2_700.0);
    assert!(host.news().is_empty(), "the cooldown lasts");
    host.pass(300.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
}
