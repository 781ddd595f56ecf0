//! What the reporter costs a service by being there: `cargo bench -p health-reporter --bench presence`.
//!
//! Calls itself with `small` and `small reporting` for a process that does nothing else.
#![expect(clippy::print_stdout, reason = "a benchmark prints a table")]

use health_reporter::{Reporter, Status, read};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const RECORDING: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
const IDLE: Duration = Duration::from_secs(21);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    if args.next().as_deref() == Some("small") {
        return small(args.next().is_some());
    }
    let (with, without) = (kib_of(&["small", "reporting"])?, kib_of(&["small"])?);
    let more = [with[0] - without[0], with[1] - without[1]];
    println!(
        "| resident cost in a small service | {} KiB RSS, {} KiB PSS | | | ≤ 300 KiB |",
        more[0], more[1]
    );
    recording()?;
    idle()
}

fn recording() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let health = Reporter::builder("bench").dir(dir.path()).start()?;
    let (capture, mut number) = (health.check("capture"), 0_u64);
    let (mut alone, mut more, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    // In turns, because what a loop takes by itself differs from minute to minute.
    for _ in 0..ROUNDS {
        alone.push(cpu_share(RECORDING, || {}) * 100.0);
        let before = beats(dir.path())?;
        let recording = cpu_share(RECORDING, || {
            number += 1;
            capture
                .record(Status::Healthy, if number.is_multiple_of(2) { "12 of 1000" } else { "13 of 1000" });
        });
        more.push(recording * 100.0 - alone[alone.len() - 1]);
        writes.push((beats(dir.path())? - before) as f64 / RECORDING.as_secs_f64());
    }
    let (alone, more, writes) = (median(alone), median(more), median(writes));
    println!("| 1,000 changing records a second: writes | {writes:.1} a second | 1 | | 1 |");
    println!(
        "| 1,000 changing records a second: CPU above the loop's own {alone:.2} % | {more:.3} % | | | ≤ 0.1 % |"
    );
    Ok(())
}

fn beats(dir: &Path) -> Result<u64, Box<dyn Error>> {
    let file = read::one(dir, &"bench".parse()?).map_err(|unusable| unusable.error)?;
    Ok(file.report.heartbeat_count)
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn idle() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let _health = Reporter::builder("bench").dir(dir.path()).interval(Duration::from_secs(10)).start()?;
    std::thread::sleep(Duration::from_millis(500));
    let began = cpu();
    std::thread::sleep(IDLE);
    let share = (cpu() - began) / IDLE.as_secs_f64() * 100.0;
    println!("| CPU of a service that only beats each 10 s | {share:.4} % | | | < 0.01 % |");
    Ok(())
}

/// The share of a processor that a loop takes which does something each millisecond.
fn cpu_share(time: Duration, mut each_millisecond: impl FnMut()) -> f64 {
    let (began, began_cpu) = (Instant::now(), cpu());
    while began.elapsed() < time {
        each_millisecond();
        std::thread::sleep(Duration::from_millis(1));
    }
    (cpu() - began_cpu) / began.elapsed().as_secs_f64()
}

/// Seconds of processor that this process has taken.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn small(is_reporting: bool) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let health = is_reporting.then(|| Reporter::builder("small").dir(dir.path()).start()).transpose()?;
    if let Some(health) = &health {
        health.record("queue", Status::Healthy, "12 of 1000");
        health.flush()?;
    }
    let smaps = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    for key in ["Rss:", "Pss:"] {
        let line = smaps.lines().find_map(|line| line.strip_prefix(key)).ok_or("no such line")?;
        println!("{}", line.trim().trim_end_matches(" kB"));
    }
    Ok(())
}

fn kib_of(args: &[&str]) -> Result<[i64; 2], Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?).args(args).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.lines().map(str::parse);
    Ok([numbers.next().ok_or("no RSS")??, numbers.next().ok_or("no PSS")??])
}
