//! A month is made before it is needed, and dropped whole.

use super::{Server, eventually};
use crate::history::postgres::months::Month;
use crate::history::suite::{at, beat, beats, changed};
use crate::history::{Entry, HistoryStore, Record};
use health_reporter::Status::{Healthy, Unknown};
use healthcheck_core::history::retention::{Kept, Limits, PrunePlan};
use healthcheck_core::history::{Bin, Window};
use healthcheck_core::{Gap, GapReason, Subject};
use jiff::{SignedDuration, Timestamp};

const THERE: &str =
    "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'system_status_history'::regclass
     ORDER BY inhrelid::regclass::text";

fn ahead() -> Vec<String> {
    let now = Timestamp::now();
    let mut months = Vec::new();
    for day in 0..63 {
        let month = Month::of(now + SignedDuration::from_hours(24 * day)).to_string();
        if !months.contains(&month) && months.len() < 3 {
            months.push(month);
        }
    }
    months
}

fn there(server: &Server) -> Vec<String> {
    server.ask(THERE).lines().map(str::to_owned).collect()
}

#[test]
fn this_month_and_the_next_ones_are_there_and_those_that_are_told_of() {
    let server = Server::new();
    server.teller(Record::Changes).tells([]);
    assert_eq!(there(&server), ahead());
    let mut teller = server.teller(Record::Changes);
    teller.of_host("phobos");
    teller.tells([
        changed(1, "camera", Unknown, Healthy, "2025-02-28T23:59:59.999999Z"),
        beat("core", "", "2025-03-01T00:00:00Z"),
    ]);
    let told_of = ["system_status_history_202502", "system_status_history_202503"];
    assert_eq!(there(&server), told_of.map(str::to_owned).into_iter().chain(ahead()).collect::<Vec<_>>());
    for month in told_of {
        assert_eq!(server.ask(&format!("SELECT count(*) FROM {month}")), "1");
    }
}

#[test]
fn a_run_that_is_confirmed_in_the_next_month_moves_there() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    teller.tells([
        changed(1, "camera", Unknown, Healthy, "2025-06-30T23:59:00Z"),
        beat("camera", "a", "2025-06-30T23:59:30Z"),
    ]);
    let id = teller.runs("camera")[0].id;
    let june = "SELECT count(*) FROM system_status_history_202506";
    assert_eq!(server.ask(june), "1");
    teller.tells([beats("camera", Healthy, "a", "2025-07-01T00:00:10Z", "2025-07-01T00:01:10Z", 3)]);
    assert_eq!(server.ask(june), "0");
    let run = teller.runs("camera").remove(0);
    assert_eq!((run.id, run.heartbeats, run.opens, run.begun_at), (id, 4, true, at("2025-06-30T23:59:00Z")));
    assert_eq!(server.ask("SELECT count(*) FROM system_status_history_202507"), "1");
}

/// Who is told the history keeps what he reads locked: dropping waits for him a moment, and others not behind it.
#[test]
fn dropping_a_month_keeps_nobody_waiting() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    teller.tells([beat("camera", "a", "2025-06-30T00:00:00Z"), beat("camera", "b", "2025-08-01T00:00:00Z")]);
    let reader = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            server.psql("BEGIN; SELECT count(*) FROM system_status_history; SELECT pg_sleep(3); COMMIT")
        });
        eventually("reader", || {
            (server.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1")
                .then_some(())
        });
        let mut store = server.store();
        let slice = store.stock().unwrap().slices.remove(0);
        let pruning = scope.spawn(move || store.prune(&slice, 1_000));
        let (begun, mut worst) = (std::time::Instant::now(), std::time::Duration::ZERO);
        while begun.elapsed() < std::time::Duration::from_secs(2) {
            let before = std::time::Instant::now();
            teller.tells([beat("camera", "b", "2025-08-01T00:01:00Z")]);
            worst = worst.max(before.elapsed());
        }
        assert!(worst < std::time::Duration::from_millis(1_500), "{worst:?}");
        let pruned = pruning.join().unwrap().unwrap();
        assert_eq!((pruned.rows, pruned.is_done), (1, true));
        reading.join().unwrap()
    });
    assert!(reader.unwrap().contains('2'));
    assert!(!there(&server).contains(&"system_status_history_202506".to_owned()));
}

