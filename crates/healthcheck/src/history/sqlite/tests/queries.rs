//! What people and programs ask the tables themselves.

use super::*;
use crate::history::suite::{beats, changed};
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
    let of_all = plan(&connection, retention::RUNS_BY_DAY);
    assert!(of_all.contains("COVERING INDEX"), "{of_all}");
}
