//! A problem is told, once, and so is its end.

use crate::host::*;
use crate::server::Weather;
use health_reporter::Status;
use healthcheck_core::alerts::{Held, NoticeReason};

#[test]
fn f3_what_never_started_is_told_when_the_grace_is_over() {
    let mut host = Host::new();
    host.reboots(true, 10.0);
    host.policy.services.insert("camera".into(), healthcheck_core::ServicePolicy::default());
    host.loses_its_file("camera");
    host.pass(50.0);
    assert!(host.news().is_empty(), "the grace lasts");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
    assert!(host.server("phone").last().text.contains("no report since boot"));
}

#[test]
fn f3_a_report_that_is_gone_is_told() {
    let mut host = Host::running(&[("camera", &[])]);
    host.loses_its_file("camera");
    host.pass(5.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
    host.starts("camera");
    host.pass(400.0);
    assert_eq!(host.news(), ["deimos: camera is back"]);
}

#[test]
fn f3_what_nobody_can_read_for_long_is_told() {
    let mut host = Host::running(&[("camera", &[])]);
    host.tears("camera");
    host.pass(290.0);
    assert!(host.news().is_empty(), "unknown is not bad");
    host.pass(20.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
}

#[test]
fn f4_a_recovery_is_told_wherever_the_problem_was_with_its_duration() {
    let mut host = Host::running(&[("camera", &[])]);
    host.rules.channels.insert("mail".into(), everything(Status::Error));
    host.rules.channels.insert("pager".into(), everything(Status::Fatal));
    host.errs("camera");
    host.pass(240.0);
    host.heals("camera");
    host.pass(5.0);
    for channel in ["phone", "mail"] {
        assert_eq!(host.titles(channel), ["deimos: camera is down", "deimos: camera is back"]);
        assert!(host.server(channel).last().text.contains("back after 4 min (was:"));
    }
    assert!(host.titles("pager").is_empty(), "it never heard of it");
}

#[test]
fn f4_what_came_and_went_unnoticed_in_between_belongs_to_its_duration() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(100.0);
    host.heals("camera");
    host.pass(1.0);
    host.errs("camera");
    host.pass(139.0);
    host.heals("camera");
    host.pass(5.0);
    assert!(host.server("phone").last().text.contains("back after 4 min (was:"));
}

#[test]
fn f4_a_recovery_has_its_duration_hours_later() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(240.0);
    host.server("phone").weather = Weather::Down;
    host.heals("camera");
    host.pass(5.0 * HOUR);
    host.server("phone").weather = Weather::Works;
    host.pass(HOUR);
    assert!(host.server("phone").last().text.contains("back after 4 min (was: work: no frames"));
}

#[test]
fn an_incident_has_since_when_each_of_its_subjects_is_bad() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.rules.group_wait = std::time::Duration::from_secs(60);
    host.all(&["camera", "core"], Host::errs);
    host.pass(10.0);
    host.heals("camera");
    host.pass(10.0);
    host.errs("camera");
    let now = host.now().wall;
    let incidents: Vec<_> = host.alerts.open_incidents().cloned().collect();
    assert_eq!((incidents.len(), incidents[0].members.len()), (1, 2));
    assert_eq!((incidents[0].members[0].since, incidents[0].members[0].recovered), (now, None));
}

#[test]
fn what_becomes_known_later_is_told_and_opens_nothing_that_is_over() {
    let mut host = Host::running(&[("camera", &[])]);
    host.crashes("camera");
    let mut known = host.last_news.clone();
    known[0].message = "killed, out of memory".into();
    host.with_world(|alerts, world| alerts.amend(&known[0], world));
    host.pass(20.0);
    assert!(host.server("phone").last().text.contains("camera is down: killed, out of memory"));
    host.starts("camera");
    host.pass(20.0);
    host.with_world(|alerts, world| alerts.amend(&known[0], world));
    host.pass(HOUR);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: camera is back"]);
}

#[test]
fn f5_a_second_incident_within_the_cooldown_is_told_at_its_end() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(10.0);
    host.heals("camera");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: camera is back"]);
    host.errs("camera");
    host.pass(10.0);
    assert_eq!(host.held("camera"), Some(Held::Cooldown));
    host.pass(260.0);
    assert!(host.news().is_empty());
    host.pass(30.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
}

#[test]
fn f5_what_is_over_before_the_cooldown_is_dropped_with_a_reason() {
    let mut host = Host::running(&[("camera", &[])]);
    for _ in 0..2 {
        host.errs("camera");
        host.pass(10.0);
        host.heals("camera");
        host.pass(10.0);
    }
    host.pass(600.0);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: camera is back"]);
    assert_eq!(host.held("camera"), Some(Held::Cooldown), "why the second was not told");
}

