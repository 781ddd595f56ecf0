use super::*;
use healthcheck_core::{Evidence, Gap, GapReason, Kind};

#[test]
fn what_was_committed_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    let first = monitor.sees("camera", Status::Healthy);
    monitor.pass(Duration::from_millis(1_500));
    let second = monitor.sees("camera", Status::Error);
    monitor.sees("core@2", Status::Warning);
    let camera = Subject::service("camera");
    assert_eq!((first[0].0, second[0].0), (1, 2));
    let newest_first = [second[0].clone(), first[0].clone()];
    assert_eq!(monitor.store.last_transitions(&camera, 9).unwrap(), newest_first);
    assert_eq!(monitor.store.last_transitions(&camera, 1).unwrap(), newest_first[..1]);
    let Monitor { store, state, .. } = monitor;
    drop(store);
    assert_eq!(kept(dir.path()), state);
    assert_eq!(names(dir.path()), ["monitor.lock", "state.db"]);
}

#[test]
fn a_subject_that_is_forgotten_is_known_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    monitor.sees("camera", Status::Healthy);
    monitor.sees("core", Status::Healthy);
    monitor.state.forget(&Subject::service("camera"));
    monitor.commit("camera", &[]).unwrap();
    let state = monitor.state;
    drop(monitor.store);
    assert_eq!(kept(dir.path()), state);
    assert_eq!(state.len(), 1);
}

#[test]
fn what_is_not_synced_is_there_for_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    monitor.judge("camera", Status::Healthy);
    let (camera, head) = (Subject::service("camera"), monitor.state.head());
    let records = vec![(&camera, monitor.state.record(&camera))];
    let effects = Effects { head: &head, records, transitions: &[], gap: None, alerts: &Changes::default() };
    monitor.store.commit_unsynced(&effects).unwrap();
    let reader = Store::read_only(dir.path()).unwrap();
    assert_eq!(reader.state().unwrap(), monitor.state);
}

#[test]
fn a_transition_learns_later_what_was_found_out_and_no_other_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    let (id, first) = monitor.sees("camera", Status::Error).remove(0);
    let evidence: Evidence = [("journal", "cannot open /dev/video0")].into_iter().collect();
    let amended = Transition { evidence, reasons: vec!["it said so".into()], ..first.clone() };
    assert!(monitor.store.amend(id, &amended).unwrap());
    let camera = Subject::service("camera");
    assert_eq!(monitor.store.last_transitions(&camera, 9).unwrap(), [(id, amended.clone())]);
    let other = Transition { subject: Subject::service("core"), ..first };
    assert!(!monitor.store.amend(id, &other).unwrap());
    assert!(!monitor.store.amend(id + 1, &amended).unwrap());
    assert_eq!(monitor.store.last_transitions(&camera, 9).unwrap(), [(id, amended)]);
}

#[test]
fn gaps_are_kept_and_only_so_many() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    let head = monitor.state.head();
    let reasons = [GapReason::MonitorDown, GapReason::Boot, GapReason::Suspended];
    let mut gaps: Vec<_> =
        reasons.map(|reason| Gap { from: monitor.now.wall, to: monitor.now.wall, reason }).into();
    for gap in &gaps {
        let effects = Effects {
            head: &head,
            records: Vec::new(),
            transitions: &[],
            gap: Some(gap),
            alerts: &Changes::default(),
        };
        monitor.store.commit(&effects).unwrap();
    }
    gaps.reverse();
    assert_eq!(monitor.store.last_gaps(9).unwrap(), gaps);
    sqlite(dir.path(), "UPDATE sqlite_sequence SET seq = 10002 WHERE name = 'gaps'");
    let effects = Effects {
        head: &head,
        records: Vec::new(),
        transitions: &[],
        gap: Some(&gaps[0]),
        alerts: &Changes::default(),
    };
    monitor.store.commit(&effects).unwrap();
    assert_eq!(monitor.store.last_gaps(9).unwrap().len(), 1);
}

#[test]
fn another_process_reads_while_the_monitor_writes_and_after_it() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Store::read_only(dir.path()).unwrap_err().to_string().contains("No such file"));
    let mut monitor = Monitor::start(dir.path());
    let mut story = monitor.sees("camera", Status::Healthy);
    let reader = Store::read_only(dir.path()).unwrap();
    story.extend(monitor.sees("core", Status::Error));
    assert_eq!(reader.transitions_after(0, 9).unwrap(), story);
    assert_eq!(reader.transitions_after(1, 9).unwrap(), story[1..]);
    assert_eq!(reader.last_transitions(&Subject::service("camera"), 9).unwrap(), story[..1]);
    assert_eq!(reader.transition(2).unwrap().as_ref(), Some(&story[1].1));
    assert_eq!(reader.transition(3).unwrap(), None);
    assert_eq!(reader.last_gaps(9).unwrap(), []);
    assert_eq!(reader.state().unwrap(), monitor.state);
    let Monitor { store, state, .. } = monitor;
    drop(store);
    drop(reader);
    let reader = Store::read_only(dir.path()).unwrap();
    assert_eq!((reader.state().unwrap(), reader.transitions_after(0, 9).unwrap()), (state, story));
}

