//! Channels fail, and lose nothing by that.

use crate::host::*;
use crate::server::Weather;
use health_reporter::Status;
use healthcheck_core::alerts::{Alerts, Held, NoticeReason};

#[test]
fn f15_a_restart_between_decision_and_delivery_repeats_and_loses_nothing() {
    for effects in 0..12 {
        let mut host = Host::running(&[("camera", &[])]);
        host.rules.group_wait = std::time::Duration::ZERO;
        host.killed_in = Some(effects);
        host.errs("camera");
        host.pass(60.0);
        host.heals("camera");
        host.pass(60.0);
        let server = host.server("phone");
        assert_eq!(server.titles(), ["deimos: camera is down", "deimos: camera is back"], "{effects}");
        assert!(server.repeats <= 1 && server.problem.is_none(), "{effects}: {:?}", server.problem);
    }
}

#[test]
fn f15_a_restart_repeats_nothing_that_is_told_and_forgets_no_wait() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(10.0);
    host.heals("camera");
    host.pass(10.0);
    host.errs("camera");
    host.news();
    for _ in 0..10 {
        host.kill();
        host.pass(10.0);
    }
    assert!(host.news().is_empty(), "the cooldown lasts");
    host.pass(200.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
}

#[test]
fn f27_what_failed_on_all_channels_is_not_told() {
    let mut host = Host::running(&[("camera", &[])]);
    host.rules.channels.insert("mail".into(), everything(Status::Warning));
    host.server("phone").weather = Weather::Down;
    host.server("mail").weather = Weather::Refuses;
    host.errs("camera");
    host.pass(HOUR);
    assert_eq!((host.titles("phone").len(), host.titles("mail").len()), (0, 0));
    host.server("phone").weather = Weather::Works;
    host.server("mail").weather = Weather::Works;
    host.pass(HOUR);
    for channel in ["phone", "mail"] {
        assert_eq!(host.titles(channel)[0], "deimos: camera is down");
    }
}

#[test]
fn what_began_and_ended_while_nothing_could_be_sent_is_one_message() {
    let mut host = Host::running(&[("camera", &[])]);
    host.server("phone").weather = Weather::Down;
    for _ in 0..3 {
        host.errs("camera");
        host.pass(240.0);
        host.heals("camera");
        host.pass(400.0);
    }
    host.server("phone").weather = Weather::Works;
    host.pass(600.0);
    assert_eq!(host.news(), ["deimos: camera was down and is back"]);
    let notice = host.server("phone").last();
    assert_eq!((notice.reason, notice.status), (NoticeReason::Passed, Status::Healthy));
}

#[test]
fn a_recovery_whose_answer_was_lost_is_not_the_last_word() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(400.0);
    host.server("phone").weather = Weather::Loses;
    host.heals("camera");
    host.pass(2.5);
    host.server("phone").weather = Weather::Down;
    host.errs("camera");
    host.pass(30.0);
    host.server("phone").weather = Weather::Works;
    host.pass(600.0);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: camera is back", "deimos: camera is down"]);
}

#[test]
fn an_attempt_that_fails_is_made_again_ever_later() {
    let mut host = Host::running(&[("camera", &[])]);
    host.server("phone").weather = Weather::Down;
    host.errs("camera");
    host.pass(DAY);
    let attempts = host.server("phone").attempts;
    assert!((250..400).contains(&attempts), "{attempts} in a day");
}

#[test]
fn what_changes_all_the_time_is_not_tried_more_often() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.server("phone").weather = Weather::Down;
    host.errs("camera");
    for turn in 0..3_600 {
        host.is_now("core", turn % 2 == 0);
        host.pass(1.0);
    }
    let attempts = host.server("phone").attempts;
    assert!(attempts < 40, "{attempts} in an hour");
}

#[test]
fn a_server_that_wants_to_be_left_alone_is_but_not_for_ever() {
    for (asked, waits) in [(30, 30.0), (1_000_000, HOUR)] {
        let mut host = Host::running(&[("camera", &[])]);
        host.server("phone").weather = Weather::Later(asked);
        host.errs("camera");
        host.pass(2.5);
        host.server("phone").weather = Weather::Works;
        host.pass(waits - 2.0);
        assert!(host.news().is_empty());
        host.pass(5.0);
        assert_eq!(host.news(), ["deimos: camera is down"]);
    }
}

