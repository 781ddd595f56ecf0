//! A day that is lived through again: by the same rules all of it is told again, by others what those say.

use crate::host::{Host, everything};
use crate::script::{Act, Script};
use crate::simulator::{run, search};
use health_reporter::Status;
use healthcheck_core::alerts::{
    Act as Done, ChannelRules, Deed, Fate, Held, Hours, MaintenanceWindow, Notice, NoticeReason, Replayed,
    Rules, Step, Story, replay,
};
use healthcheck_core::history::Window;
use healthcheck_core::{Gap, GapReason, Transition};
use jiff::civil::time;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

const DAYS: u64 = 1_000;
/// How late it is seen that a mute by the wall clock is over.
const POLLED: SignedDuration = SignedDuration::from_secs(1);

fn story_of(host: &Host) -> Story {
    Story { steps: host.story.clone(), known: host.state.clone() }
}

fn until_now(host: &Host) -> Window {
    Window { from: Timestamp::MIN, to: host.now().wall }
}

fn again(host: &Host, rules: &Rules) -> Replayed {
    replay(&story_of(host), &host.policy, rules, until_now(host))
}

/// What matters of a notice, in a line.
fn line(notice: &Notice) -> String {
    let items: Vec<String> = notice
        .items
        .iter()
        .map(|item| format!("{} {} {}", item.subject.name, item.reason, item.status))
        .collect();
    format!("{} {}: {} ({})", notice.channel, notice.reason, notice.title, items.join(", "))
}

fn titles(notices: &[Notice]) -> Vec<&str> {
    notices.iter().map(|notice| notice.title.as_str()).collect()
}

/// A day on which every channel works, and no monitor is killed: what is decided then is what is told.
fn calm(mut script: Script) -> Script {
    script.events.retain(|event| !matches!(event.act, Act::Weather(..) | Act::Kill(_)));
    script
}

fn lived(script: &Script) -> Host {
    let is_at_once = |host: &mut Host| {
        host.servers.values_mut().for_each(|server| server.latency = Duration::ZERO);
    };
    run(script, is_at_once).0
}

/// The first notice that is not the same, or not at the same time.
fn first_difference(told: &[&Notice], again: &[Notice]) -> Option<String> {
    let is_same = |one: &Notice, other: &Notice| {
        line(one) == line(other) && one.at.duration_since(other.at).abs() <= POLLED
    };
    let at = (0..told.len().max(again.len())).find(|at| match (told.get(*at), again.get(*at)) {
        (Some(one), Some(other)) => !is_same(one, other),
        _ => true,
    })?;
    let shown = |notice: Option<&Notice>| notice.map(|notice| format!("{} {}", notice.at, line(notice)));
    Some(format!("{:#?} in truth, {:#?} again", shown(told.get(at).copied()), shown(again.get(at))))
}

#[test]
fn the_same_rules_tell_the_same() {
    let events = search(
        DAYS,
        |seed| calm(Script::day(seed)),
        |script| {
            let host = lived(script);
            // What a clock that was set back shows is not over yet.
            let told: Vec<&Notice> =
                host.decided.iter().filter(|notice| notice.at < host.now().wall).collect();
            first_difference(&told, &again(&host, &host.rules).notices)
        },
    );
    assert!(events > 15_000, "{events}");
}

type Apart = (Vec<(i64, Transition)>, Vec<(i64, Done)>, Vec<Gap>);

/// What is kept apart, each with its number, as a database has it.
fn apart(steps: &[Step]) -> Apart {
    let (mut transitions, mut acts, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    let mut kept_before = 0;
    for step in steps {
        match step {
            Step::Together(seen) => {
                kept_before = i64::try_from(transitions.len()).unwrap();
                transitions.extend((kept_before + 1..).zip(seen.iter().cloned()));
            }
            // The first look is kept at its end.
            Step::Act(act) if matches!(act.deed, Deed::Started { .. }) => {
                acts.push((kept_before, act.clone()));
            }
            Step::Act(act) => acts.push((i64::try_from(transitions.len()).unwrap(), act.clone())),
            Step::Gap(gap) => gaps.push(gap.clone()),
        }
    }
    (transitions, acts, gaps)
}

/// Each thing that happened, in a line.
fn things(steps: &[Step]) -> Vec<String> {
    let of = |step: &Step| match step {
        Step::Together(seen) => seen.iter().map(|it| format!("{it:?}")).collect(),
        other => vec![format!("{other:?}")],
    };
    steps.iter().flat_map(of).collect()
}

/// Where the clock is set back within minutes of a boot nobody can tell which was first.
fn one_of_both(seed: u64) -> Script {
    let mut script = calm(Script::day(seed));
    script.events.retain(|event| match event.act {
        Act::Reboots(..) => seed.is_multiple_of(2),
        Act::StepsClock(_) => !seed.is_multiple_of(2),
        _ => true,
    });
    script
}

#[test]
fn what_was_kept_apart_is_put_in_order_whatever_the_clock_showed() {
    let events = search(DAYS, one_of_both, |script| {
        let host = lived(script);
        let (transitions, acts, gaps) = apart(&host.story);
        let woven = Story::of(transitions, acts, gaps, Duration::ZERO, host.state.clone());
        let (told, again) = (things(&host.story), things(&woven.steps));
        let at = (0..told.len().max(again.len())).find(|at| told.get(*at) != again.get(*at))?;
        Some(format!("{:#?} in truth, {:#?} again", told.get(at), again.get(at)))
    });
    assert!(events > 15_000, "{events}");
}

/// At once, where nothing else is said.
fn hasty() -> Rules {
    let mut rules = Host::new().rules;
    (rules.group_wait, rules.restart_wait, rules.cooldown, rules.reminder) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO, Duration::ZERO);
    rules
}

