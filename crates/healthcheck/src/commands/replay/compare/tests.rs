use super::*;
use healthcheck_core::alerts::{ChannelRules, Route, Rules, Step, Story, replay};
use healthcheck_core::{Cause, Evidence, Policy, State, Transition};

fn at(minutes: i64) -> Timestamp {
    "2025-06-01T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

fn turns(name: &str, minutes: i64, to: Status) -> Step {
    Step::Together(vec![Transition {
        subject: Subject::service(name),
        from: Status::Unknown,
        to,
        cause: Cause::SelfReported,
        at: at(minutes),
        message: String::new(),
        since: at(minutes),
        reasons: Vec::new(),
        evidence: Evidence::default(),
        is_healed_by_supervisor: false,
        is_flapping: false,
    }])
}

/// Camera is bad at noon and at night, and the wall warns in between.
fn story() -> Story {
    let steps = vec![
        turns("camera", 0, Status::Error),
        turns("camera", 30, Status::Healthy),
        turns("wall", 60, Status::Warning),
        turns("wall", 90, Status::Healthy),
        turns("camera", 700, Status::Fatal),
        turns("camera", 730, Status::Healthy),
    ];
    Story { steps, known: State::default() }
}

fn rules(level: Status) -> Rules {
    let route = Route { kinds: Vec::new(), subjects: Vec::new(), level, quiet: None };
    let phone = ChannelRules { routes: vec![route], daily_budget: None };
    Rules {
        host: "deimos".into(),
        reminder: Duration::ZERO,
        channels: [("phone".to_owned(), phone)].into(),
        ..Rules::default()
    }
}

const WINDOW: Window = Window { from: Timestamp::MIN, to: Timestamp::MAX };

fn replayed(level: Status, window: Window) -> Replayed {
    replay(&story(), &Policy::default(), &rules(level), Window { to: window.to.min(at(2_000)), ..window })
}

/// What was sent, each accepted a second later.
fn sent(level: Status) -> Vec<Sent> {
    let notices = replayed(level, WINDOW).notices.into_iter();
    notices.map(|notice| Sent { accepted: notice.at + SignedDuration::from_secs(1), notice }).collect()
}

fn titles(told: &[Told], by: By) -> Vec<&str> {
    told.iter().filter(|told| told.by == by).map(|told| told.title.as_str()).collect()
}

#[test]
fn the_same_settings_differ_in_nothing() {
    let same = compare(sent(Status::Warning), replayed(Status::Warning, WINDOW), WINDOW, &TimeZone::UTC);
    assert!(same.told.len() == 6 && same.told.iter().all(|told| told.by == By::Both), "{:#?}", same.told);
    assert_eq!(same.missed, []);
    let delay = |seconds| Some(Duration::from_secs(seconds));
    let totals = Totals {
        notices: 6,
        pages: 2,
        urgent: 1,
        nights_paged: 1,
        nights_woken: 1,
        incidents_told: 3,
        incidents_missed: 0,
        median_delay: delay(2),
    };
    assert_eq!(same.tried, totals);
    assert_eq!(same.sent, Totals { median_delay: delay(3), ..totals });
    assert_eq!(same.channels[0].reasons[&NoticeReason::Opened], (3, 3));
}

#[test]
fn who_is_told_less_misses_something_and_who_is_told_more_did() {
    let less = compare(sent(Status::Warning), replayed(Status::Error, WINDOW), WINDOW, &TimeZone::UTC);
    assert_eq!(titles(&less.told, By::Sent), ["deimos: wall has a warning", "deimos: wall is well again"]);
    assert!(less.missed.len() == 1 && less.missed[0].was_told, "{:#?}", less.missed);
    assert_eq!((less.sent.incidents_told, less.tried.incidents_told, less.tried.incidents_missed), (3, 2, 1));
    let more = compare(sent(Status::Fatal), replayed(Status::Error, WINDOW), WINDOW, &TimeZone::UTC);
    assert_eq!(titles(&more.told, By::Tried), ["deimos: camera is down", "deimos: camera is back"]);
    assert!(more.missed.len() == 1 && !more.missed[0].was_told, "{:#?}", more.missed);
    assert_eq!((more.sent.incidents_told, more.sent.incidents_missed), (1, 2));
}

#[test]
fn what_was_told_before_the_window_is_known_and_not_counted() {
    let window = Window { from: at(10), to: at(100) };
    let same = compare(sent(Status::Warning), replayed(Status::Warning, window), window, &TimeZone::UTC);
    assert_eq!(
        titles(&same.told, By::Both),
        ["deimos: camera is back", "deimos: wall has a warning", "deimos: wall is well again"]
    );
    assert_eq!((same.told.len(), same.sent.incidents_told, same.sent.incidents_missed), (3, 1, 0));
}

#[test]
fn the_same_notice_at_another_time_is_another_one() {
    let shifted = |seconds| {
        let mut sent = sent(Status::Warning);
        sent.iter_mut().for_each(|it| it.notice.at += SignedDuration::from_secs(seconds));
        compare(sent, replayed(Status::Warning, WINDOW), WINDOW, &TimeZone::UTC)
    };
    for seconds in [-60, 60] {
        assert!(shifted(seconds).told.iter().all(|told| told.by == By::Both), "{seconds}");
    }
    for seconds in [-61, 61] {
        assert_eq!(shifted(seconds).told.len(), 12, "{seconds}");
    }
}

#[test]
fn nothing_compared_is_nothing() {
    let nothing = compare(Vec::new(), Replayed::default(), WINDOW, &TimeZone::UTC);
    assert_eq!((nothing.sent, nothing.tried), (Totals::default(), Totals::default()));
}
