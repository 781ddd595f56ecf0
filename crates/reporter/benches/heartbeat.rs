//! What one heartbeat costs on two file systems, beside the bare system calls and Python:
//! `cargo bench -p health-reporter --bench heartbeat`.
//!
//! `heartbeat write COUNT` only writes COUNT heartbeats in memory, for whoever counts system calls.
#![expect(clippy::print_stdout, reason = "a benchmark prints a table")]

use health_reporter::write::{Claim, Writer};
use health_reporter::{Check, HealthReport, Status, clock};
use rustix::fs::{Mode, OFlags};
use serde_json::json;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const ROUNDS: usize = 21;
const TIMES: u32 = 200;

/// How services report that write the file themselves.
const PEER: &str = "
import json, os, sys, time
report, path = json.loads(sys.argv[1]), sys.argv[2] + '/peer.json'
def write():
    with open(path + '.tmp', 'w') as file: json.dump(report, file)
    os.rename(path + '.tmp', path)
rounds = []
for _ in range(21):
    began = time.perf_counter()
    for _ in range(200): write()
    rounds.append((time.perf_counter() - began) / 200 * 1e6)
print(sorted(rounds)[10])
";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let memory = tempfile::tempdir_in("/dev/shm")?;
    if args.next().as_deref() == Some("write") {
        let count: u64 = args.next().ok_or("write COUNT")?.parse()?;
        let (mut writer, report) = (writer(memory.path())?, report()?);
        return (0..count).try_for_each(|_| Ok(writer.write(&report)?));
    }
    measure("tmpfs", memory.path(), "≤ 17 µs")?;
    let disk = tempfile::tempdir_in(".")?;
    measure(&file_system(disk.path())?, disk.path(), "≤ 90 µs on ext4")
}

fn measure(file_system: &str, dir: &Path, goal: &str) -> Result<(), Box<dyn Error>> {
    let (mut writer, report) = (writer(dir)?, report()?);
    let text = serde_json::to_vec(&report)?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(micros_each(|| Ok(writer.write(&report)?))?);
        bare.push(micros_each(|| write_bare(dir, &text))?);
    }
    let (ours, bare) = (median(ours), median(bare));
    let python =
        Command::new("python3").args(["-c", PEER]).arg(String::from_utf8(text.clone())?).arg(dir).output()?;
    let python: f64 = String::from_utf8(python.stdout)?.trim().parse()?;
    let (bytes, ratio) = (text.len(), ours / bare);
    let what = format!("one heartbeat of {bytes} bytes on {file_system}");
    println!("| {what} | {ours:.1} µs ({ratio:.1} ×) | {bare:.1} µs | Python {python:.0} µs | {goal} |");
    Ok(())
}

fn writer(dir: &Path) -> Result<Writer, Box<dyn Error>> {
    Ok(Writer::claim(dir, &"bench".parse()?, Claim::Exactly)?)
}

/// As the reporter of a service with two checks writes it.
fn report() -> Result<HealthReport, Box<dyn Error>> {
    let now = "2025-06-01T12:00:00.031125615Z".parse()?;
    let check = |name: &str, message: Option<&str>| Check {
        message: message.map(str::to_owned),
        timestamp: Some(now),
        since: Some(now),
        count: Some(4_711),
        ..Check::new(name, Status::Healthy)
    };
    let mut capture = check("capture", None);
    capture.metadata.extend([("fps".to_owned(), json!(25)), ("device".to_owned(), json!("/dev/video0"))]);
    Ok(HealthReport {
        service_name: Some("camera".to_owned()),
        service_type: Some("camera".to_owned()),
        host: Some("machine".to_owned()),
        service_version: Some("1.4.2".to_owned()),
        checks: vec![capture, check("queue", Some("12 of 1000"))],
        current_task: Some("frame 4700".to_owned()),
        depends_on: vec!["storage".to_owned()],
        last_updated: Some(now),
        last_check: Some(now),
        interval_s: Some(10.0),
        deadline_s: Some(30.0),
        uptime: Some(4_711.031),
        pid: Some(u64::from(std::process::id())),
        pid_namespace: clock::pid_namespace(),
        pid_start_ticks: clock::start_ticks(std::process::id()),
        boot_id: clock::boot_id(),
        written_boottime_s: Some(clock::boottime().as_secs_f64()),
        ..HealthReport::new(Status::Healthy)
    })
}

/// The least that replaces a file: no serialising, no lock, no random name.
fn write_bare(dir: &Path, text: &[u8]) -> Result<(), Box<dyn Error>> {
    let (stage, target) = (dir.join("bare.tmp"), dir.join("bare.json"));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(&stage, flags, Mode::from_raw_mode(0o644))?;
    rustix::io::write(&file, text)?;
    drop(file);
    Ok(rustix::fs::rename(&stage, &target)?)
}

fn micros_each(mut write: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let began = Instant::now();
    (0..TIMES).try_for_each(|_| write())?;
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES))
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn file_system(dir: &Path) -> Result<String, Box<dyn Error>> {
    let stat = Command::new("stat").args(["-f", "-c", "%T"]).arg(dir).output()?;
    Ok(String::from_utf8(stat.stdout)?.trim().replace("ext2/ext3", "ext4"))
}