#[test]
fn f6_warnings_are_told_from_their_level_on() {
    let mut host = Host::running(&[("camera", &[])]);
    host.rules.channels.insert("mail".into(), everything(Status::Error));
    host.warns("camera");
    host.pass(5.0);
    assert_eq!(host.news(), ["deimos: camera has a warning"]);
    let subject = healthcheck_core::Subject::service("camera");
    assert_eq!(host.held_of("mail", &subject), Some(Held::BelowLevel));
    host.heals("camera");
    host.pass(5.0);
    assert_eq!(host.news(), ["deimos: camera is well again"]);
    assert!(host.titles("mail").is_empty());
}

#[test]
fn f9_a_steady_stream_of_failures_is_told_after_the_first_group_wait() {
    let mut host = Host::running(&[]);
    let names: Vec<String> = (0..40).map(|at| format!("s{at:02}")).collect();
    names.iter().for_each(|name| host.starts(name));
    let began = host.t.as_secs_f64();
    for name in &names {
        host.errs(name);
        host.pass(0.5);
    }
    let (at, first) = host.server("phone").accepted[0].clone();
    assert!((at.as_secs_f64() - began - 2.0).abs() < 0.01, "{at:?}");
    assert_eq!(first.items.len(), 4, "what failed within the first two seconds");
}

#[test]
fn f11_a_goodbye_is_no_page_and_neither_is_a_restart() {
    let mut host = Host::running(&[("camera", &[])]);
    host.stops("camera");
    host.pass(60.0);
    host.starts("camera");
    host.pass(60.0);
    host.stops("camera");
    host.pass(0.5 * HOUR);
    assert!(host.news().is_empty());
    host.pass(HOUR);
    assert_eq!(host.news(), ["deimos: camera has a warning"], "expected, and stopped for too long");
}

#[test]
fn f26_two_at_once_are_both_in_one_message() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.errs("camera");
    host.pass(1.0);
    host.errs("core");
    host.pass(5.0);
    assert_eq!(host.news(), ["deimos: camera and core are down"]);
    host.all(&["camera", "core"], Host::heals);
    host.pass(5.0);
    assert_eq!(host.news(), ["deimos: camera and core are back"]);
}

#[test]
fn f16_one_message_per_channel() {
    let mut host = Host::running(&[("camera", &[])]);
    host.rules.channels.insert("mail".into(), everything(Status::Warning));
    host.errs("camera");
    host.pass(30.0);
    assert_eq!((host.titles("phone").len(), host.titles("mail").len()), (1, 1));
}

#[test]
fn worsening_is_told_at_once() {
    let mut host = Host::running(&[("camera", &[])]);
    host.warns("camera");
    host.pass(3.0);
    host.errs("camera");
    host.pass(0.1);
    host.says("camera", Status::Fatal, "burnt");
    host.pass(0.1);
    let told = ["deimos: camera has a warning", "deimos: camera is down", "deimos: camera is down (fatal)"];
    assert_eq!(host.news(), told);
}

#[test]
fn who_is_better_but_not_well_is_told_when_that_lasts() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(10.0);
    host.warns("camera");
    host.pass(280.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
    host.pass(20.0);
    assert_eq!(host.news(), ["deimos: camera is better, with a warning"]);
}

#[test]
fn an_error_that_is_a_warning_now_is_none_for_who_hears_only_errors() {
    let mut host = Host::running(&[("camera", &[])]);
    *host.channel() = everything(Status::Error);
    host.errs("camera");
    host.pass(10.0);
    host.warns("camera");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: camera is better, with a warning"]);
    host.heals("camera");
    host.pass(HOUR);
    assert!(host.news().is_empty(), "it is not told of warnings, nor of their end");
}

#[test]
fn a_crash_that_is_healed_in_time_is_one_quiet_line_with_the_count_of_the_day() {
    let mut host = Host::running(&[("camera", &[])]);
    for _ in 0..2 {
        host.crashes("camera");
        host.pass(3.0);
        assert_eq!(host.held("camera"), Some(Held::RestartWait));
        host.starts("camera");
        host.pass(900.0);
    }
    assert_eq!(host.news(), ["deimos: camera was restarted", "deimos: camera was restarted, 2 times today"]);
    assert_eq!(host.server("phone").last().status, Status::Unknown, "it is no page");
}

#[test]
fn who_had_a_warning_and_crashes_may_be_restarted_too() {
    let mut host = Host::running(&[("camera", &[])]);
    host.warns("camera");
    host.pass(HOUR);
    host.news();
    host.crashes("camera");
    host.pass(5.0);
    assert!(host.news().is_empty(), "its supervisor has its time");
    host.starts("camera");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera is well again"]);
}