#[test]
fn who_refuses_is_broken_at_once_and_who_fails_after_ten_minutes() {
    for (weather, after) in [(Weather::Refuses, 5.0), (Weather::Down, 620.0)] {
        let mut host = Host::running(&[("camera", &[])]);
        host.rules.channels.insert("mail".into(), everything(Status::Warning));
        host.server("phone").weather = weather;
        host.errs("camera");
        host.pass(after);
        host.looks_at_channels();
        host.pass(5.0);
        let told = ["deimos: camera is down", "deimos: channel phone does not work"];
        assert_eq!(host.titles("mail"), told, "{weather:?}");
        host.server("phone").weather = Weather::Works;
        host.pass(HOUR);
        host.looks_at_channels();
        host.pass(60.0);
        assert_eq!(host.titles("mail").last().unwrap(), "deimos: channel phone works again");
        assert!(host.titles("phone").iter().all(|title| !title.contains("channel")), "not to itself");
    }
}

#[test]
fn a_channel_that_nobody_tries_any_more_is_not_broken() {
    let mut host = Host::running(&[("camera", &[])]);
    host.server("phone").weather = Weather::Down;
    host.errs("camera");
    host.pass(3.0);
    host.silence("camera", DAY);
    host.pass(0.5 * DAY);
    assert!(host.alerts.channel_problems().all(|(_, problem)| problem.is_none()));
}

#[test]
fn a_channel_that_is_added_is_told_what_is_bad_and_one_that_is_removed_nothing() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(60.0);
    host.rules.channels.insert("mail".into(), everything(Status::Warning));
    host.changes_its_configuration();
    assert_eq!(host.titles("mail"), ["deimos: camera is down"]);
    let phone = host.rules.channels.remove("phone").unwrap();
    host.changes_its_configuration();
    host.heals("camera");
    host.pass(60.0);
    assert_eq!(host.titles("phone").len(), 1);
    host.rules.channels.insert("phone".into(), phone);
    host.changes_its_configuration();
    host.pass(60.0);
    assert_eq!(host.titles("phone").len(), 1, "it is new, and nothing is wrong");
}

#[test]
fn a_dry_run_decides_everything_and_sends_nothing() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.rules.dry_run = true;
    host.errs("camera");
    host.pass(60.0);
    host.heals("camera");
    host.pass(60.0);
    host.errs("core");
    host.pass(60.0);
    let decided: Vec<String> = host.decided.iter().map(|notice| notice.title.clone()).collect();
    assert_eq!(decided, ["deimos: camera is down", "deimos: camera is back", "deimos: core is down"]);
    assert!(host.news().is_empty());
    host.rules.dry_run = false;
    host.changes_its_configuration();
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: core is down"], "nobody was told");
}

#[test]
fn a_daily_budget_is_spread_over_the_day() {
    let mut host = Host::running(&[("camera", &[])]);
    host.rules.cooldown = std::time::Duration::ZERO;
    host.channel().daily_budget = Some(20);
    for _ in 0..60 {
        host.errs("camera");
        host.pass(250.0);
        host.heals("camera");
        host.pass(250.0);
    }
    let left = host.titles("phone").len();
    assert!((17..=20).contains(&left), "{left}");
    host.heals("camera");
    host.pass(DAY);
    assert_eq!(host.titles("phone").last().unwrap(), "deimos: camera is back");
}

#[test]
fn too_many_notices_wait_for_a_digest() {
    let mut host = Host::running(&[]);
    let names: Vec<String> = (0..100).map(|at| format!("s{at:02}")).collect();
    names.iter().for_each(|name| host.starts(name));
    let mut waited = 0;
    for name in &names {
        host.errs(name);
        host.pass(3.0);
        waited += u32::from(host.held(name) == Some(Held::TooMany));
    }
    assert!(waited > 10, "{waited}");
    assert!(host.titles("phone").len() < 26, "{}", host.titles("phone").len());
    host.pass(60.0);
    assert_eq!(host.server("phone").last().reason, NoticeReason::Digest);
    let told: usize = host.server("phone").accepted.iter().map(|(_, notice)| notice.items.len()).sum();
    assert_eq!(told, 100);
}

#[test]
fn what_waits_behind_another_notice_has_a_reason() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.server("phone").latency = std::time::Duration::from_secs(20);
    host.errs("camera");
    host.pass(4.0);
    host.errs("core");
    host.pass(4.0);
    assert_eq!(host.held("core"), Some(Held::Busy));
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: core is down"]);
}

#[test]
fn after_the_loss_of_the_database_what_is_bad_is_told_anew() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.all(&["camera", "core"], Host::errs);
    host.pass(60.0);
    host.news();
    host.alerts = Alerts::new("y");
    host.with_world(Alerts::agree);
    host.turn(&[]);
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera and core are down"]);
    assert!(host.server("phone").last().id.starts_with("y-"), "by another name");
}

#[test]
fn whoever_recovered_while_the_monitor_was_away_is_told_as_back() {
    let mut host = Host::running(&[("camera", &[])]);
    host.errs("camera");
    host.pass(600.0);
    host.recovers_unseen("camera");
    host.kill();
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: camera is back"]);
}