/// However long it takes to find what was in force: here it waits for who writes the same row.
#[test]
fn nobody_waits_while_a_month_is_read_that_is_about_to_go() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    teller.tells([beat("camera", "a", "2025-06-30T00:00:00Z"), beat("core", "b", "2025-08-01T00:00:00Z")]);
    let mut store = server.store();
    let slice = store.stock().unwrap().slices.remove(0);
    let holder =
        server.psql_held("BEGIN; SELECT 1 FROM system_subjects WHERE service_name = 'camera' FOR UPDATE");
    std::thread::scope(|scope| {
        let pruning = scope.spawn(move || store.prune(&slice, 1_000));
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'";
        eventually("waiting", || (server.ask(waits) == "1").then_some(()));
        let locks =
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL";
        assert_eq!(server.ask(locks), "0");
        let begun = std::time::Instant::now();
        teller.tells([beat("core", "b", "2025-08-01T00:01:00Z")]);
        assert!(begun.elapsed() < std::time::Duration::from_millis(1_500), "{:?}", begun.elapsed());
        drop(holder);
        assert_eq!(pruning.join().unwrap().unwrap().rows, 1);
    });
    assert!(!there(&server).contains(&"system_status_history_202506".to_owned()));
}

/// Who was interrupted after a month was taken out left its table behind.
#[test]
fn a_month_that_was_taken_out_and_left_is_dropped_by_the_next_one() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    teller.tells([beat("camera", "a", "2025-05-30T00:00:00Z"), beat("core", "b", "2025-06-01T00:00:00Z")]);
    let june = teller.store.stock().unwrap().slices.remove(1);
    let taken_out = Month::of(at("2025-05-01T00:00:00Z")).taken_out();
    server.ask("ALTER TABLE system_status_history DETACH PARTITION system_status_history_202505");
    server.ask(&format!("ALTER TABLE system_status_history_202505 RENAME TO {taken_out}"));
    let mut teller = server.teller(Record::Changes);
    teller.of_host("phobos");
    teller.tells([beat("wall", "a", "2025-05-02T00:00:00Z")]);
    assert_eq!(teller.store.prune(&june, 100).unwrap().rows, 2);
    assert_eq!(server.ask("SELECT count(*) FROM pg_class WHERE relname LIKE '%dropped%'"), "0");
    let remembered = "SELECT service_name FROM system_subjects WHERE dropped_id IS NOT NULL ORDER BY 1";
    assert_eq!(server.ask(remembered), "camera\ncore");
    assert_eq!(teller.runs("wall").len(), 1);
}

/// A table that is too large to be counted is reckoned.
#[test]
fn a_stock_is_taken_without_counting_all_of_it() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    teller.tells([beat("camera", "a", "2025-06-30T00:00:00Z")]);
    server.ask(
        "INSERT INTO system_numbers SELECT 1, '2025-06-01'::timestamptz + n * interval '1 minute', 1, 1, 1, 1, 60
         FROM generate_series(0, 199999) AS n;
         INSERT INTO system_status_history SELECT n, '2025-06-01'::timestamptz + n * interval '1 second',
             '2025-06-01', now(), 1, false, 'h', 'service', 's', 'healthy', 'self_reported'
         FROM generate_series(1000, 200999) AS n",
    );
    let about = |stock: crate::history::Stock, of: Kept| {
        let rows: u64 = stock.slices.iter().filter(|slice| slice.of == of).map(|slice| slice.rows).sum();
        assert!((150_000..250_000).contains(&rows), "{of} {rows}");
        let bytes: u64 = stock.slices.iter().map(|slice| slice.bytes).sum();
        assert!(bytes > stock.bytes / 2 && bytes <= stock.bytes, "{bytes} {}", stock.bytes);
    };
    about(teller.store.stock().unwrap(), Kept::Minutes);
    about(teller.store.stock().unwrap(), Kept::Runs);
    server.ask("ANALYZE");
    about(teller.store.stock().unwrap(), Kept::Runs);
}

/// Else time in which nobody looked would become time in which all was well.
#[test]
fn gaps_stay_as_long_as_the_month_of_runs_that_they_belong_to() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    let gap = Gap {
        from: at("2025-06-02T00:00:00Z"),
        to: at("2025-06-02T01:00:00Z"),
        reason: GapReason::Suspended,
    };
    let window = Window { from: gap.from, to: gap.to };
    let subject = Subject::service("camera");
    teller.tells([
        beat("camera", "a", "2025-06-30T00:00:00Z"),
        Entry::Gap(gap),
        Entry::Maintenance { subject, window },
    ]);
    let stock = teller.store.stock().unwrap();
    let limits = Limits::new(SignedDuration::from_hours(7 * 24), None);
    let plan = |now: &str| PrunePlan::of(&stock, &limits, at(now)).steps;
    assert_eq!(plan("2025-06-20T00:00:00Z"), []);
    assert_eq!(plan("2025-07-07T23:59:59Z"), []);
    let dropped = |now| plan(now).iter().map(|step| step.slice.of).collect::<Vec<Kept>>();
    assert_eq!(dropped("2025-07-08T00:00:00Z"), [Kept::Runs]);
    assert_eq!(dropped("2025-07-09T00:00:00Z"), [Kept::Runs, Kept::Gaps]);
    let too_much = Limits::new(SignedDuration::from_hours(10_000), Some(1));
    let steps = PrunePlan::of(&stock, &too_much, at("2025-07-02T00:00:00Z")).steps;
    assert_eq!(steps.iter().map(|step| step.slice.of).collect::<Vec<_>>(), [Kept::Runs, Kept::Gaps]);
}