/// Says something to the database behind the store's back.
fn sqlite(dir: &Path, sql: &str) {
    rusqlite::Connection::open(database(dir)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn each_database_has_a_name_and_its_gaps_are_numbered() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut monitor = Monitor::start(dir.path());
    let head = monitor.state.head();
    let gap = |minute: i64| {
        let from = monitor.now.wall + SignedDuration::from_mins(minute);
        Gap { from, to: from + SignedDuration::from_secs(30), reason: GapReason::MonitorDown }
    };
    let gaps = [gap(1), gap(2), gap(3)];
    for gap in &gaps {
        let alerts = &Changes::default();
        let effects = Effects { head: &head, records: vec![], transitions: &[], gap: Some(gap), alerts };
        monitor.store.commit(&effects).unwrap();
    }
    let reader = Store::read_only(dir.path()).unwrap();
    let [_, second, third] = gaps;
    assert_eq!(reader.gaps_after(1, 9).unwrap(), [(2, second.clone()), (3, third)]);
    assert_eq!(reader.gaps_after(1, 1).unwrap(), [(2, second)]);
    let name = reader.database().unwrap();
    drop((monitor, reader));
    drop(Monitor::start(dir.path()));
    drop(Monitor::start(other.path()));
    let named = |dir: &Path| Store::read_only(dir).unwrap().database().unwrap();
    assert_eq!(named(dir.path()), name);
    assert_ne!(named(other.path()), name);
}

#[test]
fn old_transitions_go_in_portions_and_the_last_word_on_a_known_subject_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    monitor.sees("crashed", Status::Error);
    monitor.sees("forgotten", Status::Error);
    for status in [Status::Healthy, Status::Error].into_iter().cycle().take(40) {
        monitor.sees("camera", status);
    }
    monitor.state.forget(&Subject::service("forgotten"));
    monitor.commit("forgotten", &[]).unwrap();
    monitor.pass(Duration::from_hours(60 * 24 + 1));
    let left =
        |monitor: &Monitor, name| monitor.store.last_transitions(&Subject::service(name), 99).unwrap().len();
    monitor.sees("core", Status::Healthy);
    assert_eq!((left(&monitor, "crashed"), left(&monitor, "forgotten")), (1, 0));
    assert_eq!(left(&monitor, "camera"), 40 - 15);
    monitor.sees("core", Status::Error);
    monitor.sees("core", Status::Healthy);
    assert_eq!((left(&monitor, "crashed"), left(&monitor, "camera"), left(&monitor, "core")), (1, 1, 3));
    monitor.sees("crashed", Status::Healthy);
    monitor.sees("camera", Status::Healthy);
    assert_eq!((left(&monitor, "crashed"), left(&monitor, "camera")), (1, 1));
}

#[test]
fn there_are_never_many_more_than_so_many_transitions() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    for status in [Status::Healthy, Status::Error].into_iter().cycle().take(20) {
        monitor.sees("camera", status);
    }
    sqlite(dir.path(), "UPDATE sqlite_sequence SET seq = 200010 WHERE name = 'transitions'");
    assert_eq!(monitor.sees("camera", Status::Healthy)[0].0, 200_011);
    let left = monitor.store.last_transitions(&Subject::service("camera"), 99).unwrap();
    let ids: Vec<_> = left.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [200_011, 20, 19, 18, 17, 16, 15, 14, 13, 12]);
}

#[test]
fn every_kind_and_strange_names_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    let transition = monitor.judge("camera", Status::Error).remove(0);
    let head = monitor.state.head();
    let kinds = [Kind::Service, Kind::Zmq, Kind::Probe, Kind::Resource, Kind::Host, Kind::Channel];
    for name in ["", "'; DROP TABLE subjects; --", "ü\u{0}\n\u{202e}"] {
        for kind in kinds {
            let subject = Subject::new(kind, name);
            let told =
                Transition { subject: subject.clone(), message: name.to_owned(), ..transition.clone() };
            let record = monitor.state.record(&transition.subject);
            let effects = Effects {
                head: &head,
                records: vec![(&subject, record)],
                transitions: std::slice::from_ref(&told),
                gap: None,
                alerts: &Changes::default(),
            };
            let id = monitor.store.commit(&effects).unwrap()[0];
            assert_eq!(monitor.store.last_transitions(&subject, 9).unwrap(), [(id, told)]);
        }
    }
    drop(monitor);
    assert_eq!(kept(dir.path()).len(), 18);
}

#[test]
fn a_long_log_is_moved_when_nothing_else_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    let size = || database(dir.path()).metadata().unwrap().len();
    let before = size();
    for status in [Status::Healthy, Status::Error].into_iter().cycle().take(127) {
        monitor.sees("camera", status);
    }
    monitor.store.tidy();
    assert_eq!(size(), before);
    monitor.sees("camera", Status::Error);
    monitor.store.tidy();
    assert!(size() > before + 50_000, "{}", size());
}
