//! What it takes to write and to ask.

use super::Server;
use crate::history::suite::Teller;
use crate::history::{Entry, Record, Selection};
use health_reporter::Status;
use healthcheck_core::history::{Beats, Window};
use healthcheck_core::{Cause, Subject};
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

const SUBJECTS: u64 = 116;
const BEATS: u64 = 60_000;

/// One heartbeat each, of everyone in turn.
fn heartbeats(number: u64, first: Timestamp) -> Vec<Entry> {
    let beat = |number: u64| {
        let at = first + SignedDuration::from_millis(i64::try_from(number).unwrap() * 10);
        let subject = Subject::service(&format!("service-{}", number % SUBJECTS));
        let task = Some(format!("indexing {}", number / SUBJECTS / 100));
        let (status, cause) = (Status::Healthy, Cause::SelfReported);
        Entry::Beats(Beats {
            subject,
            status,
            cause,
            task,
            first: at,
            last: at,
            count: 1,
            may_be_known: false,
        })
    };
    (number..number + BEATS).map(beat).collect()
}

/// How many heartbeats a second.
fn rate(server: &Server, record: Record, portions: u64) -> f64 {
    let (store, schema) = server.fresh();
    let mut teller = Teller::new(Box::new(store), record);
    let first = Timestamp::now();
    teller.tells(heartbeats(0, first)[..100].to_vec());
    let all: Vec<_> = (0..portions).map(|portion| heartbeats(portion * BEATS, first)).collect();
    let begun = Instant::now();
    all.into_iter().for_each(|entries| teller.tells(entries));
    let rate = (portions * BEATS) as f64 / begun.elapsed().as_secs_f64();
    let bytes: f64 = server
        .ask(&format!(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class
             WHERE relnamespace = '{schema}'::regnamespace AND relname LIKE 'system_status_history_2%' AND relkind = 'r'"
        ))
        .parse()
        .unwrap();
    let each = bytes / (portions * BEATS) as f64;
    println!("{record:?}: {rate:.0} heartbeats a second, {each:.2} bytes each");
    rate
}

#[test]
fn fifty_thousand_heartbeats_a_second() {
    let server = Server::new();
    for record in [Record::Changes, Record::Heartbeats] {
        let rate = rate(&server, record, 3);
        // Of a build that is not optimised, on a machine that has other work.
        assert!(rate > 10_000.0, "{rate}");
    }
}

#[test]
fn a_thousand_transitions_take_a_moment() {
    let server = Server::new();
    let mut teller = Teller::new(Box::new(server.fresh().0), Record::Changes);
    teller.tells([]);
    let changes = (1..=1_000).map(|id| {
        let (from, to) =
            if id % 2 == 0 { (Status::Error, Status::Healthy) } else { (Status::Healthy, Status::Error) };
        let time = format!("12:{:02}:{:02}", id / 60, id % 60);
        crate::history::suite::changed(id, &format!("service-{}", id % 116), from, to, &time)
    });
    let begun = Instant::now();
    teller.tells(changes.collect::<Vec<_>>());
    println!("1000 transitions: {:?}", begun.elapsed());
    let always = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    for of in [Selection { host: None, subject: Some(Subject::service("service-1")) }, Selection::default()] {
        for _ in 0..8 {
            teller.store.judged(&of, always).unwrap();
        }
        let begun = Instant::now();
        let judged = (0..20).map(|_| teller.store.judged(&of, always).unwrap().len()).max();
        println!("judged of {judged:?}: {:?}", begun.elapsed() / 20);
    }
}