/// A month that is written to stays where it is, without its rows.
#[test]
fn the_month_that_is_now_can_be_emptied() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    let now = Timestamp::now();
    teller.tells([beat("camera", "a", &now.to_string())]);
    let before = there(&server);
    let mut store = server.store();
    let slice = store.stock().unwrap().slices.remove(0);
    assert!(store.prune(&slice, 1_000).unwrap().is_done);
    assert_eq!(there(&server), before);
    teller.tells([beat("camera", "a", &now.to_string())]);
    assert_eq!(teller.runs("camera").len(), 1);
}

#[test]
fn many_monitors_begin_at_once() {
    let server = Server::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut teller = server.teller(Record::Changes);
                teller.of_host(&format!("host-{number}"));
                for month in 1..=6 {
                    teller.tells([beat("camera", "a", &format!("2025-{month:02}-03T00:00:00Z"))]);
                }
            });
        }
    });
    assert_eq!(server.ask("SELECT count(*), sum(heartbeats) FROM system_status_history"), "8|48");
    assert_eq!(server.ask("SELECT count(*) FROM system_schema"), "2");
    assert_eq!(there(&server).len(), 6 + 3);
}

/// Of a newer program: it only added to what we know.
#[test]
fn newer_tables_are_read_and_never_written() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    teller.tells([beat("camera", "a", "12:00:00")]);
    server.ask("INSERT INTO system_schema (version) VALUES (99)");
    let mut store = server.store();
    assert_eq!(store.statuses(&crate::history::Selection::default()).unwrap().len(), 1);
    let position = store.position(&teller.origin).unwrap();
    assert_eq!(position, teller.position);
    let error = store.write(&teller.portion(Vec::new())).unwrap_err().to_string();
    assert!(
        error.contains("newer healthcheck (version 99)") && error.contains("update this program"),
        "{error}"
    );
    assert_eq!(store.position(&teller.origin).unwrap(), position);
}

/// Each of them cleans up, and none minds that another one does.
#[test]
fn many_monitors_drop_the_same_months() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    let beats =
        (1..=12).map(|month| beat("camera", &format!("{month}"), &format!("2024-{month:02}-03T00:00:00Z")));
    teller.tells(beats.collect::<Vec<_>>());
    let slices = teller.store.stock().unwrap().slices;
    assert_eq!(slices.len(), 12);
    let dropped: u64 = std::thread::scope(|scope| {
        let (server, slices) = (&server, &slices);
        let pruning = [0; 4].map(|_| {
            scope.spawn(move || {
                let mut store = server.store();
                slices.iter().map(|slice| store.prune(slice, 100).unwrap().rows).sum::<u64>()
            })
        });
        pruning.into_iter().map(|pruning| pruning.join().unwrap()).sum()
    });
    assert_eq!((dropped, there(&server)), (12, ahead()));
}

/// Names that come and go do not stay for ever.
#[test]
fn nothing_is_left_of_who_is_forgotten_and_dropped() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    let (gone, time) = (Subject::service("gone"), at("2025-06-02T00:00:00Z"));
    let number = |name: &str| Entry::Numbers {
        subject: Subject::service(name),
        metric: "a".into(),
        bin: Bin::of(if name == "gone" { time } else { Timestamp::now() }, 1.0),
    };
    teller.tells([beat("gone", "a", "2025-06-01T00:00:00Z"), beat("camera", "a", "2025-06-01T00:00:00Z")]);
    teller.tells([number("gone"), number("camera"), Entry::Forgotten { subject: gone, at: time }]);
    for slice in teller.store.stock().unwrap().slices {
        if slice.window.to < Timestamp::now() {
            assert!(teller.store.prune(&slice, 100).unwrap().is_done);
        }
    }
    for table in ["system_subjects", "system_series", "system_status"] {
        assert_eq!(server.ask(&format!("SELECT service_name FROM {table}")), "camera", "{table}");
    }
}
