//! Other machines: alive, lost, stopped as planned, and not watched.

use crate::world::{DAY, HOUR, MINUTE, World};
use health_reporter::Status;
use healthcheck_core::{
    Cause, Facts, Farewell, HostAbout, HostFacts, HostSight, Kind, MAX_NAMED_SERVICES, Observation,
    ProbeError, State, Subject, Transition, Verdict, step,
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

const ALIVE: (Status, Cause) = (Status::Healthy, Cause::SelfReported);
const OFFLINE: (Status, Cause) = (Status::Error, Cause::Overdue);
const UNKNOWN: (Status, Cause) = (Status::Unknown, Cause::NotObserved);
const STOPPED: (Status, Cause) = (Status::Healthy, Cause::Stopped);
const MISSED: (Status, Cause) = (Status::Warning, Cause::Stopped);

/// A watcher, and what it knows of the machine `phobos`.
struct Watcher {
    world: World,
}

fn phobos() -> Subject {
    Subject::new(Kind::Host, "phobos")
}

fn about() -> HostAbout {
    HostAbout {
        hostname: "phobos.lan".into(),
        description: "rack 2".into(),
        services: ["camera", "core", "db"].map(str::to_owned).into(),
        service_count: 3,
    }
}

impl Watcher {
    /// It sees that the machine is alive.
    fn new() -> Self {
        let mut watcher = Self { world: World::new() };
        watcher.sees(HostSight::Alive, Some(about()));
        watcher
    }

    fn observe(&mut self, outcome: Result<Facts, ProbeError>) -> Vec<Transition> {
        let observation = Observation { subject: phobos(), outcome, took: Duration::ZERO };
        let state = std::mem::take(&mut self.world.state);
        let (state, transitions) = step(state, observation, &self.world.now, &self.world.policy);
        self.world.state = state;
        transitions
    }

    fn sees(&mut self, sight: HostSight, about: Option<HostAbout>) -> Vec<Transition> {
        self.observe(Ok(Facts::Host(Box::new(HostFacts { sight, about }))))
    }

    fn lost_at(&mut self, ago: f64, grace: f64) -> HostSight {
        HostSight::Lost { last_seen: self.world.wall_ago(ago), grace: Duration::from_secs_f64(grace) }
    }

    fn loses(&mut self, ago: f64, grace: f64) -> Vec<Transition> {
        let sight = self.lost_at(ago, grace);
        self.sees(sight, None)
    }

    fn stops(&mut self, ago: f64, back_in: Option<f64>) -> Vec<Transition> {
        let farewell = Farewell {
            at: self.world.wall_ago(ago),
            reason: "kernel update".into(),
            expected_back: back_in.map(|seconds| self.world.wall_ago(-seconds)),
        };
        self.sees(HostSight::Stopped(farewell), None)
    }

    fn loses_its_watch(&mut self) -> Vec<Transition> {
        self.observe(Err(ProbeError::new("etcd does not answer")))
    }

    fn waits(&mut self, seconds: f64) -> Vec<Transition> {
        self.world.pass(seconds);
        self.observe(Ok(Facts::TimePassed))
    }

    fn verdict(&self) -> &Verdict {
        self.world.state.verdict(&phobos()).unwrap()
    }

    fn judged(&self) -> (Status, Cause) {
        (self.verdict().status, self.verdict().cause)
    }

    /// In how many seconds time alone may change something.
    fn deadline(&self) -> Option<f64> {
        let at = self.world.state.deadline_of(&phobos())?;
        Some((at.as_secs_f64() - self.world.now.boottime.as_secs_f64()).round())
    }

    fn wall(&self) -> Timestamp {
        self.world.now.wall
    }
}

#[test]
fn a_machine_that_renews_its_lease_is_well() {
    let watcher = Watcher::new();
    assert_eq!((watcher.judged(), watcher.deadline()), (ALIVE, None));
    assert_eq!(watcher.verdict().evidence.get("hostname"), Some("phobos.lan"));
    let known = watcher.world.state.host(&phobos()).unwrap();
    assert_eq!((&known.sight, known.about.as_ref()), (&HostSight::Alive, Some(&about())));
}

#[test]
fn f24_a_lease_that_ended_without_a_goodbye_is_an_error_that_says_what_is_gone() {
    let mut watcher = Watcher::new();
    let news = watcher.loses(31.0, 0.0);
    assert_eq!((news.len(), news[0].from, news[0].to), (1, Status::Healthy, Status::Error));
    assert_eq!((watcher.judged(), watcher.deadline()), (OFFLINE, None));
    let said = "its lease ended, last seen 31 s ago; phobos.lan, rack 2; ran camera, core and db";
    assert_eq!(watcher.verdict().message, said);
    assert_eq!(watcher.verdict().since, watcher.world.wall_ago(31.0));
    let news = watcher.sees(HostSight::Alive, None);
    assert_eq!((news[0].from, news[0].to, watcher.judged()), (Status::Error, Status::Healthy, ALIVE));
    assert_eq!(watcher.world.state.host(&phobos()).unwrap().about, Some(about()), "it is still known");
}

#[test]
fn f24_nothing_is_told_twice_of_the_same_loss() {
    let mut watcher = Watcher::new();
    watcher.loses(31.0, 0.0);
    let since = watcher.verdict().since;
    for (ago, grace) in [(31.0, 0.0), (5.0, 60.0), (0.0, 3_600.0)] {
        assert_eq!(watcher.loses(ago, grace), []);
        watcher.world.pass(10.0);
    }
    assert_eq!((watcher.judged(), watcher.verdict().since), (OFFLINE, since));
}

#[test]
fn f24_who_was_lost_while_nobody_watched_has_time_to_come_back() {
    let mut watcher = Watcher::new();
    watcher.loses(300.0, 30.0);
    assert_eq!((watcher.judged(), watcher.deadline()), (UNKNOWN, Some(30.0)));
    assert_eq!(watcher.waits(29.0), []);
    watcher.sees(HostSight::Alive, Some(about()));
    assert_eq!((watcher.judged(), watcher.deadline()), (ALIVE, None));
    let mut other = Watcher::new();
    other.loses(300.0, 30.0);
    other.world.pass(20.0);
    let sight = other.lost_at(320.0, 30.0);
    other.sees(sight, None);
    assert_eq!(other.deadline(), Some(10.0), "the same sight again moves no deadline");
    assert_eq!(other.waits(10.0).len(), 1);
    assert_eq!(other.judged(), OFFLINE);
    assert!(other.verdict().message.contains("last seen 5 min 30 s ago"), "{}", other.verdict().message);
}

#[test]
fn a_threshold_puts_an_error_off_and_says_so() {
    let mut watcher = Watcher::new();
    watcher.world.policy.host_offline_after = Some(Duration::from_secs(120));
    assert_eq!(watcher.loses(30.0, 0.0), []);
    assert_eq!((watcher.judged(), watcher.deadline()), (ALIVE, Some(90.0)));
    assert!(watcher.verdict().reasons.iter().any(|why| why.contains("2 min")), "{:?}", watcher.verdict());
    watcher.world.pass(60.0);
    watcher.loses(90.0, 0.0);
    assert_eq!((watcher.judged(), watcher.deadline()), (ALIVE, Some(30.0)));
    watcher.waits(30.0);
    assert_eq!((watcher.judged(), watcher.verdict().since), (OFFLINE, watcher.world.wall_ago(120.0)));
    let mut longer = Watcher::new();
    longer.world.policy.host_offline_after = Some(Duration::from_secs(40));
    longer.loses(30.0, 60.0);
    assert_eq!((longer.judged(), longer.deadline()), (UNKNOWN, Some(60.0)), "the later of both counts");
    longer.waits(60.0);
    assert_eq!(longer.judged(), OFFLINE);
}

#[test]
fn f28_a_machine_that_stopped_as_planned_worries_only_when_it_is_not_back_in_time() {
    let mut watcher = Watcher::new();
    watcher.stops(5.0, Some(600.0));
    assert_eq!((watcher.judged(), watcher.deadline()), (STOPPED, Some(600.0)));
    assert_eq!(watcher.verdict().message, "stopped (kernel update)");
    assert_eq!(watcher.waits(599.0), []);
    watcher.waits(1.0);
    assert_eq!((watcher.judged(), watcher.verdict().since), (MISSED, watcher.wall()));
    let said = "stopped (kernel update), was expected back by 2025-06-01 12:10 UTC; phobos.lan, rack 2";
    assert_eq!(watcher.verdict().message, said);
    watcher.sees(HostSight::Alive, Some(about()));
    assert_eq!(watcher.judged(), ALIVE);
}

#[test]
fn f28_without_a_time_to_be_back_it_has_as_long_as_a_service() {
    let mut watcher = Watcher::new();
    watcher.stops(600.0, None);
    assert_eq!((watcher.judged(), watcher.deadline()), (STOPPED, Some(3_000.0)));
    watcher.waits(3_000.0);
    assert_eq!(watcher.judged(), MISSED);
    let mut ahead = Watcher::new();
    ahead.stops(-DAY, None);
    assert_eq!(ahead.deadline(), Some(HOUR), "its clock is a day ahead");
}

#[test]
fn f28_who_was_lost_may_turn_out_to_have_stopped() {
    let mut watcher = Watcher::new();
    watcher.loses(31.0, 0.0);
    watcher.stops(40.0, Some(600.0));
    assert_eq!(watcher.judged(), STOPPED);
    watcher.loses(10.0, 0.0);
    assert_eq!(watcher.judged(), OFFLINE);
}

#[test]
fn f24_a_lost_watch_makes_nobody_offline() {
    let mut watcher = Watcher::new();
    watcher.loses_its_watch();
    assert_eq!((watcher.judged(), watcher.deadline()), (UNKNOWN, None));
    assert_eq!(watcher.verdict().message, "nobody can watch it just now");
    assert_eq!(watcher.verdict().evidence.get("problem"), Some("etcd does not answer"));
    watcher.world.pass(DAY);
    assert_eq!(watcher.waits(DAY), []);
    watcher.sees(HostSight::Alive, None);
    assert_eq!(watcher.judged(), ALIVE);
    let mut lost = Watcher::new();
    lost.loses(31.0, 0.0);
    lost.loses_its_watch();
    assert_eq!(lost.judged(), UNKNOWN);
    let sight = lost.lost_at(31.0, 45.0);
    lost.sees(sight, None);
    assert_eq!(lost.judged(), OFFLINE, "what it was granted once is not granted again");
}

#[test]
fn f24_a_watch_that_comes_and_goes_makes_no_machine_flap() {
    let mut watcher = Watcher::new();
    for _ in 0..10 {
        watcher.loses_its_watch();
        watcher.world.pass(10.0);
        watcher.sees(HostSight::Alive, None);
        watcher.world.pass(10.0);
    }
    assert!(!watcher.world.state.is_flapping(&phobos(), &watcher.world.now));
    for _ in 0..3 {
        watcher.loses(31.0, 0.0);
        watcher.sees(HostSight::Alive, None);
    }
    assert!(watcher.world.state.is_flapping(&phobos(), &watcher.world.now));
}

#[test]
fn f24_the_time_in_which_the_watch_was_lost_is_no_grace() {
    let mut watcher = Watcher::new();
    watcher.loses(300.0, 30.0);
    watcher.world.pass(10.0);
    watcher.loses_its_watch();
    watcher.world.pass(HOUR);
    watcher.loses(HOUR + 310.0, 30.0);
    assert_eq!((watcher.judged(), watcher.deadline()), (UNKNOWN, Some(20.0)));
}

/// Another watcher goes on with the state after each look, and finds the same as one that never stopped.
#[test]
fn f24_a_watcher_that_is_started_again_goes_on_where_the_other_one_was() {
    for is_restarted in [false, true] {
        let mut watcher = Watcher::new();
        let mut seen = Vec::new();
        let mut look = |watcher: &mut Watcher, act: &dyn Fn(&mut Watcher)| {
            if is_restarted {
                watcher.world.restart();
            }
            act(watcher);
            seen.push((watcher.judged(), watcher.deadline(), watcher.verdict().since));
        };
        look(&mut watcher, &|it| drop(it.sees(HostSight::Alive, None)));
        look(&mut watcher, &|it| drop(it.loses(300.0, 30.0)));
        look(&mut watcher, &|it| drop(it.waits(0.0)));
        look(&mut watcher, &|it| drop(it.waits(30.0)));
        look(&mut watcher, &|it| drop(it.loses(330.0, 30.0)));
        look(&mut watcher, &|it| drop(it.loses_its_watch()));
        look(&mut watcher, &|it| drop(it.loses(330.0, 30.0)));
        look(&mut watcher, &|it| drop(it.stops(10.0, Some(60.0))));
        look(&mut watcher, &|it| drop(it.waits(60.0)));
        look(&mut watcher, &|it| drop(it.sees(HostSight::Alive, None)));
        let causes: Vec<_> = seen.iter().map(|(judged, ..)| *judged).collect();
        let expected = [ALIVE, UNKNOWN, UNKNOWN, OFFLINE, OFFLINE, UNKNOWN, OFFLINE, STOPPED, MISSED, ALIVE];
        assert_eq!((causes, seen[2].1), (expected.to_vec(), Some(30.0)), "restarted: {is_restarted}");
    }
}

#[test]
fn f24_time_in_which_no_watcher_ran_makes_nobody_offline() {
    let mut watcher = Watcher::new();
    watcher.loses(300.0, 30.0);
    watcher.world.pass(10.0);
    watcher.observe(Ok(Facts::TimePassed));
    watcher.world.pass(HOUR);
    watcher.world.restart();
    let sight = watcher.lost_at(HOUR + 310.0, 45.0);
    watcher.sees(sight, None);
    assert_eq!((watcher.judged(), watcher.deadline()), (UNKNOWN, Some(20.0)));
}

#[test]
fn f24_no_step_of_the_wall_clock_changes_a_wait() {
    for step in [HOUR, -HOUR, 400.0 * DAY, -400.0 * DAY] {
        let mut watcher = Watcher::new();
        watcher.world.policy.host_offline_after = Some(Duration::from_secs(120));
        watcher.loses(30.0, 60.0);
        #[expect(clippy::cast_possible_truncation, reason = "these are whole seconds")]
        watcher.world.set_clock(step as i64);
        let sight = HostSight::Lost {
            last_seen: watcher.wall() - SignedDuration::from_secs(30),
            grace: Duration::from_secs(60),
        };
        watcher.sees(sight, None);
        assert_eq!((watcher.judged(), watcher.deadline()), (UNKNOWN, Some(60.0)), "{step}");
        watcher.waits(60.0);
        assert_eq!((watcher.judged(), watcher.deadline()), (ALIVE, Some(30.0)), "{step}");
        watcher.waits(30.0);
        assert_eq!(watcher.judged(), OFFLINE, "{step}");
        assert_eq!(watcher.verdict().since, watcher.world.wall_ago(120.0), "{step}");
        assert!(watcher.verdict().message.contains("last seen 2 min ago"), "{}", watcher.verdict().message);
    }
}

#[test]
fn f24_a_watcher_that_slept_waits_as_long_as_one_that_was_awake() {
    let mut watcher = Watcher::new();
    watcher.loses(300.0, 30.0);
    watcher.world.pass(10.0);
    watcher.world.suspend(8.0 * HOUR);
    watcher.observe(Ok(Facts::TimePassed));
    assert_eq!((watcher.judged(), watcher.deadline()), (UNKNOWN, Some(20.0)));
    watcher.waits(20.0);
    assert_eq!(watcher.judged(), OFFLINE);
    let mut planned = Watcher::new();
    planned.stops(0.0, Some(HOUR));
    planned.world.suspend(2.0 * HOUR);
    planned.observe(Ok(Facts::TimePassed));
    assert_eq!(planned.judged(), MISSED, "it was to be back by the calendar");
}

#[test]
fn f24_a_watcher_that_booted_still_knows_who_was_lost() {
    let mut watcher = Watcher::new();
    watcher.loses(31.0, 0.0);
    watcher.world.boot(Some("boot-2"));
    assert_eq!(watcher.waits(10.0), [], "nobody has looked in this boot");
    let sight = watcher.lost_at(101.0, 45.0);
    assert_eq!(watcher.sees(sight, None), []);
    assert_eq!(watcher.judged(), OFFLINE);
    assert_eq!(watcher.world.state.host(&phobos()).unwrap().about, Some(about()));
    let mut granted = Watcher::new();
    granted.loses(300.0, 30.0);
    granted.world.pass(10.0);
    granted.observe(Ok(Facts::TimePassed));
    granted.world.boot(Some("boot-2"));
    granted.world.pass(HOUR);
    let sight = granted.lost_at(HOUR + 370.0, 45.0);
    granted.sees(sight, None);
    assert_eq!((granted.judged(), granted.deadline()), (UNKNOWN, Some(20.0)));
    granted.world.boot(None);
    granted.sees(HostSight::Alive, None);
    assert_eq!(granted.judged(), ALIVE);
}

#[test]
fn f28_a_machine_that_is_taken_away_is_known_no_more() {
    let mut watcher = Watcher::new();
    assert!(watcher.world.state.forget(&phobos()));
    assert!(watcher.world.state.is_empty());
    let mut lost = Watcher::new();
    lost.loses(31.0, 0.0);
    let now = lost.world.now.clone();
    let news = lost.world.state.forget_gone(|subject| subject.kind == Kind::Host, &now);
    assert_eq!((news.len(), news[0].to, news[0].cause), (1, Status::Unknown, Cause::NotObserved));
    assert_eq!(lost.world.state.host(&phobos()), None);
}

#[test]
fn f13_what_another_machine_says_is_bounded_and_plain() {
    let mut watcher = Watcher { world: World::new() };
    let evil = "\u{202e}evil\u{1b}[31m\n".repeat(10_000);
    let about = HostAbout {
        hostname: evil.clone(),
        description: evil.clone(),
        services: vec![evil.clone(); 1_000],
        service_count: usize::MAX,
    };
    let sight = watcher.lost_at(31.0, 0.0);
    watcher.sees(sight, Some(about));
    let said = &watcher.verdict().message;
    assert!(said.len() <= 256 && said.ends_with('…'), "{said}");
    assert!(!said.contains(['\u{202e}', '\u{1b}', '\n']), "{said}");
    let known = watcher.world.state.host(&phobos()).unwrap().about.clone().unwrap();
    assert_eq!((known.services.len(), known.service_count), (MAX_NAMED_SERVICES, usize::MAX));
    assert!(watcher.world.state.size_bytes() < 8_192, "{}", watcher.world.state.size_bytes());
    let farewell = Farewell { at: Timestamp::MAX, reason: evil, expected_back: Some(Timestamp::MIN) };
    watcher.sees(HostSight::Stopped(farewell), None);
    assert_eq!(watcher.judged(), MISSED);
    assert!(watcher.verdict().message.len() <= 256 && !watcher.verdict().message.contains('\n'));
    let never = HostSight::Lost { last_seen: Timestamp::MIN, grace: Duration::MAX };
    watcher.sees(HostSight::Alive, None);
    watcher.sees(never, None);
    assert_eq!(watcher.judged(), UNKNOWN);
}

#[test]
fn a_snapshot_is_of_this_machine_alone() {
    let mut watcher = Watcher::new();
    watcher.loses(31.0, 0.0);
    watcher.world.see("camera", watcher.world.beat(1.0));
    let snapshot = watcher.world.snapshot();
    assert_eq!((snapshot.overall_status, snapshot.counts.total), (Status::Healthy, 1));
    assert_eq!(snapshot.others, []);
    let state = std::mem::take(&mut watcher.world.state);
    let taken = healthcheck_core::Snapshot::taken(state, &watcher.world.now, &watcher.world.policy);
    assert_eq!((taken.overall_status, taken.others), (Status::Healthy, vec![]));
}

#[test]
fn a_state_that_was_kept_is_the_same_again() {
    let mut watcher = Watcher::new();
    watcher.loses(31.0, 3.0 * MINUTE);
    let text = serde_json::to_string(&watcher.world.state).unwrap();
    let again: State = serde_json::from_str(&text).unwrap();
    assert_eq!(again.host(&phobos()), watcher.world.state.host(&phobos()));
    assert_eq!(again.deadline_of(&phobos()), watcher.world.state.deadline_of(&phobos()));
}
