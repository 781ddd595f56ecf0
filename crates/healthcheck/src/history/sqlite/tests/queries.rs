//! What people and programs ask the tables themselves.

use super::*;
use crate::history::Entry;
use crate::history::suite::{at, beats, changed, transition};
use health_reporter::Status::{Error, Healthy, Unknown};
use jiff::SignedDuration;

const LAST_WEEK: &str = "SELECT service_name, status, current_task, heartbeat_timestamp, created_at
     FROM system_status_history
     WHERE service_name = ?1 AND heartbeat_timestamp > datetime('now', '-7 days')
     ORDER BY heartbeat_timestamp DESC";

fn ago(days: i64) -> String {
    (Timestamp::now() - SignedDuration::from_hours(24 * days)).to_string()
}

/// A run that began long ago and was confirmed yesterday is one of the last seven days.
#[test]
fn the_last_seven_days_of_a_service_are_asked_for_as_ever() {
    for record in [Record::Changes, Record::Heartbeats] {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut teller = teller(dir.path());
        teller.record = record;
        teller.tells([
            changed(1, "camera", Unknown, Healthy, &ago(40)),
            beats("camera", Healthy, "old", &ago(39), &ago(9), 30),
            beats("camera", Healthy, "indexing", &ago(8), &ago(6), 3),
            changed(2, "camera", Healthy, Error, &ago(5)),
            beats("core", Healthy, "other", &ago(3), &ago(3), 1),
        ]);
        let connection = Connection::open(database(dir.path())).unwrap();
        let mut statement = connection.prepare(LAST_WEEK).unwrap();
        let rows = statement.query_map(["camera"], |row| Ok((row.get(1)?, row.get(2)?))).unwrap();
        let rows: Vec<(String, Option<String>)> = rows.map(Result::unwrap).collect();
        let row = |status: &str| (status.to_owned(), Some("indexing".to_owned()));
        assert_eq!(rows, [row("error"), row("healthy")]);
        let now = connection.query_row(
            "SELECT status, current_task, last_heartbeat < updated_at, cause, kind, host FROM system_status
             WHERE service_name = 'camera'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)),
        );
        let now: (String, String, bool, String, String, String) = now.unwrap();
        let [status, task, cause, kind, host] =
            ["error", "indexing", "crashed", "service", "deimos"].map(String::from);
        assert_eq!(now, (status, task, true, cause, kind, host));
    }
}

/// How a statement is answered.
fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let parameters = statement.parameter_count();
    let values = vec!["camera"; parameters];
    let rows =
        statement.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
    rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
}

#[test]
fn indexes_answer_what_is_asked() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    teller(dir.path()).tells([changed(1, "camera", Unknown, Healthy, "12:00:00")]);
    let connection = Connection::open(database(dir.path())).unwrap();
    let last_week = plan(&connection, LAST_WEEK);
    let expected = "USING INDEX system_status_history_of_service (service_name=? AND heartbeat_timestamp>?)";
    assert!(last_week.contains(expected) && !last_week.contains("TEMP B-TREE"), "{last_week}");
    let marks = plan(&connection, answers::MARKS);
    let expected =
        "USING COVERING INDEX system_status_history_opens (service_name=? AND kind=? AND host=? AND id>?)";
    assert!(marks.contains(expected) && !marks.contains("TEMP B-TREE"), "{marks}");
    let openings = plan(&connection, runs::OPENINGS);
    assert!(
        openings.contains("USING COVERING INDEX system_status_history_opens (service_name=?)"),
        "{openings}"
    );
    for (sql, range) in [(runs::FIRST_AFTER, ">"), (runs::LAST_UNTIL, "<")] {
        let plan = plan(&connection, sql);
        let expected =
            format!("system_status_history_of_service (service_name=? AND heartbeat_timestamp{range}?)");
        assert!(plan.contains(&expected), "{plan}");
    }
    let of_all = plan(&connection, retention::RUNS_BY_DAY);
    assert!(of_all.contains("COVERING INDEX"), "{of_all}");
}

/// The openings of a window by the statement for them, and by all runs.
#[track_caller]
fn openings_in(store: &mut dyn HistoryStore, window: Window) -> Vec<RunRow> {
    let (mut found, mut all) = (Vec::new(), Vec::new());
    let mut take = |run| {
        found.push(run);
        true
    };
    store.openings(&Selection::default(), window, &mut take).unwrap();
    let mut take = |run: RunRow| {
        if run.opens && window.from <= run.begun_at && run.begun_at < window.to {
            all.push(run);
        }
        true
    };
    store.runs(&Selection::default(), window, &mut take).unwrap();
    all.sort_by_key(|run| std::cmp::Reverse((run.begun_at, run.id)));
    assert_eq!(found, all);
    found
}

#[test]
fn openings_and_the_run_at_an_instant_are_those_among_all_runs() {
    for record in [Record::Changes, Record::Heartbeats] {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut teller = teller(dir.path());
        teller.record = record;
        let (begin, mut dice) = (at("12:00:00"), Dice(7));
        let time = |second: i64| (begin + SignedDuration::from_secs(second)).to_string();
        let mut statuses = [Unknown; 3];
        for second in 0..400 {
            let (one, to) = (dice.below(3), [Healthy, Error][dice.below(2)]);
            let name = ["camera", "core", "wall"][one];
            if dice.below(3) == 0 && statuses[one] != to {
                teller.tells([changed(second + 1, name, statuses[one], to, &time(2 * second))]);
                statuses[one] = to;
            } else if statuses[one] != Unknown && dice.below(8) > 0 {
                let task = ["a", "b"][dice.below(2)];
                let time = time(2 * second);
                teller.tells([beats(name, statuses[one], task, &time, &time, 1)]);
            }
        }
        let store = &mut *teller.store;
        let window = |from, to| Window {
            from: begin + SignedDuration::from_secs(from),
            to: begin + SignedDuration::from_secs(to),
        };
        assert!(openings_in(store, window(-9, 900)).len() > 50);
        assert!(openings_in(store, window(200, 400)).len() > 10);
        let mut runs = Vec::new();
        let mut take = |run| {
            runs.push(run);
            true
        };
        store.runs(&Selection::default(), window(-9, 900), &mut take).unwrap();
        for (second, name) in (-2..802).flat_map(|second| ["camera", "wall"].map(|name| (second, name))) {
            let (instant, subject) = (begin + SignedDuration::from_secs(second), Subject::service(name));
            let expected = runs.iter().find(|run| run.subject == subject && run.begun_at <= instant);
            assert_eq!(store.run_at("deimos", &subject, instant).unwrap().as_ref(), expected, "{second}");
            assert_eq!(store.run_at("phobos", &subject, instant).unwrap(), None);
        }
    }
}

/// What was found out later is all that a reader sees.
#[test]
fn an_amended_transition_is_no_longer_flapping() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut teller = teller(dir.path());
    let mut amended = transition("camera", Unknown, Error, "12:00:00");
    teller.tells([Entry::Transition { id: 1, transition: amended.clone() }]);
    assert!(amended.is_flapping);
    (amended.is_flapping, amended.message) = (false, "its cable".to_owned());
    teller.tells([Entry::Amended { id: 1, transition: amended.clone() }]);
    assert_eq!(teller.runs("camera")[0].transition.as_ref(), Some(&amended));
}