#[test]
fn reminders_come_ever_later_and_warnings_daily() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.errs("camera");
    host.pass(600.0);
    host.warns("core");
    host.pass(3.0 * DAY);
    let at = |host: &mut Host, name: &str| -> Vec<i64> {
        let told = host.server("phone").accepted.iter();
        let reminders = told.filter(|(_, notice)| {
            notice.reason == NoticeReason::Reminder && notice.items[0].subject.name.as_ref() == name
        });
        let hours = |(t, _): &(std::time::Duration, _)| i64::try_from(t.as_secs() / 3_600).unwrap() - 2;
        reminders.map(hours).collect()
    };
    assert_eq!(at(&mut host, "camera"), [1, 3, 7, 15, 31, 55]);
    assert_eq!(at(&mut host, "core").len(), 2);
}

#[test]
fn who_is_acknowledged_is_not_reminded_of_but_told_what_changes() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(60.0);
    host.acknowledges();
    host.news();
    host.pass(DAY);
    assert!(host.news().is_empty());
    host.says("camera", Status::Fatal, "burnt");
    host.pass(1.0);
    host.heals("camera");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is down (fatal)", "deimos: camera is back"]);
    host.pass(HOUR);
    host.errs("camera");
    host.pass(3.0 * HOUR);
    assert_eq!(host.news().len(), 2, "another incident, and its reminder");
}

#[test]
fn what_flaps_is_told_once_and_then_three_times_an_hour() {
    let mut host = Host::running(&[("camera", &[])]);
    for turn in 0..7_200 {
        host.is_now("camera", turn % 2 == 0);
        host.pass(1.0);
    }
    let told = host.server("phone").accepted.clone();
    assert!(told.len() <= 7, "{:?}", host.titles("phone"));
    assert!(told.iter().all(|(_, notice)| notice.reason == NoticeReason::Flapping));
    host.pass(0.5 * HOUR);
    assert_eq!(host.news().last().unwrap(), "deimos: camera is flapping, well for the moment");
    host.errs("camera");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is down"], "it is calm again");
}

#[test]
fn what_flaps_again_after_a_calm_hour_is_told_again() {
    let mut host = Host::running(&[("camera", &[])]);
    for _ in 0..2 {
        for turn in 0..9 {
            host.is_now("camera", turn % 2 == 0);
            host.pass(0.5);
        }
        host.pass(HOUR);
        host.acknowledges();
    }
    let told = host.server("phone").accepted.iter();
    let flapping = told.filter(|(_, notice)| notice.reason == NoticeReason::Flapping).count();
    assert_eq!(flapping, 2, "{:?}", host.titles("phone"));
}

#[test]
fn what_is_gone_from_the_machine_is_told_as_over() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(10.0);
    host.news();
    host.forgets("camera");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is no longer watched"]);
}

#[test]
fn five_hundred_at_once_are_one_message_that_names_them() {
    let mut host = Host::running(&[]);
    let names: Vec<String> = (0..500).map(|at| format!("service-{at}")).collect();
    names.iter().for_each(|name| host.starts(name));
    names.iter().for_each(|name| host.errs(name));
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: service-0, service-1, service-10 and 497 more are down"]);
    let text = host.server("phone").last().text.clone();
    assert!(names.iter().all(|name| text.contains(name.as_str())), "{text}");
}

#[test]
fn many_threads_at_once_are_a_digest() {
    let mut host = Host::running(&[]);
    let names: Vec<String> = (0..8).map(|at| format!("s{at}")).collect();
    names.iter().for_each(|name| host.starts(name));
    host.server("phone").weather = Weather::Refuses;
    for name in &names {
        host.errs(name);
        host.pass(4.0);
    }
    host.server("phone").weather = Weather::Works;
    host.pass(120.0);
    assert_eq!(host.news(), ["deimos: s0, s1, s2 and 5 more are down"]);
    assert_eq!(host.server("phone").last().reason, NoticeReason::Digest);
}

/// Whoever is killed a moment after another is told of with it, though each has his own time to be restarted.
#[test]
fn crashes_within_a_moment_are_one_message_also_with_the_usual_waits() {
    let names = ["a", "b", "c", "d", "e"];
    let mut host = Host::running(&names.map(|name| (name, &[][..])));
    for name in names {
        host.crashes(name);
        host.pass(0.05);
    }
    host.pass(60.0);
    let news = host.news();
    assert!(news.len() == 1 && news[0].ends_with("are down"), "{news:?}");
}

/// What a dry run would have told nobody has; what was told before it is still to be followed by its end.
#[test]
fn what_was_told_before_a_dry_run_is_followed_by_its_end_after_it() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(10.0);
    host.rules.dry_run = true;
    host.heals("camera");
    host.pass(600.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
    host.rules.dry_run = false;
    host.step_clock(0);
    host.pass(600.0);
    assert_eq!(host.news(), ["deimos: camera is back"]);
}
