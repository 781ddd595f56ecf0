use super::*;
use crate::history::suite::costs;
use crate::history::suite::{beat, changed};
use health_reporter::Status;

#[test]
fn a_few_hours_of_many_services_cost_little() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    for record in [Record::Changes, Record::Heartbeats] {
        let store = Sqlite::to_write(dir.path().join(format!("{record:?}.db")));
        let costs = costs::of(Box::new(store), record, 300, "SQLite, a few hours");
        assert_eq!(costs.beats, 300 * 116);
        assert!((costs.bytes < 40 * costs.beats) == (record == Record::Changes), "{costs:?}");
    }
}

/// A row a heartbeat, as S2 asks for it, in one transaction. What it takes.
fn fill_plain(path: &Path, beats: u64) -> u64 {
    let mut connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE system_status_history (id INTEGER PRIMARY KEY, service_name TEXT, status TEXT,
                 current_task TEXT, heartbeat_timestamp TEXT, created_at TEXT);
             CREATE INDEX of_service ON system_status_history (service_name, heartbeat_timestamp DESC)",
        )
        .unwrap();
    let transaction = connection.transaction().unwrap();
    let mut statement = transaction
        .prepare(
            "INSERT INTO system_status_history (service_name, status, current_task, heartbeat_timestamp, created_at)
             VALUES (?1, 'healthy', 'indexing', datetime('2025-01-01', ?2), datetime('2025-01-01', ?2))",
        )
        .unwrap();
    for beat in 0..beats {
        let name = format!("service-{}", beat % 3);
        statement.execute([name, format!("+{} seconds", beat * 20)]).unwrap();
    }
    drop(statement);
    transaction.commit().unwrap();
    path.metadata().unwrap().len()
}

/// F20: history that grows with time until the disk is full.
#[test]
fn f20_sixty_days_in_which_nothing_changes_are_a_handful_of_rows() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut teller = teller(dir.path());
    let names = ["camera", "core", "wall"];
    let minutes = costs::MINUTES;
    teller
        .tells(names.map(|name| changed(1, name, Status::Unknown, Status::Healthy, "2025-03-01T00:00:00Z")));
    let begin: Timestamp = "2025-03-01T00:00:00Z".parse().unwrap();
    for hour in 0..minutes / 60 {
        let of_minute = |minute| {
            let at = begin + jiff::SignedDuration::from_mins(hour * 60 + minute);
            names.map(|name| beat(name, "indexing", &at.to_string()))
        };
        teller.tells((0..60).flat_map(of_minute).collect::<Vec<_>>());
    }
    let beats = 3 * u64::try_from(minutes).unwrap();
    let runs: Vec<_> = names.iter().flat_map(|name| teller.runs(name)).collect();
    assert_eq!((runs.len(), runs.iter().map(|run| run.heartbeats).sum::<u64>()), (3, beats));
    teller.store.stock().unwrap();
    drop(teller);
    let bytes: u64 =
        names_in(dir.path()).iter().map(|name| dir.path().join(name).metadata().unwrap().len()).sum();
    let plain = fill_plain(&dir.path().join("plain.db"), beats);
    println!("60 days of 3 services: {bytes} bytes for {beats} heartbeats, {plain} in S2's table");
    assert!(bytes * 2 < beats && bytes * 100 < plain, "{bytes} bytes, {plain} in S2's table");
}
