//! What a record costs in memory, beside a mutex and the coarse clock: `cargo bench -p health-reporter --bench record`.
//!
//! `record quiet COUNT` only records COUNT times what is known already, for whoever counts system calls.
#![expect(clippy::print_stdout, reason = "a benchmark prints a table")]

use health_reporter::{CheckHandle, Reporter, Status};
use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::error::Error;
use std::hint::black_box;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 31;
const TIMES: u32 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let health = Reporter::builder("bench").dir(dir.path()).interval(Duration::from_secs(60)).start()?;
    let handles = ["capture", "queue"].map(|name| health.check(name));
    handles.iter().for_each(|handle| handle.record(Status::Healthy, "12 of 1000"));
    health.flush()?;
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    if args.next().as_deref() == Some("quiet") {
        let count: u64 = args.next().ok_or("quiet COUNT")?.parse()?;
        (0..count).for_each(|_| handles[0].record(Status::Healthy, "12 of 1000"));
        return Ok(());
    }
    table(&health, &handles);
    Ok(())
}

fn table(health: &Reporter, [first, second]: &[CheckHandle; 2]) {
    let bare = Bare::default();
    let unchanged = |handle: &CheckHandle| handle.record(black_box(Status::Healthy), black_box("12 of 1000"));
    let mut number = 0_usize;
    let limit =
        row("the limit: a mutex and the coarse clock", None, "", one_thread(|| bare.record("12 of 1000")));
    let row = |what, goal, took| row(what, Some(limit), goal, took);
    let alone = row("`record` on a handle, unchanged", "≤ 20 ns", one_thread(|| unchanged(first)));
    row(
        "`record` by name, unchanged",
        "≤ 60 ns",
        one_thread(|| {
            health.record(black_box("capture"), Status::Healthy, black_box("12 of 1000"));
        }),
    );
    row(
        "`record` on a handle, another message each time",
        "",
        one_thread(|| {
            number += 1;
            first.record(Status::Healthy, if number.is_multiple_of(2) { "12 of 1000" } else { "13 of 1000" });
        }),
    );
    unchanged(first);
    let goal = format!("≤ {:.0} ns (4 ×)", alone * 4.0);
    row("two threads, one handle", &goal, two_threads(|_| unchanged(first)));
    row("two threads, a handle each", &goal, two_threads(|thread| unchanged([first, second][thread])));
    let region = Region::new(ALLOCATOR);
    (0..TIMES).for_each(|_| unchanged(first));
    println!("| allocations in {TIMES} unchanged records | {} | | | 0 |", region.change().allocations);
}

/// Prints a row, and returns what it says.
fn row(what: &str, limit: Option<f64>, goal: &str, mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    let ratio = limit.map(|limit| format!(" ({:.1} ×)", median / limit)).unwrap_or_default();
    println!("| {what} | {median:.1} ns{ratio} | | | {goal} |");
    median
}

/// Nanoseconds a call, in each round.
fn one_thread(mut call: impl FnMut()) -> Vec<f64> {
    let round = |_| {
        let began = Instant::now();
        (0..TIMES).for_each(|_| call());
        nanos_each(began)
    };
    (0..ROUNDS).map(round).collect()
}

/// The same while another thread does it too.
fn two_threads(call: impl Fn(usize) + Sync) -> Vec<f64> {
    let round = |_| {
        let start = Barrier::new(2);
        let run = |thread| {
            start.wait();
            let began = Instant::now();
            (0..TIMES).for_each(|_| call(thread));
            nanos_each(began)
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| run(1));
            run(0).max(other.join().unwrap_or(f64::NAN))
        })
    };
    (0..ROUNDS).map(round).collect()
}

fn nanos_each(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}

/// The least that a record needs: one lock, one clock, one comparison, one count.
#[derive(Default)]
struct Bare(Mutex<(String, i64, u64)>);

impl Bare {
    fn record(&self, message: &str) {
        let now = clock_gettime(ClockId::RealtimeCoarse).tv_sec;
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (latest.1, latest.2) = (now, latest.2 + 1);
        if latest.0 != message {
            message.clone_into(&mut latest.0);
        }
    }
}
