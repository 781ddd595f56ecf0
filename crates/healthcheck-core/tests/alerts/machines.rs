//! Other machines: gathered, told by one watcher only, and by itself.

use crate::host::*;
use crate::server::Weather;
use health_reporter::Status;
use healthcheck_core::alerts::{Alerts, Heard, Held, Notice, NoticeReason, Story, World, replay};
use healthcheck_core::history::Window;
use healthcheck_core::{HostSight, Kind, Subject};
use jiff::{SignedDuration, Timestamp};

fn machine(name: &str) -> Subject {
    Subject::new(Kind::Host, name)
}

fn titles(notices: &[Notice]) -> Vec<&str> {
    notices.iter().map(|notice| notice.title.as_str()).collect()
}

impl Host {
    fn held_machine(&self, name: &str) -> Option<Held> {
        self.held_of("phone", &machine(name))
    }

    fn finds_machine(&mut self, name: &str) {
        self.sees_machine(name, HostSight::Alive);
    }

    fn tells_machines(&mut self, tells: bool) {
        let at = self.now().wall;
        self.alerts.tell_hosts(tells, at);
        self.turn(&[]);
    }

    /// The teller told it a few seconds ago.
    fn hears(&mut self, name: &str, status: Status, unsure: Option<Status>) {
        let heard = self.heard(name, status, unsure);
        self.takes_over(&[heard]);
    }

    fn heard(&self, name: &str, status: Status, unsure: Option<Status>) -> Heard {
        let at = self.now().wall - SignedDuration::from_secs(5);
        Heard { subject: machine(name), status, unsure, thread: "y-i7".into(), at }
    }

