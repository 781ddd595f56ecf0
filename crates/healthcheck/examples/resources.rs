//! What looking at the machine's resources costs, beside the least that it could cost (the same files read whole, the
//! same file systems asked, nothing made of it), sysinfo and psutil, in turns. `infra/bench.sh` runs it.

use rustix::fs::{Mode, OFlags, open, statvfs};
use sources::machine::Machine;
use std::error::Error;
use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

/// The program is no library: its modules are taken as they are.
#[expect(dead_code, reason = "only the look is measured")]
#[path = "../src/processes.rs"]
mod processes;
#[path = "../src/sources"]
mod sources {
    mod canary;
    #[expect(dead_code, reason = "only the look is measured")]
    pub(crate) mod machine;
}

const ROUNDS: usize = 501;
const FILES: [&str; 9] = [
    "/proc/self/mountinfo",
    "/etc/fstab",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/loadavg",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
    "/proc/sys/fs/file-nr",
];
const PSUTIL: &str = "
import os, psutil, statistics, time
def look():
    psutil.virtual_memory(), psutil.swap_memory(), os.getloadavg(), psutil.cpu_times(), psutil.cpu_count()
    for partition in psutil.disk_partitions():
        psutil.disk_usage(partition.mountpoint), os.statvfs(partition.mountpoint)
    psutil.sensors_temperatures()
def timed():
    began = time.perf_counter()
    look()
    return time.perf_counter() - began
print(statistics.median(timed() for _ in range(501)) * 1e6)
";

fn main() -> Result<(), Box<dyn Error>> {
    let mut machine = Machine::at("/");
    let disks: Vec<_> = machine.look().resources.disks.into_iter().map(|disk| disk.mount_point).collect();
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(timed(|| {
            machine.look();
            Ok(())
        })?);
        limit.push(timed(|| by_hand(&disks))?);
    }
    let (ours, limit) = (median(ours), median(limit));
    let sysinfo = median((0..21).map(|_| timed(sysinfo)).collect::<Result<_, _>>()?);
    let psutil = Command::new("python3").args(["-c", PSUTIL]).output()?;
    let psutil: f64 = String::from_utf8(psutil.stdout)?.trim().parse()?;
    let (ratio, count) = (ours / limit, disks.len());
    writeln!(
        io::stdout(),
        "| resources alone, {count} file systems | {ours:.0} µs ({ratio:.1} ×) | {limit:.0} µs | psutil {psutil:.0} µs, \
         sysinfo `new_all` {sysinfo:.0} µs | ≤ 500 µs |"
    )?;
    Ok(())
}

fn timed(look: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    look()?;
    Ok(began.elapsed())
}

fn by_hand(disks: &[String]) -> Result<(), Box<dyn Error>> {
    let mut buffer = [0; 16 << 10];
    for path in FILES {
        let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        while rustix::io::read(&file, &mut buffer)? > 0 {}
    }
    for disk in disks {
        statvfs(disk)?;
    }
    Ok(())
}

fn sysinfo() -> Result<(), Box<dyn Error>> {
    drop(sysinfo::System::new_all()?);
    Ok(())
}

/// In microseconds.
fn median(mut took: Vec<Duration>) -> f64 {
    took.sort();
    took[took.len() / 2].as_secs_f64() * 1e6
}
