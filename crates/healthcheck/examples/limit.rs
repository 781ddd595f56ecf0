//! The least that looking at reports costs: each file opened, read, four of its keys parsed, one line printed.
//! `infra/bench.sh` runs it beside `healthcheck`.

use rustix::fs::{Dir, Mode, OFlags, fstat, open, openat};
use serde::Deserialize;
use std::error::Error;
use std::io::{self, BufWriter, Write};

#[derive(Deserialize)]
struct Report<'a> {
    #[serde(borrow)]
    service_name: &'a str,
    overall_status: &'a str,
    pid: u64,
    written_boottime_s: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: limit DIR")?;
    let dir = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut buffer = Vec::new();
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        if !entry.file_name().to_bytes().ends_with(b".json") {
            continue;
        }
        let file = openat(&dir, entry.file_name(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        buffer.resize(usize::try_from(fstat(&file)?.st_size)? + 1, 0);
        let read = rustix::io::read(&file, &mut buffer)?;
        let report: Report = serde_json::from_slice(&buffer[..read])?;
        let Report { service_name, overall_status, pid, written_boottime_s } = report;
        writeln!(out, "{service_name} {overall_status} {pid} {written_boottime_s}")?;
    }
    Ok(out.flush()?)
}
