//! The clocks of a report, and who the process is: for writers that put a report together by themselves.
//!
//! ```
//! use health_reporter::{HealthReport, Status, clock};
//!
//! let mut report = HealthReport::new(Status::Healthy);
//! report.boot_id = clock::boot_id();
//! report.written_boottime_s = Some(clock::boottime().as_secs_f64());
//! report.pid = Some(std::process::id().into());
//! report.pid_namespace = clock::pid_namespace();
//! report.pid_start_ticks = clock::start_ticks(std::process::id());
//! ```

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// `CLOCK_BOOTTIME`: it cannot be set, and goes on while the machine sleeps.
#[must_use]
pub fn boottime() -> Duration {
    duration(clock_gettime(ClockId::Boottime))
}

/// How long the machine was suspended since boot: `CLOCK_BOOTTIME` goes on meanwhile, nothing else does.
#[must_use]
pub fn suspended() -> Duration {
    let awake = duration(clock_gettime(ClockId::Monotonic));
    boottime().saturating_sub(awake)
}

/// The time for people, to the kernel's tick: a quarter of the price of the exact one.
pub(crate) fn coarse_wall() -> Timestamp {
    Tick::now().timestamp()
}

/// A coarse time as the kernel gives it, for whoever takes it often and looks at it seldom.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tick {
    pub(crate) seconds: i64,
    pub(crate) nanos: i64,
}

impl Tick {
    pub(crate) fn now() -> Self {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        Self { seconds: now.tv_sec, nanos: now.tv_nsec }
    }

    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::new(self.seconds, i32::try_from(self.nanos).unwrap_or(0)).unwrap_or_default()
    }
}

fn duration(time: rustix::time::Timespec) -> Duration {
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// The id of this boot, or nothing where the kernel does not tell.
#[must_use]
pub fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim_ascii().to_owned())
}

/// The inode of this process's pid namespace.
#[must_use]
pub fn pid_namespace() -> Option<u64> {
    Some(rustix::fs::stat("/proc/self/ns/pid").ok()?.st_ino)
}

/// When a process started, in clock ticks since boot: field 22 of `/proc/PID/stat`.
#[must_use]
pub fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command's name, in parentheses, and may contain anything.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The machine's host name.
pub(crate) fn host_name() -> Option<String> {
    Some(rustix::system::uname().nodename().to_str().ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_and_its_boot_are_known() {
        let ticks = start_ticks(std::process::id()).unwrap();
        assert!(ticks as f64 / 100.0 <= boottime().as_secs_f64());
        assert_eq!(boot_id().unwrap().len(), 36);
        assert!(pid_namespace().unwrap() > 0);
        assert!(coarse_wall().as_second() > 1_700_000_000);
    }
}