/// A camera that is bad for a minute, three times; the rules are those that were in force.
fn three_times() -> Host {
    let mut host = Host::running(&[("camera", &[])]);
    host.rules = hasty();
    for _ in 0..3 {
        host.errs("camera");
        host.pass(60.0);
        host.heals("camera");
        host.pass(240.0);
    }
    host
}

#[test]
fn a_longer_cooldown_tells_less() {
    let host = three_times();
    assert_eq!(host.decided.len(), 6);
    let rules = Rules { cooldown: Duration::from_secs(3_600), ..hasty() };
    let replayed = again(&host, &rules);
    assert_eq!(titles(&replayed.notices), ["deimos: camera is down", "deimos: camera is back"]);
    let missed: Vec<&Fate> = replayed.fates.iter().filter(|fate| fate.told().is_none()).collect();
    assert_eq!((replayed.fates.len(), missed.len()), (3, 2));
    assert_eq!(missed[0].heard["phone"].held, Some(Held::Cooldown));
    assert_eq!(replayed.fates[0].told(), Some(replayed.fates[0].incident.opened));
}

#[test]
fn a_longer_wait_gathers_what_is_near() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.rules = hasty();
    host.errs("camera");
    host.pass(10.0);
    host.errs("core");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: core is down"]);
    let rules = Rules { group_wait: Duration::from_secs(30), ..hasty() };
    let replayed = again(&host, &rules);
    assert_eq!(titles(&replayed.notices), ["deimos: camera and core are down"]);
    assert_eq!(replayed.fates.len(), 1);
    let delay = replayed.fates[0].told().unwrap().duration_since(replayed.fates[0].incident.opened);
    assert_eq!(delay, SignedDuration::from_secs(30));
}

#[test]
fn a_higher_level_and_routes_tell_whom_they_say() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.rules = hasty();
    host.warns("camera");
    host.pass(60.0);
    host.errs("core");
    host.pass(60.0);
    host.heals("camera");
    host.pass(60.0);
    assert_eq!(host.decided.len(), 3);
    let mut rules = hasty();
    let mut only_core = everything(Status::Warning);
    only_core.routes[0].subjects = vec!["co*".to_owned()];
    rules.channels = [("phone".to_owned(), everything(Status::Error)), ("desk".to_owned(), only_core)].into();
    let replayed = again(&host, &rules);
    let told: Vec<_> = replayed.notices.iter().map(|it| (&*it.channel, &*it.title)).collect();
    assert_eq!(told, [("desk", "deimos: core is down"), ("phone", "deimos: core is down")]);
    let [camera, core] = &replayed.fates[..] else { panic!("{:#?}", replayed.fates) };
    assert_eq!((camera.told(), core.heard.len()), (None, 2));
    assert_eq!(camera.heard["phone"].held, Some(Held::BelowLevel));
    assert_eq!(camera.heard["desk"].held, Some(Held::NotRouted));
}

#[test]
fn quiet_hours_and_maintenance_hold_back() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.rules = hasty();
    // It is a quarter to three in the afternoon.
    host.errs("camera");
    host.pass(600.0);
    host.errs("core");
    host.pass(2.0 * 3_600.0);
    host.heals("core");
    host.pass(6.0 * 3_600.0);
    let hours = |from, until| Hours { from: time(from, 0, 0, 0), until: time(until, 0, 0, 0) };
    let mut quiet = hasty();
    quiet.channels.get_mut("phone").unwrap().routes[0].quiet = Some(hours(14, 20));
    let replayed = again(&host, &quiet);
    assert_eq!(titles(&replayed.notices), ["deimos: camera is down"]);
    let zone = &quiet.zone;
    assert_eq!(zone.to_datetime(replayed.notices[0].at).time().hour(), 20);
    assert_eq!(replayed.fates[1].heard["phone"].held, Some(Held::Quiet));
    let window = MaintenanceWindow { subjects: vec!["core".into()], days: Vec::new(), hours: hours(14, 20) };
    let planned = Rules { maintenance: vec![window], ..hasty() };
    let replayed = again(&host, &planned);
    assert_eq!(titles(&replayed.notices), ["deimos: camera is down"]);
    assert_eq!(replayed.fates[1].heard["phone"].held, Some(Held::Maintenance));
}

