//! Looks from outside, at services and at things that are none.

use crate::world::*;
use health_reporter::State as Life;
use health_reporter::Status::{self, Error, Healthy, Unknown, Warning};
use healthcheck_core::Cause::{self, *};
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{
    CommandEnd, CommandFacts, Connection, Echo, Facts, FileAge, HttpAnswer, HttpFacts, Kind, Now,
    Observation, ProbeError, ProbeFacts, ProbeKind, ProcessesFound, ServicePolicy, Silence, Snapshot,
    Subject, Unanswered, ZmqFacts, ZmqSight, step,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn command(end: CommandEnd, output: &str) -> ProbeFacts {
    ProbeFacts::Command(CommandFacts { program: "plug".into(), end, output: output.into() })
}

fn exited(code: i32, output: &str) -> ProbeFacts {
    command(CommandEnd::Exited(code), output)
}

fn http(status: u16) -> HttpFacts {
    let answer = Ok(HttpAnswer { status, status_wanted: None, body_lacks: None });
    HttpFacts {
        place: "http://h/".into(),
        answer,
        certificate_left: None,
        certificate_wanted: SECOND * 86_400 * 14,
    }
}

fn tcp(outcome: Result<(), Unanswered>) -> ProbeFacts {
    ProbeFacts::Tcp(Connection { address: "127.0.0.1:5432".into(), outcome })
}

fn zmq(sight: ZmqSight) -> ZmqFacts {
    let (endpoint, wanted) = ("tcp://127.0.0.1:5556".into(), Some("PUB".into()));
    ZmqFacts { endpoint, wanted, sight, echo: None, silence: None }
}

fn alive(socket: &str) -> ZmqSight {
    ZmqSight::Alive { socket: Some(socket.into()), mechanism: "NULL".into() }
}

/// What a single look makes of these facts, and its words.
fn judged(kind: Kind, facts: ProbeFacts) -> (Status, Cause, String) {
    let World { now, policy, .. } = World::once();
    let subject = Subject::new(kind, "it");
    let looked = Observation { subject: subject.clone(), outcome: Ok(Facts::Probe(facts)), took: SECOND };
    let (state, _) = step(healthcheck_core::State::default(), looked, &now, &policy);
    let verdict = state.verdict(&subject).unwrap();
    (verdict.status, verdict.cause, verdict.message.clone())
}

#[test]
fn f2_a_probe_is_as_what_it_showed() {
    let old = |age| ProbeFacts::FileAge(FileAge { path: "/b".into(), age, max_age: SECOND * 60 });
    let found = |count| {
        let pids = (1..=u32::try_from(count).unwrap()).collect();
        ProbeFacts::Process(ProcessesFound { pattern: "syncthing".into(), count, pids })
    };
    let lacks = HttpAnswer { status: 200, status_wanted: None, body_lacks: Some("ready".into()) };
    let lacking = HttpFacts { answer: Ok(lacks), ..http(200) };
    let teapot = HttpAnswer { status: 418, status_wanted: Some(418), body_lacks: None };
    let teapot = HttpFacts { answer: Ok(teapot), ..http(418) };
    let ending = HttpFacts { certificate_left: Some(SECOND * 86_400 * 5), ..http(200) };
    let unknown_issuer = HttpFacts { answer: Err(Unanswered::Tls("unknown issuer".into())), ..http(200) };
    for (facts, status, words) in [
        (exited(0, "accepting connections"), Healthy, "accepting connections"),
        (exited(1, "rejecting"), Error, "plug exit 1: rejecting"),
        (exited(1, ""), Error, "plug exit 1"),
        (exited(1, "DISK WARNING - 9 % left | /=9%"), Warning, "DISK WARNING - 9 % left"),
        (exited(2, "DISK CRITICAL"), Error, "plug exit 2: DISK CRITICAL"),
        (exited(3, "DISK UNKNOWN"), Unknown, "DISK UNKNOWN"),
        (exited(3, ""), Error, "plug exit 3"),
        (command(CommandEnd::Killed(11), ""), Error, "plug killed by signal 11"),
        (command(CommandEnd::TimedOut(SECOND * 5), "half"), Error, "plug timed out after 5 s: half"),
        (command(CommandEnd::Flooded(9), "x"), Error, "plug killed, wrote more than 9 bytes: x"),
        (ProbeFacts::Http(http(204)), Healthy, "status 204"),
        (ProbeFacts::Http(http(500)), Error, "http://h/ answers 500 instead of 2xx"),
        (ProbeFacts::Http(http(301)), Error, "http://h/ answers 301 instead of 2xx"),
        (ProbeFacts::Http(lacking), Error, "http://h/ answers 200, without \"ready\" in its body"),
        (ProbeFacts::Http(teapot), Healthy, "status 418"),
        (ProbeFacts::Http(ending), Warning, "http://h/ has a certificate that ends in 5 d"),
        (ProbeFacts::Http(unknown_issuer), Error, "http://h/ TLS: unknown issuer"),
        (tcp(Ok(())), Healthy, "127.0.0.1:5432 accepts"),
        (tcp(Err(Unanswered::Refused)), Error, "127.0.0.1:5432 refused"),
        (old(Some(SECOND)), Healthy, "1 s old"),
        (old(Some(SECOND * 61)), Error, "/b is 1 min 1 s old, limit 1 min"),
        (old(None), Error, "/b is not there"),
        (found(0), Error, "no process syncthing"),
        (found(2), Healthy, "2 processes"),
    ] {
        let cause = if status == Healthy { SelfReported } else { ProbeFailed };
        assert_eq!(judged(Kind::Probe, facts), (status, cause, words.to_owned()));
    }
}

#[test]
fn f2_an_endpoint_is_as_what_was_found_there() {
    let curve = ZmqSight::Alive { socket: None, mechanism: "CURVE".into() };
    let mute = ZmqFacts { echo: Some(Echo::TimedOut(SECOND)), ..zmq(alive("PUB")) };
    let silence = |lasted| Some(Silence { lasted: SECOND * lasted, max: SECOND * 30 });
    for (facts, status, words) in [
        (zmq(alive("PUB")), Healthy, "PUB"),
        (zmq(curve), Healthy, "CURVE"),
        (
            ZmqFacts { wanted: None, ..zmq(ZmqSight::OldVersion(2)) },
            Healthy,
            "tcp://127.0.0.1:5556 speaks ZMTP 2, which does not say what it is",
        ),
        (
            zmq(ZmqSight::OldVersion(1)),
            Unknown,
            "tcp://127.0.0.1:5556 speaks ZMTP 1, which does not say what it is",
        ),
        (zmq(alive("REP")), Error, "tcp://127.0.0.1:5556 is a REP, not a PUB"),
        (zmq(ZmqSight::Unreachable(Unanswered::Refused)), Error, "tcp://127.0.0.1:5556 refused"),
        (
            zmq(ZmqSight::Closed),
            Error,
            "tcp://127.0.0.1:5556 ends the conversation before it says what it is",
        ),
        (zmq(ZmqSight::Silent(SECOND)), Error, "tcp://127.0.0.1:5556 accepts, and says nothing for 1 s"),
        (
            zmq(ZmqSight::NotZmtp("SSH-2.0-x".into())),
            Error,
            "tcp://127.0.0.1:5556 does not speak ZMTP, it says \"SSH-2.0-x\"",
        ),
        (mute, Error, "tcp://127.0.0.1:5556 does not answer a question for 1 s"),
        (ZmqFacts { silence: silence(29), ..zmq(alive("PUB")) }, Healthy, "PUB"),
        (
            ZmqFacts { silence: silence(31), ..zmq(alive("PUB")) },
            Error,
            "tcp://127.0.0.1:5556 sent no message for 31 s, limit 30 s",
        ),
    ] {
        let cause = if status == Healthy { SelfReported } else { ProbeFailed };
        assert_eq!(judged(Kind::Zmq, ProbeFacts::Zmq(facts)), (status, cause, words.to_owned()));
    }
}

fn looked_at(name: &str) -> World {
    let mut world = World::new();
    let settings = ServicePolicy { looked_at_from_outside: true, ..ServicePolicy::default() };
    world.policy.services.insert(name.into(), settings);
    world
}

#[test]
fn the_worst_of_report_and_looks_counts() {
    let refused = || Ok(Facts::Probe(tcp(Err(Unanswered::Refused))));
    let open = || Ok(Facts::Probe(tcp(Ok(()))));
    let mut world = looked_at("db");
    world.see("db", missing());
    assert_eq!(world.judged("db"), (Unknown, NotObserved));
    world.observe("db", open());
    assert_eq!(world.judged("db"), (Healthy, SelfReported), "a report is optional");
    world.observe("db", Ok(Facts::Probe(exited(2, "no response"))));
    assert_eq!(world.judged("db"), (Error, ProbeFailed), "the command counts beside the port");
    world.observe("db", Ok(Facts::Probe(exited(0, ""))));
    world.see("db", world.beat(0.0).says(|r| r.overall_status = Warning));
    assert_eq!(world.judged("db"), (Warning, SelfReported));
    world.observe("db", refused());
    assert_eq!(world.judged("db"), (Error, ProbeFailed));
    world.see("db", world.beat(0.0).by(Gone));
    assert_eq!(
        world.judged("db"),
        (Error, Crashed),
        "what died does not answer: the death is the better word"
    );
    world.see("db", world.beat(0.0).by(Gone).says(|r| r.state = Life::Stopped));
    assert_eq!(world.judged("db"), (Healthy, Stopped), "nor does what was stopped");
}

#[test]
fn failing_to_look_is_never_down() {
    let mut world = looked_at("db");
    world.observe("db", Err(ProbeError::of(ProbeKind::Command, "too many processes")));
    assert_eq!(world.judged("db"), (Unknown, ProbeUnavailable));
    world.wait("db", 299.0);
    assert_eq!(world.judged("db"), (Unknown, ProbeUnavailable));
    world.wait("db", 2.0);
    assert_eq!(world.judged("db"), (Error, ProbeUnavailable), "expected, and unknown for too long");
    world.observe("db", Ok(Facts::Probe(exited(0, ""))));
    assert_eq!(world.judged("db"), (Healthy, SelfReported));
}

#[test]
fn a_look_is_shown_also_where_an_instance_stands_for_the_report() {
    let failing = || Ok(Facts::Probe(exited(2, "")));
    for look_first in [true, false] {
        let mut world = looked_at("camera");
        if look_first {
            world.observe("camera", failing());
        }
        world.see("camera", missing());
        world.see("camera@2", world.beat(0.0));
        if !look_first {
            world.observe("camera", failing());
        }
        let snapshot = world.snapshot();
        assert_eq!((snapshot.overall_status, snapshot.counts.total), (Error, 2), "look first: {look_first}");
    }
}

#[test]
fn the_days_left_on_a_certificate_are_told() {
    let mut world = looked_at("site");
    let ending = HttpFacts { certificate_left: Some(SECOND * 86_400 * 90), ..http(200) };
    world.observe("site", Ok(Facts::Probe(ProbeFacts::Http(ending))));
    let view = world.view("site");
    assert_eq!(view.subject.evidence.get("certificate_left"), Some("90 d"));
    assert_eq!(
        (&*view.subject.metrics[0].label, view.subject.metrics[0].value),
        ("certificate_left", 7_776_000.0)
    );
}

#[test]
fn a_view_has_the_numbers_and_the_time_of_its_look() {
    let world = World::once();
    let facts = exited(0, "LOAD OK - 1 | load1=1.5;5;10;0 'free space'=12%");
    let subject = Subject::new(Kind::Probe, "load");
    let looked = Observation { subject, outcome: Ok(Facts::Probe(facts)), took: SECOND };
    let now: &Now = &world.now;
    let (state, _) = step(healthcheck_core::State::default(), looked, now, &world.policy);
    let snapshot = Snapshot::of(&state, now, &world.policy);
    let view = &snapshot.others[0];
    let metrics: Vec<_> = view.metrics.iter().map(|m| (m.label.as_str(), m.value, m.unit.as_str())).collect();
    assert_eq!(metrics, [("load1", 1.5, ""), ("free space", 12.0, "%")]);
    assert_eq!(view.took, Some(SECOND));
    assert_eq!(snapshot.overall_status, Healthy);
}

#[test]
fn what_looks_showed_survives_a_restart_of_the_judge() {
    let mut world = looked_at("db");
    world.observe("db", Ok(Facts::Probe(exited(2, "no response"))));
    let saved = serde_json::to_string(&world.state).unwrap();
    let mut again = World::new();
    again.policy = world.policy.clone();
    again.state = serde_json::from_str(&saved).unwrap();
    assert_eq!(again.state, world.state);
    assert_eq!(again.wait("db", 1.0), []);
}

fn retried(retries: u8) -> World {
    let mut world = looked_at("db");
    world.policy.retries.insert(Subject::service("db"), retries);
    world
}

fn refused() -> Result<Facts, ProbeError> {
    Ok(Facts::Probe(tcp(Err(Unanswered::Refused))))
}

fn open() -> Result<Facts, ProbeError> {
    Ok(Facts::Probe(tcp(Ok(()))))
}

impl World {
    fn is_retrying(&self) -> bool {
        self.state.is_retrying(&Subject::service("db"), ProbeKind::Tcp)
    }

    fn says(&self, words: &str) -> bool {
        self.verdict("db").reasons.iter().any(|reason| reason.contains(words))
    }
}

#[test]
fn f2_a_bad_look_is_believed_after_its_retries() {
    let mut world = retried(3);
    world.observe("db", open());
    for looks in 1..=3 {
        assert_eq!(world.observe("db", refused()), []);
        assert!(world.is_retrying());
        assert!(
            world.says(&format!(
                "the last look was bad ({looks} of 4): looked at again before it is believed"
            ))
        );
        let shown = world.verdict("db").evidence.get("last_look");
        assert_eq!(shown, Some("tcp: 127.0.0.1:5432 refused"));
        world.wait("db", 5.0);
    }
    assert_eq!(world.observe("db", refused())[0].cause, ProbeFailed);
    assert!(!world.is_retrying() && !world.says("looked at again"));
    assert_eq!(world.observe("db", refused()), [], "and stays so at each look after it");
    assert_eq!(world.observe("db", open())[0].to, Healthy, "a good one is believed at once");
    world.observe("db", refused());
    assert!(world.says("1 of 4"), "the row begins anew");
}

#[test]
fn a_good_look_ends_the_row() {
    let mut world = retried(2);
    world.observe("db", open());
    for _ in 0..10 {
        world.observe("db", refused());
        world.observe("db", refused());
        world.observe("db", open());
        assert!(!world.is_retrying());
    }
    assert_eq!(world.transitions.len(), 1);
}

#[test]
fn a_first_look_that_is_bad_is_no_verdict_yet() {
    let mut world = retried(1);
    let transitions = world.observe("db", refused());
    assert_eq!((transitions[0].to, transitions[0].cause), (Unknown, NotObserved));
    assert!(world.says("1 of 2"));
    world.see("db", world.beat(0.0));
    assert_eq!(world.judged("db"), (Healthy, SelfReported), "its report is there to be believed");
    assert!(world.says("1 of 2"));
    world.observe("db", refused());
    assert_eq!(world.judged("db"), (Error, ProbeFailed));
}

#[test]
fn what_is_bad_already_and_gets_worse_is_looked_at_again_too() {
    let mut world = retried(1);
    let ending = || HttpFacts { certificate_left: Some(SECOND), ..http(200) };
    let http = |http| Ok(Facts::Probe(ProbeFacts::Http(http)));
    let down = || HttpFacts { answer: Err(Unanswered::Refused), ..ending() };
    world.observe("db", http(ending()));
    world.observe("db", http(ending()));
    assert_eq!(world.judged("db"), (Warning, ProbeFailed));
    assert_eq!(world.observe("db", http(down())), []);
    assert_eq!(world.observe("db", http(down()))[0].to, Error);
    assert_eq!(world.observe("db", http(ending()))[0].to, Warning, "getting better is believed at once");
}

#[test]
fn failing_to_look_is_retried_too_and_each_kind_for_itself() {
    let mut world = retried(1);
    world.observe("db", open());
    world.observe("db", Ok(Facts::Probe(exited(0, ""))));
    let blind = || Err(ProbeError::of(ProbeKind::Command, "too many processes"));
    assert_eq!(world.observe("db", blind()), []);
    assert_eq!(world.observe("db", refused()), [], "two kinds are no row");
    assert_eq!(world.observe("db", blind())[0].cause, ProbeUnavailable);
    assert!(world.is_retrying());
}

#[test]
fn the_word_of_a_keeper_is_believed_at_once() {
    use healthcheck_core::{ContainerFacts, ContainerState, UnitActive, UnitFacts};
    let mut world = retried(3);
    let unit =
        |active| UnitFacts { active, result: "exit-code".into(), was_active: true, ..UnitFacts::default() };
    world.observe("db", Ok(Facts::Probe(ProbeFacts::Unit(Box::new(unit(UnitActive::Failed))))));
    assert_eq!(world.judged("db"), (Error, Crashed));
    let mut world = retried(3);
    let container =
        ContainerFacts { state: ContainerState::Exited, exit_code: 1, ..ContainerFacts::default() };
    world.observe("db", Ok(Facts::Probe(ProbeFacts::Container(Box::new(container)))));
    assert_eq!(world.judged("db"), (Error, Crashed));
}

#[test]
fn a_single_look_and_one_without_retries_are_believed_at_once() {
    let mut once = retried(3);
    once.policy.once = true;
    once.observe("db", refused());
    let mut never = retried(0);
    never.observe("db", refused());
    for world in [once, never] {
        assert_eq!(world.judged("db"), (Error, ProbeFailed));
        assert!(!world.is_retrying());
    }
}

#[test]
fn looks_before_a_gap_are_no_part_of_a_row() {
    for sleeps in [true, false] {
        let mut world = retried(1);
        world.observe("db", open());
        world.observe("db", refused());
        if sleeps {
            world.suspend(HOUR);
            world.tick();
        } else {
            world.pass(HOUR);
            world.restart();
        }
        assert!(!world.is_retrying());
        assert_eq!(world.observe("db", refused()), [], "sleeps: {sleeps}");
        assert_eq!(world.observe("db", refused())[0].cause, ProbeFailed);
    }
}

#[test]
fn f12_a_doubt_survives_a_restart_that_takes_no_time() {
    let mut world = retried(1);
    world.observe("db", refused());
    let saved = serde_json::to_string(&world.state).unwrap();
    world.state = serde_json::from_str(&saved).unwrap();
    assert_eq!(world.observe("db", refused())[0].cause, ProbeFailed);
}