    fn takes_over(&mut self, heard: &[Heard]) {
        self.with_world(|alerts: &mut Alerts, world: &World<'_>| alerts.heard("phone", heard, world));
        self.turn(&[]);
    }
}

#[test]
fn machines_whose_leases_end_within_the_wait_are_one_notice() {
    let mut host = Host::new();
    host.loses_machine("phobos");
    host.pass(11.0);
    host.loses_machine("mars");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: hosts mars and phobos are offline"]);
    host.loses_machine("venus");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: host venus is offline"], "what falls later is another thing");
    let told = &host.server("phone").last().items[0];
    let machine = told.machine.as_ref().unwrap();
    assert_eq!((&*machine.hostname, machine.services.len()), ("venus.lan", 3));
    assert!(machine.last_seen.is_some_and(|seen| seen < told.since + SignedDuration::from_secs(1)));
}

#[test]
fn ten_thousand_machines_are_one_notice() {
    let mut host = Host::new();
    let names: Vec<String> = (0..10_000).map(|at| format!("node-{at}")).collect();
    for name in &names {
        host.alerts.kept();
        let last_seen = host.now().wall;
        let sight = HostSight::Lost { last_seen, grace: std::time::Duration::ZERO };
        host.notes_machine(name, sight);
    }
    host.turn(&[]);
    host.pass(60.0);
    let told = &host.server("phone").accepted;
    assert_eq!((told.len(), told[0].1.items.len(), told[0].1.left_out), (1, 10_000, 10_000));
    let text = &told[0].1.text;
    assert!(text.len() < 16_384 && text.ends_with(" and 9500 more are offline"), "{}", text.len());
}

#[test]
fn a_notice_is_of_machines_or_of_anything_else() {
    let mut host = Host::running(&[("camera", &[]), ("core", &[])]);
    host.rules.host_wait = host.rules.group_wait;
    host.all(&["camera", "core"], Host::errs);
    for name in ["mars", "phobos", "venus", "io"] {
        host.loses_machine(name);
    }
    host.pass(60.0);
    let news = host.news();
    assert_eq!(
        news,
        ["deimos: hosts io, mars, phobos and 1 more are offline", "deimos: camera and core are down"]
    );
    let told: Vec<Notice> = host.server("phone").accepted.iter().map(|(_, it)| it.clone()).collect();
    assert_eq!(told.iter().map(Notice::tells_hosts).collect::<Vec<_>>(), [true, false]);
    assert_ne!((&told[0].thread, told[0].incident), (&told[1].thread, told[1].incident));
}

#[test]
fn no_digest_mixes_them() {
    let mut host = Host::running(&[("a", &[]), ("b", &[]), ("c", &[]), ("d", &[])]);
    host.rules.host_wait = host.rules.group_wait;
    host.server("phone").weather = Weather::Down;
    for (service, name) in [("a", "mars"), ("b", "phobos"), ("c", "venus"), ("d", "io")] {
        host.errs(service);
        host.loses_machine(name);
        host.pass(30.0);
    }
    host.server("phone").weather = Weather::Works;
    host.pass(3_000.0);
    let told = host.server("phone").accepted.clone();
    assert_eq!(told.iter().filter(|(_, notice)| notice.reason == NoticeReason::Digest).count(), 2);
    for (_, notice) in &told {
        let of_hosts = notice.items.iter().chain(&notice.still_bad).filter(|item| item.is_of_host()).count();
        assert!(of_hosts == 0 || of_hosts == notice.items.len() + notice.still_bad.len(), "{}", notice.text);
    }
}

#[test]
fn how_this_machine_came_back_is_told_without_the_others() {
    let mut host = Host::running(&[("camera", &[])]);
    host.tells_machines(false);
    host.loses_machine("phobos");
    host.pass(60.0);
    host.reboots(false, 240.0);
    host.starts("camera");
    host.pass(600.0);
    assert_eq!(host.news().len(), 1);
    let told = host.server("phone").last();
    assert_eq!((told.reason, told.tells_hosts()), (NoticeReason::Rebooted, false));
}

#[test]
fn f28_only_the_teller_tells_of_machines() {
    let mut host = Host::running(&[("camera", &[])]);
    host.tells_machines(false);
    host.loses_machine("phobos");
    host.errs("camera");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
    assert_eq!(host.held_machine("phobos"), Some(Held::OtherTeller));
    host.tells_machines(true);
    host.pass(1.0);
    assert_eq!(host.news(), ["deimos: host phobos is offline"], "it goes on where nobody was told");
}

#[test]
fn f28_what_the_teller_told_is_not_told_again_and_is_taken_back() {
    let mut host = Host::new();
    host.tells_machines(false);
    host.loses_machine("phobos");
    host.hears("phobos", Status::Error, None);
    assert_eq!(host.held_machine("phobos"), Some(Held::Told));
    host.tells_machines(true);
    host.pass(60.0);
    assert_eq!(host.news(), [""; 0]);
    host.finds_machine("phobos");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: host phobos is back"]);
    assert_eq!(host.server("phone").last().thread, "y-i7", "it goes on in the teller's thread");
    assert_eq!(host.alerts.shared("phone"), []);
}

#[test]
fn f28_what_was_being_sent_is_told_again_or_taken_back() {
    for is_back in [false, true] {
        let mut host = Host::new();
        host.tells_machines(false);
        host.loses_machine("phobos");
        host.hears("phobos", Status::Healthy, Some(Status::Error));
        if is_back {
            host.finds_machine("phobos");
        }
        host.tells_machines(true);
        host.pass(60.0);
        let told = if is_back { "was offline and is back" } else { "is offline" };
        assert_eq!(host.news(), [format!("deimos: host phobos {told}")]);
    }
}

#[test]
fn f28_nobody_unknown_is_told_to_be_back() {
    let mut host = Host::new();
    host.tells_machines(false);
    host.takes_over(&[host.heard("phobos", Status::Error, None), host.heard("mars", Status::Error, None)]);
    host.loses_sight("mars");
    host.tells_machines(true);
    host.pass(600.0);
    assert_eq!(host.news(), [""; 0]);
    assert_eq!(host.held_machine("phobos"), Some(Held::Unseen));
    assert_eq!(host.held_machine("mars"), Some(Held::Unseen));
    host.finds_machine("phobos");
    host.finds_machine("mars");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: host phobos is back", "deimos: host mars is back"]);
}

#[test]
fn f28_a_lost_watch_leaves_what_was_told_as_it_is() {
    let mut host = Host::new();
    host.loses_machine("phobos");
    host.pass(60.0);
    host.loses_sight("phobos");
    host.loses_sight("mars");
    host.pass(600.0);
    host.loses_machine("phobos");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: host phobos is offline"]);
    assert_eq!(host.alerts.open_incidents().count(), 1);
    host.finds_machine("phobos");
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: host phobos is back"]);
}

#[test]
fn f28_what_was_not_accepted_is_left_to_the_teller() {
    let mut host = Host::new();
    host.server("phone").weather = Weather::Down;
    host.loses_machine("phobos");
    host.pass(30.0);
    host.tells_machines(false);
    host.server("phone").weather = Weather::Works;
    host.pass(600.0);
    assert_eq!(host.news(), [""; 0]);
    assert!(!host.store.is_sending(), "it is not on its way any more");
    host.hears("phobos", Status::Error, None);
    host.finds_machine("phobos");
    host.hears("phobos", Status::Healthy, None);
    host.tells_machines(true);
    host.pass(600.0);
    assert_eq!(host.news(), [""; 0], "the teller told all of it");
}

#[test]
fn f28_what_is_recalled_is_neither_owed_nor_doubted() {
    let mut host = Host::new();
    host.loses_machine("phobos");
    host.t += std::time::Duration::from_secs(60);
    host.with_world(|alerts, world| drop(alerts.plan(world)));
    let handed_out = host.alerts.take_due();
    let known = host.alerts.shared("phone");
    assert_eq!((known.len(), known[0].status, known[0].unsure), (1, Status::Healthy, Some(Status::Error)));
    host.alerts.tell_hosts(false, Timestamp::UNIX_EPOCH);
    host.alerts.recall("phone", &handed_out[0].0.id);
    assert_eq!(
        (host.alerts.shared("phone"), host.alerts.unheard("phone", &[], Timestamp::MAX)),
        (vec![], vec![])
    );
    host.finds_machine("phobos");
    host.tells_machines(true);
    host.pass(600.0);
    assert_eq!(host.news(), [""; 0]);
}

#[test]
fn f28_what_is_shared_no_more_was_told_to_be_over() {
    let mut host = Host::new();
    host.tells_machines(false);
    host.loses_machine("phobos");
    host.hears("phobos", Status::Error, None);
    host.finds_machine("phobos");
    let at = host.now().wall;
    let over = host.alerts.unheard("phone", &[host.heard("mars", Status::Error, None)], at);
    assert_eq!((over.len(), over[0].status), (1, Status::Healthy));
    host.takes_over(&over);
    host.tells_machines(true);
    host.pass(600.0);
    assert_eq!(host.news(), [""; 0]);
    assert_eq!(host.alerts.unheard("phone", &[], at), []);
}

#[test]
fn a_teller_reminds_after_the_last_one_did() {
    let mut host = Host::new();
    host.tells_machines(false);
    host.loses_machine("phobos");
    host.hears("phobos", Status::Error, None);
    host.pass(HOUR);
    host.hears("phobos", Status::Error, None);
    host.tells_machines(true);
    host.pass(2.0 * HOUR - 60.0);
    assert_eq!(host.news(), [""; 0]);
    host.pass(120.0);
    assert_eq!(host.news(), ["deimos: host phobos is still offline"]);
}

#[test]
fn who_is_taken_away_is_told_to_be_watched_no_longer() {
    let mut host = Host::new();
    host.loses_machine("phobos");
    host.pass(60.0);
    let now = host.now();
    let gone = host.state.forget_gone(|subject| subject.kind == Kind::Host, &now);
    host.turn(&gone);
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: host phobos is offline", "deimos: host phobos is no longer watched"]);
}

#[test]
fn a_watcher_that_is_killed_still_knows_who_tells() {
    let mut host = Host::new();
    host.tells_machines(false);
    host.loses_machine("phobos");
    host.hears("phobos", Status::Error, None);
    let shared = host.alerts.shared("phone");
    host.kill();
    assert!(!host.alerts.tells_hosts());
    assert_eq!(host.alerts.shared("phone"), shared);
}

#[test]
fn the_same_rules_tell_the_same_of_machines() {
    let mut host = Host::running(&[("camera", &[])]);
    host.loses_machine("phobos");
    host.pass(600.0);
    host.tells_machines(false);
    host.loses_machine("mars");
    host.finds_machine("phobos");
    host.hears("phobos", Status::Healthy, None);
    host.hears("mars", Status::Error, None);
    host.errs("camera");
    host.pass(600.0);
    host.loses_machine("venus");
    host.tells_machines(true);
    host.pass(600.0);
    host.finds_machine("mars");
    host.pass(600.0);
    let story = Story { steps: host.story.clone(), known: host.state.clone() };
    let whole = Window { from: Timestamp::MIN, to: host.now().wall };
    let again = replay(&story, &host.policy, &host.rules, whole);
    assert_eq!(titles(&again.notices), titles(&host.decided));
    assert_eq!(
        titles(&host.decided),
        [
            "deimos: host phobos is offline",
            "deimos: camera is down",
            "deimos: host venus is offline",
            "deimos: host mars is back"
        ]
    );
}