#[test]
fn silences_and_who_cares_count_as_they_did() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.rules = Rules { reminder: Duration::from_secs(600), ..hasty() };
    let id = host.silence("core", 3_600.0);
    host.errs("camera");
    host.errs("core");
    host.pass(300.0);
    host.acknowledges();
    host.pass(3_000.0);
    host.unsilence(id);
    host.pass(60.0);
    host.silence("camera", 60.0);
    host.pass(7_200.0);
    let told: Vec<String> = host.decided.iter().map(line).collect();
    assert!(told.len() == 2, "{told:?}");
    assert_eq!(again(&host, &host.rules).notices.iter().map(line).collect::<Vec<_>>(), told);
    // Nobody cared, and nothing was muted.
    let story = Story {
        steps: host.story.iter().filter(|step| !matches!(step, Step::Act(_))).cloned().collect(),
        known: host.state.clone(),
    };
    let otherwise = replay(&story, &host.policy, &host.rules, until_now(&host));
    let reminders = otherwise.notices.iter().filter(|it| it.reason == NoticeReason::Reminder).count();
    assert_eq!((otherwise.notices[1].title.as_str(), reminders), ("deimos: core is down", 8));
}

/// What was told before the window is known in it, and not told again.
#[test]
fn what_was_before_is_lived_through_untold() {
    let mut host = Host::running(&[("camera", &[])]);
    host.rules = hasty();
    host.errs("camera");
    host.pass(600.0);
    let from = host.now().wall;
    host.pass(60.0);
    host.heals("camera");
    host.pass(60.0);
    let window = Window { from, to: host.now().wall };
    let replayed = replay(&story_of(&host), &host.policy, &host.rules, window);
    assert_eq!(titles(&replayed.notices), ["deimos: camera is back"]);
    assert_eq!(replayed.fates, []);
}

#[test]
fn who_is_not_there_tells_nobody_and_a_dry_run_is_none() {
    let mut host = Host::running(&[("camera", &[])]);
    host.rules = Rules { reminder: Duration::from_secs(600), ..hasty() };
    host.errs("camera");
    host.pass(60.0);
    let from = host.now().wall;
    host.with_world(|alerts, world| alerts.stop(world.now.wall));
    host.turn(&[]);
    let to = from + SignedDuration::from_hours(5);
    host.story.push(Step::Gap(Gap { from, to, reason: GapReason::MonitorDown }));
    let until = |to| Window { from: Timestamp::MIN, to };
    let rules = Rules { dry_run: true, ..host.rules.clone() };
    let during = replay(&story_of(&host), &host.policy, &rules, until(to));
    assert_eq!(titles(&during.notices), ["deimos: camera is down"]);
    let after = replay(&story_of(&host), &host.policy, &rules, until(to + SignedDuration::from_mins(5)));
    assert_eq!(titles(&after.notices), ["deimos: camera is down", "deimos: camera is still down"]);
    assert_eq!(after.notices[1].at, to + SignedDuration::from_secs(1));
}

#[test]
fn other_dependencies_name_another_cause() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.rules = hasty();
    host.errs("camera");
    host.pass(60.0);
    host.errs("core");
    host.pass(60.0);
    let mut policy = host.policy.clone();
    policy.services.get_mut("core").unwrap().depends_on = vec!["camera".to_owned()];
    let replayed = replay(&story_of(&host), &policy, &host.rules, until_now(&host));
    assert_eq!(titles(&replayed.notices), ["deimos: camera is down"]);
    let host_alone = ChannelRules::default();
    let rules = Rules { channels: [("nobody".to_owned(), host_alone)].into(), ..hasty() };
    assert_eq!(replay(&story_of(&host), &policy, &rules, until_now(&host)).notices, []);
}

/// However much happened before, what is told from then on is the same.
#[test]
fn a_story_is_shortened_to_what_still_counts() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[]), ("wall", &[])]);
    host.rules =
        Rules { cooldown: Duration::from_secs(600), reminder: Duration::from_secs(3_600), ..hasty() };
    for _ in 0..20 {
        for name in ["camera", "core"] {
            host.errs(name);
            host.pass(2_000.0);
            host.heals(name);
            host.pass(1_000.0);
        }
    }
    host.errs("wall");
    host.silence("core", 5.0 * 86_400.0);
    host.pass(3_600.0);
    let begins = host.now().wall;
    host.pass(2.0 * 86_400.0);
    let from = host.now().wall;
    host.errs("core");
    host.errs("camera");
    host.pass(7_200.0);
    host.heals("wall");
    host.pass(60.0);
    let window = Window { from, to: host.now().wall };
    let whole = story_of(&host);
    let short = whole.clone().shortened(begins);
    assert!(whole.steps.len() > 80 && short.steps.len() < 10, "{}", short.steps.len());
    let lines = |story: &Story| -> Vec<(Timestamp, String)> {
        let told = replay(story, &host.policy, &host.rules, window).notices;
        told.iter().map(|notice| (notice.at, line(notice))).collect()
    };
    assert_eq!(lines(&short), lines(&whole));
    assert_eq!(lines(&whole).len(), 3, "{:#?}", lines(&whole));
}
